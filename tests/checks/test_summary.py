"""The summary of the verdicts on a formula: one answer with its reason, never against the rules that decide it."""

import pandas as pd
import pytest
from pymatgen.core import Composition

from matgen_core.checks import COMPOSITION_CHECKS, COMPOSITION_RULES, screen, screen_texts, smact_check, smact_rule

MIXED = ("Fe3O4", "Co3O4", "Mn3O4", "LiMn2O4", "MgB2", "Cs2SbCl6", "SbO2", "Eu3S4", "LiV2O4", "Fe7S8", "Ti4O7", "KBiO3")
SUMMARIES = {  # True, False or None, and what the reason says
    "NaCl": (True, "neutral and balanced: Na+1 Cl-1"),
    "Fe3O4": (True, "neutral and balanced with mixed valence: Fe+2/+3 O-2"),
    "Pb3O4": (None, "neutral only with an unusual mixed valence: Pb+2/+3 O-2"),
    "Cu3Al": (None, "metals only: an alloy needs no oxidation states"),
    "KO2": (False, "no choice of the icsd24 oxidation states is neutral"),
    "PdH": (False, "no choice of the icsd24 oxidation states is neutral and balanced"),
    "nonsense": (False, "not decoded: 'nonsense' is no formula"),
    "Fe3000.5O4000": (True, "mixed valence: Fe+2/+3 O-2"),
}


def test_mixed_valence_is_not_invalid_by_the_short_rule() -> None:
    table = screen_texts(MIXED, COMPOSITION_RULES)
    decided = table[["charge_neutral", "electronegativity_balanced"]].all(axis=1)
    assert (table["valid"] == decided).all()
    assert decided.sum() >= 10
    assert (~table["smact_valid"].astype(bool)).sum() >= 8, "the short rule would have refused them"
    assert (table.loc[decided, "valid_reason"] == table.loc[decided, "electronegativity_balanced_reason"]).all()


def test_a_summary_has_the_reason_that_decides_it() -> None:
    table = screen_texts(list(SUMMARIES), COMPOSITION_RULES).set_index("formula")
    one_by_one = screen(list(SUMMARIES), COMPOSITION_CHECKS)
    for row, (text, (valid, reason)) in enumerate(SUMMARIES.items()):
        for found, why in (
            (table.loc[text, "valid"], table.loc[text, "valid_reason"]),
            (one_by_one["valid"][row], one_by_one["valid_reason"][row]),
        ):
            assert (None if pd.isna(found) else bool(found)) is valid, text
            assert reason in why, text


@pytest.mark.parametrize("text", ["Fe3O4", "NaCl"])
def test_a_rule_that_stands_alone_decides(text: str) -> None:
    expected = text == "NaCl"
    assert screen_texts([text], [smact_rule()])["valid"].tolist() == [expected]
    assert screen([Composition(text)], [smact_check()])["valid"].tolist() == [expected]
