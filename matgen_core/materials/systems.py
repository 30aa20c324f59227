"""The chemical system of a material: its elements, sorted and joined by hyphens."""

from functools import lru_cache
from typing import Any

from pymatgen.core import Element

from matgen_core.materials.fields import DASHES, read_field
from matgen_core.materials.notation import read


@lru_cache(maxsize=500_000)
def chemical_system(formula: str) -> str:
    """Name the elements of a material: sorted symbols joined by hyphens.

    Args:
        formula: A formula ("Fe2O3", "(NH4)2SO4"; "NaN" is sodium nitride) or a phase field
            ("Li-Sn-S-Cl"). Deuterium and tritium count as hydrogen. An element may repeat.

    Returns:
        For example "Fe-O".

    Raises:
        ValueError: In one line, if the text is neither.
    """
    if any(dash in formula for dash in DASHES):
        return "-".join(dict.fromkeys(read_field(formula, mixed_valence=True)[0]))
    return "-".join(sorted(read(formula).amounts))


def symbols_of(system: str) -> list[str]:
    """Return the elements of a chemical system as `chemical_system` writes it: Fe and O of "Fe-O"."""
    return system.split("-")


def chemical_system_of_numbers(numbers: Any) -> str:
    """Name the elements of a list of atomic numbers, as `chemical_system` does."""
    return "-".join(sorted(Element.from_Z(z).symbol for z in {int(number) for number in numbers}))
