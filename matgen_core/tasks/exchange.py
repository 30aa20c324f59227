"""Crystals without a network: known ones with elements exchanged, and the two baselines on either side of that.

Ion exchange is what a chemist does by hand: take a compound that exists and put like elements in the places of its
own. Whoever generates crystals is held against it, against any elements on the same skeletons, and against known
crystals that were merely distorted, which cannot be new.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pymatgen.core import Element, Lattice, Structure

from matgen_core import data
from matgen_core.data.rows import structure

DATASET = "mp_structures"
_NEAR_HULL = 0.1  # eV/atom; skeletons are those of compounds that may exist
_MOST_SITES = 20
_SAME_GROUP = 0.25  # difference of radii, of the smaller one
_SAME_CHARGE = 0.12  # likewise in Å, of metals that share a common oxidation state
_TRIES = 50  # skeletons until one has an element that can be exchanged
_STRAIN, _RATTLE = 0.04, 0.12  # of distorted crystals: of each component, and of each coordinate in Å


@dataclass(frozen=True, eq=False)
class Exchanged:
    """One crystal that was made, and of what.

    Attributes:
        structure: The crystal.
        parent: Id of the known crystal.
        swaps: Elements that were replaced, each with what stands in its place.
    """

    structure: Structure
    parent: str
    swaps: tuple[tuple[str, str], ...]


class Skeletons:
    """Known ordered compounds near the hull, to put other elements into."""

    def __init__(self, crystals: Sequence[Structure], ids: Sequence[str]) -> None:
        """Take compounds.

        Args:
            crystals: Ordered, of two elements or more.
            ids: Of each.
        """
        self.crystals, self.ids = list(crystals), list(ids)

    @classmethod
    def installed(cls) -> "Skeletons":
        """Take those of the installed Materials Project structures, at most 0.1 eV/atom above the hull.

        Raises:
            ValueError: If the data set is not installed; one line.
        """
        table = data.load(DATASET).table
        fits = (table["energy_above_hull"] < _NEAR_HULL) & (table["nelements"] > 1) & (table["nsites"] <= _MOST_SITES)
        return _OfTable(table[fits].reset_index(drop=True))

    def __len__(self) -> int:
        return len(self.ids)

    def crystal(self, row: int) -> Structure:
        """Return one of them."""
        return self.crystals[row]

    @cached_property
    def elements(self) -> tuple[str, ...]:
        """Elements that occur in them."""
        return tuple(sorted({str(each) for crystal in self.crystals for each in crystal.composition}))

    @cached_property
    def volumes(self) -> dict[str, float]:
        """Volume of an atom of each element in Å^3: those that best explain the volumes of the compounds."""
        counts = [crystal.composition.get_el_amt_dict() for crystal in self.crystals]
        return _volumes(self.elements, counts, [crystal.volume for crystal in self.crystals])


class _OfTable(Skeletons):
    """The same from a table; a crystal is made when it is wanted."""

    def __init__(self, table: pd.DataFrame) -> None:
        self._table = table
        self.ids = table["material_id"].tolist()

    def crystal(self, row: int) -> Structure:
        return structure(self._table.iloc[row])

    @cached_property
    def elements(self) -> tuple[str, ...]:
        numbers = {number for each in self._table["numbers"] for number in each}
        return tuple(sorted(Element.from_Z(int(number)).symbol for number in numbers))

    @cached_property
    def volumes(self) -> dict[str, float]:
        counts = []
        for numbers in self._table["numbers"]:
            found, n = np.unique(numbers, return_counts=True)
            counts.append({Element.from_Z(int(z)).symbol: int(k) for z, k in zip(found, n, strict=True)})
        return _volumes(self.elements, counts, self._table["volume"].to_numpy())


def _volumes(
    elements: Sequence[str], counts: Sequence[Mapping[str, float]], volumes: Sequence[float] | NDArray[np.float64]
) -> dict[str, float]:
    from scipy.optimize import nnls

    place = {symbol: column for column, symbol in enumerate(elements)}
    table = np.zeros((len(counts), len(elements)))
    for row, each in enumerate(counts):
        for symbol, n in each.items():
            table[row, place[symbol]] = n
    n_atoms = table.sum(axis=1)
    q, r = np.linalg.qr(table / n_atoms[:, None])  # the same problem with a row an element
    found, _ = nnls(r, q.T @ (np.asarray(volumes) / n_atoms))
    # an element that explains nothing still takes room
    return {symbol: float(max(volume, 3.0)) for symbol, volume in zip(elements, found, strict=True)}


def ion_exchange(skeletons: Skeletons, n: int, seed: int) -> list[Exchanged]:
    """Make crystals of known ones by exchanging like elements; at least one of each is exchanged.

    Like are elements of one group whose radii differ by at most a quarter, and metals that share a common oxidation
    state and whose radii differ by at most 0.12 Å. Lengths are scaled by the volumes of the elements.

    Args:
        skeletons: What is exchanged in.
        n: How many.
        seed: The same seed makes the same crystals.
    """

    def partners(symbols: Sequence[str], random: np.random.Generator) -> dict[str, str]:
        wanted = random.random(len(symbols)) < 0.5
        wanted[random.integers(len(symbols))] = True
        swaps: dict[str, str] = {}
        for symbol, is_wanted in zip(symbols, wanted, strict=True):
            alike = [each for each in like(symbol) if each in there and each not in symbols]
            alike = [each for each in alike if each not in swaps.values()]
            if is_wanted and alike:
                swaps[symbol] = alike[random.integers(len(alike))]
        return swaps

    there = frozenset(skeletons.elements)
    return _made(skeletons, n, seed, partners)


def random_elements(skeletons: Skeletons, n: int, seed: int) -> list[Exchanged]:
    """Make crystals of known ones by putting any other element in the place of each; arguments as in `ion_exchange`."""

    def partners(symbols: Sequence[str], random: np.random.Generator) -> dict[str, str]:
        others = [each for each in skeletons.elements if each not in symbols]
        chosen = random.choice(len(others), len(symbols), replace=False)
        return {symbol: others[place] for symbol, place in zip(symbols, chosen, strict=True)}

    return _made(skeletons, n, seed, partners)


def distorted(skeletons: Skeletons, n: int, seed: int) -> list[Exchanged]:
    """Strain and rattle known crystals: 4 % each component, 0.12 Å each coordinate; arguments as in `ion_exchange`."""
    random = np.random.default_rng(seed)
    found = []
    for row in random.integers(len(skeletons), size=n):
        known = skeletons.crystal(int(row))
        strain = random.normal(0, _STRAIN, (3, 3))
        matrix = known.lattice.matrix @ (np.eye(3) + (strain + strain.T) / 2)
        moved = known.frac_coords @ matrix + random.normal(0, _RATTLE, (len(known), 3))
        made = Structure(Lattice(matrix), known.species, moved, coords_are_cartesian=True)
        found.append(Exchanged(made, skeletons.ids[row], ()))
    return found


def exchanged(known: Structure, swaps: Mapping[str, str], volumes: Mapping[str, float]) -> Structure:
    """Put elements in the places of others, all at once, and scale the cell by their volumes.

    Args:
        known: An ordered crystal.
        swaps: Symbols, each with what stands in its place.
        volumes: Of an atom of each element in Å^3.
    """
    made = known.copy()
    made.replace_species({Element(old): Element(new) for old, new in swaps.items()})
    before, after = (sum(volumes[str(site.specie)] for site in each) for each in (known, made))
    made.scale_lattice(known.volume * after / before)
    return made


def _made(
    skeletons: Skeletons, n: int, seed: int, partners: Callable[[Sequence[str], np.random.Generator], dict[str, str]]
) -> list[Exchanged]:
    random = np.random.default_rng(seed)
    found = []
    for _ in range(n):
        for _ in range(_TRIES):
            row = int(random.integers(len(skeletons)))
            known = skeletons.crystal(row)
            swaps = partners(sorted(str(each) for each in known.composition), random)
            if swaps:
                break
        else:
            raise ValueError(f"{_TRIES} skeletons in a row hold no element that can be exchanged")
        made = exchanged(known, swaps, skeletons.volumes)
        found.append(Exchanged(made, skeletons.ids[row], tuple(sorted(swaps.items()))))
    return found


GENERATORS: Mapping[str, Callable[[Skeletons, int, int], list[Exchanged]]] = {
    "ion_exchange": ion_exchange,
    "random_elements": random_elements,
    "distorted": distorted,
}


@lru_cache(maxsize=200)
def like(symbol: str) -> tuple[str, ...]:
    """Return the elements that may stand in the place of one: those of `ion_exchange`."""
    element = Element(symbol)
    found = []
    for other in Element:
        radius, mine = other.atomic_radius, element.atomic_radius
        if other is element or radius is None or mine is None:
            continue
        is_of_group = other.group == element.group and abs(radius - mine) <= _SAME_GROUP * min(radius, mine)
        shares = set(other.common_oxidation_states) & set(element.common_oxidation_states)
        both_metals = other.is_metal and element.is_metal
        if is_of_group or (both_metals and shares and abs(radius - mine) <= _SAME_CHARGE):
            found.append(other.symbol)
    return tuple(sorted(found))
