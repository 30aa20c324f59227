"""The training of the language models of formulas: by likelihood, then from a critic."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Generator, Tensor

from matgen_core.networks.arrays.formulas import FormulaArrays
from matgen_core.networks.arrays.splits import HELD_OUT, TRAIN
from matgen_core.networks.learning.loops import AdversarialSchedule, Losses, Schedule, fit, fit_adversarial
from matgen_core.networks.learning.runs import read_config, read_weights, save_weights, write_config
from matgen_core.networks.models.formula_lm import FormulaLM, FormulaLMConfig

LIKELIHOOD = Schedule(epochs=30, batch_size=512, learning_rate=2e-3, weight_decay=1e-2)
ADVERSARIAL = AdversarialSchedule(
    minutes=4,
    steps=400,
    batch_size=256,
    learning_rate=2e-5,
    critic_learning_rate=4e-4,
    critic_first=200,
    averaging=0.99,
    report_every=25,
)
OF_LIKELIHOOD = 2 / 3  # share of a limit of the whole run; without one, the first stage ends with its epochs


@dataclass(frozen=True)
class FormulaLMLearner:
    """Settings of a run."""

    Arrays: ClassVar[Any] = FormulaArrays

    config: FormulaLMConfig = FormulaLMConfig()  # its temperatures hold while the network learns
    likelihood: Schedule = LIKELIHOOD
    adversarial: AdversarialSchedule = ADVERSARIAL
    seed: int = 0

    def for_run(self, device: str, minutes: float | None) -> Self:
        """Return the settings as they will be used, on any device."""
        first, second = self.likelihood.minutes, self.adversarial.minutes
        if minutes is not None:
            first, second = minutes * OF_LIKELIHOOD, minutes * (1 - OF_LIKELIHOOD)
        return replace(
            self,
            likelihood=replace(self.likelihood, seed=self.seed, minutes=first),
            adversarial=replace(self.adversarial, seed=self.seed, minutes=second),
        )

    def learn(self, arrays: FormulaArrays, folder: Path, device: str) -> None:
        """Train."""
        train(arrays, self.config, self.likelihood, self.adversarial, device, folder)


def tables(counts: Tensor, n_counts: int) -> Tensor:
    """Counts (B, n_elements) as 0 and 1 in (B, n_elements, n_counts); an absent element has an empty row."""
    return (counts.unsqueeze(-1) == torch.arange(1, n_counts + 1, device=counts.device)).float()


def counts_of(made: Tensor, threshold: float) -> Tensor:
    """Counts (B, n_elements) of written tables: the highest cell of a row that reaches the threshold."""
    height, column = made.max(-1)
    return torch.where(height >= threshold, column + 1, 0)


@torch.no_grad()
def surprise(model: FormulaLM, arrays: FormulaArrays) -> float:
    """Return the mean negative log likelihood of formulas in nats a formula."""
    sums = [
        float(model.generator.loss(arrays.species[rows], arrays.counts[rows])["loss"]) * len(rows)
        for rows in _batches(len(arrays), arrays.species.device)
    ]
    return sum(sums) / len(arrays)


def train(
    arrays: FormulaArrays,
    config: FormulaLMConfig,
    likelihood: Schedule,
    adversarial: AdversarialSchedule,
    device: str,
    folder: Path,
) -> FormulaLM:
    """Train on the training part: the generator by likelihood, then both networks against each other.

    Args:
        arrays: Both parts.
        config: Sizes; the number of elements is replaced by that of the arrays.
        likelihood: Of the first stage.
        adversarial: Of the second stage.
        device: "cpu" or "cuda".
        folder: Gets config.json and, of each stage, likelihood.safetensors and weights.safetensors (float16),
            likelihood.jsonl and losses.jsonl.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for log in ("likelihood.jsonl", "losses.jsonl"):
        (folder / log).unlink(missing_ok=True)
    arrays = arrays.to(device)
    training, held_out = arrays.of_part(TRAIN), arrays.of_part(HELD_OUT)
    config = replace(config, n_elements=len(arrays.elements))
    write_config(config, folder)
    torch.manual_seed(likelihood.seed)
    model = FormulaLM(config).to(device)
    look = _reporter(model, training, device, adversarial.seed)

    def after_epoch(epoch: int) -> Losses:
        return {"held_out": surprise(model, held_out)} | (look() if epoch % 5 == 4 else {})

    fit(
        model.generator,
        (training.species, training.counts),
        likelihood,
        after_epoch=after_epoch,
        log=folder / "likelihood.jsonl",
    )
    save_weights(model, folder, "likelihood")

    def real(n: int, rng: Generator) -> Tensor:
        rows = torch.randint(len(training), (n,), generator=rng, device=device)
        return tables(training.dense(rows), config.n_counts)

    def report() -> Losses:
        return {"held_out": surprise(model, held_out)} | look()

    fit_adversarial(model, real, device, adversarial, report=report, log=folder / "losses.jsonl")
    save_weights(model, folder)
    return model


def read_run(folder: Path, stage: str) -> FormulaLM:
    """Return the networks that a run left after a stage, "likelihood" or "weights", in evaluation mode."""
    return read_weights(FormulaLM(FormulaLMConfig(**read_config(folder))), folder, stage)


def _reporter(model: FormulaLM, training: FormulaArrays, device: str, seed: int) -> Callable[[], Losses]:
    """Make a quick look at 10,000 samples: how many are unique, known, empty, and how many elements they have."""
    weights = torch.randint(2**40, (model.config.n_elements,), generator=Generator().manual_seed(seed)).to(device)
    known = torch.cat([(training.dense(rows) * weights).sum(1) for rows in _batches(len(training), device)])
    known = known.unique()  # a formula's sum of random weights stands for it

    @torch.no_grad()
    def report() -> Losses:
        rng = Generator(device).manual_seed(seed)
        counts = counts_of(model.decode(torch.randn(10_000, model.latent_dim, generator=rng, device=device)), 0.5)
        keys = (counts * weights).sum(1)
        return {
            "unique": len(keys.unique()) / len(keys),
            "known": float(torch.isin(keys, known).float().mean()),
            "n_elements": float((counts > 0).sum(1).float().mean()),
        }

    return report


def _batches(n: int, device: str | torch.device, size: int = 65_536) -> tuple[Tensor, ...]:
    return torch.arange(n, device=device).split(size)
