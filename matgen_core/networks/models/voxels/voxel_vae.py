"""VAE of crystals of any symmetry as voxels, with their cell, and an attention U-Net that names the species.

After Hoffmann et al. 2019. What differs, and why:

- The crystal stands in its reduced primitive cell and not in a box of 10 Å, so nothing is cut off, and the lattice is
  decoded beside the density; the paper's repeating form loses it.
- Every site is a Gaussian of height 1 on a grid that goes with the cell, 0.8 steps wide; the paper
  draws atomic numbers with a width of 1 Å, in which bonded atoms run into one.
- The U-Net reads the latent point too, painted on the grid by the decoder. From the density alone a species can be
  guessed at best, and the paper has no other way.
- Species are a code of a few numbers an element, and the loss asks at each site which element its code is nearest
  to; the paper labels single voxels with 95 classes.
- The encoder and the decoder are transformers over blocks of 4 x 4 x 4 voxels and summary tokens that become the
  latent point: a convolution sees as far as its kernel, a cell of any symmetry repeats anywhere. They are matrix
  products throughout, which is what a GPU is quick at.
- The U-Net works on blocks of 2 x 2 x 2 voxels for the same reason, periodically, with gates as in the paper's.

References: Hoffmann et al. (2019), arXiv:1909.00949; Oktay et al. (2018), arXiv:1804.03999 (attention gates)
"""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from matgen_core.networks.arrays import density
from matgen_core.networks.arrays.cells import lattice_from_parameters, lattice_parameters
from matgen_core.networks.models.parts.blocks import Gaussian
from matgen_core.networks.models.parts.latent_prior import LatentPrior, LatentPriorConfig
from matgen_core.networks.models.parts.site_species import species_error
from matgen_core.networks.models.parts.transformer import TransformerBlock, blocks_of, voxels_of

_PATCH = 4  # voxels along each edge of a token
_FINE = 2  # and along each edge of a block of the U-Net


@dataclass(frozen=True)
class VoxelVAEConfig:
    """Sizes of the network; a checkpoint stores exactly these fields."""

    n_codes: int = 16  # numbers that stand for an element
    grid: tuple[int, int, int] = (16, 16, 24)  # points along each edge, divisible by 4
    width: float = 0.8  # of a site's Gaussian, in steps of the grid
    n_summaries: int = 16  # tokens that become the latent point
    per_summary: int = 16  # latent coordinates of each
    tokens: int = 192  # width of the transformers
    heads: int = 6
    encoder_blocks: int = 4
    decoder_blocks: int = 5
    painted: int = 24  # channels in which the decoder tells the U-Net of the latent point
    unet: tuple[int, int] = (48, 96)  # channels of its two levels
    # Of the logarithms of the three edges in Å and the three cosines, over the training crystals.
    lattice_mean: tuple[float, ...] = (1.6, 1.7, 1.95, 0.15, 0.15, 0.15)
    lattice_spread: tuple[float, ...] = (0.25, 0.25, 0.3, 0.25, 0.25, 0.25)
    beta: float = 0.005  # weight of the KL term
    code_weight: float = 0.3
    species_weight: float = 4.0
    lattice_weight: float = 30.0
    prior_hidden: int = 160
    prior_blocks: int = 4


