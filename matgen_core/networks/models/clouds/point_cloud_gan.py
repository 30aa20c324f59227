"""A GAN that writes crystals of an asked composition as a cell and sites.

After Kim et al. 2020. What differs, and why:

- The composition is kept by construction: the condition says which slots hold a site, and the generator places those.
  In the paper a classifier is to teach it, and every row may come out full or empty.
- The critic sees what a crystal is, not how it is written: the neighbors of each site across the periodic cell by
  element, distance and direction, and the volume an atom. So no shifts, swapped axes or orders of rows have to be
  learned from a thousand copies of each crystal. The paper's critic reads coordinates as numbers; no distance is seen.
- The generator looks at the sites that it has placed, moves them by what surrounds each, and looks again.
- CloudBatch stand in their reduced cell, and its angles stay near those, so that the nearest images are the nearest.
- The critic looks at two crystals of one composition together, too, and real ones are two different ones: a generator
  that always writes the same is seen through.
- The loss compares a real and a generated crystal of the same composition, with a penalty on the slope of the critic
  at both. It is taken by a small random move, the same in meaning as a gradient and without a second derivative.
- The generator that is kept is the running mean of the trained one.

References: Kim et al., ACS Cent. Sci. 6, 1412 (2020), doi:10.1021/acscentsci.0c00426; Huang et al. (2024),
arXiv:2501.05441 (the loss and its penalties)
"""

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from matgen_core.networks.arrays import clouds
from matgen_core.networks.arrays.clouds import CloudBatch
from matgen_core.networks.models.parts.cloud_geometry import Neighborhood, Neighbors
from matgen_core.networks.models.parts.compositions import Compositions

_CELL = 7  # logarithms of three edges, how far the vectors lean, logarithm of the volume an atom
# How far b leans towards a, and c towards a and across it, at most: a little more than in any reduced cell.
_LEANING = (0.55, 0.55, 0.62)


@dataclass(frozen=True)
class PointCloudGANConfig:
    """Sizes of the network; a checkpoint stores exactly these fields."""

    slots: tuple[int, ...] = (8, 8, 12)  # most atoms of each element
    n_compositions: int = 1  # that it has learned, and draws from where none is asked for
    noise_dim: int = 64
    volume: float = 11.8  # Å^3 an atom, mean and spread of its logarithm in the training crystals
    volume_spread: float = 0.15
    width: int = 96  # of the generator
    heads: int = 4
    blocks: int = 3
    rounds: int = 2  # in which it looks at what it has placed
    critic: int = 96  # width
    critic_layers: int = 2
    n_shells: int = 14  # distances that are told apart
    reach: float = 5.0  # Å
    channels: int = 24  # numbers that tell of a neighbor
    n_features: int = 64  # width of the critic's last layer, the space of its map
    penalty: float = 8.0  # on how much a small move changes the critic's mind
    moved: float = 0.05  # Å, that move
    strained: float = 0.01  # and its strain


