"""The published iCSG3D as a baseline, trained and judged on the crystals of `icsg3d`.

Training and judging are apart: `run` does both on one machine. Where the GPU machine is a bare one, this leaves what
its `python -m matgen_core.networks.learning.icsg3d_paper` takes, and
`python -m matgen_core.recipes.describe` makes the checkpoint of what that leaves:

    python -m matgen_core.recipes.icsg3d_paper.recipe cubic --out folder

Reference: Court et al., J. Chem. Inf. Model. 60, 4518 (2020), doi:10.1021/acs.jcim.0c00464
"""

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pymatgen.core import Element

from matgen_core.checkpoint import Checkpoint
from matgen_core.checks.sets import evaluate_reconstruction
from matgen_core.data import Dataset
from matgen_core.latent.projection import map_grades
from matgen_core.latent.space import Decoded, LatentSpace
from matgen_core.networks.arrays.crystals import PARTS, CrystalArrays
from matgen_core.networks.learning import icsg3d_paper
from matgen_core.networks.learning import points as crystal_points
from matgen_core.networks.learning.icsg3d_paper import Elements
from matgen_core.networks.learning.loops import Schedule
from matgen_core.networks.learning.points import Samples
from matgen_core.networks.learning.runs import last_losses
from matgen_core.networks.models.icsg3d_paper import ICSG3DPaper, ICSG3DPaperConfig
from matgen_core.recipes.shared.card import with_card
from matgen_core.recipes.shared.crystal_figures import PEERS
from matgen_core.recipes.shared.crystal_index import crystal_index
from matgen_core.recipes.shared.crystal_measures import N_WORKERS, measured
from matgen_core.recipes.shared.cubic import SYSTEM, cubic_families, load_or_prepare, structures
from matgen_core.recipes.shared.runs import cache, provenance, settings_of, without_nan
from matgen_core.representations import PaddedVoxels
from matgen_core.representations.padded_voxels import element_radii
from matgen_core.representations.round_trip import round_trip, summarize


@dataclass(frozen=True)
class ICSG3DPaperRecipe:
    """Settings of the checkpoint; decoding takes about 0.1 s a point and thread, which limits the samples."""

    name: str = "icsg3d_paper"
    title: str = "Cubic crystals: the published network"
    config: ICSG3DPaperConfig = ICSG3DPaperConfig()
    schedule: Schedule = dataclasses.replace(icsg3d_paper.SCHEDULE, minutes=8.2)
    samples: Samples = Samples(round_trips=300, walks=25, prior=300, covered=0, around=150, per_class=15)
    n_index: int = 200  # crystals of each other part that stand on the map beside the whole test part
    seed: int = 0

    def run(self, device: str) -> Checkpoint:
        """Train, judge and describe the checkpoint; a CPU takes days."""
        arrays, folder = self._arrays(), cache() / self.name
        schedule = dataclasses.replace(self.schedule, seed=self.seed, bfloat16=device == "cuda")
        elements = elements_of(boxes(arrays, conventional=True, grid=self.config.grid))
        icsg3d_paper.train(arrays, elements, self.config, schedule, device, folder)
        return self.describe(folder)

    def describe(self, folder: Path) -> Checkpoint:
        """Make the checkpoint of what `matgen_core.networks.learning.icsg3d_paper` left in a folder."""
        arrays, parts = self._arrays(), self._parts()
        model = icsg3d_paper.read_run(folder)
        layout = boxes(arrays, conventional=True, grid=model.config.grid)
        chosen = self._chosen(arrays)
        found = self._found(model, layout, arrays, chosen)
        shown = found.pop("index")
        returned = evaluate_reconstruction(structures(arrays.select(torch.from_numpy(chosen))), shown, N_WORKERS)
        z = np.stack([item.z for item in shown])
        index = crystal_index(arrays, parts, chosen, z, returned["match"].to_numpy(), self.seed)
        metrics = self._figures(model.config, layout, arrays, found)
        metrics |= {"maps": map_grades(index), "training": last_losses(folder / "losses.jsonl")}
        made = Checkpoint(
            name=self.name,
            model_name="icsg3d_paper",
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
                    settings=settings_of(self, "schedule"),
                ),
            },
            index=index,
        )
        return with_card(made)

    def evaluate(self, checkpoint: Checkpoint) -> dict[str, Any]:
        """Round trips without a network, reconstruction of the held-out part, walks, generation, obedience."""
        model: Any = checkpoint.model.float()
        layout: Any = checkpoint.representation
        arrays = self._arrays()
        found = self._found(model, layout, arrays, np.zeros(0, np.int64))
        maps = {} if checkpoint.index is None else map_grades(checkpoint.index)
        return without_nan(self._figures(model.config, layout, arrays, found) | {"maps": maps})

    def _found(
        self, model: ICSG3DPaper, layout: PaddedVoxels, arrays: CrystalArrays, chosen: NDArray[np.int64]
    ) -> dict[str, list[Decoded]]:
        """Decode what is judged, by the names of `crystal_points.draw`, and the chosen crystals as `index`."""
        is_test = arrays.part.numpy() == PARTS.index("test")
        rows = np.union1d(np.flatnonzero(is_test), chosen)
        known = arrays.select(torch.from_numpy(rows))
        # As an index stores them.
        z = icsg3d_paper.posteriors(model, known, elements_of(layout), batch_size=16).mean.half().float()
        drawn = crystal_points.draw(model, z, known, self.samples, self.seed)
        drawn["test"] = z  # and those of the index
        asked = crystal_points.asked_for(model.config.n_conditions, self.samples.per_class).numpy()
        space = LatentSpace(Checkpoint(self.name, "icsg3d_paper", model, layout, metrics={}, card=""))
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
        as_given = dataclasses.replace(boxes(perov5, conventional=False, grid=layout.grid), setting="as_given")
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

    def _chosen(self, arrays: CrystalArrays) -> NDArray[np.int64]:
        """Rows of the crystals on the map: the whole test part, which is decoded anyway, and some of the others."""
        rng, part = np.random.default_rng(self.seed), arrays.part.numpy()
        rows = [rng.permutation(np.flatnonzero(part == i)) for i in range(len(PARTS))]
        kept = [len(arrays) if name == "test" else self.n_index for name in PARTS]
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


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the arrays of the crystals, and beside them what the boxes show of the elements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("arrays", choices=("cubic", "perov5"))
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    arrays = load_or_prepare(given.arrays, given.out, lambda line: print(line, file=sys.stderr))
    layout = boxes(arrays, conventional=given.arrays == "cubic")
    elements_of(layout).save(given.out / f"{given.arrays}-elements.safetensors")


if __name__ == "__main__":
    main()
