"""Checks on compositions and structures: pass, fail or undecided, each with its reason."""

from matgen_core.checks.charges import (
    ChargeRule,
    OxidationStates,
    Verdicts,
    balanced_rule,
    neutral_rule,
    screen_formulas,
    smact_rule,
    usual_rule,
)
from matgen_core.checks.compositions import balanced_check, formula_of, neutral_check, smact_check
from matgen_core.checks.structures import (
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
from matgen_core.checks.table import Attempt, as_booleans, as_material, pass_rates, screen, screen_texts
from matgen_core.checks.verdict import Check, Verdict

COMPOSITION_CHECKS = (neutral_check(), balanced_check(), smact_check())
COMPOSITION_RULES = (neutral_rule(), balanced_rule(), smact_rule())
FORMULA_RULES = (*COMPOSITION_RULES, usual_rule())  # the last is a warning, no part of what papers call valid
STRUCTURE_CHECKS = (lattice_check(), order_check(), distance_check(), strict_distance_check(), volume_check())

__all__ = [
    "COMPOSITION_CHECKS",
    "COMPOSITION_RULES",
    "FORMULA_RULES",
    "STRUCTURE_CHECKS",
    "Attempt",
    "ChargeRule",
    "Check",
    "Closest",
    "OxidationStates",
    "Verdict",
    "Verdicts",
    "as_booleans",
    "as_material",
    "balanced_check",
    "balanced_rule",
    "closest_sites",
    "distance_check",
    "formula_of",
    "lattice_check",
    "lattice_problem",
    "neutral_check",
    "neutral_rule",
    "order_check",
    "pass_rates",
    "screen",
    "screen_formulas",
    "screen_texts",
    "size_check",
    "smact_check",
    "smact_rule",
    "strict_distance_check",
    "usual_rule",
    "volume_check",
    "volume_per_atom",
]
