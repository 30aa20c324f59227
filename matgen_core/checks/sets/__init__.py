"""Figures for models that reconstruct or generate crystals, by the protocol that the field compares with."""

from matgen_core.checks.sets.fingerprints import (
    MP20_CUTOFFS,
    PEROV5_CUTOFFS,
    CoverageCutoffs,
    Fingerprints,
    coverage,
    fingerprints,
)
from matgen_core.checks.sets.generation import (
    evaluate_generation,
    property_distances,
    same_structure,
    uniqueness_and_novelty,
)
from matgen_core.checks.sets.reconstruction import evaluate_reconstruction, matcher, summarize
from matgen_core.checks.sets.validity import composition_validity, structure_validity, validity

__all__ = [
    "MP20_CUTOFFS",
    "PEROV5_CUTOFFS",
    "CoverageCutoffs",
    "Fingerprints",
    "composition_validity",
    "coverage",
    "evaluate_generation",
    "evaluate_reconstruction",
    "fingerprints",
    "matcher",
    "property_distances",
    "same_structure",
    "structure_validity",
    "summarize",
    "uniqueness_and_novelty",
    "validity",
]
