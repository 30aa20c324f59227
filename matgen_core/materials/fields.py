"""Phase fields: sets of elements, read, written and put in order."""

import math
import re
from collections.abc import Iterable
from functools import cache

from pymatgen.core import Element

from matgen_core.materials.notation import ISOTOPES, SYMBOLS, composition_of, shown

ANIONS = ("N", "P", "As", "O", "S", "Se", "Te", "F", "Cl", "Br", "I")  # those of the published training set

DASHES = "-\u00ad\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d"  # of every kind, the plain one first


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
            text: As `read_field` takes it.
            mixed_valence: Accept a repeated element, as the published training table and every index have it.

        Raises:
            ValueError: As `read_field`.
        """
        return read_field(str(text), mixed_valence)[0]

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


def read_field(text: str, mixed_valence: bool = False) -> tuple[PhaseField, str]:
    """Read a phase field as people write it.

    Args:
        text: Symbols joined by hyphens or dashes of any kind, spaces, commas, semicolons, slashes or underscores;
            deuterium and tritium count as hydrogen.
        mixed_valence: Accept a repeated element.

    Returns:
        The field, and what was done to read it ("" if nothing).

    Raises:
        ValueError: In one line, if a part is no element or an element repeats.
    """
    parts = _SEPARATOR.split(text.strip()) if len(text) <= _MAX_LENGTH else [text]
    symbols = [_element(text, part) for part in parts]
    notes = [f"{ISOTOPES[part]} counts as hydrogen" for part in parts if part in ISOTOPES]
    if any(part not in SYMBOLS and part not in ISOTOPES for part in parts):
        notes.insert(0, f"read as {'-'.join(symbols)}")
    repeated = next((symbol for symbol in symbols if symbols.count(symbol) > 1), None)
    if repeated and not mixed_valence:
        raise ValueError(
            f"{shown(text)} repeats {repeated}; name each element once,"
            " or allow mixed valence to count the element once a valence"
        )
    return PhaseField(symbols), "; ".join(dict.fromkeys(notes))


_MAX_LENGTH = 200
_SEPARATOR = re.compile(rf"\s*[{re.escape(DASHES)},;/_|]\s*|\s+")


def _element(text: str, part: str) -> str:
    """Return the symbol that a part of a field names, in whatever case."""
    if part in SYMBOLS:
        return part
    if part in ISOTOPES:
        return "H"
    symbol = part.capitalize()
    if symbol in SYMBOLS and part.isascii() and not (part.isupper() and set(part) <= SYMBOLS):
        return symbol
    hint = ""
    if len(text) <= _MAX_LENGTH and (found := _meant(text)):
        hint = f"; is it {found}?"
    raise ValueError(f"{shown(text)}: {shown(part)} is no element; write a phase field as in Li-Sn-S-Cl{hint}")


def _meant(text: str) -> str:
    """The field of the elements of formulas, as in Li2S-SnCl2; "" if a part is none."""
    try:
        formulas = [composition_of(part) for part in _SEPARATOR.split(text.strip())]
    except ValueError:
        return ""
    return PhaseField({element.symbol for formula in formulas for element in formula}).chemists_order()


@cache
def _writing_order(symbol: str) -> tuple[float, str]:
    value = Element(symbol).data.get("X")  # Pauling's; none for noble gases
    return (float(value) if isinstance(value, int | float) else math.inf, symbol)
