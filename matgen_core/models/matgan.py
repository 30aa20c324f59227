"""MatGAN: a Wasserstein GAN that writes formulas.

After Dan et al. 2020. What differs, and why:

- An element's row is a softmax over "absent" and its counts. The paper draws every cell with a sigmoid of its own, so
  that two counts of one element can both win.
- Dense layers instead of convolutions: rows stand for elements, and what lies beside what in the table means nothing.
- The generator that is kept is the running mean of the trained one.

Reference: Dan et al., npj Comput. Mater. 6, 84 (2020), doi:10.1038/s41524-020-00352-0
"""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class MatGANConfig:
    """Sizes of the network; a checkpoint stores exactly these fields."""

    n_elements: int = 85
    n_counts: int = 8
    latent_dim: int = 128
    generator: int = 512  # width
    generator_depth: int = 3  # residual blocks
    critic: int = 512
    critic_depth: int = 2
    n_features: int = 128  # width of the critic's last layer, the space of its map
    temperature: float = 0.7  # of the softmax; below 1 its rows are sharper
    penalty: float = 10.0  # weight of the gradient penalty


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


class MatGAN(nn.Module):
    """Latent points to tables of element against count, and a critic of such tables."""

    Config = MatGANConfig

    def __init__(self, config: MatGANConfig) -> None:
        super().__init__()
        self.config = config
        n_cells = config.n_elements * config.n_counts
        self.generator = nn.Sequential(
            nn.Linear(config.latent_dim, config.generator),
            *(ResidualBlock(config.generator) for _ in range(config.generator_depth)),
            nn.LeakyReLU(0.2),
            nn.Linear(config.generator, config.n_elements * (config.n_counts + 1)),
        )
        # Nearly every element is absent from a formula; a start at one in nine present would hide every gradient.
        with torch.no_grad():
            last: nn.Linear = self.generator[-1]  # type: ignore[assignment]
            last.bias.view(config.n_elements, -1)[:, 0] = 5.0 * config.temperature
        self.critic = nn.Sequential(
            nn.Linear(n_cells, config.critic),
            *(ResidualBlock(config.critic) for _ in range(config.critic_depth)),
            nn.LeakyReLU(0.2),
            nn.Linear(config.critic, config.n_features),
            nn.LeakyReLU(0.2),
        )
        self.verdict = nn.Linear(config.n_features, 1)

    @property
    def latent_dim(self) -> int:
        """Number of latent coordinates."""
        return self.config.latent_dim

    def decode(self, z: Tensor) -> Tensor:
        """Map (B, latent_dim) to tables (B, n_elements, n_counts) of numbers from 0 to 1."""
        logits = self.generator(z).unflatten(1, (self.config.n_elements, self.config.n_counts + 1))
        return F.softmax(logits / self.config.temperature, dim=-1)[..., 1:]

    def features(self, x: Tensor) -> Tensor:
        """Map tables (B, n_elements, n_counts) to the critic's last layer, (B, n_features)."""
        return self.critic(x.flatten(1))

    def criticize(self, x: Tensor) -> Tensor:
        """Return how real tables (B, n_elements, n_counts) look, (B,); only differences mean something."""
        return self.verdict(self.features(x)).squeeze(1)

    def critic_loss(self, real: Tensor, rng: Generator | None = None) -> dict[str, Tensor]:
        """Return "loss" of the critic and its parts: the negative Wasserstein distance, and the gradient penalty.

        Args:
            real: Tables of real formulas, (B, n_elements, n_counts).
            rng: Random state.
        """
        with torch.no_grad():
            made = self.decode(self._noise(len(real), real.device, rng))
        distance = self.criticize(real).mean() - self.criticize(made).mean()
        share = torch.rand(len(real), 1, 1, generator=rng, device=real.device)
        between = (share * real + (1 - share) * made).requires_grad_(True)
        (slope,) = torch.autograd.grad(self.criticize(between).sum(), between, create_graph=True)
        penalty = (slope.flatten(1).norm(dim=1) - 1).square().mean()
        return {"loss": self.config.penalty * penalty - distance, "distance": distance, "penalty": penalty}

    def generator_loss(self, n_samples: int, device: torch.device, rng: Generator | None = None) -> Tensor:
        """Return the loss of the generator: the negative verdict on what it writes."""
        return -self.criticize(self.decode(self._noise(n_samples, device, rng))).mean()

    def _noise(self, n_samples: int, device: torch.device, rng: Generator | None) -> Tensor:
        return torch.randn(n_samples, self.config.latent_dim, generator=rng, device=device)
