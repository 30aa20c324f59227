"""Properties of a formula, each with a scale of its error: the predictor of DING, and the one that judges it.

What is known of mixtures stands in the network from the start, and it learns the rest: the energy of a compound is its
formation energy and the energies of its elements, its volume about that of its elements. The published predictor is a
dense network on the table of element against count.

Two kinds of body, so that a predictor can be judged by one that is built otherwise: attention between the elements of
a formula, and dense layers on statistics of its elements.

References: Pathak et al., Phys. Chem. Chem. Phys. 22, 26935 (2020), doi:10.1039/D0CP03508D; Wang et al., npj Comput.
Mater. 7, 77 (2021), doi:10.1038/s41524-021-00545-1 (attention between elements)
"""

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

PROPERTIES = ("formation_energy_per_atom", "volume_per_atom", "energy_per_atom", "band_gap")
# How far from a request a prediction may lie and still be a hit, in the units of the properties.
TOLERANCE = {"formation_energy_per_atom": 0.1, "volume_per_atom": 1.0, "energy_per_atom": 0.1}
N_FRACTION_FEATURES = 12


@dataclass(frozen=True)
class FormulaPredictorConfig:
    """Sizes of the network; `layers` and `rounds` are those of attention, `layers` the blocks of the dense kind."""

    n_elements: int
    kind: str = "attention"  # or "statistics"
    width: int = 112
    layers: int = 2
    rounds: int = 2  # how often the same layers are run through
    heads: int = 4
    dropout: float = 0.05
    gap_weight: float = 0.3  # of the band gap in the loss, beside 1 for each other property


class FormulaPredictor(nn.Module):
    """Counts of elements to properties."""

    Config = FormulaPredictorConfig
    energies: Tensor
    volumes: Tensor
    center: Tensor
    spread: Tensor
    calibration: Tensor

    def __init__(self, config: FormulaPredictorConfig) -> None:
        super().__init__()
        self.config = config
        n = len(PROPERTIES)
        if config.kind == "attention":
            self.body: nn.Module = _Attention(config)
        elif config.kind == "statistics":
            self.body = _Statistics(config)
        else:
            raise ValueError(f"kind {config.kind!r}; expected attention or statistics")
        self.head = nn.Linear(config.width, 2 * n)
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)
        # Physical scales, kept in float32 also where the weights are not.
        self.register_buffer("energies", torch.zeros(config.n_elements))  # eV/atom of each element
        self.register_buffer("volumes", torch.zeros(config.n_elements))  # Å^3/atom
        self.register_buffer("center", torch.zeros(n))
        self.register_buffer("spread", torch.ones(n))
        self.register_buffer("calibration", torch.ones(n))

    @torch.no_grad()
    def standardize(self, counts: Tensor, values: Tensor) -> None:
        """Take references and scales from training formulas, before learning.

        Args:
            counts: (n, n_elements).
            values: (n, 4), NaN where a property is not known.
        """
        fractions = _fractions(counts)
        energy, volume = values[:, 2] - values[:, 0], values[:, 1]
        self.energies.copy_(_mixture(fractions, energy, robust=True))
        self.volumes.copy_(_mixture(fractions, volume, robust=False))
        rest = values - self._known(fractions)
        for i in range(len(PROPERTIES)):
            found = rest[:, i][~rest[:, i].isnan()]
            if PROPERTIES[i] != "energy_per_atom" and len(found) > 1:
                self.center[i], self.spread[i] = found.mean(), found.std().clamp(min=1e-3)
        # Energies are counted as formation energies are; their mean difference is none.
        self.center[2], self.spread[2] = 0.0, self.spread[0]

    def forward(self, counts: Tensor) -> tuple[Tensor, Tensor]:
        """Map counts (B, n_elements) to means and scales of the absolute errors, (B, 4) each, in units of the data."""
        fractions = _fractions(counts)
        raw, log_scale = self.head(self.body(fractions)).float().chunk(2, dim=-1)
        mean = self._known(fractions) + self.center + self.spread * raw
        mean = torch.cat([mean[:, :2], mean[:, 2:3] + mean[:, :1], mean[:, 3:]], 1)
        return mean, self.spread * log_scale.clamp(-7.0, 3.0).exp()

    @torch.no_grad()
    def predict(self, counts: Tensor) -> tuple[Tensor, Tensor]:
        """Means and standard deviations, (B, 4) each; the deviations are calibrated on formulas held out."""
        mean, scale = self(counts)
        return mean, math.sqrt(2.0) * scale * self.calibration  # errors fall off as a Laplace distribution

    def loss(self, counts: Tensor, values: Tensor, rng: Generator | None = None) -> dict[str, Tensor]:
        """Return "loss" and its parts.

        The means learn from absolute errors, the scales from the errors of the means as they are.

        Args:
            counts: (B, n_elements).
            values: (B, 4), NaN where a property is not known.
            rng: Not used: nothing here is drawn but by dropout.
        """
        mean, scale = self(counts)
        known = ~values.isnan()
        error = torch.where(known, (values.nan_to_num() - mean).abs() / self.spread, 0.0)
        each = error.sum(0) / known.sum(0).clamp(min=1)
        scale = scale / self.spread
        spread = torch.where(known, error.detach() / scale + scale.log(), 0.0)
        scales = (spread.sum(0) / known.sum(0).clamp(min=1)).sum()
        weights = each.new_tensor([1.0, 1.0, 1.0, self.config.gap_weight])
        parts = {f"error_of_{name}": value for name, value in zip(PROPERTIES, each, strict=True)}
        return {"loss": (weights * each).sum() + 0.1 * scales, "scales": scales, **parts}

    @torch.no_grad()
    def calibrate(self, counts: Tensor, values: Tensor, batch_size: int = 8192) -> None:
        """Stretch the scales so that errors on formulas that were not trained on are as large as they say."""
        parts = [self(part) for part in counts.split(batch_size)]
        mean, scale = torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])
        known = ~values.isnan()
        ratio = torch.where(known, (values.nan_to_num() - mean).abs() / scale, 0.0)
        found = ratio.sum(0) / known.sum(0).clamp(min=1)
        self.calibration.copy_(torch.where(found > 0, found, 1.0))

    def _known(self, fractions: Tensor) -> Tensor:
        """What the mixture of the elements says of each property, (B, 4)."""
        nothing = torch.zeros_like(fractions[:, 0])
        return torch.stack([nothing, fractions @ self.volumes, fractions @ self.energies, nothing], 1)


