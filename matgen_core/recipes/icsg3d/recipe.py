"""The crystal VAE on voxels: trained on cubic crystals of the Materials Project, and on Perov-5 for its peers.

Training and judging are apart: `run` does both on one machine. A bare GPU machine runs
`python -m matgen_core.networks.learning.icsg3d`, which leaves a folder with weights, then
`python -m matgen_core.networks.learning.points`, which adds what the points that are judged decode to;
`python -m matgen_core.recipes.describe` makes the checkpoint of it.

Reference: Court et al., J. Chem. Inf. Model. 60, 4518 (2020), doi:10.1021/acs.jcim.0c00464
"""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from matgen_core.checkpoint import Checkpoint
from matgen_core.data import Dataset
from matgen_core.latent.projection import map_grades
from matgen_core.networks.arrays.crystals import CrystalArrays
from matgen_core.networks.learning import icsg3d
from matgen_core.networks.learning.icsg3d import PRIOR, Augmentation
from matgen_core.networks.learning.loops import Schedule
from matgen_core.networks.learning.points import FILE, Judged, Samples, judge_points
from matgen_core.networks.learning.runs import best_device, last_losses
from matgen_core.networks.models.icsg3d import ICSG3DConfig
from matgen_core.recipes.shared.card import with_card
from matgen_core.recipes.shared.crystal_figures import PEERS
from matgen_core.recipes.shared.crystal_index import crystal_index
from matgen_core.recipes.shared.crystal_measures import measure
from matgen_core.recipes.shared.cubic import SYSTEM, cubic_families, load_or_prepare, perov5, representation
from matgen_core.recipes.shared.runs import cache, provenance, settings_of, without_nan
from matgen_core.representations import VoxelGrid


@dataclass(frozen=True)
class ICSG3DRecipe:
    """Settings of one checkpoint."""

    name: str = "icsg3d"
    arrays: str = "cubic"  # or "perov5"
    title: str = "Cubic crystals: binary compounds, Heusler phases, ABX3"
    config: ICSG3DConfig = ICSG3DConfig()
    augmentation: Augmentation = Augmentation()
    schedule: Schedule = Schedule(
        epochs=2000, batch_size=128, learning_rate=1e-3, weight_decay=1e-3, minutes=6.9, bfloat16=True
    )
    prior: Schedule = replace(PRIOR, minutes=1.5)
    samples: Samples = Samples()
    n_index: int = 6000  # crystals on the map, drawn from all parts
    seed: int = 0

    def run(self, device: str) -> Checkpoint:
        """Train, judge and describe a checkpoint; a CPU takes hours."""
        schedule = replace(self.schedule, seed=self.seed, bfloat16=device == "cuda")
        folder = cache() / self.name
        model, _ = icsg3d.train(self._arrays(), self.config, schedule, self.augmentation, device, folder)
        icsg3d.train_prior(model, self._arrays(), replace(self.prior, seed=self.seed), folder)
        (folder / FILE).unlink(missing_ok=True)  # of a run before
        return self.describe(folder)

    def describe(self, folder: Path) -> Checkpoint:
        """Make the checkpoint of what `matgen_core.networks.learning.icsg3d` left in a folder.

        What `matgen_core.networks.learning.points` left there is taken as it is; otherwise the points are decoded here.

        Raises:
            ValueError: If the decoded points are of other arrays.
        """
        arrays, parts = self._arrays(), self._parts()
        model = icsg3d.read_run(folder)
        layout = representation(arrays, self.arrays == "cubic", model.config.grid, model.config.width)
        if (folder / FILE).exists():
            judged = Judged.load(folder / FILE)
            if len(judged.known) != len(arrays):
                raise ValueError(
                    f"{folder / FILE} holds {len(judged.known):,} crystals, but the data have {len(arrays):,};"
                    " remove it, or run matgen_core.networks.learning.points again"
                )
        else:
            judged = judge_points(model, arrays, self.samples, self.seed, best_device())
            model = model.to("cpu")
        index = self._index(judged, arrays, parts)
        metrics = self._figures(model.config, layout, arrays, judged) | {"maps": map_grades(index)}
        metrics["training"] = last_losses(folder / "losses.jsonl")
        metrics["training_of_prior"] = last_losses(folder / "prior_losses.jsonl")
        made = Checkpoint(
            name=self.name,
            model_name="icsg3d",
            # The figures are of these same rounded weights: the run stored them in float16.
            model=model.half(),
            representation=layout,
            metrics=without_nan(metrics),
            card="",
            provenance={
                "title": self.title,
                "system": SYSTEM,
                "level": "structure",
                **provenance(
                    self.name,
                    self.seed,
                    parts["train"],
                    counted=parts.values(),
                    settings=settings_of(self, "augmentation"),
                ),
            },
            index=index,
        )
        return with_card(made)

    def evaluate(self, checkpoint: Checkpoint) -> dict[str, Any]:
        """Round trip without a network, reconstruction of the held-out part, walks, generation, obedience."""
        model: Any = checkpoint.model.float()
        layout: Any = checkpoint.representation
        arrays = self._arrays()
        judged = judge_points(model, arrays, self.samples, self.seed, best_device())
        model.to("cpu")
        maps = {} if checkpoint.index is None else map_grades(checkpoint.index)
        return without_nan(self._figures(model.config, layout, arrays, judged) | {"maps": maps})

    def _figures(
        self, config: ICSG3DConfig, layout: VoxelGrid, arrays: CrystalArrays, judged: Judged
    ) -> dict[str, Any]:
        figures = measure(config, layout, arrays, judged, self.samples, self.seed)
        return {
            "headline": {
                "figure": "held-out crystals that come back (StructureMatcher)",
                "ours": f"{figures['reconstruction_test']['all']['match_rate']:.1%}",
                "paper": f"{PEERS[0][1]:.2%} on Perov-5",
            },
            **figures,
        }

    def _arrays(self) -> CrystalArrays:
        return load_or_prepare(self.arrays, cache(), lambda line: print(line, file=sys.stderr))

    def _parts(self) -> dict[str, Dataset]:
        return {"cubic": cubic_families, "perov5": perov5}[self.arrays]()

    def _index(self, judged: Judged, arrays: CrystalArrays, parts: dict[str, Dataset]) -> pd.DataFrame:
        chosen = np.sort(np.random.default_rng(self.seed).permutation(len(arrays))[: self.n_index])
        z, returned = judged.known[chosen].numpy(), judged.returned[chosen].numpy()
        return crystal_index(arrays, parts, chosen, z, returned, self.seed)
