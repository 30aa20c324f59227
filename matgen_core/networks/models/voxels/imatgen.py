"""iMatGen: an autoencoder of basis images, and a VAE over their codes and the cell with a classifier of stability.

After Noh et al. 2019. What differs, and why:

- The cell image is read by least squares, and the six numbers that it stands for go to the VAE. The paper has an
  autoencoder of 20 numbers for them; six are exact.
- One autoencoder reads the images of all elements, so another pair of elements needs no other network.
- Basis images have 32 points along each edge and not 64: peaks are fitted, so they are as exact.
- All is learned together. The paper learns one autoencoder after the other and then the VAE, whose errors in the codes
  the autoencoder has never seen.
- The VAE is made of plain layers and not of convolutions along the codes, in whose order there is no sense.
- A prior learns where the crystals lie, so that points can be drawn without two known ones to start from.

Reference: Noh et al., Matter 1, 1370 (2019), doi:10.1016/j.matt.2019.08.017
"""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from matgen_core.networks.arrays import basis
from matgen_core.networks.arrays.cells import lattice_from_parameters, lattice_parameters
from matgen_core.networks.models.parts.blocks import Gaussian
from matgen_core.networks.models.parts.latent_prior import LatentPrior, LatentPriorConfig

_PATCH = 4  # voxels along each edge of a block


@dataclass(frozen=True)
class IMatGenConfig:
    """Sizes of the network; a checkpoint stores exactly these fields."""

    n_elements: int = 2
    grid: int = 32  # points along each edge of all images, divisible by 8
    cell_width: float = 0.4  # of the Gaussian of the cell image in Å
    channels: tuple[int, int] = (72, 96)  # at an eighth and at a quarter of the grid; multiples of 8
    n_narrow: int = 24  # channels between the coarsest level and the code
    code_dim: int = 160  # of a basis image; 200 in the paper
    hidden: int = 448
    latent_dim: int = 128  # 500 in the paper
    # Of the logarithms of the three edges in Å and the three cosines, over the training crystals.
    lattice_mean: tuple[float, ...] = (1.5, 1.6, 1.8, 0.1, 0.1, 0.1)
    lattice_spread: tuple[float, ...] = (0.25, 0.25, 0.3, 0.25, 0.25, 0.25)
    beta: float = 1e-3  # weight of the KL term
    direct_weight: float = 0.3  # of images that are rebuilt from their codes alone
    coarse_weight: float = 0.5  # of coarser images: they tell an atom that is far from its place which way to go
    lattice_weight: float = 20.0
    stable_weight: float = 0.3
    prior_hidden: int = 128
    prior_blocks: int = 3


