"""The composition-conditioned crystal GAN as published: rows of coordinates, a critic of rows and a classifier of them.

Where the released code and the paper's text differ, the code is followed. What differs from the code: the classifier
has logits where the code feeds softmax outputs to a cross-entropy that takes their softmax again; it learns from real
crystals with the critic, and is held fixed where it teaches the generator.

Reference: Kim et al., ACS Cent. Sci. 6, 1412 (2020), doi:10.1021/acscentsci.0c00426
"""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from matgen_core.networks.arrays import clouds
from matgen_core.networks.arrays.clouds import CELL_ROWS, CloudBatch
from matgen_core.networks.models.parts.compositions import Compositions

_EPS = 0.8  # of each batch norm: the code gives what may have been meant as a momentum in the place of eps


@dataclass(frozen=True)
class PointCloudGANPaperConfig:
    """Sizes of the network; a checkpoint stores exactly these fields."""

    slots: tuple[int, ...] = (8, 8, 12)
    n_compositions: int = 1
    noise_dim: int = 512
    first: int = 128  # channels of a row behind the first layer
    maps: tuple[int, int, int] = (256, 512, 256)
    critic: tuple[int, int, int] = (512, 512, 256)
    layers: tuple[int, int] = (1000, 200)
    n_verdicts: int = 10  # averaged
    classifier: tuple[int, int] = (512, 256)
    heads: tuple[int, int] = (300, 100)
    penalty: float = 10.0
    status_weight: float = 1.0
    composition_weight: float = 0.3
    sites_weight: float = 0.1  # of the number of sites


class _Rows(nn.Module):
    """Noise and a composition to rows of coordinates and a cell."""

    def __init__(self, config: PointCloudGANPaperConfig) -> None:
        super().__init__()
        self.config = config
        n = sum(config.slots)
        one, two, three = config.maps
        self.first = nn.Sequential(nn.Linear(config.noise_dim + n + 1, config.first * n), nn.ReLU())
        self.maps = nn.Sequential(
            nn.ConvTranspose2d(config.first, one, (1, 3)), nn.BatchNorm2d(one, _EPS), nn.ReLU(),
            nn.ConvTranspose2d(one, two, 1), nn.BatchNorm2d(two, _EPS), nn.ReLU(),
            nn.ConvTranspose2d(two, three, 1), nn.BatchNorm2d(three, _EPS), nn.ReLU(),
            nn.ConvTranspose2d(three, 1, 1),
        )  # fmt: skip
        self.cell = nn.Sequential(nn.Linear(3 * n, 30), nn.BatchNorm1d(30), nn.ReLU(), nn.Linear(30, 6))

    def forward(self, noise: Tensor, asked: Tensor) -> Tensor:
        """Map noise (B, noise_dim) and what is asked for (B, sum of slots + 1) to point clouds."""
        h = self.first(torch.cat([noise, asked], 1)).view(len(noise), self.config.first, sum(self.config.slots), 1)
        rows = self.maps(h)[:, 0]
        return torch.sigmoid(torch.cat([self.cell(rows.flatten(1)).view(-1, CELL_ROWS, 3), rows], 1))


class _Critic(nn.Module):
    """Each row by itself, the mean of the rows of an element, and layers over all of it."""

    def __init__(self, config: PointCloudGANPaperConfig) -> None:
        super().__init__()
        self.slots = config.slots
        one, two, three = config.critic
        self.of_row = nn.Sequential(
            nn.Linear(3, one),
            nn.LeakyReLU(0.2),
            nn.Linear(one, two),
            nn.LeakyReLU(0.2),
            nn.Linear(two, three),
            nn.LeakyReLU(0.2),
        )
        self.of_all = nn.Sequential(
            nn.Linear((CELL_ROWS + len(config.slots)) * three, config.layers[0]),
            nn.LeakyReLU(0.2),
            nn.Linear(*config.layers),
            nn.LeakyReLU(0.2),
        )
        self.verdict = nn.Linear(config.layers[1], config.n_verdicts)

    def features(self, x: Tensor) -> Tensor:
        cell, *elements = self.of_row(x).split((CELL_ROWS, *self.slots), 1)
        return self.of_all(torch.cat([cell.flatten(1), *(rows.mean(1) for rows in elements)], 1))


