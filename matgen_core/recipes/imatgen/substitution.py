"""Two elements in the places of those of every known binary compound: the crystals that iMatGen learns from.

Both ways round, lengths by the volumes of the elements, cells reduced, and of crystals that are alike one alone.

Reference: Noh et al., Matter 1, 1370 (2019), doi:10.1016/j.matt.2019.08.017
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pymatgen.core import Lattice, Structure

from matgen_core.data.rows import structure
from matgen_core.tasks.exchange import Skeletons, exchanged

MAX_SITES, MAX_EDGE = 20, 10.0  # as published; Å
_NEAREST = 12  # distances of a site to each element that tell crystals apart
_FAR = 12.0  # Å, stands for a neighbor that is not within the nearest images
_IMAGES = np.array(list(product((-1, 0, 1), repeat=3)))


@dataclass(frozen=True, eq=False)
class Substituted:
    """Crystals of two elements, and the known compound that each was made of.

    Attributes:
        structures: In their Niggli cell.
        parents: Material ids.
    """

    structures: list[Structure]
    parents: list[str]


def substituted(table: pd.DataFrame, elements: tuple[str, str], like: float = 0.1) -> Substituted:
    """Put two elements into every binary compound of a table, both ways round.

    Compounds of these two elements themselves are no parents. Of crystals that are alike, the one whose parent stands
    first in the table is kept.

    Args:
        table: Rows of structures, with `material_id`.
        elements: Symbols.
        like: Å; of crystals with one formula and size, those whose distances differ by no more are one.

    Raises:
        ValueError: If the table has no binary compound of one of the elements, so that its size is not known.
    """
    kinds = [frozenset(int(z) for z in numbers) for numbers in table["numbers"]]
    binary = np.array([len(z) == 2 for z in kinds])
    chosen = table[binary & (table["numbers"].map(len) <= MAX_SITES).to_numpy()]
    known = [structure(row) for row in chosen.to_dict("records")]
    ids = chosen["material_id"].astype(str).tolist()
    volumes = Skeletons(known, ids).volumes
    missing = [symbol for symbol in elements if symbol not in volumes]
    if missing:
        raise ValueError(
            f"no binary compound of {' or '.join(missing)} in the data; choose other elements or more data"
        )
    made: list[Structure] = []
    parents: list[str] = []
    for parent, name in zip(known, ids, strict=True):
        a, b = sorted(str(each) for each in parent.composition)
        if {a, b} == set(elements):
            continue
        for first, second in (elements, elements[::-1]):
            crystal = niggli(exchanged(parent, {a: first, b: second}, volumes))
            if max(crystal.lattice.abc) <= MAX_EDGE:
                made.append(crystal)
                parents.append(name)
    kept = distinct(made, like)
    return Substituted([made[i] for i in kept], [parents[i] for i in kept])


def niggli(crystal: Structure) -> Structure:
    """Return a crystal in its Niggli cell, as it is where there is none."""
    import spglib

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of spglib, for how it tells of errors
        reduced = spglib.niggli_reduce(crystal.lattice.matrix, 1e-4)
    if reduced is None:
        return crystal
    lattice = Lattice.from_parameters(*Lattice(reduced).parameters)
    frac_coords = crystal.cart_coords @ np.linalg.inv(reduced)
    return Structure(lattice, crystal.species, frac_coords % 1.0)


def distinct(crystals: Sequence[Structure], like: float) -> list[int]:
    """Return which crystals are the first of their kind, in order.

    Args:
        crystals: Of the same one or two elements.
        like: As in `substituted`.
    """
    kept: dict[tuple[str, int], list[NDArray[np.float32]]] = {}
    chosen = []
    for place, crystal in enumerate(crystals):
        mark = distances(crystal)
        others = kept.setdefault((crystal.composition.formula, len(crystal)), [])
        if not others or float(np.abs(np.stack(others) - mark).max(axis=1).min()) > like:
            others.append(mark)
            chosen.append(place)
    return chosen


def distances(crystal: Structure) -> NDArray[np.float32]:
    """Describe a crystal by distances in Å: of each two kinds the nearest, the mean and spread over the sites.

    It does not depend on origin, setting or the order of sites; cells have to be reduced.
    """
    numbers = np.array([site.specie.Z for site in crystal])
    frac = crystal.frac_coords
    offset = frac[None, :] - frac[:, None]
    offset -= offset.round()
    vectors = (offset[:, :, None] + _IMAGES) @ crystal.lattice.matrix
    lengths = np.sqrt((vectors**2).sum(-1))  # (n, n, 27)
    lengths[lengths < 1e-3] = _FAR
    found = []
    for kind in np.unique(numbers):
        for other in np.unique(numbers):
            block = lengths[numbers == kind][:, numbers == other].reshape((numbers == kind).sum(), -1)
            nearest = np.sort(block, axis=1)[:, :_NEAREST]
            nearest = np.pad(nearest, ((0, 0), (0, _NEAREST - nearest.shape[1])), constant_values=_FAR)
            found += [nearest.mean(0), nearest.std(0)]
    return np.concatenate(found).astype(np.float32)
