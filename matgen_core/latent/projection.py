"""Flatten a latent space to two axes and grade what the flattening keeps.

The recipes call this once and store the result: a first UMAP fit compiles for 10 to 30 s in every process.
Grades: faithfulness and stability for every point; for a whole map trustworthiness (what lies near on the map is
near in truth) and continuity (what is near in truth lies near on the map).

Reference: Venna and Kaski, Neural Networks 19, 889 (2006), doi:10.1016/j.neunet.2006.05.014
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from matgen_core.jobs.compiled import find_place
from matgen_core.latent.map import N_NEIGHBORS
from matgen_core.latent.space import Z

METHODS = ("umap", "tsne", "pca")
METRICS = ("euclidean", "cosine", "manhattan")
N_SEEDS = 3  # further seeds that the stability of a map is measured with
_ROWS = 1_000  # distances of so many points to all others stand in memory at once
MOST_GRADED = 5_000  # points of a whole-map grade: it compares every pair

Positions = NDArray[np.float32]  # (n_points, 2)
Progress = Callable[[str, float | None], None]  # stage, and the share of it that is done, None if that is not known


@dataclass(frozen=True)
class ProjectionSettings:
    """How to project; each method reads its own settings and leaves the others alone."""

    method: str = "umap"
    seed: int = 0
    n_neighbors: int = N_NEIGHBORS  # UMAP: size of the neighborhood that it keeps
    min_dist: float = 0.1  # UMAP: how tightly points may be packed, from 0 to 0.99
    metric: str = "euclidean"  # UMAP and t-SNE
    perplexity: float = 2.0 * N_NEIGHBORS  # t-SNE: about how many neighbors count

    def check(self, n_points: int) -> None:
        """Refuse settings that cannot make a map of so many points.

        Raises:
            ValueError: If a setting is out of its range or there are too few points.
        """
        reach = {"umap": float(self.n_neighbors), "tsne": self.perplexity, "pca": float(N_NEIGHBORS)}
        if self.method not in reach:
            raise ValueError(f"{self.method!r} is no projection; known: {', '.join(METHODS)}")
        if self.metric not in METRICS:
            raise ValueError(f"{self.metric!r} is no metric; known: {', '.join(METRICS)}")
        if self.n_neighbors < 2 or not 0 <= self.min_dist < 1 or not 2 <= self.perplexity:
            raise ValueError(
                f"n_neighbors {self.n_neighbors}, min_dist {self.min_dist:g}, perplexity {self.perplexity:g}: expected"
                " at least 2, from 0 to below 1, at least 2"
            )
        needed = 3 * max(N_NEIGHBORS, int(reach[self.method]))
        if self.method == "tsne":
            needed = max(3 * N_NEIGHBORS, int(1.5 * self.perplexity))
        if n_points <= needed:
            raise ValueError(f"{n_points} points; a map needs more than {needed}, or smaller neighborhoods")


@dataclass(frozen=True, eq=False)
class Projected:
    """A map and its grades."""

    settings: ProjectionSettings
    positions: Positions
    faithfulness: NDArray[np.float32]  # (n_points,)
    trustworthiness: float
    continuity: float


@dataclass(frozen=True, eq=False)
class SubsetMap:
    """A map that some materials shaped, with all others placed on it by their true neighbors among those."""

    made: Projected
    member: NDArray[np.bool_]  # (n_points,), who shaped it
    positions: Positions  # of all
    faithfulness: NDArray[np.float32]  # (n_points,), among the members; NaN for the others


def project(z: Z, settings: ProjectionSettings, progress: Progress | None = None) -> Positions:
    """Project latent points to the plane.

    Args:
        z: Latent points, (n_points, latent_dim).
        settings: The same settings give the same map on the same machine.
        progress: Told what is being done; UMAP alone knows how much of it is done.

    Raises:
        ValueError: If the settings cannot make a map of these points.
    """
    settings.check(len(z))
    if progress:
        progress(f"{settings.method}: fitting {len(z):,} points", None)
    if settings.method == "pca":
        from sklearn.decomposition import PCA

        return PCA(2, random_state=settings.seed).fit_transform(z).astype(np.float32)
    if settings.method == "tsne":
        from sklearn.manifold import TSNE

        tsne = TSNE(perplexity=settings.perplexity, metric=settings.metric, init="pca", random_state=settings.seed)
        return tsne.fit_transform(z).astype(np.float32)
    find_place()
    import umap

    shown: dict[str, Any] = {}
    if progress:
        shown = {"file": _Shares(progress), "disable": False, "bar_format": "{n}/{total}", "mininterval": 0.2}
    reducer = umap.UMAP(
        n_neighbors=settings.n_neighbors,
        min_dist=settings.min_dist,
        metric=settings.metric,
        random_state=settings.seed,
        n_jobs=1,  # what a seed comes to in any case; said here, UMAP does not warn of it
        tqdm_kwds=shown,
    )
    return np.asarray(reducer.fit_transform(z), np.float32)


class _Shares:
    """The file that UMAP's progress bar writes to."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def write(self, text: str) -> None:
        if found := re.search(r"(\d+)/(\d+)", text):
            self._progress("umap: laying out", int(found[1]) / int(found[2]))

    def flush(self) -> None:
        """Nothing is kept back."""


