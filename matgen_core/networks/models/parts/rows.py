"""CrystalGAN as it was published: networks that see one row of three numbers at a time.

Two cross-domain GANs. The first carries hydrides of one metal to the other and back. What it makes of a crystal gives
the block of the other metal, which is put into the empty slots of that crystal; the second carries such ternary
crystals to those made from the other side, and back. Every network is five dense layers over the last axis.

What differs: the geometric loss is one of minimum images with a gradient, as the paper writes it and its code does not;
rows that are empty before are empty behind, where the code cuts at the first row that repeats.

Reference: Nouira et al. (2018), arXiv:1810.11203
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from matgen_core.networks.arrays.clouds import CELL_ROWS, from_points, image_vectors

_NAMES = ("first_there", "first_back", "second_there", "second_back")  # of the two cross-domain GANs


@dataclass(frozen=True)
class RowSettings:
    """Sizes and weights of the published networks."""

    slots: tuple[int, int, int] = (8, 8, 18)  # of the two metals and hydrogen
    width: int = 100
    depth: int = 5
    cycle_weight: float = 1.0
    geometry_weight: float = 1.0  # 0 for the paper's version without constraints
    nearest: float = 1.8  # Å
    farthest: float = 3.0  # Å


class RowGAN(nn.Module):
    """Hydrides of two metals as points (B, 2 + sum of slots, 3) to ternary ones."""

    def __init__(self, settings: RowSettings) -> None:
        super().__init__()
        self.settings = settings

        def dense(n_out: int) -> nn.Sequential:
            sizes = [3, *[settings.width] * settings.depth]
            layers = [part for a, b in pairwise(sizes) for part in (nn.Linear(a, b), nn.ReLU())]
            return nn.Sequential(*layers, nn.Linear(settings.width, n_out))

        self.generator = nn.ModuleDict({name: dense(3) for name in _NAMES})
        self.critic = nn.ModuleDict({name: dense(1) for name in _NAMES})

    def carry(self, name: str, points: Tensor) -> Tensor:
        """Map points row by row; rows that are empty stay empty."""
        rows = torch.sigmoid(self.generator[name](points))
        return rows * (points.sum(-1, keepdim=True) > 0)

    def real(self, name: str, points: Tensor) -> Tensor:
        """Logits of how real points look, (B,): a mean over their rows."""
        there = (points.sum(-1) > 0).float()
        return (self.critic[name](points).squeeze(-1) * there).sum(1) / there.sum(1)

    def ternaries(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """Return what both sides make of hydrides of the first metal and of the second, each as ternary crystals."""
        from_first, from_second = self._transferred(first, second)
        return self.carry("second_there", from_first), self.carry("second_back", from_second)

    def critic_loss(self, real: tuple[Tensor, Tensor], rng: Generator | None = None) -> dict[str, Tensor]:
        """Return "loss" of all critics, the mean "distance" of their logits, and a "penalty" of 0: there is none."""
        with torch.no_grad():
            games = list(self._games(*real))
        losses, distances = [], []
        for name, known, made, _ in games:
            of_known, of_made = self.real(name, known), self.real(name, made)
            losses.append(F.softplus(-of_known).mean() + F.softplus(of_made).mean())
            distances.append((of_known - of_made).mean())
        return {
            "loss": torch.stack(losses).sum(),
            "distance": torch.stack(distances).mean(),
            "penalty": torch.zeros(()),
        }

    def generator_loss(self, real: tuple[Tensor, Tensor]) -> Tensor:
        """Return the loss of all translations: how real they look, the way back, and the constraints of the second."""
        loss = torch.zeros((), device=real[0].device)
        for name, _, made, cycle in self._games(*real):
            loss = loss + F.softplus(-self.real(name, made)).mean() + self.settings.cycle_weight * cycle
            if name.startswith("second") and self.settings.geometry_weight:
                loss = loss + self.settings.geometry_weight * self.geometry(made)
        return loss

    def geometry(self, points: Tensor) -> Tensor:
        """Squares of what metal atoms miss to `nearest` and exceed of `farthest` to the next one, in Å, a mean."""
        frac_coords, there, lattice = from_points(points)
        n_metals = self.settings.slots[0] + self.settings.slots[1]
        there = there[:, :n_metals]
        squares = image_vectors(frac_coords[:, :n_metals], lattice).square().sum(-1)
        squares = squares.masked_fill(~(there.unsqueeze(1) & there.unsqueeze(2)).unsqueeze(-1), 1e6)
        squares[:, range(n_metals), range(n_metals), squares.shape[-1] // 2] = 1e6
        distance = squares.add(1e-12).sqrt()
        near = F.relu(self.settings.nearest - distance).square().flatten(1).sum(1) / 2
        far = (F.relu(distance.flatten(2).min(2).values - self.settings.farthest).square() * there).sum(1)
        return (near + far).mean()

    def _transferred(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """Both sides with the other metal's block of what the first GAN makes of them in its empty slots."""
        sides = []
        for name, points in (("first_there", first), ("first_back", second)):
            carried = self._swapped(self.carry(name, points))
            metals = slice(CELL_ROWS, CELL_ROWS + 2 * self.settings.slots[0])
            block = points[:, metals] + carried[:, metals] * (points[:, metals].sum(-1, keepdim=True) == 0)
            sides.append(torch.cat([points[:, : metals.start], block, points[:, metals.stop :]], 1))
        return sides[0], sides[1]

    def _swapped(self, points: Tensor) -> Tensor:
        """Points with the blocks of the two metals in each other's place; they have as many slots."""
        n = self.settings.slots[0]
        start, middle, end = CELL_ROWS, CELL_ROWS + n, CELL_ROWS + 2 * n
        return torch.cat([points[:, :start], points[:, middle:end], points[:, start:middle], points[:, end:]], 1)

    def _games(self, first: Tensor, second: Tensor) -> list[tuple[str, Tensor, Tensor, Tensor]]:
        """For each direction of both GANs: its name, what is real, what is made, and the error of the way back."""
        there, back = (
            self._swapped(self.carry(name, points)) for name, points in (("first_there", first), ("first_back", second))
        )
        again_first, again_second = self.carry("first_back", there), self.carry("first_there", back)
        from_first, from_second = self._transferred(first, second)
        on, off = self.carry("second_there", from_first), self.carry("second_back", from_second)
        return [
            ("first_there", second, there, F.mse_loss(self._swapped(again_first), first)),
            ("first_back", first, back, F.mse_loss(self._swapped(again_second), second)),
            ("second_there", from_second, on, F.mse_loss(self.carry("second_back", on), from_first)),
            ("second_back", from_first, off, F.mse_loss(self.carry("second_there", off), from_second)),
        ]
