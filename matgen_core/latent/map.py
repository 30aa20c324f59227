"""The materials of an index in the latent space of their model: neighbors, distances, and places on stored maps."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from matgen_core.checkpoint import Checkpoint
from matgen_core.latent.index import GENERATED, SEED_ROW, TRAIN
from matgen_core.latent.space import Decoded, Encoded, LatentSpace, Z
from matgen_core.materials.formulas import Formulas, KnownFormulas
from matgen_core.networks.models.capabilities import Critic

N_NEIGHBORS = 15  # neighbors that place a new point on a projection and grade a map


class LatentMap(LatentSpace):
    """The latent space of a model and the materials of its index in it.

    Attributes:
        level: What the materials are.
        index: One row a material, without its point.
        z: Latent points, (n_materials, latent_dim); NaN where a material has none.
        features: Where materials lie as far as distances go, (n_materials, n_features); `z` for a model that encodes.
        known: Which materials are known, and not the model's own, (n_materials,).
        trained_on: All formulas that a generator of formulas was trained on, where its checkpoint carries them.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__(checkpoint.model, checkpoint.representation, checkpoint.name)
        index = checkpoint.index
        if index is None or "z" not in index:
            raise ValueError(f"{checkpoint.name} carries no materials with their latent points, so it has no map")
        self.level = checkpoint.level
        self.index = index.drop(columns=["z", SEED_ROW], errors="ignore")
        self.features: Z = np.stack(index["z"].to_numpy()).astype(np.float32)
        self.z = self.features if self.encodes else self._drawn_again(checkpoint)
        self.known = np.ones(len(index), bool) if "split" not in index else (index["split"] != GENERATED).to_numpy()
        self.trained_on = checkpoint.known
        self._usual: dict[int, NDArray[np.float32]] = {}  # sorted distances of the training materials, by neighbors

    def _drawn_again(self, checkpoint: Checkpoint) -> Z:
        """Latent points of what the model generated, drawn from the seed of its bank."""
        index, bank = checkpoint.index, checkpoint.metrics.get("bank")
        if index is None or SEED_ROW not in index or bank is None or not isinstance(self.model, Critic):
            raise ValueError(f"{self.name} has no encoder, and no bank of samples in its place, so it has no map")
        seed_rows = index[SEED_ROW].to_numpy()
        drawn = seed_rows >= 0
        z = np.full((len(index), self.latent_dim), np.nan, np.float32)
        z[drawn] = self.sample(bank["n_samples"], bank["seed"])[seed_rows[drawn]]
        return z

    @property
    def has_point(self) -> NDArray[np.bool_]:
        """Which materials have a latent point, (n_materials,)."""
        return np.asarray(np.isfinite(self.z).all(axis=1))

    @property
    def measured_in(self) -> str:
        """Name of the space in which distances are measured."""
        return "latent space" if self.encodes else "feature space of the critic"

    @cached_property
    def known_formulas(self) -> KnownFormulas:
        """Formulas that count as known: those of the training where the checkpoint carries them, else of the index."""
        return self.trained_on or KnownFormulas.of(Formulas.of_texts(self.index["formula"][self.known])[0])

    @torch.inference_mode()
    def features_of(self, z: Z) -> Z:
        """Return where latent points lie as far as distances go, (n_points, n_features)."""
        if self.encodes:
            return z
        points = torch.from_numpy(np.ascontiguousarray(z, np.float32))
        return self.model.features(self.model.decode(points)).numpy()

    @torch.inference_mode()
    def locate(self, materials: Sequence[Any]) -> list[Encoded]:
        """Find where materials lie as far as distances go, also for a model without an encoder.

        Returns:
            One result a material, in order; its `z` are features as `features_of` gives them. A material that does
            not fit keeps its place.
        """
        return (
            self.encode(materials)
            if self.encodes
            else self._through(materials, self.model.features, self.representation.encode)
        )

    @property
    def projections(self) -> tuple[str, ...]:
        """Names of the stored projections, such as "umap"."""
        return tuple(name.removesuffix("_x") for name in self.index.columns if name.endswith("_x"))

    def positions(self, projection: str) -> NDArray[np.float32]:
        """Return where the materials lie on a projection, (n_materials, 2).

        Raises:
            ValueError: If there is no such projection.
        """
        if projection not in self.projections:
            raise ValueError(f"{projection!r} is no projection of {self.name}; it has {', '.join(self.projections)}")
        return self.index[[f"{projection}_x", f"{projection}_y"]].to_numpy(np.float32)

    def reconstruct(self, rows: Sequence[int]) -> list[Decoded]:
        """Decode materials from their stored points, which were encoded under no condition.

        Args:
            rows: Rows of `index`; one without a latent point keeps its place and has its problem.
        """
        chosen = self.z[list(rows)]
        there = self.has_point[list(rows)]
        decoded = iter(self.decode(chosen[there]))
        none = f"{self.name} has no encoder, so a known material has no latent point to decode"
        return [next(decoded) if good else Decoded(z, problem=none) for z, good in zip(chosen, there, strict=True)]

    def neighbors(self, features: Z, k: int, known_only: bool = False) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Find the materials nearest to each point, where distances are measured and not on a map.

        Args:
            features: Points as `features_of` gives them, (n_points, n_features).
            k: How many; all of them if there are fewer.
            known_only: Pass over what the model generated.

        Returns:
            Distances and rows of `index`, (n_points, k) each, nearest first.
        """
        among = np.flatnonzero(self.known) if known_only else np.arange(len(self.features))
        k = min(k, len(among))
        every = _distances(features, self.features[among])
        nearest = np.argpartition(every, k - 1, axis=1)[:, :k]
        distances = np.take_along_axis(every, nearest, axis=1)
        order = np.argsort(distances, axis=1, kind="stable")
        return np.take_along_axis(distances, order, axis=1), among[np.take_along_axis(nearest, order, axis=1)]

    def distance_percentile(self, features: Z, k: int = 5) -> NDArray[np.float64]:
        """Say how far points lie from the training materials, as the training materials themselves judge it.

        The distance of a point is the mean of those to its k nearest training materials. It is held against the
        distances of the training materials, each measured to its k nearest others (leave one out).

        Args:
            features: Points as `features_of` gives them, (n_points, n_features).
            k: How many neighbors; all but one of the training materials if there are fewer.

        Returns:
            (n_points,), percent of the training materials that lie nearer to the others than the point does: 50 is
            as usual, 100 is farther out than each of them.
        """
        known = self.features
        if "split" in self.index:
            known = known[(self.index["split"] == TRAIN).to_numpy()]
        k = min(k, len(known) - 1)
        if k not in self._usual:  # every pair of training materials: half a second for 8,000
            parts = (known[i : i + 1_000] for i in range(0, len(known), 1_000))
            nearest = np.concatenate([_smallest(_distances(part, known), k + 1) for part in parts])
            self._usual[k] = np.sort(nearest[:, 1:].mean(axis=1))  # the nearest is itself
        theirs = _smallest(_distances(features, known), k).mean(axis=1)
        return 100.0 * np.searchsorted(self._usual[k], theirs) / len(known)

    def place(self, features: Z, projection: str) -> NDArray[np.float32]:
        """Place points on a stored projection by the materials nearest to them, (n_points, 2).

        Each point goes to the mean of its neighbors' places, weighted by one over the squared distance; a material
        of the index goes to its own place.

        Args:
            features: Points as `features_of` gives them, (n_points, n_features).
            projection: Name of a stored projection.
        """
        distances, rows = self.neighbors(features, N_NEIGHBORS)
        weights = 1 / np.maximum(np.square(distances), 1e-12)
        weights /= weights.sum(axis=1, keepdims=True)
        return np.einsum("nk,nkd->nd", weights, self.positions(projection)[rows])


def _smallest(distances: NDArray[np.float32], k: int) -> NDArray[np.float32]:
    """The k smallest of each row, in order."""
    return np.sort(np.partition(distances, k - 1, axis=1)[:, :k], axis=1)


def _distances(z: Z, others: Z) -> NDArray[np.float32]:
    square = np.square(z).sum(1)[:, None] - 2 * z @ others.T + np.square(others).sum(1)
    return np.sqrt(np.maximum(square, 0))
