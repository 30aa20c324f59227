"""The published design of iCSG3D in small, trained and judged on the crystals of `icsg3d`.

Reference: Court et al., J. Chem. Inf. Model. 60, 4518 (2020), doi:10.1021/acs.jcim.0c00464
"""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pymatgen.core import Element

from matgen_core.checkpoint import Checkpoint
from matgen_core.data import Dataset
from matgen_core.latent.projection import map_grades
from matgen_core.latent.space import Decoded, LatentSpace
from matgen_core.materials.levels import CRYSTAL
from matgen_core.networks.arrays.crystals import CrystalArrays
from matgen_core.networks.arrays.splits import TEST, THREE_PARTS, TRAIN
from matgen_core.networks.learning import LEARNERS, runs
from matgen_core.networks.learning.runs import last_losses
from matgen_core.networks.learning.voxels import icsg3d_paper
from matgen_core.networks.learning.voxels import points as crystal_points
from matgen_core.networks.learning.voxels.icsg3d_paper import BoxedCrystals, Elements, ICSG3DPaperLearner
from matgen_core.networks.learning.voxels.points import Samples
from matgen_core.networks.models.voxels.icsg3d_paper import ICSG3DPaper, ICSG3DPaperConfig
from matgen_core.recipes.shared.card import with_card
from matgen_core.recipes.shared.crystal_figures import PEERS
from matgen_core.recipes.shared.crystal_index import crystal_index
from matgen_core.recipes.shared.crystal_measures import N_WORKERS, measured
from matgen_core.recipes.shared.cubic import SYSTEM, cubic_families, load_or_prepare, structures
from matgen_core.recipes.shared.runs import cache, provenance, without_nan
from matgen_core.representations import PaddedVoxels
from matgen_core.representations.round_trip import round_trip, summarize
from matgen_core.representations.voxels.padded_voxels import element_radii


