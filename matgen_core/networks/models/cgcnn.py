"""Properties of a crystal from its graph, with an honest uncertainty: an ensemble of crystal graph networks.

The convolution is the gated one of Xie and Grossman, Phys. Rev. Lett. 120, 145301 (2018),
doi:10.1103/PhysRevLett.120.145301. Edges that learn beside the atoms are of Park and Wolverton,
Phys. Rev. Mater. 4, 063801 (2020), doi:10.1103/PhysRevMaterials.4.063801. The members of the ensemble differ by
their first weights (Lakshminarayanan et al. 2017, arXiv:1612.01474) and are trained and run at once: every weight
has a leading axis of members.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class CGCNNConfig:
    """Sizes of the network and what it predicts; a checkpoint stores exactly these fields."""

    n_elements: int
    properties: tuple[str, ...]
    log10: tuple[str, ...] = ()  # properties that are learned as their logarithm
    nonnegative: tuple[str, ...] = ()  # properties whose predictions are cut at 0
    weights: tuple[float, ...] = ()  # of the properties in the loss; empty: all 1
    members: int = 5
    node_dim: int = 96
    edge_dim: int = 64
    message_dim: int = 64
    hidden: int = 128
    n_convolutions: int = 4
    edge_updates: bool = True
    n_gaussians: int = 41
    cutoff: float = 8.0  # Å, center of the last Gaussian
    dropout: float = 0.0  # of the pooled features, in training


class Prediction(NamedTuple):
    """A normal distribution for each crystal and property, (B, n_properties) each, logarithms where learned so."""

    mean: Tensor
    std: Tensor  # calibrated; from the spread of the members and the noise that each of them expects


def in_units(config: CGCNNConfig, prediction: Prediction) -> Prediction:
    """Turn logarithms back into values and cut what cannot be negative at 0.

    A standard deviation of a logarithm becomes one of the value to first order: std * value * ln 10.
    """
    logs = torch.tensor([name in config.log10 for name in config.properties], device=prediction.mean.device)
    cut = torch.tensor([name in config.nonnegative for name in config.properties], device=prediction.mean.device)
    mean = torch.where(logs, 10**prediction.mean, prediction.mean)
    std = torch.where(logs, prediction.std * mean * math.log(10), prediction.std)
    return Prediction(torch.where(cut, mean.clamp(min=0), mean), std)


class MemberLinear(nn.Module):
    """One linear layer a member."""

    def __init__(self, members: int, n_in: int, n_out: int, bias: bool = True) -> None:
        super().__init__()
        bound = 1 / math.sqrt(n_in)
        self.weight = nn.Parameter(torch.empty(members, n_in, n_out).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(members, 1, n_out)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (members or 1, N, n_in) to (members, N, n_out)."""
        x = x.expand(len(self.weight), -1, -1)
        return torch.bmm(x, self.weight) if self.bias is None else torch.baddbmm(self.bias, x, self.weight)


class MemberNorm(nn.Module):
    """Layer normalization with its own scale and shift a member."""

    def __init__(self, members: int, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(members, 1, dim))
        self.bias = nn.Parameter(torch.zeros(members, 1, dim))

    def forward(self, x: Tensor) -> Tensor:
        """Normalize the last axis of (members, N, dim)."""
        return functional.layer_norm(x, x.shape[-1:]) * self.weight + self.bias