class CrystalGenerator(nn.Module):
    """Noise and a composition to a cell and places."""

    def __init__(self, config: PointCloudGANConfig) -> None:
        super().__init__()
        self.config = config
        width, n_slots = config.width, sum(config.slots)
        self.slot = nn.Embedding(n_slots, width)
        self.cell = nn.Parameter(0.02 * torch.randn(width))
        self.from_noise = nn.Sequential(nn.Linear(config.noise_dim, width), nn.SiLU(), nn.Linear(width, 2 * width))
        self.from_counts = nn.Sequential(
            nn.Linear(2 * len(config.slots) + 1, width), nn.SiLU(), nn.Linear(width, width)
        )
        self.blocks = nn.ModuleList(_Block(width, config.heads) for _ in range(config.blocks))
        self.to_place = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 6))
        self.to_cell = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, _CELL))
        self.neighbors = Neighbors(config.n_shells, config.reach)
        self.rounds = nn.ModuleList(_Round(config) for _ in range(config.rounds))
        nn.init.normal_(self.to_cell[1].weight, std=0.02)  # type: ignore[arg-type]

    def forward(self, noise: Tensor, counts: Tensor, slot: Tensor) -> tuple[Tensor, Tensor]:
        """Map noise (B, noise_dim), counts and slots to coordinates (B, n, 3) and lattices (B, 3, 3)."""
        there = slot >= 0
        sites = self.slot(slot.clamp(min=0))
        scale, shift = self.from_noise(noise).unsqueeze(1).chunk(2, -1)
        asked = self.from_counts(_described(counts, self.config.slots)).unsqueeze(1)
        h = torch.cat([self.cell.expand(len(noise), 1, -1), sites], 1) * (1 + scale) + shift + asked
        mask = F.pad(there, (1, 0), value=True)
        for block in self.blocks:
            h = block(h, mask)
        ends = self.to_place(h[:, 1:]).unflatten(-1, (3, 2))
        frac_coords = torch.atan2(ends[..., 0], ends[..., 1] + 1e-6) / (2 * math.pi)
        cell = self.to_cell(h[:, 0])
        n_sites = counts.sum(1)
        for each in self.rounds:
            lattice = self.lattice(cell, n_sites)
            h, moves, change = each(h, mask, self.neighbors(frac_coords, there, lattice))
            frac_coords = frac_coords + moves @ clouds.inverse_of(lattice)
            cell = cell + change
        return frac_coords, self.lattice(cell, n_sites)

    def lattice(self, cell: Tensor, n_sites: Tensor) -> Tensor:
        """Make lattices (B, 3, 3) of what the network says of them, (B, 7), and of numbers of sites (B,).

        The vectors lean by so much at most that every such lattice is one, and no slope is infinite.
        """
        edges = (1.4 * torch.tanh(cell[:, :3] / 1.4)).exp()
        x, y, z = (most * torch.tanh(cell[:, 3 + i]) for i, most in enumerate(_LEANING))
        zero = torch.zeros_like(x)
        rows = [
            torch.stack([torch.ones_like(x), zero, zero], 1),
            torch.stack([x, (1 - x.square()).sqrt(), zero], 1),
            torch.stack([y, z, (1 - y.square() - z.square()).sqrt()], 1),
        ]
        lattice = torch.stack(rows, 1) * edges.unsqueeze(-1)
        config = self.config
        wanted = n_sites * config.volume * torch.exp(2.5 * config.volume_spread * torch.tanh(cell[:, 6]))
        return lattice * (wanted / clouds.volume_of(lattice)).pow(1 / 3)[:, None, None]


