"""A latent space as an object: sample it, walk through it, decode it, and find what lies near a point.

`LatentSpace` is for every model that decodes or encodes. `LatentMap` adds the materials of an index: where they lie,
which are neighbors, and where a new point falls on the stored projections.

What decodes is a latent point; what distances are measured between are features. Of a model with an encoder they are
the same. A GAN has no encoder: its features are its critic's, known materials have features alone, and only what it
generated has a latent point, which is drawn again from the seed.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from matgen_core.checkpoint import Checkpoint
from matgen_core.materials.formulas import Formulas
from matgen_core.materials.known import KnownFormulas
from matgen_core.representations import DecodeError

Z = NDArray[np.float32]
BATCH_SIZE = 16  # crystals encoded or decoded at once; larger batches make a CPU wait for memory
GENERATED = "generated"  # the split of what a model has drawn itself
SEED_ROW = "seed_row"  # column of an index: which sample of the bank a row is, -1 for a known material
N_NEIGHBORS = 15  # neighbors that place a new point on a projection and grade a map


@dataclass(frozen=True)
class Decoded:
    """One latent point and the material that it decodes to, or the reason why it does not."""

    z: Z
    material: Any = None
    problem: str | None = None


@dataclass(frozen=True)
class Encoded:
    """One material and its latent point, or the reason why it has none."""

    material: Any
    z: Z | None = None
    problem: str | None = None


class LatentSpace:
    """The latent space of a model that decodes, or encodes, or both."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.name = checkpoint.name
        self.level: str = checkpoint.provenance.get("level", "")
        self.model: Any = checkpoint.model
        self.representation: Any = checkpoint.representation

    @property
    def latent_dim(self) -> int:
        """Number of latent coordinates."""
        return self.model.latent_dim

    @property
    def encodes(self) -> bool:
        """Whether the model finds the latent point of a material; a GAN does not."""
        return hasattr(self.model, "encode")

    @property
    def has_learned_prior(self) -> bool:
        """Whether the model has learned where its training materials lie; a condition then goes to `sample`."""
        return hasattr(self.model, "prior")

    @torch.inference_mode()
    def sample(
        self,
        n_samples: int,
        seed: int,
        center: Z | None = None,
        width: float = 1.0,
        condition: NDArray[np.float32] | None = None,
    ) -> Z:
        """Draw points, (n_samples, latent_dim), from the prior or round a center.

        Without a center and a condition, the points are drawn from the learned prior of a model that has one, and
        from the standard normal otherwise. Round a center they are normal; with a condition too, they are what the
        learned prior makes of the center with so much noise.

        Args:
            n_samples: How many.
            seed: The same seed draws the same points.
            center: Point to draw round, (latent_dim,).
            width: Standard deviation of the noise in each coordinate; a prior has 1.
            condition: (n_samples, n_conditions), for models with a learned prior; see `condition_of`.

        Raises:
            ValueError: If there is a condition and no learned prior to hear it.
        """
        noise = np.random.default_rng(seed).standard_normal((n_samples, self.latent_dim), np.float32)
        if condition is not None and not self.has_learned_prior:
            raise ValueError(f"{self.name} has no learned prior; its decoder takes the condition")
        if not self.has_learned_prior or (center is not None and condition is None):
            return noise * np.float32(width) + (0 if center is None else center)
        wanted = None if condition is None else torch.from_numpy(np.ascontiguousarray(condition))
        middle = None if center is None else torch.from_numpy(np.ascontiguousarray(center))
        return self.model.prior.sample(torch.from_numpy(noise), wanted, middle, width).numpy()

    def interpolate(self, start: Z, end: Z, n_steps: int, spherical: bool = False) -> Z:
        """Walk from one point to another, both included, (n_steps, latent_dim).

        Args:
            start: First point, (latent_dim,).
            end: Last point, (latent_dim,).
            n_steps: Number of points, at least 2.
            spherical: Turn at the speed at which the direction changes, instead of a straight line; between
                points of one direction, and where one is the origin, the two are the same.

        Raises:
            ValueError: If n_steps is below 2.
        """
        if n_steps < 2:
            raise ValueError(f"{n_steps} steps; a path needs at least its 2 ends")
        t = np.linspace(0, 1, n_steps, dtype=np.float32)[:, None]
        norms = np.linalg.norm(start) * np.linalg.norm(end)
        angle = np.arccos(np.clip(start @ end / norms, -1, 1)) if spherical and norms > 0 else 0.0
        if np.sin(angle) < 1e-6:
            return (1 - t) * start + t * end
        return (np.sin((1 - t) * angle) * start + np.sin(t * angle) * end) / np.sin(angle)

    @property
    def condition_properties(self) -> tuple[str, ...]:
        """Properties that can be asked for, named as in the data; none for a model without a condition."""
        return getattr(self.model, "condition_properties", ())

    def condition_of(self, wanted: Mapping[str, float], n_samples: int) -> NDArray[np.float32]:
        """Return the condition that asks for values of properties, (n_samples, n_conditions).

        It goes to `sample` for models with a learned prior, and to `decode` for the others. Values far from those of
        the training materials are taken as they are; `far_from_training` tells which.

        Args:
            wanted: Values by property, in the units of the data; not all of `condition_properties` need be there.
            n_samples: How many rows.

        Raises:
            ValueError: If nothing is asked for, a value is no finite number, or the model does not take the property.
        """
        takes = ", ".join(self.condition_properties) or "none"
        if not wanted:
            raise ValueError(f"nothing is asked for; {self.name} takes {takes}")
        for name, value in wanted.items():
            plain = name.removesuffix("_per_atom").replace("_", " ")
            if name not in self.condition_properties:
                raise ValueError(f"{self.name} takes no {plain}; it takes {takes}; leave it out or take another model")
            if not math.isfinite(value):
                raise ValueError(f"a {plain} of {value}; give a finite number")
        given = {name: torch.full((n_samples,), float(value)) for name, value in wanted.items()}
        return self.model.condition_of(**given).numpy()

    @property
    def condition_ranges(self) -> dict[str, tuple[float, float, float, float]]:
        """Least, 0.5 %, 99.5 % and largest value of each property in the training materials, where it is stored."""
        if not hasattr(self.model, "condition_range"):
            return {}
        rows = self.model.condition_range.tolist()
        return {name: tuple(row) for name, row in zip(self.condition_properties, rows, strict=True)}

    def far_from_training(self, wanted: Mapping[str, float]) -> list[str]:
        """Say of each wanted value that lies outside the middle 99 % of the training materials that it does."""
        ranges = self.condition_ranges
        return [
            f"{name} {value:g} is outside {ranges[name][1]:.3g} to {ranges[name][2]:.3g}, the middle 99 % of the"
            f" training materials (all: {ranges[name][0]:.3g} to {ranges[name][3]:.3g})"
            for name, value in wanted.items()
            if name in ranges and not ranges[name][1] <= value <= ranges[name][2]
        ]

    @torch.inference_mode()
    def decode(
        self,
        z: Z,
        condition: NDArray[np.float32] | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> list[Decoded]:
        """One result a row of z, in order; a row that is no material keeps its place.

        Args:
            z: Points, (n_points, latent_dim).
            condition: (n_points, n_conditions), for models whose decoder takes one; without it they decode under any.
            progress: Called with the number of points done.
        """
        found: list[Decoded] = []
        for start in range(0, len(z), BATCH_SIZE):
            part = slice(start, start + BATCH_SIZE)
            points = torch.from_numpy(np.ascontiguousarray(z[part], np.float32))
            wanted = () if condition is None else (torch.from_numpy(np.ascontiguousarray(condition[part])),)
            arrays = self.model.decode(points, *wanted).reshape(len(points), *self.representation.shape).numpy()
            found += [
                Decoded(point, problem=str(item)) if isinstance(item, DecodeError) else Decoded(point, material=item)
                for point, item in zip(z[part], self._materials(arrays), strict=True)
            ]
            if progress:
                progress(len(found))
        return found

    @torch.inference_mode()
    def encode(self, materials: Sequence[Any]) -> list[Encoded]:
        """One result a material, in order; a material that does not fit keeps its place.

        Raises:
            ValueError: If the model has no encoder.
        """
        if not self.encodes:
            raise ValueError(f"{self.name} has no encoder; it generates, and finds no latent point of what is there")
        return self._through(materials, lambda arrays: self.model.encode(arrays).mean)

    def _through(self, materials: Sequence[Any], network: Callable[[torch.Tensor], torch.Tensor]) -> list[Encoded]:
        found: list[Encoded] = []
        for start in range(0, len(materials), BATCH_SIZE):
            part = materials[start : start + BATCH_SIZE]
            arrays: list[Z | str] = [self._encode_one(material) for material in part]
            fitting = [array for array in arrays if not isinstance(array, str)]
            points = iter(())
            if fitting:
                points = iter(network(torch.from_numpy(np.stack(fitting))).numpy())
            found += [
                Encoded(material, problem=array) if isinstance(array, str) else Encoded(material, z=next(points))
                for material, array in zip(part, arrays, strict=True)
            ]
        return found

    def _encode_one(self, material: Any) -> Z | str:
        try:
            return self.representation.encode(material)
        except ValueError as error:
            return str(error)

    def _materials(self, arrays: NDArray[np.float32]) -> list[Any]:
        """The material of each array, or the error that says why it is none."""
        if hasattr(self.representation, "decode_batch"):
            return self.representation.decode_batch(arrays)
        return [self._material(array) for array in arrays]

    def _material(self, array: NDArray[np.float32]) -> Any:
        try:
            return self.representation.decode(array)
        except DecodeError as error:
            return error


class LatentMap(LatentSpace):
    """The latent space of a model and the materials of its index in it.

    Attributes:
        index: One row a material, without its point.
        z: Latent points, (n_materials, latent_dim); NaN where a material has none.
        features: Where materials lie as far as distances go, (n_materials, n_features); `z` for a model that encodes.
        known: Which materials are known, and not the model's own, (n_materials,).
        trained_on: All formulas that a generator of formulas was trained on, where its checkpoint carries them.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__(checkpoint)
        index = checkpoint.index
        if index is None or "z" not in index:
            raise ValueError(f"{checkpoint.name} carries no materials with their latent points, so it has no map")
        self.index = index.drop(columns=["z", SEED_ROW], errors="ignore")
        self.features: Z = np.stack(index["z"].to_numpy()).astype(np.float32)
        self.z = self.features if self.encodes else self._drawn_again(checkpoint)
        self.known = np.ones(len(index), bool) if "split" not in index else (index["split"] != GENERATED).to_numpy()
        self.trained_on = checkpoint.known
        self._usual: dict[int, NDArray[np.float32]] = {}  # sorted distances of the training materials, by neighbors

    def _drawn_again(self, checkpoint: Checkpoint) -> Z:
        """Latent points of what the model generated, drawn from the seed of its bank."""
        index, bank = checkpoint.index, checkpoint.metrics.get("bank")
        if index is None or SEED_ROW not in index or bank is None or not hasattr(self.model, "features"):
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
        return self.encode(materials) if self.encodes else self._through(materials, self.model.features)

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
            known = known[(self.index["split"] == "train").to_numpy()]
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


def fitting(encoded: Sequence[Encoded]) -> tuple[list[Any], Z]:
    """Return the materials that have a latent point and those points, (n_fitting, latent_dim)."""
    good = [(each.material, each.z) for each in encoded if each.z is not None]
    return [material for material, _ in good], np.array([z for _, z in good], np.float32)


def index_columns(table: pd.DataFrame, z: Z) -> pd.DataFrame:
    """Add latent points to a table of materials as the column `z` of an index, in float16."""
    return table.assign(z=list(z.astype(np.float16)))