class _Attention(nn.Module):
    """Elements of a formula look at each other."""

    def __init__(self, config: FormulaPredictorConfig) -> None:
        super().__init__()
        self.rounds = config.rounds
        self.element = nn.Embedding(config.n_elements, config.width)
        self.fraction = nn.Linear(N_FRACTION_FEATURES, config.width)
        self.layers = nn.ModuleList(_AttentionLayer(config) for _ in range(config.layers))
        self.last = nn.Sequential(
            nn.LayerNorm(config.width), nn.Linear(config.width, config.width), nn.SiLU(), nn.Dropout(config.dropout)
        )

    def forward(self, fractions: Tensor) -> Tensor:
        """Map fractions (B, n_elements) to (B, width)."""
        n_slots = max(1, int((fractions > 0).sum(1).max()))
        share, species = fractions.topk(n_slots, dim=1)
        absent = share <= 0
        h = self.element(species) + self.fraction(_fraction_features(share))
        hidden = torch.zeros_like(share).masked_fill(absent, -1e9)[:, None, None, :]
        for _ in range(self.rounds):
            for layer in self.layers:
                h = layer(h, hidden)
        # Each element speaks for its share of the atoms.
        return (self.last(h) * share.unsqueeze(-1)).sum(1)


class _AttentionLayer(nn.Module):
    def __init__(self, config: FormulaPredictorConfig) -> None:
        super().__init__()
        self.heads, self.dropout = config.heads, config.dropout
        self.norm = nn.LayerNorm(config.width)
        self.to_qkv = nn.Linear(config.width, 3 * config.width)
        self.joined = nn.Linear(config.width, config.width)
        self.dense = nn.Sequential(
            nn.LayerNorm(config.width),
            nn.Linear(config.width, 2 * config.width),
            nn.SiLU(),
            nn.Dropout(config.dropout),
            nn.Linear(2 * config.width, config.width),
        )

    def forward(self, h: Tensor, hidden: Tensor) -> Tensor:
        n, n_slots, width = h.shape
        q, k, v = self.to_qkv(self.norm(h)).view(n, n_slots, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-1, -2) / math.sqrt(width / self.heads) + hidden).softmax(-1)
        h = h + self.joined((weights @ v).transpose(1, 2).reshape(n, n_slots, width))
        return h + self.dense(h)


