"""What a representation is, and what some can do beside."""

from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from matgen_core.materials.formulas import Formulas


class Representation(Protocol):
    """A frozen dataclass that knows one array layout.

    Fields that are numpy arrays are stored with the weights of a checkpoint, all other fields in its
    `config.json`, so a loaded representation needs no data set.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def encode(self, material: Any) -> Any:
        """Turn one material into its array, or a graph into its arrays.

        Raises:
            ValueError: If the material does not fit; the message names what does not.
        """
        ...


class Invertible(Representation, Protocol):
    """A representation whose arrays become materials again; a graph does not."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array of one material, without the batch axis."""
        ...

    def decode(self, array: NDArray[np.float32]) -> Any:
        """Turn one array into a material.

        Raises:
            DecodeError: If the array is no material.
        """
        ...


@runtime_checkable
class BatchDecoder(Protocol):
    """A representation that decodes many arrays at once sooner than one by one."""

    def decode_batch(self, arrays: NDArray[np.float32]) -> list[Any]:
        """Turn arrays (n, ...) into the material of each, or the `DecodeError` that says why it is none."""
        ...


@runtime_checkable
class FormulaEncoder(Protocol):
    """A representation of formulas, many at once, that says which of them fit."""

    def encode_formulas(self, formulas: Formulas) -> NDArray[np.float32]:
        """Return an array for each formula."""
        ...

    def misfits(self, formulas: Formulas) -> list[str]:
        """Say what of each formula does not fit, "" if all does."""
        ...


@runtime_checkable
class FormulaDecoder(Protocol):
    """A representation whose arrays become formulas, many at once."""

    def formulas(self, arrays: NDArray[np.float32]) -> Formulas:
        """Return the formula of each array; one without elements for an array that is none."""
        ...