def projected(z: Z, settings: ProjectionSettings, progress: Progress | None = None) -> Projected:
    """Project latent points to the plane and grade the map.

    Raises:
        ValueError: If the settings cannot make a map of these points.
    """
    positions = project(z, settings, progress)
    if progress:
        progress("grading the map", None)
    return Projected(settings, positions, faithfulness(z, positions), *whole_map(z, positions))


def faithfulness(z: Z, positions: Positions, k: int = N_NEIGHBORS) -> NDArray[np.float32]:
    """Share of each point's k true neighbors that are among its k neighbors on the map, (n_points,)."""
    return _shared(nearest(z, k), nearest(positions, k))


def stability(
    z: Z, positions: Positions, settings: ProjectionSettings, n_seeds: int = N_SEEDS, k: int = N_NEIGHBORS
) -> NDArray[np.float32]:
    """Share of each point's k neighbors on the map that it keeps when the map is made with other seeds.

    Args:
        z: Latent points, (n_points, latent_dim).
        positions: The map that is graded.
        settings: How it was made; the seeds after its own are taken.
        n_seeds: How many others; the share is the mean over them.
        k: Size of the neighborhood.

    Returns:
        (n_points,), from 0 to 1; 1 where no chance has a part in it.
    """
    shown = nearest(positions, k)
    others = (project(z, replace(settings, seed=settings.seed + i)) for i in range(1, n_seeds + 1))
    return np.mean([_shared(shown, nearest(other, k)) for other in others], axis=0).astype(np.float32)


def whole_map(z: Z, positions: Positions, k: int = N_NEIGHBORS) -> tuple[float, float]:
    """Return trustworthiness and continuity of a map, each from 0 to 1.

    A map of more than `MOST_GRADED` points is graded on a sample of so many, the same at each call.
    """
    from sklearn.manifold import trustworthiness

    if len(z) > MOST_GRADED:
        rows = np.random.default_rng(0).permutation(len(z))[:MOST_GRADED]
        z, positions = z[rows], positions[rows]
    return (
        float(trustworthiness(z, positions, n_neighbors=k)),
        float(trustworthiness(positions, z, n_neighbors=k)),  # the same with the roles swapped
    )


def projections(z: Z, seed: int, methods: tuple[str, ...] = METHODS, n_seeds: int = N_SEEDS) -> pd.DataFrame:
    """Project by several methods and grade each point.

    Returns:
        For each method columns `<method>_x`, `<method>_y`, `<method>_faithfulness` and `<method>_stability`.
    """
    columns = {}
    for method in methods:
        positions = project(z, ProjectionSettings(method, seed))
        columns[f"{method}_x"], columns[f"{method}_y"] = positions.T
    return regrade(pd.DataFrame(columns), z, seed, n_seeds)


def regrade(index: pd.DataFrame, z: Z, seed: int, n_seeds: int = N_SEEDS) -> pd.DataFrame:
    """Grade the points of the maps that an index holds; the maps themselves stay as they are.

    Args:
        index: With `<method>_x` and `<method>_y`, made by `projections` with this seed.
        z: Latent points, (n_points, latent_dim).
        seed: Of the maps.
        n_seeds: Further seeds that stability is measured with.

    Returns:
        The index with `<method>_faithfulness` and `<method>_stability` after the places, new or replaced.
    """
    graded = index.copy()
    for method in (name.removesuffix("_x") for name in index.columns if name.endswith("_x")):
        positions = index[[f"{method}_x", f"{method}_y"]].to_numpy(np.float32)
        grades = {
            f"{method}_faithfulness": faithfulness(z, positions),
            f"{method}_stability": stability(z, positions, ProjectionSettings(method, seed), n_seeds),
        }
        graded = graded.drop(columns=[name for name in grades if name in graded])
        for place, (name, values) in enumerate(grades.items(), start=graded.columns.get_loc(f"{method}_y") + 1):
            graded.insert(place, name, values)
    return graded


