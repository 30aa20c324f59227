"""What the recipes of the phase-field rankers share: data, published figures, the evidence of the baselines.

Reference: Vasylenko et al., Nat. Commun. 12, 5561 (2021), doi:10.1038/s41467-021-25343-7
"""

from collections.abc import Sequence
from typing import Any

from matgen_core import data
from matgen_core.materials.fields import PhaseField, parse_phase_field
from matgen_core.recipes.shared.card import paper
from matgen_core.tasks.ranking.baselines import ElementFrequency, PairCoOccurrence
from matgen_core.tasks.ranking.evidence import cross_validate

FIELDS = "icsd2017_quaternary_two_anion"
FEATURES = "magpie_37"
CANDIDATES = "published_scores_candidates_303"
TRAINING_SCORES = "published_scores_training"
_PAPER = paper()["vasylenko"]
PAPER_FOLD_ERRORS = tuple(_PAPER["fold_errors_percent"])  # in the order of the folds
PAPER_BELOW_THRESHOLD = _PAPER["below_threshold"]  # share of the training fields
SYSTEM = "Vasylenko 2021, phase-field VAE"


def known_fields() -> list[PhaseField]:
    """Return the 2,021 training fields in the order of the published list."""
    table = data.load(FIELDS).table
    return [parse_phase_field(text, mixed_valence=True) for text in table["phase_field"]]


def baseline_evidence(known: Sequence[PhaseField]) -> dict[str, Any]:
    """Cross-validate the two baselines in the same way as a ranker."""
    return {
        "element_frequency": cross_validate(lambda fields, fold: ElementFrequency(fields), known),
        "pair_co_occurrence": cross_validate(lambda fields, fold: PairCoOccurrence(fields), known),
    }
