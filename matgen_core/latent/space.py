"""A latent space as an object: sample it, walk through it, decode it, and find what lies near a point.

`LatentSpace` is for every model that decodes or encodes. `LatentMap` adds the materials of an index: where they lie,
which are neighbors, and where a new point falls on the stored projections.

What decodes is a latent point; what distances are measured between are features. Of a model with an encoder they are
the same. A GAN has no encoder: its features are its critic's, known materials have features alone, and only what it
generated has a latent point, which is drawn again from the seed.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pymatgen.core import Composition

from matgen_core.checkpoint import Checkpoint
from matgen_core.materials.formulas import Formulas
from matgen_core.materials.notation import composition_of
from matgen_core.networks.models.capabilities import (
    ClassesHeard,
    CompositionConditioned,
    Conditioned,
    Encoder,
    LearnedPrior,
    RangesKnown,
)
from matgen_core.representations import BatchDecoder, DecodeError

Z = NDArray[np.float32]
BATCH_SIZE = 16  # crystals encoded or decoded at once; larger batches make a CPU wait for memory


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

    def __init__(self, model: Any, representation: Any, name: str = "") -> None:
        self.model, self.representation, self.name = model, representation, name

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> "LatentSpace":
        """Return the latent space of a checkpoint."""
        return LatentSpace(checkpoint.model, checkpoint.representation, checkpoint.name)

    @property
    def latent_dim(self) -> int:
        """Number of latent coordinates."""
        return self.model.latent_dim

    @property
    def encodes(self) -> bool:
        """Whether the model finds the latent point of a material; a GAN does not."""
        return isinstance(self.model, Encoder)

    @property
    def has_learned_prior(self) -> bool:
        """Whether the model has learned where its training materials lie; a condition then goes to `sample`."""
        return isinstance(self.model, LearnedPrior)

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
        (noise,) = self.noise([n_samples], seed)
        if condition is not None and not self.has_learned_prior:
            raise ValueError(f"{self.name} has no learned prior; its decoder takes the condition")
        if not self.has_learned_prior or (center is not None and condition is None):
            drawn = noise.numpy() * np.float32(width)
            if center is not None:
                return self.held(drawn + center, center)
            if self.takes_composition:  # a width is of the noise, not of what is drawn among compositions
                drawn[:, 0] = noise[:, 0].numpy()
            return drawn
        wanted = None if condition is None else torch.from_numpy(np.ascontiguousarray(condition))
        middle = None if center is None else torch.from_numpy(np.ascontiguousarray(center))
        return self.model.draw_from_prior(noise, wanted, middle, width).numpy()

    def noise(self, sizes: Iterable[int], seed: int) -> Iterator[torch.Tensor]:
        """Draw standard normal noise part by part, (size, latent_dim) each; in parts or at once, it is the same.

        Args:
            sizes: How many rows each part has.
            seed: The same seed draws the same noise.
        """
        rng = np.random.default_rng(seed)
        return (torch.from_numpy(rng.standard_normal((size, self.latent_dim), np.float32)) for size in sizes)

    @torch.inference_mode()
    def arrays_of(self, noise: torch.Tensor, condition: torch.Tensor | None = None) -> torch.Tensor:
        """Carry noise to decoded arrays, (n, ...), as `sample` and the decoder do one after the other.

        Args:
            noise: Standard normal, (n, latent_dim).
            condition: (n, n_conditions) or one row for all; a learned prior hears it, or else the decoder.
        """
        asked = None if condition is None else condition.expand(len(noise), -1)
        if self.has_learned_prior:
            return self.model.decode(self.model.draw_from_prior(noise, asked))
        return self.model.decode(noise) if asked is None else self.model.decode(noise, asked)

    def interpolate(self, start: Z, end: Z, n_steps: int, spherical: bool = False) -> Z:
        """Walk from one point to another, both included, (n_steps, latent_dim).

        Args:
            start: First point, (latent_dim,).
            end: Last point, (latent_dim,).
            n_steps: Number of points, at least 2.
            spherical: Turn at the speed at which the direction changes, instead of a straight line; between
                points of one direction, and where one is the origin, the two are the same.

        Returns:
            (n_steps, latent_dim). Where points draw compositions, those between the ends draw that of the start.

        Raises:
            ValueError: If n_steps is below 2.
        """
        if n_steps < 2:
            raise ValueError(f"{n_steps} steps; a path needs at least its 2 ends")
        t = np.linspace(0, 1, n_steps, dtype=np.float32)[:, None]
        norms = np.linalg.norm(start) * np.linalg.norm(end)
        angle = np.arccos(np.clip(start @ end / norms, -1, 1)) if spherical and norms > 0 else 0.0
        if np.sin(angle) < 1e-6:
            path = (1 - t) * start + t * end
        else:
            path = (np.sin((1 - t) * angle) * start + np.sin(t * angle) * end) / np.sin(angle)
        return np.concatenate([path[:1], self.held(path[1:-1], start), path[-1:]])

    @property
    def takes_composition(self) -> bool:
        """Whether the model makes crystals of a composition that it is asked for."""
        return isinstance(self.model, CompositionConditioned)

    def held(self, z: Z, of: Z) -> Z:
        """Return points that draw the composition of another one, where points draw compositions; else as they are.

        Args:
            z: (n_points, latent_dim).
            of: (latent_dim,).
        """
        return np.concatenate([np.full_like(z[:, :1], of[0]), z[:, 1:]], 1) if self.takes_composition else z

    def cells(self, composition: Composition, n_samples: int, seed: int) -> NDArray[np.float32]:
        """Return the condition that asks for a composition: atoms of each element in a cell, (n_samples, n_elements).

        Args:
            composition: With atoms that have a common divisor, such as Mg4Mn2O8, the cell itself. Else cells of any
                size: as often as each was learned, or, where none was, those that the slots hold and that are no larger
                than what was learned.
            n_samples: How many rows.
            seed: Of the sizes.

        Raises:
            ValueError: If the model takes no composition, its slots do not hold this one, or an element is missing.
        """
        if not self.takes_composition:
            raise ValueError(f"{self.name} takes no composition")
        asked = np.array(self.representation.counts(composition))
        elements = self.representation.elements
        counts, shares = self.model.learned_compositions()
        learned = counts.round().long().numpy()
        missing = [symbol for symbol, n, least in zip(elements, asked, learned.min(0), strict=True) if n == 0 < least]
        if missing:
            raise ValueError(
                f"{Formulas.of_compositions([composition]).texts()[0]} has no {', '.join(missing)}; every crystal that"
                f" {self.name} has learned holds {', '.join(elements)}"
            )
        choices, chances = asked[None], np.ones(1)
        if np.gcd.reduce(asked) == 1:
            places = [slots // n for slots, n in zip(self.representation.slots, asked, strict=True) if n]
            choices = np.arange(1, min(places) + 1)[:, None] * asked
            choices = choices[(choices.sum(1) <= learned.sum(1).max()) | (np.arange(len(choices)) == 0)]
            same = (choices[:, None] == learned).all(2)
            chances = same @ shares.double().numpy()
            chances = chances if chances.any() else np.ones(len(choices))
        rows = np.random.default_rng(seed).choice(len(choices), n_samples, p=chances / chances.sum())
        return choices[rows].astype(np.float32)

    @property
    def condition_properties(self) -> tuple[str, ...]:
        """Properties that can be asked for, named as in the data; none for a model without a condition."""
        return self.model.condition_properties if isinstance(self.model, Conditioned) else ()

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

    def conditions(
        self, wanted: Mapping[str, float], n_samples: int, composition: str = "", seed: int = 0
    ) -> tuple[NDArray[np.float32] | None, NDArray[np.float32] | None]:
        """Return what `sample` and what `decode` are told, so that points are as wanted; None where it is nothing.

        Args:
            wanted: As `condition_of` takes it; nothing may be wanted.
            n_samples: How many points.
            composition: As `cells` takes it; "" asks for none.
            seed: Of the sizes of cells.

        Raises:
            ValueError: As `condition_of`, and as `cells`; if both are asked for.
        """
        if composition and wanted:
            raise ValueError(f"{self.name} is asked for a composition and for properties; ask for one of the two")
        if composition:
            return None, self.cells(composition_of(composition), n_samples, seed)
        if not wanted:
            return None, None
        condition = self.condition_of(wanted, n_samples)
        return (condition, None) if self.has_learned_prior else (None, condition)

    @property
    def condition_edges(self) -> dict[str, tuple[float, ...]]:
        """Inner edges of the classes of each property that is heard by its class alone; none for other models."""
        return self.model.condition_edges if isinstance(self.model, ClassesHeard) else {}

    @property
    def condition_ranges(self) -> dict[str, tuple[float, float, float, float]]:
        """Least, 0.5 %, 99.5 % and largest value of each property in the training materials, where it is stored."""
        return self.model.condition_ranges() if isinstance(self.model, RangesKnown) else {}

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
        return self._through(materials, lambda arrays: self.model.encode(arrays).mean, self.representation.encode)

    @torch.inference_mode()
    def encode_in_standard_cells(self, structures: Sequence[Any]) -> list[Encoded]:
        """One result a crystal, in order, as `encode`; its `material` is the crystal in the cell that is drawn.

        The symmetry of a crystal is searched for once, which takes longer than the network does.
        """
        standard = [_or_problem(self.representation.standardize, structure) for structure in structures]
        cells = [each for each in standard if not isinstance(each, str)]
        encoded = iter(self._through(cells, lambda arrays: self.model.encode(arrays).mean, self.representation.draw))
        return [
            Encoded(structure, problem=each) if isinstance(each, str) else next(encoded)
            for structure, each in zip(structures, standard, strict=True)
        ]

    def _through(
        self, materials: Sequence[Any], network: Callable[[torch.Tensor], torch.Tensor], draw: Callable[[Any], Z]
    ) -> list[Encoded]:
        found: list[Encoded] = []
        for start in range(0, len(materials), BATCH_SIZE):
            part = materials[start : start + BATCH_SIZE]
            arrays: list[Z | str] = [_or_problem(draw, material) for material in part]
            fitting = [array for array in arrays if not isinstance(array, str)]
            points = iter(())
            if fitting:
                points = iter(network(torch.from_numpy(np.stack(fitting))).numpy())
            found += [
                Encoded(material, problem=array) if isinstance(array, str) else Encoded(material, z=next(points))
                for material, array in zip(part, arrays, strict=True)
            ]
        return found

    def _materials(self, arrays: NDArray[np.float32]) -> list[Any]:
        """The material of each array, or the error that says why it is none."""
        if isinstance(self.representation, BatchDecoder):
            return self.representation.decode_batch(arrays)
        return [self._material(array) for array in arrays]

    def _material(self, array: NDArray[np.float32]) -> Any:
        try:
            return self.representation.decode(array)
        except DecodeError as error:
            return error


def fitting(encoded: Sequence[Encoded]) -> tuple[list[Any], Z]:
    """Return the materials that have a latent point and those points, (n_fitting, latent_dim)."""
    good = [(each.material, each.z) for each in encoded if each.z is not None]
    return [material for material, _ in good], np.array([z for _, z in good], np.float32)


def _or_problem(step: Callable[[Any], Any], material: Any) -> Any:
    """What a step makes of a material, or the line that says why it does not fit."""
    try:
        return step(material)
    except ValueError as error:
        return str(error)
