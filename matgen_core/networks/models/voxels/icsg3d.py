"""VAE of crystals as voxels, density, species and cell, and a conditional prior over its latent points.

After Court et al. 2020. What differs, and why:

- The cell edge is one number, encoded and decoded as such; the paper reads it off three decoded coordinate
  channels. The array keeps these channels, so both speak the same layout.
- Species are a code of a few numbers an element, drawn like the density, and the loss asks at each site which
  element its decoded code is nearest to. The paper labels single voxels with 95 classes.
- The U-Net cleans what the decoder drew, density and species together, and is trained with it.
- Convolutions are periodic.
- The formation energy conditions the drawing of a latent point and not its decoding. In the paper it goes to the
  encoder and the decoder; that was tried here, and the decoder did not hear it: a latent point tells the composition
  already, and of crystals decoded under a class of energy as few were in it (10 %, by an independent network) as
  without one (13 %).

Reference: Court et al., J. Chem. Inf. Model. 60, 4518 (2020), doi:10.1021/acs.jcim.0c00464
"""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from matgen_core.networks.arrays import density
from matgen_core.networks.models.parts.blocks import Gaussian, Residual3d, conv3d, one_hot_classes
from matgen_core.networks.models.parts.latent_prior import LatentPrior, LatentPriorConfig
from matgen_core.networks.models.parts.site_species import species_error
from matgen_core.networks.models.parts.unet import UNet, UNetConfig


@dataclass(frozen=True)
class ICSG3DConfig:
    """Sizes of the network; a checkpoint stores exactly these fields.

    `condition_edges` are the inner edges of the classes of the condition, the formation energy per atom; a recipe
    puts them at quantiles of its training crystals.
    """

    n_codes: int = 16  # numbers that stand for an element
    grid: int = 16  # grid points along each edge, divisible by 2^(levels - 1)
    width: float = 0.05  # of a site's Gaussian, as a fraction of the edge
    latent_dim: int = 128
    condition_edges: tuple[float, ...] = (-2.0, -1.5, -1.0, -0.7, -0.5, -0.35, -0.2, 0.0, 0.2)  # eV/atom, see below
    channels: tuple[int, ...] = (40, 56, 80)  # one level each, finest first; multiples of 8
    n_narrow: int = 24  # channels between the coarsest level and the latent point
    refiner: tuple[int, ...] = (24, 40)  # levels of the U-Net
    edge_mean: float = 1.8  # of the logarithm of the edge in Å, over the training crystals
    edge_spread: float = 0.3
    beta: float = 0.01  # weight of the KL term
    species_weight: float = 1.0
    edge_weight: float = 20.0
    prior_hidden: int = 160
    prior_blocks: int = 4
    guidance: float = 2.0  # of the learned prior

    @property
    def n_conditions(self) -> int:
        """Classes of the condition; 0 for a model without one."""
        return len(self.condition_edges) + 1 if self.condition_edges else 0


