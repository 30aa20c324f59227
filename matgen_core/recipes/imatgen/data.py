"""The crystals of two elements: those that are known, and those made of all other binary compounds."""

import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Element, Lattice, Structure

from matgen_core import data
from matgen_core.checks.physics.above_hull import HullOf
from matgen_core.data.rows import structure
from matgen_core.networks.arrays.cells import Cells
from matgen_core.networks.arrays.crystals import PairArrays
from matgen_core.networks.arrays.splits import OTHER, PAIR_PARTS, TEST, TRAIN, VAL
from matgen_core.networks.potentials import OUTCOMES
from matgen_core.networks.potentials.remote import RelaxedCells, fingerprint
from matgen_core.recipes.imatgen.substitution import MAX_EDGE, MAX_SITES, distances, distinct, niggli, substituted
from matgen_core.representations.voxels.cell_and_basis import CellAndBasis
from matgen_core.tasks.exchange import Skeletons, exchanged

PARENTS = "mp_structures"
VALIDATION = 0.1  # of the crystals that are made
_NEAR = 0.6  # Å; crystals whose distances differ by more are not compared by the matcher


@dataclass(frozen=True, eq=False)
class Candidates:
    """Crystals before they are relaxed, the known ones first.

    Attributes:
        structures: In their Niggli cell.
        ids: Material ids of the known ones; of the others "sub-" and that of the parent, numbered where one parent
            made more than one.
        n_known: How many are known.
        parents: Elements of the known compound that each of the others was made of, by its id.
    """

    structures: list[Structure]
    ids: list[str]
    n_known: int
    parents: dict[str, frozenset[str]]

    @property
    def cells(self) -> Cells:
        """The same as potentials take them."""
        return Cells.of(
            ([site.specie.Z for site in each], each.lattice.matrix, each.frac_coords) for each in self.structures
        )


def candidates(elements: tuple[str, str], limit: int | None = None, seed: int = 0) -> Candidates:
    """Gather the known crystals of two elements that fit, and put the elements into all other binary compounds.

    Args:
        elements: Symbols.
        limit: Keep at most this many that are made, drawn at random.
        seed: Of the draw.

    Raises:
        ValueError: As `substituted`.
    """
    table = data.load(PARENTS).table.reset_index(drop=True)
    known = known_of(elements)
    made = substituted(table, elements)
    rows = np.arange(len(made.structures))
    if limit is not None:
        rows = np.sort(np.random.default_rng(seed).permutation(rows)[:limit])
    seen: dict[str, int] = {}
    names = []
    for row in rows:
        parent = made.parents[row]
        seen[parent] = seen.get(parent, 0) + 1
        names.append(f"sub-{parent}" if seen[parent] == 1 else f"sub-{parent}-{seen[parent]}")
    elements_of = dict(zip(table["material_id"].astype(str), table["chemsys"], strict=True))
    parents = {
        name: frozenset(elements_of[made.parents[row]].split("-")) for name, row in zip(names, rows, strict=True)
    }
    crystals = [*known["structure"], *(made.structures[row] for row in rows)]
    return Candidates(crystals, [*known["material_id"], *names], len(known), parents)


def known_of(elements: tuple[str, str]) -> pd.DataFrame:
    """Return the known compounds of two elements that fit the limits, with a column `structure` (Niggli cells).

    Of those that are alike the one with the least hull distance stays.
    """
    wanted = frozenset(Element(symbol).Z for symbol in elements)
    sources = [PARENTS, "mp_vo"] if set(elements) == {"V", "O"} else [PARENTS]
    tables = [data.load(name).table for name in sources]
    table = pd.concat(
        [each[[frozenset(int(z) for z in numbers) == wanted for numbers in each["numbers"]]] for each in tables],
        ignore_index=True,
    ).drop_duplicates("material_id")
    table = table[table["numbers"].map(len) <= MAX_SITES]
    table = table.sort_values("energy_above_hull", kind="stable").reset_index(drop=True)
    table["structure"] = [niggli(structure(row).get_primitive_structure()) for row in table.to_dict("records")]
    table = table[[max(each.lattice.abc) <= MAX_EDGE for each in table["structure"]]].reset_index(drop=True)
    return table.iloc[distinct(list(table["structure"]), 0.1)].reset_index(drop=True)


def arrays_of(
    found: Candidates, relaxed: RelaxedCells, layout: CellAndBasis, n_others: int, seed: int
) -> tuple[PairArrays, Counter[str]]:
    """Put relaxed crystals that fit into arrays: a tenth of those made for validation, the known ones for the test.

    What relaxes into a known compound, or into what another one relaxed into, is left out.

    Args:
        found: What was relaxed.
        relaxed: What became of it.
        layout: How crystals are drawn.
        n_others: Crystals of other elements to draw, see `others_of`; those like one of the held-out ones are left out.
        seed: Of the split.

    Returns:
        The arrays, and how many are left out, by the reason.

    Raises:
        ValueError: If `relaxed` is of other crystals.
    """
    if relaxed.given != fingerprint(found.cells):
        raise ValueError("the relaxed crystals are others than those that the data give; relax them anew")
    dropped: Counter[str] = Counter()
    rows: list[dict[str, Any]] = []
    hull = HullOf.installed()
    for place, (numbers, cell, frac_coords) in enumerate(relaxed.cells.sites()):
        if not relaxed.energy[place].isfinite():
            dropped[OUTCOMES[relaxed.outcome[place]] if relaxed.outcome[place] >= 0 else "not reached"] += 1
            continue
        crystal = crystal_of(numbers, cell, frac_coords)
        try:
            crystal = layout.standardize(crystal)
            layout.draw(crystal)
        except ValueError:
            dropped["does not fit"] += 1
            continue
        # The second potential is the better one; the first relaxed.
        energy = float(relaxed.second_energy[place])
        own = found.ids[place] if place < found.n_known else ""
        formation, distance = hull.of(crystal, relaxed.potentials[1], energy, own)
        rows.append(
            {"id": found.ids[place], "cell": crystal, "known": bool(own), "energy": formation, "hull": distance}
        )
    first = distinct([row["cell"] for row in rows], 0.1)
    dropped["relaxed into another"] = len(rows) - len(first)
    rows = [rows[place] for place in first]
    known = _Alike(row["cell"] for row in rows if row["known"])
    kept = [row for row in rows if row["known"] or not known.holds(row["cell"])]
    dropped["relaxed into a known compound"] = len(rows) - len(kept)
    random = np.random.default_rng(seed).random(len(kept))
    for row, x in zip(kept, random, strict=True):
        row["part"] = TEST if row["known"] else VAL if x < VALIDATION else TRAIN
    held_out = _Alike(row["cell"] for row in kept if row["part"] != TRAIN)
    others = [each for each in others_of(layout, n_others, seed) if not held_out.holds(each["cell"])]
    return _packed(layout.elements, kept + others), dropped


