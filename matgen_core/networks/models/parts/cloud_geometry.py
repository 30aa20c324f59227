"""What a network sees of the sites of periodic crystals: the neighbors of each, by element, distance and direction.

Everything here is the same for a crystal that is shifted, turned, or whose sites stand in another order, and for a
supercell; the moves that `Neighborhood.moves` makes turn with the crystal.
"""

import math

import torch
from torch import Tensor, nn

from matgen_core.networks.arrays.clouds import image_vectors

_HARMONICS = 10  # 1, the direction (3), and its products without their trace (6)


class Neighbors(nn.Module):
    """Sums over the images of each site, as each other site sees them: by distance, and weighted by direction."""

    centers: Tensor  # Å, (n_shells,)

    def __init__(self, n_shells: int, reach: float) -> None:
        super().__init__()
        self.reach = reach
        self.register_buffer("centers", torch.linspace(0.4, reach, n_shells), persistent=False)

    def forward(self, frac_coords: Tensor, there: Tensor, lattice: Tensor) -> Tensor:
        """Map crystals to (B, n, n, n_shells, 10); arguments as of `clouds.to_points`."""
        vectors = image_vectors(frac_coords, lattice)  # (B, n, n, 27, 3)
        n = frac_coords.shape[1]
        pairs = there.unsqueeze(1) & there.unsqueeze(2)
        distance = (vectors.square().sum(-1) + 1e-4).sqrt()
        itself = torch.eye(n, device=distance.device).unsqueeze(-1) * (_at_home(distance) > 0)
        seen = pairs.unsqueeze(-1) * (1 - itself) * _fade(distance / self.reach)
        width = float(self.centers[1] - self.centers[0])
        shells = torch.exp(-0.5 * ((distance.unsqueeze(-1) - self.centers) / width).square()) * seen.unsqueeze(-1)
        x, y, z = (vectors / distance.unsqueeze(-1)).unbind(-1)
        directions = torch.stack(
            [
                torch.ones_like(x),
                *(math.sqrt(3) * each for each in (x, y, z)),
                *(math.sqrt(15) * each for each in (x * y, y * z, x * z)),
                *(math.sqrt(7.5) * (each * each - 1 / 3) for each in (x, y, z)),
            ],
            -1,
        )
        return shells.transpose(-1, -2) @ directions


class Neighborhood(nn.Module):
    """One layer: what surrounds a site, by what stands there, added to what is known of it."""

    def __init__(self, width: int, n_shells: int, channels: int) -> None:
        super().__init__()
        self.n_shells, self.channels = n_shells, channels
        self.norm = nn.LayerNorm(width)
        self.tell = nn.Linear(width, n_shells * channels)
        self.layers = nn.Sequential(nn.Linear(width + 3 * channels, 2 * width), nn.SiLU(), nn.Linear(2 * width, width))

    def forward(self, h: Tensor, neighbors: Tensor) -> tuple[Tensor, Tensor]:
        """Return what is known of the sites anew (B, n, width), and the mean directions (B, n, 3, channels).

        Args:
            h: (B, n, width).
            neighbors: What `Neighbors` gives, (B, n, n, n_shells, 10).
        """
        batch, n = h.shape[:2]
        told = self.tell(self.norm(h)).view(batch, n * self.n_shells, self.channels)
        around = neighbors.permute(0, 1, 4, 2, 3).reshape(batch, n * _HARMONICS, n * self.n_shells) @ told
        around = 0.2 * around.view(batch, n, _HARMONICS, self.channels)
        lengths = [(part.square().sum(2) + 1e-3).sqrt() for part in (around[:, :, 1:4], around[:, :, 4:])]
        found = torch.cat([self.norm(h), around[:, :, 0], *lengths], -1)
        return h + self.layers(found), around[:, :, 1:4]


def _at_home(distance: Tensor) -> Tensor:
    """1 for the image in the cell itself, (27,)."""
    return torch.zeros(distance.shape[-1], device=distance.device).index_fill(
        0, torch.tensor(distance.shape[-1] // 2, device=distance.device), 1.0
    )


def _fade(share: Tensor) -> Tensor:
    """Fall smoothly from 1 to 0 as a distance comes to the reach."""
    return torch.where(share < 1, 0.5 * (1 + torch.cos(math.pi * share.clamp(max=1))), 0.0)
