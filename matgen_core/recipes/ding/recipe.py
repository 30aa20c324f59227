"""DING: formulas under wanted properties, trained and judged on the OQMD.

Reference: Pathak et al., Phys. Chem. Chem. Phys. 22, 26935 (2020), doi:10.1039/D0CP03508D
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from matgen_core.checkpoint import Checkpoint
from matgen_core.latent.building import build_index
from matgen_core.latent.errors import WRONG_COUNTS
from matgen_core.latent.projection import map_grades
from matgen_core.materials.formulas import Formulas
from matgen_core.materials.levels import COMPOSITION
from matgen_core.networks.arrays.formulas import LabelledFormulas
from matgen_core.networks.arrays.splits import GROUPS, PART_OF_GROUP
from matgen_core.networks.learning import LEARNERS, ding, runs
from matgen_core.networks.learning.ding import (
    DINGLearner,
    differences,
    encode,
    read_guide,
    read_note,
    read_run,
)
from matgen_core.networks.learning.runs import last_losses
from matgen_core.networks.models.ding import CONDITIONS, DING
from matgen_core.networks.models.parts.formula_predictor import FormulaPredictor
from matgen_core.recipes.ding.data import oqmd
from matgen_core.recipes.ding.figures import compared, measure, prior_tried
from matgen_core.recipes.ding.requests import guidance_tried, kept
from matgen_core.recipes.shared.card import with_card
from matgen_core.recipes.shared.runs import provenance
from matgen_core.representations import ElementCounts


@dataclass(frozen=True)
class DINGRecipe:
    """Settings of the checkpoint."""

    name: str = "ding"
    learner: DINGLearner = LEARNERS["ding"]
    guidance: float = 2.0  # chosen among `tried` by the predictor, not by the judge
    tried: tuple[float, ...] = (0.0, 1.0, 1.5, 2.0, 3.0)
    n_tried: int = 1000  # formulas drawn for each request and strength
    n_drawn: int = 5000  # for each request
    n_kept: int = 1000  # formulas that the predictor shall keep for each request
    most: int = 20  # draws for each of them, at most
    n_index: int = 5000  # formulas on the map, drawn from those whose three properties are known
    seed: int = 0

    def prepare(self, path: Path) -> None:
        """Write the formulas with their properties."""
        oqmd(self.seed)[2].save(path)

    def learn(self, arrays: Path, folder: Path, device: str, minutes: float | None = None) -> None:
        """Train all networks; a CPU takes hours."""
        runs.learn(self.name, replace(self.learner, seed=self.seed), arrays, folder, device, minutes)

    def describe(self, folder: Path) -> Checkpoint:
        """Make the checkpoint of what learning left in a folder.

        Raises:
            ValueError: If the folder holds no run of this recipe, or a network is missing.
        """
        settings = runs.read_settings(folder, self.name)
        missing = [name for name in ding.NETWORKS if name != "guide" and not (folder / f"{name}.safetensors").exists()]
        if missing:
            raise ValueError(f"{folder} has no {', '.join(missing)}; train them with --networks {','.join(missing)}")
        dataset, _, arrays = oqmd(self.seed)
        known = Formulas.of_texts(dataset.table["formula"])[0]
        model, before = read_run(folder, self.guidance), read_run(folder, self.guidance, sharper=False)
        index = self._index(model, arrays)
        filters = {"predictor": model.predictor}
        if (folder / "guide.safetensors").exists():
            filters["guide"] = read_guide(folder)
        figures = self._figures(model, arrays, known, filters)
        metrics = figures | {
            "compared": compared(figures["requests"], figures["kept"]),
            "random_split": json.loads((folder / "random_split.json").read_text()),
            "tried": guidance_tried(model, self.tried, self.n_tried, self.seed + 1),
            "priors": [
                {"prior": name, **prior_tried(net, arrays, self.n_tried, self.seed + 1)}
                for name, net in (("before", before), ("sharper", model))
            ],
            "maps": map_grades(index),
            "training": {
                name: last_losses(folder / f"{name}_losses.jsonl") | {"device": read_note(folder, name)["device"]}
                for name in ding.NETWORKS
                if (folder / f"{name}_losses.jsonl").exists()
            },
        }
        representation = ElementCounts(arrays.formulas.elements, model.config.max_count, absent_column=True)
        made = Checkpoint(
            name=self.name,
            model_name="ding",
            model=model,  # the run stored it in float16
            precision="float16",
            representation=representation,
            metrics=metrics,
            card="",
            provenance={
                "title": "Formulas under a wanted formation energy, volume and energy",
                "system": "Pathak 2020, DING",
                "level": COMPOSITION.key,
                "known_of": "formula_lm_oqmd",  # the same data set; its formulas are stored once
                **provenance(self.name, self.seed, dataset, run=settings),
            },
            index=index,
        )
        return with_card(made)

    def evaluate(self, checkpoint: Checkpoint) -> dict[str, Any]:
        """Reconstruction, errors of predictor and judge, hits for every request; of the checkpoint's own weights.

        The predictor on formulas split by row, the guide and the prior before the sharper one are networks that no
        checkpoint keeps: their figures stay.
        """
        dataset, _, arrays = oqmd(self.seed)
        model: Any = checkpoint.model
        stay = {name: checkpoint.metrics[name] for name in ("random_split", "tried", "priors", "training")}
        maps = {} if checkpoint.index is None else map_grades(checkpoint.index)
        known = Formulas.of_texts(dataset.table["formula"])[0]
        figures = self._figures(model, arrays, known, {"predictor": model.predictor})
        figures["kept"] = checkpoint.metrics["kept"] | figures["kept"]
        figures["compared"] = compared(figures["requests"], figures["kept"])
        return figures | stay | {"maps": maps}

    def _figures(
        self, model: DING, arrays: LabelledFormulas, known: Formulas, filters: dict[str, FormulaPredictor]
    ) -> dict[str, Any]:
        figures = measure(model, known, arrays, self.n_drawn, self.seed)
        elements = arrays.formulas.elements
        figures["kept"] = kept(model, filters, known, elements, self.n_kept, self.most, self.seed)
        exact = figures["reconstruction"]["untold"]
        return {
            "headline": {
                "figure": f"formulas of unseen chemical systems that come back exactly (n = {exact['n']:,})",
                "ours": f"{exact['exact']:.2%}",
                "paper": "95.04 %, split by row, properties told",
            },
            **figures,
        }

    def _index(self, model: DING, arrays: LabelledFormulas) -> pd.DataFrame:
        known = (~arrays.values[:, :3].isnan().any(1)).nonzero()[:, 0].numpy()
        chosen = np.sort(np.random.default_rng(self.seed).permutation(known)[: self.n_index])
        rows = torch.from_numpy(chosen)
        formulas = Formulas.of_table(arrays.counts(rows).numpy(), arrays.formulas.elements)
        elements = np.array(arrays.formulas.elements)
        table = pd.DataFrame(
            {
                "id": [f"oqmd-{row}" for row in chosen],
                "formula": formulas.texts(),
                "chemical_system": ["-".join(sorted(elements[row > 0])) for row in arrays.counts(rows).numpy()],
                **{name: arrays.values[rows, i].numpy() for i, name in enumerate(CONDITIONS)},
                "split": [PART_OF_GROUP[GROUPS[group]] for group in arrays.group[rows].tolist()],
            }
        )
        z = encode(model, arrays, rows).mean.numpy()
        return build_index(table, z, self.seed, differences(model, arrays, rows).numpy(), WRONG_COUNTS)
