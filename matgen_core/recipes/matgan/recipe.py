"""MatGAN: a generator of formulas, judged by variety, novelty, validity and what it finds of a held-out tenth.

`matgen_core.networks.learning.matgan` trains the networks; it needs torch alone, so a bare GPU machine can do it.

Reference: Dan et al., npj Comput. Mater. 6, 84 (2020), doi:10.1038/s41524-020-00352-0
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from matgen_core.checkpoint import Checkpoint
from matgen_core.checks import COMPOSITION_RULES, as_booleans, screen_formulas
from matgen_core.latent.index import index_columns
from matgen_core.latent.projection import map_grades, projections
from matgen_core.materials.formulas import Formulas
from matgen_core.materials.known import KnownFormulas
from matgen_core.networks.learning import matgan, rounding
from matgen_core.networks.learning.loops import AdversarialSchedule, Schedule
from matgen_core.networks.learning.runs import last_losses
from matgen_core.networks.models.matgan import MatGAN, MatGANConfig
from matgen_core.recipes.matgan.figures import PAPER, SAMPLE_COUNTS, measure, measure_briefly
from matgen_core.recipes.shared import formula_sets
from matgen_core.recipes.shared.card import with_card
from matgen_core.recipes.shared.formula_sets import FormulaSet
from matgen_core.recipes.shared.runs import cache, provenance, settings_of
from matgen_core.representations import ElementCounts
from matgen_core.tasks import funnel


@dataclass(frozen=True)
class MatGANRecipe:
    """Settings of one checkpoint."""

    name: str
    title: str
    formulas: Callable[[], FormulaSet]
    config: MatGANConfig = MatGANConfig()  # its temperatures hold while the network learns
    element_temperature: float = 1.0  # of what is shipped
    count_temperature: float = 1.0
    likelihood: Schedule = matgan.LIKELIHOOD
    adversarial: AdversarialSchedule = matgan.ADVERSARIAL
    tried: tuple[tuple[float, float], ...] = ()  # other temperatures of elements and of counts, for the card
    n_bank: int = 1000  # generated formulas on the map, and as many real ones
    seed: int = 0

    def run(self, device: str) -> Checkpoint:
        """Train, judge and describe a checkpoint."""
        folder = cache() / self.name
        matgan.train(
            self.formulas().arrays(self.seed),
            self.config,
            replace(self.likelihood, seed=self.seed),
            replace(self.adversarial, seed=self.seed),
            device,
            folder,
        )
        return self.describe(folder)

    def describe(self, folder: Path) -> Checkpoint:
        """Make the checkpoint of what `matgen_core.networks.learning.matgan` left in a folder."""
        formulas = self.formulas()
        layout = ElementCounts(formulas.elements, formula_sets.MAX_COUNT)
        model, before = (
            _at(matgan.read_run(folder, stage), self.element_temperature, self.count_temperature)
            for stage in ("weights", "likelihood")
        )
        rounding.round_weights(model)  # every figure is of what is stored
        bare = Checkpoint(
            name=self.name,
            model_name="matgan",
            model=model,
            representation=layout,
            metrics={},
            card="",
            provenance={
                "title": self.title,
                "system": "Dan 2020, MatGAN",
                "level": "composition",
                **provenance(
                    self.name,
                    self.seed,
                    formulas.dataset,
                    settings=settings_of(self, "likelihood", "adversarial")
                    | {
                        "temperature_of_training": {
                            "elements": self.config.element_temperature,
                            "counts": self.config.count_temperature,
                        }
                    },
                ),
            },
            known=KnownFormulas.of(formulas.everything),
            eight_bits=True,
        )
        index = self._index(bare, formulas)
        metrics = self._figures(bare, formulas) | {
            "tried": self._tried(bare, before, formulas),
            "bank": {"seed": self.seed, "n_samples": self.n_bank},
            "maps": map_grades(index),
            "training": {
                "likelihood": last_losses(folder / "likelihood.jsonl"),
                "adversarial": last_losses(folder / "losses.jsonl"),
            },
        }
        return with_card(replace(bare, metrics=metrics, index=index))

    def evaluate(self, checkpoint: Checkpoint) -> dict[str, Any]:
        """Generate as many formulas as the paper and hold them against the training set."""
        maps = {} if checkpoint.index is None else map_grades(checkpoint.index)
        kept = {name: checkpoint.metrics[name] for name in ("tried", "bank", "training")}
        return self._figures(checkpoint, self.formulas()) | kept | {"maps": maps}

    def _figures(self, checkpoint: Checkpoint, formulas: FormulaSet) -> dict[str, Any]:
        figures = measure(checkpoint, formulas, formulas.held_out(self.seed), self.seed)
        paper, made = PAPER[self.name], figures["samples"][str(SAMPLE_COUNTS[1])]
        return {
            "headline": {
                "figure": "different formulas of 330,000 samples that are neutral and balanced (training formulas)",
                "ours": f"{made['balanced']:.1%} ({figures['training_formulas']['balanced']:.1%})",
                "paper": f"{paper['balanced']:g} % ({paper['balanced_training']:g} %)",
            },
            **figures,
        }

    def _tried(self, checkpoint: Checkpoint, before: MatGAN, formulas: FormulaSet) -> list[dict[str, Any]]:
        """Figures of the generator before it met the critic, and of the shipped one at other temperatures."""
        model: Any = checkpoint.model
        shipped = (model.config.element_temperature, model.config.count_temperature)
        generators = [(True, before, shipped), *((False, model, temperatures) for temperatures in self.tried)]
        held_out = formulas.held_out(self.seed)
        return [
            {
                "before_the_critic": first,
                "element_temperature": of_elements,
                "count_temperature": of_counts,
                **measure_briefly(
                    replace(checkpoint, model=_at(network, of_elements, of_counts)), formulas, held_out, self.seed
                ),
            }
            for first, network, (of_elements, of_counts) in generators
        ]

    def _index(self, checkpoint: Checkpoint, formulas: FormulaSet) -> pd.DataFrame:
        """A bank of generated formulas and as many real ones, where the critic sees them."""
        generated = Formulas.concatenate(list(funnel.samples(checkpoint, funnel.Request(self.n_bank, self.seed))))
        held_out = formulas.held_out(self.seed)
        real = np.sort(np.random.default_rng(self.seed).permutation(len(formulas.formulas))[: self.n_bank])
        shown = Formulas.concatenate([generated, formulas.formulas[real]])
        model: Any = checkpoint.model
        layout: Any = checkpoint.representation
        with torch.inference_mode():
            features = model.features(torch.from_numpy(layout.encode_formulas(shown))).numpy()
        features = features.astype(np.float16).astype(np.float32)  # as stored, so that maps and features agree
        neutral, balanced, _ = screen_formulas(shown, COMPOSITION_RULES)
        texts = shown.texts()
        table = pd.DataFrame(
            {
                "id": [*(f"generated-{row}" for row in range(self.n_bank)), *(f"real-{row}" for row in real)],
                "formula": texts,
                "chemical_system": _chemical_systems(shown, formulas.elements),
                "split": ["generated"] * self.n_bank + ["held_out" if held_out[row] else "train" for row in real],
                "n_elements": shown.n_elements,
                "charge_neutral": as_booleans(neutral.answers),
                "electronegativity_balanced": as_booleans(balanced.answers),
                "seed_row": [*range(self.n_bank), *([-1] * len(real))],
            }
        )
        return index_columns(pd.concat([table, projections(features, self.seed)], axis=1), features)


def _at(model: MatGAN, element_temperature: float, count_temperature: float) -> MatGAN:
    """Return the same weights writing at other temperatures."""
    config = replace(model.config, element_temperature=element_temperature, count_temperature=count_temperature)
    other = MatGAN(config)
    other.load_state_dict(model.state_dict())
    return other.eval()


def _chemical_systems(formulas: Formulas, elements: tuple[str, ...]) -> list[str]:
    symbols: NDArray[np.str_] = np.array(elements)
    return ["-".join(sorted(symbols[row > 0])) for row in formulas.table(elements)]
