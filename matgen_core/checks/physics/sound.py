"""What relaxing a crystal says of it: whether its volume and its symmetry were right."""

from pymatgen.core import Structure

from matgen_core.checks.structures import lattice_problem, strict_distance_check
from matgen_core.checks.verdict import Verdict
from matgen_core.materials.report import symmetry

MOST_VOLUME_CHANGE = 0.1  # of the relaxed volume per atom


def soundness(before: Structure, after: Structure) -> dict[str, Verdict]:
    """Judge a crystal by what it was and what it became when it was relaxed.

    Returns:
        By name: "strict_distances" of it as it was, "volume_kept", "symmetry_kept".
    """
    return {
        "strict_distances": strict_distance_check()(before),
        "volume_kept": volume_kept(before, after),
        "symmetry_kept": symmetry_kept(before, after),
    }


def volume_kept(before: Structure, after: Structure, most: float = MOST_VOLUME_CHANGE) -> Verdict:
    """Tell whether the volume per atom was within a share `most` of the relaxed one."""
    problem = lattice_problem(before) or lattice_problem(after)
    if problem:
        return Verdict(None, problem)
    first, last = before.volume / len(before), after.volume / len(after)
    change = first / last - 1
    told = f"{first:.1f} Å^3/atom, {abs(change):.1%} {'larger' if change > 0 else 'smaller'} than relaxed ({last:.1f})"
    return Verdict(abs(change) <= most, told)


def symmetry_kept(before: Structure, after: Structure) -> Verdict:
    """Tell whether the point group of the relaxed crystal has at least as many operations as that before."""
    first, last = symmetry(before), symmetry(after)
    problem = first.problem or last.problem
    if problem:
        return Verdict(None, problem)
    kept = _order(last.point_group) >= _order(first.point_group)
    return Verdict(kept, f"{first.summary} before, {last.summary} after")


def _order(point_group: str | None) -> int:
    from pymatgen.symmetry.groups import PointGroup

    return len(PointGroup(str(point_group)).symmetry_ops)
