"""Whether a crystal is sound: its charges, distances, volume and symmetry, by what a potential makes of it."""

from dataclasses import dataclass

import numpy as np
from pymatgen.core import Structure

from matgen_core.checks.compositions import neutral_check
from matgen_core.checks.structures import lattice_problem, strict_distance_check
from matgen_core.checks.verdict import Verdict
from matgen_core.materials.report import symmetry
from matgen_core.networks.arrays.cells import Cells
from matgen_core.networks.potentials import Potential, evaluate

MOST_VOLUME_CHANGE = 0.1  # of the relaxed volume per atom


def soundness(before: Structure, after: Structure) -> dict[str, Verdict]:
    """Judge a crystal by what it was and what it became when it was relaxed.

    Returns:
        By name: "charge_neutral" of its composition, "strict_distances" of it as it was, "volume_kept",
        "symmetry_kept".
    """
    return {
        "charge_neutral": neutral_check()(before),
        "strict_distances": strict_distance_check()(before),
        "volume_kept": volume_kept(before, after),
        "symmetry_kept": symmetry_kept(before, after),
    }


@dataclass(frozen=True)
class VolumeScan:
    """Energies of a crystal that is made larger and smaller as a whole.

    Attributes:
        volumes: Over its own volume, in order, equally spaced.
        energies: eV/atom of each; NaN where the potential could not say.
    """

    volumes: tuple[float, ...]
    energies: tuple[float, ...]

    @property
    def offset(self) -> float | None:
        """Its volume over that of least energy, less 1; None where that lies outside, or an energy is missing."""
        energies = np.array(self.energies)
        lowest = int(np.argmin(energies)) if np.isfinite(energies).all() else 0
        if not 0 < lowest < len(energies) - 1:
            return None
        below, least, above = energies[lowest - 1 : lowest + 2]
        step = self.volumes[1] - self.volumes[0]
        curved = below - 2 * least + above
        at = self.volumes[lowest] + (0.5 * step * (below - above) / curved if curved > 0 else 0.0)
        return float(1 / at - 1)

    @property
    def verdict(self) -> Verdict:
        """Whether the volume of least energy lies within the scan."""
        span = f"{self.volumes[0] - 1:+.0%} to {self.volumes[-1] - 1:+.0%}"
        if not np.isfinite(self.energies).all():
            return Verdict(None, f"the potential gave no finite energy within {span} of its volume")
        if self.offset is None:
            is_small = self.energies[-1] < self.energies[0]
            return Verdict(
                False, f"too {'small' if is_small else 'large'}: of {span} the energy is least at the very end"
            )
        told = f"{abs(self.offset):.1%} {'larger' if self.offset > 0 else 'smaller'} than the volume of least energy"
        return Verdict(True, f"{told} of {span}, positions scaled")


def volume_scan(potential: Potential, structure: Structure, span: float = MOST_VOLUME_CHANGE, n: int = 7) -> VolumeScan:
    """Evaluate an ordered crystal at volumes around its own, in one batch.

    Args:
        potential: Any.
        structure: Of elements that it knows, with atoms apart.
        span: Share of the volume to either side.
        n: Volumes, an odd number, so that its own is among them.
    """
    volumes = np.linspace(1 - span, 1 + span, n)
    numbers = [site.specie.Z for site in structure]
    cells = Cells.of((numbers, structure.lattice.matrix * each ** (1 / 3), structure.frac_coords) for each in volumes)
    energies, _ = evaluate(potential, cells)
    return VolumeScan(tuple(volumes.tolist()), tuple(energies.tolist()))


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
