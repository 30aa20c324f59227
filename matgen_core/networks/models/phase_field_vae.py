"""Rank phase fields by how well a VAE of known chemistry restores them.

A phase field is a set of elements, such as {Li, Sn, S, Cl}, given as 4 x 37 standardized element features, slot by
slot in a fixed order. The network restores the features; the distance from the restored features of a slot to those of
every element says how likely each element is there. A field is scored by hiding its elements one by one: the error of
restoring each from the others. Several networks are trained side by side as one, each from its own first weights.

The released network of the paper returns a constant. This one learns because nothing is dropped between layers that are
only a few numbers wide, its output is linear, and restoring a hidden element is part of what it is trained to do.

Reference: Vasylenko et al., Nat. Commun. 12, 5561 (2021), doi:10.1038/s41467-021-25343-7
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from matgen_core.networks.models.parts.blocks import Gaussian

_CHUNK = 8_192  # contexts that are restored at once


@dataclass(frozen=True)
class PhaseFieldVAEConfig:
    """Sizes of the network and weights of its loss."""

    n_slots: int = 4
    n_features: int = 37
    n_elements: int = 92
    n_members: int = 5
    embedding: int = 64  # numbers that the features of an element become before the slots are summed
    hidden: tuple[int, ...] = (96, 96)
    latent_dim_member: int = 16
    beta: float = 0.05  # weight of the KL term
    feature_weight: float = 2.0  # weight of the squared error of the features beside that of the elements
    hide_share: float = 0.8  # share of the rows in which one slot is hidden


class MemberLinear(nn.Module):
    """A linear layer for every member: (n_members, B, n_in) -> (n_members, B, n_out)."""

    def __init__(self, n_members: int, n_in: int, n_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_members, n_in, n_out) / math.sqrt(n_in))
        self.bias = nn.Parameter(torch.zeros(n_members, 1, n_out))

    def forward(self, x: Tensor) -> Tensor:
        """Apply each member's weights to its rows."""
        return torch.baddbmm(self.bias, x, self.weight)


