"""What there is to say of a structure: its sites, its symmetry, and how far it lies from another.

Reference for the comparison: pymatgen's StructureMatcher, whose RMSD is divided by (volume per site)^(1/3).
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer, SymmetryUndeterminedError

from matgen_core.materials.bonds import bonding, site_labels

MAX_MATCHED = 150  # sites; the time grows with more than the square, 120 take 3 s
_CELL_PARAMETERS = ("a (Å)", "b (Å)", "c (Å)", "alpha (°)", "beta (°)", "gamma (°)")


@dataclass(frozen=True)
class Symmetry:
    """Space group of a structure; everything is None where it could not be found, and `problem` says why."""

    number: int | None = None
    symbol: str | None = None
    crystal_system: str | None = None
    point_group: str | None = None
    wyckoff: tuple[str, ...] | None = None  # letter with multiplicity of each site, "4f"
    problem: str | None = None

    @property
    def summary(self) -> str:
        """Say it in a line, "P4_2/mnm (136), tetragonal", or that it is unknown and why."""
        if self.problem is not None:
            return f"Space group unknown: {self.problem}"
        return f"{self.symbol} ({self.number}), {self.crystal_system}"


def symmetry(structure: Structure, symprec: float = 0.1) -> Symmetry:
    """Find the space group.

    Args:
        structure: Any structure.
        symprec: How far an atom may lie from its symmetric place, in Å. 0.1 suits relaxed and decoded cells.

    Returns:
        The group, or a `Symmetry` whose `problem` says why there is none; a failure is never reported as P1.
    """
    try:
        return _symmetry(structure, symprec)
    except (SymmetryUndeterminedError, ValueError, TypeError, AttributeError) as error:
        reason = str(error).strip() or "spglib found no symmetry"
        return Symmetry(problem=f"{reason}; atoms may overlap, or the tolerance of {symprec} Å does not suit")


def _symmetry(structure: Structure, symprec: float) -> Symmetry:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # pymatgen calls spglib in the old way
        analyzer = SpacegroupAnalyzer(structure, symprec=symprec)
        letters = analyzer.get_symmetry_dataset().wyckoffs
        orbits = analyzer.get_symmetry_dataset().crystallographic_orbits
        counts = np.bincount(orbits)
        n_primitive_fold = len(structure) / len(analyzer.get_refined_structure())
        return Symmetry(
            number=analyzer.get_space_group_number(),
            symbol=analyzer.get_space_group_symbol(),
            crystal_system=analyzer.get_crystal_system(),
            point_group=analyzer.get_point_group_symbol(),
            wyckoff=tuple(
                f"{round(counts[orbit] / n_primitive_fold)}{letter}"
                for letter, orbit in zip(letters, orbits, strict=True)
            ),
        )


def primitive(structure: Structure, symprec: float = 0.01) -> Structure | None:
    """Return the primitive cell of a structure that was written as a supercell.

    Args:
        structure: Any structure.
        symprec: How far an atom may lie from its place, in Å.

    Returns:
        None where the cell is no larger than the conventional one, or no symmetry is found.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            analyzer = SpacegroupAnalyzer(structure, symprec=symprec)
            if len(structure) <= len(analyzer.get_refined_structure()):
                return None
            found = analyzer.find_primitive()
    except (SymmetryUndeterminedError, ValueError, TypeError, AttributeError):
        return None
    return found


def summary_table(structures: Mapping[str, Structure], symprec: float = 0.1) -> pd.DataFrame:
    """Lay out what tells structures apart, a row each: formula, space group, cell, volume and density.

    Args:
        structures: By the name that is shown.
        symprec: As `symmetry` takes it.
    """
    return pd.DataFrame(
        [
            {
                "Structure": name,
                "Space group": symmetry(structure, symprec).summary,
                "Sites": len(structure),
                **dict(zip(_CELL_PARAMETERS, structure.lattice.parameters, strict=True)),
                "Volume (Å³)": structure.volume,
                "Density (g/cm³)": float(structure.density),
            }
            for name, structure in structures.items()
        ]
    )


def site_table(structure: Structure, symprec: float = 0.1) -> pd.DataFrame:
    """List the sites: label, species, fractional and Cartesian coordinates, Wyckoff letter, coordination.

    Returns:
        One row a site, in the structure's order. "Coordination number" counts what the site itself counts as
        neighbors, "Nearest neighbor (Å)" is its shortest distance; Wyckoff is empty where the group is unknown.
    """
    wyckoff = symmetry(structure, symprec).wyckoff or ("",) * len(structure)
    found = bonding(structure)
    frac, cart = structure.frac_coords, structure.cart_coords
    return pd.DataFrame(
        {
            "Site": site_labels(structure),
            "Species": [site.species_string for site in structure],
            "x": frac[:, 0],
            "y": frac[:, 1],
            "z": frac[:, 2],
            "X (Å)": cart[:, 0],
            "Y (Å)": cart[:, 1],
            "Z (Å)": cart[:, 2],
            "Wyckoff": wyckoff,
            "Coordination number": [len(shell) for shell in found.shells],
            "Nearest neighbor (Å)": _nearest(structure),
        }
    )


def _nearest(structure: Structure) -> list[float]:
    """Shortest distance of each site to any other or to its own image (Å)."""
    shortest = np.full(len(structure), min(structure.lattice.get_niggli_reduced_lattice().abc))
    if len(structure) > 1:
        distances = structure.distance_matrix.copy()
        np.fill_diagonal(distances, np.inf)
        shortest = np.minimum(shortest, distances.min(axis=1))
    return shortest.tolist()


