"""A phase field as the standardized Magpie features of its elements, slot by slot.

Reference: Vasylenko et al., Nat. Commun. 12, 5561 (2021), doi:10.1038/s41467-021-25343-7; features from
Ward et al., npj Comput. Mater. 2, 16028 (2016), doi:10.1038/npjcompumats.2016.28
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from matgen_core.materials.fields import PhaseField
from matgen_core.representations._errors import DecodeError


@dataclass(frozen=True, eq=False)
class ElementFeatures:
    """(n_slots, n_features) for a field of `n_slots` elements, each slot one row of `table`.

    The slots are filled in the order of the Mendeleev numbers of the elements, so metals come before anions
    and no order that a field was written in can matter.
    """

    elements: tuple[str, ...]
    features: tuple[str, ...]
    n_slots: int
    order: NDArray[np.float32]  # (n_elements,), Mendeleev number
    table: NDArray[np.float32]  # (n_elements, n_features), standardized over the elements of the training fields

    @classmethod
    def fit(cls, properties: pd.DataFrame, fields: Sequence[PhaseField]) -> "ElementFeatures":
        """Standardize element properties over every element occurrence in the training fields.

        Args:
            properties: One row an element with a column `element` and a column for each property.
            fields: Training fields, all of the same size; a property that does not vary in them becomes 0.
        """
        values = properties.drop(columns="element").to_numpy(np.float64)
        place = {symbol: i for i, symbol in enumerate(properties["element"])}
        seen = values[[place[symbol] for field in fields for symbol in field]]
        spread = seen.std(axis=0)
        spread[spread <= 1e-9 * np.abs(seen).max(axis=0)] = np.inf  # a constant's spread is a rounding error
        return cls(
            elements=tuple(properties["element"]),
            features=tuple(properties.columns.drop("element")),
            n_slots=len(fields[0]),
            order=properties["MendeleevNumber"].to_numpy(np.float32),
            table=((values - seen.mean(axis=0)) / spread).astype(np.float32),
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Slots and features."""
        return self.n_slots, len(self.features)

    def places(self, fields: Sequence[PhaseField]) -> NDArray[np.int64]:
        """Return the rows of `table` that fill the slots of each field, (n_fields, n_slots).

        Raises:
            ValueError: If a field has another size or an element without features.
        """
        for misfit in self.misfits(fields):
            if misfit:
                raise ValueError(misfit)
        place = {symbol: i for i, symbol in enumerate(self.elements)}
        flat = [place[symbol] for field in fields for symbol in field]
        return self.sort(np.array(flat, np.int64).reshape(len(fields), self.n_slots))

    def misfits(self, fields: Sequence[PhaseField]) -> list[str]:
        """Say of each field what does not fit, its size or an element without features; "" if all does."""
        known = set(self.elements)
        return [self._misfit(field, known) for field in fields]

    def _misfit(self, field: PhaseField, known: set[str]) -> str:
        if len(field) != self.n_slots:
            return f"{field.write()} has {len(field)} elements, but this model ranks fields of {self.n_slots}"
        unknown = [symbol for symbol in field if symbol not in known]
        if not unknown:
            return ""
        return (
            f"{', '.join(unknown)}: this model has no features for this element;"
            f" it knows {len(self.elements)} elements from {self.elements[0]} to {self.elements[-1]}"
        )

    def sort(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Put each row of element places into slot order."""
        by_order = np.argsort(self.order[places], axis=1, kind="stable")
        return np.take_along_axis(places, by_order, axis=1)

    def encode(self, material: PhaseField) -> NDArray[np.float32]:
        """Return the features of a field's elements, (n_slots, n_features).

        Raises:
            ValueError: If the field has another size or an element without features.
        """
        return self.table[self.places([material])[0]]

    def decode(self, array: NDArray[np.float32]) -> PhaseField:
        """Return the elements whose features lie nearest to each slot.

        Raises:
            DecodeError: If the array holds numbers that are not finite.
        """
        if not np.isfinite(array).all():
            raise DecodeError("the decoded features are not finite")
        distance = np.square(array[:, None, :] - self.table[None]).sum(-1)
        return PhaseField(self.elements[i] for i in distance.argmin(-1))
