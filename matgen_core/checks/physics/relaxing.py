"""Crystals into a potential and relaxed crystals out, each with its reason; only the one that fails, fails."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass

from pymatgen.core import Element, Lattice, Structure

from matgen_core.networks.arrays.cells import Cells
from matgen_core.networks.potentials import Frame, Potential, Relaxed, RelaxSettings, relaxing


@dataclass(frozen=True, eq=False)
class Relaxation:
    """What became of one crystal.

    Attributes:
        structure: At the end; None where it was refused or exploded.
        energy_per_atom: eV, by the potential; None likewise.
        start_energy_per_atom: eV, before the first step; None where there is none.
        steps: Taken.
        converged: Whether all forces are below the bound.
        reason: In plain words, whatever the outcome.
        frames: Steps on the way, for a player.
    """

    structure: Structure | None
    energy_per_atom: float | None
    start_energy_per_atom: float | None
    steps: int
    converged: bool
    reason: str
    frames: tuple[Frame, ...] = ()


def relax_structures(
    potential: Potential, structures: Sequence[Structure], settings: RelaxSettings | None = None
) -> Generator[tuple[int, Relaxation], None, None]:
    """Relax crystals, positions and cell; each comes out, with its place, as soon as it is done.

    Args:
        potential: From `load_potential`.
        structures: Any; what is disordered or cannot be relaxed comes out with its reason.
        settings: Bounds; how many frames are kept.
    """
    places, crystals = [], []
    for place, structure in enumerate(structures):
        problem = _problem(structure)
        if problem:
            yield place, Relaxation(None, None, None, 0, False, problem)
        else:
            places.append(place)
            crystals.append(([site.specie.Z for site in structure], structure.lattice.matrix, structure.frac_coords))
    for place, done in relaxing(potential, Cells.of(crystals), settings):
        yield places[place], _relaxation(done)


def _problem(structure: Structure) -> str:
    if not len(structure):
        return "no atoms"
    if not structure.is_ordered:
        return "some sites are partially occupied; order the structure first"
    if not all(isinstance(getattr(site.specie, "element", site.specie), Element) for site in structure):
        return "a site holds no element"
    return ""


def _relaxation(done: Relaxed) -> Relaxation:
    there = done.energy_per_atom == done.energy_per_atom  # NaN is not equal to itself
    return Relaxation(
        Structure(Lattice(done.cell), [Element.from_Z(int(z)) for z in done.numbers], done.frac_coords)
        if there
        else None,
        done.energy_per_atom if there else None,
        done.start_energy_per_atom if done.start_energy_per_atom == done.start_energy_per_atom else None,
        done.steps,
        done.converged,
        done.reason,
        done.frames,
    )
