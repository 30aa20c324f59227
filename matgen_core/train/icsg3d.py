"""The crystal VAE on voxels: trained on cubic crystals of the Materials Project, and on Perov-5 for its peers.

Training and judging are apart: `run` does both on one machine; where the GPU machine is a bare one, its
`python -m matgen_core.crystals` leaves a folder with weights, and `describe` makes the checkpoint of it.

Reference: Court et al., J. Chem. Inf. Model. 60, 4518 (2020), doi:10.1021/acs.jcim.0c00464
"""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pymatgen.core import Composition
from safetensors.torch import load_file

from matgen_core import crystal_metrics, crystals
from matgen_core.checkpoint import Checkpoint
from matgen_core.crystal_metrics import (
    PEROV5_CUTOFFS,
    evaluate_generation,
    evaluate_reconstruction,
    uniqueness_and_novelty,
    validity,
)
from matgen_core.crystals import PARTS, Augmentation, CrystalArrays
from matgen_core.data import Dataset
from matgen_core.latent import Decoded, LatentSpace, index_columns
from matgen_core.loops import Schedule
from matgen_core.models.icsg3d import ICSG3D, ICSG3DConfig
from matgen_core.projection import projections
from matgen_core.representations.round_trip import DISTANCE_BINS, closest_distance, round_trip, summarize
from matgen_core.train._card import data_section, markdown_table, provenance, write_card
from matgen_core.train.crystal_figures import around, walk
from matgen_core.train.cubic import cubic_families, load_or_prepare, perov5, representation, structures