class GatedConvolution(nn.Module):
    """Every atom takes in gated messages from its neighbors; every edge learns from its two atoms."""

    def __init__(self, config: CGCNNConfig, update_edges: bool) -> None:
        super().__init__()
        members, message_dim = config.members, config.message_dim
        self.message_dim = message_dim
        self.update_edges = update_edges
        n_out = 2 * message_dim + (config.edge_dim if update_edges else 0)
        self.norm = MemberNorm(members, config.node_dim)
        # The paper's one layer on (target, source, edge), split so that each atom is multiplied once, not once an edge.
        self.of_target = MemberLinear(members, config.node_dim, n_out)
        self.of_source = MemberLinear(members, config.node_dim, n_out, bias=False)
        self.of_edge = MemberLinear(members, config.edge_dim, n_out, bias=False)
        self.norm_sum = MemberNorm(members, message_dim)
        self.update = MemberLinear(members, message_dim, config.node_dim)

    def forward(
        self, nodes: Tensor, edges: Tensor, sources: Tensor, targets: Tensor, degrees: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Map atoms (M, N, node_dim) and edges (M, E, edge_dim) to the same shapes; `degrees` is (N, 1)."""
        normed = self.norm(nodes)
        mixed = self.of_edge(edges)
        mixed = mixed + self.of_target(normed).index_select(1, targets)
        mixed = mixed + self.of_source(normed).index_select(1, sources)
        gate, core = mixed[..., : self.message_dim], mixed[..., self.message_dim : 2 * self.message_dim]
        messages = torch.sigmoid(gate) * functional.silu(core)
        total = torch.zeros(*nodes.shape[:2], self.message_dim, dtype=nodes.dtype, device=nodes.device)
        total = total.index_add(1, targets, messages.to(nodes.dtype)) / degrees
        nodes = nodes + self.update(functional.silu(self.norm_sum(total)))
        if self.update_edges:
            edges = edges + functional.silu(mixed[..., 2 * self.message_dim :])
        return nodes, edges


class CGCNN(nn.Module):
    """Ensemble of crystal graph networks with a mean and a scale for each property."""

    Config = CGCNNConfig

    def __init__(self, config: CGCNNConfig) -> None:
        super().__init__()
        self.config = config
        n_properties, members = len(config.properties), config.members
        self.embedding = nn.Parameter(torch.randn(members, config.n_elements, config.node_dim))
        self.of_distance = MemberLinear(members, config.n_gaussians, config.edge_dim)
        self.convolutions = nn.ModuleList(
            # The edges of the last convolution would be read by nobody.
            GatedConvolution(config, config.edge_updates and index + 1 < config.n_convolutions)
            for index in range(config.n_convolutions)
        )
        self.norm = MemberNorm(members, config.node_dim)
        self.of_site = MemberLinear(members, config.node_dim, config.hidden)
        self.of_crystal = MemberLinear(members, config.hidden, config.hidden)
        self.mean = MemberLinear(members, config.hidden, n_properties)
        self.log_scale = MemberLinear(members, config.hidden, n_properties)
        # Of the training data and of the validation data; not learned by descent, but a part of the model.
        self.register_buffer("center", torch.zeros(n_properties))
        self.register_buffer("spread", torch.ones(n_properties))
        self.register_buffer("calibration", torch.ones(n_properties))
        self.center: Tensor
        self.spread: Tensor
        self.calibration: Tensor

    @property
    def properties(self) -> tuple[str, ...]:
        """What `predict` gives, in its order."""
        return self.config.properties

    def features(
        self,
        species: Tensor,
        sources: Tensor,
        targets: Tensor,
        distances: Tensor,
        graph_index: Tensor,
        n_graphs: int,
    ) -> Tensor:
        """Return what each member has learned of each crystal, the mean over its sites: (members, B, hidden).

        Args:
            species: (N,) index of the element of each site.
            sources: (E,) site of the neighbor.
            targets: (E,) site that has the neighbor.
            distances: (E,) Å.
            graph_index: (N,) crystal of each site.
            n_graphs: Number of crystals, B.
        """
        config = self.config
        step = config.cutoff / (config.n_gaussians - 1)
        centers = torch.arange(config.n_gaussians, device=distances.device) * step
        gaussians = torch.exp(-0.5 * ((distances[:, None] - centers) / step).square())
        nodes = self.embedding.index_select(1, species)
        edges = self.of_distance(gaussians[None])
        ones = torch.ones(len(species), 1, dtype=nodes.dtype, device=nodes.device)
        degrees = torch.zeros_like(ones).index_add(0, targets, ones[:1].expand(len(targets), 1)).clamp(min=1)
        for convolution in self.convolutions:
            nodes, edges = convolution(nodes, edges, sources, targets, degrees)
        sites = functional.silu(self.of_site(self.norm(nodes))).to(nodes.dtype)
        n_sites = torch.zeros(n_graphs, 1, dtype=nodes.dtype, device=nodes.device).index_add(0, graph_index, ones)
        pooled = torch.zeros(len(sites), n_graphs, sites.shape[-1], dtype=sites.dtype, device=sites.device)
        return pooled.index_add(1, graph_index, sites) / n_sites

    def heads(self, pooled: Tensor, rng: Generator | None = None) -> tuple[Tensor, Tensor]:
        """Map (members, B, hidden) to mean and log scale in units of `spread`, (members, B, n_properties) each.

        Args:
            pooled: From `features`.
            rng: Random state of the dropout; without it nothing is dropped.
        """
        if rng is not None and self.config.dropout > 0:
            keep = torch.rand(pooled.shape, generator=rng, device=pooled.device) >= self.config.dropout
            pooled = pooled * keep / (1 - self.config.dropout)
        hidden = functional.silu(self.of_crystal(pooled))
        # The scale only watches: it must not teach the features to explain errors away.
        return self.mean(hidden).float(), self.log_scale(hidden.detach()).float().clamp(-6, 3)

    def loss(
        self,
        species: Tensor,
        sources: Tensor,
        targets: Tensor,
        distances: Tensor,
        graph_index: Tensor,
        values: Tensor,
        rng: Generator | None = None,
    ) -> dict[str, Tensor]:
        """Return "loss", its two parts, and the mean absolute error of each property in units of its spread.

        The mean is fitted by absolute error, which outliers move little; the scale by the likelihood of the
        Laplace distribution at that mean.

        Args:
            species: As in `features`, like the next four.
            sources: As in `features`.
            targets: As in `features`.
            distances: As in `features`.
            graph_index: As in `features`.
            values: (B, n_properties), logarithms where learned so; NaN where unknown.
            rng: Random state of the dropout.
        """
        pooled = self.features(species, sources, targets, distances, graph_index, len(values))
        mean, log_scale = self.heads(pooled, rng)
        known = values.isfinite()
        wanted = torch.where(known, (values - self.center) / self.spread, 0.0)
        errors = torch.where(known, (mean - wanted).abs(), 0.0)
        surprise = torch.where(known, errors.detach() * (-log_scale).exp() + log_scale, 0.0)
        n_known = (known.sum(0) * len(mean)).clamp(min=1)
        by_property = errors.sum((0, 1)) / n_known
        weights = torch.tensor(self.config.weights or (1.0,) * len(by_property), device=errors.device)
        error = (weights * by_property).sum()
        likelihood = (surprise.sum((0, 1)) / n_known).sum()
        parts = {"loss": error + likelihood, "error": error, "likelihood": likelihood}
        return parts | {f"mae_{name}": part for name, part in zip(self.config.properties, by_property, strict=True)}

    @torch.no_grad()
    def predict(
        self,
        species: Tensor,
        sources: Tensor,
        targets: Tensor,
        distances: Tensor,
        graph_index: Tensor,
        n_graphs: int,
    ) -> Prediction:
        """Return the mean of the members and the standard deviation of their mixture, logarithms where learned so.

        Arguments as in `features`.
        """
        mean, log_scale = self.heads(self.features(species, sources, targets, distances, graph_index, n_graphs))
        # The variance of a Laplace distribution of scale b is 2 b^2.
        variance = (2 * (2 * log_scale).exp()).mean(0) + mean.var(0, correction=0)
        return Prediction(
            mean=self.center + self.spread * mean.mean(0),
            std=self.calibration * self.spread * variance.sqrt(),
        )
