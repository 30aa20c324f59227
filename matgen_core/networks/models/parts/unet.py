"""Label or clean every voxel of a periodic cell with a U-Net.

Court et al. segment a decoded density into species with one; here it also sharpens decoded volumes. All
convolutions are periodic, so the network knows no border and a shifted crystal gives a shifted answer (by whole
steps of the coarsest level).

References: Court et al., J. Chem. Inf. Model. 60, 4518 (2020), doi:10.1021/acs.jcim.0c00464;
Ronneberger et al. (2015), doi:10.1007/978-3-319-24574-4_28
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from matgen_core.networks.models.parts.blocks import Residual3d, conv3d


@dataclass(frozen=True)
class UNetConfig:
    """Sizes of the network; a checkpoint stores exactly these fields."""

    n_in: int
    n_out: int  # classes, the first of which is empty space, or channels
    channels: tuple[int, ...] = (32, 64, 128)  # one level each; every level halves the grid; multiples of 8


class UNet(nn.Module):
    """Voxels in, as many voxels out."""

    Config = UNetConfig

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        levels = list(pairwise(config.channels))
        self.first = nn.Sequential(conv3d(config.n_in, config.channels[0]), Residual3d(config.channels[0]))
        self.down = nn.ModuleList(
            nn.Sequential(conv3d(fine, coarse, stride=2), Residual3d(coarse)) for fine, coarse in levels
        )
        self.up = nn.ModuleList(conv3d(coarse, fine) for fine, coarse in reversed(levels))
        self.join = nn.ModuleList(
            nn.Sequential(conv3d(2 * fine, fine), Residual3d(fine)) for fine, _ in reversed(levels)
        )
        self.last = nn.Sequential(
            nn.GroupNorm(8, config.channels[0]), nn.SiLU(), nn.Conv3d(config.channels[0], config.n_out, 1)
        )

    def features(self, x: Tensor) -> list[Tensor]:
        """Return what the network sees on its way down, finest level first: what a perceptual loss compares."""
        seen = [self.first(x)]
        for down in self.down:
            seen.append(down(seen[-1]))
        return seen

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, n_in, X, Y, Z) to (B, n_out, X, Y, Z); each of X, Y, Z divisible by 2^(levels - 1)."""
        *skipped, y = self.features(x)
        for up, join, skip in zip(self.up, self.join, reversed(skipped), strict=True):
            y = join(torch.cat([skip, up(F.interpolate(y, scale_factor=2.0))], 1))
        return self.last(y)

    def loss(self, x: Tensor, labels: Tensor, class_weights: Tensor, rng: Generator | None = None) -> dict[str, Tensor]:
        """Return the weighted cross-entropy of every voxel's class, and how often the class is right.

        Args:
            x: (B, n_in, X, Y, Z).
            labels: (B, X, Y, Z), classes from 0 to n_out - 1.
            class_weights: (n_out,); the released code of the paper computes these and then leaves them out.
            rng: Not used; every loss takes one.
        """
        logits = self(x).float()
        loss = F.cross_entropy(logits, labels, class_weights)
        filled = labels > 0
        right = ((logits.argmax(1) == labels) & filled).sum() / filled.sum().clamp(min=1)
        return {"loss": loss, "filled_voxels_right": right}
