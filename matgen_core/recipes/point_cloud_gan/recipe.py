"""The point-cloud GANs on the crystals of a few elements: ours, and the published one."""

import re
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from pymatgen.core import Element

from matgen_core import data
from matgen_core.checkpoint import Checkpoint
from matgen_core.latent.building import build_index
from matgen_core.latent.index import GENERATED, SEED_ROW
from matgen_core.latent.projection import map_grades
from matgen_core.latent.space import Decoded, LatentSpace
from matgen_core.materials.levels import CRYSTAL
from matgen_core.networks.arrays import tensors
from matgen_core.networks.arrays.cells import Cells
from matgen_core.networks.arrays.clouds import CloudArrays
from matgen_core.networks.arrays.splits import THREE_PARTS, TRAIN, VAL
from matgen_core.networks.learning import LEARNERS, rounding, runs
from matgen_core.networks.learning.rounding import Precision
from matgen_core.networks.learning.runs import last_losses
from matgen_core.networks.models import MODELS
from matgen_core.networks.potentials import RelaxSettings
from matgen_core.networks.potentials.remote import RelaxedCells, fingerprint, relaxed
from matgen_core.recipes.point_cloud_gan import figures
from matgen_core.recipes.point_cloud_gan.baselines import Baselines
from matgen_core.recipes.point_cloud_gan.data import (
    Counts,
    Learned,
    Rule,
    formula,
    judged,
    learned,
    reduced,
    structures,
)
from matgen_core.recipes.point_cloud_gan.figures import Asked, Reference, Volumes
from matgen_core.recipes.shared.card import with_card
from matgen_core.recipes.shared.runs import measured, provenance, without_nan
from matgen_core.representations import PointCloud

PUBLISHED = "mp_structures"
SAMPLES = "relaxed.safetensors"  # in the folder of a run: what a machine with a GPU sent back
POTENTIALS = ("7net-0", "7net-l3i5")  # relaxes, and is asked of what comes out
PAPERS_RULE = Rule((2, None, -2), 2, 4)
N_WORKERS = 2
_USUAL = 11  # compositions that are judged where no rule says which
WAYS = ("templates", "random")  # without a network, of which a few are relaxed, too


