"""Relaxation of many crystals at once, positions and cell, on any device.

FIRE (Bitzek et al., Phys. Rev. Lett. 97, 170201 (2006), doi:10.1103/PhysRevLett.97.170201) with the constants of ASE,
over positions in the first cell and the logarithm of the deformation, as ASE's FrechetCellFilter has them. Each crystal
has a step, a velocity and an end of its own; those that are done leave the batch and others take their place.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from matgen_core.networks.arrays.cells import Cells, rows_times
from matgen_core.networks.potentials.evaluation import Evaluation, Potential, edges_of, largest
from matgen_core.networks.potentials.guards import Guards, problems

CONVERGED, OUT_OF_STEPS, EXPLODED, REFUSED = "converged", "out of steps", "exploded", "refused"
OUTCOMES = (CONVERGED, OUT_OF_STEPS, EXPLODED, REFUSED)

_FIRST_STEP, _LARGEST_STEP, _LARGEST_MOVE = 0.1, 1.0, 0.2
_PATIENCE, _FASTER, _SLOWER = 5, 1.1, 0.5
_MIXING, _LESS_MIXING = 0.1, 0.99
_OF_SITES = ("reference", "velocity")  # all else that is in flight has a row a crystal


@dataclass(frozen=True)
class RelaxSettings:
    """When a relaxation ends, and what is kept of its way.

    Attributes:
        max_force: eV/Å; also the bound on the generalized force on the cell, as in ASE.
        max_steps: Evaluations after the first.
        frames: At most how many steps are kept for a player, the last one apart; 0 keeps none.
        guards: What is refused or given up.
    """

    max_force: float = 0.05
    max_steps: int = 300
    frames: int = 0
    guards: Guards = field(default_factory=Guards)


@dataclass(frozen=True, eq=False)
class Frame:
    """One step of a relaxation."""

    step: int
    energy_per_atom: float  # eV
    cell: NDArray[np.float64]  # (3, 3) in Å
    frac_coords: NDArray[np.float64]  # (n, 3)


@dataclass(frozen=True, eq=False)
class Relaxed:
    """What became of one crystal.

    Attributes:
        numbers: (n,) atomic numbers.
        cell: (3, 3) in Å, as it was given where it was refused.
        frac_coords: (n, 3).
        energy_per_atom: eV, NaN where it was refused or exploded.
        start_energy_per_atom: eV, before the first step.
        steps: Taken.
        max_force: eV/Å, at the end; NaN where there is none.
        outcome: One of `OUTCOMES`.
        reason: In plain words.
        frames: The way there, in thin steps.
    """

    numbers: NDArray[np.int64]
    cell: NDArray[np.float64]
    frac_coords: NDArray[np.float64]
    energy_per_atom: float
    start_energy_per_atom: float
    steps: int
    max_force: float
    outcome: str
    reason: str
    frames: tuple[Frame, ...] = ()

    @property
    def converged(self) -> bool:
        """Whether all forces are below the bound."""
        return self.outcome == CONVERGED


@dataclass(frozen=True, eq=False)
class _Flight:
    """Crystals that are being relaxed, all on one device, in float64."""

    place: Tensor  # (B,) in the list that was given
    first: Cells  # as they began
    reference: Tensor  # (n, 3) positions in the first cell, Å
    log_strain: Tensor  # (B, 3, 3) logarithm of the deformation, times the number of atoms
    velocity: Tensor  # (n, 3)
    cell_velocity: Tensor  # (B, 3, 3)
    step_length: Tensor  # (B,)
    mixing: Tensor  # (B,)
    downhill: Tensor  # (B,) steps since the last uphill one
    steps: Tensor  # (B,)
    start_energy: Tensor  # (B,) eV, NaN before the first evaluation

    @classmethod
    def starting(cls, place: Sequence[int], cells: Cells) -> "_Flight":
        n, like = len(cells), cells.cells
        return cls(
            torch.tensor(place, device=like.device),
            cells,
            cells.positions,
            torch.zeros_like(like),
            torch.zeros_like(cells.frac_coords),
            torch.zeros_like(like),
            like.new_full((n,), _FIRST_STEP),
            like.new_full((n,), _MIXING),
            torch.zeros_like(cells.counts),
            torch.zeros_like(cells.counts),
            like.new_full((n,), torch.nan),
        )

    def __len__(self) -> int:
        return len(self.place)

    def joined(self, other: "_Flight") -> "_Flight":
        """Put others behind these."""
        names = [name for name in self.__dataclass_fields__ if name != "first"]
        tables = {name: torch.cat([getattr(self, name), getattr(other, name)]) for name in names}
        return _Flight(first=self.first.joined(other.first), **tables)

    def keep(self, rows: Tensor) -> "_Flight":
        """Keep some crystals, given by a mask."""
        sites = rows[self.first.owners]
        of_sites = {name: getattr(self, name)[sites] for name in _OF_SITES}
        names = [name for name in self.__dataclass_fields__ if name not in ("first", *_OF_SITES)]
        of_crystals = {name: getattr(self, name)[rows] for name in names}
        return _Flight(first=self.first.select(rows.nonzero().squeeze(1)), **of_sites, **of_crystals)

    def now(self, deformation: Tensor) -> Cells:
        """The crystals as they stand."""
        first = self.first
        frac_coords = rows_times(self.reference, torch.linalg.inv(first.cells)[first.owners])
        return Cells(first.numbers, frac_coords, first.cells @ deformation.transpose(1, 2), first.counts)


def relax(potential: Potential, crystals: Cells, settings: RelaxSettings | None = None) -> list[Relaxed]:
    """Relax crystals; see `relaxing`. The results are in their order."""
    found = dict(relaxing(potential, crystals, settings))
    return [found[place] for place in range(len(crystals))]


def relaxing(
    potential: Potential, crystals: Cells, settings: RelaxSettings | None = None
) -> Generator[tuple[int, Relaxed], None, None]:
    """Relax crystals and yield the place and the outcome of each as soon as it is there.

    Closing the iterator ends the work. What cannot be relaxed ends by itself with its reason and leaves the others as
    they would be without it.

    Args:
        potential: Gives energies, forces and stresses.
        crystals: On the CPU.
        settings: When each ends.
    """
    settings = settings or RelaxSettings()
    reasons = problems(crystals, potential, settings.guards)
    sites = crystals.sites()
    for place, reason in enumerate(reasons):
        if reason:
            yield place, Relaxed(*sites[place], torch.nan, torch.nan, 0, torch.nan, REFUSED, reason)
    edges = edges_of(crystals, potential.cutoff)
    # The largest first: the last of them to end would else be alone on the device.
    waiting = sorted((place for place, reason in enumerate(reasons) if not reason), key=lambda place: edges[place])
    films: dict[int, _Film] = {}
    flight: _Flight | None = None
    while waiting or flight is not None:
        room = potential.edges_at_once - (sum(edges[place] for place in flight.place.tolist()) if flight else 0.0)
        entering: list[int] = []
        while waiting and (edges[waiting[-1]] <= room or (flight is None and not entering)):
            entering.append(waiting.pop())
            room -= edges[entering[-1]]
        if entering:
            films |= {place: _Film(settings.frames) for place in entering}
            new = _Flight.starting(entering, crystals.select(entering).to(potential.device))
            flight = flight.joined(new) if flight else new
        assert flight is not None
        flight, ended = _advance(potential, flight, settings, films)
        for place, outcome in ended:
            yield place, outcome


def _advance(
    potential: Potential, flight: _Flight, settings: RelaxSettings, films: dict[int, "_Film"]
) -> tuple[_Flight | None, list[tuple[int, Relaxed]]]:
    """Evaluate a batch, take out those that are done, and move the others by one step."""
    logarithm = flight.log_strain / flight.first.counts[:, None, None]
    deformation = torch.linalg.matrix_exp(logarithm)
    crystals = flight.now(deformation)
    found = potential(crystals)
    energy = found.energy.double()
    flight = replace(flight, start_energy=torch.where(flight.steps == 0, energy, flight.start_energy))
    forces, cell_forces = _generalized(found, crystals, deformation, logarithm)
    worst = torch.maximum(largest(forces, crystals), cell_forces.square().sum(2).amax(1).sqrt())
    guards = settings.guards
    change = crystals.volumes / flight.first.volumes
    strange = ~energy.isfinite() | ~worst.isfinite() | (worst > guards.largest_force)
    strange |= ~((change > guards.volume_change[0]) & (change < guards.volume_change[1]))
    exploded = strange | found.lonely
    converged = (worst < settings.max_force) & ~exploded
    ended = exploded | converged | (flight.steps >= settings.max_steps)
    if settings.frames:
        _film(films, flight, crystals, energy)
    results: list[tuple[int, Relaxed]] = []
    if bool(ended.any()):
        rows = ended.nonzero().squeeze(1)
        told = torch.stack([worst, change, converged, exploded, found.lonely, energy, flight.start_energy], 1)[rows]
        leaving = crystals.select(rows).sites()
        places, steps = flight.place[rows].tolist(), flight.steps[rows].tolist()
        for place, step, values, sites in zip(places, steps, told.tolist(), leaving, strict=True):
            results.append((place, _result(sites, step, values, settings, films.pop(place))))
        going, owners = ~ended, crystals.owners
        forces, cell_forces = forces[going[owners]], cell_forces[going]
        flight = flight.keep(going)
    return (_step(flight, forces, cell_forces) if len(flight) else None), results


def _generalized(found: Evaluation, crystals: Cells, deformation: Tensor, logarithm: Tensor) -> tuple[Tensor, Tensor]:
    """Return the forces on the positions in the first cell, and on the logarithm of the deformation over n atoms."""
    forces = rows_times(found.forces.double(), deformation[crystals.owners])
    virial = -crystals.volumes[:, None, None] * found.stress.double()
    on_deformation = torch.linalg.solve(deformation, virial.transpose(1, 2)).transpose(1, 2)
    # The derivative of the exponential stands in a corner of the exponential of a matrix of twice the size.
    turned = logarithm.transpose(1, 2)
    whole = torch.cat([torch.cat([turned, on_deformation], 2), torch.cat([torch.zeros_like(turned), turned], 2)], 1)
    return forces, torch.linalg.matrix_exp(whole)[:, :3, 3:] / crystals.counts[:, None, None]


def _step(flight: _Flight, forces: Tensor, cell_forces: Tensor) -> _Flight:
    """Move every crystal by one step of FIRE; the cell is part of the same vector."""
    owners, n = flight.first.owners, len(flight)

    def dot(a: Tensor, b: Tensor, cell_a: Tensor, cell_b: Tensor) -> Tensor:
        return a.new_zeros(n).index_add_(0, owners, (a * b).sum(1)) + (cell_a * cell_b).sum((1, 2))

    velocity, cell_velocity = flight.velocity, flight.cell_velocity
    power = dot(forces, velocity, cell_forces, cell_velocity)
    speed = dot(velocity, velocity, cell_velocity, cell_velocity)
    pull = dot(forces, forces, cell_forces, cell_forces)
    down, first = power > 0, flight.steps == 0
    kept = torch.where(down, 1 - flight.mixing, 0.0)
    steered = torch.where(down, flight.mixing * (speed / pull.clamp_min(1e-30)).sqrt(), 0.0)
    faster = down & (flight.downhill > _PATIENCE)
    length = torch.where(faster, (flight.step_length * _FASTER).clamp_max(_LARGEST_STEP), flight.step_length)
    length = torch.where(down | first, length, flight.step_length * _SLOWER)
    mixing = torch.where(faster, flight.mixing * _LESS_MIXING, flight.mixing)
    mixing = torch.where(down | first, mixing, _MIXING)
    velocity = kept[owners, None] * velocity + (steered + length)[owners, None] * forces
    cell_velocity = kept[:, None, None] * cell_velocity + (steered + length)[:, None, None] * cell_forces
    move, cell_move = length[owners, None] * velocity, length[:, None, None] * cell_velocity
    far = dot(move, move, cell_move, cell_move).sqrt()
    shorter = (_LARGEST_MOVE / far.clamp_min(1e-30)).clamp_max(1.0)
    return replace(
        flight,
        reference=flight.reference + shorter[owners, None] * move,
        log_strain=flight.log_strain + shorter[:, None, None] * cell_move,
        velocity=velocity,
        cell_velocity=cell_velocity,
        step_length=length,
        mixing=mixing,
        downhill=torch.where(down, flight.downhill + 1, 0),
        steps=flight.steps + 1,
    )


class _Film:
    """The frames of one crystal, thinned as they grow: every step, then every second, every fourth, ..."""

    def __init__(self, most: int) -> None:
        self.most, self.every = most, 1
        self.frames: list[Frame] = []

    def wants(self, step: int) -> bool:
        return self.most > 0 and step % self.every == 0

    def add(self, frame: Frame) -> None:
        self.frames.append(frame)
        if len(self.frames) > self.most:
            self.every *= 2
            self.frames = [each for each in self.frames if each.step % self.every == 0]


def _film(films: dict[int, _Film], flight: _Flight, crystals: Cells, energy: Tensor) -> None:
    """Keep the frames that are wanted of this step."""
    places, steps = flight.place.tolist(), flight.steps.tolist()
    wanted = [row for row in range(len(places)) if films[places[row]].wants(steps[row])]
    energies = (energy / crystals.counts).tolist()
    for row, (_, cell, coords) in zip(wanted, crystals.select(wanted).sites(), strict=True):
        films[places[row]].add(Frame(steps[row], energies[row], cell, coords))


def _result(
    sites: tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]],
    step: int,
    told: list[float],
    settings: RelaxSettings,
    film: _Film,
) -> Relaxed:
    """Put into words what became of a crystal."""
    worst, change, converged, exploded, lonely, energy, start_energy = told
    n = len(sites[0])
    frames = film.frames
    if converged:
        outcome, reason = CONVERGED, f"all forces below {settings.max_force:g} eV/Å after {step} steps"
    elif not exploded:
        outcome, reason = OUT_OF_STEPS, f"the largest force is still {worst:.2g} eV/Å after {step} steps"
    else:
        outcome = EXPLODED
        if lonely:
            why = "an atom has lost all its neighbors"
        elif not settings.guards.volume_change[0] < change < settings.guards.volume_change[1]:
            why = f"the volume became {change:.2g} times that of the start"
        else:
            finite = np.isfinite(worst) and np.isfinite(energy)
            why = f"a force of {worst:.2g} eV/Å" if finite else "the potential gave no finite number"
        reason = f"given up at step {step}: {why}"
    if frames and frames[-1].step != step:
        frames = [*frames, Frame(step, energy / n, sites[1], sites[2])]
    return Relaxed(
        *sites,
        energy_per_atom=torch.nan if exploded else energy / n,
        start_energy_per_atom=start_energy / n,
        steps=step,
        max_force=worst,
        outcome=outcome,
        reason=reason,
        frames=tuple(frames),
    )
