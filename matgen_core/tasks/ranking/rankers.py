"""What rankers are called, and where they put the field that the study made: read by lists, so without tables."""

from collections.abc import Mapping
from typing import Any

from matgen_core.materials.fields import PhaseField

MADE = PhaseField.parse("Li-Sn-S-Cl")  # the field in which the study then made a new compound
PAIRS = "pair_co_occurrence"
BASELINES = {"element_frequency": "element frequency", PAIRS: "pair co-occurrence"}
PUBLISHED = "phase_field_norm"  # gives every published score within 0.001, as its card says
_SHORT = {PUBLISHED: "published", PAIRS: "pairs"}
HARDEST = "same_counts"  # the control that no ranking by single elements can beat


def ranker_title(name: str) -> str:
    """Call a ranker by a name that people read."""
    return f"published ranking ({name})" if name == PUBLISHED else BASELINES.get(name, name)


def short_ranker_title(name: str) -> str:
    """Call a ranker by a word that fits over a column."""
    return _SHORT.get(name, name)


def rank_of_made(metrics: Mapping[str, Any]) -> str:
    """Write where a ranker put the field in which the study then made a compound; "" if its figures do not say."""
    key = f"rank_of_{MADE.chemists_order()}"
    if key in (published := metrics.get("reproduction", {})):
        return f"{published[key]:,}"
    if key not in (ours := metrics.get("candidates", {})):
        return ""
    low, high = ours[f"rank_range_of_{MADE.chemists_order()}"]
    return f"{ours[key]:,} of {ours['n_candidates']:,} (90 % interval {low:,} to {high:,})"
