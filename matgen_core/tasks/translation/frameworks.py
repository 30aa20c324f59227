"""Binary hydrides that a translation can start from: who is one, and its supercells with metal atoms to spare."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Lattice, Structure

_KEPT = 3  # supercells of one size: the most compact ones
_ROUND = 0.05  # Å and degrees; cells that agree so far are one


@dataclass(frozen=True, eq=False)
class Hydride:
    """A binary hydride.

    Attributes:
        structure: In its reduced primitive cell.
        metal: Symbol.
    """

    structure: Structure
    metal: str


def hydride_of(
    structure: Structure, metals: Sequence[str], max_metals: int, max_hydrogen: int, max_sites: int, what: str
) -> Hydride:
    """Take a crystal as a binary hydride, in its reduced primitive cell.

    Args:
        structure: Any crystal.
        metals: Symbols that are known.
        max_metals: Most metal atoms in a cell.
        max_hydrogen: Most hydrogen atoms.
        max_sites: Most atoms.
        what: How the lines about it call it: "the first crystal".

    Raises:
        ValueError: If it is none that can be used; one line with the reason.
    """
    if not structure.is_ordered:
        raise ValueError(f"{what} has partially occupied sites; order it first")
    formula = structure.composition.reduced_formula
    symbols = [element.symbol for element in structure.composition.elements]
    if "H" not in symbols:
        raise ValueError(f"{what}, {formula}, is no hydride: it holds no hydrogen; give a metal with hydrogen, as TiH2")
    others = [symbol for symbol in symbols if symbol != "H"]
    if len(others) != 1:
        held = "hydrogen alone" if not others else f"{len(others)} elements beside hydrogen ({', '.join(others)})"
        raise ValueError(f"{what}, {formula}, is no binary hydride: it holds {held}; give one metal with hydrogen")
    if others[0] not in metals:
        raise ValueError(
            f"{what}, {formula}: {others[0]} is in none of the hydrides that the network has learned from; it knows"
            f" {', '.join(sorted(metals))}"
        )
    cell = reduced(structure)
    n_metals = sum(site.specie.symbol != "H" for site in cell)
    n_hydrogen = len(cell) - n_metals
    if n_metals > max_metals or n_hydrogen > max_hydrogen or len(cell) > max_sites:
        raise ValueError(
            f"{what}, {formula}, has {n_metals} metal and {n_hydrogen} hydrogen atoms in its primitive cell; there are"
            f" slots for {max_metals}, {max_hydrogen}, and {max_sites} in all: give a smaller cell"
        )
    return Hydride(cell, others[0])


def reduced(structure: Structure) -> Structure:
    """Return the crystal in a primitive cell that is not skewed.

    Raises:
        ValueError: If its cell is none.
    """
    if not (np.isfinite(structure.lattice.matrix).all() and structure.volume > 0.1):
        raise ValueError(f"{structure.composition.reduced_formula}: the cell has no volume")
    plain = Structure(structure.lattice, [site.specie.symbol for site in structure], structure.frac_coords)
    return plain.get_primitive_structure(tolerance=0.05).get_reduced_structure("LLL")


def frameworks(hydride: Structure, max_metals: int, max_hydrogen: int, max_sites: int) -> list[Structure]:
    """Return the supercells of a binary hydride that have at least two metal atoms and fit, the smallest first.

    Args:
        hydride: In its primitive cell.
        max_metals: Most metal atoms in a cell.
        max_hydrogen: Most hydrogen atoms.
        max_sites: Most atoms.
    """
    n_metals = sum(site.specie.symbol != "H" for site in hydride)
    n_hydrogen = len(hydride) - n_metals
    most = min(max_metals // n_metals, max_sites // len(hydride), max_hydrogen // max(n_hydrogen, 1))
    found: list[Structure] = []
    for size in range(1, most + 1):
        if n_metals * size < 2:
            continue
        for matrix in _compact(hydride.lattice.matrix, size):
            found.append(hydride.make_supercell(matrix, in_place=False).get_reduced_structure("LLL"))
    return found


def _compact(cell: NDArray[np.float64], size: int) -> list[NDArray[np.int64]]:
    """The matrices of the most compact different supercells of a size."""
    ranked: list[tuple[float, tuple[int, ...], NDArray[np.int64]]] = []
    for matrix in _hermite(size):
        lattice = Lattice(matrix @ cell).get_lll_reduced_lattice()
        mark = (*sorted(lattice.abc), *sorted(abs(angle - 90) for angle in lattice.angles))
        ranked.append((max(lattice.abc), tuple(round(each / _ROUND) for each in mark), matrix))
    ranked.sort(key=lambda each: each[0])
    kept: list[NDArray[np.int64]] = []
    seen: set[tuple[int, ...]] = set()
    for _, mark, matrix in ranked:
        if mark not in seen and len(kept) < _KEPT:
            seen.add(mark)
            kept.append(matrix)
    return kept


def _hermite(size: int) -> Iterator[NDArray[np.int64]]:
    """All sublattices of a size, as lower triangular matrices."""
    for a in range(1, size + 1):
        for b in range(1, size // a + 1):
            if size % (a * b):
                continue
            c = size // (a * b)
            for d, e, f in product(range(a), range(a), range(b)):
                yield np.array([[a, 0, 0], [d, b, 0], [e, f, c]])
