"""Checks on structures: finite cell, full occupancy, distances, volume per atom, size.

Distances are those to the nearest periodic image, and no distance is reported without the volume per atom: a
cell that is blown up passes every test of distances. Covalent radii: Cordero et al., Dalton Trans. 2832 (2008),
doi:10.1039/b801115j.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from pymatgen.core import Composition, Structure

from matgen_core.checks.verdict import Check, Verdict
from matgen_core.materials.systems import symbols_of

MIN_DISTANCE = 0.5  # Å, the usual weak test: Court et al. 2020, Xie et al. 2022
STRICT_MIN_DISTANCE = 1.0  # Å, for pairs without hydrogen
STRICT_RADII_FRACTION = 0.6  # of the sum of covalent radii; 99.9 % of 6,000 Materials Project cells lie above
# Å^3/atom: the middle 99.9 % of 72,544 Materials Project cells of at most 20 atoms (which stop at 60)
VOLUME_PER_ATOM_RANGE = (6.0, 58.5)
_MISSING_RADIUS = 1.69  # Å, Cm: the heaviest element with a covalent radius, for Bk and beyond
_NO_STRUCTURE = Verdict(None, "a composition has no structure to judge")


@dataclass(frozen=True)
class Closest:
    """The two sites of a cell that are nearest to each other."""

    distance: float  # Å, minimum image, a site and its own image included
    pair: str  # "Mg-O"
    radii_fraction: float  # smallest distance over the sum of covalent radii, not always of the same pair


def volume_per_atom(structure: Structure) -> float:
    """Return the cell's volume over its number of sites in Å^3."""
    return structure.volume / len(structure)


def closest_sites(structure: Structure) -> Closest:
    """Find the smallest distance in a periodic structure, that from a site to its own image included.

    Args:
        structure: Any structure with a cell of finite volume.
    """
    distances = np.array(structure.distance_matrix)  # minimum image; 0 from a site to itself
    np.fill_diagonal(distances, min(structure.lattice.get_lll_reduced_lattice().abc))
    symbols = [site.species.elements[0].symbol for site in structure]
    radii = np.array([_covalent_radius(symbol) for symbol in symbols])
    i, j = np.unravel_index(int(distances.argmin()), distances.shape)
    fractions = distances / (radii[:, None] + radii)
    return Closest(float(distances[i, j]), "-".join(sorted((symbols[i], symbols[j]))), float(fractions.min()))


def distance_check(min_distance: float = MIN_DISTANCE) -> Check:
    """Make the check that no two sites are nearer than `min_distance` (Å), periodic images included.

    The reason names the volume per atom too: a cell that is too large passes any test of distances.
    """

    def judge(structure: Structure) -> Verdict:
        closest = closest_sites(structure)
        return Verdict(closest.distance >= min_distance, _distance_reason(structure, closest))

    return Check("distances", _for_structures(judge))


def strict_distance_check(
    min_distance: float = STRICT_MIN_DISTANCE, radii_fraction: float = STRICT_RADII_FRACTION
) -> Check:
    """Make the check of distances against the size of the atoms.

    Args:
        min_distance: Å; pairs with hydrogen are exempt (O-H is 0.97 Å long).
        radii_fraction: Least distance of a pair, relative to the sum of its covalent radii.
    """

    def judge(structure: Structure) -> Verdict:
        closest = closest_sites(structure)
        far_enough = closest.distance >= min_distance or "H" in symbols_of(closest.pair)
        fraction = f"{closest.radii_fraction:.2f} of the covalent radii at least"
        reason = f"{_distance_reason(structure, closest)}, {fraction}"
        return Verdict(far_enough and closest.radii_fraction >= radii_fraction, reason)

    return Check("strict_distances", _for_structures(judge))


def volume_check(low: float = VOLUME_PER_ATOM_RANGE[0], high: float = VOLUME_PER_ATOM_RANGE[1]) -> Check:
    """Make the check that the volume per atom (Å^3) lies in the range of the training structures."""

    def judge(structure: Structure) -> Verdict:
        volume = volume_per_atom(structure)
        return Verdict(low <= volume <= high, f"{volume:.2f} Å^3/atom; training range {low:.2f} to {high:.2f}")

    return Check("volume_per_atom_in_range", _for_structures(judge))


def size_check(max_sites: int) -> Check:
    """Make the check that a structure has at most `max_sites` sites."""

    def judge(structure: Structure) -> Verdict:
        return Verdict(len(structure) <= max_sites, f"{len(structure)} sites; at most {max_sites}")

    return Check("size", _for_structures(judge))


def lattice_check() -> Check:
    """Make the check that the cell has a volume and all numbers are finite."""
    # the guard that stands before every structure check has asked already
    return Check("lattice", _for_structures(lambda structure: Verdict(True, "finite cell and coordinates")))


def order_check() -> Check:
    """Make the check that every site holds exactly one atom."""

    def judge(structure: Structure) -> Verdict:
        partial = [site.species_string for site in structure if not site.is_ordered]
        if partial:
            return Verdict(False, f"partial occupancy: {partial[0]}")
        return Verdict(True, "every site holds one atom")

    return Check("ordered", _for_structures(judge))


def lattice_problem(structure: Structure) -> str:
    """Return why distances in this cell mean nothing, or "" if they do."""
    if not (np.isfinite(structure.lattice.matrix).all() and np.isfinite(structure.frac_coords).all()):
        return "the cell or a coordinate is not a finite number"
    if structure.volume < 0.1:  # below it the reduction of the cell is not to be trusted
        return f"a cell of {structure.volume:.3g} Å^3"
    return ""


def _for_structures(judge: Callable[[Structure], Verdict]) -> Callable[[Structure | Composition], Verdict]:
    def guarded(material: Structure | Composition) -> Verdict:
        if isinstance(material, Composition):
            return _NO_STRUCTURE
        problem = lattice_problem(material)
        return Verdict(False, problem) if problem else judge(material)

    return guarded


def _distance_reason(structure: Structure, closest: Closest) -> str:
    return f"shortest {closest.distance:.2f} Å ({closest.pair}) at {volume_per_atom(structure):.1f} Å^3/atom"


@cache
def _covalent_radius(symbol: str) -> float:
    from pymatgen.analysis.molecule_structure_comparator import CovalentRadius

    return CovalentRadius.radius.get(symbol, _MISSING_RADIUS)