SYSTEM = "Court 2020, iCSG3D"
# Perov-5, all by Xie et al. (2022), doi:10.48550/arXiv.2110.06197, with the same matcher.
PEERS = (
    ("Cond-DFC-VAE, the published iCSG3D", 0.5165, 0.0217),
    ("FTCP", 0.9934, 0.0259),
    ("CDVAE", 0.9752, 0.0156),
)
N_ROUND_TRIPS = 1000
N_GENERATED = 1000
N_WORKERS = 2


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
        card = self._card(metrics, model, parts)
        # The figures above are of these same rounded weights: the run stored them in float16.
        return replace(made, metrics=metrics, card=card, model=model.half())

    def evaluate(self, checkpoint: Checkpoint) -> dict[str, Any]:
        """Round trip without a network, reconstruction of the held-out part, walks, generation."""
        model: Any = checkpoint.model.float()
        layout: Any = checkpoint.representation
        arrays = self._arrays()
        test, training = arrays.of_part("test"), arrays.of_part("train")
        everything = structures(arrays)
        sample = np.random.default_rng(self.seed).permutation(len(everything))[:N_ROUND_TRIPS]
        as_given = replace(layout, setting="as_given")  # the arrays hold the standard cells already
        trips = round_trip(as_given, [everything[i] for i in sample])

        decode = LatentSpace(checkpoint).decode
        z = crystals.reconstruct(model, test)[0].numpy()
        families = [test.families[i] for i in test.family.tolist()]
        decoded = decode(z, model.condition_of(test.formation_energy_per_atom).numpy())
        originals = structures(test)
        table = evaluate_reconstruction(originals, decoded, n_workers=N_WORKERS)
        by_family = table.groupby(families)
        figures = {"all": table} | {str(name): rows for name, rows in by_family}
        n_sites = pd.cut([len(structure) for structure in originals], (0, 5, 8, 16, 24, 40, 80))
        closest = pd.cut([closest_distance(structure) for structure in originals], DISTANCE_BINS)
        known = structures(training)

        def judge(found: list[Decoded]) -> dict[str, float]:
            if self.arrays == "perov5":
                return evaluate_generation(found, originals, known, PEROV5_CUTOFFS, n_workers=N_WORKERS)
            checked, kinds = validity(found), uniqueness_and_novelty(found, known, N_WORKERS)
            good = checked["valid"]
            return {
                "n_samples": len(found),
                "decode_rate": float(checked["problem"].eq("").mean()),
                "structure_valid": float(checked["structure_valid"].mean()),
                "composition_valid": float(checked["composition_valid"].mean()),
                "valid": float(good.mean()),
                "unique": float(kinds["unique"].mean()),
                "novel": float(kinds["novel"].mean()),
                "valid_unique_novel": float((good & kinds["unique"] & kinds["novel"]).mean()),
            }

        prior = np.random.default_rng(self.seed).standard_normal((N_GENERATED, model.latent_dim)).astype(np.float32)
        start = np.random.default_rng(self.seed).permutation(len(z))[: N_GENERATED // 10]
        return {
            "headline": {
                "figure": "held-out crystals that come back (StructureMatcher)",
                "ours": f"{table['match'].mean():.1%}",
                "paper": f"{PEERS[0][1]:.1%} on Perov-5",
            },
            "round_trip_without_network": summarize(trips),
            "reconstruction_test": {name: crystal_metrics.summarize(rows) for name, rows in figures.items()},
            "reconstruction_by_n_sites": _match_rates(table, n_sites),
            "reconstruction_by_closest_distance": _match_rates(table, closest),
            "walks": walk(decode, z, np.array(families), n_pairs=100, n_steps=8, seed=self.seed),
            "generation": {
                "from_the_prior": judge(decode(prior)),
                "around_known_crystals": judge(decode(around(z[start], 10, variance=0.5, seed=self.seed))),
                "around_known_crystals_close": judge(decode(around(z[start], 10, variance=0.05, seed=self.seed))),
            },
        }

    def _arrays(self) -> CrystalArrays:
        return load_or_prepare(self.arrays, _cache(), lambda line: print(line, file=sys.stderr))

    def _parts(self) -> dict[str, Dataset]:
        return {"cubic": cubic_families, "perov5": perov5}[self.arrays]()

    def _index(self, model: ICSG3D, arrays: CrystalArrays, parts: dict[str, Dataset]) -> pd.DataFrame:
        points, back = crystals.reconstruct(model, arrays)
        z = points.numpy()
        table = pd.concat([parts[part].table for part in PARTS], ignore_index=True)
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
                rows[name] = table[name].to_numpy()
        return pd.concat([index_columns(rows, z), projections(z, self.seed)], axis=1)

    def _card(self, metrics: dict[str, Any], model: ICSG3D, parts: dict[str, Dataset]) -> str:
        reconstruction, trip = metrics["reconstruction_test"], metrics["round_trip_without_network"]
        rows: list[Sequence[str]] = [
            (f"{name} (n = {figures['n_samples']})", f"{figures['match_rate']:.2%}", f"{figures['rmsd']:.4f}")
            for name, figures in reconstruction.items()
        ]
        rows += [(f"{name}, Perov-5", f"{match:.2%}", f"{rmsd:.4f}") for name, match, rmsd in PEERS]
        worst = sorted(metrics["reconstruction_by_n_sites"].items(), key=lambda item: item[1]["match_rate"])[0]
        walks = pd.DataFrame(metrics["walks"]).T.round(3).reset_index(names="between")
        made = pd.DataFrame(metrics["generation"]).T.round(3).reset_index(names="drawn")
        return write_card(
            f"{self.name}: cubic crystals as voxels",
            {
                "What it is": "A conditional variational autoencoder of cubic crystals, drawn as a density with"
                " species on a fractional grid, after Court et al. (doi:10.1021/acs.jcim.0c00464). Sites are fitted to"
                " the decoded density and the cell edge is decoded as one number.",
                "Data": data_section(*parts.values()),
                "Recipe": f"`matgen train {self.name} --device cuda`, {metrics['training']['seconds'] / 60:.1f} minutes"
                f" and {metrics['training']['epoch']} epochs in the run that made this. Network:"
                f" `{json.dumps(asdict(model.config))}`. Augmentation: `{json.dumps(asdict(self.augmentation))}`.",
                "Figures beside the paper's": "Reconstruction of held-out crystals, failed decodes counted as misses"
                f" (matcher: ltol 0.3, stol 0.5, angle_tol 10):\n\n"
                f"{markdown_table(pd.DataFrame(rows, columns=['crystals', 'match', 'RMSD']))}\n\n"
                f"With no network in between {trip['match_rate']:.1%} of {trip['n']} crystals come back.\n\n"
                f"Straight lines between held-out crystals:\n\n{markdown_table(walks)}\n\n"
                f"Generated crystals:\n\n{markdown_table(made)}",
                "What was tried": "The paper labels single voxels with 95 classes and reads the cell off three decoded"
                " channels; here a site has a code of 16 numbers and the edge is decoded as one number.",
                "Intended use": "Looking at a latent space of cubic crystals, walking in it, and proposing cubic cells"
                " that are to be relaxed and checked.",
                "Out of scope": "Cells that are not cubic, partly occupied sites, elements outside the training"
                " families. A decoded crystal is a proposal; nothing here says that it is stable.",
                "Known failures": f"Crystals of {worst[0]} sites come back least often:"
                f" {worst[1]['match_rate']:.1%} of {worst[1]['n']}.",
            },
        )


def _match_rates(table: pd.DataFrame, bins: Any) -> dict[str, Any]:
    return {
        str(interval): {"n": len(rows), "match_rate": float(rows["match"].mean())}
        for interval, rows in table.groupby(bins, observed=True)
    }


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "matgen-explorer" / "crystals"
