"""iMatGen: an autoencoder of basis images, and a VAE over their codes and the cell with a classifier of stability.

After Noh et al. 2019. What differs, and why:

- The cell image is read by least squares, and the six numbers that it stands for go to the VAE. The paper has an
  autoencoder of 20 numbers for them; six are exact.
- One autoencoder reads the images of all elements, so another pair of elements needs no other network.
- Basis images have 32 points along each edge and not 64: peaks are fitted, so they are as exact.
- All is learned together. The paper learns one autoencoder after the other and then the VAE, whose errors in the codes
  the autoencoder has never seen.
- Images are read and drawn by transformers over blocks of 8 x 8 x 8 voxels, and a code is a few tokens of them. They
  are matrix products throughout, which a GPU is quick at, and see all of an image at once.
- The VAE is a transformer over the tokens of all codes and the cell. The paper's convolutions run along the codes, in
  whose order there is no sense.
- It has seen crystals of all elements, drawn as if they were of these two.
- Encoding goes on where the encoder ends: some steps down the error of what the point is decoded to (Kim et al. 2018).
  The decoder can draw many a crystal that the encoder places a little beside.
- A prior learns where the crystals lie, so that points can be drawn without two known ones to start from.

References: Noh et al., Matter 1, 1370 (2019), doi:10.1016/j.matt.2019.08.017; Kim et al. (2018), arXiv:1802.02550
(semi-amortized variational autoencoders)
"""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from matgen_core.networks.arrays import basis
from matgen_core.networks.arrays.cells import lattice_from_parameters, lattice_parameters
from matgen_core.networks.models.parts.blocks import Gaussian
from matgen_core.networks.models.parts.latent_prior import LatentPrior, LatentPriorConfig
from matgen_core.networks.models.parts.transformer import TransformerBlock, blocks_of, voxels_of

_PATCH = 8  # voxels along each edge of a token


