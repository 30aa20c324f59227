"""The standard cell of a cubic crystal: one origin and one orientation for all descriptions of it."""

import warnings
from itertools import permutations, product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Element, Lattice, Structure

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
