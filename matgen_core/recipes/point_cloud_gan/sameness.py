"""Which of thousands of crystals are the same: the structure matcher, asked of each and what is most like it alone.

Every pair of 300 crystals of a composition would take hours. A fingerprint, scaled to one volume as the matcher does,
says which few are worth asking of.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pymatgen.core import Structure
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist

from matgen_core.checks.sets.generation import same_structure
from matgen_core.networks.arrays import clouds
from matgen_core.networks.learning.clouds.point_cloud_gan import fingerprints
from matgen_core.recipes.imatgen.substitution import niggli
from matgen_core.recipes.point_cloud_gan.data import Counts, reduced
from matgen_core.representations import PointCloud

ASKED = 6  # crystals that each is compared with
_VOLUME = 12.0  # Å^3 an atom, of what is looked at


@dataclass(frozen=True, eq=False)
class Described:
    """Crystals of one set of elements with their fingerprints.

    Attributes:
        structures: None where there is no crystal.
        counts: Atoms of each element, reduced.
        marks: (n, n_numbers) fingerprints; NaN where there is no crystal.
    """

    structures: tuple[Structure | None, ...]
    counts: tuple[Counts | None, ...]
    marks: NDArray[np.float32]


def described(structures: Sequence[Structure | None], elements: Sequence[str]) -> Described:
    """Take fingerprints of crystals of some elements."""
    there = [i for i, each in enumerate(structures) if each is not None]
    arrays, counts = [], list[Counts | None]([None] * len(structures))
    most = tuple(max(1, *(_counted(structures[i], elements)[k] for i in there)) for k in range(len(elements)))
    layout = PointCloud(tuple(elements), most)
    for i in there:
        each = structures[i]
        assert each is not None
        counts[i] = reduced(_counted(each, elements))
        scaled = niggli(each).copy()
        scaled.scale_lattice(_VOLUME * len(each))
        arrays.append(layout.encode(scaled))
    marks = np.full((len(structures), 1), np.nan, np.float32)
    if there:
        found = fingerprints(clouds.read(torch.from_numpy(np.stack(arrays)), most), most).numpy()
        marks = np.full((len(structures), found.shape[1]), np.nan, np.float32)
        marks[there] = found
    return Described(tuple(structures), tuple(counts), marks)


def groups(some: Described) -> NDArray[np.int64]:
    """Number the groups of crystals that are the same, directly or through others, (n,); -1 where there is none."""
    found = np.full(len(some.structures), -1)
    n_groups = 0
    for rows in _by_composition(some).values():
        marks = some.marks[rows]
        apart = cdist(marks, marks)
        np.fill_diagonal(apart, np.inf)
        nearest = np.argsort(apart, axis=1)[:, : min(ASKED, len(rows) - 1)]
        asked = {(min(i, int(j)), max(i, int(j))) for i, near in enumerate(nearest) for j in near}
        same = [(i, j) for i, j in sorted(asked) if _same(some.structures[rows[i]], some.structures[rows[j]])]
        one, other = np.array(same, dtype=int).reshape(-1, 2).T
        graph = coo_array((np.ones(len(same)), (one, other)), shape=(len(rows), len(rows)))
        found[rows] = n_groups + connected_components(graph, directed=False)[1]
        n_groups = int(found.max()) + 1
    return found


def known(some: Described, others: Described) -> NDArray[np.bool_]:
    """Say which crystals are the same as one of others, (n,)."""
    found = np.zeros(len(some.structures), bool)
    of_others = _by_composition(others)
    for counts, rows in _by_composition(some).items():
        if counts not in of_others:
            continue
        among = of_others[counts]
        apart = cdist(some.marks[rows], others.marks[among])
        for row, near in zip(rows, np.argsort(apart, axis=1)[:, :ASKED], strict=True):
            found[row] = any(_same(some.structures[row], others.structures[among[j]]) for j in near)
    return found


def first_of_each(group: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mark the first crystal of each group, (n,)."""
    marks = np.zeros(len(group), bool)
    numbers, first = np.unique(group, return_index=True)
    marks[first[numbers >= 0]] = True
    return marks


def _same(one: Structure | None, other: Structure | None) -> bool:
    return one is not None and other is not None and same_structure(one, other)


def _by_composition(some: Described) -> dict[Any, NDArray[np.int64]]:
    rows: dict[Any, list[int]] = defaultdict(list)
    for row, counts in enumerate(some.counts):
        if counts is not None:
            rows[counts].append(row)
    return {counts: np.array(each) for counts, each in rows.items()}


def _counted(structure: Structure | None, elements: Sequence[str]) -> Counts:
    if structure is None:
        return (0,) * len(elements)
    amounts = structure.composition.get_el_amt_dict()
    return tuple(round(amounts.get(symbol, 0)) for symbol in elements)
