"""A learned prior over latent points: draws points like those of the training materials, under a condition.

The posteriors of a VAE do not fill the standard normal that its KL term pulls them to, so much of what is drawn from
that normal lies where no material was; and a decoder that finds everything it needs in a latent point does not listen
to a condition beside it. Here the condition stands where points are drawn. A small network learns the velocity that
carries normal noise to latent points along straight lines; the condition is left out at random in training, so that
in sampling the step under a condition can be stretched against the step under none.

References: Lipman et al. (2023), arXiv:2210.02747 (flow matching); Ho & Salimans (2022), arXiv:2207.12598 (guidance
without a classifier); Meng et al. (2022), arXiv:2108.01073 (starting from a point that is partly noise)
"""

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class LatentPriorConfig:
    """Sizes of the network and how it draws."""

    latent_dim: int
    n_conditions: int = 0
    hidden: int = 160
    n_blocks: int = 4
    n_frequencies: int = 16  # of the time
    dropout: float = 0.1
    condition_dropout: float = 0.15
    guidance: float = 2.0  # times the step that the condition makes; 1 is the plain conditional flow
    n_steps: int = 16  # of Heun's method, two calls of the network each


class LatentPrior(nn.Module):
    """Normal noise to latent points, and the loss that teaches it."""

    Config = LatentPriorConfig
    mean: Tensor
    factor: Tensor

    def __init__(self, config: LatentPriorConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("mean", torch.zeros(config.latent_dim))
        self.register_buffer("factor", torch.eye(config.latent_dim))  # Cholesky factor of the covariance
        self.first = nn.Linear(config.latent_dim, config.hidden)
        self.told = nn.Linear(2 * config.n_frequencies + config.n_conditions, config.hidden)
        self.blocks = nn.ModuleList(_Block(config.hidden, config.dropout) for _ in range(config.n_blocks))
        self.last = nn.Sequential(nn.LayerNorm(config.hidden), nn.Linear(config.hidden, config.latent_dim))
        nn.init.normal_(self.last[-1].weight, std=0.01)  # type: ignore[arg-type]

    @property
    def latent_dim(self) -> int:
        """Number of latent coordinates."""
        return self.config.latent_dim

    def standardize(self, mean: Tensor, log_var: Tensor) -> None:
        """Take mean and covariance of all latent points from their posteriors, (n, latent_dim) each, before learning.

        What is learned then starts from the normal distribution with this mean and covariance.
        """
        covariance = mean.T.cov() + log_var.exp().mean(0).diag()
        self.mean.copy_(mean.mean(0))
        self.factor.copy_(torch.linalg.cholesky(covariance))

    def _standardized(self, z: Tensor) -> Tensor:
        return torch.linalg.solve_triangular(self.factor, (z - self.mean).T, upper=False).T

    def velocity(self, x: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        """Velocity of standardized points, (B, latent_dim).

        Args:
            x: (B, latent_dim), noise at time 0, latent points at time 1.
            time: (B,), from 0 to 1.
            condition: (B, n_conditions), rows of 0 for none.
        """
        octaves = torch.arange(self.config.n_frequencies, device=x.device) / 2
        angles = time.unsqueeze(1) * (math.pi * octaves.exp2())
        told = F.silu(self.told(torch.cat([angles.sin(), angles.cos(), condition], 1)))
        h = self.first(x)
        for block in self.blocks:
            h = block(h, told)
        # The velocity of a standard normal, so that the network learns only what is not normal.
        share = time.unsqueeze(1)
        return (2 * share - 1) / (share.square() + (1 - share).square()) * x + self.last(h)

    def loss(
        self,
        mean: Tensor,
        log_var: Tensor,
        condition: Tensor,
        time: Tensor | None = None,
        rng: Generator | None = None,
    ) -> dict[str, Tensor]:
        """Return the squared error of the velocity, averaged over coordinates and batch.

        Args:
            mean: (B, latent_dim), of the posteriors of training materials; points are drawn from these.
            log_var: (B, latent_dim); minus infinity takes the mean itself.
            condition: (B, n_conditions), rows of 0 where it is not known.
            time: (B,), where on the way to learn; anywhere if not given.
            rng: Random state.
        """
        z = mean + (0.5 * log_var).exp() * torch.empty_like(mean).normal_(generator=rng)
        end = self._standardized(z)
        start = torch.empty_like(end).normal_(generator=rng)
        if time is None:
            time = torch.rand(len(z), generator=rng, device=z.device)
        kept = torch.rand(len(z), 1, generator=rng, device=z.device) >= self.config.condition_dropout
        x = torch.lerp(start, end, time.unsqueeze(1))
        return {"loss": (self.velocity(x, time, condition * kept) - (end - start)).square().mean()}

    @torch.no_grad()
    def sample(
        self,
        noise: Tensor,
        condition: Tensor | None = None,
        center: Tensor | None = None,
        width: float = 1.0,
        guidance: float | None = None,
    ) -> Tensor:
        """Carry noise to latent points, (n, latent_dim).

        Args:
            noise: (n, latent_dim), standard normal; it alone decides what is drawn.
            condition: (n, n_conditions); none if not given.
            center: A latent point, (latent_dim,), to draw round: the way starts from it and not from pure noise.
            width: Times the noise. Round a center it is its share beside the center, in standard deviations of the
                training points: the way starts at the time at which the two mix so.
            guidance: In place of that of the config.
        """
        config = self.config
        strength = config.guidance if guidance is None else guidance
        free = noise.new_zeros(len(noise), config.n_conditions)
        begin, x = 0.0, noise * width
        if center is not None:
            begin = 1 / (1 + width)
            x = begin * self._standardized(center.unsqueeze(0)) + (1 - begin) * noise

        def slope(x: Tensor, time: float) -> Tensor:
            times = x.new_full((len(x),), time)
            if condition is None:
                return self.velocity(x, times, free)
            both = self.velocity(x.repeat(2, 1), times.repeat(2), torch.cat([free, condition]))
            without, with_it = both.chunk(2)
            return without + strength * (with_it - without)

        step = (1 - begin) / config.n_steps
        for i in range(config.n_steps):
            time = begin + i * step
            first = slope(x, time)
            x = x + step / 2 * (first + slope(x + step * first, time + step))
        return x @ self.factor.T + self.mean


class _Block(nn.Module):
    """Two layers beside the identity, scaled and shifted by what the network is told."""

    def __init__(self, hidden: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(hidden, elementwise_affine=False)
        self.told = nn.Linear(hidden, 2 * hidden)
        self.layers = nn.Sequential(
            nn.Linear(hidden, hidden), nn.SiLU(), nn.Dropout(dropout), nn.Linear(hidden, hidden)
        )

    def forward(self, h: Tensor, told: Tensor) -> Tensor:
        scale, shift = self.told(told).chunk(2, dim=-1)
        return h + self.layers(self.norm(h) * (1 + scale) + shift)