class _Classifier(nn.Module):
    """Which rows hold a site, how many of each element there are, and how many in all by the cell."""

    def __init__(self, config: PointCloudGANPaperConfig) -> None:
        super().__init__()
        self.slots = config.slots
        one, two = config.classifier
        a, b = config.heads
        self.of_row = nn.ModuleList(
            nn.Sequential(_RowNorm(3, one), _RowNorm(one, two), _RowNorm(two, two), nn.Linear(two, 2))
            for _ in config.slots
        )
        self.of_element = nn.ModuleList(
            nn.Sequential(_RowNorm(2 * n, a), _RowNorm(a, b), nn.Linear(b, n)) for n in config.slots
        )
        self.of_cell = nn.Sequential(_RowNorm(3, 64), _RowNorm(64, 64))
        self.n_sites = nn.Sequential(
            nn.Flatten(), _RowNorm(64 * CELL_ROWS, 100), _RowNorm(100, 50), nn.Linear(50, 1), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """Map point clouds to logits of rows (B, n, 2) and of counts (B, n), by element, and shares of all sites."""
        cell, *elements = x.split((CELL_ROWS, *self.slots), 1)
        rows = [layer(part) for layer, part in zip(self.of_row, elements, strict=True)]
        counts = [layer(part.flatten(1)) for layer, part in zip(self.of_element, rows, strict=True)]
        return rows, counts, self.n_sites(self.of_cell(cell)).squeeze(1)


class _RowNorm(nn.Module):
    """A dense layer, batch norm over all rows, and a leaky step."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.layer, self.norm = nn.Linear(n_in, n_out), nn.BatchNorm1d(n_out, _EPS)

    def forward(self, x: Tensor) -> Tensor:
        h = self.layer(x)
        return F.leaky_relu(self.norm(h.flatten(0, -2)).view_as(h), 0.2)


class PointCloudGANPaper(nn.Module):
    """Noise and composition to point clouds, a critic of them, and a classifier of compositions."""

    Config = PointCloudGANPaperConfig

    def __init__(self, config: PointCloudGANPaperConfig) -> None:
        super().__init__()
        self.config = config
        self.generator, self.critic, self.classifier = _Rows(config), _Critic(config), _Classifier(config)
        self.known = Compositions(config.n_compositions, len(config.slots))
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.ConvTranspose2d):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    @property
    def latent_dim(self) -> int:
        """Number of latent coordinates: the noise, and one that draws a composition where none is asked for."""
        return 1 + self.config.noise_dim

    def learned_compositions(self) -> tuple[Tensor, Tensor]:
        """Atoms of each element in the cells of the training crystals (n, n_elements), and how often each came (n,)."""
        return self.known.counts, self.known.shares

    def decode(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """Map (B, latent_dim) to point clouds; arguments as of `PointCloudGAN.decode`."""
        counts = self.known.at(z[:, 0]) if condition is None else condition.round().long()
        return self.generator(z[:, 1:], self.asked(counts))

    def asked(self, counts: Tensor) -> Tensor:
        """One-hot counts of each element and the share of all slots that is filled, (B, sum of slots + 1)."""
        total = counts.sum(1, keepdim=True) / sum(self.config.slots)
        columns = [F.one_hot((counts[:, i] - 1).clamp(min=0), n) for i, n in enumerate(self.config.slots)]
        return torch.cat([total, *(column.to(total.dtype) for column in columns)], 1)

    def features(self, x: Tensor) -> Tensor:
        """Map point clouds (B, 2 + sum of slots, 3) to the critic's last layer, (B, n_features)."""
        return self.critic.features(x)

    def criticize(self, x: Tensor) -> Tensor:
        """Return how real point clouds look, (B,); only differences mean something."""
        return self.critic.verdict(self.critic.features(x)).mean(1)

    def crystals_of(self, x: Tensor) -> CloudBatch:
        """Read point clouds (B, 2 + sum of slots, 3)."""
        return clouds.read(x, self.config.slots)

    def critic_loss(self, real: Tensor, rng: Generator | None = None) -> dict[str, Tensor]:
        """Return "loss" of critic and classifier, "distance" and "penalty".

        Args:
            real: Point clouds (B, 2 + sum of slots, 3).
            rng: Random state.
        """
        config = self.config
        with torch.no_grad():
            made = self._made(self._any(real, rng), rng)
        distance = self.criticize(real).mean() - self.criticize(made).mean()
        share = torch.rand(len(real), 1, 1, generator=rng, device=real.device)
        between = (share * real + (1 - share) * made).requires_grad_(True)
        (slope,) = torch.autograd.grad(self.criticize(between).sum(), between, create_graph=True)
        penalty = (slope.flatten(1).norm(dim=1) - 1).square().mean()
        rows, counts, total = self.classifier(real)
        there = (real[:, CELL_ROWS:].sum(-1) > 0.4).long().split(config.slots, 1)
        status = sum(
            F.cross_entropy(found.flatten(0, 1), is_.flatten()) for found, is_ in zip(rows, there, strict=True)
        )
        told = torch.stack([each.sum(1) for each in there], 1)
        named = self._misnamed(counts, total, told)
        loss = config.penalty * penalty - distance + config.status_weight * status + named
        return {"loss": loss, "distance": distance, "penalty": penalty}

    def generator_loss(self, real: Tensor, rng: Generator | None = None) -> Tensor:
        """Return the loss of the generator: the negative verdict, and how wrong its compositions are called."""
        asked = self._any(real, rng)
        made = self._made(asked, rng)
        _, counts, total = self.classifier(made)
        return self._misnamed(counts, total, asked) - self.criticize(made).mean()

    def _misnamed(self, counts: list[Tensor], total: Tensor, asked: Tensor) -> Tensor:
        wrong = sum(F.cross_entropy(found, (asked[:, i] - 1).clamp(min=0)) for i, found in enumerate(counts))
        off = (total - asked.sum(1) / sum(self.config.slots)).square().mean()
        return self.config.composition_weight * wrong + self.config.sites_weight * off

    def _made(self, counts: Tensor, rng: Generator | None) -> Tensor:
        noise = torch.randn(len(counts), self.config.noise_dim, generator=rng, device=counts.device)
        return self.generator(noise, self.asked(counts))

    def _any(self, real: Tensor, rng: Generator | None) -> Tensor:
        """Draw any counts that the slots hold, as the code does: not those of the training crystals."""
        columns = [torch.randint(1, n + 1, (len(real),), generator=rng, device=real.device) for n in self.config.slots]
        return torch.stack(columns, 1)