class _Block(nn.Module):
    """Attention among the cell and the sites, and two layers, each beside the identity."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attend, self.joined = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.layers = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.norm_attend, self.norm_layers = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        parts = self.attend(self.norm_attend(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        query, key, value = parts.unbind(0)
        seen = F.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None, :])
        x = x + self.joined(seen.transpose(1, 2).flatten(2))
        return x + self.layers(self.norm_layers(x))


class _Round(nn.Module):
    """Look at what is placed, move the sites, change the cell."""

    def __init__(self, config: PointCloudGANConfig) -> None:
        super().__init__()
        width = config.width
        self.look = Neighborhood(width, config.n_shells, config.channels)
        self.think = _Block(width, config.heads)
        self.gate = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, config.channels))
        self.to_cell = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, _CELL))
        nn.init.normal_(self.gate[1].weight, std=0.01)  # type: ignore[arg-type]
        nn.init.normal_(self.to_cell[1].weight, std=0.01)  # type: ignore[arg-type]

    def forward(self, h: Tensor, mask: Tensor, neighbors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        sites, toward = self.look(h[:, 1:], neighbors)
        h = self.think(torch.cat([h[:, :1], sites], 1), mask)
        moves = torch.einsum("bicw,biw->bic", toward, self.gate(h[:, 1:]))
        moves = moves / (1 + moves.norm(dim=-1, keepdim=True))  # 1 Å at most
        return h, moves, self.to_cell(h[:, 0])


class CrystalCritic(nn.Module):
    """How real a crystal looks, by what surrounds its sites and by its volume."""

    elements: Tensor

    def __init__(self, config: PointCloudGANConfig) -> None:
        super().__init__()
        self.config = config
        width = config.critic
        self.element = nn.Embedding(len(config.slots), width)
        self.neighbors = Neighbors(config.n_shells, config.reach)
        self.layers = nn.ModuleList(
            Neighborhood(width, config.n_shells, config.channels) for _ in range(config.critic_layers)
        )
        self.of_site = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.of_whole = nn.Sequential(
            nn.Linear(2 * width + 3 + len(config.slots), 2 * width),
            nn.SiLU(),
            nn.Linear(2 * width, config.n_features),
            nn.SiLU(),
        )
        # Verdicts are compared alone, so they need no zero of their own.
        self.verdict = nn.Linear(config.n_features, 1, bias=False)
        self.of_two = nn.Sequential(
            nn.Linear(2 * config.n_features, config.n_features), nn.SiLU(), nn.Linear(config.n_features, 1, bias=False)
        )
        self.register_buffer("elements", clouds.slot_elements(config.slots), persistent=False)

    def features(self, crystals: CloudBatch) -> Tensor:
        """Map crystals to what the verdict rests on, (B, n_features)."""
        there = crystals.slot >= 0
        neighbors = self.neighbors(crystals.frac_coords, there, crystals.lattice)
        h = self.element(self.elements[crystals.slot.clamp(min=0)])
        for layer in self.layers:
            h, _ = layer(h, neighbors)
        n_sites = there.sum(1, keepdim=True)
        sites = self.of_site(h) * there.unsqueeze(-1)
        mean = sites.sum(1) / n_sites
        spread = ((sites.square().sum(1) / n_sites - mean.square()).clamp(min=0) + 1e-4).sqrt()
        volume = clouds.volume_of(crystals.lattice) / n_sites[:, 0]
        off = ((volume / self.config.volume).clamp(min=1e-3).log() / self.config.volume_spread).unsqueeze(1)
        of_volume = torch.cat([off, off.tanh(), (0.5 * off).square().clamp(max=4.0)], 1)
        shares = crystals.counts / n_sites
        return self.of_whole(torch.cat([mean, spread, of_volume, shares], 1))

    def forward(self, *batches: CloudBatch) -> list[tuple[Tensor, Tensor]]:
        """Judge batches of one size.

        Returns:
            Of each how real its crystals look (B,), and how real each of its first half beside its partner in the
            second, (B / 2,).
        """
        judged = []
        for found in self.features(clouds.joined(*batches)).chunk(len(batches)):
            one, other = found.chunk(2)
            beside = self.of_two(torch.cat([one + other, (one - other).abs()], 1))
            judged.append((self.verdict(found).squeeze(1), beside.squeeze(1)))
        return judged


def _described(counts: Tensor, slots: tuple[int, ...]) -> Tensor:
    """Shares of the elements, how full their slots are, and the number of sites: (B, 2 n_elements + 1)."""
    counts = counts.float()
    n_sites = counts.sum(1, keepdim=True)
    most = torch.tensor(slots, device=counts.device)
    return torch.cat([counts / n_sites, counts / most, n_sites / most.sum()], 1)


class PointCloudGAN(nn.Module):
    """Noise and composition to point clouds, and a critic of them."""

    Config = PointCloudGANConfig

    def __init__(self, config: PointCloudGANConfig) -> None:
        super().__init__()
        self.config = config
        self.generator = CrystalGenerator(config)
        self.critic = CrystalCritic(config)
        self.known = Compositions(config.n_compositions, len(config.slots))

    @property
    def latent_dim(self) -> int:
        """Number of latent coordinates: the noise, and one that draws a composition where none is asked for."""
        return 1 + self.config.noise_dim

    def learned_compositions(self) -> tuple[Tensor, Tensor]:
        """Atoms of each element in the cells of the training crystals (n, n_elements), and how often each came (n,)."""
        return self.known.counts, self.known.shares

    def decode(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """Map (B, latent_dim) to point clouds (B, 2 + sum of slots, 3).

        Args:
            z: Latent points.
            condition: Atoms of each element, (B, n_elements); without it the first coordinate of a point draws them
                from the compositions that were learned.
        """
        counts = self.known.at(z[:, 0]) if condition is None else condition.round().long()
        slot = clouds.slots_of(clouds.occupied(counts, self.config.slots))
        frac_coords, lattice = self.generator(z[:, 1:], counts, slot)
        whole = frac_coords.new_zeros(len(z), sum(self.config.slots), 3)
        there = slot >= 0
        rows = torch.arange(len(z), device=z.device).unsqueeze(1).expand_as(slot)
        whole[rows[there], slot[there]] = frac_coords[there]
        return clouds.to_points(whole, clouds.occupied(counts, self.config.slots), lattice)

    def features(self, x: Tensor) -> Tensor:
        """Map point clouds (B, 2 + sum of slots, 3) to the critic's last layer, (B, n_features)."""
        return self.critic.features(self.crystals_of(x))

    def criticize(self, x: Tensor) -> Tensor:
        """Return how real point clouds look, (B,); only differences mean something."""
        return self.critic.verdict(self.features(x)).squeeze(1)

    def crystals_of(self, x: Tensor) -> CloudBatch:
        """Read point clouds (B, 2 + sum of slots, 3)."""
        return clouds.read(x, self.config.slots)

    def made(self, counts: Tensor, slot: Tensor, rng: Generator | None) -> CloudBatch:
        """Generate crystals of compositions."""
        noise = torch.randn(len(counts), self.config.noise_dim, generator=rng, device=counts.device)
        frac_coords, lattice = self.generator(noise, counts, slot)
        return CloudBatch(counts, slot, frac_coords, lattice)

    def critic_loss(self, real: tuple[CloudBatch, Tensor], rng: Generator | None = None) -> dict[str, Tensor]:
        """Return "loss" of the critic and its parts, "distance" between the verdicts and "penalty".

        Args:
            real: Crystals, those of the second half of the compositions of the first, and where these are two
                different ones, 1 or 0, (B / 2,). As many of the same compositions are generated.
            rng: Random state.
        """
        known, differ = real
        with torch.no_grad():
            made = self.made(known.counts, known.slot, rng)
        found = self.critic(known, made, self.moved(known, rng), self.moved(made, rng))
        alone, beside = zip(*found, strict=True)
        penalty = self._penalty(alone[0] - alone[2], alone[1] - alone[3])
        penalty = penalty + self._penalty(*(differ * (beside[i] - beside[i + 2]) for i in (0, 1)))
        loss = _preferred(alone[0] - alone[1]) + (differ * F.softplus(beside[1] - beside[0])).mean()
        loss = loss + self.config.penalty * penalty
        return {"loss": loss, "distance": (alone[0] - alone[1]).mean(), "penalty": penalty}

    def generator_loss(self, real: tuple[CloudBatch, Tensor], rng: Generator | None = None) -> Tensor:
        """Return the loss of the generator: how much less real its crystals look than those beside them."""
        known, differ = real
        found = self.critic(known, self.made(known.counts, known.slot, rng))
        (of_known, known_beside), (of_made, made_beside) = found
        return _preferred(of_made - of_known) + (differ * F.softplus(known_beside - made_beside)).mean()

    @staticmethod
    def _penalty(*changes: Tensor) -> Tensor:
        """Mean square of how much small moves change the critic's mind."""
        return torch.stack([each.square().mean() for each in changes]).mean()

    def moved(self, crystals: CloudBatch, rng: Generator | None) -> CloudBatch:
        """Move all sites a little and strain the cells."""
        config, lattice = self.config, crystals.lattice
        strain = config.strained * torch.randn(lattice.shape, generator=rng, device=lattice.device)
        strain = 0.5 * (strain + strain.mT) * math.sqrt(2)
        moves = config.moved * torch.randn(crystals.frac_coords.shape, generator=rng, device=lattice.device)
        frac_coords = crystals.frac_coords + moves @ clouds.inverse_of(lattice)
        return CloudBatch(crystals.counts, crystals.slot, frac_coords, lattice + lattice @ strain)


def _preferred(more: Tensor) -> Tensor:
    """Loss of the side whose crystals look that much more real, (B,)."""
    return F.softplus(-more).mean()
