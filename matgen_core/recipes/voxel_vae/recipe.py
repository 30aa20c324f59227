"""The voxel VAE of crystals of any symmetry, on all of the Materials Project that fits its box.

Reference: Hoffmann et al. (2019), arXiv:1909.00949
"""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from pymatgen.core import Structure

from matgen_core import data
from matgen_core.checkpoint import Checkpoint
from matgen_core.data import Dataset
from matgen_core.latent.projection import map_grades
from matgen_core.latent.space import Decoded, LatentSpace
from matgen_core.materials.levels import CRYSTAL
from matgen_core.networks.arrays import tensors
from matgen_core.networks.arrays.crystals import ReducedArrays
from matgen_core.networks.arrays.splits import TEST, THREE_PARTS, TRAIN
from matgen_core.networks.learning import LEARNERS, runs
from matgen_core.networks.learning.runs import last_losses
from matgen_core.networks.learning.voxels import voxel_vae
from matgen_core.networks.learning.voxels.voxel_vae import JudgedCrystals, VoxelVAELearner
from matgen_core.recipes.shared.card import with_card
from matgen_core.recipes.shared.crystal_figures import generated
from matgen_core.recipes.shared.crystal_index import index_of
from matgen_core.recipes.shared.crystal_limits import displaced, invariance
from matgen_core.recipes.shared.crystal_measures import N_WORKERS
from matgen_core.recipes.shared.runs import cache, measured, provenance, without_nan
from matgen_core.recipes.voxel_vae.crystals import crystals, layout, load_or_prepare, structures
from matgen_core.recipes.voxel_vae.figures import (
    Sizes,
    by_prototype,
    decoded,
    families_of,
    reconstruction,
)
from matgen_core.representations import VoxelGrid
from matgen_core.representations.round_trip import round_trip, summarize

PRIORS = ("learned_prior", "standard_normal")


