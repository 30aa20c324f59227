"""A language model of formulas, judged by variety, novelty, validity and what it finds of a held-out tenth.

Reference: Dan et al., npj Comput. Mater. 6, 84 (2020), doi:10.1038/s41524-020-00352-0
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from matgen_core.checkpoint import Checkpoint
from matgen_core.latent.projection import map_grades
from matgen_core.latent.space import LatentSpace
from matgen_core.materials.formulas import KnownFormulas
from matgen_core.materials.levels import COMPOSITION
from matgen_core.networks.learning import formula_lm, runs
from matgen_core.networks.learning.formula_lm import FormulaLMLearner
from matgen_core.networks.learning.runs import last_losses
from matgen_core.networks.models.formula_lm import FormulaLM
from matgen_core.networks.models.parts import rounding
from matgen_core.recipes.shared.card import with_card
from matgen_core.recipes.shared.formulas import sets as formula_sets
from matgen_core.recipes.shared.formulas.bank import bank_index
from matgen_core.recipes.shared.formulas.baseline import measured_apart
from matgen_core.recipes.shared.formulas.figures import measure, measure_briefly
from matgen_core.recipes.shared.formulas.sets import FormulaSet
from matgen_core.recipes.shared.runs import measured, provenance
from matgen_core.representations import ElementCounts

PRECISION: rounding.Precision = "int8"


@dataclass(frozen=True)
class FormulaLMRecipe:
    """Settings of one checkpoint."""

    name: str
    title: str
    formulas: Callable[[], FormulaSet]
    learner: FormulaLMLearner
    beside: str = "matgan_icsd"  # the paper's generator that learned from such formulas
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
        index = bank_index(space, formulas, self.n_bank, self.seed)
        metrics = measure(space, formulas, self.beside, self.seed) | {
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
        return (
            measure(LatentSpace.of(checkpoint), self.formulas(), self.beside, self.seed) | kept | {"maps": maps} | apart
        )

    def apart(self, checkpoint: Checkpoint) -> Mapping[str, Callable[[], Any]]:
        """The baseline without a network, and which elements are written too often."""
        return measured_apart(LatentSpace.of(checkpoint), self.formulas(), self.seed)

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


def _at(model: FormulaLM, element_temperature: float, count_temperature: float) -> FormulaLM:
    """Return the same weights writing at other temperatures."""
    config = replace(model.config, element_temperature=element_temperature, count_temperature=count_temperature)
    other = FormulaLM(config)
    other.load_state_dict(model.state_dict())
    return other.eval()
