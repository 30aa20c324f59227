"""Phase fields: which there are, how familiar each is to a model, and how far that can be trusted."""

from matgen_core.tasks.ranking.choice import ELEMENT_SETS, EXCLUSIONS, MADE, STUDY, Choice, ElementSet, funnel
from matgen_core.tasks.ranking.comparison import (
    Standing,
    compare,
    known_alike,
    ranker_title,
    rankers_of,
    short_ranker_title,
    standings,
    why_they_differ,
)
from matgen_core.tasks.ranking.enumeration import enumerate_fields
from matgen_core.tasks.ranking.evidence import CONTROLS
from matgen_core.tasks.ranking.scores import (
    contributions,
    every_field,
    known_fields,
    misfits,
    rank,
    score,
    score_places,
    scorer,
)
from matgen_core.tasks.ranking.summary import HARDEST, by_element, evidence_frame, rank_of_made, verdict

__all__ = [
    "CONTROLS",
    "ELEMENT_SETS",
    "EXCLUSIONS",
    "HARDEST",
    "MADE",
    "STUDY",
    "Choice",
    "ElementSet",
    "Standing",
    "by_element",
    "compare",
    "contributions",
    "enumerate_fields",
    "every_field",
    "evidence_frame",
    "funnel",
    "known_alike",
    "known_fields",
    "misfits",
    "rank",
    "rank_of_made",
    "ranker_title",
    "rankers_of",
    "score",
    "score_places",
    "scorer",
    "short_ranker_title",
    "standings",
    "verdict",
    "why_they_differ",
]
