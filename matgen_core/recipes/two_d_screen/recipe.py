"""The screening for 2D materials: a random forest on Magpie features, judged on chemical systems that it never saw.

Reference: Song et al., ACS Appl. Mater. Interfaces 13, 53303 (2021), doi:10.1021/acsami.1c01044, arXiv:2012.09314
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from matgen_core import checkpoint as checkpoints
from matgen_core import checks, data
from matgen_core.checkpoint import Checkpoint
from matgen_core.latent.building import build_index
from matgen_core.latent.space import LatentSpace
from matgen_core.materials.elements import element_table
from matgen_core.materials.formulas import Formulas
from matgen_core.materials.levels import COMPOSITION
from matgen_core.networks.arrays import tensors
from matgen_core.networks.learning import runs
from matgen_core.networks.models.random_forest import RandomForest, RandomForestConfig
from matgen_core.recipes.shared.card import with_card
from matgen_core.recipes.shared.runs import measured as measured_apart
from matgen_core.recipes.shared.runs import provenance, settings_of
from matgen_core.recipes.two_d_screen import figures as measured
from matgen_core.recipes.two_d_screen.data import BULK, TWO_DIMENSIONAL, learned_as_bulk, load_two_dimensional
from matgen_core.recipes.two_d_screen.figures import Material
from matgen_core.recipes.two_d_screen.forest import Growth, grow
from matgen_core.representations import MagpieFeatures
from matgen_core.tasks import funnel

SYSTEM = "Song 2021"
GENERATOR = "formula_lm_icsd"

# What was tried beside the settings of the recipe, with 100 trees if not said otherwise, each judged on the same folds.
TRIED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("the settings of the recipe", {}),
    ("depth 8", {"max_depth": 8}),
    ("depth 12", {"max_depth": 12}),
    ("no limit of depth", {"max_depth": None}),
    ("five formulas in a leaf at least", {"min_leaf": 5}),
    ("200 trees", {"n_trees": 200}),
    ("250 trees, as in the paper", {"n_trees": 250}),
    ("both classes weigh the same", {"balanced": True}),
    ("a fifth of the features at a split", {"max_features": 0.2}),
    ("32 bins a feature", {"n_edges": 31}),
    ("256 bins a feature", {"n_edges": 255}),
)


@dataclass(frozen=True, eq=False)
class Examples:
    """What the forest learns from: features (N, n_features) of formulas, and whether each is known as 2D, (N,)."""

    x: Tensor
    labels: Tensor


@dataclass(frozen=True)
class TwoDScreenRecipe:
    """Trees nearly as in the paper; folds by chemical system."""

    name: str = "two_d_screen"
    growth: Growth = Growth()
    n_folds: int = 10
    seed: int = 0
    tried: tuple[tuple[str, dict[str, Any]], ...] = TRIED
    tried_trees: int = 100
    tried_folds: int = 2
    n_generated: int = 2_000_000  # samples among which candidates are counted

    def prepare(self, path: Path) -> None:
        """Write the features of all formulas, and what is known of each.

        Raises:
            ModuleNotFoundError: If matminer is not installed, which has the properties of the elements.
        """
        _, _, material = _known()
        tensors.save(Examples(torch.from_numpy(material.x), torch.from_numpy(material.labels)), path)

    def learn(self, arrays: Path, folder: Path, device: str, minutes: float | None = None) -> None:
        """Grow a forest on all formulas; trees grow on the processor, within seconds, so no limit is kept."""
        runs.check(device, minutes)
        known = tensors.load(Examples, arrays)
        folder.mkdir(parents=True, exist_ok=True)
        runs.write_settings(folder, self.name, self.growth, device, minutes)
        forest = grow(known.x.numpy(), known.labels.numpy(), self.growth, self.seed)
        runs.write_config(forest.config, folder)
        runs.save_exact_weights(forest, folder)

    def describe(self, folder: Path) -> Checkpoint:
        """Judge the settings of a grown forest by cross-validation, calibrate it by the same, and describe.

        Raises:
            ModuleNotFoundError: If matminer is not installed, which has the properties of the elements.
            ValueError: If the folder holds no run of this recipe.
        """
        settings = runs.read_settings(folder, self.name)
        recipe = replace(self, growth=runs.changed(self.growth, settings["settings"]))
        dataset, representation, material = _known()
        sources = [data.load(name) for name in (*TWO_DIMENSIONAL, BULK)]
        fold = measured.folds_by_system(dataset, self.n_folds, self.seed)
        evidence = recipe._cross_validate(material, fold)
        forest = runs.read_weights(RandomForest(RandomForestConfig(**runs.read_config(folder))), folder)
        forest.calibration = torch.tensor(measured.fit_calibration(material.labels, evidence.votes.mean(1)))
        checkpoint = Checkpoint(
            name=self.name,
            model_name="random_forest",
            model=forest,
            representation=representation,
            metrics={},
            card="",
            provenance={
                "title": "Which compositions are likely 2D materials",
                "system": SYSTEM,
                "level": COMPOSITION.key,
                **provenance(
                    self.name,
                    self.seed,
                    *sources,
                    run=settings,
                    settings=settings_of(recipe, "growth", "n_folds", "tried_trees", "tried_folds"),
                ),
            },
            index=_index(dataset.table, evidence.probabilities["sigmoid"]),
        )
        figures = recipe._figures(dataset, material, fold, evidence)
        metrics = figures | self.candidates(checkpoint) | measured_apart(self.apart(checkpoint))
        metrics["tried"] = [
            {
                "settings": label,
                **recipe._try(material, fold, replace(recipe.growth, **{"n_trees": self.tried_trees, **changes})),
            }
            for label, changes in self.tried
        ]
        return with_card(replace(checkpoint, metrics=metrics))

    def evaluate(self, checkpoint: Checkpoint) -> dict[str, Any]:
        """Cross-validate the settings of the recipe anew, and count candidates with the checkpoint."""
        representation = checkpoint.representation
        if not isinstance(representation, MagpieFeatures):
            raise ValueError(f"{checkpoint.name} is no forest on Magpie features")
        dataset = load_two_dimensional()
        material = Material.of(dataset, representation)
        fold = measured.folds_by_system(dataset, self.n_folds, self.seed)
        figures = self._figures(dataset, material, fold, self._cross_validate(material, fold))
        return figures | self.candidates(checkpoint) | measured_apart(self.apart(checkpoint))

    def apart(self, checkpoint: Checkpoint) -> Mapping[str, Callable[[], Any]]:
        """The labels that were learned, held against another list of 2D materials."""
        return {"labels": lambda: learned_as_bulk(load_two_dimensional().table)}

    def candidates(self, checkpoint: Checkpoint) -> dict[str, Any]:
        """Count likely 2D materials among what a language model of formulas writes.

        Args:
            checkpoint: The forest.

        Returns:
            Under the name `candidates`: n_generated; n_different reduced formulas among them; n_screened, of those the
            neutral and balanced; counts, as `_two_d_metrics.candidate_counts` gives them. Nothing if its checkpoint
            is not present.
        """
        if GENERATOR not in checkpoints.names():
            return {}
        request = funnel.Request(self.n_generated, self.seed)
        parts = funnel.samples(LatentSpace.of(checkpoints.load(GENERATOR)), request)
        drawn = Formulas.concatenate([part.reduced() for part in parts])
        drawn = drawn[drawn.n_elements > 0]
        _, first = np.unique(drawn.keys(), return_index=True)
        different = drawn[first]
        (verdicts,) = checks.screen_formulas(different, [checks.balanced_rule()])
        passed = different[verdicts.answers == 1]
        counts = measured.candidate_counts(checkpoint.model, checkpoint.representation, passed)
        return {
            "candidates": {
                "n_generated": self.n_generated,
                "n_different": len(different),
                "n_screened": len(passed),
                "counts": counts,
            }
        }

    def _cross_validate(self, material: Material, fold: NDArray[np.int64]) -> "_Evidence":
        lost: list[dict[str, float]] = []

        def ask(forest: RandomForest, held_out: NDArray[np.bool_]) -> None:
            x, labels = material.x[held_out], material.labels[held_out]
            lost.append(measured.property_importance(forest, x, labels, self.seed))

        votes = measured.cross_validate(material, fold, self.growth, self.seed, each=ask)
        probabilities = measured.calibrated(material.labels, votes.mean(1), fold)
        return _Evidence(votes, probabilities, pd.DataFrame(lost).mean().sort_values(ascending=False))

    def _figures(
        self, dataset: data.Dataset, material: Material, fold: NDArray[np.int64], evidence: "_Evidence"
    ) -> dict[str, Any]:
        labels, probabilities = material.labels, evidence.probabilities
        by_row = measured.folds_by_row(len(labels), self.n_folds, self.seed)
        ungrouped = measured.cross_validate(material, by_row, self.growth, self.seed).mean(1)
        sure, votes = ~material.doubtful, evidence.votes.mean(1)
        ranking = measured.ranking_figures(labels, votes, fold)
        elements = [symbol for symbol, facts in element_table().items() if facts.number in material.formulas.numbers]
        return {
            "headline": {
                "figure": "AUC of 2D against bulk formulas, ten folds of unseen chemical systems",
                "ours": f"{ranking['auc']:.3f} ± {ranking['auc_std']:.3f}",
                "paper": f"{measured.PAPER_AUC} (random folds)",
            },
            "data": {
                "two_dimensional": int(labels.sum()),
                "bulk": int((~labels).sum()),
                "share_two_dimensional": round(float(labels.mean()), 4),
                "bulk_with_layered_polymorph": int(material.doubtful.sum()),
                "chemical_systems": int(dataset.chemical_systems().nunique()),
            },
            "by_system": ranking,
            "by_system_without_doubtful_bulk": measured.ranking_figures(labels[sure], votes[sure], fold[sure]),
            "by_row": measured.ranking_figures(labels, ungrouped, by_row),
            "baselines": {
                name: measured.ranking_figures(labels, values, fold)
                for name, values in measured.baselines(material, elements, fold).items()
            },
            "fewer_trees": [
                {"trees": n, **measured.ranking_figures(labels, evidence.votes[:, :n].mean(1), fold)}
                for n in measured.N_TREES
                if n < self.growth.n_trees
            ],
            "thresholds": {
                name: measured.threshold_figures(labels, probabilities[name]) for name in ("votes", "sigmoid")
            },
            "calibration": {
                name: measured.calibration_figures(labels, values) for name, values in probabilities.items()
            },
            "by_anion": measured.figures_by_anion(material, probabilities["sigmoid"]),
            "auc_lost_without_property": {name: round(float(value), 5) for name, value in evidence.lost.items()},
        }

    def _try(self, material: Material, fold: NDArray[np.int64], growth: Growth) -> dict[str, float]:
        votes = measured.cross_validate(material, fold, growth, self.seed, range(self.tried_folds))
        judged = fold < self.tried_folds
        scores = votes[judged].mean(1)
        figures = measured.ranking_figures(material.labels[judged], scores, fold[judged])
        calibration = measured.calibration_figures(material.labels[judged], scores)
        return figures | {"brier": calibration["brier"]}


def _known() -> tuple[data.Dataset, MagpieFeatures, Material]:
    dataset = load_two_dimensional()
    formulas, _ = Formulas.of_texts(dataset.table["formula"])
    occurring = [symbol for symbol, facts in element_table().items() if facts.number in formulas.numbers]
    representation = MagpieFeatures.of_matminer(occurring)
    return dataset, representation, Material.of(dataset, representation)


@dataclass(frozen=True, eq=False)
class _Evidence:
    """What forests say of formulas whose chemical systems they did not see."""

    votes: NDArray[np.float32]  # (N, n_trees)
    probabilities: dict[str, NDArray[np.floating]]  # (N,) each, by the way of `measured.calibrated`
    lost: pd.Series  # AUC without a property, mean over the folds


def _index(table: pd.DataFrame, held_out: NDArray[np.floating]) -> pd.DataFrame:
    """Return the known 2D formulas, each with the probability that it has where its chemical system is not known."""
    known = table["two_dimensional"].to_numpy(bool)
    rows = pd.DataFrame(
        {
            "formula": table.loc[known, "formula"].to_numpy(),
            "source": table.loc[known, "source"].to_numpy(),
            "probability_held_out": held_out[known].astype(np.float32).round(4),
        }
    )
    return build_index(rows)
