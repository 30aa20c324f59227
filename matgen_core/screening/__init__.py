"""Checks on compositions and structures: pass, fail or undecided, each with its reason."""

from matgen_core.screening._verdict import Check, Verdict
from matgen_core.screening.compositions import (
    OxidationStates,
    balanced_check,
    formula_of,
    neutral_check,
    smact_check,
)
from matgen_core.screening.structures import (
    Closest,
    closest_sites,
    distance_check,
    lattice_check,
    lattice_problem,
    order_check,
    size_check,
    strict_distance_check,
    volume_check,
    volume_per_atom,
)
from matgen_core.screening.table import Attempt, as_material, pass_rates, screen

COMPOSITION_CHECKS = (neutral_check(), balanced_check(), smact_check())
STRUCTURE_CHECKS = (lattice_check(), order_check(), distance_check(), strict_distance_check(), volume_check())

__all__ = [
    "COMPOSITION_CHECKS",
    "STRUCTURE_CHECKS",
    "Attempt",
    "Check",
    "Closest",
    "OxidationStates",
    "Verdict",
    "as_material",
    "balanced_check",
    "closest_sites",
    "distance_check",
    "formula_of",
    "lattice_check",
    "lattice_problem",
    "neutral_check",
    "order_check",
    "pass_rates",
    "screen",
    "size_check",
    "smact_check",
    "strict_distance_check",
    "volume_check",
    "volume_per_atom",
]
