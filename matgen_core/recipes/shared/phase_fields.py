"""What the recipes of the phase-field rankers share: data, evidence, and words about what a score is.

Reference: Vasylenko et al., Nat. Commun. 12, 5561 (2021), doi:10.1038/s41467-021-25343-7
"""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from matgen_core import data
from matgen_core.materials.fields import PhaseField
from matgen_core.recipes.shared.card import markdown_table
from matgen_core.tasks.ranking.baselines import ElementFrequency, PairCoOccurrence
from matgen_core.tasks.ranking.evidence import CONTROLS, cross_validate

FIELDS = "icsd2017_quaternary_two_anion"
FEATURES = "magpie_37"
CANDIDATES = "published_scores_candidates_303"
TRAINING_SCORES = "published_scores_training"
PAPER_FOLD_ERRORS = (24.26, 20.05, 19.80, 26.24, 13.37)  # %, in the order of the folds
PAPER_BELOW_THRESHOLD = 0.795  # share of the training fields
SYSTEM = "Vasylenko 2021, phase-field VAE"
OUT_OF_SCOPE = """
- Stability. A low score says that a field resembles fields that are known to hold a compound. No field without
  a compound was ever seen, so nothing here is a probability that one forms.
- Compositions and structures. A field names elements, not amounts.
- Fields of another size than four elements, and elements that no training field holds (they are scored from
  their features, and the ranking names them).
"""


def known_fields() -> list[PhaseField]:
    """Return the 2,021 training fields in the order of the published list."""
    table = data.load(FIELDS).table
    return [PhaseField.parse(text, mixed_valence=True) for text in table["phase_field"]]


def baseline_evidence(known: Sequence[PhaseField]) -> dict[str, Any]:
    """Cross-validate the two baselines in the same way as a ranker."""
    return {
        "element_frequency": cross_validate(lambda fields, fold: ElementFrequency(fields), known),
        "pair_co_occurrence": cross_validate(lambda fields, fold: PairCoOccurrence(fields), known),
    }


def evidence_table(evidence: dict[str, dict[str, Any]]) -> str:
    """Write rankers by controls in Markdown: AUC with its spread over folds, enrichment, share below threshold."""
    rows = [
        {
            "ranker": ranker,
            "against": CONTROLS[control],
            "AUC": f"{parts[control]['auc']['mean']:.3f} ± {parts[control]['auc']['std']:.3f}",
            "enrichment in top 1 %": f"{parts[control]['enrichment_1']['mean']:.1f}",
            "in top 5 %": f"{parts[control]['enrichment_5']['mean']:.1f}",
            "held out below threshold": f"{parts['below_threshold']['held_out']['mean']:.1%}",
            "random below threshold": f"{parts['below_threshold'][control]['mean']:.1%}",
        }
        for ranker, parts in evidence.items()
        for control in CONTROLS
    ]
    return markdown_table(pd.DataFrame(rows))
