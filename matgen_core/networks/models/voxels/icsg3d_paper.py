"""The published iCSG3D: a conditional VAE of padded boxes that a segmentation network judges and reads.

The VAE draws a density and three coordinate channels; a U-Net labels every voxel of them with an element or as empty,
and its inner layers compare crystals in the VAE's loss (deep feature consistency). The VAE has the layers, sizes and
weights of the released code. What differs, and why:

- The U-Net has fewer channels (the published one takes 374 MB), and its class weights act; the released code computes
  them and passes the number of classes in their place.
- Both networks learn in one run. The U-Net sees true boxes alone, as in the paper, and the comparison by its layers
  does not change it.
- The condition enters the encoder once; the released code repeats it four times by a slip of tiling.
- The condition may be left out: a part of the training crystals has none.

Reference: Court et al., J. Chem. Inf. Model. 60, 4518 (2020), doi:10.1021/acs.jcim.0c00464
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from matgen_core.networks.models.parts.blocks import Gaussian, one_hot_classes


@dataclass(frozen=True)
class ICSG3DPaperConfig:
    """Sizes of the networks; a checkpoint stores exactly these fields.

    `condition_edges` are the inner edges of the classes of the condition, the formation energy per atom; a recipe
    puts them at quantiles of its training crystals.
    """

    n_elements: int = 84
    grid: int = 32  # voxels along each edge of the box, divisible by 2^len(channels)
    latent_dim: int = 256
    condition_edges: tuple[float, ...] = (-2.0, -1.5, -1.0, -0.7, -0.5, -0.35, -0.2, 0.0, 0.2)  # eV/atom, see below
    channels: tuple[int, ...] = (16, 32, 64, 128)  # of the VAE, finest first
    unet_channels: tuple[int, ...] = (16, 32, 64, 96)  # the paper: 32 to 512
    beta: float = 3e-4  # weight of the KL term
    perceptual_weight: float = 0.5
    segmentation_weight: float = 1.0

    @property
    def n_conditions(self) -> int:
        """Classes of the condition; 0 for a model without one."""
        return len(self.condition_edges) + 1 if self.condition_edges else 0


_N_DRAWN = 4  # density and three coordinates
_N_NARROW = 4  # channels on both sides of the latent point
_MEANS, _SPREADS = (0.5, 3.5, 3.5, 3.5), (1.0, 2.5, 2.5, 2.5)  # roughly, of the channels over cubic crystals


class SpeciesUNet(nn.Module):
    """Element and occupancy of every voxel of a box."""

    def __init__(self, channels: Sequence[int], n_elements: int) -> None:
        super().__init__()
        levels = list(pairwise(channels))
        self.down = nn.ModuleList(
            _double(n_in, n_out) for n_in, n_out in zip((_N_DRAWN, *channels), channels, strict=False)
        )
        self.up = nn.ModuleList(nn.Conv3d(coarse, fine, 3, padding=1) for fine, coarse in reversed(levels))
        self.join = nn.ModuleList(_double(2 * fine, fine) for fine, _ in reversed(levels))
        self.species = nn.Conv3d(channels[0], 1 + n_elements, 1)
        self.occupancy = nn.Conv3d(channels[0], 1, 1)

    def features(self, x: Tensor) -> list[Tensor]:
        """Return the last layer of each level on the way down, finest first: what the perceptual loss compares."""
        seen = [self.down[0](x)]
        for down in list(self.down)[1:]:
            seen.append(down(F.max_pool3d(seen[-1], 2)))
        return seen

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (B, 4, N, N, N) to class logits (B, 1 + n_elements, N, N, N) and occupancy logits (B, N, N, N)."""
        *skipped, y = self.features(x)
        for up, join, skip in zip(self.up, self.join, reversed(skipped), strict=True):
            y = join(torch.cat([skip, up(F.interpolate(y, scale_factor=2.0))], 1))
        return self.species(y), self.occupancy(y).squeeze(1)


