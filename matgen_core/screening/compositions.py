"""Checks on compositions: charge neutrality and electronegativity balance, with SMACT's oxidation states.

One choice of states for each element that adds up to zero is enough to pass, so passing is weak evidence; a
composition of metals, or an element of which nothing is known, is undecided. Rules: Davies et al., Chem 1, 617
(2016), doi:10.1016/j.chempr.2016.09.010, and SMACT, doi:10.21105/joss.01361.
"""

import math
from collections.abc import Callable, Mapping
from functools import reduce
from itertools import pairwise
from typing import Literal

from pymatgen.core import Composition, Structure

from matgen_core.element_table import element_table, writing_order
from matgen_core.screening._verdict import Check, Verdict

OxidationStates = Literal["icsd24", "smact14"]

_MAX_MULTIPLE = 100  # formula units that are tried to make fractional counts whole


def formula_of(composition: Composition) -> str:
    """Return the formula as it stands, from the least to the most electronegative element: "Fe4O6".

    pymatgen's own formulas warn where an element has no electronegativity, and generated ones may hold helium.
    """
    amounts = sorted(composition.items(), key=lambda item: writing_order(item[0].symbol))
    return "".join(element.symbol + (f"{amount:g}" if amount != 1 else "") for element, amount in amounts)


def neutral_check(oxidation_states: OxidationStates = "icsd24", mixed_valence: bool = True) -> Check:
    """Make the check that some choice of oxidation states adds up to zero charge.

    Args:
        oxidation_states: Which set of states; `tables/README.md` says where they come from.
        mixed_valence: Let an element occur in two states at once: elements known for it pass (Fe3O4), other
            metals leave the question open (Pb3O4).
    """

    def judge(composition: Composition) -> Verdict:
        return _judge_charges(composition, oxidation_states, mixed_valence, balanced=False)

    return Check("charge_neutral", _for_compositions(judge))


def balanced_check(oxidation_states: OxidationStates = "icsd24", mixed_valence: bool = True) -> Check:
    """Make the check that in some neutral choice every anion is more electronegative than any cation."""

    def judge(composition: Composition) -> Verdict:
        return _judge_charges(composition, oxidation_states, mixed_valence, balanced=True)

    return Check("electronegativity_balanced", _for_compositions(judge))


def smact_check(oxidation_states: OxidationStates = "smact14", include_alloys: bool = True) -> Check:
    """Make the check that papers call compositional validity (SMACT).

    One oxidation state an element, neutral and balanced; elements pass, and alloys if `include_alloys`. With
    the defaults it is the rule of CDVAE's evaluation (Xie et al., ICLR 2022, arXiv:2110.06197), apart from
    elements without electronegativity or states, which are undecided here.
    """

    def judge(composition: Composition) -> Verdict:
        if include_alloys and len(composition) > 1 and _all_metals(composition):
            return Verdict(True, "metals only: passes by the alloy rule")
        return _judge_charges(composition, oxidation_states, mixed_valence=False, balanced=True, judge_alloys=True)

    return Check("smact_valid", _for_compositions(judge))


def _judge_charges(
    composition: Composition,
    oxidation_states: str,
    mixed_valence: bool,
    balanced: bool,
    judge_alloys: bool = False,
) -> Verdict:
    counts = _whole_counts(composition)
    if counts is None:
        return Verdict(None, f"{formula_of(composition)}: no whole counts with up to {_MAX_MULTIPLE} formula units")
    if len(counts) == 1:
        return Verdict(True, "an element")
    if not judge_alloys and _all_metals(composition):
        return Verdict(None, "metals only: an alloy needs no oxidation states")
    table = element_table()
    missing = sorted(symbol for symbol in counts if not table[symbol].states[oxidation_states])
    if missing:
        return Verdict(None, f"no oxidation states known for {', '.join(missing)} in {oxidation_states}")
    if balanced:
        missing = sorted(symbol for symbol in counts if table[symbol].electronegativity is None)
        if missing:
            return Verdict(None, f"no electronegativity known for {', '.join(missing)}")
    kind = "neutral and balanced" if balanced else "neutral"
    charges = _find_charges(counts, oxidation_states, balanced, mixed=frozenset())
    if charges is not None:
        return Verdict(True, f"{kind}: {charges}")
    if mixed_valence:
        known = frozenset(symbol for symbol in counts if table[symbol].mixed_valence)
        charges = _find_charges(counts, oxidation_states, balanced, mixed=known)
        if charges is not None:
            return Verdict(True, f"{kind} with mixed valence: {charges}")
        metals = frozenset(symbol for symbol in counts if table[symbol].metal)
        charges = _find_charges(counts, oxidation_states, balanced, mixed=metals)
        if charges is not None:
            return Verdict(None, f"{kind} only with an unusual mixed valence: {charges}")
    return Verdict(False, f"no choice of the {oxidation_states} oxidation states is {kind}")


