"""MatGAN: a Wasserstein GAN with gradient penalty that writes formulas, all cells of the table at once.

After Dan et al. 2020. Two designs:

- "convolutions", the paper's: noise through a dense layer and four deconvolutions to a table of element against count,
  a sigmoid a cell, and a critic of convolutions. Rows stand in the order of electronegativity, so that what lies beside
  what means something.
- "dense": each element has a softmax over absence and its counts, so that no two counts of one element win, and every
  cell may depend on every other. The critic sees beside each table how much the tables of its batch differ, so that
  samples which are all alike are seen to be.

The paper's critic has batch norms, under which the penalty of one sample depends on the others; here there is none.

Reference: Dan et al., npj Comput. Mater. 6, 84 (2020), doi:10.1038/s41524-020-00352-0
"""

from dataclasses import dataclass
from math import log

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from matgen_core.networks.models.parts.blocks import ResidualBlock

GROUP = 8  # tables that are held beside each other


@dataclass(frozen=True)
class MatGANConfig:
    """Sizes of the network; a checkpoint stores exactly these fields."""

    n_elements: int = 85
    n_counts: int = 8
    latent_dim: int = 128
    design: str = "dense"  # or "convolutions"
    channels: tuple[int, ...] = (128, 64, 32, 16)  # of the generator's maps, from the coarsest
    critic_channels: tuple[int, ...] = (16, 16, 32, 64, 128)
    hidden: int = 352  # width of the dense generator
    depth: int = 4  # residual blocks
    critic: int = 320  # width of the dense critic
    critic_depth: int = 3
    n_features: int = 64  # width of the critic's last layer, the space of its map
    sharpness: float = 12.0  # by which the generator's cells are multiplied before they become shares
    hard_share: float = 0.5  # of what the critic is shown: written as 0 and 1, gradients pass straight through
    penalty: float = 10.0  # weight of the gradient penalty

    def __post_init__(self) -> None:
        if self.design not in ("convolutions", "dense"):
            raise ValueError(f"design {self.design!r}; expected 'convolutions' or 'dense'")


