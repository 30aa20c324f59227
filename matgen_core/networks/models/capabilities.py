"""What a model can do, as protocols: a model has the methods of what it can do, and inherits nothing.

Ask with `isinstance(model, Encoder)`, or `issubclass(model_class, Encoder)` for one of `VERBS`. A capability is told by
methods and properties of the class: a submodule or a buffer is no part of the class, and later Pythons do not find it.
"""

from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from matgen_core.networks.models.parts.blocks import Gaussian


@runtime_checkable
class Encoder(Protocol):
    """Finds the latent point of what is there."""

    def encode(self, x: Tensor) -> Gaussian:
        """Map arrays (B, ...) to q(z | x) over (B, latent_dim)."""
        ...


@runtime_checkable
class Decoder(Protocol):
    """Makes arrays of latent points."""

    def decode(self, z: Tensor) -> Tensor:
        """Map (B, latent_dim) to arrays (B, ...)."""
        ...


@runtime_checkable
class Scorer(Protocol):
    """Scores phase fields straight from the elements in their slots."""

    def score(self, table: Tensor, places: Tensor) -> Tensor:
        """Return one score a field and member, (B, n_members); low is familiar.

        Args:
            table: Standardized features of the elements, (n_elements, n_features).
            places: Rows of `table` in the slots of each field, (B, n_slots).
        """
        ...

    def contributions(self, table: Tensor, places: Tensor) -> Tensor:
        """Return what each slot adds to the score, (B, n_slots); arguments as in `score`."""
        ...


@runtime_checkable
class Predictor(Protocol):
    """Predicts properties."""

    def predict(self, *arrays: Any) -> tuple[Tensor, Tensor]:
        """Return means and standard deviations, (B, n_properties) each."""
        ...


@runtime_checkable
class PropertyPredictor(Predictor, Protocol):
    """Predicts properties that it names."""

    @property
    def properties(self) -> tuple[str, ...]:
        """Names of the properties as in the data, in the order of `predict`."""
        ...


@runtime_checkable
class Critic(Protocol):
    """Tells real arrays from generated ones."""

    def features(self, x: Tensor) -> Tensor:
        """Map arrays (B, ...) to what the verdict rests on, (B, n_features)."""
        ...

    def criticize(self, x: Tensor) -> Tensor:
        """Return how real arrays look, (B,); only differences mean something."""
        ...


@runtime_checkable
class Translator(Protocol):
    """Carries crystals of one kind to another kind."""

    def translate(self, source: Any, metals: Tensor, n_second: Tensor, noise: Tensor) -> Any:
        """Return what binary hydrides become with a second metal; see `CrystalGAN.translate`."""
        ...


@runtime_checkable
class LearnedPrior(Protocol):
    """Has learned where its training materials lie; a condition goes there, and not to the decoder."""

    def draw_from_prior(
        self, noise: Tensor, condition: Tensor | None = None, center: Tensor | None = None, width: float = 1.0
    ) -> Tensor:
        """Carry standard normal noise (n, latent_dim) to latent points; see `LatentPrior.sample`."""
        ...


@runtime_checkable
class Conditioned(Protocol):
    """Can be asked for materials with wanted properties."""

    @property
    def condition_properties(self) -> tuple[str, ...]:
        """Properties that can be asked for, named as in the data; none for one that was trained without."""
        ...

    def condition_of(self, **wanted: Tensor) -> Tensor:
        """Return conditions (B, n_conditions) of wanted values, (B,) each, in the units of the data."""
        ...


@runtime_checkable
class ClassesHeard(Protocol):
    """Hears of a wanted value only the class that it falls into."""

    @property
    def condition_edges(self) -> dict[str, tuple[float, ...]]:
        """Inner edges of the classes of each property, rising; none for a model that was trained without."""
        ...


@runtime_checkable
class RangesKnown(Protocol):
    """Knows how the properties that can be asked for are spread over its training materials."""

    def condition_ranges(self) -> dict[str, tuple[float, float, float, float]]:
        """Return least, 0.5 %, 99.5 % and largest value of each property."""
        ...


@runtime_checkable
class CompositionConditioned(Protocol):
    """Makes crystals of a composition: its decoder takes the atoms of each element in a cell, (B, n_elements).

    Without them the first coordinate of a latent point draws one of the compositions that were learned.
    """

    def learned_compositions(self) -> tuple[Tensor, Tensor]:
        """Atoms of each element in the cells of the training crystals (n, n_elements), and how often each came (n,)."""
        ...


@runtime_checkable
class EnergyReference(Protocol):
    """Turns energies of a potential into formation energies."""

    def formation_energy(
        self, potential: str, energy: Tensor, fractions: Tensor, oxidized: Tensor, bonded: Tensor
    ) -> Tensor:
        """Return formation energies in eV/atom, (B,), of energies (B,) of crystals with a composition."""
        ...


# What a list of checkpoints names, in its order; methods alone, so that a class can be asked too.
VERBS: dict[str, type] = {
    "encode": Encoder,
    "decode": Decoder,
    "score": Scorer,
    "predict": Predictor,
    "compose": CompositionConditioned,
    "compare": EnergyReference,
    "translate": Translator,
}