def map_grades(index: pd.DataFrame) -> dict[str, Any]:
    """Grade the maps of an index as wholes, for metrics.json.

    Args:
        index: Of a checkpoint, with `z` and graded maps.

    Returns:
        `n_neighbors`, `n_points`, `n_seeds`, and for each map under `maps`: trustworthiness, continuity, mean
        faithfulness and, where the index has it, mean stability.
    """
    z = np.stack(index["z"].to_numpy()).astype(np.float32)
    maps = {}
    for method in (name.removesuffix("_x") for name in index.columns if name.endswith("_x")):
        trustworthy, continuous = whole_map(z, index[[f"{method}_x", f"{method}_y"]].to_numpy(np.float32))
        maps[method] = {
            "trustworthiness": round(trustworthy, 4),
            "continuity": round(continuous, 4),
            **{
                grade: round(float(index[f"{method}_{grade}"].mean()), 4)
                for grade in ("faithfulness", "stability")
                if f"{method}_{grade}" in index
            },
        }
    return {
        "n_neighbors": N_NEIGHBORS,
        "n_points": min(len(z), MOST_GRADED),
        "n_seeds": N_SEEDS,
        "maps": maps,
    }


def nearest(points: NDArray[np.float32], k: int = N_NEIGHBORS) -> NDArray[np.int64]:
    """Return the k nearest other points of each point, (n_points, k), nearest first."""
    centered = points - points.mean(axis=0)  # float32 keeps more of small numbers
    lengths = np.square(centered).sum(axis=1)
    found = np.empty((len(points), k), np.int64)
    for start in range(0, len(points), _ROWS):
        rows = np.arange(start, min(start + _ROWS, len(points)))
        square = lengths[rows, None] - 2 * centered[rows] @ centered.T + lengths
        square[np.arange(len(rows)), rows] = np.inf  # itself
        near = np.argpartition(square, k - 1, axis=1)[:, :k]
        order = np.argsort(np.take_along_axis(square, near, axis=1), axis=1, kind="stable")
        found[rows] = np.take_along_axis(near, order, axis=1)
    return found


def share_outside(neighbors: NDArray[np.int64], mask: NDArray[np.bool_]) -> float:
    """Return the share of the true neighbors of selected points that are not selected themselves.

    Args:
        neighbors: As `nearest` gives them for the latent points, (n_points, k).
        mask: Which points are selected, (n_points,).

    Returns:
        From 0 (the outline cuts through no neighborhood) to 1; 0 for no point.
    """
    return float((~mask[neighbors[mask]]).mean()) if mask.any() else 0.0


def subset_map(z: Z, member: NDArray[np.bool_], made: Projected) -> SubsetMap:
    """Extend a map of some points to all.

    Args:
        z: All latent points, (n_points, latent_dim).
        member: Which of them the map was made of, (n_points,).
        made: The map of those.
    """
    rows = np.flatnonzero(member)
    positions = spread(z, rows, made.positions)
    faithful = np.full(len(z), np.nan, np.float32)
    faithful[rows] = made.faithfulness
    return SubsetMap(made, member, positions, faithful)


def spread(z: Z, rows: NDArray[np.int64], positions: Positions) -> Positions:
    """Extend a map of some points to all: the others go to the mean of their nearest among them.

    Args:
        z: All latent points, (n_points, latent_dim).
        rows: Those that have a place, (n_placed,).
        positions: Their places, (n_placed, 2).

    Returns:
        Places of all points, (n_points, 2).
    """
    from sklearn.neighbors import KNeighborsRegressor

    others = np.setdiff1d(np.arange(len(z)), rows)
    whole = np.empty((len(z), 2), np.float32)
    whole[rows] = positions
    if len(others):
        placing = KNeighborsRegressor(n_neighbors=min(N_NEIGHBORS, len(rows)), weights="distance")
        whole[others] = placing.fit(z[rows], positions).predict(z[others])
    return whole


def _shared(first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.float32]:
    return (first[:, :, None] == second[:, None, :]).any(-1).mean(-1).astype(np.float32)