class VoxelVAE(nn.Module):
    """Voxels of a crystal in its reduced cell to a latent point and back; `prior` draws latent points.

    The prior learns by itself, from the posteriors of a network that is trained: see `LatentPrior.loss`.
    """

    Config = VoxelVAEConfig
    widths: Tensor  # of a site's Gaussian as fractions of the edges, (1, 1, 3)
    lattice_scale: Tensor  # mean and spread, (2, 6)

    def __init__(self, config: VoxelVAEConfig) -> None:
        super().__init__()
        self.config = config
        width, n_drawn = config.tokens, 1 + config.n_codes
        n_patches = 1
        for n in config.grid:
            n_patches *= n // _PATCH
        self.from_patch = nn.Linear(n_drawn * _PATCH**3, width)
        self.from_whole = nn.Linear(6 + n_drawn, width)  # lattice, and sums over the cell: how much of what there is
        self.place_seen = nn.Parameter(0.02 * torch.randn(n_patches, width))
        self.summaries = nn.Parameter(0.02 * torch.randn(config.n_summaries, width))
        self.encoder = nn.Sequential(*(TransformerBlock(width, config.heads) for _ in range(config.encoder_blocks)))
        self.to_latent = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * config.per_summary))
        self.from_latent = nn.Linear(config.per_summary, width)
        self.place_drawn = nn.Parameter(0.02 * torch.randn(n_patches, width))
        self.told = nn.Parameter(0.02 * torch.randn(config.n_summaries, width))
        self.decoder = nn.Sequential(*(TransformerBlock(width, config.heads) for _ in range(config.decoder_blocks)))
        self.to_density = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, _PATCH**3))
        self.to_paint = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, config.painted * (_PATCH // _FINE) ** 3))
        self.to_lattice = nn.Sequential(
            nn.Linear(self.latent_dim, 2 * width),
            nn.SiLU(),
            nn.Linear(2 * width, width),
            nn.SiLU(),
            nn.Linear(width, 6),
        )
        self.unet = AttentionUNet(_FINE**3 + config.painted, n_drawn * _FINE**3, config.unet)
        self.prior = LatentPrior(
            LatentPriorConfig(self.latent_dim, hidden=config.prior_hidden, n_blocks=config.prior_blocks)
        )
        steps = torch.tensor(config.grid).view(1, 1, 3)
        self.register_buffer("widths", config.width / steps, persistent=False)
        scale = torch.tensor([config.lattice_mean, config.lattice_spread])
        self.register_buffer("lattice_scale", scale, persistent=False)
        # Most voxels are empty: a random drawing would start with an error many times that of an empty cell.
        for last in (self.to_density[1], self.unet.last[1]):
            nn.init.normal_(last.weight, std=0.01)  # type: ignore[arg-type]
            nn.init.zeros_(last.bias)  # type: ignore[arg-type]

    @property
    def latent_dim(self) -> int:
        """Number of latent coordinates."""
        return self.config.n_summaries * self.config.per_summary

    def draw_from_prior(
        self, noise: Tensor, condition: Tensor | None = None, center: Tensor | None = None, width: float = 1.0
    ) -> Tensor:
        """Carry noise (n, latent_dim) to latent points; arguments as in `LatentPrior.sample`."""
        return self.prior.sample(noise, condition, center, width)

    def encode(self, x: Tensor) -> Gaussian:
        """Map voxels (B, 4 + n_codes, X, Y, Z) to q(z | x) over (B, latent_dim).

        Args:
            x: Density, three coordinate channels in Å, species codes.
        """
        return self.posterior(torch.cat([x[:, :1], x[:, 4:]], 1), density.lattice_of(x[:, 1:4].float()))

    def posterior(self, drawn: Tensor, lattice: Tensor) -> Gaussian:
        """Map density and codes (B, 1 + n_codes, X, Y, Z) with lattices (B, 3, 3) in Å to q(z | x)."""
        return self._encode(drawn, self._scaled(lattice))

    def decode(self, z: Tensor) -> Tensor:
        """Map (B, latent_dim) to voxels (B, 4 + n_codes, X, Y, Z)."""
        _, drawn, scaled = self._draw(z)
        mean, spread = self.lattice_scale
        found = scaled * spread + mean
        lattice = lattice_from_parameters(
            torch.cat([found[:, :3].clamp(0.4, 4.6).exp(), found[:, 3:].clamp(-0.99, 0.99)], 1)
        )
        return torch.cat([drawn[:, :1], density.coordinates(lattice, self.config.grid), drawn[:, 1:]], 1)

    def loss(
        self,
        drawn: Tensor,
        lattice: Tensor,
        frac_coords: Tensor,
        species: Tensor,
        codes: Tensor,
        class_weights: Tensor,
        rng: Generator | None = None,
    ) -> dict[str, Tensor]:
        """Return "loss" and its parts, each averaged over the batch.

        Args:
            drawn: Density and codes, (B, 1 + n_codes, X, Y, Z).
            lattice: (B, 3, 3) in Å.
            frac_coords: (B, n, 3), the sites that were drawn.
            species: (B, n), place of each site's element in `codes`; -1 for padding.
            codes: (n_elements, n_codes).
            class_weights: (n_elements,), weight of a site of each element in the species term.
            rng: Random state.

        Returns:
            loss = reconstruction + beta kl, where reconstruction is the sum of density, codes (squared errors
            summed over voxels), species (cross-entropy, averaged over the sites of a crystal) and lattice (squared
            errors in spreads), each with its weight; and species_right, the share of sites whose element is right.
        """
        config = self.config
        scaled = self._scaled(lattice)
        q = self._encode(drawn, scaled)
        first, found, of_lattice = self._draw(q.sample(rng))
        # The decoder's own density counts a little, so that the U-Net starts from something like a crystal.
        squared = (found - drawn).square()
        density_error = squared[:, 0].flatten(1).sum(1).mean()
        first_error = (first - drawn[:, 0]).square().flatten(1).sum(1).mean()
        code_error = squared[:, 1:].flatten(1).sum(1).mean()
        of_species, right = species_error(found[:, 1:], frac_coords, species, codes, class_weights, self.widths)
        lattice_error = (of_lattice - scaled).square().mean()
        reconstruction = (
            density_error
            + 0.2 * first_error
            + config.code_weight * code_error
            + config.species_weight * of_species
            + config.lattice_weight * lattice_error
        )
        kl = q.kl().mean()
        return {
            "loss": reconstruction + config.beta * kl,
            "reconstruction": reconstruction,
            "kl": kl,
            "density": density_error,
            "codes": code_error,
            "species": of_species,
            "lattice": lattice_error,
            "species_right": right,
        }

    def _encode(self, drawn: Tensor, scaled: Tensor) -> Gaussian:
        tokens = self.from_patch(blocks_of(drawn, _PATCH).flatten(1, 3)) + self.place_seen
        # A Gaussian of height 1 has this sum, so the sums are numbers of sites and sums of their codes.
        per_site = (2 * torch.pi) ** 1.5 * self.config.width**3
        sums = drawn.flatten(2).sum(2) / per_site
        whole = self.from_whole(torch.cat([scaled, 0.1 * sums], 1).to(tokens.dtype)).unsqueeze(1)
        summaries = self.summaries.expand(len(drawn), -1, -1).to(tokens.dtype)
        seen = self.encoder(torch.cat([summaries, whole, tokens], 1))[:, : self.config.n_summaries]
        mean, log_var = self.to_latent(seen).float().chunk(2, dim=-1)
        return Gaussian(mean.flatten(1), log_var.flatten(1).clamp(-12.0, 8.0))

    def _draw(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Decoder's density (B, X, Y, Z), the drawing (B, 1 + n_codes, X, Y, Z), and the scaled lattice (B, 6)."""
        config = self.config
        told = self.from_latent(z.unflatten(1, (config.n_summaries, config.per_summary))) + self.told
        places = self.place_drawn.expand(len(z), -1, -1).to(told.dtype)
        tokens = self.decoder(torch.cat([told, places], 1))[:, config.n_summaries :]
        coarse = tuple(n // _PATCH for n in config.grid)
        first = voxels_of(self.to_density(tokens).unflatten(1, coarse), _PATCH)  # (B, 1, X, Y, Z)
        n_fine = _PATCH // _FINE
        paint = _spread(self.to_paint(tokens).unflatten(1, coarse), n_fine)
        found = self.unet(torch.cat([blocks_of(first, _FINE), paint], -1))
        changed = voxels_of(found, _FINE).float()
        first = first.float()
        drawn = torch.cat([first + changed[:, :1], changed[:, 1:]], 1)
        return first[:, 0], drawn, self.to_lattice(z).float()

    def _scaled(self, lattice: Tensor) -> Tensor:
        """Logarithms of the edges and cosines in spreads from the mean, (B, 6)."""
        mean, spread = self.lattice_scale
        parameters = lattice_parameters(lattice.float())
        return (torch.cat([parameters[:, :3].clamp(min=1e-3).log(), parameters[:, 3:]], 1) - mean) / spread


class AttentionUNet(nn.Module):
    """Two periodic levels, the finer of which passes a gate that the coarser one opens; channels last."""

    def __init__(self, n_in: int, n_out: int, channels: tuple[int, int]) -> None:
        super().__init__()
        fine, coarse = channels
        self.first = nn.Sequential(_Conv(n_in, fine), _Residual(fine))
        self.down = nn.Linear(8 * fine, coarse)
        self.bottom = _Residual(coarse)
        self.up = nn.Linear(coarse, 8 * fine)
        self.gate_fine, self.gate_coarse = nn.Linear(fine, fine // 2), nn.Linear(fine, fine // 2)
        self.gate = nn.Linear(fine // 2, 1)
        self.join = nn.Sequential(_Conv(2 * fine, fine), _Residual(fine))
        self.last = nn.Sequential(nn.LayerNorm(fine), nn.Linear(fine, n_out))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, X, Y, Z, n_in) to (B, X, Y, Z, n_out); each of X, Y, Z even."""
        skipped = self.first(x)
        deep = self.bottom(self.down(_gathered(skipped, 2)))
        up = _spread(self.up(deep), 2)
        opened = torch.sigmoid(self.gate(F.silu(self.gate_fine(skipped) + self.gate_coarse(up))))
        return self.last(self.join(torch.cat([opened * skipped, up], -1)))


class _Conv(nn.Module):
    """3 x 3 x 3 convolution over a periodic cell, channels last."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(n_in, n_out, 3)

    def forward(self, x: Tensor) -> Tensor:
        # Circular padding of the library leaves this order of memory, and copies twice to come back to it.
        for axis in (1, 2, 3):
            x = torch.cat([x.narrow(axis, x.shape[axis] - 1, 1), x, x.narrow(axis, 0, 1)], axis)
        return self.conv(x.permute(0, 4, 1, 2, 3)).permute(0, 2, 3, 4, 1)


class _Residual(nn.Module):
    """Two convolutions beside the identity, channels last."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LayerNorm(n_channels),
            nn.SiLU(),
            _Conv(n_channels, n_channels),
            nn.LayerNorm(n_channels),
            nn.SiLU(),
            _Conv(n_channels, n_channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


def _spread(x: Tensor, size: int) -> Tensor:
    """Give each block (B, X, Y, Z, C size^3) its size^3 finer ones, (B, X size, Y size, Z size, C)."""
    n, *grid, c = x.shape
    cut = x.view(n, *grid, size, size, size, c // size**3).permute(0, 1, 4, 2, 5, 3, 6, 7)
    return cut.reshape(n, *(edge * size for edge in grid), c // size**3)


def _gathered(x: Tensor, size: int) -> Tensor:
    """Undo `_spread`."""
    n, *grid, c = x.shape
    cut = x.view(n, *(part for edge in grid for part in (edge // size, size)), c)
    return cut.permute(0, 1, 3, 5, 2, 4, 6, 7).flatten(4)