@dataclass(frozen=True)
class PointCloudGANRecipe:
    """Settings of a checkpoint.

    Attributes:
        name: Of the checkpoint.
        title: What it is.
        elements, slots: Elements, and the most atoms of each in a cell.
        dataset: Name of the data that it learns from.
        anion: Place of the element whose sites stay where a baseline deals out the others.
        rule: Which compositions are possible; None judges those that it has learned.
        learner: Its settings.
        model_name: Of the network.
        precision: Of the stored weights.
        n_watched: Reduced compositions that are held out for the choice of settings.
        n_each: Samples of each composition that is judged.
        n_relaxed: How many of these are relaxed, 0 for all.
        n_told_apart: Samples of each composition among which it is looked for equal ones.
        n_baseline: Crystals of each composition and baseline that are relaxed, too.
        n_bank: Samples on the map, and as many training crystals.
        settings: Of a relaxation.
        seed: Of everything.
    """

    name: str
    title: str = "Crystals of Mg, Mn and O of an asked composition"
    elements: tuple[str, ...] = ("Mg", "Mn", "O")
    slots: tuple[int, ...] = (8, 8, 12)
    dataset: str = "mgmno"
    anion: int = 2
    rule: Rule | None = PAPERS_RULE
    learner: Any = LEARNERS["point_cloud_gan_mgmno"]
    model_name: str = "point_cloud_gan"
    precision: Precision = "float16"
    n_watched: int = 8
    n_each: int = 300
    n_relaxed: int = 0
    n_told_apart: int = 40
    n_baseline: int = 20
    n_bank: int = 1000
    settings: RelaxSettings = field(default_factory=lambda: RelaxSettings(0.1, 120))
    seed: int = 0

    @classmethod
    def of_own(cls, elements: tuple[str, ...], slots: tuple[int, ...], path: Path) -> "PointCloudGANRecipe":
        """Return the recipe for crystals of one's own, which are installed under the name of its checkpoint.

        Args:
            elements: Symbols.
            slots: Most atoms of each in a cell.
            path: What `data.import_file` takes.

        Raises:
            ValueError: If elements and slots do not fit each other, or the file cannot be read.
        """
        PointCloud(elements, slots)
        stem = re.sub(r"[^a-z0-9]+", "_", path.stem.lower()).strip("_") or "own"
        name = f"point_cloud_gan_{''.join(elements).lower()}_{stem}"[:64]
        print(data.import_file(name, path, replace=True).summary(), file=sys.stderr)
        return cls(
            name,
            title=f"Crystals of {', '.join(elements)} of an asked composition",
            elements=elements,
            slots=slots,
            dataset=name,
            anion=int(np.argmax([Element(symbol).X for symbol in elements])),
            rule=None,
            learner=LEARNERS["point_cloud_gan_mgmno"],
            n_watched=0,
            n_each=20,
            n_relaxed=40,
            n_told_apart=10,
            n_baseline=2,
            n_bank=200,
        )

    def prepare(self, path: Path) -> None:
        """Write the crystals that fit the slots, in their reduced cells."""
        self._learned().arrays.save(path)

    def learn(self, arrays: Path, folder: Path, device: str, minutes: float | None = None) -> None:
        """Let generator and critic learn from each other."""
        runs.learn(self.name, replace(self.learner, seed=self.seed), arrays, folder, device, minutes)

    def describe(self, folder: Path) -> Checkpoint:
        """Make the checkpoint of what learning left in a folder.

        What was drawn is relaxed here, unless the folder holds what another machine made of `samples`.

        Raises:
            ValueError: If the folder holds no run of this recipe.
        """
        settings = runs.read_settings(folder, self.name)
        space = self._space(folder)
        index = self._index(space)
        samples = self._drawn(space)
        after = self._after_relaxation(space, samples, folder / SAMPLES)
        found = self._of_samples(space, samples) | {
            "after_relaxation": after,
            "bank": {"seed": self.seed, "n_samples": self.n_bank},
            "maps": map_grades(index),
            "training": last_losses(folder / "losses.jsonl"),
        }
        made = Checkpoint(
            name=self.name,
            model_name=self.model_name,
            model=space.model,
            representation=space.representation,
            metrics=without_nan(found),
            card="",
            provenance={
                "title": self.title,
                "system": "Kim 2020, crystal GAN",
                "level": CRYSTAL.key,
                **provenance(self.name, self.seed, data.load(self.dataset), run=settings),
            },
            index=index,
            precision=self.precision,
        )
        return with_card(replace(made, metrics=made.metrics | measured(self.apart(made))))

    def evaluate(self, checkpoint: Checkpoint) -> dict[str, Any]:
        """Judge the samples anew; what was relaxed, which takes a GPU, stays as the run left it."""
        space = LatentSpace.of(checkpoint)
        kept = {name: checkpoint.metrics[name] for name in ("bank", "maps", "training", "after_relaxation")}
        return without_nan(self._of_samples(space, self._drawn(space)) | kept) | measured(self.apart(checkpoint))

    def apart(self, checkpoint: Checkpoint) -> Mapping[str, Callable[[], Any]]:
        """What needs no network: the baselines."""

        def without_a_network() -> dict[str, Any]:
            asked, elements = self._asked(), self.elements
            real = Volumes.of(self._training())
            cells = self._cells(LatentSpace.of(checkpoint))
            found = {}
            for name, way in Baselines(self._training(), self.anion).ways.items():
                made = way(cells, self.seed)
                table = figures.looked_at(made, asked.rows, elements, real)
                found[name] = figures.shares(table, asked)
                if name == WAYS[0]:
                    some = self._few(self.n_told_apart)
                    few = [made[row] for row in some.tolist()]
                    found[name]["variety"] = figures.variety(few, table.iloc[some], self._reference(), N_WORKERS)
            return found

        return {"without_a_network": without_a_network}

    def samples(self, folder: Path) -> Cells:
        """Return the crystals that `describe` relaxes, for a machine with a GPU.

        What that machine writes has its place in the folder of the run, as `relaxed.safetensors`.
        """
        space = self._space(folder)
        return self._to_relax(space, self._drawn(space))[0]

    def _space(self, folder: Path) -> LatentSpace:
        kind: Any = MODELS[self.model_name]
        model = runs.read_weights(kind(kind.Config(**runs.read_config(folder))), folder)
        rounding.round_weights(model, self.precision)  # every figure is of what is stored
        return LatentSpace(model, PointCloud(self.elements, self.slots), self.name)

    def _of_samples(self, space: LatentSpace, samples: Sequence[Decoded]) -> dict[str, Any]:
        asked, training = self._asked(), self._training()
        real, reference = Volumes.of(training), self._reference()
        table = figures.looked_at(samples, asked.rows, self.elements, real)
        some = self._few(self.n_told_apart)
        of_real = figures.looked_at(
            [Decoded(np.zeros(0, np.float32), material=each) for each in structures(training)],
            [reduced(tuple(row)) for row in training.counts.tolist()],
            self.elements,
            real,
        )
        learned_ = self._learned()
        parts = learned_.arrays.part.numpy()
        told = figures.shares(table, asked)
        return {
            "headline": {
                "figure": "samples with every distance 1 Å or more, the right volume and the composition asked for",
                "ours": f"{told['all']['good']:.1%}",
                "paper": "not given",
            },
            "samples": told,
            "variety": figures.variety([samples[row] for row in some.tolist()], table.iloc[some], reference, N_WORKERS),
            "problems": figures.problems(samples),
            "training_crystals": {
                "n": len(of_real),
                "whole": float(of_real["whole"].mean()),
                "good": float(of_real["good"].mean()),
                "volume_mean": real.mean,
                "volume_spread": real.spread,
                "distance_median": float(of_real["distance"].median()),
            },
            "asked": {
                "known": [formula(each, self.elements) for each in asked.compositions[: asked.n_known]],
                "new": [formula(each, self.elements) for each in asked.compositions[asked.n_known :]],
                "by_rule": self.rule is not None,
                "n_each": asked.n_each,
                "learned": self._n_learned(asked),
            },
            "data": {
                "parts": {name: int((parts == place).sum()) for place, name in enumerate(THREE_PARTS)},
                "compositions": len({reduced(tuple(row)) for row in training.counts.tolist()}),
                "cells": len(training.counts.unique(dim=0)),
                "watched": sorted(
                    {formula(reduced(tuple(row)), self.elements) for row in self._part(VAL).counts.tolist()}
                ),
                "left_out": dict(learned_.left_out),
            },
            "memory": figures.memory(space.representation.shape[0]),
        }

    def _n_learned(self, asked: Asked) -> int:
        """How many of the new compositions are those of training crystals."""
        there = {reduced(tuple(row)) for row in self._training().counts.tolist()}
        return sum(each in there for each in asked.compositions[asked.n_known :])

    def _after_relaxation(self, space: LatentSpace, samples: Sequence[Decoded], path: Path) -> dict[str, Any]:
        cells, rows = self._to_relax(space, samples)
        done = RelaxedCells.load(path) if path.exists() else None
        if done is None or done.given != fingerprint(cells):
            print(f"relaxing {len(cells):,} crystals that were drawn", file=sys.stderr)
            done = relaxed(cells, *POTENTIALS, tensors.best_device(), 1e6, self.settings)
        asked, reference = self._asked(), self._reference()
        found: dict[str, Any] = {"potentials": list(done.potentials), "max_force": done.max_force}
        for name, (chosen, places) in rows.items():
            crystals, above = figures.distances(done, places)
            found[name] = figures.near_hull(crystals, above, asked, chosen, self.elements, reference)
        return found

    def _to_relax(
        self, space: LatentSpace, samples: Sequence[Decoded]
    ) -> tuple[Cells, dict[str, tuple[NDArray[np.int64], list[int | None]]]]:
        """Gather what is relaxed of samples and baselines: which rows of all, and the place of each crystal or None."""
        counts = self._cells(space)
        rng = np.random.default_rng(self.seed)
        every, few = np.arange(len(samples)), self._few(self.n_baseline)
        chosen = np.sort(rng.permutation(every)[: self.n_relaxed]) if self.n_relaxed else every
        ways = Baselines(self._training(), self.anion).ways
        sets = {"samples": (chosen, samples)} | {name: (few, ways[name](counts, self.seed)) for name in WAYS}
        sites: list[Any] = []
        rows: dict[str, tuple[NDArray[np.int64], list[int | None]]] = {}
        for name, (some, found) in sets.items():
            places: list[int | None] = []
            for row in some.tolist():
                crystal = found[row].material
                places.append(None if crystal is None else len(sites))
                if crystal is not None:
                    numbers = [site.specie.Z for site in crystal]
                    sites.append((numbers, crystal.lattice.matrix, crystal.frac_coords))
            rows[name] = (some, places)
        return Cells.of(sites), rows

    def _few(self, n: int) -> NDArray[np.int64]:
        """Rows of the first samples of each composition that is judged."""
        every = np.arange(len(self._asked().rows)).reshape(-1, self.n_each)
        return every[:, :n].ravel()

    def _drawn(self, space: LatentSpace) -> list[Decoded]:
        return figures.drawn(space, self._asked(), self.seed)

    def _cells(self, space: LatentSpace) -> list[Counts]:
        return [tuple(map(int, row)) for row in figures.cells_of(space, self._asked(), self.seed)]

    def _index(self, space: LatentSpace) -> pd.DataFrame:
        """A bank of samples beside the training crystals, where the critic sees them."""
        samples = space.decode(space.sample(self.n_bank, self.seed))
        arrays = self._learned().arrays
        some = np.sort(np.random.default_rng(self.seed).permutation(len(arrays))[: self.n_bank])
        arrays = arrays.select(torch.from_numpy(some))
        known = structures(arrays)
        layout = space.representation
        shown = [each.material for each in samples]
        there = [row for row, each in enumerate(shown) if each is not None]
        crystals = [*(shown[row] for row in there), *known]
        encoded = torch.from_numpy(np.stack([layout.encode(each) for each in crystals]))
        with torch.inference_mode():
            features = np.concatenate([space.model.features(part).numpy() for part in encoded.split(16)])
        table = pd.DataFrame(
            {
                "id": [*(f"generated-{row}" for row in there), *arrays.ids],
                "formula": [each.composition.reduced_formula for each in crystals],
                "chemical_system": [each.composition.chemical_system for each in crystals],
                "split": [GENERATED] * len(there) + [THREE_PARTS[part] for part in arrays.part.tolist()],
                "volume_per_atom": np.array([each.volume / len(each) for each in crystals], np.float32),
                SEED_ROW: [*there, *([-1] * len(known))],
            }
        )
        return build_index(table, features, self.seed)

    def _asked(self) -> Asked:
        known, new = self._judged()
        return Asked((*known, *new), len(known), self.n_each)

    def _judged(self) -> tuple[list[Counts], list[Counts]]:
        if self.rule is not None:
            return judged(self.slots, self.rule, self._published_counts())
        # Without a rule: what is learned most, and none that is new.
        layout = PointCloud(self.elements, self.slots)
        fitting = learned(data.load(self.dataset).table, layout, (), 0, self.seed).arrays
        usual = Counter(reduced(tuple(row)) for row in fitting.counts.tolist())
        return [counts for counts, _ in usual.most_common(_USUAL)], []

    def _published(self) -> pd.DataFrame:
        """Known compounds of the elements; none where they are not installed and no rule asks for them."""
        if self.rule is None and not data.path_of(PUBLISHED).is_file():
            return pd.DataFrame({"numbers": []})
        table = data.load(PUBLISHED).table
        wanted = {Element(symbol).Z for symbol in self.elements}
        return table[[set(map(int, numbers)) == wanted for numbers in table["numbers"]]]

    def _published_counts(self) -> list[Counts]:
        return [reduced(_counts(numbers, self.elements)) for numbers in self._published()["numbers"]]

    def _reference(self) -> Reference:
        published = [data.structure(row) for row in self._published().to_dict("records")]
        return Reference(structures(self._training()), published)

    def _learned(self) -> Learned:
        layout = PointCloud(self.elements, self.slots)
        known, new = self._judged()
        found = data.load(self.dataset)
        return _learned_of(self.dataset, found.sha256, layout, (*known, *new), self.n_watched, self.seed)

    def _training(self) -> CloudArrays:
        return self._part(TRAIN)

    def _part(self, part: str) -> CloudArrays:
        return self._learned().arrays.of_part(part)


def _counts(numbers: Sequence[int], elements: Sequence[str]) -> Counts:
    return tuple(int(np.sum(np.asarray(numbers) == Element(symbol).Z)) for symbol in elements)


@lru_cache(maxsize=2)
def _learned_of(
    dataset: str, sha256: str, layout: PointCloud, kept: tuple[Counts, ...], n_watched: int, seed: int
) -> Learned:
    """The same crystals are put into reduced cells once, however often they are asked for."""
    return learned(data.load(dataset).table, layout, kept, n_watched, seed)