def others_of(layout: CellAndBasis, n: int, seed: int) -> list[dict[str, Any]]:
    """Draw known crystals of other elements and turn them into crystals of two: id, cell and part of each.

    The elements of a compound are parted where their electronegativities lie farthest apart, and the less
    electronegative ones become the less electronegative of the two. Lengths go with the volumes of the elements.

    Args:
        layout: What does not fit it is left out.
        n: How many are drawn of the compounds of three elements and more; the binary ones are made into candidates.
        seed: Of the draw.
    """
    table = data.load(PARENTS).table
    table = table[[len(set(numbers)) > 2 for numbers in table["numbers"]]]
    rows = np.sort(np.random.default_rng(seed).permutation(len(table))[:n])
    volumes = Skeletons.installed().volumes if len(rows) else {}
    low, high = sorted(layout.elements, key=_electronegativity)
    found = []
    for row in table.iloc[rows].to_dict("records"):
        crystal = structure(row)
        symbols = sorted({site.specie.symbol for site in crystal}, key=_electronegativity)
        if not volumes.keys() >= set(symbols):
            continue
        steps = np.diff([_electronegativity(symbol) for symbol in symbols])
        cut = int(steps.argmax()) + 1
        swaps = {symbol: low if place < cut else high for place, symbol in enumerate(symbols)}
        try:
            cell = layout.standardize(exchanged(crystal, swaps, volumes))
            layout.draw(cell)
        except ValueError:
            continue
        found.append({"id": f"other-{row['material_id']}", "cell": cell, "part": OTHER})
    return found


def _packed(elements: tuple[str, ...], rows: Sequence[dict[str, Any]]) -> PairArrays:
    n_sites = max(len(row["cell"]) for row in rows)
    frac_coords, species = torch.zeros(len(rows), n_sites, 3), torch.full((len(rows), n_sites), -1)
    for i, row in enumerate(rows):
        frac_coords[i, : len(row["cell"])] = torch.from_numpy(row["cell"].frac_coords)
        kinds = [elements.index(site.specie.symbol) for site in row["cell"]]
        species[i, : len(kinds)] = torch.tensor(kinds)
    return PairArrays(
        elements=elements,
        ids=tuple(row["id"] for row in rows),
        frac_coords=frac_coords,
        species=species,
        lattice=torch.from_numpy(np.stack([row["cell"].lattice.matrix for row in rows]).astype(np.float32)),
        formation_energy_per_atom=torch.tensor([row.get("energy", float("nan")) for row in rows]),
        energy_above_hull=torch.tensor([row.get("hull", float("nan")) for row in rows]),
        part=torch.tensor([PAIR_PARTS.index(row["part"]) for row in rows]),
    )


def structures(arrays: PairArrays) -> list[Structure]:
    """Return the crystals in the cell that the arrays hold."""
    return [
        Structure(
            lattice.numpy().astype(float),
            [arrays.elements[i] for i in species[species >= 0].tolist()],
            frac_coords[species >= 0].numpy().astype(float),
        )
        for frac_coords, species, lattice in zip(arrays.frac_coords, arrays.species, arrays.lattice, strict=True)
    ]


def crystal_of(numbers: NDArray[np.int64], cell: NDArray[np.float64], frac_coords: NDArray[np.float64]) -> Structure:
    """Return a crystal of its atomic numbers, cell and fractional coordinates."""
    return Structure(Lattice(cell), [Element.from_Z(int(z)) for z in numbers], frac_coords)


class _Alike:
    """Crystals, to ask whether another is one of them."""

    def __init__(self, crystals: Iterable[Structure]) -> None:
        self._by_formula = dict[tuple[str, int], list[tuple[NDArray[np.float32], Structure]]]()
        for each in crystals:
            self._by_formula.setdefault(self._key(each), []).append((distances(each), each))

    def holds(self, crystal: Structure) -> bool:
        there = self._by_formula.get(self._key(crystal), [])
        mark = distances(crystal) if there else np.zeros(0)
        return any(np.abs(its - mark).max() < _NEAR and StructureMatcher().fit(crystal, each) for its, each in there)

    @staticmethod
    def _key(crystal: Structure) -> tuple[str, int]:
        return crystal.composition.reduced_formula, len(crystal)


def _electronegativity(symbol: str) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # there is none of noble gases
        found = float(Element(symbol).X)
    return found if found == found else 0.0
