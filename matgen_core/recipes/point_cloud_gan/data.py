"""The crystals that a point-cloud GAN learns from, and the compositions that it is judged on."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import torch
from pymatgen.core import Composition, Element, Structure

from matgen_core.data.rows import structure
from matgen_core.networks.arrays.clouds import CloudArrays
from matgen_core.networks.arrays.splits import THREE_PARTS, TRAIN, VAL
from matgen_core.representations import PointCloud

Counts = tuple[int, ...]  # atoms of each element, in the order of the elements
_ID, _TEMPLATE = "material_id", "template"


@dataclass(frozen=True)
class Rule:
    """Which compositions are thought to be possible, and how many of them are judged.

    Attributes:
        charges: Of each element, None for the one that takes what is left.
        least, most: Charge of that element.
        n_known, n_new: How many known and how many new compositions are judged.
        always: Reduced formulas that are judged in any case.
    """

    charges: tuple[int | None, ...]
    least: float
    most: float
    n_known: int = 11
    n_new: int = 20

    def holds(self, counts: Counts) -> bool:
        """Whether a composition obeys it."""
        rest = -sum(n * charge for n, charge in zip(counts, self.charges, strict=True) if charge is not None)
        n = sum(n for n, charge in zip(counts, self.charges, strict=True) if charge is None)
        return self.least * n <= rest <= self.most * n


def candidates(slots: Sequence[int], rule: Rule) -> list[Counts]:
    """List the reduced compositions of all elements that the slots hold and the rule allows, small ones first."""
    every = product(*(range(1, n + 1) for n in slots))
    return sorted({reduced(counts) for counts in every if rule.holds(counts)}, key=lambda counts: (sum(counts), counts))


def judged(slots: Sequence[int], rule: Rule, known: Iterable[Counts]) -> tuple[list[Counts], list[Counts]]:
    """Choose the compositions that are judged.

    Args:
        slots: Of each element.
        rule: Which compositions are possible, and how many are judged.
        known: The reduced composition of each known compound.

    Returns:
        Of the candidates, the known ones with most known compounds, and the new ones with the fewest atoms in a formula
        unit; of equal ones the smaller, then those with less of the first element.
    """
    possible = candidates(slots, rule)
    n_known = Counter(known)
    there = sorted((each for each in possible if n_known[each]), key=lambda counts: -n_known[counts])
    new = [each for each in possible if not n_known[each]]
    return there[: rule.n_known], new[: rule.n_new]


def reduced(counts: Counts) -> Counts:
    """Divide counts by what they have in common."""
    common = math.gcd(*counts)
    return tuple(n // common for n in counts)


def cells_of(counts: Counts, slots: Sequence[int]) -> list[Counts]:
    """List the multiples of a reduced composition that the slots hold."""
    most = min(n // count for n, count in zip(slots, counts, strict=True) if count)
    return [tuple(factor * count for count in counts) for factor in range(1, most + 1)]


def formula(counts: Counts, elements: Sequence[str]) -> str:
    """Write a composition as a formula, elements in their order."""
    return "".join(f"{symbol}{n if n > 1 else ''}" for symbol, n in zip(elements, counts, strict=True) if n)


@dataclass(frozen=True)
class Learned:
    """What is learned from.

    Attributes:
        arrays: The crystals in their reduced cells.
        left_out: How many rows of the data do not fit, by the reason.
    """

    arrays: CloudArrays
    left_out: Counter[str]


def learned(table: pd.DataFrame, layout: PointCloud, kept: Iterable[Counts], n_watched: int, seed: int) -> Learned:
    """Put the crystals of a table that fit into arrays.

    Args:
        table: Rows with a cell, numbers and coordinates, as `data.structure` takes them.
        layout: Elements and slots.
        kept: Reduced compositions that are learned in any case.
        n_watched: How many of the other reduced compositions are held out: settings are chosen by them.
        seed: Of that choice.

    Returns:
        Each crystal in its Niggli cell. The fewer of a composition there are, the oftener each is drawn: a composition
        counts as much as the square root of its number of crystals.

    Raises:
        ValueError: If no row fits.
    """
    rows: list[dict[str, Any]] = []
    left_out: Counter[str] = Counter()
    for number, row in enumerate(table.to_dict("records")):
        try:
            crystal = structure(row)
            counts = layout.counts(crystal.composition)
            rows.append(
                {"crystal": crystal.get_reduced_structure("niggli"), "counts": counts, "id": _name(row, number)}
            )
        except ValueError as error:
            left_out[str(error)] += 1
    if not rows:
        reasons = "; ".join(f"{reason} ({n})" for reason, n in left_out.most_common(3)) or "it has no rows"
        raise ValueError(f"no crystal of the data fits the slots of {' '.join(layout.elements)}: {reasons}")
    n_of = Counter(row["counts"] for row in rows)
    whole = sorted({reduced(row["counts"]) for row in rows} - set(kept))
    watched = {whole[i] for i in np.random.default_rng(seed).permutation(len(whole))[:n_watched]}
    parts = [VAL if reduced(row["counts"]) in watched else TRAIN for row in rows]
    arrays = CloudArrays(
        elements=layout.elements,
        numbers=tuple(Element(symbol).Z for symbol in layout.elements),
        slots=layout.slots,
        ids=tuple(row["id"] for row in rows),
        frac_coords=torch.from_numpy(np.stack([_in_slots(row["crystal"], layout) for row in rows])),
        counts=torch.tensor([row["counts"] for row in rows]),
        lattice=torch.from_numpy(np.stack([row["crystal"].lattice.matrix for row in rows]).astype(np.float32)),
        weight=torch.tensor([n_of[row["counts"]] ** -0.5 for row in rows]),
        part=torch.tensor([THREE_PARTS.index(part) for part in parts]),
        asked=torch.zeros(0, len(layout.elements), dtype=torch.int64),
    )
    return Learned(arrays, left_out)


def structures(arrays: CloudArrays) -> list[Structure]:
    """Return the crystals of arrays."""
    symbols = np.array(PointCloud(arrays.elements, arrays.slots).symbols)
    found = []
    for coords, counts, lattice in zip(arrays.frac_coords, arrays.counts, arrays.lattice, strict=True):
        there = np.concatenate([np.arange(n) < count for n, count in zip(arrays.slots, counts.tolist(), strict=True)])
        found.append(Structure(lattice.double().numpy(), symbols[there], coords.double().numpy()[there]))
    return found


def composition(counts: Counts, elements: Sequence[str]) -> Composition:
    """Return counts as a composition."""
    return Composition(dict(zip(elements, counts, strict=True)))


def _name(row: dict[str, Any], number: int) -> str:
    """The id of a crystal: its own, or that of its template with its row, since templates repeat."""
    if row.get(_ID):
        return str(row[_ID])
    return f"{row[_TEMPLATE]}-{number}" if row.get(_TEMPLATE) else f"row-{number + 1}"


def _in_slots(crystal: Structure, layout: PointCloud) -> Any:
    coords = np.zeros((sum(layout.slots), 3), np.float32)
    first = 0
    for symbol, n in zip(layout.elements, layout.slots, strict=True):
        sites = [site.frac_coords % 1.0 for site in crystal if site.specie.symbol == symbol]
        if sites:
            coords[first : first + len(sites)] = sites
        first += n
    return coords
