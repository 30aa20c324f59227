"""Formulas as tables of element against count, the layout of MatGAN and of DING.

References: Dan et al., npj Comput. Mater. 6, 84 (2020), doi:10.1038/s41524-020-00352-0; Pathak et al., Phys. Chem.
Chem. Phys. 22, 26935 (2020), doi:10.1039/D0CP03508D
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Composition

from matgen_core.representations._errors import DecodeError


@dataclass(frozen=True)
class ElementCounts:
    """One row an element, one column a count; a cell says how much the formula has that many of that element.

    Attributes:
        elements: Symbols, in the order of the rows.
        max_count: Largest count of an element in a formula.
        absent_column: Whether column 0 stands for "not in the formula" (DING); without it an element that is absent
            has an empty row (MatGAN), and the first column stands for the count 1.
        threshold: Least height of a cell that is taken for a count; of several in a row the highest is taken. It
            means nothing where absence has a column.
    """

    elements: tuple[str, ...]
    max_count: int = 8
    absent_column: bool = False
    threshold: float = 0.2

    @property
    def shape(self) -> tuple[int, int]:
        """(n_elements, n_columns)."""
        return len(self.elements), self.max_count + self.absent_column

    def counts(self, composition: Composition) -> NDArray[np.int8]:
        """Return how many of each element a formula has, (n_elements,).

        Raises:
            ValueError: If an element or a count is outside the table; the message names it.
        """
        found = np.zeros(len(self.elements), np.int8)
        for element, amount in composition.items():
            if element.symbol not in self.elements:
                raise ValueError(f"{composition.formula}: no {element.symbol} among the {len(self.elements)} elements")
            if amount != round(amount) or not 1 <= amount <= self.max_count:
                raise ValueError(
                    f"{composition.formula}: {amount:g} {element.symbol}; counts must be whole, 1 to {self.max_count}"
                )
            found[self.elements.index(element.symbol)] = round(amount)
        if not found.any():
            raise ValueError("an empty formula")
        return found

    def encode(self, composition: Composition) -> NDArray[np.float32]:
        """Write a formula as an array of 0 and 1, (n_elements, n_columns).

        Raises:
            ValueError: If an element or a count is outside the table; the message names it.
        """
        column = self.counts(composition).astype(int)
        table = np.eye(self.max_count + 1, dtype=np.float32)[column]
        return table if self.absent_column else table[:, 1:]

    def read(self, arrays: NDArray[np.float32]) -> NDArray[np.int8]:
        """Return the counts that arrays stand for, (B, n_elements) of (B, n_elements, n_columns)."""
        column = arrays.argmax(-1).astype(np.int8)
        if self.absent_column:
            return column
        return np.where(arrays.max(-1) >= self.threshold, column + 1, 0).astype(np.int8)

    def n_rivals(self, arrays: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return for how many elements more than one count passes the threshold, (B,)."""
        return np.asarray(((arrays >= self.threshold).sum(-1) > 1).sum(-1))

    def decode(self, array: NDArray[np.float32]) -> Composition:
        """Read one array as a formula, each element with one count.

        Raises:
            DecodeError: If no element is there.
        """
        found = self.decode_batch(array[None])[0]
        if isinstance(found, DecodeError):
            raise found
        return found

    def decode_batch(self, arrays: NDArray[np.float32]) -> list[Composition | DecodeError]:
        """Read many arrays; one that stands for nothing becomes the error that says so."""
        return [self._composition(counts) for counts in self.read(arrays)]

    def formulas(self, counts: NDArray[np.int8]) -> list[str]:
        """Write counts (B, n_elements) as formulas in the order of the rows: "Sr1Ti1O3" is "SrTiO3"."""
        return [
            "".join(f"{self.elements[i]}{row[i] if row[i] > 1 else ''}" for i in np.flatnonzero(row)) for row in counts
        ]

    def _composition(self, counts: NDArray[np.int8]) -> Composition | DecodeError:
        present = np.flatnonzero(counts)
        if not len(present):
            return DecodeError("no element is above the threshold")
        return Composition({self.elements[i]: int(counts[i]) for i in present})


def slots(counts: NDArray[np.int8], n_slots: int) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Pack counts (B, n_elements) as places of elements and their counts, (B, n_slots) each; empty slots have -1 and 0.

    Raises:
        ValueError: If a formula has more elements than slots.
    """
    most = int((counts > 0).sum(1).max(initial=0))
    if most > n_slots:
        raise ValueError(f"a formula of {most} elements; at most {n_slots} fit")
    order: NDArray[np.int64] = np.argsort(counts == 0, axis=1, kind="stable")[:, :n_slots]
    amount = np.take_along_axis(counts, order, 1)
    return np.where(amount > 0, order, -1).astype(np.int8), amount


def common_elements(compositions: Sequence[Composition]) -> tuple[str, ...]:
    """Return the elements of some formulas by atomic number."""
    found = {element for composition in compositions for element in composition.elements}
    return tuple(element.symbol for element in sorted(found, key=lambda element: element.Z))
