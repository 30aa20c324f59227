"""A recurrent language model that writes formulas, and for a short while learns from a critic.

After Dan et al. 2020, whose MatGAN it was made to beat. What differs from it, and why:

- The generator writes one element with its count after another, from the least to the most electronegative, and sees
  what it has written. The paper draws all cells of the table at once, each with a sigmoid of its own, so that two
  counts of one element can both win and no cell knows of another.
- The random numbers that choose are the latent point: two coordinates an element. A point always gives one formula.
- It first learns formulas by likelihood, then from the critic; from random weights alone the two networks circled each
  other and the generator lost variety.
- Dense layers in the critic instead of convolutions: rows stand for elements, and what lies beside what means nothing.
- Elements and counts are chosen at temperatures of their own: variety lies in the elements, validity in the counts.
- The generator that is kept is the running mean of the trained one.

Reference: Dan et al., npj Comput. Mater. 6, 84 (2020), doi:10.1038/s41524-020-00352-0
"""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

LEAST = 2  # elements of a compound


@dataclass(frozen=True)
class FormulaLMConfig:
    """Sizes of the network; a checkpoint stores exactly these fields."""

    n_elements: int = 85
    n_counts: int = 8
    n_slots: int = 8  # elements that a formula can have at most
    hidden: int = 192  # width of the generator
    element_temperature: float = 1.0  # of each choice of an element while it writes; above 1 for more variety
    count_temperature: float = 1.0  # of each choice of a count; these decide whether the charges add up
    dropout: float = 0.1  # of the generator's state, while it learns by likelihood
    critic: int = 320  # width
    critic_depth: int = 1  # residual blocks
    n_features: int = 48  # width of the critic's last layer, the space of its map
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


class FormulaWriter(nn.Module):
    """Writes formulas element by element; the elements of its table stand in the order in which they are written."""

    def __init__(self, config: FormulaLMConfig) -> None:
        super().__init__()
        self.config = config
        self.start = nn.Parameter(torch.zeros(config.hidden))
        self.element = nn.Linear(config.n_elements + 1, config.hidden, bias=False)  # row 0 ends the formula
        self.count = nn.Linear(config.n_counts, config.hidden, bias=False)
        self.memory = nn.GRU(config.hidden, config.hidden, batch_first=True)
        self.to_element = nn.Linear(config.hidden, config.n_elements + 1)
        self.to_count = nn.Sequential(
            nn.Linear(config.hidden, config.hidden), nn.SiLU(), nn.Linear(config.hidden, config.n_counts)
        )
        self.dropout = nn.Dropout(config.dropout)

    def loss(self, species: Tensor, counts: Tensor, rng: Generator | None = None) -> dict[str, Tensor]:
        """Return "loss", the negative log likelihood of real formulas in nats a formula, and its parts.

        Args:
            species: Rows of the elements, ascending, -1 behind the last, (B, n_slots).
            counts: How many of each, (B, n_slots).
            rng: Not used; dropout draws from torch's own state.
        """
        there = species >= 0
        element = F.one_hot((species + 1).long(), self.config.n_elements + 1).float()
        count = F.one_hot((counts - 1).clamp(min=0).long(), self.config.n_counts).float()
        before = self.element(element) + self.count(count)
        start = self.start.expand(len(species), 1, -1)
        state = self.dropout(self.memory(torch.cat([start, before], 1))[0])
        last = torch.cat([species.new_full((len(species), 1), -1), species], 1)
        target = torch.cat([(species + 1).long(), species.new_zeros(len(species), 1).long()], 1)
        asked = torch.cat([torch.ones_like(there[:, :1]), there], 1)  # up to and with the end
        n = species.shape[1]
        logits = self.element_logits(state, last, torch.arange(n + 1, device=species.device).expand(len(species), -1))
        of_elements = F.cross_entropy(logits[asked], target[asked], reduction="sum") / len(species)
        shown = self.to_count(state[:, :n] + self.element(element))
        of_counts = F.cross_entropy(shown[there], (counts - 1).long()[there], reduction="sum") / len(species)
        return {"loss": of_elements + of_counts, "elements": of_elements, "counts": of_counts}

    def element_logits(self, state: Tensor, last: Tensor, n_written: Tensor) -> Tensor:
        """Logits of the end and of each element; those already passed, and an end too soon or too late, are out.

        Args:
            state: (..., hidden).
            last: Row of the last element written, -1 if there is none, (...).
            n_written: How many are written, (...).
        """
        c = self.config
        rows = torch.arange(c.n_elements, device=state.device)
        left = c.n_elements - 1 - last  # elements that can still come
        out = rows <= last.unsqueeze(-1)
        # The first element must leave room for a second.
        out = out | ((rows == c.n_elements - 1) & (n_written < LEAST - 1).unsqueeze(-1))
        full = (n_written >= c.n_slots) | (left <= 0)
        out = torch.cat([((n_written < LEAST) & ~full).unsqueeze(-1), out | full.unsqueeze(-1)], -1)
        return self.to_element(state).masked_fill(out, -torch.inf)

    def forward(self, at: Tensor) -> Tensor:
        """Write one formula for each row of numbers from 0 to 1.

        Args:
            at: (B, 2, n_slots); the first choose the elements, the second the counts.

        Returns:
            Tables (B, n_elements, n_counts); with gradients on, those of the shares behind each choice pass straight
            through.
        """
        c = self.config
        table = at.new_zeros(len(at), c.n_elements, c.n_counts)
        rows = torch.arange(len(at), device=at.device)
        last, memory = rows.new_full((len(at),), -1), None
        given = self.start.expand(len(at), 1, -1)
        for slot in range(c.n_slots):
            state, memory = self.memory(given, memory)
            state = state[:, 0]
            logits = self.element_logits(state, last, torch.full_like(last, slot))
            element, place = _choose(logits / c.element_temperature, at[rows, 0, slot])
            going = place > 0
            rows, element, last, state = rows[going], element[going], place[going] - 1, state[going]
            memory = memory[:, going]
            if not len(rows):
                break
            shown = self.element(element)
            count, number = _choose(self.to_count(state + shown) / c.count_temperature, at[rows, 1, slot])
            if torch.is_grad_enabled():
                table = table.index_add(0, rows, torch.einsum("be,bc->bec", element[:, 1:], count))
            else:
                table[rows, last, number] = 1.0
            given = (shown + self.count(count)).unsqueeze(1)
        return table


