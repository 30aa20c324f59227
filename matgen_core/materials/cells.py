"""Standard cells: one origin and one orientation for all descriptions of a crystal, cubic or any."""

import warnings
from itertools import permutations, product
from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Element, Lattice, Structure

REPEATED = 0.01  # Å; sites that a shift brings this near to others make a smaller cell of a supercell
_SAME_LENGTH = 1e-2  # Å^2; edges and angles of a reduced cell that differ by less are the same
_SAME_METRIC = 0.01  # of the products of two edges
_SYMPREC = 0.1  # Å; the tolerance with which the Materials Project names space groups


def cubic_setting(structure: Structure, conventional: bool = True) -> Structure:
    """Return the crystal in a cubic cell with one standard origin and orientation.

    An atom of an element with the fewest sites stands at the origin. Which one, and how the axes are turned, is
    settled by the smallest sorted list of coordinates in eighths of the edge, whatever stands there: two perovskites
    have their anions at the same places, and so has what lies between them in a latent space. Then the least
    electronegative element goes first, then the smallest sorted list of species and fine coordinates, so every way
    of writing the same crystal ends in the same cell.

    Args:
        structure: An ordered structure in any cell.
        conventional: Find the conventional cell by symmetry first; otherwise the cell has to be cubic as it is.

    Raises:
        ValueError: If the cell is not cubic.
    """
    name = structure.composition.reduced_formula
    if conventional:
        from pymatgen.symmetry.analyzer import SpacegroupAnalyzer  # half a second, for crystals that come in alone

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of spglib, for how pymatgen calls it
            analyzer = SpacegroupAnalyzer(structure, symprec=_SYMPREC)
            symmetry = f"space group {analyzer.get_space_group_symbol()}"
            structure = analyzer.get_conventional_standard_structure()
    else:
        symmetry = "cell as given"
    lengths, angles = np.array(structure.lattice.abc), np.array(structure.lattice.angles)
    if np.ptp(lengths) > 0.01 * lengths.mean() or np.abs(angles - 90).max() > 0.5:
        edges = " x ".join(f"{length:.2f}" for length in lengths)
        raise ValueError(
            f"{name}: not cubic ({symmetry}, {edges} Å, {', '.join(f'{angle:.1f}' for angle in angles)} degrees),"
            " but this model reads cubic cells alone"
        )
    numbers = np.array([site.specie.Z for site in structure])
    counts = {int(z): int((numbers == z).sum()) for z in np.unique(numbers)}
    rarest = [z for z in counts if counts[z] == min(counts.values())]
    rarest.sort(key=lambda z: (_electronegativity(Element.from_Z(z)), z))
    origins = np.concatenate([np.flatnonzero(numbers == z) for z in rarest])
    frac_coords = structure.frac_coords
    centered = frac_coords[None] - frac_coords[origins][:, None]
    candidates = np.einsum("rij,onj->roni", _ROTATIONS, centered).reshape(-1, len(numbers), 3)
    places = np.sort(_grid_numbers(candidates, 8), axis=-1)
    order_of_origin = np.tile([rarest.index(z) for z in numbers[origins]], len(_ROTATIONS))[:, None]
    sites = np.sort(numbers * 1000**3 + _grid_numbers(candidates, 1000), axis=-1)
    keys = np.concatenate([places, order_of_origin, sites], axis=1)
    best = candidates[np.lexsort(keys.T[::-1])[0]]
    best = np.where(np.abs(best - best.round()) < 5e-4, best.round(), best) % 1.0
    order = np.lexsort((*best.round(3).T[::-1], numbers))
    return Structure(Lattice.cubic(lengths.mean()), numbers[order].tolist(), best[order])