class MemberMLP(nn.Module):
    """Layers of these sizes for every member, GELU before each."""

    def __init__(self, n_members: int, *sizes: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(MemberLinear(n_members, *pair) for pair in pairwise(sizes))

    def forward(self, x: Tensor) -> Tensor:
        """Apply each member's layers to its rows."""
        for layer in self.layers:
            x = layer(F.gelu(x))
        return x


class PhaseFieldVAE(nn.Module):
    """An ensemble of Gaussian VAEs over phase fields; their latent coordinates stand side by side."""

    Config = PhaseFieldVAEConfig

    def __init__(self, config: PhaseFieldVAEConfig) -> None:
        super().__init__()
        self.config = config
        c, first, last = config, config.hidden[0], config.hidden[-1]
        # The first layer over a field is a sum over slots, so its terms can be tabulated, one an element and slot.
        self.embedding = MemberLinear(c.n_members, c.n_features, c.embedding)
        self.first = nn.Parameter(
            torch.randn(c.n_members, c.n_slots, c.embedding, first) / math.sqrt(c.n_slots * c.embedding)
        )
        self.first_bias = nn.Parameter(torch.zeros(c.n_members, 1, first))
        self.hidden_slot = nn.Parameter(torch.zeros(c.n_members, c.n_slots, first))  # the term of a hidden element
        self.encoder = MemberMLP(c.n_members, *c.hidden, 2 * c.latent_dim_member)
        self.decoder_first = MemberLinear(c.n_members, c.latent_dim_member, last)
        self.decoder = MemberMLP(c.n_members, *reversed(c.hidden), c.n_slots * c.n_features)
        self.log_precision = nn.Parameter(torch.full((c.n_members, 1, c.n_features), -math.log(c.n_features / 4)))
        self.element_bias = nn.Parameter(torch.zeros(c.n_members, c.n_slots, 1, c.n_elements))

    @property
    def latent_dim(self) -> int:
        """Latent coordinates of all members together."""
        return self.config.n_members * self.config.latent_dim_member

    def encode(self, x: Tensor) -> Gaussian:
        """Map features (B, n_slots, n_features) to q(z | x) over (B, latent_dim)."""
        embedded = F.gelu(self.embedding(x.flatten(0, 1).expand(self.config.n_members, -1, -1)))
        h = (
            torch.einsum("mbse,mseh->mbh", embedded.reshape(-1, *x.shape[:2], self.config.embedding), self.first)
            + self.first_bias
        )
        mean, log_var = self._posterior(h)
        return Gaussian(mean.movedim(0, 1).flatten(1), log_var.movedim(0, 1).flatten(1))

    def encode_elements(self, table: Tensor, places: Tensor, hidden: Tensor) -> Gaussian:
        """Return q(z | the elements of each field, but for a hidden one), (n_members, B, latent_dim_member).

        Args:
            table: Standardized features of the elements, (n_elements, n_features).
            places: Rows of `table` in the slots of each field, (B, n_slots).
            hidden: The slot that each member does not see, (n_members, B); n_slots hides none.
        """
        return Gaussian(*self._posterior(self._first_layer(self._terms(table), places, hidden)))

    def decode(self, z: Tensor) -> Tensor:
        """Map (B, latent_dim) to features (B, n_slots, n_features), the mean over members."""
        members = z.reshape(len(z), self.config.n_members, -1).movedim(1, 0)
        return self._restore(members).mean(0)

    def loss(self, table: Tensor, places: Tensor, rng: Generator | None = None) -> dict[str, Tensor]:
        """Return "loss" and its parts, each averaged over the batch and summed over members.

        Args:
            table: Standardized features of the elements, (n_elements, n_features).
            places: Rows of `table` in the slots of each field, (B, n_slots).
            rng: Draws the hidden slots and the latent noise.
        """
        c = self.config
        hide = torch.rand(c.n_members, len(places), device=places.device, generator=rng) < c.hide_share
        slot = torch.randint(c.n_slots, hide.shape, device=places.device, generator=rng)
        slot = torch.where(hide, slot, c.n_slots)  # n_slots hides none
        posterior = self.encode_elements(table, places, slot)
        features = self._restore(posterior.sample(rng))
        squared = (features - table[places]).square().sum((-1, -2)).mean(1) / c.n_features
        logits = torch.stack([self._logits(features[:, :, s], table, s) for s in range(c.n_slots)], -1)
        target = places.expand(c.n_members, -1, -1)
        elements = F.cross_entropy(logits.movedim(2, 1), target, reduction="none").sum(-1).mean(1)
        reconstruction = c.feature_weight * squared + elements
        kl = posterior.kl().mean(1)
        loss = reconstruction + c.beta * kl
        parts = {
            "loss": loss,
            "reconstruction": reconstruction,
            "kl": kl,
            "squared_error": squared,
            "element_error": elements,
        }
        return {name: value.sum() for name, value in parts.items()}

    @torch.no_grad()
    def score(self, table: Tensor, places: Tensor) -> Tensor:
        """Return the error of restoring each field's elements from the others, in nats, (B, n_members)."""
        return self.element_errors(table, places).sum(1)

    @torch.no_grad()
    def contributions(self, table: Tensor, places: Tensor) -> Tensor:
        """Return the part of each slot in the score, the mean over members, (B, n_slots)."""
        return self.element_errors(table, places).mean(2)

    @torch.no_grad()
    def element_errors(self, table: Tensor, places: Tensor) -> Tensor:
        """Return -log p(element | the other elements), in nats, (B, n_slots, n_members).

        Fields that differ in one element share the context of that element, so each context is restored once.
        """
        c, terms = self.config, self._terms(table)
        digits = c.n_elements ** torch.arange(c.n_slots, device=places.device)
        errors = torch.empty(*places.shape, c.n_members, device=places.device)
        for slot in range(c.n_slots):
            keys = (places * digits).sum(1) - places[:, slot] * digits[slot]
            contexts, context, counts = torch.unique(keys, return_inverse=True, return_counts=True)
            order, ends = context.argsort(), counts.cumsum(0)
            starts = ends - counts
            for chunk in torch.split(torch.arange(len(contexts), device=places.device), _CHUNK):
                fields = order[starts[chunk[0]] : ends[chunk[-1]]]
                log_p = self._log_p(terms, table, places[order[starts[chunk]]], slot)
                errors[fields, slot] = -log_p[context[fields] - chunk[0], places[fields, slot]]
        return errors

    def _log_p(self, terms: Tensor, table: Tensor, contexts: Tensor, slot: int) -> Tensor:
        """Log-probabilities of the elements in one slot, given the others, (B, n_elements, n_members)."""
        hidden = torch.full((self.config.n_members, len(contexts)), slot, device=contexts.device)
        mean, _ = self._posterior(self._first_layer(terms, contexts, hidden))
        features = self._restore(mean)[:, :, slot]
        return self._logits(features, table, slot).log_softmax(-1).movedim(0, -1)

    def _terms(self, table: Tensor) -> Tensor:
        """Terms of the first layer, (n_members, n_slots, n_elements + 1, n_hidden); the last is the hidden slot's."""
        embedded = F.gelu(self.embedding(table.expand(self.config.n_members, -1, -1)))
        of_elements = torch.einsum("mne,mseh->msnh", embedded, self.first)
        return torch.cat([of_elements, self.hidden_slot[:, :, None]], 2)

    def _first_layer(self, terms: Tensor, places: Tensor, hidden: Tensor) -> Tensor:
        """Sum the terms of the slots, (n_members, B, n_hidden); `hidden` (n_members, B) is the hidden slot."""
        h: Tensor = self.first_bias
        for slot in range(self.config.n_slots):
            rows = torch.where(hidden == slot, self.config.n_elements, places[:, slot])
            h = h + torch.gather(terms[:, slot], 1, rows[..., None].expand(-1, -1, terms.shape[-1]))
        return h

    def _posterior(self, h: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_var = self.encoder(h).chunk(2, dim=-1)
        return mean, log_var.clamp(-10, 4)

    def _restore(self, z: Tensor) -> Tensor:
        """Map (n_members, B, latent_dim_member) to features (n_members, B, n_slots, n_features)."""
        features = self.decoder(self.decoder_first(z))
        return features.reshape(*features.shape[:2], self.config.n_slots, self.config.n_features)

    def _logits(self, features: Tensor, table: Tensor, slot: int) -> Tensor:
        """Minus half the squared distance to every element, each feature weighted by its precision, plus a bias.

        The term that is the same for all elements is left out; the softmax does not see it.
        """
        precision = self.log_precision.exp()
        likeness = (features * precision) @ table.T - 0.5 * precision @ table.T.square()
        return likeness + self.element_bias[:, slot]
