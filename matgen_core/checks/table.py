"""The screening table: one row for every sample, failed decodes included.

A sample that could not be decoded keeps its row and fails every check, so that each rate has all samples in
its denominator.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pymatgen.core import Composition, Structure

from matgen_core.checks.charges import ChargeRule, judge
from matgen_core.checks.compositions import formula_of, whole_counts
from matgen_core.checks.structures import closest_sites, lattice_problem, volume_per_atom
from matgen_core.checks.verdict import Check, Verdict
from matgen_core.materials.formulas import Formulas
from matgen_core.materials.notation import composition_of


@runtime_checkable
class Attempt(Protocol):
    """A decoded sample: a material, or none and the problem that stood in the way."""

    material: Any
    problem: Any


def as_material(sample: Any) -> tuple[Structure | Composition | None, str]:
    """Return the material of a sample and what is wrong with it ("" if nothing).

    Args:
        sample: A structure, a composition, a formula, an object with `material` and `problem` (a decoded
            sample), an exception, or None for a sample that failed without a word.
    """
    if isinstance(sample, Structure | Composition):
        if len(sample) == 0:
            return None, "no atoms"
        return sample, ""
    if isinstance(sample, str):
        try:
            return as_material(composition_of(sample))
        except ValueError as error:
            return None, str(error)
    if isinstance(sample, Exception):
        return None, str(sample) or type(sample).__name__
    if isinstance(sample, Attempt):
        return (None, str(sample.problem)) if sample.material is None else as_material(sample.material)
    if sample is None:
        return None, "not decoded"
    raise TypeError(f"{type(sample).__name__}: expected a structure, a composition, a formula or a decoded sample")


def screen(
    materials: Iterable[Any],
    checks: Sequence[Check],
    progress: Callable[[int], None] | None = None,
) -> pd.DataFrame:
    """Put every check to every sample.

    Args:
        materials: Samples as `as_material` takes them, failed decodes included.
        checks: For instance STRUCTURE_CHECKS or COMPOSITION_CHECKS.
        progress: Called with the number of samples done.

    Returns:
        One row for every sample, in order: `formula`, `n_sites`, `volume_per_atom` (Å^3), `min_distance` (Å),
        `problem` ("" if the sample was decoded); for each check its verdict (True, False or missing) and its
        reason; `valid`, True if all checks that decide passed, False if one failed, missing if that is undecided, and
        `valid_reason`.
    """
    rows = []
    for done, sample in enumerate(materials, start=1):
        material, problem = as_material(sample)
        row = _describe(material) | {"problem": problem}
        verdicts = [
            Verdict(False, f"not decoded: {problem}") if material is None else check(material) for check in checks
        ]
        for check, verdict in zip(checks, verdicts, strict=True):
            row |= {check.name: verdict.passed, f"{check.name}_reason": verdict.reason}
        row["valid"], row["valid_reason"] = _summary(checks, verdicts)
        rows.append(row)
        if progress:
            progress(done)
    names = [check.name for check in checks]
    described = ["formula", "n_sites", "volume_per_atom", "min_distance", "problem"]
    columns = described + [column for name in names for column in (name, f"{name}_reason")]
    columns += ["valid", "valid_reason"]
    kinds = {"n_sites": "Int64", "volume_per_atom": float, "min_distance": float}
    return pd.DataFrame(rows, columns=columns).astype(kinds | dict.fromkeys([*names, "valid"], "boolean"))


def screen_texts(texts: Sequence[str], rules: Sequence[ChargeRule], unread: Sequence[str] = ()) -> pd.DataFrame:
    """Put some rules of charges to formulas as people write them, a million in seconds.

    Args:
        texts: Such as "Fe2O3", "Ca(OH)2" or "Li0.5CoO2".
        rules: For instance COMPOSITION_RULES.
        unread: Why the row of each could not be taken from its file, "" where it could; none if not given.

    Returns:
        What `screen` gives for compositions: one row for every text, in order, whether it is a formula or not.
    """
    unread = unread or [""] * len(texts)
    read, problems_of_many = Formulas.of_texts("" if why else text for text, why in zip(texts, unread, strict=True))
    # fractional, with strange elements, or no formulas
    others = np.array([row for row, problem in enumerate(problems_of_many) if problem], int)
    materials = [(None, unread[row]) if unread[row] else as_material(texts[row]) for row in others]
    few_numbers, few_counts, obstacles = whole_counts(
        [material if isinstance(material, Composition) else Composition() for material, _ in materials]
    )
    width = max(read.numbers.shape[1], few_numbers.shape[1])
    numbers, counts = np.zeros((len(texts), width), np.uint8), np.zeros((len(texts), width), np.int64)
    numbers[:, : read.numbers.shape[1]], counts[:, : read.counts.shape[1]] = read.numbers, read.counts
    numbers[others, : few_numbers.shape[1]], counts[others, : few_counts.shape[1]] = few_numbers, few_counts
    problems = np.full(len(texts), "", object)
    problems[others] = [problem for _, problem in materials]
    failed = problems != ""
    undecided, why = others[[bool(obstacle) for obstacle in obstacles]], [text for text in obstacles if text]
    table = pd.DataFrame({"formula": list(texts), "problem": problems})
    answers = np.ones((len(rules), len(texts)), np.int8)
    for rule, answer in zip(rules, answers, strict=True):
        verdicts = judge(rule, numbers, counts)
        answer[:], reasons = verdicts.answers, verdicts.reasons()
        answer[undecided], reasons[undecided] = -1, why
        answer[failed], reasons[failed] = 0, "not decoded: " + problems[failed]
        table[rule.name], table[f"{rule.name}_reason"] = as_booleans(answer), reasons
    table["valid"], table["valid_reason"] = _summaries(table, rules, answers)
    return table


def as_booleans(answers: NDArray[np.int8]) -> pd.arrays.BooleanArray:
    """Turn 1, 0 and -1 into True, False and missing."""
    return pd.arrays.BooleanArray(answers == 1, answers < 0)


def pass_rates(table: pd.DataFrame, checks: Sequence[Check]) -> pd.DataFrame:
    """Return the share of all rows that pass, fail and are undecided, for each check and for all together."""
    names = [check.name for check in checks] + ["valid"]
    counts = {
        name: {
            "passed": table[name].eq(True).sum(),
            "failed": table[name].eq(False).sum(),
            "undecided": table[name].isna().sum(),
        }
        for name in names
    }
    rates = pd.DataFrame(counts).T.astype(float) / max(len(table), 1)
    return rates.assign(n_samples=len(table))


def _deciding(checks: Sequence[Check | ChargeRule]) -> list[int]:
    """Which of some checks have a say in their summary: all, if none would have."""
    return [place for place, check in enumerate(checks) if check.decides] or list(range(len(checks)))


def _summary(checks: Sequence[Check], verdicts: Sequence[Verdict]) -> tuple[bool | None, str]:
    """Put the verdicts of some checks into one, with the reason of the check that decides it."""
    deciding = [verdicts[place] for place in _deciding(checks)]
    for answer in (False, None):
        found = next((verdict for verdict in deciding if verdict.passed is answer), None)
        if found is not None:
            return answer, found.reason
    return True, deciding[-1].reason if deciding else ""


def _summaries(
    table: pd.DataFrame, rules: Sequence[ChargeRule], answers: NDArray[np.int8]
) -> tuple[pd.arrays.BooleanArray, NDArray[np.object_]]:
    """The same as `_summary` for every row of a table of verdicts, `answers` (n_rules, n_rows)."""
    valid, reasons = np.ones(len(table), np.int8), np.full(len(table), "", object)
    places = _deciding(rules)
    for wanted in (1, -1, 0):  # a failure outweighs what is open, and the first of several counts
        for place in places if wanted == 1 else reversed(places):
            rows = answers[place] == wanted
            valid[rows], reasons[rows] = wanted, table[f"{rules[place].name}_reason"].to_numpy(object)[rows]
    return as_booleans(valid), reasons


def _describe(material: Structure | Composition | None) -> dict[str, Any]:
    if material is None:
        return {"formula": ""}
    if isinstance(material, Composition):
        return {"formula": formula_of(material)}
    row = {"formula": formula_of(material.composition), "n_sites": len(material)}
    if lattice_problem(material):
        return row
    distance = closest_sites(material).distance
    return row | {"volume_per_atom": volume_per_atom(material), "min_distance": distance}
