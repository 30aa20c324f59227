"""Crystals with any cell end to end, as potentials take them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from matgen_core.networks.arrays import tensors

Sites = tuple[ArrayLike, ArrayLike, ArrayLike]  # atomic numbers (n,), cell (3, 3) in Å, fractional coordinates (n, 3)


@dataclass(frozen=True, eq=False)
class Cells:
    """S crystals, the sites of one after those of the other.

    Attributes:
        numbers: (n_sites of all,) atomic numbers.
        frac_coords: (n_sites of all, 3), float64.
        cells: (S, 3, 3), rows are the vectors of a cell in Å, float64.
        counts: (S,) sites of each crystal.
    """

    numbers: Tensor = field(metadata=tensors.stored_as(torch.uint8))
    frac_coords: Tensor
    cells: Tensor
    counts: Tensor = field(metadata=tensors.stored_as(torch.int32))

    @classmethod
    def of(cls, crystals: Iterable[Sites]) -> "Cells":
        """Put crystals end to end.

        Raises:
            ValueError: If a crystal has no sites, or its arrays do not fit each other.
        """
        parts = [_checked(*crystal) for crystal in crystals]
        if not parts:
            return cls(torch.zeros(0).long(), torch.zeros(0, 3).double(), torch.zeros(0, 3, 3).double(), _counts([]))
        return cls(
            torch.from_numpy(np.concatenate([numbers for numbers, _, _ in parts])),
            torch.from_numpy(np.concatenate([frac_coords for _, _, frac_coords in parts])),
            torch.from_numpy(np.stack([cell for _, cell, _ in parts])),
            _counts([len(numbers) for numbers, _, _ in parts]),
        )

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def owners(self) -> Tensor:
        """Which crystal each site is of, (n_sites of all,)."""
        return torch.arange(len(self), device=self.counts.device).repeat_interleave(self.counts)

    @property
    def positions(self) -> Tensor:
        """Cartesian coordinates in Å, (n_sites of all, 3)."""
        return rows_times(self.frac_coords, self.cells[self.owners])

    @property
    def volumes(self) -> Tensor:
        """Volume of each cell in Å^3, (S,)."""
        return torch.linalg.det(self.cells).abs()

    def select(self, rows: Sequence[int] | Tensor) -> "Cells":
        """Return some crystals, in the order of their places."""
        chosen = torch.as_tensor(rows, dtype=torch.int64, device=self.counts.device)
        starts = self.counts.cumsum(0) - self.counts
        counts = self.counts[chosen]
        before = counts.cumsum(0) - counts
        shift = (starts[chosen] - before).repeat_interleave(counts)
        sites = torch.arange(int(counts.sum()), device=counts.device) + shift
        return Cells(self.numbers[sites], self.frac_coords[sites], self.cells[chosen], counts)

    def joined(self, other: "Cells") -> "Cells":
        """Put other crystals behind these."""
        names = self.__dataclass_fields__
        return Cells(**{name: torch.cat([getattr(self, name), getattr(other, name)]) for name in names})

    def to(self, device: str | torch.device) -> "Cells":
        """Return the same on another device."""
        return tensors.to(self, device)

    def sites(self) -> list[tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]]:
        """Return numbers, cell and fractional coordinates of each crystal apart, as `of` takes them."""
        sizes = self.counts.tolist()
        numbers, coords = self.numbers.split(sizes), self.frac_coords.split(sizes)
        return [
            (a.cpu().numpy(), c.cpu().numpy(), b.cpu().numpy())
            for a, b, c in zip(numbers, coords, self.cells, strict=True)
        ]


def rows_times(rows: Tensor, matrices: Tensor) -> Tensor:
    """Multiply each row (n, 3) with a matrix of its own (n, 3, 3)."""
    return torch.bmm(rows.unsqueeze(1), matrices).squeeze(1)


def lattice_parameters(lattice: Tensor) -> Tensor:
    """Lengths in Å and cosines of alpha, beta and gamma of cells (B, 3, 3), whose rows are the vectors, (B, 6)."""
    lengths = lattice.norm(dim=-1)
    unit = lattice / lengths.clamp(min=1e-6).unsqueeze(-1)
    cosines = [(unit[:, i] * unit[:, j]).sum(-1) for i, j in ((1, 2), (0, 2), (0, 1))]
    return torch.cat([lengths, torch.stack(cosines, 1)], 1)


def lattice_from_parameters(parameters: Tensor) -> Tensor:
    """Cells (B, 3, 3) of what `lattice_parameters` gives: a in the plane of x and z, c along z.

    Angles that no cell has give the flat cell that is nearest.
    """
    a, b, c, cos_alpha, cos_beta, cos_gamma = parameters.unbind(1)
    sin_alpha, sin_beta = ((1 - cosine.square()).clamp(min=1e-6).sqrt() for cosine in (cos_alpha, cos_beta))
    inner = ((cos_alpha * cos_beta - cos_gamma) / (sin_alpha * sin_beta)).clamp(-1.0, 1.0)
    zero = torch.zeros_like(a)
    rows = [
        torch.stack([a * sin_beta, zero, a * cos_beta], 1),
        torch.stack(
            [-b * sin_alpha * inner, b * sin_alpha * (1 - inner.square()).clamp(min=0).sqrt(), b * cos_alpha], 1
        ),
        torch.stack([zero, zero, c], 1),
    ]
    return torch.stack(rows, 1)


def distorted(cells: Cells, strain: float, rattle: float, seed: int) -> Cells:
    """Strain each cell and move each atom at random: what a generated crystal is like.

    Args:
        cells: On the CPU.
        strain: Standard deviation of each component of a symmetric strain.
        rattle: Standard deviation of each coordinate's displacement in Å.
        seed: Of both.
    """
    rng = torch.Generator().manual_seed(seed)
    strains = torch.randn(len(cells), 3, 3, generator=rng, dtype=torch.float64) * strain
    strains = torch.triu(strains) + torch.triu(strains, 1).transpose(1, 2)
    strained = cells.cells @ (torch.eye(3, dtype=torch.float64) + strains)
    moves = torch.randn(cells.frac_coords.shape, generator=rng, dtype=torch.float64) * rattle
    moved = cells.frac_coords + rows_times(moves, torch.linalg.inv(strained)[cells.owners])
    return Cells(cells.numbers, moved, strained, cells.counts)


def _checked(numbers: ArrayLike, cell: ArrayLike, frac_coords: ArrayLike) -> tuple[NDArray[np.int64], ...]:
    z, matrix, coords = np.asarray(numbers, np.int64), np.asarray(cell, float), np.asarray(frac_coords, float)
    if z.ndim != 1 or not len(z) or matrix.shape != (3, 3) or coords.shape != (len(z), 3):
        raise ValueError(
            f"a crystal with arrays of shapes {z.shape}, {matrix.shape}, {coords.shape};"
            " expected numbers (n,), cell (3, 3), coordinates (n, 3), n at least 1"
        )
    return z, matrix, coords


def _counts(values: list[int]) -> Tensor:
    return torch.tensor(values, dtype=torch.int64)
