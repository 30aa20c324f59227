"""The crystal VAE on voxels: trained on cubic crystals of the Materials Project, and on Perov-5 for its peers.

Training and judging are apart: `run` does both on one machine; where the GPU machine is a bare one, its
`python -m matgen_core.crystals` leaves a folder with weights, and `describe` makes the checkpoint of it.

Reference: Court et al., J. Chem. Inf. Model. 60, 4518 (2020), doi:10.1021/acs.jcim.0c00464
"""

import json
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from pymatgen.core import Composition
from safetensors.torch import load_file
from torch import Tensor

from matgen_core import crystals
from matgen_core.checkpoint import Checkpoint
from matgen_core.crystals import PARTS, Augmentation, CrystalArrays
from matgen_core.data import Dataset
from matgen_core.latent import Decoded, LatentSpace, Z, index_columns
from matgen_core.loops import Schedule
from matgen_core.models.icsg3d import ICSG3D, ICSG3DConfig
from matgen_core.projection import map_grades, projections
from matgen_core.train._card import data_section, provenance
from matgen_core.train._icsg3d_card import PEERS, icsg3d_card
from matgen_core.train._icsg3d_metrics import BATCH, Samples, measure, without_nan
from matgen_core.train.cubic import cubic_families, load_or_prepare, perov5, representation, structures

SYSTEM = "Court 2020, iCSG3D"


@dataclass(frozen=True)
class ICSG3DRecipe:
    """Settings of one checkpoint."""

    name: str = "icsg3d"
    arrays: str = "cubic"  # or "perov5"
    config: ICSG3DConfig = ICSG3DConfig()
    augmentation: Augmentation = Augmentation()
    schedule: Schedule = Schedule(
        epochs=300, batch_size=128, learning_rate=1e-3, weight_decay=1e-3, minutes=6.0, bfloat16=True
    )
    samples: Samples = Samples()
    n_index: int = 5000  # crystals on the map, drawn from all parts
    seed: int = 0

    def run(self, device: str) -> Checkpoint:
        """Train, judge and describe a checkpoint; a CPU takes hours."""
        schedule = replace(self.schedule, seed=self.seed, bfloat16=device == "cuda")
        folder = _cache() / self.name
        crystals.train(self._arrays(), self.config, schedule, self.augmentation, device, folder)
        return self.describe(folder)

    def describe(self, folder: Path) -> Checkpoint:
        """Make the checkpoint of the config.json, weights.safetensors and losses.jsonl that a run left in a folder."""
        arrays = self._arrays()
        stored: dict[str, Any] = json.loads((folder / "config.json").read_text())
        config: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in stored.items()
        }
        model = ICSG3D(ICSG3DConfig(**config)).eval()
        model.load_state_dict(
            {name: value.float() for name, value in load_file(folder / "weights.safetensors").items()}
        )
        layout = representation(arrays, self.arrays == "cubic", model.config.grid, model.config.width)
        parts = self._parts()
        made = Checkpoint(
            name=self.name,
            model_name="icsg3d",
            model=model,
            representation=layout,
            metrics={},
            card="",
            provenance={
                "title": f"Cubic crystals as voxels ({', '.join(arrays.families)})",
                "system": SYSTEM,
                "level": "structure",
                **provenance(self.name, self.seed, parts["train"]),
            },
            index=self._index(model, arrays, parts),
        )
        last = (folder / "losses.jsonl").read_text().splitlines()[-1]
        metrics = self.evaluate(made) | {"training": json.loads(last)}
        card = icsg3d_card(self.name, metrics, model, data_section(*parts.values()))
        # The figures above are of these same rounded weights: the run stored them in float16.
        return replace(made, metrics=without_nan(metrics), card=card, model=model.half())

    def evaluate(self, checkpoint: Checkpoint) -> dict[str, Any]:
        """Round trip without a network, reconstruction of the held-out part, walks, generation, obedience."""
        model: Any = checkpoint.model.float()
        layout: Any = checkpoint.representation

        space = LatentSpace(replace(checkpoint, model=model))

        def decode(z: Z, condition: Tensor | None) -> list[Decoded]:
            return space.decode(z, None if condition is None else condition.numpy())

        figures = measure(model, layout, self._arrays(), decode, self.samples, self.seed)
        return {
            "headline": {
                "figure": "held-out crystals that come back (StructureMatcher)",
                "ours": f"{figures['reconstruction_test']['all']['match_rate']:.1%}",
                "paper": f"{PEERS[0][1]:.1%} on Perov-5",
            },
            **figures,
            "maps": {} if checkpoint.index is None else map_grades(checkpoint.index),
        }

    def _arrays(self) -> CrystalArrays:
        return load_or_prepare(self.arrays, _cache(), lambda line: print(line, file=sys.stderr))

    def _parts(self) -> dict[str, Dataset]:
        return {"cubic": cubic_families, "perov5": perov5}[self.arrays]()

    def _index(self, model: ICSG3D, arrays: CrystalArrays, parts: dict[str, Dataset]) -> pd.DataFrame:
        chosen = np.sort(np.random.default_rng(self.seed).permutation(len(arrays))[: self.n_index])
        table = pd.concat([parts[part].table for part in PARTS], ignore_index=True).iloc[chosen]
        arrays = arrays.select(torch.from_numpy(chosen))
        points, back = crystals.reconstruct(model, arrays, batch_size=BATCH, conditional=False)
        # As stored, so that maps and latents agree.
        z = points.numpy().astype(np.float16).astype(np.float32)
        formulas = [structure.composition.reduced_formula for structure in structures(arrays)]
        rows = pd.DataFrame(
            {
                "id": arrays.ids,
                "formula": formulas,
                "chemical_system": [Composition(formula).chemical_system for formula in formulas],
                "family": [arrays.families[i] for i in arrays.family.tolist()],
                "edge": arrays.edge.numpy(),
                "formation_energy_per_atom": arrays.formation_energy_per_atom.numpy(),
                "split": [PARTS[i] for i in arrays.part.tolist()],
                "reconstruction_error": 1 - back.float().numpy(),
            }
        )
        for name in ("space_group_number", "energy_above_hull", "band_gap"):
            if name in table:
                rows[name] = table[name].to_numpy(np.float32, na_value=np.nan)
        return index_columns(pd.concat([rows, projections(z, self.seed)], axis=1), z)


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "matgen-explorer" / "crystals"
