"""MatGAN, a Wasserstein GAN of formulas, beside the paper's, a language model and a baseline without a network.

Reference: Dan et al., npj Comput. Mater. 6, 84 (2020), doi:10.1038/s41524-020-00352-0
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from matgen_core.checkpoint import Checkpoint
from matgen_core.latent.projection import map_grades
from matgen_core.latent.space import LatentSpace
from matgen_core.materials.levels import COMPOSITION
from matgen_core.networks.learning import runs
from matgen_core.networks.learning.matgan import MatGANLearner
from matgen_core.networks.models.matgan import MatGAN, MatGANConfig
from matgen_core.networks.models.parts import rounding
from matgen_core.recipes.shared.card import with_card
from matgen_core.recipes.shared.formulas.bank import bank_index
from matgen_core.recipes.shared.formulas.baseline import measured_apart
from matgen_core.recipes.shared.formulas.figures import measure, measure_briefly
from matgen_core.recipes.shared.formulas.sets import MAX_COUNT, FormulaSet
from matgen_core.recipes.shared.runs import measured, provenance, without_nan
from matgen_core.representations import ElementCounts

PRECISION: rounding.Precision = "int8"
N_SHOWN = 8  # reports of a run on the card


@dataclass(frozen=True)
class MatGANRecipe:
    """Settings of one checkpoint.

    The folder of a run may hold folders of further runs with other settings, for the card; they may lack weights.
    """

    name: str
    title: str
    formulas: Callable[[], FormulaSet]
    learner: MatGANLearner
    known_of: str  # a checkpoint of the same data set, which stores its formulas
    threshold: float = 0.2  # least height of a cell that is read as a count, as in the paper
    n_bank: int = 1000  # generated formulas on the map, and as many real ones
    seed: int = 0

    def prepare(self, path: Path) -> None:
        """Write the formulas."""
        self.formulas().arrays(self.seed).save(path)

    def learn(self, arrays: Path, folder: Path, device: str, minutes: float | None = None) -> None:
        """Train the two networks against each other."""
        runs.learn(self.name, replace(self.learner, seed=self.seed), arrays, folder, device, minutes)

    def describe(self, folder: Path) -> Checkpoint:
        """Make the checkpoint of what learning left in a folder.

        Raises:
            ValueError: If the folder holds no run of this recipe.
        """
        settings = runs.read_settings(folder, self.name)
        formulas = self.formulas()
        space = self._space(folder, formulas, self.threshold)
        index = bank_index(space, formulas, self.n_bank, self.seed)
        others = sorted(each.parent for each in folder.glob("*/losses.jsonl"))
        metrics = measure(space, formulas, self.name, self.seed) | {
            "tried": [self._tried(each, formulas) for each in (folder, *others)],
            "bank": {"seed": self.seed, "n_samples": self.n_bank},
            "maps": map_grades(index),
            "training": _course(folder),
        }
        made = Checkpoint(
            name=self.name,
            model_name="matgan",
            model=space.model,
            representation=space.representation,
            metrics=metrics,
            card="",
            provenance={
                "title": self.title,
                "system": "Dan 2020, MatGAN",
                "level": COMPOSITION.key,
                "known_of": self.known_of,
                **provenance(self.name, self.seed, formulas.dataset, run=settings),
            },
            index=index,
            precision=PRECISION,
        )
        return with_card(replace(made, metrics=made.metrics | measured(self.apart(made))))

    def evaluate(self, checkpoint: Checkpoint) -> dict[str, Any]:
        """Generate as many formulas as the paper and hold them against the training set."""
        maps = {} if checkpoint.index is None else map_grades(checkpoint.index)
        kept = {name: checkpoint.metrics[name] for name in ("tried", "bank", "training")}
        figures = measure(LatentSpace.of(checkpoint), self.formulas(), self.name, self.seed)
        return figures | kept | {"maps": maps} | measured(self.apart(checkpoint))

    def apart(self, checkpoint: Checkpoint) -> Mapping[str, Callable[[], Any]]:
        """The baseline without a network, and which elements are written too often."""
        return measured_apart(LatentSpace.of(checkpoint), self.formulas(), self.seed)

    def _space(self, folder: Path, formulas: FormulaSet, threshold: float) -> LatentSpace:
        """Return the networks of a run as they are stored."""
        model = runs.read_weights(MatGAN(MatGANConfig(**runs.read_config(folder))), folder)
        rounding.round_weights(model, PRECISION)  # every figure is of what is stored
        return LatentSpace(model, ElementCounts(formulas.elements, MAX_COUNT, threshold=threshold), self.name)

    def _tried(self, folder: Path, formulas: FormulaSet) -> dict[str, Any]:
        """What a run was done with and what came of it, read as it is shipped and as it was judged meanwhile."""
        heights = (self.threshold, self.learner.threshold) if (folder / "weights.safetensors").exists() else ()
        held_out = formulas.held_out(self.seed)
        return {
            "config": runs.read_config(folder),
            "adversarial": runs.read_settings(folder, self.name)["settings"]["adversarial"],
            "run": _course(folder),
            "at": {
                f"{height:g}": measure_briefly(self._space(folder, formulas, height), formulas, held_out, self.seed)
                for height in heights
            },
        }


def _course(folder: Path) -> dict[str, Any]:
    """The report whose weights were kept, the last one, and a few on the way."""
    reports = runs.losses(folder / "losses.jsonl")
    kept = max(reports, key=lambda report: report["held_out"])
    shown = sorted({round(place) for place in np.linspace(0, len(reports) - 1, N_SHOWN)})
    return dict(without_nan({"kept": kept, "last": reports[-1], "curve": [reports[place] for place in shown]}))