class Deconvolutions(nn.Module):
    """The paper's generator: a coarse map of many channels grows to the table."""

    def __init__(self, config: MatGANConfig) -> None:
        super().__init__()
        self.config = config
        first, *others = config.channels
        # Each map has twice the rows of the one before, the last all of them; columns are all there from the second.
        rows = [config.n_elements]
        for _ in config.channels:
            rows.insert(0, -(-rows[0] // 2))
        columns = [-(-config.n_counts // 2), *[config.n_counts] * len(config.channels)]
        self.sizes = list(zip(rows, columns, strict=True))
        self.start = nn.Linear(config.latent_dim, first * rows[0] * columns[0])
        widths = [first, *others]
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in widths)
        kernels = [5, *[3] * len(others)]
        layers = [
            nn.ConvTranspose2d(
                width,
                following,
                kernel,
                stride=(2, 2 if before[1] < after[1] else 1),
                padding=kernel // 2,
                output_padding=(self._missing(before[0], after[0]), self._missing(before[1], after[1])),
            )
            for width, following, kernel, before, after in zip(
                widths, [*others, 1], kernels, self.sizes, self.sizes[1:], strict=False
            )
        ]
        bias = layers[-1].bias
        if bias is not None:
            nn.init.constant_(bias, -_few(config))
        self.layers = nn.ModuleList(layers)

    @staticmethod
    def _missing(before: int, after: int) -> int:
        """Cells that a deconvolution with half a kernel of padding and a stride of 2 lacks at the end."""
        return after - 2 * before + 1 if after > before else 0

    def forward(self, z: Tensor) -> Tensor:
        """Map noise (B, latent_dim) to tables (B, n_elements, n_counts) of cells from 0 to 1."""
        x = self.start(z).unflatten(1, (self.config.channels[0], *self.sizes[0]))
        for norm, layer in zip(self.norms, self.layers, strict=True):
            x = layer(F.relu(norm(x)))
        return (self.config.sharpness * x[:, 0]).sigmoid()


class DenseWriter(nn.Module):
    """A softmax over absence and counts for each element."""

    def __init__(self, config: MatGANConfig) -> None:
        super().__init__()
        self.config = config
        self.layers = nn.Sequential(
            nn.Linear(config.latent_dim, config.hidden),
            *(ResidualBlock(config.hidden) for _ in range(config.depth)),
            nn.LayerNorm(config.hidden),
            nn.LeakyReLU(0.2),
        )
        self.cells = nn.Linear(config.hidden, config.n_elements * (1 + config.n_counts))
        with torch.no_grad():  # at first, about three elements are there
            absence = self.cells.bias.view(config.n_elements, 1 + config.n_counts)[:, 0]
            absence.fill_(_few(config))

    def forward(self, z: Tensor) -> Tensor:
        """Map noise (B, latent_dim) to tables (B, n_elements, n_counts) of shares."""
        cells = self.cells(self.layers(z)).unflatten(1, (self.config.n_elements, 1 + self.config.n_counts))
        return (self.config.sharpness * cells).softmax(-1)[..., 1:]


class MatGAN(nn.Module):
    """Latent points to tables of element against count, and a critic of such tables."""

    Config = MatGANConfig

    def __init__(self, config: MatGANConfig) -> None:
        super().__init__()
        self.config = config
        if config.design == "dense":
            self.generator: nn.Module = DenseWriter(config)
            self.critic = nn.Sequential(
                nn.Flatten(),
                nn.Linear(config.n_elements * config.n_counts, config.critic),
                *(ResidualBlock(config.critic) for _ in range(config.critic_depth)),
                nn.LeakyReLU(0.2),
                nn.Linear(config.critic, config.n_features),
                nn.LeakyReLU(0.2),
            )
        else:
            self.generator = Deconvolutions(config)
            self.critic = _convolutions(config)
        self.verdict = nn.Linear(config.n_features + (config.design == "dense"), 1)

    @property
    def latent_dim(self) -> int:
        """Number of latent coordinates."""
        return self.config.latent_dim

    def decode(self, z: Tensor) -> Tensor:
        """Map (B, latent_dim) to tables (B, n_elements, n_counts) of cells from 0 to 1."""
        return self.generator(z)

    def features(self, x: Tensor) -> Tensor:
        """Map tables (B, n_elements, n_counts) to the critic's last layer, (B, n_features)."""
        return self.critic(x)

    def criticize(self, x: Tensor) -> Tensor:
        """Return how real tables (B, n_elements, n_counts) look, (B,); only differences mean something.

        The dense design judges them in groups of eight that stand behind each other.
        """
        features = self.features(x)
        if self.config.design == "dense":
            features = torch.cat([features, _spread(features)], 1)
        return self.verdict(features).squeeze(1)

    def critic_loss(self, real: Tensor, rng: Generator | None = None) -> dict[str, Tensor]:
        """Return "loss" of the critic and its parts: the negative Wasserstein distance, and the gradient penalty.

        Args:
            real: Tables of real formulas, (B, n_elements, n_counts).
            rng: Random state.
        """
        with torch.no_grad():
            made = self._shown(len(real), real.device, rng)
        distance = self.criticize(real).mean() - self.criticize(made).mean()
        share = torch.rand(len(real), 1, 1, generator=rng, device=real.device)
        between = (share * real + (1 - share) * made).requires_grad_(True)
        (slope,) = torch.autograd.grad(self.criticize(between).sum(), between, create_graph=True)
        penalty = (slope.flatten(1).norm(dim=1) - 1).square().mean()
        return {"loss": self.config.penalty * penalty - distance, "distance": distance, "penalty": penalty}

    def generator_loss(self, real: Tensor, rng: Generator | None = None) -> Tensor:
        """Return the loss of the generator, the negative verdict on what it writes: as much as there is of the real."""
        return -self.criticize(self._shown(len(real), real.device, rng)).mean()

    def _shown(self, n_samples: int, device: torch.device, rng: Generator | None) -> Tensor:
        """What the critic is shown of the generator: shares, and in a part of the batch what would be read of them."""
        made = self.decode(torch.randn(n_samples, self.latent_dim, generator=rng, device=device))
        n_hard = round(self.config.hard_share * n_samples)
        hard = made[:n_hard]
        return torch.cat([(hard >= 0.5).float() + (hard - hard.detach()), made[n_hard:]]) if n_hard else made


def _few(config: MatGANConfig) -> float:
    """The bias of absence with which about three elements are there."""
    return log(config.n_elements * config.n_counts / 3) / config.sharpness


def _convolutions(config: MatGANConfig) -> nn.Sequential:
    """The paper's critic without its batch norms: five convolutions, of which the second and the last halve the map."""
    layers: list[nn.Module] = [nn.Unflatten(1, (1, config.n_elements))]
    before, rows, columns = 1, config.n_elements, config.n_counts
    for number, width in enumerate(config.critic_channels):
        last = number == len(config.critic_channels) - 1
        kernel, stride = (5 if last else 3), (2 if number == 1 or last else 1)
        layers += [nn.Conv2d(before, width, kernel, stride, kernel // 2), nn.LeakyReLU(0.2)]
        before, rows, columns = width, -(-rows // stride), -(-columns // stride)
    return nn.Sequential(
        *layers, nn.Flatten(), nn.Linear(before * rows * columns, config.n_features), nn.LeakyReLU(0.2)
    )


def _spread(features: Tensor) -> Tensor:
    """How much tables of a group differ in what the critic sees, (B, 1); 0 for what is left over of a batch."""
    whole = len(features) // GROUP * GROUP
    groups = features[:whole].unflatten(0, (-1, GROUP))
    variance = (groups - groups.mean(1, keepdim=True)).square().mean(1)
    spread = (variance + 1e-8).sqrt().mean(1)  # the root of 0 has no slope
    return torch.cat([spread.repeat_interleave(GROUP), features.new_zeros(len(features) - whole)])[:, None]
