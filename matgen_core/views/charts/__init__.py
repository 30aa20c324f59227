"""Tables to plotly figures; no side effects.

Figures leave fonts, backgrounds and the first categorical colors to the template in force, so the app draws them
in its light or dark theme and a notebook in its own. Colors that carry a meaning are readable on both.
"""

from matgen_core.views.charts._colors import ACCENT, CANDIDATE, KNOWN, MUTED
from matgen_core.views.charts.compositions import ShareColumn, answers, element_shares, funnel, generated_map
from matgen_core.views.charts.materials import (
    ANGLE,
    INTENSITY,
    contributions,
    difference,
    evidence,
    faithfulness,
    journey,
    powder_pattern,
    ranking,
    scores,
)
from matgen_core.views.charts.validation import generators, hull, relaxation

__all__ = [
    "ACCENT",
    "ANGLE",
    "CANDIDATE",
    "INTENSITY",
    "KNOWN",
    "MUTED",
    "ShareColumn",
    "answers",
    "contributions",
    "difference",
    "element_shares",
    "evidence",
    "faithfulness",
    "funnel",
    "generated_map",
    "generators",
    "hull",
    "journey",
    "powder_pattern",
    "ranking",
    "relaxation",
    "scores",
]