class ICSG3DPaper(nn.Module):
    """Box of a cubic crystal to a latent point and back, under a class of the formation energy."""

    Config = ICSG3DPaperConfig

    def __init__(self, config: ICSG3DPaperConfig) -> None:
        super().__init__()
        self.config = config
        channels = config.channels
        levels = zip((_N_DRAWN + config.n_conditions, *channels), channels, strict=False)
        down = [layer for n_in, n_out in levels for layer in (*_single(n_in, n_out), nn.MaxPool3d(2))]
        n_flat = _N_NARROW * (config.grid // 2 ** len(channels)) ** 3
        self.encoder = nn.Sequential(
            *down,
            nn.Conv3d(channels[-1], _N_NARROW, 3, padding=1),
            nn.LeakyReLU(0.3),
            nn.Flatten(),
            nn.Linear(n_flat, config.latent_dim),
            nn.ReLU(),
            nn.Linear(config.latent_dim, 2 * config.latent_dim),
        )
        coarse = config.grid // 2 ** (len(channels) - 1)
        self._coarse = (_N_NARROW, coarse, coarse, coarse)
        self.from_latent = nn.Linear(config.latent_dim + config.n_conditions, _N_NARROW * coarse**3)
        up: list[nn.Module] = _single(_N_NARROW, channels[-1])
        for coarse_channels, fine_channels in pairwise(reversed(channels)):
            up += [nn.Upsample(scale_factor=2.0), *_single(coarse_channels, fine_channels)]
        self.decoder = nn.Sequential(
            *up, nn.Conv3d(channels[0], _N_DRAWN, 3, padding=1, bias=False), nn.BatchNorm3d(_N_DRAWN), nn.ReLU()
        )
        self.unet = SpeciesUNet(config.unet_channels, config.n_elements)
        # Coordinates of up to 20 Å would take thousands of steps to reach from a batch norm's mean of 0.
        last = self.decoder[-2]
        with torch.no_grad():
            last.bias.copy_(torch.tensor(_MEANS))  # type: ignore[operator]
            last.weight.copy_(torch.tensor(_SPREADS))  # type: ignore[operator]

    @property
    def latent_dim(self) -> int:
        """Number of latent coordinates."""
        return self.config.latent_dim

    @property
    def condition_properties(self) -> tuple[str, ...]:
        """What can be asked for."""
        return ("formation_energy_per_atom",) if self.config.condition_edges else ()

    @property
    def condition_edges(self) -> dict[str, tuple[float, ...]]:
        """Inner edges of the classes of what can be asked for, in eV/atom."""
        return dict.fromkeys(self.condition_properties, self.config.condition_edges)

    def condition_of(self, formation_energy_per_atom: Tensor) -> Tensor:
        """One-hot classes (B, n_conditions) of energies in eV/atom, (B,); rows of 0 where the energy is NaN."""
        return one_hot_classes(formation_energy_per_atom, self.config.condition_edges)

    def encode(self, x: Tensor, condition: Tensor | None = None) -> Gaussian:
        """Map boxes to q(z | x, condition) over (B, latent_dim).

        Args:
            x: (B, at least 4, N, N, N): density, three coordinates in Å; what follows is not looked at.
            condition: (B, n_conditions); rows of 0, or none at all, where the energy is not known.
        """
        drawn = x[:, :_N_DRAWN]
        given = self._condition(len(x), x, condition).view(len(x), -1, 1, 1, 1)
        seen = torch.cat([drawn, given.expand(-1, -1, *drawn.shape[2:])], 1)
        mean, log_var = self.encoder(seen.contiguous(memory_format=torch.channels_last_3d)).float().chunk(2, dim=-1)
        return Gaussian(mean, log_var.clamp(-12.0, 8.0))

    def decode(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """Map (B, latent_dim) to labeled boxes.

        Returns:
            (B, 6, N, N, N): density, three coordinates in Å, the likeliest class (0 for empty space), the
            probability that the voxel is occupied.
        """
        drawn = self.draw(z, condition)
        classes, occupancy = self.unet(drawn)
        labels = classes.argmax(1, keepdim=True).to(drawn.dtype)
        return torch.cat([drawn, labels, occupancy.float().sigmoid().unsqueeze(1)], 1)

    def draw(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """Map (B, latent_dim) to density and coordinates, (B, 4, N, N, N)."""
        given = torch.cat([z, self._condition(len(z), z, condition)], 1)
        coarse = self.from_latent(given).view(-1, *self._coarse)
        return self.decoder(coarse.contiguous(memory_format=torch.channels_last_3d)).float()

    def loss(
        self, x: Tensor, labels: Tensor, condition: Tensor, class_weights: Tensor, rng: Generator | None = None
    ) -> dict[str, Tensor]:
        """Return "loss" and its parts, each averaged over the batch.

        Args:
            x: True boxes, (B, 4, N, N, N).
            labels: (B, N, N, N), 0 for empty space, else one more than the place of the element.
            condition: (B, n_conditions), rows of 0 where there is none.
            class_weights: (1 + n_elements,), of the voxels of each class.
            rng: Random state.

        Returns:
            loss = reconstruction + beta kl, where reconstruction is squared (mean squared error), perceptual (mean
            squared difference of each level of the U-Net, summed) and segmentation (weighted cross-entropy and
            binary cross-entropy of the occupancy), each with its weight; and voxels_right, the share of the
            occupied voxels of true boxes whose element is right.
        """
        config = self.config
        q = self.encode(x, condition)
        drawn = self.draw(q.sample(rng), condition)
        squared = F.mse_loss(drawn, x)
        perceptual = self.perceptual_error(drawn, x)
        segmentation, right = self._segmentation(x, labels, class_weights)
        reconstruction = squared + config.perceptual_weight * perceptual + config.segmentation_weight * segmentation
        kl = q.kl().mean()
        return {
            "loss": reconstruction + config.beta * kl,
            "reconstruction": reconstruction,
            "kl": kl,
            "squared": squared,
            "perceptual": perceptual,
            "segmentation": segmentation,
            "voxels_right": right,
        }

    def perceptual_error(self, drawn: Tensor, x: Tensor) -> Tensor:
        """Compare by the layers of the U-Net as it stands; neither its weights nor its statistics learn from this."""
        was_training = self.unet.training
        self.unet.eval().requires_grad_(False)
        with torch.no_grad():
            expected = self.unet.features(x)
        differences = [
            (seen.float() - wanted.float()).square().mean()
            for seen, wanted in zip(self.unet.features(drawn), expected, strict=True)
        ]
        self.unet.train(was_training).requires_grad_(True)
        return torch.stack(differences).sum()

    def _segmentation(self, x: Tensor, labels: Tensor, class_weights: Tensor) -> tuple[Tensor, Tensor]:
        """Loss of both outputs of the U-Net, and the share of the occupied voxels whose element is right."""
        logits, occupancy = self.unet(x)
        occupied = labels > 0
        error = F.cross_entropy(logits.float(), labels, class_weights)
        error = error + F.binary_cross_entropy_with_logits(occupancy.float(), occupied.float())
        right = ((logits.argmax(1) == labels) & occupied).sum() / occupied.sum().clamp(min=1)
        return error, right

    def _condition(self, n: int, like: Tensor, condition: Tensor | None) -> Tensor:
        return like.new_zeros(n, self.config.n_conditions) if condition is None else condition.to(like.dtype)


def _single(n_in: int, n_out: int) -> list[nn.Module]:
    """Convolution, batch norm and leaky ReLU of the VAE."""
    return [nn.Conv3d(n_in, n_out, 3, padding=1, bias=False), nn.BatchNorm3d(n_out), nn.LeakyReLU(0.3)]


def _double(n_in: int, n_out: int) -> nn.Sequential:
    """Twice convolution, batch norm and ReLU of the U-Net."""
    layers = [
        layer
        for n_before in (n_in, n_out)
        for layer in (nn.Conv3d(n_before, n_out, 3, padding=1, bias=False), nn.BatchNorm3d(n_out), nn.ReLU())
    ]
    return nn.Sequential(*layers)
