"""DING: a conditional VAE of formulas, a prior that draws under wanted properties, and predictors of the properties.

After Pathak et al. 2020. What differs, and why:

- Properties are standardized, and each may be left out; in training they are left out at random, so that a formula
  can be encoded and decoded when nothing is known of it. The published network takes raw values and always all three.
- Noise is drawn for each sample; the released code draws one vector for a whole batch.
- First and last layer speak of an element's count by a few numbers that all elements share, so the network is small.
- Latent points are drawn by a learned prior under the condition. A latent point tells the composition already, so a
  decoder has little reason to listen to a condition beside it.

Reference: Pathak et al., Phys. Chem. Chem. Phys. 22, 26935 (2020), doi:10.1039/D0CP03508D
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from matgen_core.networks.models.parts.blocks import Gaussian
from matgen_core.networks.models.parts.formula_predictor import PROPERTIES, FormulaPredictor, FormulaPredictorConfig
from matgen_core.networks.models.parts.latent_prior import LatentPrior, LatentPriorConfig

CONDITIONS = PROPERTIES[:3]  # what can be asked for
N_FREQUENCIES = 4  # of each wanted value


@dataclass(frozen=True)
class DINGConfig:
    """Sizes of the network; a checkpoint stores exactly these fields."""

    n_elements: int = 86
    max_count: int = 10
    latent_dim: int = 24  # 32 in the paper
    n_codes: int = 5  # numbers that stand for a count
    hidden: int = 112
    blocks: int = 2  # of the encoder, and as many of the decoder
    beta: float = 0.05  # weight of the KL term
    unknown: float = 0.3  # share of the training rows in which no property is told
    left_out: float = 0.3  # share of the properties that are left out of the others
    prior_hidden: int = 160
    prior_blocks: int = 3
    guidance: float = 2.0  # of the learned prior
    predictor_width: int = 112
    predictor_layers: int = 2
    predictor_rounds: int = 2
    judge_width: int = 144
    judge_layers: int = 3

    @property
    def n_conditions(self) -> int:
        """Numbers that a condition has."""
        return len(CONDITIONS) * (2 + 2 * N_FREQUENCIES)


class DING(nn.Module):
    """Tables of element against count to latent points and back; `prior`, `predictor` and `judge` learn by themselves.

    `predictor` is what `predict` asks. `judge` is built otherwise and has seen other data: it only judges what was
    generated.
    """

    Config = DINGConfig
    condition_mean: Tensor
    condition_std: Tensor
    condition_range: Tensor

    def __init__(self, config: DINGConfig) -> None:
        super().__init__()
        self.config = config
        hidden = config.hidden
        n_flat = config.n_elements * config.n_codes
        self.count_codes = nn.Linear(config.max_count, config.n_codes, bias=False)
        self.first = nn.Linear(n_flat + config.n_conditions, hidden)
        self.encoder = nn.Sequential(*(_Residual(hidden) for _ in range(config.blocks)))
        self.to_latent = nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, 2 * config.latent_dim))
        self.from_latent = nn.Linear(config.latent_dim + config.n_conditions, hidden)
        self.decoder = nn.Sequential(*(_Residual(hidden) for _ in range(config.blocks)))
        self.to_codes = nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, n_flat))
        self.to_counts = nn.Linear(config.n_codes, config.max_count + 1)
        # Nearly every element is absent from a formula.
        with torch.no_grad():
            self.to_counts.bias.zero_()
            self.to_counts.bias[0] = 4.0
        self.register_buffer("condition_mean", torch.zeros(len(CONDITIONS)))
        self.register_buffer("condition_std", torch.ones(len(CONDITIONS)))
        # Least, 0.5 %, 99.5 % and largest value of each property in the training formulas.
        self.register_buffer("condition_range", torch.zeros(len(CONDITIONS), 4))
        self.prior = LatentPrior(
            LatentPriorConfig(
                config.latent_dim,
                config.n_conditions,
                config.prior_hidden,
                config.prior_blocks,
                dropout=0.0,
                guidance=config.guidance,
                n_steps=8,  # 16 take twice as long; the numbers of elements are then off by 0.21 in place of 0.23
            )
        )
        self.predictor = FormulaPredictor(
            FormulaPredictorConfig(
                config.n_elements,
                "attention",
                config.predictor_width,
                config.predictor_layers,
                config.predictor_rounds,
            )
        )
        self.judge = FormulaPredictor(
            FormulaPredictorConfig(config.n_elements, "statistics", config.judge_width, config.judge_layers)
        )

    @property
    def latent_dim(self) -> int:
        """Number of latent coordinates."""
        return self.config.latent_dim

    @property
    def properties(self) -> tuple[str, ...]:
        """What `predict` gives, in its order."""
        return PROPERTIES

    @property
    def condition_properties(self) -> tuple[str, ...]:
        """What can be asked for."""
        return CONDITIONS

    @torch.no_grad()
    def standardize(self, values: Tensor) -> None:
        """Take scales and ranges of the properties from training formulas, (n, 3 or more), NaN where not known."""
        for i in range(len(CONDITIONS)):
            known = values[:, i][~values[:, i].isnan()].double()
            self.condition_mean[i], self.condition_std[i] = known.mean(), known.std()
            limits = torch.tensor([0.0, 0.005, 0.995, 1.0], dtype=torch.float64, device=known.device)
            self.condition_range[i] = torch.quantile(known, limits)

    def condition_of(
        self,
        formation_energy_per_atom: Tensor | None = None,
        volume_per_atom: Tensor | None = None,
        energy_per_atom: Tensor | None = None,
    ) -> Tensor:
        """Conditions (B, n_conditions) of wanted values, (B,) each, in eV/atom, Å^3/atom, eV/atom.

        A value that is NaN, or a property that is not given, is not asked for; a row without any is all 0.

        Raises:
            ValueError: If no property is given.
        """
        given = (formation_energy_per_atom, volume_per_atom, energy_per_atom)
        known = [values for values in given if values is not None]
        if not known:
            raise ValueError(f"nothing is asked for; give one of {', '.join(CONDITIONS)}")
        none = torch.full_like(known[0], torch.nan)
        return self._told(torch.stack([none if values is None else values for values in given], 1))

    def condition(self, wanted: Mapping[str, float]) -> Tensor:
        """Condition (1, n_conditions) of wanted values by the name of the property; the others are not asked for.

        Raises:
            ValueError: If a name is not one of `CONDITIONS` or nothing is given.
        """
        strange = [name for name in wanted if name not in CONDITIONS]
        if strange:
            raise ValueError(f"{', '.join(strange)} cannot be asked for; known: {', '.join(CONDITIONS)}")
        device = self.condition_mean.device
        return self.condition_of(**{name: torch.tensor([value], device=device) for name, value in wanted.items()})

    def condition_ranges(self) -> dict[str, tuple[float, float, float, float]]:
        """Least, 0.5 %, 99.5 % and largest value of each property in the training formulas, in units of the data."""
        rows = self.condition_range.tolist()
        return {name: tuple(row) for name, row in zip(CONDITIONS, rows, strict=True)}

    def draw_from_prior(
        self, noise: Tensor, condition: Tensor | None = None, center: Tensor | None = None, width: float = 1.0
    ) -> Tensor:
        """Carry noise (n, latent_dim) to latent points; arguments as in `LatentPrior.sample`."""
        return self.prior.sample(noise, condition, center, width)

    def encode(self, x: Tensor, condition: Tensor | None = None) -> Gaussian:
        """Map tables (B, n_elements, 1 + max_count) to q(z | x) over (B, latent_dim).

        Args:
            x: Column 0 says that an element is absent.
            condition: (B, n_conditions); without it, nothing is known of the formula.
        """
        counts = self.count_codes(x[..., 1:]).flatten(1)
        h = self.encoder(self.first(torch.cat([counts, self._condition(len(x), condition)], 1)))
        mean, log_var = self.to_latent(h).float().chunk(2, dim=-1)
        return Gaussian(mean, log_var.clamp(-12.0, 4.0))

    def decode(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """Map (B, latent_dim) to tables (B, n_elements, 1 + max_count) of probabilities.

        Args:
            z: Latent points.
            condition: (B, n_conditions); without it, nothing is asked for.
        """
        return self._logits(z, condition).softmax(-1)

    def loss(self, x: Tensor, values: Tensor, rng: Generator | None = None) -> dict[str, Tensor]:
        """Return "loss" and its parts, each averaged over the batch: loss = reconstruction + beta kl.

        Args:
            x: Tables, (B, n_elements, 1 + max_count).
            values: (B, 3) of the properties, NaN where not known; some are left out at random.
            rng: Random state.
        """
        condition = self._told(self.leave_out(values, rng))
        q = self.encode(x, condition)
        logits = self._logits(q.sample(rng), condition)
        reconstruction = -(x * logits.log_softmax(-1)).sum((1, 2)).mean()
        kl = q.kl().mean()
        return {"loss": reconstruction + self.config.beta * kl, "reconstruction": reconstruction, "kl": kl}

    def leave_out(self, values: Tensor, rng: Generator | None = None) -> Tensor:
        """Return properties (B, 3) of which some are replaced by NaN at random, as the config says."""
        n, device = len(values), values.device
        nothing = torch.rand(n, 1, generator=rng, device=device) < self.config.unknown
        some = torch.rand(values.shape, generator=rng, device=device) < self.config.left_out
        return values.masked_fill(nothing | some, torch.nan)

    @torch.no_grad()
    def predict(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Means and standard deviations of `properties` of tables, (B, 4) each, in units of the data."""
        return self.predictor.predict(x.argmax(-1))

    def _told(self, values: Tensor) -> Tensor:
        """Condition (B, n_conditions) of values (B, 3): whether each is known, the value, and its waves."""
        known = ~values.isnan()
        standard = ((values.nan_to_num() - self.condition_mean) / self.condition_std).float()
        octaves = (math.pi / 8) * torch.arange(N_FREQUENCIES, device=values.device).exp2()
        angles = standard.unsqueeze(-1) * octaves
        told = torch.cat([torch.ones_like(angles[..., :1]), standard.unsqueeze(-1), angles.sin(), angles.cos()], -1)
        return (told * known.unsqueeze(-1)).flatten(1)

    def _condition(self, n: int, condition: Tensor | None) -> Tensor:
        return self.condition_mean.new_zeros(n, self.config.n_conditions) if condition is None else condition

    def _logits(self, z: Tensor, condition: Tensor | None) -> Tensor:
        h = self.decoder(self.from_latent(torch.cat([z, self._condition(len(z), condition)], 1)))
        codes = self.to_codes(h).unflatten(1, (self.config.n_elements, self.config.n_codes))
        return self.to_counts(codes).float()


class _Residual(nn.Module):
    """Two dense layers beside the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, width) to the same shape."""
        return x + self.layers(x)
