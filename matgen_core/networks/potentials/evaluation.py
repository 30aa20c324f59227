"""What a potential says of crystals: energies, forces, stresses, in batches that fit the memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from matgen_core.networks.arrays.cells import Cells

_SPHERE = 4.18879  # volume of the unit ball
_DENSER = 1.2  # a cell may shrink while it is relaxed


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Of S crystals with n sites in all; NaN where atoms lie on one point.

    Attributes:
        energy: (S,) in eV, of the whole cell.
        forces: (n, 3) in eV/Å.
        stress: (S, 3, 3) in eV/Å^3, the derivative of the energy by strain over the volume (sign as in ASE).
        lonely: (S,) whether an atom has no neighbor within the cutoff, so that its forces mean nothing.
    """

    energy: Tensor
    forces: Tensor
    stress: Tensor
    lonely: Tensor


class Potential(Protocol):
    """Computes energies, forces and stresses of crystals."""

    @property
    def name(self) -> str:
        """As in `POTENTIALS`."""
        ...

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        ...

    @property
    def cutoff(self) -> float:
        """Å; atoms farther apart do not see each other."""
        ...

    @property
    def elements(self) -> frozenset[int]:
        """Atomic numbers that it knows."""
        ...

    @property
    def edges_at_once(self) -> int:
        """How many pairs within the cutoff fit into one batch on this device."""
        ...

    def __call__(self, crystals: Cells) -> Evaluation:
        """Evaluate crystals that hold known elements alone, on its device."""
        ...


def edges_of(crystals: Cells, cutoff: float) -> list[float]:
    """Estimate the pairs within a distance of each crystal from its density; memory goes by them, not by atoms."""
    counts = crystals.counts.double()
    near = (counts / crystals.volumes.clamp_min(1e-6) * (_SPHERE * cutoff**3)).clamp_min(1)
    return [float(each) for each in counts * near * _DENSER]


def batches(edges: Sequence[float], most: float) -> Iterator[list[int]]:
    """Deal out the places of crystals, those of alike size together; one that is too large stands alone."""
    batch: list[int] = []
    total = 0.0
    for place in sorted(range(len(edges)), key=lambda place: edges[place]):
        if batch and total + edges[place] > most:
            yield batch
            batch, total = [], 0.0
        batch.append(place)
        total += edges[place]
    if batch:
        yield batch


def evaluate(potential: Potential, crystals: Cells) -> tuple[Tensor, Tensor]:
    """Return energy per atom (S,) in eV and largest force (S,) in eV/Å of each crystal as it stands, on the CPU.

    Crystals that hold an element which the potential does not know, or an atom without a neighbor, are NaN.
    """
    energy, force = (torch.full((len(crystals),), torch.nan, dtype=torch.float64) for _ in range(2))
    foreign = torch.tensor([int(z) not in potential.elements for z in crystals.numbers], dtype=torch.int64)
    strange = torch.zeros(len(crystals), dtype=torch.int64).index_add_(0, crystals.owners, foreign) > 0
    rows = (~strange).nonzero().squeeze(1)
    chosen = crystals.select(rows)
    for places in batches(edges_of(chosen, potential.cutoff), potential.edges_at_once):
        batch = chosen.select(places).to(potential.device)
        found = potential(batch)
        known = torch.where(found.lonely, torch.nan, found.energy.double() / batch.counts)
        energy[rows[places]] = known.cpu()
        force[rows[places]] = largest(found.forces.double(), batch).cpu()
    return energy, force


def lonely(crystals: Cells, sources: Tensor) -> Tensor:
    """Tell of each crystal whether an atom of it is the source of no pair, (S,)."""
    without = torch.ones(len(crystals.numbers), dtype=torch.int64, device=sources.device)
    without[sources] = 0
    return torch.zeros_like(crystals.counts).index_add_(0, crystals.owners, without) > 0


def largest(vectors: Tensor, crystals: Cells) -> Tensor:
    """Return the length of the longest vector (n_sites, 3) in each crystal, (S,); NaN if one is."""
    squared = vectors.square().sum(1)
    worst = squared.new_zeros(len(crystals)).scatter_reduce_(0, crystals.owners, squared.nan_to_num(torch.inf), "amax")
    return worst.sqrt()
