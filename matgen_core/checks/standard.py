"""The checks and rules that everything here is judged by."""

from matgen_core.checks.charges import balanced_rule, neutral_rule, smact_rule, usual_rule
from matgen_core.checks.compositions import balanced_check, neutral_check, smact_check
from matgen_core.checks.structures import (
    distance_check,
    lattice_check,
    order_check,
    strict_distance_check,
    volume_check,
)

COMPOSITION_CHECKS = (neutral_check(), balanced_check(), smact_check())
COMPOSITION_RULES = (neutral_rule(), balanced_rule(), smact_rule())
FORMULA_RULES = (*COMPOSITION_RULES, usual_rule())  # the last is a warning, no part of what papers call valid
STRUCTURE_CHECKS = (lattice_check(), order_check(), distance_check(), strict_distance_check(), volume_check())
