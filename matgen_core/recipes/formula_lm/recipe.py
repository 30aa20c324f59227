"""A language model of formulas, judged by variety, novelty, validity and what it finds of a held-out tenth.

Reference: Dan et al., npj Comput. Mater. 6, 84 (2020), doi:10.1038/s41524-020-00352-0
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from matgen_core.checkpoint import Checkpoint
from matgen_core.checks import COMPOSITION_RULES, as_booleans, screen_formulas
from matgen_core.latent.building import build_index
from matgen_core.latent.index import GENERATED
from matgen_core.latent.projection import map_grades
from matgen_core.latent.space import LatentSpace
from matgen_core.materials.formulas import Formulas, KnownFormulas
from matgen_core.materials.levels import COMPOSITION
from matgen_core.networks.arrays.splits import HELD_OUT, TRAIN
from matgen_core.networks.learning import formula_lm, rounding, runs
from matgen_core.networks.learning.formula_lm import FormulaLMLearner
from matgen_core.networks.learning.runs import last_losses
from matgen_core.networks.models.formula_lm import FormulaLM
from matgen_core.recipes.formula_lm.baseline import measure_baseline, overwritten
from matgen_core.recipes.formula_lm.figures import PAPER, SAMPLE_COUNTS, generate, measure, measure_briefly
from matgen_core.recipes.shared import formula_sets
from matgen_core.recipes.shared.card import with_card
from matgen_core.recipes.shared.formula_sets import FormulaSet
from matgen_core.recipes.shared.runs import measured, provenance
from matgen_core.representations import ElementCounts
from matgen_core.tasks import funnel

PRECISION: rounding.Precision = "int8"


@dataclass(frozen=True)
class FormulaLMRecipe:
    """Settings of one checkpoint."""

    name: str
    title: str
    formulas: Callable[[], FormulaSet]
    learner: FormulaLMLearner
    element_temperature: float = 1.0  # of what is shipped; those that hold while it learns are the learner's
    count_temperature: float = 1.0
    tried: tuple[tuple[float, float], ...] = ()  # other temperatures of elements and of counts, for the card
    n_bank: int = 1000  # generated formulas on the map, and as many real ones
    seed: int = 0

    def prepare(self, path: Path) -> None:
        """Write the formulas."""
        self.formulas().arrays(self.seed).save(path)

    def learn(self, arrays: Path, folder: Path, device: str, minutes: float | None = None) -> None:
        """Train: first by likelihood, then against the critic."""
        runs.learn(self.name, replace(self.learner, seed=self.seed), arrays, folder, device, minutes)

    def describe(self, folder: Path) -> Checkpoint:
        """Make the checkpoint of what learning left in a folder.

        Raises:
            ValueError: If the folder holds no run of this recipe.
        """
        settings = runs.read_settings(folder, self.name)
        formulas = self.formulas()
        layout = ElementCounts(formulas.elements, formula_sets.MAX_COUNT)
        model, before = (
            _at(formula_lm.read_run(folder, stage), self.element_temperature, self.count_temperature)
            for stage in ("weights", "likelihood")
        )
        rounding.round_weights(model, PRECISION)  # every figure is of what is stored
        space = LatentSpace(model, layout, self.name)
        index = self._index(space, formulas)
        metrics = self._figures(space, formulas) | {
            "tried": self.measure_tried(space, before, formulas),
            "bank": {"seed": self.seed, "n_samples": self.n_bank},
            "maps": map_grades(index),
            "training": {
                "likelihood": last_losses(folder / "likelihood.jsonl"),
                "adversarial": last_losses(folder / "losses.jsonl"),
            },
        }
        made = Checkpoint(
            name=self.name,
            model_name="formula_lm",
            model=model,
            representation=layout,
            metrics=metrics,
            card="",
            provenance={
                "title": self.title,
                "system": "language model, after Dan 2020",
                "level": COMPOSITION.key,
                **provenance(self.name, self.seed, formulas.dataset, run=settings),
            },
            index=index,
            known=KnownFormulas.of(formulas.everything),
            precision=PRECISION,
        )
        return with_card(replace(made, metrics=made.metrics | measured(self.apart(made))))

    def evaluate(self, checkpoint: Checkpoint) -> dict[str, Any]:
        """Generate as many formulas as the paper and hold them against the training set."""
        maps = {} if checkpoint.index is None else map_grades(checkpoint.index)
        kept = {name: checkpoint.metrics[name] for name in ("tried", "bank", "training")}
        apart = measured(self.apart(checkpoint))
        return self._figures(LatentSpace.of(checkpoint), self.formulas()) | kept | {"maps": maps} | apart

    def apart(self, checkpoint: Checkpoint) -> Mapping[str, Callable[[], Any]]:
        """The baseline without a network, and which elements are written too often."""
        formulas = self.formulas()
        held_out, space = formulas.held_out(self.seed), LatentSpace.of(checkpoint)
        return {
            "independent_elements": lambda: measure_baseline(formulas, held_out, SAMPLE_COUNTS, self.seed),
            "overwritten": lambda: overwritten(
                formulas.formulas[~held_out], generate(space, SAMPLE_COUNTS[1], self.seed), formulas.elements
            ),
        }

    def _figures(self, space: LatentSpace, formulas: FormulaSet) -> dict[str, Any]:
        figures = measure(space, formulas, formulas.held_out(self.seed), self.seed)
        paper, made = PAPER[self.name], figures["samples"][str(SAMPLE_COUNTS[1])]
        return {
            "headline": {
                "figure": "different formulas of 330,000 samples that are neutral and balanced (training formulas)",
                "ours": f"{made['balanced']:.1%} ({figures['training_formulas']['balanced']:.1%})",
                "paper": f"{paper['balanced']:g} % ({paper['balanced_training']:g} %)",
            },
            **figures,
        }

    def measure_tried(self, space: LatentSpace, before: FormulaLM, formulas: FormulaSet) -> list[dict[str, Any]]:
        """Figures of the generator before it met the critic, and of the shipped one at other temperatures."""
        model = space.model
        shipped = (model.config.element_temperature, model.config.count_temperature)
        generators = [(True, before, shipped), *((False, model, temperatures) for temperatures in self.tried)]
        held_out = formulas.held_out(self.seed)
        return [
            {
                "before_the_critic": first,
                "element_temperature": of_elements,
                "count_temperature": of_counts,
                **measure_briefly(
                    LatentSpace(_at(network, of_elements, of_counts), space.representation, self.name),
                    formulas,
                    held_out,
                    self.seed,
                ),
            }
            for first, network, (of_elements, of_counts) in generators
        ]

    def _index(self, space: LatentSpace, formulas: FormulaSet) -> pd.DataFrame:
        """A bank of generated formulas and as many real ones, where the critic sees them."""
        generated = Formulas.concatenate(list(funnel.samples(space, funnel.Request(self.n_bank, self.seed))))
        held_out = formulas.held_out(self.seed)
        real = np.sort(np.random.default_rng(self.seed).permutation(len(formulas.formulas))[: self.n_bank])
        shown = Formulas.concatenate([generated, formulas.formulas[real]])
        layout = space.representation
        with torch.inference_mode():
            features = space.model.features(torch.from_numpy(layout.encode_formulas(shown))).numpy()
        neutral, balanced, _ = screen_formulas(shown, COMPOSITION_RULES)
        texts = shown.texts()
        table = pd.DataFrame(
            {
                "id": [*(f"generated-{row}" for row in range(self.n_bank)), *(f"real-{row}" for row in real)],
                "formula": texts,
                "chemical_system": _chemical_systems(shown, formulas.elements),
                "split": [GENERATED] * self.n_bank + [HELD_OUT if held_out[row] else TRAIN for row in real],
                "n_elements": shown.n_elements,
                "charge_neutral": as_booleans(neutral.answers),
                "electronegativity_balanced": as_booleans(balanced.answers),
                "seed_row": [*range(self.n_bank), *([-1] * len(real))],
            }
        )
        return build_index(table, features, self.seed)


def _at(model: FormulaLM, element_temperature: float, count_temperature: float) -> FormulaLM:
    """Return the same weights writing at other temperatures."""
    config = replace(model.config, element_temperature=element_temperature, count_temperature=count_temperature)
    other = FormulaLM(config)
    other.load_state_dict(model.state_dict())
    return other.eval()


def _chemical_systems(formulas: Formulas, elements: tuple[str, ...]) -> list[str]:
    symbols: NDArray[np.str_] = np.array(elements)
    return ["-".join(sorted(symbols[row > 0])) for row in formulas.table(elements)]