@dataclass(frozen=True)
class Comparison:
    """How a structure differs from an original.

    `rmsd` has no unit, `rmsd_angstrom` is the same times (volume per site)^(1/3) of the mean cell; both are None, and
    `problem` says why, where the two are no variants of one structure. Lattice errors are those of the
    lengths and angles of the Niggli-reduced cells: the other minus the original.
    """

    matches: bool
    rmsd: float | None
    rmsd_angstrom: float | None
    lattice: pd.DataFrame  # Parameter, Original, Other, Difference, Difference (%)
    displacements: pd.DataFrame  # Site, Species, Displacement (Å); empty without a match
    problem: str | None = None


def compare(
    original: Structure, other: Structure, ltol: float = 0.3, stol: float = 0.5, angle_tol: float = 10.0
) -> Comparison:
    """Hold a structure against an original, such as a reconstruction against what was encoded.

    Args:
        original: The structure that is right.
        other: The structure that is judged.
        ltol: Fractional tolerance on lengths.
        stol: Tolerance on sites as a share of (volume per site)^(1/3).
        angle_tol: Tolerance on angles in degrees.

    Returns:
        The comparison; where no mapping of sites exists `matches` is False, `rmsd` None, and the lattices are
        compared all the same.
    """
    if len(original) != len(other):
        original, other = original.get_primitive_structure(), other.get_primitive_structure()
    lattice = _lattice_errors(original, other)
    # Both cells keep their volume: a reconstruction that swells is wrong, and its displacements should say so.
    matcher = StructureMatcher(ltol, stol, angle_tol, primitive_cell=False, scale=False, attempt_supercell=False)
    problem = _why_never(original, other)
    if problem is None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            first, second = original.get_reduced_structure(), other.get_reduced_structure()
            rms = matcher.get_rms_dist(first, second)  # type: ignore[no-untyped-call]
        if rms is not None:
            length = ((first.volume + second.volume) / 2 / len(first)) ** (1 / 3)
            return Comparison(
                True, float(rms[0]), float(rms[0] * length), lattice, _displacements(matcher, first, second)
            )
        problem = f"no mapping of sites within the tolerances (lengths {ltol:.0%}, sites {stol}, angles {angle_tol:g}°)"
    return Comparison(False, None, None, lattice, _no_displacements(), problem)


def comparison_table(reference: Structure, others: Mapping[str, Structure]) -> pd.DataFrame:
    """Hold structures against one, a row each: RMSD, largest displacement, changes of the reduced cell.

    Returns:
        Columns Structure, Match, "RMSD (Å)", "Largest displacement (Å)", then each length and the volume per site as
        "Δa (%)", each angle as "Δalpha (°)", and Remark with the reason where there is no match.
    """
    rows = []
    for name, other in others.items():
        found = compare(reference, other)
        lattice = found.lattice.set_index("Parameter")
        percent, degrees = lattice["Difference (%)"], lattice["Difference"]
        rows.append(
            {
                "Structure": name,
                "Match": found.matches,
                "RMSD (Å)": found.rmsd_angstrom,
                "Largest displacement (Å)": found.displacements["Displacement (Å)"].max(),
                **{f"Δ{axis} (%)": percent[f"{axis} (Å)"] for axis in "abc"},
                **{f"Δ{angle} (°)": degrees[f"{angle} (°)"] for angle in ("alpha", "beta", "gamma")},
                "Δ volume per site (%)": percent["Volume per site (Å³)"],
                "Remark": found.problem or "",
            }
        )
    return pd.DataFrame(rows)


def _why_never(original: Structure, other: Structure) -> str | None:
    if original.composition.reduced_formula != other.composition.reduced_formula:
        return f"{other.composition.reduced_formula} is another composition than {original.composition.reduced_formula}"
    if len(original) > MAX_MATCHED:
        return f"{len(original)} sites; at most {MAX_MATCHED} are matched"
    if len(original) != len(other):
        return f"{len(other)} sites against {len(original)} in the primitive cells"
    return None


def _lattice_errors(original: Structure, other: Structure) -> pd.DataFrame:
    first, second = (s.lattice.get_niggli_reduced_lattice() for s in (original, other))
    names = [*_CELL_PARAMETERS, "Volume per site (Å³)"]
    a = np.array([*first.parameters, original.volume / len(original)])
    b = np.array([*second.parameters, other.volume / len(other)])
    columns = {"Original": a, "Other": b, "Difference": b - a, "Difference (%)": 100 * (b - a) / a}
    return pd.DataFrame({"Parameter": names, **columns})


def _displacements(matcher: StructureMatcher, first: Structure, second: Structure) -> pd.DataFrame:
    """How far each site of the first lies from its partner in the second, in the first's cell (Å)."""
    mapped = matcher.get_s2_like_s1(first, second)  # type: ignore[no-untyped-call]
    if mapped is None:
        return _no_displacements()
    shift = mapped.frac_coords - first.frac_coords
    shift -= np.round(shift)
    distances = [
        first.lattice.get_distance_and_image(start, start + move)[0]
        for start, move in zip(first.frac_coords, shift, strict=True)
    ]
    return pd.DataFrame(
        {
            "Site": site_labels(first),
            "Species": [site.species_string for site in first],
            "Displacement (Å)": distances,
        }
    )


def _no_displacements() -> pd.DataFrame:
    return pd.DataFrame(
        {"Site": pd.Series(dtype=str), "Species": pd.Series(dtype=str), "Displacement (Å)": pd.Series(dtype=float)}
    )