def _whole_counts(composition: Composition) -> dict[str, int] | None:
    """Return the smallest whole counts in the ratio of the composition (Li3.3SnS3.3Cl0.7 times ten)."""
    amounts = {element.symbol: amount for element, amount in composition.items()}
    for multiple in range(1, _MAX_MULTIPLE + 1):
        counts = {symbol: round(amount * multiple) for symbol, amount in amounts.items()}
        if all(abs(count - amounts[symbol] * multiple) < 1e-4 * multiple for symbol, count in counts.items()):
            divisor = reduce(math.gcd, counts.values())
            return {symbol: count // divisor for symbol, count in counts.items()} if 0 not in counts.values() else None
    return None


def _find_charges(
    counts: Mapping[str, int], oxidation_states: str, balanced: bool, mixed: frozenset[str]
) -> str | None:
    """Return one choice of states as text, or None.

    Anions are more electronegative than cations exactly if some cut in electronegativity leaves all cations
    at or below it and all anions above; so for each cut every element has its sign and the sums of charge are
    a set that grows by one element at a time, instead of a product over all of them.
    """
    table = element_table()
    choices = {
        symbol: _element_charges(table[symbol].states[oxidation_states], n, symbol in mixed)
        for symbol, n in counts.items()
    }
    if not balanced:
        return _zero_sum(choices)
    scale = {symbol: table[symbol].electronegativity or 0.0 for symbol in counts}
    for cut in sorted(set(scale.values()))[:-1]:
        signed = {
            symbol: {
                charge: states
                for charge, states in charges.items()
                if all((state >= 0) if scale[symbol] <= cut else (state <= 0) for state in states)
            }
            for symbol, charges in choices.items()
        }
        found = _zero_sum(signed)
        if found is not None:
            return found
    return None


def _element_charges(states: tuple[int, ...], n: int, mixed: bool) -> dict[int, tuple[int, ...]]:
    """Return the total charges that n atoms of an element can have, with the states behind each.

    Mixed valence means two neighboring states of one sign (Fe+2/+3), as in nature.
    """
    charges: dict[int, tuple[int, ...]] = {n * state: (state,) for state in states}
    if mixed:
        for low, high in pairwise(sorted(states)):
            if low * high > 0:
                for n_high in range(1, n):
                    charges.setdefault(n * low + n_high * (high - low), (low, high))
    return charges


def _zero_sum(choices: Mapping[str, Mapping[int, tuple[int, ...]]]) -> str | None:
    reached: dict[int, tuple[tuple[int, ...], ...]] = {0: ()}
    for charges in choices.values():
        reached = {
            total + charge: (*used, states) for total, used in reached.items() for charge, states in charges.items()
        }
    if 0 not in reached:
        return None
    return " ".join(
        symbol + "/".join(f"{state:+d}" for state in states) for symbol, states in zip(choices, reached[0], strict=True)
    )


def _all_metals(composition: Composition) -> bool:
    table = element_table()
    return all(table[element.symbol].metal for element in composition if element.symbol in table)


def _for_compositions(
    judge: Callable[[Composition], Verdict],
) -> Callable[[Structure | Composition], Verdict]:
    def guarded(material: Structure | Composition) -> Verdict:
        composition = material if isinstance(material, Composition) else material.composition
        unknown = sorted({element.symbol for element in composition} - element_table().keys())
        if unknown:
            return Verdict(None, f"nothing known of {', '.join(unknown)}")
        return judge(composition)

    return guarded