@dataclass(frozen=True)
class ICSG3DPaperRecipe:
    """Settings of the checkpoint; decoding takes about 0.1 s a point and thread, which limits the samples."""

    name: str = "icsg3d_paper"
    title: str = "Cubic crystals: the published design in small"
    learner: ICSG3DPaperLearner = LEARNERS["icsg3d_paper"]
    samples: Samples = Samples(round_trips=300, walks=25, prior=300, covered=0, around=150, per_class=15)
    n_index: int = 200  # crystals of each other part that stand on the map beside the whole test part
    seed: int = 0

    def prepare(self, path: Path) -> None:
        """Write the crystals in their cubic cells, and what a box shows of their elements."""
        arrays = self._arrays()
        BoxedCrystals(arrays, elements_of(boxes(arrays, conventional=True))).save(path)

    def learn(self, arrays: Path, folder: Path, device: str, minutes: float | None = None) -> None:
        """Train; a CPU takes days."""
        runs.learn(self.name, replace(self.learner, seed=self.seed), arrays, folder, device, minutes)

    def describe(self, folder: Path) -> Checkpoint:
        """Make the checkpoint of what learning left in a folder; points are decoded here.

        Raises:
            ValueError: If the folder holds no run of this recipe.
        """
        settings = runs.read_settings(folder, self.name)
        arrays, parts = self._arrays(), self._parts()
        model = icsg3d_paper.read_run(folder)
        layout = boxes(arrays, conventional=True, grid=model.config.grid)
        chosen = self.map_rows(arrays)
        found = self.judged(model, layout, arrays, chosen)
        shown = found.pop("index")
        z = np.stack([item.z for item in shown])
        index = crystal_index(arrays, parts, chosen, z, shown, self.seed, N_WORKERS)
        metrics = self._figures(model.config, layout, arrays, found)
        metrics |= {"maps": map_grades(index), "training": last_losses(folder / "losses.jsonl")}
        made = Checkpoint(
            name=self.name,
            model_name="icsg3d_paper",
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
        return with_card(made)

    def evaluate(self, checkpoint: Checkpoint) -> dict[str, Any]:
        """Round trips without a network, reconstruction of the held-out part, walks, generation, obedience."""
        model: Any = checkpoint.model
        layout: Any = checkpoint.representation
        arrays = self._arrays()
        found = self.judged(model, layout, arrays, np.zeros(0, np.int64))
        maps = {} if checkpoint.index is None else map_grades(checkpoint.index)
        return without_nan(self._figures(model.config, layout, arrays, found) | {"maps": maps})

    def judged(
        self, model: ICSG3DPaper, layout: PaddedVoxels, arrays: CrystalArrays, chosen: NDArray[np.int64]
    ) -> dict[str, list[Decoded]]:
        """Decode what is judged, by the names of `crystal_points.draw`, and the chosen crystals as `index`."""
        is_test = arrays.part.numpy() == THREE_PARTS.index(TEST)
        rows = np.union1d(np.flatnonzero(is_test), chosen)
        known = arrays.select(torch.from_numpy(rows))
        # As an index stores them.
        z = icsg3d_paper.posteriors(model, known, elements_of(layout), batch_size=16).mean.half().float()
        drawn = crystal_points.draw(model, z, known, self.samples, self.seed)
        drawn["test"] = z  # and those of the index
        asked = crystal_points.asked_for(model.config.n_conditions, self.samples.per_class).numpy()
        space = LatentSpace(model, layout, self.name)
        found = {}
        for name, points in drawn.items():
            print(f"{self.name}: {len(points):,} points of {name} are decoded", file=sys.stderr)
            found[name] = space.decode(points.numpy(), asked if name == "conditioned" else None)
        back = dict(zip(rows.tolist(), found["test"], strict=True))
        found["test"] = [back[row] for row in np.flatnonzero(is_test).tolist()]
        return found | {"index": [back[row] for row in chosen.tolist()]}

    def _figures(
        self, config: ICSG3DPaperConfig, layout: PaddedVoxels, arrays: CrystalArrays, found: dict[str, list[Decoded]]
    ) -> dict[str, Any]:
        figures = measured(config, layout, arrays, found, self.samples, self.seed)
        perov5 = load_or_prepare("perov5", cache()).of_part("test")
        as_given = replace(boxes(perov5, conventional=False, grid=layout.grid), setting="as_given")
        some = np.random.default_rng(self.seed).permutation(len(perov5))[: self.samples.round_trips]
        return {
            "headline": {
                "figure": "held-out crystals that come back (StructureMatcher)",
                "ours": f"{figures['reconstruction_test']['all']['match_rate']:.1%}",
                "paper": f"{PEERS[0][1]:.2%} on Perov-5",
            },
            **figures,
            "round_trip_without_network_perov5": summarize(
                round_trip(as_given, structures(perov5.select(torch.from_numpy(some))))
            ),
        }

    def map_rows(self, arrays: CrystalArrays) -> NDArray[np.int64]:
        """Rows of the crystals on the map: the whole test part, which is decoded anyway, and some of the others."""
        rng, part = np.random.default_rng(self.seed), arrays.part.numpy()
        rows = [rng.permutation(np.flatnonzero(part == i)) for i in range(len(THREE_PARTS))]
        kept = [len(arrays) if name == TEST else self.n_index for name in THREE_PARTS]
        return np.sort(np.concatenate([some[:n] for some, n in zip(rows, kept, strict=True)]))

    def _arrays(self) -> CrystalArrays:
        return load_or_prepare("cubic", cache(), lambda line: print(line, file=sys.stderr))

    def _parts(self) -> dict[str, Dataset]:
        return cubic_families()


def boxes(arrays: CrystalArrays, conventional: bool, grid: int = ICSG3DPaperConfig.grid) -> PaddedVoxels:
    """Return the array layout of the networks that are trained on these crystals."""
    return PaddedVoxels(
        elements=arrays.elements,
        numbers=np.array([Element(symbol).Z for symbol in arrays.elements], np.float32),
        radii=element_radii(arrays.elements),
        grid=grid,
        max_sites=int(arrays.species.shape[1]),
        setting="cubic" if conventional else "cubic_cell",
    )


def elements_of(layout: PaddedVoxels) -> Elements:
    """Return what training draws of each element: the same as the layout."""
    return Elements(torch.from_numpy(layout.numbers), torch.from_numpy(layout.radii))
