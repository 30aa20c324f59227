"""What no potential should be asked: each crystal by itself, with the reason in plain words."""

from dataclasses import dataclass

import torch

from matgen_core.networks.arrays.cells import Cells
from matgen_core.networks.potentials.evaluation import Potential
from matgen_core.networks.potentials.neighbors import neighbors


@dataclass(frozen=True)
class Guards:
    """Limits on what is evaluated and relaxed.

    Attributes:
        most_atoms: In a cell.
        least_distance: Å; nearer atoms feel forces that the potential never learned.
        volume_per_atom: Å^3, least and largest; the largest of the Materials Project's inorganic crystals is below it.
        least_height: Å; smallest distance of two planes of a cell.
        largest_force: eV/Å; beyond it a relaxation has exploded.
        volume_change: Least and largest volume over that of the start while it is relaxed.
    """

    most_atoms: int = 200
    least_distance: float = 0.7
    volume_per_atom: tuple[float, float] = (3.0, 100.0)
    least_height: float = 1.5
    largest_force: float = 1e4
    volume_change: tuple[float, float] = (0.25, 3.0)


def problems(crystals: Cells, potential: Potential, guards: Guards) -> list[str]:
    """Say of each crystal why it is not to be evaluated, "" if nothing speaks against it."""
    return [_problem(crystals.select([place]), potential, guards) for place in range(len(crystals))]


def _problem(crystal: Cells, potential: Potential, guards: Guards) -> str:
    unknown = sorted(set(crystal.numbers.tolist()) - potential.elements)
    n, volume = int(crystal.counts[0]), float(crystal.volumes[0])
    low, high = guards.volume_per_atom
    if not (crystal.cells.isfinite().all() and crystal.frac_coords.isfinite().all()):
        return "the cell or a coordinate is not a finite number"
    if unknown:
        return f"{potential.name} does not know {', '.join(map(_symbol, unknown))}"
    if n > guards.most_atoms:
        return f"{n} atoms in the cell; at most {guards.most_atoms} are relaxed"
    if volume / n < low:
        return f"{volume / n:.2f} Å^3/atom; below {low:g} atoms overlap"
    if volume / n > high:
        return f"{volume / n:.1f} Å^3/atom, a cell that is nearly empty; at most {high:g} are relaxed"
    height = float((1 / torch.linalg.inv(crystal.cells[0]).norm(dim=0)).min())
    if height < guards.least_height:
        return f"a flat cell: two of its planes are {height:.2f} Å apart; at least {guards.least_height:g} Å are needed"
    pairs = neighbors(crystal, potential.cutoff)
    lengths = pairs.vectors.norm(dim=1)
    if len(lengths) and float(lengths.min()) < guards.least_distance:
        return f"two atoms are {float(lengths.min()):.2f} Å apart; at least {guards.least_distance:g} Å are needed"
    if len(pairs.sources.unique()) < n:
        return f"an atom has no neighbor within {potential.cutoff:g} Å"
    return ""


def _symbol(number: int) -> str:
    from ase.data import chemical_symbols

    return chemical_symbols[number] if 0 < number < len(chemical_symbols) else f"element {number}"
