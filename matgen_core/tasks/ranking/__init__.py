"""Phase fields: which there are, how familiar each is to a model, and how far that can be trusted."""

from matgen_core.tasks.ranking.choice import ELEMENT_SETS, EXCLUSIONS, STUDY, Choice, ElementSet, funnel
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
from matgen_core.tasks.ranking.summary import HARDEST, by_element, evidence_frame, verdict

__all__ = [
    "CONTROLS",
    "ELEMENT_SETS",
    "EXCLUSIONS",
    "HARDEST",
    "STUDY",
    "Choice",
    "ElementSet",
    "by_element",
    "contributions",
    "enumerate_fields",
    "every_field",
    "evidence_frame",
    "funnel",
    "known_fields",
    "misfits",
    "rank",
    "score",
    "score_places",
    "scorer",
    "verdict",
]
