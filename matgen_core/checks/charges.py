"""Charge neutrality and electronegativity balance of millions of formulas, with SMACT's oxidation states.

One choice of states for each element that adds up to zero is enough to pass, so passing is weak evidence; a
composition of metals, or an element of which nothing is known, is undecided. Rules: Davies et al., Chem 1, 617
(2016), doi:10.1016/j.chempr.2016.09.010, and SMACT, doi:10.21105/joss.01361.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from matgen_core.checks.findings import (
    ALLOY,
    ALLOY_PASSES,
    ANSWERS,
    MAX_COUNT,
    MIXED,
    NO_ELECTRONEGATIVITY,
    NO_STATES,
    NOTHING,
    PLAIN,
    UNUSUAL,
)
from matgen_core.materials.elements import element_table
from matgen_core.materials.formulas import Formulas

if TYPE_CHECKING:
    from matgen_core.checks.kernel import States

OxidationStates = Literal["icsd24", "icsd24_usual", "smact14"]

_CHUNK = 20_000  # formulas that one thread judges at a time
_SETS = {  # as people read them
    "icsd24": "icsd24 oxidation states",
    "icsd24_usual": "usual oxidation states (1 % or more of an element's entries in the ICSD)",
    "smact14": "smact14 oxidation states",
}
_ALLOYS = {"open": ALLOY, "pass": ALLOY_PASSES, "judge": NOTHING}


@dataclass(frozen=True)
class ChargeRule:
    """What is asked of the oxidation states of a formula.

    Attributes:
        name: Column of the verdict in a screening table.
        oxidation_states: Which set of states; `tables/README.md` says where they come from.
        balanced: Whether every anion must be more electronegative than any cation.
        mixed_valence: Let an element occur in two neighboring states of one sign at once: elements known for it pass
            (Fe3O4), other metals leave the question open (Pb3O4).
        alloys: Whether metals alone leave the question open, pass, or are judged as everything else.
        decides: Whether it has a say in the summary `valid` of a table.
    """

    name: str
    oxidation_states: OxidationStates
    balanced: bool
    mixed_valence: bool
    alloys: Literal["open", "pass", "judge"]
    decides: bool = True


def neutral_rule(oxidation_states: OxidationStates = "icsd24", mixed_valence: bool = True) -> ChargeRule:
    """Ask that some choice of oxidation states adds up to zero charge."""
    return ChargeRule("charge_neutral", oxidation_states, False, mixed_valence, "open")


def balanced_rule(oxidation_states: OxidationStates = "icsd24", mixed_valence: bool = True) -> ChargeRule:
    """Ask that in some neutral choice every anion is more electronegative than any cation."""
    return ChargeRule("electronegativity_balanced", oxidation_states, True, mixed_valence, "open")


def usual_rule() -> ChargeRule:
    """Ask that usual states add up to zero charge: those of at least 1 % of an element's entries in the ICSD.

    What fails but is neutral rests on a state that is hardly ever seen, such as Sr+4; peroxides do, too.
    """
    return ChargeRule("usual_states", "icsd24_usual", False, True, "open")


def smact_rule(oxidation_states: OxidationStates = "smact14", include_alloys: bool = True) -> ChargeRule:
    """Ask what papers call compositional validity (SMACT).

    One oxidation state an element, neutral and balanced; elements pass, and alloys if `include_alloys`. With
    the defaults it is the rule of CDVAE's evaluation (Xie et al., ICLR 2022, arXiv:2110.06197), apart from
    elements without electronegativity or states, which are undecided here. It knows no mixed valence and few states,
    and refuses Fe3O4; so the summary `valid` of a table goes by the longer rules, and this one stands beside it.
    """
    return ChargeRule("smact_valid", oxidation_states, True, False, "pass" if include_alloys else "judge", False)


@dataclass(frozen=True, eq=False)
class Verdicts:
    """What a rule says of many formulas.

    Attributes:
        rule: The rule.
        numbers: (N, n_slots) uint8, atomic numbers in writing order.
        counts: (N, n_slots), any whole numbers.
        findings: (N,) int8, codes of `checks.findings`.
    """

    rule: ChargeRule
    numbers: NDArray[np.uint8]
    counts: NDArray[np.integer]
    findings: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.findings)

    @property
    def answers(self) -> NDArray[np.int8]:
        """1 for pass, 0 for fail, -1 for undecided, (N,)."""
        return ANSWERS[self.findings]

    def reasons(self, rows: NDArray[np.integer] | slice = slice(None)) -> NDArray[np.object_]:
        """Say why: "neutral: Fe+3 O-2".

        Args:
            rows: Which formulas, for instance those of a page of a table; all if not given.
        """
        numbers, counts, findings = self.numbers[rows], self.counts[rows], self.findings[rows]
        kind = "neutral and balanced" if self.rule.balanced else "neutral"
        states = self.rule.oxidation_states
        texts = np.array(
            [
                f"no choice of the {_SETS[states]} is {kind}",
                f"{kind}: ",
                f"{kind} with mixed valence: ",
                f"{kind} only with an unusual mixed valence: ",
                "an element",
                "metals only: an alloy needs no oxidation states",
                "metals only: passes by the alloy rule",
                "no oxidation states known for ",
                "no electronegativity known for ",
                "no elements",
                f"counts above {MAX_COUNT:,} are not judged",
            ],
            object,
        )[findings]
        chosen_rows = np.flatnonzero(np.isin(findings, (PLAIN, MIXED, UNUSUAL)))
        if len(chosen_rows):
            choices = np.zeros((len(chosen_rows), numbers.shape[1], 2), np.int64)
            _search(self.rule, numbers[chosen_rows], counts[chosen_rows], choices)
            texts[chosen_rows] += _write_choices(numbers[chosen_rows], choices)
        table = _states_of(states)
        for code, lacks in (
            (NO_STATES, table.n_states[2] == 0),
            (NO_ELECTRONEGATIVITY, np.isnan(table.electronegativity)),
        ):
            for row in np.flatnonzero(findings == code):
                missing = sorted(_symbols()[number] for number in numbers[row] if number and lacks[number])
                texts[row] += ", ".join(missing) + (f" in {states}" if code == NO_STATES else "")
        return np.asarray(texts)


def screen_formulas(formulas: Formulas, rules: Sequence[ChargeRule]) -> list[Verdicts]:
    """Judge formulas by some rules.

    Args:
        formulas: Any number; one without elements fails.
        rules: For instance `COMPOSITION_RULES`.

    Returns:
        What each rule says, in order.
    """
    return [judge(rule, formulas.numbers, formulas.counts) for rule in rules]


def judge(rule: ChargeRule, numbers: NDArray[np.uint8], counts: NDArray[np.integer]) -> Verdicts:
    """Judge formulas whose counts may be larger than those of `Formulas`.

    Args:
        rule: The rule.
        numbers: (N, n_slots) atomic numbers in writing order, 0 behind them.
        counts: (N, n_slots) whole numbers.
    """
    return Verdicts(rule, numbers, counts, _search(rule, numbers, counts))


def _search(
    rule: ChargeRule,
    numbers: NDArray[np.uint8],
    counts: NDArray[np.integer],
    choices: NDArray[np.int64] | None = None,
) -> NDArray[np.int8]:
    """Run the compiled search, in threads if there is much to do; write the choices that it finds."""
    from matgen_core.checks import kernel  # compiles, or loads what was compiled

    states = _states_of(rule.oxidation_states)
    findings = np.empty(len(numbers), np.int8)
    written = np.empty((len(numbers), 0, 2), np.int64) if choices is None else choices

    def part(start: int) -> None:
        rows = slice(start, start + _CHUNK)
        amounts = counts[rows].astype(np.int64)
        n_atoms = np.minimum(amounts, MAX_COUNT).sum(1).max(initial=0)
        kernel.judge(
            np.ascontiguousarray(numbers[rows]),
            amounts,
            states,
            rule.balanced,
            rule.mixed_valence,
            _ALLOYS[rule.alloys],
            int(n_atoms) * int(np.abs(states.charges).max()) // 64 + 1,
            findings[rows],
            written[rows],
        )

    starts = range(0, len(numbers), _CHUNK)
    if len(starts) > 1:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(part, starts))
    else:
        for start in starts:
            part(start)
    return findings


def _write_choices(numbers: NDArray[np.uint8], choices: NDArray[np.int64]) -> NDArray[np.object_]:
    """Write states, "Fe+2/+3 O-2"; each different ion is written once."""
    ions = np.concatenate([numbers[..., None].astype(np.int64), choices], 2)
    codes = ions @ np.array([10_000, 100, 1])
    _, first, places = np.unique(codes, return_index=True, return_inverse=True)
    names = np.array([_write_ion(*ion) for ion in ions.reshape(-1, 3)[first]], object)
    written = names[places.reshape(codes.shape)].sum(1)
    return np.array([text[1:] for text in written], object)


def _write_ion(number: int, low: int, high: int) -> str:
    if not number:
        return ""
    return f" {_symbols()[number]}{low:+d}" + (f"/{high:+d}" if high != low else "")


@cache
def _symbols() -> dict[int, str]:
    return {facts.number: symbol for symbol, facts in element_table().items()}


@cache
def _states_of(oxidation_states: str) -> "States":
    """Lay out a set of states for the search."""
    from matgen_core.checks import kernel

    table = element_table()
    width = max(len(facts.states[oxidation_states]) for facts in table.values())
    charges, steps = np.zeros((2, 3, 256, width), np.int64)
    joined, n_states = np.zeros((3, 256, width), bool), np.zeros((3, 256), np.int64)
    electronegativity = np.full(256, np.nan)
    may_mix, metal = np.zeros((4, 256), bool), np.zeros(256, bool)
    for facts in table.values():
        known = sorted(facts.states[oxidation_states], reverse=True)
        number = facts.number
        lists: list[Any] = [[s for s in known if s > 0], sorted(s for s in known if s < 0), known]
        for sign, values in enumerate(lists):
            n_states[sign, number] = len(values)
            charges[sign, number, : len(values)] = values
            steps[sign, number, : len(values)] = values if sign == 0 else np.abs(values)
            joined[sign, number, : max(len(values) - 1, 0)] = [a * b > 0 for a, b in pairwise(values)]
        if known:
            steps[2, number, : len(known)] = np.array(known) - known[-1]
        if facts.electronegativity is not None:
            electronegativity[number] = facts.electronegativity
        metal[number] = facts.metal
        may_mix[MIXED, number] = facts.mixed_valence
        may_mix[UNUSUAL, number] = facts.metal
    return kernel.States(charges, steps, joined, n_states, electronegativity, may_mix, metal)
