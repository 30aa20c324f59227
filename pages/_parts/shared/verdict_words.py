"""What the checks say of a formula, as every page writes it."""

import pandas as pd
import streamlit as st

from matgen_core import checks
from pages._parts.shared.plain_text import plain

TITLES = {
    "charge_neutral": "Charge neutral",
    "electronegativity_balanced": "Electronegativity balanced",
    "smact_valid": "SMACT validity",
    "usual_states": "Usual oxidation states",
}
SHORT = {  # over narrow columns
    "charge_neutral": "Neutral",
    "electronegativity_balanced": "Balanced",
    "smact_valid": "SMACT",
    "usual_states": "Usual",
}
MARKS = {True: "✓", False: "✕", None: "?"}
_WORDS = {True: "yes", False: "no", None: "undecided"}
_COLORS = {True: "green", False: "red", None: "orange"}


def line(title: str, answer: bool | None, reason: str) -> str:
    """Write a verdict with its reason."""
    return f"**{title}** :{_COLORS[answer]}-badge[{MARKS[answer]} {_WORDS[answer]}] :small[{plain(reason)}]"


@st.cache_data(max_entries=256, show_spinner=False)
def lines(formula: str) -> list[str]:
    """Write every verdict on a formula.

    Raises:
        ValueError: If it is no formula.
    """
    row = checks.screen_texts([formula], checks.FORMULA_RULES).iloc[0]
    if row["problem"]:
        raise ValueError(row["problem"])
    return [
        line(title, None if pd.isna(row[name]) else bool(row[name]), str(row[f"{name}_reason"]))
        for name, title in TITLES.items()
    ]
