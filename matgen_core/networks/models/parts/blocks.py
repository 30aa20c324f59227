"""Parts that several models use unchanged."""

from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F


class Gaussian(NamedTuple):
    """A diagonal Gaussian over latent points, (B, latent_dim) each."""

    mean: Tensor
    log_var: Tensor

    def sample(self, rng: Generator | None = None) -> Tensor:
        """Draw one point a row; gradients flow to mean and log_var."""
        noise = torch.empty_like(self.mean).normal_(generator=rng)
        return self.mean + (0.5 * self.log_var).exp() * noise

    def kl(self) -> Tensor:
        """KL divergence from the standard normal, in nats, shape (B,)."""
        return 0.5 * (self.mean.square() + self.log_var.exp() - 1 - self.log_var).sum(-1)


def one_hot_classes(values: Tensor, edges: tuple[float, ...]) -> Tensor:
    """One-hot classes (B, len(edges) + 1) of values (B,) between inner edges; rows of 0 where the value is NaN.

    Without edges there is no class, (B, 0).
    """
    if not edges:
        return values.new_zeros(len(values), 0)
    classes = torch.bucketize(values, torch.tensor(edges, device=values.device))
    return F.one_hot(classes, len(edges) + 1).float() * ~values.isnan().unsqueeze(1)


def conv3d(n_in: int, n_out: int, stride: int = 1) -> nn.Conv3d:
    """3 x 3 x 3 convolution over a periodic cell: the neighbor of the last grid point is the first."""
    return nn.Conv3d(n_in, n_out, 3, stride, padding=1, padding_mode="circular")


class Residual3d(nn.Module):
    """Two periodic convolutions beside the identity."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.GroupNorm(8, n_channels),
            nn.SiLU(),
            conv3d(n_channels, n_channels),
            nn.GroupNorm(8, n_channels),
            nn.SiLU(),
            conv3d(n_channels, n_channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, n_channels, X, Y, Z) to the same shape."""
        return x + self.layers(x)


class ResidualBlock(nn.Module):
    """Two dense layers beside the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LayerNorm(width), nn.LeakyReLU(0.2), nn.Linear(width, width), nn.LeakyReLU(0.2), nn.Linear(width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, width) to the same shape."""
        return x + self.layers(x)