@dataclass(frozen=True)
class IMatGenConfig:
    """Sizes of the network; a checkpoint stores exactly these fields."""

    n_elements: int = 2
    grid: int = 32  # points along each edge of all images, divisible by 8
    cell_width: float = 0.4  # of the Gaussian of the cell image in Å
    n_summaries: int = 8  # tokens that become the code of a basis image
    per_summary: int = 20  # numbers of each: 160 a code; 200 in the paper
    tokens: int = 192  # width of the transformers
    heads: int = 6
    image_blocks: tuple[int, int] = (3, 4)  # of the image encoder and decoder
    code_blocks: tuple[int, int] = (3, 3)  # of the encoder and decoder of the VAE
    voxel_hidden: int = 512  # of the layers between a token and its block of voxels
    n_latent: int = 16  # tokens that become the latent point
    per_latent: int = 8  # latent coordinates of each: 128; 500 in the paper
    # Of the logarithms of the three edges in Å and the three cosines, over the training crystals.
    lattice_mean: tuple[float, ...] = (1.5, 1.6, 1.8, 0.1, 0.1, 0.1)
    lattice_spread: tuple[float, ...] = (0.25, 0.25, 0.3, 0.25, 0.25, 0.25)
    beta: float = 1e-3  # weight of the KL term
    direct_weight: float = 0.3  # of images that are rebuilt from their codes alone
    coarse_weight: float = 0.5  # of coarser images: they tell an atom that is far from its place which way to go
    lattice_weight: float = 50.0
    stable_weight: float = 0.3
    fit_steps: int = 40  # by which the encoder's point moves to where it is decoded as the crystal
    fit_rate: float = 0.08  # first of them, falling to 0
    fit_lattice_weight: float = 1000.0  # there; in learning, the cell is soon exact beside the images
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
        width, n_voxels = config.tokens, _PATCH**3
        n_patches = (config.grid // _PATCH) ** 3

        def blocks(n: int) -> nn.Sequential:
            return nn.Sequential(*(TransformerBlock(width, config.heads) for _ in range(n)))

        def places(n: int) -> nn.Parameter:
            return nn.Parameter(0.02 * torch.randn(n, width))

        self.from_voxels = nn.Sequential(
            nn.Linear(n_voxels, config.voxel_hidden), nn.GELU(), nn.Linear(config.voxel_hidden, width)
        )
        self.place_seen, self.summaries = places(n_patches), places(config.n_summaries)
        self.image_encoder = blocks(config.image_blocks[0])
        self.to_code = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, config.per_summary))
        self.from_code, self.told_code = nn.Linear(config.per_summary, width), places(config.n_summaries)
        self.place_drawn = places(n_patches)
        self.image_decoder = blocks(config.image_blocks[1])
        self.to_voxels = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, config.voxel_hidden),
            nn.GELU(),
            nn.Linear(config.voxel_hidden, n_voxels),
        )
        n_codes = config.n_elements * config.n_summaries
        self.code_seen, self.place_code_seen = nn.Linear(config.per_summary, width), places(n_codes)
        self.cell_seen, self.latents = nn.Linear(6, width), places(config.n_latent)
        self.code_encoder = blocks(config.code_blocks[0])
        self.to_latent = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * config.per_latent))
        self.from_latent, self.told_latent = nn.Linear(config.per_latent, width), places(config.n_latent)
        self.place_code_drawn = places(n_codes + 1)  # and one of the cell
        self.code_decoder = blocks(config.code_blocks[1])
        self.to_codes = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, config.per_summary))
        self.to_cell = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, 6))
        self.to_stable = nn.Sequential(nn.Linear(self.latent_dim, width), nn.SiLU())
        self.to_odds = nn.Linear(width, 1)
        self.prior = LatentPrior(
            LatentPriorConfig(self.latent_dim, hidden=config.prior_hidden, n_blocks=config.prior_blocks)
        )
        scale = torch.tensor([config.lattice_mean, config.lattice_spread])
        self.register_buffer("lattice_scale", scale, persistent=False)
        # Most voxels are empty: a random drawing would start with an error many times that of an empty box.
        nn.init.normal_(self.to_voxels[-1].weight, std=0.01)  # type: ignore[arg-type]
        nn.init.zeros_(self.to_voxels[-1].bias)  # type: ignore[arg-type]

    @property
    def latent_dim(self) -> int:
        """Number of latent coordinates."""
        return self.config.n_latent * self.config.per_latent

    def draw_from_prior(
        self, noise: Tensor, condition: Tensor | None = None, center: Tensor | None = None, width: float = 1.0
    ) -> Tensor:
        """Carry noise (n, latent_dim) to latent points; arguments as in `LatentPrior.sample`."""
        return self.prior.sample(noise, condition, center, width)

    def encode(self, x: Tensor) -> Gaussian:
        """Map images (B, 1 + n_elements, N, N, N), the cell's first, to q(z | x) over (B, latent_dim), as `fitted`."""
        return self.fitted(x[:, 1:], basis.lattice_of_image(x[:, 0].float(), self.config.cell_width))

    def posterior(self, images: Tensor, lattice: Tensor) -> Gaussian:
        """Map basis images (B, n_elements, N, N, N) and cells (B, 3, 3) in Å to q(z | x) as the encoder tells it."""
        return self._latent(self._codes(images), self._scaled(lattice))

    def fitted(self, images: Tensor, lattice: Tensor) -> Gaussian:
        """Do so, and move the means to where they are decoded as the crystals, or as near to it as the steps lead.

        A crystal stays where the encoder put it if no step makes its error less. It may be called where no gradients
        are kept; those of the weights are not touched.
        """
        first, config = self.posterior(images, lattice), self.config
        with torch.inference_mode(False), torch.enable_grad():
            images, scaled = images.float().clone(), self._scaled(lattice).clone()
            z = first.mean.detach().clone().requires_grad_()
            best, least = first.mean.detach().clone(), torch.full((len(z),), torch.inf, device=z.device)
            descent = torch.optim.Adam([z], config.fit_rate, eps=1e-3)
            for step in range(config.fit_steps + 1):
                misfit = self._misfit(z, images, scaled)
                best = torch.where((misfit.detach() < least).unsqueeze(1), z.detach(), best)
                least = torch.minimum(misfit.detach(), least)
                if step < config.fit_steps:
                    (z.grad,) = torch.autograd.grad(misfit.sum(), z)
                    descent.param_groups[0]["lr"] = config.fit_rate * (1 - step / config.fit_steps)
                    descent.step()
        return Gaussian(best, first.log_var)

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
        # Both in one batch, since a small one leaves a GPU waiting.
        off = self._images(torch.cat([found_codes, codes])) - images.repeat(2, 1, 1, 1, 1)
        errors, coarser = self._errors(off)
        image_error, direct_error = errors.view(2, -1).mean(1)
        coarse_error, direct_coarse = coarser.view(2, -1).mean(1)
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
        """Code of each basis image, (B, n_elements * n_summaries, per_summary)."""
        config = self.config
        tokens = self.from_voxels(blocks_of(images.flatten(0, 1).unsqueeze(1), _PATCH).flatten(1, 3)) + self.place_seen
        summaries = self.summaries.expand(len(tokens), -1, -1).to(tokens.dtype)
        seen = self.image_encoder(torch.cat([summaries, tokens], 1))[:, : config.n_summaries]
        codes: Tensor = self.to_code(seen)
        return codes.unflatten(0, (-1, config.n_elements)).flatten(1, 2)

    def _images(self, codes: Tensor) -> Tensor:
        """Basis images (B, n_elements, N, N, N) of codes."""
        config = self.config
        told = self.from_code(codes.unflatten(1, (config.n_elements, -1)).flatten(0, 1)) + self.told_code
        places = self.place_drawn.expand(len(told), -1, -1).to(told.dtype)
        tokens = self.image_decoder(torch.cat([told, places], 1))[:, config.n_summaries :]
        side = config.grid // _PATCH
        drawn = voxels_of(self.to_voxels(tokens).unflatten(1, (side, side, side)), _PATCH)
        return drawn.view(-1, config.n_elements, config.grid, config.grid, config.grid).float()

    def _latent(self, codes: Tensor, scaled: Tensor) -> Gaussian:
        tokens = self.code_seen(codes) + self.place_code_seen
        cell = self.cell_seen(scaled.to(codes.dtype)).unsqueeze(1)
        latents = self.latents.expand(len(codes), -1, -1).to(tokens.dtype)
        seen = self.code_encoder(torch.cat([latents, cell, tokens], 1))[:, : self.config.n_latent]
        mean, log_var = self.to_latent(seen).float().chunk(2, dim=-1)
        # It starts with little noise: an image is learned late from points that noise has carried away.
        return Gaussian(mean.flatten(1), (log_var.flatten(1) - 5).clamp(-12.0, 8.0))

    def _from_latent(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Codes (B, n_elements * n_summaries, per_summary) and the cell in spreads from the mean, (B, 6)."""
        config = self.config
        told = self.from_latent(z.unflatten(1, (config.n_latent, config.per_latent))) + self.told_latent
        places = self.place_code_drawn.expand(len(z), -1, -1).to(told.dtype)
        tokens = self.code_decoder(torch.cat([told, places], 1))[:, config.n_latent :]
        return self.to_codes(tokens[:, :-1]), self.to_cell(tokens[:, -1]).float()

    def _misfit(self, z: Tensor, images: Tensor, scaled: Tensor) -> Tensor:
        """The part of the loss that points have by their own, (B,)."""
        config = self.config
        codes, found_scaled = self._from_latent(z)
        error, coarse = self._errors(self._images(codes) - images)
        off_lattice = (found_scaled - scaled).square().mean(1)
        return (
            error
            + config.coarse_weight * coarse
            + config.fit_lattice_weight * off_lattice
            + 0.5 * config.beta * z.square().sum(1)
        )

    @staticmethod
    def _errors(off: Tensor) -> tuple[Tensor, Tensor]:
        """Squared errors of images (B, n_elements, N, N, N), (B,), and the sum of those of the images made coarser."""

        def each(scale: int) -> Tensor:
            return scale**3 * off.square().flatten(1).sum(1)

        error, coarse = each(1), torch.zeros(len(off), device=off.device)
        for scale in (2, 4):
            off = F.avg_pool3d(off, 2)
            coarse = coarse + each(scale)
        return error, coarse

    def _scaled(self, lattice: Tensor) -> Tensor:
        """Logarithms of the edges and cosines in spreads from the mean, (B, 6)."""
        mean, spread = self.lattice_scale
        parameters = lattice_parameters(lattice.float())
        return (torch.cat([parameters[:, :3].clamp(min=1e-3).log(), parameters[:, 3:]], 1) - mean) / spread
