"""Formulas as tables of element against count, the layout of MatGAN, of the language models of formulas and of DING.

References: Dan et al., npj Comput. Mater. 6, 84 (2020), doi:10.1038/s41524-020-00352-0; Pathak et al., Phys. Chem.
Chem. Phys. 22, 26935 (2020), doi:10.1039/D0CP03508D
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Composition

from matgen_core.materials.formulas import Formulas
from matgen_core.representations._errors import DecodeError


@dataclass(frozen=True)
class ElementCounts:
    """One row an element, one column a count; a cell says how much the formula has that many of that element.

    Attributes:
        elements: Symbols, in the order of the rows.
        max_count: Largest count of an element in a formula.
        absent_column: Whether column 0 stands for "not in the formula" (DING); without it an element that is absent
            has an empty row (all but DING), and the first column stands for the count 1.
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

    def encode(self, composition: Composition) -> NDArray[np.float32]:
        """Write a formula as an array of 0 and 1, (n_elements, n_columns).

        Raises:
            ValueError: If an element or a count is outside the table; the message names it.
        """
        formulas = Formulas.of_compositions([composition])
        (misfit,) = self.misfits(formulas)
        if misfit:
            raise ValueError(misfit)
        return self.encode_formulas(formulas)[0]

    def encode_formulas(self, formulas: Formulas) -> NDArray[np.float32]:
        """Write many formulas, (N, n_elements, n_columns); all must fit, see `misfits`."""
        table = np.eye(self.max_count + 1, dtype=np.float32)[formulas.table(self.elements)]
        return table if self.absent_column else table[..., 1:]

    def misfits(self, formulas: Formulas) -> list[str]:
        """Say what of each formula does not fit, "" if all does."""
        return formulas.misfits(self.elements, self.max_count)

    def read(self, arrays: NDArray[np.float32]) -> NDArray[np.int8]:
        """Return the counts that arrays stand for, (B, n_elements) of (B, n_elements, n_columns)."""
        column = arrays.argmax(-1)
        if self.absent_column:
            return column.astype(np.int8)
        # numpy's maximum of short rows takes five times as long
        height = np.take_along_axis(arrays, column[..., None], -1)[..., 0]
        return np.where(height >= self.threshold, column + 1, 0).astype(np.int8)

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

    def formulas(self, arrays: NDArray[np.float32]) -> Formulas:
        """Read many arrays at once; one that stands for nothing becomes a formula without elements."""
        return Formulas.of_table(self.read(arrays), self.elements)

    def _composition(self, counts: NDArray[np.int8]) -> Composition | DecodeError:
        present = np.flatnonzero(counts)
        if not len(present):
            return DecodeError("no element is above the threshold")
        return Composition({self.elements[i]: int(counts[i]) for i in present})
