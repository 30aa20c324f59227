"""Phase fields: sets of elements, read, written and put in order."""

import math
from collections.abc import Iterable
from functools import cache

from pymatgen.core import Element

ANIONS = ("N", "P", "As", "O", "S", "Se", "Te", "F", "Cl", "Br", "I")  # those of the published training set


class PhaseField(tuple[str, ...]):
    """The elements of a field in alphabetical order; one of two valences, in a mixed-valence field, is there twice.

    It is hashed, compared and sorted as the tuple of its symbols, at a tuple's speed: millions are listed at once.
    """

    __slots__ = ()

    def __new__(cls, symbols: Iterable[str]) -> "PhaseField":
        """Put symbols in order; that they are elements is for `parse` to say."""
        return tuple.__new__(cls, sorted(symbols))

    @classmethod
    def of_sorted(cls, symbols: tuple[str, ...]) -> "PhaseField":
        """Take symbols that are in order already."""
        return tuple.__new__(cls, symbols)

    @classmethod
    def parse(cls, text: str, mixed_valence: bool = False) -> "PhaseField":
        """Read a phase field such as "Li-Sn-S-Cl", in any order.

        Args:
            text: Element symbols joined by hyphens.
            mixed_valence: Accept a repeated element, as the published training table and every index have it.

        Raises:
            ValueError: If a symbol is no element or an element repeats.
        """
        symbols = [part.strip() for part in str(text).split("-")]
        for symbol in symbols:
            if not Element.is_valid_symbol(symbol):
                raise ValueError(f"{text!r}: {symbol!r} is no element; write a phase field as in Li-Sn-S-Cl")
        repeated = next((symbol for symbol in symbols if symbols.count(symbol) > 1), None)
        if repeated and not mixed_valence:
            raise ValueError(
                f"{text!r} repeats {repeated}; name each element once,"
                " or allow mixed valence to count the element once a valence"
            )
        return cls(symbols)

    @classmethod
    def read(cls, text: str) -> "PhaseField":
        """Take a field as `write` wrote it, unlooked at: for tables of our own, five times as fast as `parse`."""
        return cls(text.split("-"))

    def write(self) -> str:
        """Join the symbols in alphabetical order, as tables and links hold a field: "Cl-Li-S-Sn"."""
        return "-".join(self)

    def chemists_order(self) -> str:
        """Write the field as chemists do, the most electronegative element last: "Li-Sn-S-Cl"."""
        return "-".join(sorted(self, key=_writing_order))

    @property
    def anions(self) -> frozenset[str]:
        """Its elements that stand in anion places in the training fields."""
        return frozenset(self).intersection(ANIONS)

    @property
    def anion_group(self) -> str:
        """Name of its anions, "Cl-S"; P and As count only beside fewer than two others."""
        others = self.anions - {"P", "As"}
        return "-".join(sorted(others if len(others) > 1 else self.anions))


@cache
def _writing_order(symbol: str) -> tuple[float, str]:
    value = Element(symbol).data.get("X")  # Pauling's; none for noble gases
    return (float(value) if isinstance(value, int | float) else math.inf, symbol)
