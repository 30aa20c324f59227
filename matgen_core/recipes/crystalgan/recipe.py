"""CrystalGAN: ternary hydrides from two binary ones, for any pair of metals by one checkpoint.

Reference: Nouira et al. (2018), arXiv:1810.11203
"""

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file

from matgen_core.checkpoint import Checkpoint
from matgen_core.latent.building import build_index
from matgen_core.latent.index import GENERATED
from matgen_core.latent.projection import map_grades
from matgen_core.latent.space import LatentSpace
from matgen_core.materials.levels import CRYSTAL
from matgen_core.networks.arrays import tensors
from matgen_core.networks.arrays.cells import Cells
from matgen_core.networks.arrays.hydrides import BINARY, TERNARY, HydrideArrays
from matgen_core.networks.arrays.splits import TEST, TRAIN
from matgen_core.networks.learning import LEARNERS, crystalgan, runs
from matgen_core.networks.learning.crystalgan import CrystalGANLearner
from matgen_core.networks.learning.runs import last_losses
from matgen_core.networks.models.parts import rounding
from matgen_core.networks.potentials import RelaxSettings
from matgen_core.networks.potentials.remote import RelaxedCells, fingerprint, relaxed
from matgen_core.recipes.crystalgan import figures, hydrides
from matgen_core.recipes.crystalgan.hydrides import Known
from matgen_core.recipes.shared.card import with_card
from matgen_core.recipes.shared.runs import provenance, without_nan
from matgen_core.representations import PointCloud

POTENTIALS = ("7net-0", "7net-l3i5")  # the one that relaxes, and the one whose energies count
SAMPLES = "samples.safetensors"  # beside a run: what was made, relaxed on a machine with a GPU
PUBLISHED = "crystalgan_published"  # its learner, and its folder within that of a run
PRECISION: rounding.Precision = "float16"


