"""The training of MatGAN: two networks against each other, and the state of the generator that is kept."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Generator, Tensor

from matgen_core.networks.arrays.formulas import FormulaArrays
from matgen_core.networks.arrays.splits import HELD_OUT, TRAIN
from matgen_core.networks.learning.formula_lm import counts_of, tables
from matgen_core.networks.learning.loops import AdversarialSchedule, Losses, fit_adversarial
from matgen_core.networks.learning.runs import adversarial_run, save_weights, write_config
from matgen_core.networks.models.matgan import MatGAN, MatGANConfig

ADVERSARIAL = AdversarialSchedule(
    minutes=7.2,
    steps=60_000,
    batch_size=1024,
    learning_rate=2e-4,
    critic_learning_rate=4e-4,
    critic_steps=3,
    averaging=0.999,
    report_every=500,
)
N_JUDGED = 100_000  # samples of a report
_AT_ONCE = 10_000


@dataclass(frozen=True)
class MatGANLearner:
    """Settings of a run."""

    Arrays: ClassVar[Any] = FormulaArrays

    config: MatGANConfig = MatGANConfig()
    adversarial: AdversarialSchedule = ADVERSARIAL
    threshold: float = 0.5  # least height of a cell that is taken for a count, where states are judged
    seed: int = 0

    def for_run(self, device: str, minutes: float | None) -> Self:
        """Return the settings as they will be used, on any device."""
        return adversarial_run(self, minutes)

    def learn(self, arrays: FormulaArrays, folder: Path, device: str) -> None:
        """Train."""
        train(arrays, self.config, self.adversarial, device, folder, self.threshold)


def train(
    arrays: FormulaArrays,
    config: MatGANConfig,
    adversarial: AdversarialSchedule,
    device: str,
    folder: Path,
    threshold: float,
) -> MatGAN:
    """Train on the training part; keep the state at the report that wrote most of the held-out formulas.

    Args:
        arrays: Both parts.
        config: Sizes; the number of elements is replaced by that of the arrays.
        adversarial: Rates and limits.
        device: "cpu" or "cuda".
        folder: Gets config.json, weights.safetensors (float16) of the state that is kept, and losses.jsonl.
        threshold: Least height of a cell that is taken for a count.

    Returns:
        The networks as they are at the end.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "losses.jsonl"
    log.unlink(missing_ok=True)
    arrays = arrays.to(device)
    training = arrays.of_part(TRAIN)
    config = replace(config, n_elements=len(arrays.elements))
    write_config(config, folder)
    torch.manual_seed(adversarial.seed)
    model = MatGAN(config).to(device)
    judge, best = _Judge(arrays, device, adversarial.seed, threshold), -1.0

    def real(n: int, rng: Generator) -> Tensor:
        rows = torch.randint(len(training), (n,), generator=rng, device=device)
        return tables(training.dense(rows), config.n_counts)

    def report() -> Losses:
        nonlocal best
        found = judge(model)
        if found["held_out"] > best:
            best = found["held_out"]
            save_weights(model, folder)
        return found

    fit_adversarial(model, real, device, adversarial, report=report, log=log)
    return model


class _Judge:
    """What a generator writes, beside what it learns from and what was held out."""

    def __init__(self, arrays: FormulaArrays, device: str, seed: int, threshold: float) -> None:
        # The sum of random weights stands for a formula.
        self.weights = torch.randint(2**40, (len(arrays.elements),), generator=Generator().manual_seed(seed)).to(device)
        self.device, self.seed, self.threshold = device, seed, threshold
        self.training, self.held_out = (self._keys(arrays.of_part(part)) for part in (TRAIN, HELD_OUT))

    def _keys(self, formulas: FormulaArrays) -> Tensor:
        rows = torch.arange(len(formulas), device=self.device).split(65_536)
        return torch.cat([(formulas.dense(some) * self.weights).sum(1) for some in rows]).unique()

    @torch.no_grad()
    def __call__(self, model: MatGAN) -> Losses:
        """Return shares of samples that are unique, known and empty, and of the held-out formulas those written."""
        rng = Generator(self.device).manual_seed(self.seed)
        keys, n_elements, heights = [], [], []
        for _ in range(N_JUDGED // _AT_ONCE):
            made = model.decode(torch.randn(_AT_ONCE, model.latent_dim, generator=rng, device=self.device))
            counts = counts_of(made, self.threshold)
            keys.append((counts * self.weights).sum(1))
            n_elements.append((counts > 0).sum(1))
            heights.append(made.amax(-1)[counts > 0].mean())
        written, elements = torch.cat(keys), torch.cat(n_elements)
        return {
            "held_out": float(torch.isin(self.held_out, written).float().mean()),
            "unique": len(written.unique()) / len(written),
            "known": float(torch.isin(written, self.training).float().mean()),
            "empty": float((elements == 0).float().mean()),
            "n_elements": float(elements.float().mean()),
            "height": float(torch.stack(heights).mean()),
        }