class _Statistics(nn.Module):
    """Mean, spread and extremes of learned properties of the elements, and of pairs of them, through dense layers."""

    def __init__(self, config: FormulaPredictorConfig) -> None:
        super().__init__()
        n_codes = config.width // 3
        self.codes = nn.Parameter(torch.randn(config.n_elements, n_codes))
        self.left, self.right = nn.Linear(n_codes, n_codes), nn.Linear(n_codes, n_codes, bias=False)
        self.first = nn.Linear(5 * n_codes + 3, config.width)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(config.width),
                nn.Linear(config.width, config.width),
                nn.SiLU(),
                nn.Dropout(config.dropout),
                nn.Linear(config.width, config.width),
            )
            for _ in range(config.layers)
        )
        self.last = nn.Sequential(nn.LayerNorm(config.width), nn.SiLU())

    def forward(self, fractions: Tensor) -> Tensor:
        """Map fractions (B, n_elements) to (B, width)."""
        mean = fractions @ self.codes
        variance = (fractions @ self.codes.square() - mean.square()).clamp(min=0)
        n_slots = max(1, int((fractions > 0).sum(1).max()))
        share, species = fractions.topk(n_slots, dim=1)
        absent = (share <= 0).unsqueeze(-1)
        present = self.codes[species]
        least = present.masked_fill(absent, torch.inf).amin(1).nan_to_num(posinf=0.0)
        most = present.masked_fill(absent, -torch.inf).amax(1).nan_to_num(neginf=0.0)
        norms = torch.stack([share.norm(p, dim=1) for p in (2, 3, 7)], 1)
        # Every pair of elements, the element with itself too, by the share of such pairs of atoms.
        met = F.silu(self.left(present).unsqueeze(2) + self.right(present).unsqueeze(1))
        pairs = torch.einsum("bi,bj,bijk->bk", share, share, met)
        h = self.first(torch.cat([mean, (variance + 1e-4).sqrt(), least, most, pairs, norms], 1))
        for block in self.blocks:
            h = h + block(h)
        return self.last(h)


def _fractions(counts: Tensor) -> Tensor:
    """Share of each element in the atoms, float32 of the shape of the counts; all 0 for the empty formula."""
    counts = counts.float()
    return counts / counts.sum(1, keepdim=True).clamp(min=1)


def _fraction_features(share: Tensor) -> Tensor:
    """Twelve numbers that tell shares apart, near 0 too, (..., 12)."""
    octaves = math.pi * torch.arange(5, device=share.device).exp2()
    angles = share.unsqueeze(-1) * octaves
    plain = torch.stack([share, share.clamp(min=1e-3).log() / 5], -1)
    return torch.cat([plain, angles.sin(), angles.cos()], -1)


def _mixture(fractions: Tensor, values: Tensor, robust: bool) -> Tensor:
    """A number for each element whose means over formulas are nearest to the values, (n_elements,).

    Args:
        fractions: (n, n_elements).
        values: (n,), NaN where not known.
        robust: Least absolute errors (by reweighting) and not least squares, so that rows with another convention
            for the energies of their elements do not count.
    """
    known = ~values.isnan()
    a, b = fractions[known].double(), values[known].double()
    ridge = 1e-6 * torch.eye(a.shape[1], dtype=a.dtype, device=a.device)
    weights = torch.ones_like(b)
    for _ in range(30 if robust else 1):
        scaled = a * weights.unsqueeze(1)
        solution = torch.linalg.solve(scaled.T @ a + ridge, scaled.T @ b)
        weights = 1 / (b - a @ solution).abs().clamp(min=1e-4)
        weights = weights / weights.mean()
    return solution.float()


def reference_energies(counts: Tensor, energies: Tensor) -> Tensor:
    """Mean energy of the elements of each formula in eV/atom, (B,), of those of the elements, (n_elements,)."""
    return _fractions(counts) @ energies


__all__ = ["PROPERTIES", "FormulaPredictor", "FormulaPredictorConfig", "reference_energies"]
