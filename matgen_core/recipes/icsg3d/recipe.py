"""The crystal VAE on voxels: trained on cubic crystals of the Materials Project, and on Perov-5 for its peers.

Reference: Court et al., J. Chem. Inf. Model. 60, 4518 (2020), doi:10.1021/acs.jcim.0c00464
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from matgen_core.checkpoint import Checkpoint
from matgen_core.data import Dataset
from matgen_core.latent.projection import map_grades
from matgen_core.latent.space import LatentSpace
from matgen_core.materials.levels import CRYSTAL
from matgen_core.networks.arrays import tensors
from matgen_core.networks.arrays.crystals import CrystalArrays
from matgen_core.networks.arrays.splits import TEST, TRAIN
from matgen_core.networks.learning import LEARNERS, runs
from matgen_core.networks.learning.runs import last_losses
from matgen_core.networks.learning.voxels import icsg3d
from matgen_core.networks.learning.voxels.icsg3d import ICSG3DLearner, judge_points
from matgen_core.networks.learning.voxels.points import FILE, Judged, Samples
from matgen_core.networks.models.voxels.icsg3d import ICSG3DConfig
from matgen_core.recipes.shared.card import with_card
from matgen_core.recipes.shared.crystal_baselines import nearest_prototype
from matgen_core.recipes.shared.crystal_figures import PEERS
from matgen_core.recipes.shared.crystal_index import crystal_index
from matgen_core.recipes.shared.crystal_limits import displaced, lines, other_families
from matgen_core.recipes.shared.crystal_measures import N_WORKERS, measure
from matgen_core.recipes.shared.cubic import SYSTEM, cubic_families, load_or_prepare, perov5, representation
from matgen_core.recipes.shared.runs import cache, measured, provenance, without_nan
from matgen_core.representations import VoxelGrid


@dataclass(frozen=True)
class ICSG3DRecipe:
    """Settings of one checkpoint."""

    name: str = "icsg3d"
    arrays: str = "cubic"  # or "perov5"
    title: str = "Cubic crystals: binary compounds, Heusler phases, ABX3"
    learner: ICSG3DLearner = LEARNERS["icsg3d"]
    n_index: int = 6000  # crystals on the map, drawn from all parts
    n_trials: int = 200  # crystals that are displaced, or of other families
    seed: int = 0

    def prepare(self, path: Path) -> None:
        """Write the crystals in their cubic cells."""
        self._arrays().save(path)

    def learn(self, arrays: Path, folder: Path, device: str, minutes: float | None = None) -> None:
        """Train, and decode what is judged; a CPU takes hours."""
        runs.learn(self.name, replace(self.learner, seed=self.seed), arrays, folder, device, minutes)

    def describe(self, folder: Path) -> Checkpoint:
        """Make the checkpoint of what learning left in a folder.

        Raises:
            ValueError: If the folder holds no run of this recipe, or one on other arrays.
        """
        settings = runs.read_settings(folder, self.name)
        samples = runs.changed(self.learner.samples, settings["settings"]["samples"])
        arrays, parts = self._arrays(), self._parts()
        model = icsg3d.read_run(folder)
        layout = representation(arrays, self.arrays == "cubic", model.config.grid, model.config.width)
        judged = Judged.load(folder / FILE)
        if len(judged.known) != len(arrays):
            raise ValueError(
                f"{folder / FILE} holds {len(judged.known):,} crystals, but the data have {len(arrays):,};"
                " learn anew from what --prepare writes"
            )
        index = self._index(LatentSpace(model, layout, self.name), judged, arrays, parts)
        metrics = self._figures(model.config, layout, arrays, judged, samples) | {"maps": map_grades(index)}
        metrics["training"] = last_losses(folder / "losses.jsonl")
        metrics["training_of_prior"] = last_losses(folder / "prior_losses.jsonl")
        made = Checkpoint(
            name=self.name,
            model_name="icsg3d",
            model=model,  # the run stored it in float16
            precision="float16",
            representation=layout,
            metrics=without_nan(metrics),
            card="",
            provenance={
                "title": self.title,
                "system": SYSTEM,
                "level": CRYSTAL.key,
                **provenance(self.name, self.seed, parts[TRAIN], counted=parts.values(), run=settings),
            },
            index=index,
        )
        return with_card(replace(made, metrics=made.metrics | measured(self.apart(made))))

    def evaluate(self, checkpoint: Checkpoint) -> dict[str, Any]:
        """Round trip without a network, reconstruction of the held-out part, walks, generation, obedience."""
        model: Any = checkpoint.model
        layout: Any = checkpoint.representation
        arrays = self._arrays()
        samples = self.learner.samples
        judged = judge_points(model, arrays, samples, self.seed, tensors.best_device())
        model.to("cpu")
        maps = {} if checkpoint.index is None else map_grades(checkpoint.index)
        apart = measured(self.apart(checkpoint))
        return without_nan(self._figures(model.config, layout, arrays, judged, samples) | {"maps": maps} | apart)

    def apart(self, checkpoint: Checkpoint) -> Mapping[str, Callable[[], Any]]:
        """The baseline without a network, and where the network ends."""
        arrays, space = self._arrays(), LatentSpace.of(checkpoint)
        found: dict[str, Callable[[], Any]] = {
            "nearest_prototype": lambda: nearest_prototype(arrays, N_WORKERS),
            "lines": lambda: lines(space, arrays, self.learner.samples, self.seed),
            "displaced": lambda: displaced(space, self._parts()[TEST], self.n_trials, self.seed),
        }
        if self.arrays == "cubic":
            found["other_families"] = lambda: other_families(space, arrays, self.n_trials, self.seed)
        return found

    def _figures(
        self, config: ICSG3DConfig, layout: VoxelGrid, arrays: CrystalArrays, judged: Judged, samples: Samples
    ) -> dict[str, Any]:
        figures = measure(config, layout, arrays, judged, samples, self.seed)
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

    def _index(
        self, space: LatentSpace, judged: Judged, arrays: CrystalArrays, parts: dict[str, Dataset]
    ) -> pd.DataFrame:
        chosen = np.sort(np.random.default_rng(self.seed).permutation(len(arrays))[: self.n_index])
        z = judged.known[chosen].numpy().astype(np.float16).astype(np.float32)  # as stored
        return crystal_index(arrays, parts, chosen, z, space.decode(z), self.seed, N_WORKERS)