def reduced_setting(structure: Structure) -> Structure:
    """Return the crystal in its Niggli-reduced primitive cell, with one standard origin and orientation.

    No atom is moved: what repeats within REPEATED alone makes the cell smaller. An atom of an element with the fewest
    sites stands at the origin. Which one, and which of the bases with the same lengths and angles is taken, is settled
    by one smooth function of all coordinates, in which the elements count by the order of their electronegativity. So
    crystals of one type have their atoms at the same places, every way of writing a crystal ends in the same cell, and
    small displacements of the atoms are small displacements in the standard cell.

    Args:
        structure: An ordered structure in any cell.

    Raises:
        ValueError: If no cell is found: two sites stand on one spot, or the cell is flat.
    """
    numbers = np.array([site.specie.Z for site in structure])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of spglib, for how it tells of errors
        reduced, cart_coords, numbers = _reduced(structure, numbers)
    frac_coords = cart_coords @ np.linalg.inv(reduced)
    elements, counts = np.unique(numbers, return_counts=True)
    origins = np.flatnonzero(np.isin(numbers, elements[counts == counts.min()]))
    bases = _equal_bases(reduced)
    centered = frac_coords[None] - frac_coords[origins][:, None]
    candidates = np.einsum("oni,bij->bonj", centered, np.linalg.inv(bases)).reshape(-1, len(numbers), 3)
    order = sorted(elements.tolist(), key=lambda z: (_electronegativity(Element.from_Z(z)), z))
    weight = 1 + np.array([order.index(z) for z in numbers]) / len(order)
    waves = np.cos(2 * np.pi * (candidates @ _WAVES.T) - _PHASES)
    best = int(((waves * weight[:, None]).mean(1) @ _AMPLITUDES).argmax())
    sites = candidates[best]
    sites = np.where(np.abs(sites - sites.round()) < 5e-4, sites.round(), sites) % 1.0
    rows = np.lexsort((*sites.round(3).T[::-1], numbers))
    a, b, c, alpha, beta, gamma = Lattice(bases[best // len(origins)] @ reduced).parameters
    return Structure(Lattice.from_parameters(a, b, c, alpha, beta, gamma), numbers[rows].tolist(), sites[rows])


def _reduced(
    structure: Structure, numbers: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Reduced primitive cell with the Cartesian coordinates and atomic numbers in it."""
    import spglib  # which pymatgen brings; lists of checkpoints do without

    name = structure.composition.reduced_formula
    matrix, cart_coords = structure.lattice.matrix, structure.cart_coords
    if gcd(*np.unique(numbers, return_counts=True)[1].tolist()) > 1:  # otherwise the cell is primitive
        given: Any = (matrix, structure.frac_coords, numbers)
        found = spglib.standardize_cell(given, to_primitive=True, no_idealize=True, symprec=REPEATED)
        if found is None:
            raise ValueError(f"{name}: no primitive cell was found; see that no two sites stand on one spot")
        matrix, numbers = np.array(found[0]), np.array(found[2])
        cart_coords = np.array(found[1]) @ matrix
    flat = structure.volume < 1e-3 * np.prod(structure.lattice.abc)
    reduced = None if flat else spglib.niggli_reduce(matrix, eps=_SAME_LENGTH)
    if reduced is None:
        raise ValueError(f"{name}: the cell cannot be reduced; see that it is not flat")
    return np.array(reduced) * np.sign(np.linalg.det(reduced)), cart_coords, numbers


def _equal_bases(cell: NDArray[np.float64]) -> NDArray[np.int64]:
    """Right-handed bases of the lattice of a reduced cell with its lengths and angles, rows in the cell, (n, 3, 3)."""
    metric = cell @ cell.T
    scale = np.sqrt(np.outer(metric.diagonal(), metric.diagonal()))
    differs = np.abs(np.einsum("bij,jk,blk->bil", _BASES, metric, _BASES) - metric) / scale
    return _BASES[differs.max((1, 2)) < _SAME_METRIC]


def _grid_numbers(frac_coords: NDArray[np.float64], n: int) -> NDArray[np.int64]:
    """Number of the nearest of n^3 points of a periodic cell, (..., 3) to (...)."""
    x, y, z = np.moveaxis(np.round(frac_coords * n).astype(np.int64) % n, -1, 0)
    return (x * n + y) * n + z


def _proper_rotations() -> NDArray[np.int64]:
    """The 24 rotations of a cube, (24, 3, 3)."""
    matrices = [
        np.array(signs)[:, None] * np.eye(3, dtype=np.int64)[list(order)]
        for order in permutations(range(3))
        for signs in product((1, -1), repeat=3)
    ]
    return np.array([matrix for matrix in matrices if round(float(np.linalg.det(matrix))) == 1])


def _electronegativity(element: Any) -> float:
    """Pauling's value; noble gases without one are put above all others."""
    value = float(element.X) if element.symbol not in {"He", "Ne", "Ar"} else float("nan")
    return value if value == value else 4.5


_ROTATIONS = _proper_rotations()
_BASES = np.array([m for m in np.ndindex(*9 * (3,))], np.int64).reshape(-1, 3, 3) - 1
_BASES = _BASES[np.linalg.det(_BASES).round() == 1]  # all that can turn a reduced cell into one with the same metric
# No two ways of writing a crystal may be alike to the function of coordinates, unless they are the same; no sum of two
# waves may be another, nor an exchange of axes one of the others.
_WAVES = np.array([(0, 0, 1), (0, 1, 0), (1, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0), (1, 1, 1), (0, 1, 2), (2, 0, 1)])
_PHASES = np.array([0.3, 0.5, 0.9, 1.3, 1.9, 2.3, 2.9, 0.7, 1.1])
_AMPLITUDES = np.array([1.0, 0.83, 0.69, 0.57, 0.47, 0.41, 0.37, 0.31, 0.29])