@dataclass(frozen=True)
class VoxelVAERecipe:
    """Settings of the checkpoint."""

    name: str = "voxel_vae"
    title: str = "Crystals of any symmetry as voxels"
    learner: VoxelVAELearner = LEARNERS["voxel_vae"]
    sizes: Sizes = Sizes()
    seed: int = 0

    def prepare(self, path: Path) -> None:
        """Write the crystals in their reduced cells."""
        self._arrays().save(path)

    def learn(self, arrays: Path, folder: Path, device: str, minutes: float | None = None) -> None:
        """Train, and decode what is judged; a CPU takes days."""
        runs.learn(self.name, replace(self.learner, seed=self.seed), arrays, folder, device, minutes)

    def describe(self, folder: Path) -> Checkpoint:
        """Make the checkpoint of what learning left in a folder.

        Raises:
            ValueError: If the folder holds no run of this recipe, or one on other arrays.
        """
        settings = runs.read_settings(folder, self.name)
        arrays, parts = self._arrays(), crystals()
        model = voxel_vae.read_run(folder)
        drawn = layout(arrays.elements)
        judged = JudgedCrystals.load(folder / voxel_vae.FILE)
        if int(judged.rows.max()) >= len(arrays):
            raise ValueError(
                f"{folder / voxel_vae.FILE} names crystal {int(judged.rows.max()):,}, but the data have"
                f" {len(arrays):,}; learn anew from what --prepare writes"
            )
        found = {name: decoded(points, drawn) for name, points in judged.found.items()}
        rows = judged.rows.numpy()
        index = self._index(arrays, parts, rows, found["known"])
        metrics = self._figures(arrays, parts, drawn, rows, found) | {"maps": map_grades(index)}
        metrics["training"] = last_losses(folder / "losses.jsonl")
        metrics["training_of_prior"] = last_losses(folder / "prior_losses.jsonl")
        metrics["profile"] = json.loads((folder / voxel_vae.PROFILE).read_text())
        taken = {name: replace(each, table=each.table[_ids(each).isin(arrays.ids)]) for name, each in parts.items()}
        made = Checkpoint(
            name=self.name,
            model_name="voxel_vae",
            model=model,  # the run stored it in float16
            precision="float16",
            representation=drawn,
            metrics=without_nan(metrics),
            card="",
            provenance={
                "title": self.title,
                "system": "Hoffmann 2019, density VAE and U-Net",
                "level": CRYSTAL.key,
                **provenance(self.name, self.seed, parts[TRAIN], counted=taken.values(), run=settings),
            },
            index=index,
        )
        return with_card(replace(made, metrics=made.metrics | measured(self.apart(made))))

    def evaluate(self, checkpoint: Checkpoint) -> dict[str, Any]:
        """Round trip without a network, reconstruction of the held-out part, generation, real crystals, invariance."""
        model: Any = checkpoint.model
        drawn: Any = checkpoint.representation
        arrays = self._arrays()
        judged = voxel_vae.judge(model, arrays, 0, self.learner.n_drawn, self.seed, tensors.best_device())
        model.to("cpu")
        found = {name: decoded(points, drawn) for name, points in judged.found.items()}
        maps = {} if checkpoint.index is None else map_grades(checkpoint.index)
        figures = self._figures(arrays, crystals(), drawn, judged.rows.numpy(), found)
        return without_nan(figures | {"maps": maps} | measured(self.apart(checkpoint)))

    def apart(self, checkpoint: Checkpoint) -> Mapping[str, Callable[[], Any]]:
        """The baseline without a network, and what becomes of real and of differently written crystals."""
        space = LatentSpace.of(checkpoint)

        def prototypes() -> dict[str, Any]:
            arrays = self._arrays()
            chosen = self._chosen(arrays, np.flatnonzero(arrays.part.numpy() == THREE_PARTS.index(TEST)))
            training = structures(arrays.of_part(TRAIN))
            return by_prototype(self._originals(arrays, chosen), training, families_of(arrays, chosen))

        def moved() -> dict[str, Any]:
            return displaced(space, self._test(), self.sizes.trials, self.seed)

        def written() -> dict[str, Any]:
            table = self._test().table
            some = table.iloc[np.random.default_rng(self.seed).permutation(len(table))[: self.sizes.trials]]
            index = checkpoint.index
            if index is None:
                raise ValueError(f"{self.name} has no index to measure distances on; learn it anew")
            known = np.stack(index["z"].to_numpy()).astype(np.float32)
            return invariance(space, [data.structure(row) for row in some.to_dict("records")], known, self.seed)

        return {"nearest_prototype": prototypes, "displaced": moved, "invariance": written}

    def _figures(
        self,
        arrays: ReducedArrays,
        parts: dict[str, Dataset],
        drawn: VoxelGrid,
        rows: NDArray[np.int64],
        found: dict[str, list[Decoded]],
    ) -> dict[str, Any]:
        is_test = arrays.part.numpy()[rows] == THREE_PARTS.index(TEST)
        back = dict(zip(rows[is_test].tolist(), [found["known"][i] for i in np.flatnonzero(is_test)], strict=True))
        chosen = self._chosen(arrays, rows[is_test])
        originals = self._originals(arrays, chosen)
        figures = reconstruction(
            originals,
            [back[row] for row in chosen.tolist()],
            [arrays.ids[row] for row in chosen],
            families_of(arrays, chosen),
        )
        known = structures(arrays.of_part(TRAIN))
        n_all = sum(len(part) for part in parts.values())
        return {
            "headline": {
                "figure": "held-out crystals that come back (StructureMatcher)",
                "ours": f"{figures['reconstruction_test']['all']['match_rate']:.1%}",
                "paper": "not given",
            },
            **figures,
            "box": {"max_sites": drawn.max_sites, "max_edges": list(drawn.max_edges)},
            "fitting": {"n": len(arrays), "of": n_all, "share": len(arrays) / n_all},
            "round_trip_without_network": summarize(
                round_trip(replace(drawn, setting="as_given"), originals[: self.sizes.round_trips])
            ),
            "generation": {name: generated(found[name], originals, known, N_WORKERS) for name in PRIORS},
        }

    def _chosen(self, arrays: ReducedArrays, test: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows of the held-out crystals that are judged."""
        return np.sort(np.random.default_rng(self.seed).permutation(test)[: self.sizes.test])

    def _originals(self, arrays: ReducedArrays, rows: NDArray[np.int64]) -> list[Structure]:
        return structures(arrays.select(torch.from_numpy(rows)))

    def _arrays(self) -> ReducedArrays:
        return load_or_prepare(cache(), lambda line: print(line, file=sys.stderr))

    def _test(self) -> Dataset:
        """Held-out crystals that fit, in the cells of their publisher."""
        test = crystals()[TEST]
        return replace(test, table=test.table[_ids(test).isin(self._arrays().ids)])

    def _index(
        self, arrays: ReducedArrays, parts: dict[str, Dataset], rows: NDArray[np.int64], found: list[Decoded]
    ) -> pd.DataFrame:
        """Some of the decoded crystals, with their points, maps and whether they come back."""
        places = np.sort(np.random.default_rng(self.seed).permutation(len(rows))[: self.sizes.index])
        some = arrays.select(torch.from_numpy(rows[places]))
        table = pd.concat([part.table for part in parts.values()]).set_index("material_id").loc[list(some.ids)]
        originals = structures(some)
        described = pd.DataFrame(
            {
                "id": some.ids,
                "formula": [each.composition.reduced_formula for each in originals],
                "chemical_system": [each.composition.chemical_system for each in originals],
                "family": [some.families[i] for i in some.family.tolist()],
                "formation_energy_per_atom": some.formation_energy_per_atom.numpy(),
                "split": [THREE_PARTS[i] for i in some.part.tolist()],
            }
        )
        for name in ("space_group_number", "energy_above_hull", "band_gap"):
            described[name] = table[name].to_numpy(np.float32, na_value=np.nan)
        shown = [found[place] for place in places.tolist()]
        return index_of(described, originals, np.stack([each.z for each in shown]), shown, self.seed, N_WORKERS)


def _ids(dataset: Dataset) -> "pd.Series[Any]":
    return dataset.table["material_id"].astype(str)
