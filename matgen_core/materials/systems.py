"""The chemical system of a material: its elements, sorted and joined by hyphens."""

from functools import lru_cache
from typing import Any

from pymatgen.core import Composition, Element


@lru_cache(maxsize=500_000)
def chemical_system(formula: str) -> str:
    """Name the elements of a material: sorted symbols joined by hyphens.

    Args:
        formula: A formula ("Fe2O3", "(NH4)2SO4"; "NaN" is sodium nitride) or a phase field
            ("Li-Sn-S-Cl"). Deuterium and tritium count as hydrogen. An element may repeat.

    Returns:
        For example "Fe-O".

    Raises:
        ValueError: If the text is no formula of known elements.
    """
    try:
        if "-" in formula:
            symbols = {Element(part).symbol for part in formula.split("-")}
        else:
            symbols = {element.symbol for element in Composition(formula)}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{formula!r} is no formula of known elements; write it as Fe2O3, or a phase field as Li-Sn-S-Cl"
        ) from error
    unknown = sorted(symbol for symbol in symbols if not Element.is_valid_symbol(symbol))
    if unknown or not symbols:
        raise ValueError(f"{formula!r}: {', '.join(unknown) or 'it'} is no element; write it as Fe2O3")
    return "-".join(sorted(symbols))


def symbols_of(system: str) -> list[str]:
    """Return the elements of a chemical system as `chemical_system` writes it: Fe and O of "Fe-O"."""
    return system.split("-")


def chemical_system_of_numbers(numbers: Any) -> str:
    """Name the elements of a list of atomic numbers, as `chemical_system` does."""
    return "-".join(sorted(Element.from_Z(z).symbol for z in {int(number) for number in numbers}))
