"""A composition as the share of each element in its atoms."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Composition


@dataclass(frozen=True)
class ElementFractions:
    """One number an element; it is not read back, since many formulas have the same.

    Attributes:
        elements: Symbols, in the order of the numbers.
    """

    elements: tuple[str, ...]

    @property
    def shape(self) -> tuple[int]:
        """(n_elements,)."""
        return (len(self.elements),)

    def encode(self, composition: Composition) -> NDArray[np.float64]:
        """Return the shares, (n_elements,), of sum 1.

        Raises:
            ValueError: If the composition is empty or holds another element; the line names it.
        """
        amounts = composition.element_composition.get_el_amt_dict()
        foreign = sorted(set(amounts) - set(self.elements))
        if foreign or not amounts:
            raise ValueError(f"no reference energy for {', '.join(foreign)}" if foreign else "no elements")
        total = sum(amounts.values())
        return np.array([amounts.get(symbol, 0.0) / total for symbol in self.elements])
