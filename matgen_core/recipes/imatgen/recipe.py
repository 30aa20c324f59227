"""iMatGen of two elements: vanadium and oxygen as published, or any others.

Reference: Noh et al., Matter 1, 1370 (2019), doi:10.1016/j.matt.2019.08.017
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from pymatgen.core import Structure

from matgen_core import data
from matgen_core.checkpoint import Checkpoint
from matgen_core.latent.building import build_index
from matgen_core.latent.errors import NO_MATCH
from matgen_core.latent.projection import map_grades
from matgen_core.latent.space import Decoded, LatentSpace
from matgen_core.materials.levels import CRYSTAL
from matgen_core.networks.arrays import tensors
from matgen_core.networks.arrays.cells import Cells
from matgen_core.networks.arrays.crystals import PairArrays
from matgen_core.networks.arrays.splits import OTHER, TEST, THREE_PARTS, TRAIN, VAL
from matgen_core.networks.learning import LEARNERS, runs
from matgen_core.networks.learning.runs import last_losses
from matgen_core.networks.learning.voxels import imatgen
from matgen_core.networks.learning.voxels.imatgen import IMatGenLearner
from matgen_core.networks.learning.voxels.voxel_vae import Crystals, JudgedCrystals
from matgen_core.networks.potentials import RelaxSettings
from matgen_core.networks.potentials.remote import RelaxedCells, fingerprint, relaxed
from matgen_core.recipes.imatgen import figures
from matgen_core.recipes.imatgen.data import (
    PARENTS,
    Candidates,
    arrays_of,
    candidates,
    crystal_of,
    known_of,
    structures,
)
from matgen_core.recipes.shared.card import with_card
from matgen_core.recipes.shared.crystal_limits import displaced_by_distance, invariance
from matgen_core.recipes.shared.crystal_measures import N_WORKERS
from matgen_core.recipes.shared.runs import cache, measured, provenance, without_nan
from matgen_core.representations import CellAndBasis

POTENTIALS = ("7net-0", "7net-l3i5")  # the one that relaxes, and the one whose energies count
SAMPLES = "samples.safetensors"  # beside a run: what was drawn, relaxed on a machine with a GPU
WAYS = ("between", "around", "learned_prior")


@dataclass(frozen=True)
class IMatGenRecipe:
    """Settings of a checkpoint.

    Attributes:
        name: Of the checkpoint.
        elements: The two.
        limit: Learn from at most so many crystals that are made; none for all.
        learner: Settings of the run.
        settings: Bounds of all relaxations.
        n_others: Crystals of other elements that are learned from as if they were of these.
        n_relaxed: Crystals of each way of drawing that are relaxed.
        n_index: Crystals on the map.
        n_trials: Crystals that are displaced, or written in another way.
        n_compared: Drawn crystals of each way that are compared with one another and with those of training.
        seed: Of everything.
    """

    name: str = "imatgen_vo"
    elements: tuple[str, str] = ("V", "O")
    limit: int | None = None
    learner: IMatGenLearner = LEARNERS["imatgen_vo"]
    settings: RelaxSettings = field(default_factory=lambda: RelaxSettings(0.1, 120))
    n_others: int = 40_000
    n_relaxed: int = 500
    n_index: int = 2000
    n_trials: int = 16
    n_compared: int = 120
    seed: int = 0

    def of(self, elements: tuple[str, str], limit: int | None = None) -> "IMatGenRecipe":
        """Return the recipe for two other elements, whose checkpoint is named after them."""
        name = f"imatgen_{''.join(elements).lower()}"
        made = replace(self, name=name, elements=elements, limit=limit)
        if limit is None:
            return made
        learner = replace(
            self.learner, n_drawn=min(self.learner.n_drawn, 100), n_around=min(self.learner.n_around, 100)
        )
        return replace(made, learner=learner, n_others=2 * limit, n_relaxed=20, n_trials=10)

    def prepare(self, path: Path) -> None:
        """Make and relax the crystals, and write those that fit.

        Relaxing takes a second or more for each on a CPU; what is relaxed is kept in the folder of caches.
        """
        self._arrays.save(path)

    def learn(self, arrays: Path, folder: Path, device: str, minutes: float | None = None) -> None:
        """Train, and decode what is judged."""
        runs.learn(self.name, replace(self.learner, seed=self.seed), arrays, folder, device, minutes)

    def describe(self, folder: Path) -> Checkpoint:
        """Make the checkpoint of what learning left in a folder.

        Raises:
            ValueError: If the folder holds no run of this recipe, or one on other arrays.
        """
        settings = runs.read_settings(folder, self.name)
        arrays = self._arrays.of_the_pair()
        model, layout = imatgen.read_run(folder), self._layout()
        judged = JudgedCrystals.load(folder / imatgen.FILE)
        if len(judged.rows) != len(arrays):
            raise ValueError(
                f"{folder / imatgen.FILE} holds {len(judged.rows):,} crystals, but the data have {len(arrays):,};"
                " learn anew from what --prepare writes"
            )
        found = {name: figures.decoded(points, layout) for name, points in judged.found.items()}
        told, back = self._figures(model, arrays, judged.found["known"], found)
        index = self._index(arrays, found["known"], back)
        told |= {
            "after_relaxation": self._after_relaxation(arrays, found, folder / SAMPLES),
            "maps": map_grades(index),
            "training": last_losses(folder / "losses.jsonl"),
            "training_of_prior": last_losses(folder / "prior_losses.jsonl"),
            "profile": json.loads((folder / imatgen.PROFILE).read_text()),
        }
        known = data.load(PARENTS)
        made = Checkpoint(
            name=self.name,
            model_name="imatgen",
            model=model,  # the run stored it in float16
            precision="float16",
            representation=layout,
            metrics=without_nan(told),
            card="",
            provenance={
                "title": f"Crystals of {' and '.join(self.elements)} as cell and basis images",
                "system": "Noh 2019, iMatGen",
                "level": CRYSTAL.key,
                **provenance(self.name, self.seed, known, run=settings),
            },
            index=index,
        )
        return with_card(replace(made, metrics=made.metrics | measured(self.apart(made))))

    def evaluate(self, checkpoint: Checkpoint) -> dict[str, Any]:
        """Judge all but the relaxations of what was drawn, which need a GPU: those are as the run left them."""
        model: Any = checkpoint.model
        arrays = self._arrays.of_the_pair()
        judged = imatgen.judge(self.learner, model, arrays, tensors.best_device())
        model.to("cpu")
        found = {name: figures.decoded(points, self._layout()) for name, points in judged.found.items()}
        maps = {} if checkpoint.index is None else map_grades(checkpoint.index)
        kept = {"after_relaxation": checkpoint.metrics["after_relaxation"], "maps": maps}
        figures_ = self._figures(model, arrays, judged.found["known"], found)[0]
        return without_nan(figures_ | kept | measured(self.apart(checkpoint)))

    def apart(self, checkpoint: Checkpoint) -> Mapping[str, Callable[[], Any]]:
        """What becomes of displaced and of differently written crystals, and what substitution finds by itself."""
        space = LatentSpace.of(checkpoint)

        def unseen() -> list[Structure]:
            arrays = self._arrays
            rows = np.flatnonzero(np.isin(arrays.part.numpy(), [THREE_PARTS.index(VAL), THREE_PARTS.index(TEST)]))
            chosen = np.random.default_rng(self.seed).permutation(rows)[: self.n_trials]
            return structures(arrays.select(torch.from_numpy(chosen)))

        def moved() -> dict[str, Any]:
            return displaced_by_distance(space, unseen(), np.random.default_rng(self.seed))

        def written() -> dict[str, Any]:
            if checkpoint.index is None:
                raise ValueError(f"{self.name} has no index to measure distances on; learn it anew")
            return invariance(space, unseen(), np.stack(checkpoint.index["z"].to_numpy()).astype(np.float32), self.seed)

        def substitution() -> dict[str, Any]:
            made, arrays = self._candidates, self._arrays
            known = structures(arrays.of_part(TEST))
            relaxed_ = [crystal_of(*each) for each in self._relaxed_candidates(made).cells.sites()[made.n_known :]]
            return {"n_samples": len(relaxed_), "found": len(figures.found_among(known, relaxed_))}

        return {"displaced": moved, "invariance": written, "rediscovered_by_substitution": substitution}

    def samples(self, folder: Path) -> Cells:
        """Return the crystals that `describe` relaxes of what a run drew, for a machine with a GPU.

        What that machine writes has its place beside the run as `samples.safetensors`.
        """
        judged = JudgedCrystals.load(folder / imatgen.FILE)
        found = {name: figures.decoded(judged.found[name], self._layout()) for name in WAYS}
        return self._drawn(found)[0]

    def _figures(
        self, model: Any, arrays: PairArrays, read: Crystals, found: dict[str, list[Decoded]]
    ) -> tuple[dict[str, Any], NDArray[np.bool_]]:
        how = self.learner.images
        shares, back = figures.rebuilding(arrays, read, how)
        crystals = structures(arrays)
        parts = arrays.part.numpy()
        known = np.flatnonzero(parts == THREE_PARTS.index(TEST))
        training = [crystals[place] for place in np.flatnonzero(parts == THREE_PARTS.index(TRAIN))]
        formulas = self._formulas(arrays)
        candidates_ = self._candidates
        figures_ = {
            "headline": {
                "figure": "crystals rebuilt (edges 0.1 Å, angles 2 degrees, positions 0.2 Å)",
                "ours": f"{shares['all']['share']:.1%}",
                "paper": "91.8%",
            },
            "rebuilt": shares,
            "encoder_alone": figures.encoder_alone(model, arrays, how),
            "images_alone": figures.images_alone(arrays, self._layout(), how),
            "known_match": figures.matching(
                [crystals[i] for i in known], [found["known"][i] for i in known], N_WORKERS
            ),
            "labels": figures.labels(arrays, known_of(self.elements)),
            "classifier": figures.classifying(model, arrays, how, self.learner.stable_below),
            "rediscovery": figures.rediscovery(
                [crystals[i] for i in known], {name: found[name] for name in ("around", "learned_prior")}
            ),
            "generation": {
                name: figures.drawing(found[name], training, formulas, self.n_compared, N_WORKERS) for name in WAYS
            },
            "without_a_network": figures.without_a_network(arrays, candidates_.parents),
            "memory": figures.memory(self._layout()),
            "data": {
                "candidates": len(candidates_.structures) - candidates_.n_known,
                "known": candidates_.n_known,
                "parts": {name: int((parts == place).sum()) for place, name in enumerate(THREE_PARTS)},
                "others": len(self._arrays.of_part(OTHER)),
            },
        }
        return figures_, back

    def _after_relaxation(
        self, arrays: PairArrays, found: dict[str, list[Decoded]], path: Path
    ) -> dict[str, dict[str, Any]]:
        cells, rows = self._drawn(found)
        done = RelaxedCells.load(path) if path.exists() else None
        if len(cells) and (done is None or done.given != fingerprint(cells)):
            print(f"relaxing {len(cells):,} crystals that were drawn", file=sys.stderr)
            done = self._relaxed(cells)
        return figures.after_relaxation(done, rows, self._formulas(arrays))

    def _drawn(self, found: dict[str, list[Decoded]]) -> tuple[Cells, dict[str, list[int]]]:
        """Gather the first crystals of each way of drawing that decode, and say which are of which way."""
        sites: list[Any] = []
        rows: dict[str, list[int]] = {}
        for name in WAYS:
            there = [each.material for each in found[name] if each.material is not None][: self.n_relaxed]
            rows[name] = list(range(len(sites), len(sites) + len(there)))
            sites += [([s.specie.Z for s in each], each.lattice.matrix, each.frac_coords) for each in there]
        return Cells.of(sites), rows

    def _relaxed(self, cells: Cells) -> RelaxedCells:
        return relaxed(cells, *POTENTIALS, tensors.best_device(), 1e6, self.settings)

    def _formulas(self, arrays: PairArrays) -> set[str]:
        """Compositions of the known compounds: what is none of them is new."""
        known = data.load(PARENTS).table
        of_both = known["chemsys"].isin(["-".join(sorted(self.elements))])
        formulas = {each.composition.reduced_formula for each in structures(arrays.of_part(TEST))}
        return formulas | {data.structure(row).composition.reduced_formula for _, row in known[of_both].iterrows()}

    @cached_property
    def _candidates(self) -> Candidates:  # a minute or two of work
        return candidates(self.elements, self.limit, self.seed)

    def _layout(self) -> CellAndBasis:
        config, how = self.learner.config, self.learner.images
        return CellAndBasis(self.elements, config.grid, how.box, how.width, config.cell_width, how.max_sites)

    @cached_property
    def _arrays(self) -> PairArrays:
        """Read the arrays from the folder of caches, or make and relax the crystals and keep them there."""
        made = self._candidates
        given = fingerprint(made.cells)
        folder = cache()
        path = folder / f"{self.name}-{given[:12]}-{self.n_others}.safetensors"
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            relaxed_ = self._relaxed_candidates(made)
            arrays, left_out = arrays_of(made, relaxed_, self._layout(), self.n_others, self.seed)
            print(f"{len(arrays):,} crystals; left out: {dict(left_out)}", file=sys.stderr)
            arrays.save(path)
        return PairArrays.load(path)

    def _relaxed_candidates(self, made: Candidates) -> RelaxedCells:
        """Read what became of the candidates from the folder of caches, or relax them and keep them there."""
        kept = cache() / f"relaxed-{fingerprint(made.cells)[:12]}.safetensors"
        if not kept.exists():
            print(f"relaxing {len(made.structures):,} crystals", file=sys.stderr)
            self._relaxed(made.cells).save(kept)
        return RelaxedCells.load(kept)

    def _index(self, arrays: PairArrays, found: Sequence[Decoded], back: NDArray[np.bool_]) -> pd.DataFrame:
        """The known compounds and some of the others, with their points, maps and whether they come back."""
        parts = arrays.part.numpy()
        others = np.random.default_rng(self.seed).permutation(np.flatnonzero(parts != THREE_PARTS.index(TEST)))
        known = np.flatnonzero(parts == THREE_PARTS.index(TEST))
        chosen = np.sort(np.concatenate([known, others[: max(self.n_index - len(known), 0)]]))
        some = arrays.select(torch.from_numpy(chosen))
        crystals = structures(some)
        table = pd.DataFrame(
            {
                "id": some.ids,
                "formula": [each.composition.reduced_formula for each in crystals],
                "chemical_system": [each.composition.chemical_system for each in crystals],
                "origin": ["known" if part == THREE_PARTS.index(TEST) else "substituted" for part in parts[chosen]],
                "formation_energy_per_atom": some.formation_energy_per_atom.numpy(),
                "energy_above_hull": some.energy_above_hull.numpy(),
                "split": [THREE_PARTS[part] for part in parts[chosen]],
            }
        )
        z = np.stack([found[place].z for place in chosen.tolist()])
        return build_index(table, z, self.seed, 1 - back[chosen].astype(np.float32), NO_MATCH)
