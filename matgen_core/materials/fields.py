"""Phase fields: sets of elements, read, written and put in order."""

import math
from collections.abc import Iterable
from functools import lru_cache

from pymatgen.core import Element

ANIONS = ("N", "P", "As", "O", "S", "Se", "Te", "F", "Cl", "Br", "I")  # those of the published training set

PhaseField = tuple[str, ...]


def parse_phase_field(text: str, mixed_valence: bool = False) -> PhaseField:
    """Read a phase field such as "Li-Sn-S-Cl".

    Args:
        text: Element symbols joined by hyphens.
        mixed_valence: Accept a repeated element, as the published training table has it.

    Returns:
        The symbols in alphabetical order.

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
    return tuple(sorted(symbols))


def write_phase_field(field: Iterable[str]) -> str:
    """Join the symbols of a field in alphabetical order: "Cl-Li-S-Sn"."""
    return "-".join(sorted(field))


def anion_group(phase_field: str) -> str:
    """Name the anions of a field, "Cl-S"; P and As count only beside fewer than two others."""
    symbols = set(phase_field.split("-"))
    anions = symbols & set(ANIONS) - {"P", "As"}
    return "-".join(sorted(anions if len(anions) > 1 else symbols & set(ANIONS)))


@lru_cache(maxsize=500_000)
def chemists_order(phase_field: str) -> str:
    """Write a field as chemists do, the most electronegative element last: "Li-Sn-S-Cl"."""
    return "-".join(sorted(phase_field.split("-"), key=lambda symbol: (_electronegativity(symbol), symbol)))


def _electronegativity(symbol: str) -> float:
    value = Element(symbol).data.get("X")  # Pauling's; none for noble gases
    return float(value) if isinstance(value, int | float) else math.inf
