"""Checks on single compositions, fractional ones too; `charges` says what is asked and judges many at once."""

import math
from collections.abc import Sequence
from functools import reduce

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Composition, Structure

from matgen_core.checks.charges import ChargeRule, OxidationStates, balanced_rule, judge, neutral_rule, smact_rule
from matgen_core.checks.verdict import Check, Verdict
from matgen_core.materials.elements import element_table, writing_order

_MAX_MULTIPLE = 100  # formula units that are tried to make fractional counts whole


def formula_of(composition: Composition) -> str:
    """Return the formula as it stands, from the least to the most electronegative element: "Fe4O6".

    pymatgen's own formulas warn where an element has no electronegativity, and generated ones may hold helium.
    """
    amounts = sorted(composition.items(), key=lambda item: writing_order(item[0].symbol))
    return "".join(element.symbol + (f"{amount:g}" if amount != 1 else "") for element, amount in amounts)


def neutral_check(oxidation_states: OxidationStates = "icsd24", mixed_valence: bool = True) -> Check:
    """Make the check of `neutral_rule`."""
    return _check(neutral_rule(oxidation_states, mixed_valence))


def balanced_check(oxidation_states: OxidationStates = "icsd24", mixed_valence: bool = True) -> Check:
    """Make the check of `balanced_rule`."""
    return _check(balanced_rule(oxidation_states, mixed_valence))


def smact_check(oxidation_states: OxidationStates = "smact14", include_alloys: bool = True) -> Check:
    """Make the check of `smact_rule`."""
    return _check(smact_rule(oxidation_states, include_alloys))


def whole_counts(compositions: Sequence[Composition]) -> tuple[NDArray[np.uint8], NDArray[np.int64], list[str]]:
    """Lay out compositions with the smallest whole counts in their ratios (Li3.3SnS3.3Cl0.7 times ten).

    Returns:
        Atomic numbers in writing order and counts, (N, n_slots) each, and why a row has none ("" where it has).
    """
    rows, problems = [], []
    for composition in compositions:
        unknown = sorted({element.symbol for element in composition} - element_table().keys())
        counts = {} if unknown else _whole_counts(composition)
        rows.append(counts or {})
        if unknown:
            problems.append(f"nothing known of {', '.join(unknown)}")
        elif counts is None:
            formula = formula_of(composition)
            problems.append(f"{formula}: no whole counts with up to {_MAX_MULTIPLE} formula units")
        else:
            problems.append("")
    width = max((len(counts) for counts in rows), default=0)
    numbers, amounts = np.zeros((len(rows), width), np.uint8), np.zeros((len(rows), width), np.int64)
    for row, counts in enumerate(rows):
        for slot, symbol in enumerate(sorted(counts, key=writing_order)):
            numbers[row, slot], amounts[row, slot] = element_table()[symbol].number, counts[symbol]
    return numbers, amounts, problems


def _check(rule: ChargeRule) -> Check:
    def judge_one(material: Structure | Composition) -> Verdict:
        composition = material if isinstance(material, Composition) else material.composition
        numbers, counts, (problem,) = whole_counts([composition])
        if problem:
            return Verdict(None, problem)
        verdicts = judge(rule, numbers, counts)
        answer = int(verdicts.answers[0])
        return Verdict(None if answer < 0 else bool(answer), verdicts.reasons()[0])

    return Check(rule.name, judge_one, rule.decides)


def _whole_counts(composition: Composition) -> dict[str, int] | None:
    amounts = {element.symbol: amount for element, amount in composition.items()}
    for multiple in range(1, _MAX_MULTIPLE + 1):
        counts = {symbol: round(amount * multiple) for symbol, amount in amounts.items()}
        if all(abs(count - amounts[symbol] * multiple) < 1e-4 * multiple for symbol, count in counts.items()):
            divisor = reduce(math.gcd, counts.values(), 0)
            return {symbol: count // divisor for symbol, count in counts.items()} if 0 not in counts.values() else None
    return None
