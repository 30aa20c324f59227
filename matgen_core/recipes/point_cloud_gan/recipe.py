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
from matgen_core.networks.learning import LEARNERS, runs
from matgen_core.networks.learning.clouds import samples
from matgen_core.networks.learning.clouds.samples import CloudSamples
from matgen_core.networks.learning.runs import last_losses
from matgen_core.networks.models import MODELS
from matgen_core.networks.models.parts import rounding
from matgen_core.networks.models.parts.rounding import Precision
from matgen_core.networks.potentials import RelaxSettings
from matgen_core.networks.potentials.remote import NOT_REACHED, RelaxedCells, fingerprint, relaxed
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
from matgen_core.representations import DecodeError, PointCloud

PUBLISHED = "mp_structures"
# In the folder of a run: what a machine with a GPU sent back of samples, and of baselines.
RELAXED, RELAXED_BESIDE = "relaxed.safetensors", "relaxed_beside.safetensors"
POTENTIALS = ("7net-0", "7net-l3i5")  # relaxes, and is asked of what comes out
PAPERS_RULE = Rule((2, None, -2), 2, 4)
N_WORKERS = 2
_NO_POINT = np.zeros(0, np.float32)
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
        n_relaxed: How many of all samples, drawn at random, are relaxed; 0 for all.
        n_told_apart: Samples of each composition among which it is looked for equal ones, and for known ones.
        n_judged_of_baselines: Crystals of each composition and baseline.
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
    n_told_apart: int = 3
    n_judged_of_baselines: int = 60
    n_baseline: int = 6
    n_bank: int = 400
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
        """Write the crystals that fit the slots, in reduced cells, and what is asked for when they are learned."""
        self._arrays().save(path)

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
        drawn, crystals = self._drawn(space, folder)
        found = self._of_samples(space, self._decoded(space, drawn)) | {
            "after_relaxation": self._after_relaxation(drawn, crystals, folder),
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
        return without_nan(self._of_samples(space, self._decoded(space, self._drawn(space)[0])) | kept) | measured(
            self.apart(checkpoint)
        )

    def apart(self, checkpoint: Checkpoint) -> Mapping[str, Callable[[], Any]]:
        """What needs no network: the baselines."""

        def without_a_network() -> dict[str, Any]:
            some = self._few(self.n_judged_of_baselines)
            asked = replace(self._asked(), n_each=min(self.n_judged_of_baselines, self.n_each))
            real, every = Volumes.of(self._training()), self._cells()
            cells = [every[row] for row in some.tolist()]
            found = {}
            for name, way in Baselines(self._training(), self.anion).ways.items():
                made = way(cells, self.seed)
                table = figures.looked_at(made, asked.rows, self.elements, real)
                found[name] = figures.shares(table, asked)
                if name == WAYS[0]:
                    few = np.arange(len(made)).reshape(-1, asked.n_each)[:, : self.n_told_apart].ravel()
                    found[name]["variety"] = figures.variety(
                        [made[row] for row in few.tolist()], table.iloc[few], self._reference(), N_WORKERS
                    )
            return found

        return {"without_a_network": without_a_network}

    def crystals(self, folder: Path) -> dict[str, Cells]:
        """Return what `describe` relaxes, for a machine with a GPU, by the name of the file for what it sends back."""
        crystals = self._drawn(self._space(folder), folder)[1]
        return {RELAXED: self._first(crystals), RELAXED_BESIDE: self._beside()[0]}

    def _space(self, folder: Path) -> LatentSpace:
        kind: Any = MODELS[self.model_name]
        model = runs.read_weights(kind(kind.Config(**runs.read_config(folder))), folder)
        rounding.round_weights(model, self.precision)  # every figure is of what is stored
        return LatentSpace(model, PointCloud(self.elements, self.slots), self.name)

    def _of_samples(self, space: LatentSpace, made: Sequence[Decoded]) -> dict[str, Any]:
        asked, training = self._asked(), self._training()
        real, reference = Volumes.of(training), self._reference()
        table = figures.looked_at(made, asked.rows, self.elements, real)
        some = self._few(self.n_told_apart)
        of_real = figures.looked_at(
            [Decoded(_NO_POINT, material=each) for each in structures(training)],
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
            "variety": figures.variety([made[row] for row in some.tolist()], table.iloc[some], reference, N_WORKERS),
            "problems": figures.problems(made),
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

    def _after_relaxation(self, drawn: CloudSamples, crystals: Cells, folder: Path) -> dict[str, Any]:
        asked, reference, elements = self._asked(), self._reference(), self.elements
        done = self._relaxed(self._first(crystals), folder / RELAXED)
        reached = np.flatnonzero((done.outcome != NOT_REACHED).numpy())
        rows = drawn.relaxed.numpy()[reached]
        # What is no crystal has no place among those to relax, and counts as far; so does an equal share of them here.
        lost = np.setdiff1d(np.arange(len(drawn.points)), drawn.relaxed.numpy())
        lost = lost[: round(len(lost) * len(rows) / max(len(drawn.relaxed), 1))]
        structures_, above = figures.distances(done, [*reached.tolist(), *[None] * len(lost)])
        chosen = np.concatenate([rows, lost])
        sizes = done.cells.counts[torch.from_numpy(reached)]
        found: dict[str, Any] = {
            "potentials": list(done.potentials),
            "max_force": done.max_force,
            "not_reached": len(done.cells) - len(reached),
            "sites": [int(sizes.min()), int(sizes.max())] if len(sizes) else [],
        }
        found["samples"] = figures.near_hull(
            structures_, above, asked, chosen, elements, reference, self._least_known()
        )
        cells, of_way = self._beside()
        done = self._relaxed(cells, folder / RELAXED_BESIDE)
        for name, places in of_way.items():
            structures_, above = figures.distances(done, places)
            few = self._few(self.n_baseline)
            found[name] = figures.near_hull(structures_, above, asked, few, elements, reference, self._least_known())
        return found

    def _relaxed(self, cells: Cells, path: Path) -> RelaxedCells:
        """What another machine sent back of these crystals, or what becomes of them here."""
        done = RelaxedCells.load(path) if path.exists() else None
        if done is None or done.given != fingerprint(cells):
            print(f"relaxing {len(cells):,} crystals", file=sys.stderr)
            done = relaxed(cells, *POTENTIALS, tensors.best_device(), 1e6, self.settings)
            done.save(path)
        return done

    def _first(self, crystals: Cells) -> Cells:
        return crystals.select(range(min(self.n_relaxed or len(crystals), len(crystals))))

    def _beside(self) -> tuple[Cells, dict[str, list[int | None]]]:
        """Crystals of the baselines to relax, and of each the place among them, or None where there is no crystal."""
        ways, wanted = Baselines(self._training(), self.anion).ways, self._cells()
        sites: list[Any] = []
        places: dict[str, list[int | None]] = {}
        for name in WAYS:
            made = ways[name](wanted, self.seed)
            places[name] = []
            for row in self._few(self.n_baseline).tolist():
                crystal = made[row].material
                places[name].append(None if crystal is None else len(sites))
                if crystal is not None:
                    numbers = [site.specie.Z for site in crystal]
                    sites.append((numbers, crystal.lattice.matrix, crystal.frac_coords))
        return Cells.of(sites), places

    def _few(self, n: int) -> NDArray[np.int64]:
        """Rows of the first samples of each composition that is judged."""
        every = np.arange(len(self._asked().rows)).reshape(-1, self.n_each)
        return every[:, :n].ravel()

    def _drawn(self, space: LatentSpace, folder: Path | None = None) -> tuple[CloudSamples, Cells]:
        """What a run drew where it learned, or the same drawn here."""
        # A run stores its weights in float16; weights that are rounded further draw others.
        if folder and self.precision == "float16" and (folder / samples.FILE).exists():
            return CloudSamples.load(folder / samples.FILE), tensors.load(Cells, folder / samples.CRYSTALS)
        return samples.draw(space.model, self._arrays(), self.seed)

    def _decoded(self, space: LatentSpace, drawn: CloudSamples) -> list[Decoded]:
        found = []
        for array in drawn.points.numpy():
            try:
                found.append(Decoded(_NO_POINT, material=space.representation.decode(array)))
            except DecodeError as error:
                found.append(Decoded(_NO_POINT, problem=str(error)))
        return found

    def _cells(self) -> list[Counts]:
        return [tuple(row) for row in self._arrays().asked.tolist()]

    def _index(self, space: LatentSpace) -> pd.DataFrame:
        """A bank of samples beside the training crystals, where the critic sees them."""
        bank = space.decode(space.sample(self.n_bank, self.seed))
        arrays = self._learned().arrays
        some = np.sort(np.random.default_rng(self.seed).permutation(len(arrays))[: self.n_bank])
        arrays = arrays.select(torch.from_numpy(some))
        known = structures(arrays)
        layout = space.representation
        shown = [each.material for each in bank]
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

    def _least_known(self) -> dict[Counts, float]:
        """Of each composition the distance from the hull of the lowest known compound, in eV/atom."""
        table = self._published()
        found: dict[Counts, float] = {}
        for counts, above in zip(self._published_counts(), table.get("energy_above_hull", ()), strict=False):
            found[counts] = min(float(above), found.get(counts, np.inf))
        return found

    def _arrays(self) -> CloudArrays:
        arrays = self._learned().arrays
        asked = figures.cells_of(arrays.of_part(TRAIN), self._asked(), self.seed)
        return replace(arrays, asked=torch.from_numpy(asked).long())

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