@dataclass(frozen=True)
class CrystalGANRecipe:
    """Settings of the checkpoint."""

    name: str = "crystalgan_hydride"
    title: str = "Ternary hydrides from two binary ones"
    learner: CrystalGANLearner = LEARNERS["crystalgan_hydride"]
    settings: RelaxSettings = field(default_factory=lambda: RelaxSettings(0.1, 120))
    n_bank: int = 300  # translated crystals on the map, beside all real ones
    seed: int = 0

    def prepare(self, path: Path) -> None:
        """Write the known hydrides and the supercells of the binary ones."""
        hydrides.arrays(hydrides.known(self.seed)).save(path)

    def learn(self, arrays: Path, folder: Path, device: str, minutes: float | None = None) -> None:
        """Train the published networks, in a folder within that of the run, and ours."""
        runs.learn(PUBLISHED, replace(LEARNERS[PUBLISHED], seed=self.seed), arrays, folder / PUBLISHED, device, minutes)
        runs.learn(self.name, replace(self.learner, seed=self.seed), arrays, folder, device, minutes)

    def describe(self, folder: Path) -> Checkpoint:
        """Make the checkpoint of what learning left in a folder.

        Raises:
            ValueError: If the folder holds no run of this recipe.
        """
        settings = runs.read_settings(folder, self.name)
        runs.read_settings(folder / PUBLISHED, PUBLISHED)
        known = hydrides.known(self.seed)
        arrays = hydrides.arrays(known)
        made = self._bare(folder)
        rows = self._rows(made, known, arrays, folder)
        index = self._index(LatentSpace.of(made), known, arrays)
        metrics = self._figures(made, known, arrays) | {
            "made": self._judged(rows, known, folder / SAMPLES),
            "bank": {"seed": self.seed, "n_samples": self.n_bank},
            "maps": map_grades(index),
            "training": last_losses(folder / "losses.jsonl"),
        }
        metrics["headline"] = self._headline(metrics["made"])
        dataset = hydrides.dataset()
        provided = {
            "title": self.title,
            "system": "Nouira 2018, CrystalGAN",
            "level": CRYSTAL.key,
            **provenance(self.name, self.seed, dataset, run=settings),
        }
        return with_card(replace(made, metrics=without_nan(metrics), provenance=provided, index=index))

    def evaluate(self, checkpoint: Checkpoint) -> dict[str, Any]:
        """Judge all but the crystals that were relaxed, which needs a GPU, and the published networks' own."""
        known = hydrides.known(self.seed)
        kept = {name: checkpoint.metrics[name] for name in ("made", "bank", "training", "headline")}
        maps = {} if checkpoint.index is None else map_grades(checkpoint.index)
        return without_nan(self._figures(checkpoint, known, hydrides.arrays(known)) | kept | {"maps": maps})

    def samples(self, folder: Path) -> Cells:
        """Return the crystals that `describe` relaxes, for a machine with a GPU.

        What that machine writes has its place beside the run as `samples.safetensors`.
        """
        known = hydrides.known(self.seed)
        return self._rows(self._bare(folder), known, hydrides.arrays(known), folder).cells()[0]

    def _bare(self, folder: Path) -> Checkpoint:
        """The network of a run as it is stored, in a checkpoint without figures."""
        model = crystalgan.read_run(folder)
        rounding.round_weights(model, PRECISION)
        return Checkpoint(
            name=self.name,
            model_name="crystalgan",
            model=model,
            representation=PointCloud((*model.config.home, "H"), model.config.slots),
            metrics={},
            card="",
            provenance={"level": CRYSTAL.key},
            precision=PRECISION,
        )

    def _rows(self, made: Checkpoint, known: Known, arrays: HydrideArrays, folder: Path) -> figures.Rows:
        return figures.rows(made, known, arrays, load_file(folder / PUBLISHED / crystalgan.PUBLISHED_FILE), self.seed)

    def _judged(self, rows: figures.Rows, known: Known, path: Path) -> dict[str, Any]:
        cells, places = rows.cells()
        done = RelaxedCells.load(path) if path.exists() else None
        if done is None or done.given != fingerprint(cells):
            print(f"relaxing {len(cells):,} crystals", file=sys.stderr)
            done = relaxed(cells, *POTENTIALS, tensors.best_device(), 1e6, self.settings)
        return figures.judged(rows, places, done, known)

    def _figures(self, made: Checkpoint, known: Known, arrays: HydrideArrays) -> dict[str, Any]:
        n_alike = int((arrays.alike.sum(1) > 0).sum())
        return {
            "rediscovery": figures.rediscovery(made, known, arrays, self.seed),
            "criterion": figures.criterion_on_known(known),
            "data": {
                "binary": len(arrays.rows(BINARY, TRAIN)),
                "ternary": len(arrays.rows(TERNARY, TRAIN)),
                "held_out": int(known.held_out.sum()),
                "held_out_systems": len(arrays.forbidden),
                "metals": len(arrays.metals),
                "with_like_metals": n_alike,
                "substituted": figures.n_substituted(arrays),
            },
        }

    def _headline(self, made: dict[str, dict[str, dict[str, Any]]]) -> dict[str, str]:
        ours, half = (made["Mg-Ti-H"][way] for way in ("translated", "half_replaced"))
        return {
            "figure": f"of {ours['n']} tries for Mg-Ti-H within 0.1 eV/atom of the hull when relaxed"
            f" (half the metal exchanged: {half['within_01']})",
            "ours": str(ours["within_01"]),
            "paper": "not given",
        }

    def _index(self, space: LatentSpace, known: Known, arrays: HydrideArrays) -> pd.DataFrame:
        """A bank of translated crystals of the pair at home, and all known hydrides, as the critic sees them."""
        model: Any = space.model
        z = space.sample(self.n_bank, self.seed)
        made = space.decode(z)
        with torch.inference_mode():
            of_made = np.concatenate(
                [model.features(model.decode(torch.from_numpy(part))).numpy() for part in np.array_split(z, 20)]
            )
            rows = torch.cat([arrays.rows(role, part) for role in (BINARY, TERNARY) for part in (TRAIN, TEST)])
            own = arrays.own_metals()[rows]
            # of a binary the second metal is its own once more
            metals = torch.where(own > 0, own, own[:, :1])
            of_known = np.concatenate(
                [
                    model.known_features(arrays.with_metals(part, pair, kind), pair).numpy()
                    for part, pair, kind in zip(rows.split(64), metals.split(64), own.split(64), strict=True)
                ]
            )
        place = {name: row for row, name in enumerate(known.ids)}
        real = [place[arrays.ids[row]] for row in rows.tolist()]
        shown = [each.material for each in made] + [known.structures[row] for row in real]
        table = pd.DataFrame(
            {
                "id": [*(f"generated-{row}" for row in range(self.n_bank)), *(known.ids[row] for row in real)],
                "formula": [each.composition.reduced_formula if each is not None else "" for each in shown],
                "chemical_system": [each.composition.chemical_system if each is not None else "" for each in shown],
                "split": [GENERATED] * self.n_bank + [TEST if known.held_out[row] else TRAIN for row in real],
                "n_elements": [len(each.composition) if each is not None else 0 for each in shown],
                "energy_above_hull": np.array(
                    [np.nan] * self.n_bank + [known.energies[row] for row in real], np.float32
                ),
                "seed_row": [*range(self.n_bank), *([-1] * len(real))],
            }
        )
        return build_index(table, np.concatenate([of_made, of_known]), self.seed)
