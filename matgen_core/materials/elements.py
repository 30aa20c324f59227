"""What SMACT knows of each element, H to Lr: electronegativity, metal or not, oxidation states.

`tables/README.md` says where the figures come from.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd
from pymatgen.core import Element

from matgen_core.materials.notation import ISOTOPES, SYMBOLS, meant, shown

# Without a stable isotope; Bi, with a half-life of 2e19 years, counts as stable.
RADIOACTIVE = (
    *("Tc", "Pm", "Po", "At", "Rn", "Fr", "Ra", "Ac", "Th", "Pa", "U", "Np", "Pu", "Am", "Cm", "Bk", "Cf"),
    *("Es", "Fm", "Md", "No", "Lr", "Rf", "Db", "Sg", "Bh", "Hs", "Mt", "Ds", "Rg", "Cn", "Nh", "Fl", "Mc"),
    *("Lv", "Ts", "Og"),
)


@dataclass(frozen=True)
class ElementFacts:
    """One element."""

    symbol: str
    number: int  # atomic number
    electronegativity: float | None  # Pauling
    metal: bool
    mixed_valence: bool
    states: Mapping[str, tuple[int, ...]]  # oxidation states by the name of their set

    @property
    def writing_order(self) -> tuple[float, str]:
        """Place in a formula: from the least to the most electronegative, those without a value before the noble."""
        return (self.electronegativity or 9.0, self.symbol)


@cache
def element_table() -> Mapping[str, ElementFacts]:
    """Return the elements by their symbols, in the order of their atomic numbers."""
    # the default marks of missing values would take sodium's "Na" for one
    table = pd.read_csv(Path(__file__).parents[1] / "tables" / "smact_elements.csv", keep_default_na=False)
    return {
        row.element: ElementFacts(
            row.element,
            number,
            float(row.pauling_electronegativity) if row.pauling_electronegativity else None,
            bool(row.metal),
            bool(row.mixed_valence),
            {
                "icsd24": tuple(int(state) for state in row.icsd24.split()),
                "icsd24_usual": tuple(int(state) for state in row.icsd24_usual.split()),
                "smact14": tuple(int(state) for state in row.smact14.split()),
            },
        )
        for number, row in enumerate(table.itertuples(), start=1)
    }


def writing_order(symbol: str) -> tuple[float, str]:
    """Return an element's place in a formula; those that are not in the table come last."""
    facts = element_table().get(symbol)
    return facts.writing_order if facts else (math.inf, symbol)


def check_elements(symbols: Iterable[str]) -> list[str]:
    """Return the symbols without repeats, in the order given.

    Raises:
        ValueError: If one is no element.
    """
    symbols = [symbol.strip() for symbol in symbols]
    for symbol in symbols:
        if symbol in ISOTOPES:
            raise ValueError(f"{symbol}: {ISOTOPES[symbol]} counts as hydrogen here; write H")
        if symbol not in SYMBOLS:
            found = meant(symbol)
            hint = f" (is it {' or '.join(found)}?)" if found else ""
            raise ValueError(f"{shown(symbol)} is no element{hint}; write symbols as in Li,Na,K")
    return list(dict.fromkeys(symbols))


def every_element() -> tuple[str, ...]:
    """Return the symbols of the 118 elements in the order of their atomic numbers."""
    return tuple(Element.from_Z(z).symbol for z in range(1, 119))
