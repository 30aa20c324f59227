"""What is measured of a point-cloud GAN: whole crystals at the right volume, their variety, those near the hull."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pymatgen.core import Structure
from torch import Tensor

from matgen_core.checks.physics.above_hull import HullOf
from matgen_core.checks.sets import novelty, uniqueness_and_novelty
from matgen_core.checks.sets.generation import same_structure
from matgen_core.checks.structures import STRICT_MIN_DISTANCE, closest_sites
from matgen_core.data.rows import structure
from matgen_core.latent.space import Decoded, LatentSpace
from matgen_core.networks.arrays.clouds import CloudArrays
from matgen_core.networks.learning.clouds.point_cloud_gan import volumes
from matgen_core.networks.models.parts.compositions import Compositions
from matgen_core.networks.potentials.remote import RelaxedCells
from matgen_core.recipes.point_cloud_gan.data import Counts, composition, formula, reduced
from matgen_core.representations import PointCloud

WITHIN = (0.2, 0.08)  # eV/atom above the hull: metastable as published, and nearer
LIKE = 2.0  # standard deviations of the training crystals, from whose mean a right volume is no farther
SAME_ENERGY = 0.003  # eV/atom; relaxed crystals that differ by more are different ones
PARTS = ("known", "new")  # of the compositions that are judged


@dataclass(frozen=True)
class Asked:
    """The compositions that samples were asked for.

    Attributes:
        compositions: Reduced, those of known compounds first.
        n_known: How many are known.
        n_each: Samples of each.
    """

    compositions: tuple[Counts, ...]
    n_known: int
    n_each: int

    @property
    def rows(self) -> list[Counts]:
        """What each sample was asked for."""
        return [counts for counts in self.compositions for _ in range(self.n_each)]

    @property
    def parts(self) -> dict[str, NDArray[np.bool_]]:
        """Which samples belong to "all", and to each of PARTS."""
        first = np.arange(len(self.compositions) * self.n_each) < self.n_known * self.n_each
        return {"all": np.ones_like(first), "known": first, "new": ~first}


@dataclass(frozen=True)
class Told:
    """What a model is told of compositions, before there is one: it asks for cells as the model will."""

    counts: Tensor
    shares: Tensor

    def learned_compositions(self) -> tuple[Tensor, Tensor]:
        """As a model of asked compositions has it."""
        return self.counts, self.shares


def cells_of(training: CloudArrays, asked: Asked, seed: int) -> NDArray[np.float32]:
    """Atoms of each element in the cell of each sample, the condition that it is decoded under, (n, n_elements)."""
    known = Compositions(len(training.counts.unique(dim=0)), len(training.elements))
    known.learn(training.counts, training.weight)
    space = LatentSpace(Told(known.counts, known.shares), PointCloud(training.elements, training.slots), "the model")
    wanted = [
        space.cells(composition(counts, training.elements), asked.n_each, seed + number)
        for number, counts in enumerate(asked.compositions)
    ]
    return np.concatenate(wanted)


@dataclass(frozen=True)
class Volumes:
    """Volume an atom of the training crystals in Å^3."""

    mean: float
    spread: float

    @classmethod
    def of(cls, training: CloudArrays) -> "Volumes":
        """Look at crystals."""
        found = volumes(training).numpy()
        return cls(float(found.mean()), float(found.std()))


def looked_at(
    samples: Sequence[Decoded], rows: Sequence[Counts], elements: Sequence[str], real: Volumes
) -> pd.DataFrame:
    """Judge each sample by itself.

    Returns:
        A row a sample: `decoded`; `distance` (Å, of the nearest images) and `volume` (Å^3 an atom), NaN where there is
        no crystal; and whether it is `whole`, has a right `fits` volume, `obeys` what was asked, and all three.
    """
    found = []
    for sample, counts in zip(samples, rows, strict=True):
        crystal: Structure | None = sample.material
        row = {"decoded": crystal is not None, "distance": np.nan, "volume": np.nan, "obeys": False}
        if crystal is not None:
            amounts = crystal.composition.get_el_amt_dict()
            row |= {
                "distance": closest_sites(crystal).distance,
                "volume": crystal.volume / len(crystal),
                "obeys": reduced(tuple(round(amounts.get(symbol, 0)) for symbol in elements)) == counts,
            }
        found.append(row)
    table = pd.DataFrame(found)
    table["whole"] = table["distance"] >= STRICT_MIN_DISTANCE
    table["fits"] = (table["volume"] - real.mean).abs() <= LIKE * real.spread
    return table.assign(good=table["whole"] & table["fits"] & table["obeys"])


@dataclass(frozen=True, eq=False)
class Reference:
    """What does not count as new.

    Attributes:
        training: The training crystals.
        published: Known compounds of the elements.
    """

    training: Sequence[Structure]
    published: Sequence[Structure]


def variety(samples: Sequence[Decoded], table: pd.DataFrame, reference: Reference, n_workers: int) -> dict[str, Any]:
    """Say which share of samples is unique among them, and new to the training and to published compounds.

    Args:
        samples: Some of all.
        table: What `looked_at` says of these.
        reference: What is known.
        n_workers: Processes that match.
    """
    kinds = uniqueness_and_novelty(samples, reference.training, n_workers)
    unpublished = novelty(samples, reference.published)
    good = table["good"].to_numpy()
    of_all = {
        "unique": kinds["unique"].to_numpy(),
        "new_to_training": kinds["novel"].to_numpy(),
        "new_to_published": unpublished,
        "good_unique_new": good & kinds["unique"].to_numpy() & kinds["novel"].to_numpy() & unpublished,
    }
    return {"n": len(samples)} | {name: float(marks.mean()) for name, marks in of_all.items()}


def shares(table: pd.DataFrame, asked: Asked) -> dict[str, Any]:
    """Shares of all samples, failures included, of all compositions and of the known and the new ones."""
    figures: dict[str, Any] = {}
    for name, rows in asked.parts.items():
        part = table[rows]
        columns = [column for column in part if part[column].dtype == bool]
        figures[name] = {"n": len(part)} | {column: float(part[column].mean()) for column in columns}
        figures[name] |= {
            "volume_mean": float(part["volume"].mean()),
            "volume_spread": float(part["volume"].std()),
            "distance_median": float(part["distance"].median()),
        }
    return figures


def problems(samples: Sequence[Decoded]) -> dict[str, int]:
    """Count the reasons why samples are no crystals."""
    reasons = Counter(_reason(each.problem) for each in samples if each.problem)
    return dict(reasons.most_common())


def distances(done: RelaxedCells, places: Sequence[int | None]) -> tuple[list[Structure | None], NDArray[np.float64]]:
    """Return what samples relaxed into, and how far that lies above the hull in eV/atom; NaN where it was not relaxed.

    Args:
        done: All that was relaxed.
        places: Of each sample its place there, or None.
    """
    hull, sites = HullOf.installed(), done.cells.sites()
    crystals: list[Structure | None] = []
    found: list[float] = []
    for place in places:
        energy = float("nan") if place is None else float(done.second_energy[place])
        if place is None or not np.isfinite(energy):
            crystals.append(None)
            found.append(np.nan)
            continue
        numbers, cell, frac_coords = sites[place]
        crystal = structure({"numbers": numbers, "lattice": cell, "frac_coords": frac_coords})
        crystals.append(crystal)
        found.append(hull.of(crystal, done.potentials[1], energy, "")[1])
    return crystals, np.array(found)


def near_hull(
    crystals: Sequence[Structure | None],
    above: NDArray[np.float64],
    asked: Asked,
    chosen: NDArray[np.int64],
    elements: Sequence[str],
    reference: Reference,
    least_known: Mapping[Counts, float],
) -> dict[str, Any]:
    """Count relaxed samples near the hull: all of them, different ones, and those that are no published compound.

    Args:
        crystals: What became of the samples that were chosen.
        above: Their distances from the hull in eV/atom.
        asked: What all samples were asked for.
        chosen: Rows of those that were relaxed, of all samples.
        elements: Symbols.
        reference: What is known.
        least_known: Distance from the hull of the lowest known compound of a composition.
    """
    widest = max(WITHIN)
    near = np.flatnonzero(above <= widest)  # the others need not be told apart
    some = [crystals[i] for i in near.tolist()]
    first, new = first_of_each(some, above[near]), novelty(some, reference.published)
    figures: dict[str, Any] = {}
    for name, rows in asked.parts.items():
        here = rows[chosen]
        part: dict[str, Any] = {"n": int(here.sum()), "relaxed": int(np.isfinite(above[here]).sum())}
        part["median"] = float(np.nanmedian(above[here])) if np.isfinite(above[here]).any() else float("nan")
        for limit in WITHIN:
            among = (above[near] <= limit) & here[near]
            part[f"within_{round(1000 * limit)}"] = {
                "samples": int((above[here] <= limit).sum()),
                "share": float((above[here] <= limit).mean()) if here.any() else float("nan"),
                "different": int((among & first).sum()),
                "different_and_new": int((among & first & new).sum()),
            }
        figures[name] = part
    by_composition = {}
    of_row = [asked.rows[i] for i in chosen]
    for counts in asked.compositions:
        found = np.array([x for x, row in zip(above, of_row, strict=True) if row == counts])
        finite = found[np.isfinite(found)]
        by_composition[formula(counts, elements)] = {
            "n": len(found),
            "least": float(finite.min()) if len(finite) else float("nan"),
            "least_known": least_known.get(counts, float("nan")),
            **{f"within_{round(1000 * limit)}": int((finite <= limit).sum()) for limit in WITHIN},
        }
    return figures | {"by_composition": by_composition}


def first_of_each(crystals: Sequence[Structure | None], above: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Mark the relaxed crystals that are none of those that lie lower, by the matcher and by their energies, (n,).

    Args:
        crystals: Relaxed.
        above: Their distances from the hull in eV/atom.
    """
    kept: dict[str, list[int]] = {}
    marks = np.zeros(len(crystals), bool)
    for row in np.argsort(above, kind="stable").tolist():
        crystal = crystals[row]
        if crystal is None:
            continue
        others = kept.setdefault(crystal.composition.reduced_formula, [])
        like = [crystals[other] for other in others if above[row] - above[other] <= SAME_ENERGY]
        if not any(other is not None and same_structure(crystal, other) for other in like):
            others.append(row)
            marks[row] = True
    return marks


def memory(n_rows: int) -> dict[str, Any]:
    """Bytes of a crystal as a point cloud, and as the published images of iMatGen for as many elements.

    Images: a cell of 32^3 and a basis of 64^3 voxels an element, as published for two elements.
    """
    cloud, images = 4 * 3 * n_rows, 4 * (32**3 + 2 * 64**3)
    return {"cloud": cloud, "images": images, "times": images / cloud}


def _reason(problem: str) -> str:
    """A reason without the numbers of the case."""
    return " ".join(word for word in problem.split() if not any(letter.isdigit() for letter in word))