class IMatGen(nn.Module):
    """Images of a crystal to a latent point and back; `prior` draws latent points.

    The prior learns by itself, from the posteriors of a network that is trained: see `LatentPrior.loss`.
    """

    Config = IMatGenConfig
    lattice_scale: Tensor  # mean and spread, (2, 6)

    def __init__(self, config: IMatGenConfig) -> None:
        super().__init__()
        self.config = config
        fine, coarse = config.channels
        side = config.grid // (2 * _PATCH)
        self._coarse = (config.n_narrow, side, side, side)
        n_flat = config.n_narrow * side**3
        self.image_encoder = nn.Sequential(
            nn.Conv3d(1, fine, _PATCH, _PATCH),
            _Residual(fine),
            nn.Conv3d(fine, coarse, 3, 2, padding=1),
            nn.SiLU(),
            nn.Conv3d(coarse, config.n_narrow, 1),
            nn.Flatten(),
            nn.Linear(n_flat, config.code_dim),
        )
        self.to_coarse = nn.Sequential(nn.Linear(config.code_dim, n_flat), nn.SiLU())
        self.image_decoder = nn.Sequential(
            nn.Conv3d(config.n_narrow, coarse, 1),
            nn.Upsample(scale_factor=2.0),
            nn.Conv3d(coarse, fine, 3, padding=1),
            _Residual(fine),
            _Residual(fine),
            nn.GroupNorm(8, fine),
            nn.SiLU(),
            nn.Conv3d(fine, _PATCH**3, 1),
        )
        n_codes = config.n_elements * config.code_dim + 6
        self.to_latent = _Beside(n_codes, config.hidden, 2 * config.latent_dim)
        self.from_latent = _Beside(config.latent_dim, config.hidden, n_codes)
        self.to_stable = nn.Sequential(nn.Linear(config.latent_dim, config.hidden // 2), nn.SiLU())
        self.to_odds = nn.Linear(config.hidden // 2, 1)
        self.prior = LatentPrior(
            LatentPriorConfig(config.latent_dim, hidden=config.prior_hidden, n_blocks=config.prior_blocks)
        )
        scale = torch.tensor([config.lattice_mean, config.lattice_spread])
        self.register_buffer("lattice_scale", scale, persistent=False)
        # Most voxels are empty: a random drawing would start with an error many times that of an empty box.
        nn.init.normal_(self.image_decoder[-1].weight, std=0.01)  # type: ignore[arg-type]
        nn.init.zeros_(self.image_decoder[-1].bias)  # type: ignore[arg-type]

    @property
    def latent_dim(self) -> int:
        """Number of latent coordinates."""
        return self.config.latent_dim

    def draw_from_prior(
        self, noise: Tensor, condition: Tensor | None = None, center: Tensor | None = None, width: float = 1.0
    ) -> Tensor:
        """Carry noise (n, latent_dim) to latent points; arguments as in `LatentPrior.sample`."""
        return self.prior.sample(noise, condition, center, width)

    def encode(self, x: Tensor) -> Gaussian:
        """Map images (B, 1 + n_elements, N, N, N), the cell's first, to q(z | x) over (B, latent_dim)."""
        return self.posterior(x[:, 1:], basis.lattice_of_image(x[:, 0].float(), self.config.cell_width))

    def posterior(self, images: Tensor, lattice: Tensor) -> Gaussian:
        """Map basis images (B, n_elements, N, N, N) and cells (B, 3, 3) in Å to q(z | x)."""
        return self._latent(self._codes(images), self._scaled(lattice))

    def decode(self, z: Tensor) -> Tensor:
        """Map (B, latent_dim) to images (B, 1 + n_elements, N, N, N), the cell's first."""
        images, lattice = self.decode_parts(z)
        cell = basis.cell_image(lattice, self.config.grid, self.config.cell_width)
        return torch.cat([cell.unsqueeze(1), images], 1)

    def decode_parts(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Map (B, latent_dim) to basis images (B, n_elements, N, N, N) and cells (B, 3, 3) in Å."""
        codes, scaled = self._from_latent(z)
        mean, spread = self.lattice_scale
        found = scaled * spread + mean
        parameters = torch.cat([found[:, :3].clamp(0.2, 3.2).exp(), found[:, 3:].clamp(-0.9, 0.9)], 1)
        return self._images(codes), lattice_from_parameters(parameters)

    def stable(self, z: Tensor) -> Tensor:
        """Return the logarithm of the odds that a crystal is stable, (B,)."""
        odds: Tensor = self.to_odds(self.to_stable(z)).squeeze(1)
        return odds.float()

    def loss(
        self, images: Tensor, lattice: Tensor, is_stable: Tensor, rng: Generator | None = None
    ) -> dict[str, Tensor]:
        """Return "loss" and its parts, each averaged over the batch.

        Args:
            images: Basis images, (B, n_elements, N, N, N).
            lattice: (B, 3, 3) in Å.
            is_stable: (B,), 1 or 0; NaN where it is not known.
            rng: Random state.

        Returns:
            loss = reconstruction + beta kl, where reconstruction is the sum of the squared errors of the images by way
            of the latent point (as they are and coarser), of those by way of their codes alone, and of the cell (in
            spreads), and the cross-entropy of the class, each with its weight; and stable_right, the mean of the shares
            of both classes that are right.
        """
        config = self.config
        scaled = self._scaled(lattice)
        codes = self._codes(images)
        q = self._latent(codes, scaled)
        z = q.sample(rng)
        found_codes, found_scaled = self._from_latent(z)
        image_error, coarse_error = self._errors(found_codes, images)
        direct_error, direct_coarse = self._errors(codes, images)
        lattice_error = (found_scaled - scaled).square().mean()
        known = is_stable.isfinite()
        truth = torch.where(known, is_stable, 0.0)
        odds = self.stable(z)
        share = (truth * known).sum() / known.sum().clamp(min=1)
        balance = torch.where(truth > 0.5, 0.5 / share.clamp(min=0.02), 0.5 / (1 - share).clamp(min=0.02)) * known
        each = F.binary_cross_entropy_with_logits(odds, truth, reduction="none")
        stable_error = (each * balance).sum() / known.sum().clamp(min=1)
        right = ((odds > 0) == (truth > 0.5)).float()
        reconstruction = (
            image_error
            + config.coarse_weight * coarse_error
            + config.direct_weight * (direct_error + config.coarse_weight * direct_coarse)
            + config.lattice_weight * lattice_error
            + config.stable_weight * stable_error
        )
        kl = q.kl().mean()
        return {
            "loss": reconstruction + config.beta * kl,
            "reconstruction": reconstruction,
            "kl": kl,
            "images": image_error,
            "images_of_codes": direct_error,
            "lattice": lattice_error,
            "stable": stable_error,
            "stable_right": (right * balance).sum() / balance.sum().clamp(min=1e-6),
        }

    def _codes(self, images: Tensor) -> Tensor:
        """Code of each basis image, (B, n_elements * code_dim)."""
        flat = images.flatten(0, 1).unsqueeze(1).contiguous(memory_format=torch.channels_last_3d)
        codes: Tensor = self.image_encoder(flat)
        return codes.view(len(images), self.config.n_elements * self.config.code_dim)

    def _images(self, codes: Tensor) -> Tensor:
        """Basis images (B, n_elements, N, N, N) of codes."""
        config = self.config
        coarse = self.to_coarse(codes.reshape(-1, config.code_dim)).view(-1, *self._coarse)
        blocks = self.image_decoder(coarse.contiguous(memory_format=torch.channels_last_3d))
        side = config.grid // _PATCH
        found = blocks.view(len(blocks), _PATCH, _PATCH, _PATCH, side, side, side).permute(0, 4, 1, 5, 2, 6, 3)
        return found.reshape(-1, config.n_elements, config.grid, config.grid, config.grid).float()

    def _latent(self, codes: Tensor, scaled: Tensor) -> Gaussian:
        mean, log_var = self.to_latent(torch.cat([codes, scaled.to(codes.dtype)], 1)).float().chunk(2, dim=-1)
        # It starts with little noise: an image is learned late from points that noise has carried away.
        return Gaussian(mean, (log_var - 5).clamp(-12.0, 8.0))

    def _from_latent(self, z: Tensor) -> tuple[Tensor, Tensor]:
        found = self.from_latent(z)
        return found[:, :-6], found[:, -6:].float()

    def _errors(self, codes: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
        """Squared error of the images of codes, and the sum of those of the images made coarser twice."""
        off = self._images(codes) - images
        error, coarse = off.square().flatten(1).sum(1).mean(), torch.zeros((), device=off.device)
        for scale in (2, 4):
            off = F.avg_pool3d(off, 2)
            coarse = coarse + scale**3 * off.square().flatten(1).sum(1).mean()
        return error, coarse

    def _scaled(self, lattice: Tensor) -> Tensor:
        """Logarithms of the edges and cosines in spreads from the mean, (B, 6)."""
        mean, spread = self.lattice_scale
        parameters = lattice_parameters(lattice.float())
        return (torch.cat([parameters[:, :3].clamp(min=1e-3).log(), parameters[:, 3:]], 1) - mean) / spread


class _Beside(nn.Module):
    """Three layers beside a linear map, which lets images through from the first step on."""

    def __init__(self, n_in: int, hidden: int, n_out: int) -> None:
        super().__init__()
        self.straight = nn.Linear(n_in, n_out)
        self.layers = nn.Sequential(
            nn.Linear(n_in, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, n_out)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, n_in) to (B, n_out)."""
        found: Tensor = self.straight(x) + self.layers(x)
        return found


class _Residual(nn.Module):
    """Two convolutions beside the identity; a box ends at its walls, unlike a periodic cell."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.GroupNorm(8, n_channels),
            nn.SiLU(),
            nn.Conv3d(n_channels, n_channels, 3, padding=1),
            nn.GroupNorm(8, n_channels),
            nn.SiLU(),
            nn.Conv3d(n_channels, n_channels, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, n_channels, X, Y, Z) to the same shape."""
        found: Tensor = x + self.layers(x)
        return found
