"""DING: formulas under wanted properties, trained and judged on the OQMD.

Training and judging are apart: `run` does both on one machine; where the GPU machine is a bare one, its
`python -m matgen_core.networks.learning.ding` leaves a folder, and `python -m matgen_core.recipes.describe ding FOLDER`
makes the checkpoint of it.

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
from matgen_core.latent.index import index_columns
from matgen_core.latent.projection import map_grades, projections
from matgen_core.materials.formulas import Formulas
from matgen_core.networks.arrays.formulas import GROUPS, LabelledFormulas
from matgen_core.networks.learning import ding
from matgen_core.networks.learning.ding import (
    DINGSchedule,
    differences,
    encode,
    read_devices,
    read_guide,
    read_run,
    round_weights,
)
from matgen_core.networks.learning.runs import last_losses
from matgen_core.networks.models.ding import CONDITIONS, DING, DINGConfig
from matgen_core.networks.models.parts.formula_predictor import FormulaPredictor
from matgen_core.recipes.ding.data import oqmd
from matgen_core.recipes.ding.figures import compared, measure, prior_tried
from matgen_core.recipes.ding.requests import guidance_tried, kept
from matgen_core.recipes.shared.card import with_card
from matgen_core.recipes.shared.runs import cache, provenance
from matgen_core.representations import ElementCounts

SPLITS = {"guide": "train", "judge": "train", "validation": "val", "test": "test"}


@dataclass(frozen=True)
class DINGRecipe:
    """Settings of the checkpoint."""

    name: str = "ding"
    config: DINGConfig = DINGConfig()
    schedule: DINGSchedule = DINGSchedule(minutes=16.0)
    guidance: float = 2.0  # chosen among `tried` by the predictor, not by the judge
    tried: tuple[float, ...] = (0.0, 1.0, 1.5, 2.0, 3.0)
    n_tried: int = 1000  # formulas drawn for each request and strength
    n_drawn: int = 5000  # for each request
    n_kept: int = 1000  # formulas that the predictor shall keep for each request
    most: int = 20  # draws for each of them, at most
    n_index: int = 5000  # formulas on the map, drawn from those whose three properties are known
    seed: int = 0

    def run(self, device: str) -> Checkpoint:
        """Train, judge and describe a checkpoint; a CPU takes hours."""
        folder = cache() / self.name
        _, _, arrays = oqmd(self.seed)
        schedule = replace(self.schedule, seed=self.seed)
        ding.train(arrays, self.config, schedule, device, folder)
        return self.describe(folder)

    def describe(self, folder: Path) -> Checkpoint:
        """Make the checkpoint of what `matgen_core.networks.learning.ding` left in a folder.

        Raises:
            ValueError: If a network is missing.
        """
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
        devices = read_devices(folder)
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
                name: last_losses(folder / f"{name}_losses.jsonl") | {"device": devices.get(name, "not noted")}
                for name in ding.NETWORKS
                if (folder / f"{name}_losses.jsonl").exists()
            },
        }
        representation = ElementCounts(arrays.formulas.elements, model.config.max_count, absent_column=True)
        made = Checkpoint(
            name=self.name,
            model_name="ding",
            # The figures are of these same rounded weights: the run stored them in float16.
            model=round_weights(model),
            representation=representation,
            metrics=metrics,
            card="",
            provenance={
                "title": "Formulas under a wanted formation energy, volume and energy",
                "system": "Pathak 2020, DING",
                "level": "composition",
                "known_of": "matgan_oqmd",  # the same data set; its formulas are stored once
                **provenance(self.name, self.seed, dataset),
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
        model: Any = checkpoint.model.float()
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
        # As stored, so that maps and latents agree.
        z = encode(model, arrays, rows).mean.numpy().astype(np.float16).astype(np.float32)
        formulas = Formulas.of_table(arrays.counts(rows).numpy(), arrays.formulas.elements)
        elements = np.array(arrays.formulas.elements)
        table = pd.DataFrame(
            {
                "id": [f"oqmd-{row}" for row in chosen],
                "formula": formulas.texts(),
                "chemical_system": ["-".join(sorted(elements[row > 0])) for row in arrays.counts(rows).numpy()],
                **{name: arrays.values[rows, i].numpy() for i, name in enumerate(CONDITIONS)},
                "split": [SPLITS[GROUPS[group]] for group in arrays.group[rows].tolist()],
                "reconstruction_error": differences(model, arrays, rows).numpy().astype(np.float32),
            }
        )
        return index_columns(pd.concat([table, projections(z, self.seed)], axis=1), z)
