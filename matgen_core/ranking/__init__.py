"""Phase fields: which there are, how familiar each is to a model, and how far that can be trusted."""

from matgen_core.ranking.enumeration import ANIONS, check_elements, enumerate_fields
from matgen_core.ranking.scores import (
    contributions,
    every_field,
    known_fields,
    rank,
    score,
    score_places,
    scorer,
)

__all__ = [
    "ANIONS",
    "check_elements",
    "contributions",
    "enumerate_fields",
    "every_field",
    "known_fields",
    "rank",
    "score",
    "score_places",
    "scorer",
]