class ICSG3D(nn.Module):
    """Voxels of a cubic crystal to a latent point and back; `prior` draws latent points under a condition.

    The prior learns by itself, from the posteriors of a network that is trained: see `LatentPrior.loss`.
    """

    Config = ICSG3DConfig

    def __init__(self, config: ICSG3DConfig) -> None:
        super().__init__()
        self.config = config
        channels = config.channels
        n_drawn = 1 + config.n_codes  # density and species
        coarse_grid = config.grid // 2 ** (len(channels) - 1)
        self._coarse = (config.n_narrow, coarse_grid, coarse_grid, coarse_grid)
        n_flat = config.n_narrow * coarse_grid**3
        down: list[nn.Module] = [conv3d(n_drawn, channels[0]), Residual3d(channels[0])]
        up: list[nn.Module] = [conv3d(config.n_narrow, channels[-1]), Residual3d(channels[-1])]
        for i in range(1, len(channels)):
            down += [conv3d(channels[i - 1], channels[i], stride=2), Residual3d(channels[i])]
            up += [nn.Upsample(scale_factor=2.0), conv3d(channels[-i], channels[-i - 1]), Residual3d(channels[-i - 1])]
        self.encoder = nn.Sequential(*down, nn.SiLU(), nn.Conv3d(channels[-1], config.n_narrow, 1))
        self.to_latent = nn.Linear(n_flat + 1, 2 * config.latent_dim)
        self.from_latent = nn.Sequential(
            nn.Linear(config.latent_dim, 2 * config.latent_dim),
            nn.SiLU(),
            nn.Linear(2 * config.latent_dim, n_flat),
        )
        self.to_edge = nn.Sequential(nn.Linear(config.latent_dim, 64), nn.SiLU(), nn.Linear(64, 1))
        self.decoder = nn.Sequential(*up, nn.SiLU(), nn.Conv3d(channels[0], n_drawn, 1))
        self.refiner = UNet(UNetConfig(n_drawn, n_drawn, config.refiner))
        self.prior = LatentPrior(
            LatentPriorConfig(
                config.latent_dim,
                config.n_conditions,
                config.prior_hidden,
                config.prior_blocks,
                guidance=config.guidance,
            )
        )
        # Most voxels are empty: a random drawing would start with an error many times that of an empty cell.
        for last in (self.decoder[-1], self.refiner.last[-1]):
            nn.init.normal_(last.weight, std=0.01)  # type: ignore[arg-type]
            nn.init.zeros_(last.bias)  # type: ignore[arg-type]

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

    def draw_from_prior(
        self, noise: Tensor, condition: Tensor | None = None, center: Tensor | None = None, width: float = 1.0
    ) -> Tensor:
        """Carry noise (n, latent_dim) to latent points; arguments as in `LatentPrior.sample`."""
        return self.prior.sample(noise, condition, center, width)

    def encode(self, x: Tensor) -> Gaussian:
        """Map voxels (B, 4 + n_codes, N, N, N) to q(z | x) over (B, latent_dim).

        Args:
            x: Density, three coordinate channels in Å, species codes.
        """
        edge = (_edge_of(x).log() - self.config.edge_mean) / self.config.edge_spread
        drawn = torch.cat([x[:, :1], x[:, 4:]], 1)
        seen = self.encoder(drawn.contiguous(memory_format=torch.channels_last_3d)).flatten(1)
        known = torch.cat([seen, edge.to(seen.dtype).unsqueeze(1)], 1)
        mean, log_var = self.to_latent(known).float().chunk(2, dim=-1)
        return Gaussian(mean, log_var.clamp(-12.0, 8.0))

    def decode(self, z: Tensor) -> Tensor:
        """Map (B, latent_dim) to voxels (B, 4 + n_codes, N, N, N)."""
        _, drawn, log_edge = self._draw(z)
        n = self.config.grid
        edge = log_edge.exp().view(-1, 1, 1) * torch.eye(3, device=z.device)
        return torch.cat([drawn[:, :1], density.coordinates(edge, (n, n, n)), drawn[:, 1:]], 1)

    def loss(
        self,
        x: Tensor,
        frac_coords: Tensor,
        species: Tensor,
        codes: Tensor,
        class_weights: Tensor,
        rng: Generator | None = None,
    ) -> dict[str, Tensor]:
        """Return "loss" and its parts, each averaged over the batch.

        Args:
            x: Voxels, (B, 4 + n_codes, N, N, N).
            frac_coords: (B, n, 3), the sites that were drawn.
            species: (B, n), place of each site's element in `codes`; -1 for padding.
            codes: (n_elements, n_codes).
            class_weights: (n_elements,), weight of a site of each element in the species term.
            rng: Random state.

        Returns:
            loss = reconstruction + beta kl, where reconstruction is the sum of density, codes (squared errors
            summed over voxels), species (cross-entropy, averaged over the sites of a crystal) and edge, each with
            its weight; and species_right, the share of sites whose element is right.
        """
        config = self.config
        q = self.encode(x)
        first, drawn, log_edge = self._draw(q.sample(rng))
        target = torch.cat([x[:, :1], x[:, 4:]], 1)
        # The decoder's own drawing counts a little, so that the refiner starts from something like a crystal.
        squared = (drawn - target).square() + 0.2 * (first - target).square()
        density_error, code_error = squared[:, 0].flatten(1).sum(1).mean(), squared[:, 1:].flatten(1).sum(1).mean()
        widths = torch.full((1, 1, 3), config.width, device=x.device)
        of_species, right = species_error(drawn[:, 1:], frac_coords, species, codes, class_weights, widths)
        edge_error = ((log_edge - _edge_of(x).log()) / config.edge_spread).square().mean()
        reconstruction = (
            density_error + code_error + config.species_weight * of_species + config.edge_weight * edge_error
        )
        kl = q.kl().mean()
        return {
            "loss": reconstruction + config.beta * kl,
            "reconstruction": reconstruction,
            "kl": kl,
            "density": density_error,
            "codes": code_error,
            "species": of_species,
            "edge": edge_error,
            "species_right": right,
        }

    def _draw(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Decoder's drawing and the refined one, (B, 1 + n_codes, N, N, N), and the logarithm of the edge, (B,)."""
        coarse = self.from_latent(z).view(-1, *self._coarse)
        first = self.decoder(coarse.contiguous(memory_format=torch.channels_last_3d))
        drawn = first + self.refiner(first)
        log_edge = self.to_edge(z).squeeze(1).float() * self.config.edge_spread + self.config.edge_mean
        return first.float(), drawn.float(), log_edge.clamp(0.5, 4.0)


def _edge_of(x: Tensor) -> Tensor:
    """Mean cell edge in Å, (B,)."""
    return density.lattice_of(x[:, 1:4].float()).norm(dim=-1).mean(1)