def _choose(logits: Tensor, at: Tensor) -> tuple[Tensor, Tensor]:
    """Where a number from 0 to 1 falls among the shares: as a row of 0 and 1, and as a place."""
    shares = logits.softmax(-1)
    sums = shares.detach().cumsum(-1)
    at = at.clamp(1e-6, 1 - 1e-6) * sums[:, -1]  # 0 would choose what has no share
    place = (sums < at.unsqueeze(-1)).sum(-1)
    chosen = F.one_hot(place, logits.shape[-1]).to(shares.dtype)
    return (chosen + shares - shares.detach() if torch.is_grad_enabled() else chosen), place


class FormulaLM(nn.Module):
    """Latent points to tables of element against count, and a critic of such tables."""

    Config = FormulaLMConfig

    def __init__(self, config: FormulaLMConfig) -> None:
        super().__init__()
        self.config = config
        self.generator = FormulaWriter(config)
        self.critic = nn.Sequential(
            nn.Linear(config.n_elements * config.n_counts, config.critic),
            *(ResidualBlock(config.critic) for _ in range(config.critic_depth)),
            nn.LeakyReLU(0.2),
            nn.Linear(config.critic, config.n_features),
            nn.LeakyReLU(0.2),
        )
        self.verdict = nn.Linear(config.n_features, 1)

    @property
    def latent_dim(self) -> int:
        """Number of latent coordinates."""
        return 2 * self.config.n_slots

    def decode(self, z: Tensor) -> Tensor:
        """Map (B, latent_dim) to tables (B, n_elements, n_counts) of 0 and 1."""
        return self.generator(torch.special.ndtr(z).unflatten(1, (2, self.config.n_slots)))

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
        return torch.randn(n_samples, self.latent_dim, generator=rng, device=device)
