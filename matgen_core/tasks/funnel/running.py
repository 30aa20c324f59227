"""From a generator of formulas to the few that are worth a look: a funnel that counts what each stage keeps.

Samples are drawn and judged in chunks, so that the memory does not grow with their number, apart from the 8 bytes by
which a formula is known again.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from matgen_core.checkpoint import Checkpoint
from matgen_core.checks import FORMULA_RULES, as_booleans, screen_formulas
from matgen_core.latent.space import LatentSpace
from matgen_core.materials.elements import element_table
from matgen_core.materials.formulas import MAX_COUNT, Formulas
from matgen_core.materials.notation import shown
from matgen_core.networks.models.capabilities import Decoder, PropertyPredictor
from matgen_core.representations import FormulaDecoder
from matgen_core.tasks.funnel.stages import STAGES

MAX_SAMPLES = 10_000_000  # 80 MB to know the unique ones again; a few minutes
BATCH = 4_096  # samples decoded at once, wherever a chunk ends: a sum of floats depends on the size of its batch
CHUNK = 12 * BATCH

Predictor = Callable[[Formulas], pd.DataFrame]  # a row a formula: properties, their _std, and problem


@dataclass(frozen=True)
class Wanted:
    """Which formulas are wanted at all.

    Attributes:
        must: Elements that a formula must have.
        may: Elements that it may have beside those; any if there are none here.
        never: Elements that it must not have.
        n_elements: Fewest and most elements.
        n_atoms: Fewest and most atoms of a formula as it is written.
        counts: Least and largest count of each element in it.
    """

    must: tuple[str, ...] = ()
    may: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    n_elements: tuple[int, int] = (1, 103)
    n_atoms: tuple[int, int] = (1, 103 * MAX_COUNT)
    counts: tuple[int, int] = (1, MAX_COUNT)

    def __post_init__(self) -> None:
        for symbol in (*self.must, *self.may, *self.never):
            if symbol not in element_table():
                raise ValueError(f"{shown(symbol)} is no element; write symbols from H to Lr, such as Fe")
        for name, other in (("must", self.must), ("may", self.may)):
            if both := sorted(set(other) & set(self.never)):
                raise ValueError(f"{', '.join(both)}: among the elements that {name} occur and those that never do")
        for name in ("n_elements", "n_atoms", "counts"):
            low, high = getattr(self, name)
            if not 1 <= low <= high:
                given = shown(f"{name} from {low} to {high}")[1:-1]
                raise ValueError(f"{given}; expected 1 or more, the smaller number first")
        if len(set(self.must)) > self.n_elements[1]:
            raise ValueError(f"{len(set(self.must))} elements must occur, but a formula may have {self.n_elements[1]}")

    def passes(self, formulas: Formulas) -> NDArray[np.bool_]:
        """Whether each formula is wanted, (N,); one without elements is not."""
        numbers, counts = formulas.numbers, formulas.counts
        there = numbers > 0
        allowed = np.full(256, not self.may)
        allowed[_numbers(self.may + self.must)] = True
        allowed[_numbers(self.never)] = False
        passed = (allowed[numbers] | ~there).all(1)
        for number in _numbers(self.must):
            passed &= (numbers == number).any(1)
        for values, (low, high) in ((formulas.n_elements, self.n_elements), (formulas.n_atoms, self.n_atoms)):
            passed &= (low <= values) & (values <= high)
        passed &= (((self.counts[0] <= counts) & (counts <= self.counts[1])) | ~there).all(1)
        return np.asarray(passed)


@dataclass(frozen=True)
class Request:
    """What is asked of a generator.

    Attributes:
        n_samples: How many samples, 1 to MAX_SAMPLES.
        seed: The same seed draws the same samples.
        wanted: Which formulas are wanted.
        condition: Values of properties to ask for, named as in the data and in its units, for models that take them.
        keep_undecided: Let what neutrality or balance leaves open, such as alloys, go on through the funnel.
        tolerance: How far from the condition the prediction of a property may lie, in its units; only what lies within
            all of them is kept. Properties of the condition that are left out may lie anywhere.
    """

    n_samples: int
    seed: int = 0
    wanted: Wanted = field(default_factory=Wanted)
    condition: Mapping[str, float] = field(default_factory=dict)
    keep_undecided: bool = False
    tolerance: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 1 <= self.n_samples <= MAX_SAMPLES:
            raise ValueError(f"{shown(str(self.n_samples))[1:-1]} samples; one run takes 1 to {MAX_SAMPLES:,}")
        if self.seed < 0:
            raise ValueError(f"seed {shown(str(self.seed))[1:-1]}; expected 0 or more")
        for name, tolerance in self.tolerance.items():
            if name not in self.condition:
                raise ValueError(
                    f"tolerance of {name}, but no {name} is asked for; ask for a value too, or leave the tolerance out"
                )
            if not (np.isfinite(tolerance) and tolerance > 0):
                raise ValueError(f"tolerance {tolerance} of {name}; expected a finite number above 0")


@dataclass(frozen=True, eq=False)
class Chunk:
    """Some samples, and the counts of the whole run up to them.

    Attributes:
        counts: How many samples passed each stage and all before it, by the keys of `stages`.
        undecided: How many samples that had come so far were left open by "neutral" and by "balanced".
        rows: A row for every sample of the chunk, in order: sample (from 1), formula, n_elements, wanted, first (it
            appears for the first time), charge_neutral, electronegativity_balanced, smact_valid, usual_states (True,
            False or missing), novel (missing where the model does not know its training formulas), kept (it passed all
            stages; without a tolerance it may still lack a prediction), a column for each predicted property and its
            _std (for rows that came so far), off_by (where a tolerance is given: how many tolerances the predictions
            lie from what is asked for, the largest over the properties; at most 1 is near), problem.
        formulas: The samples, in the order of the rows.
    """

    counts: Mapping[str, int]
    undecided: Mapping[str, int]
    rows: pd.DataFrame
    formulas: Formulas


def stages(request: Request, predictors: Sequence[Predictor] = ()) -> tuple[str, ...]:
    """Return the keys of the stages of a run, in order."""
    given = {"": True, "predictors": bool(predictors), "tolerance": bool(request.tolerance)}
    return tuple(key for key, stage in STAGES.items() if given[stage.needs])


def run(
    checkpoint: Checkpoint, request: Request, predictors: Sequence[Predictor] = (), chunk_size: int = CHUNK
) -> Iterator[Chunk]:
    """Generate and judge formulas, chunk by chunk; stop asking for more to end it.

    Args:
        checkpoint: One whose model decodes latent points to formulas.
        request: What is asked.
        predictors: Asked about what passed all stages before "predicted". Of two that give a property the later counts.
        chunk_size: Samples a chunk, a multiple of BATCH; the samples do not depend on it.

    Raises:
        ValueError: If the checkpoint writes no formulas, takes no condition that is asked for, or no predictor gives a
            property that has a tolerance.
    """
    _require_predictors(checkpoint, request, predictors)
    counts = dict.fromkeys(stages(request, predictors), 0)
    undecided = {key: 0 for key, stage in STAGES.items() if stage.when_open == "undecided are kept"}
    seen = np.zeros(0, np.uint64)
    for formulas in samples(LatentSpace.of(checkpoint), request, chunk_size):
        first, seen = _first(formulas, seen)
        rows = _judge(checkpoint, request.wanted, formulas, first)
        rows.insert(0, "sample", np.arange(len(rows)) + counts["generated"] + 1)
        passed = np.ones(len(rows), bool)
        for key, stage in STAGES.items():
            if stage.needs:
                continue
            answers = stage.passes(rows[stage.column])
            if key in undecided:
                undecided[key] += int((passed & answers.isna().to_numpy()).sum())
            passed &= answers.fillna(stage.lets_open_pass(request.keep_undecided)).to_numpy(bool)
            counts[key] += int(passed.sum())
        rows["kept"] = passed
        rows["problem"] = np.where(rows["n_elements"] > 0, "", "no elements")
        if predictors:
            predicted = _predict(predictors, formulas, rows)
            counts["predicted"] += int(predicted.sum())
            if request.tolerance:
                rows.insert(len(rows.columns) - 1, "off_by", _off_by(rows, request))
                rows["kept"] = predicted & STAGES["near"].passes(rows["off_by"]).to_numpy()
                counts["near"] += int(rows["kept"].sum())
        yield Chunk(dict(counts), dict(undecided), rows, formulas)


def samples(space: LatentSpace, request: Request, chunk_size: int = CHUNK) -> Iterator[Formulas]:
    """Draw formulas from a model, `chunk_size` at a time; a sample that is none has no elements.

    Raises:
        ValueError: If the model writes no formulas, or takes no condition that is asked for.
    """
    if not isinstance(space.model, Decoder) or not isinstance(space.representation, FormulaDecoder):
        raise ValueError(f"{space.name} writes no formulas; see which models do: matgen models")
    if chunk_size < 1 or chunk_size % BATCH:
        raise ValueError(f"chunks of {chunk_size}; expected a multiple of {BATCH}")
    condition = torch.from_numpy(space.condition_of(request.condition, 1)) if request.condition else None
    sizes = (min(chunk_size, request.n_samples - start) for start in range(0, request.n_samples, chunk_size))

    def decode(noise: torch.Tensor) -> Formulas:
        return space.representation.formulas(space.arrays_of(noise, condition).numpy())

    pool = ThreadPoolExecutor(os.cpu_count())  # a batch a core
    try:
        ahead: deque[Iterator[Formulas]] = deque()
        for noise in space.noise(sizes, request.seed):
            ahead.append(pool.map(decode, noise.split(BATCH)))
            if len(ahead) > 1:  # one chunk is decoded while the one before it is judged
                yield Formulas.concatenate(list(ahead.popleft()))
        yield from (Formulas.concatenate(list(parts)) for parts in ahead)
    finally:
        pool.shutdown(cancel_futures=True)


def _judge(checkpoint: Checkpoint, wanted: Wanted, formulas: Formulas, first: NDArray[np.bool_]) -> pd.DataFrame:
    """Judge formulas one by one: a row for each."""
    neutral, balanced, valid, usual = (each.answers for each in screen_formulas(formulas, FORMULA_RULES))
    there = formulas.n_elements > 0
    novel = np.full(len(formulas), -1) if checkpoint.known is None else ~checkpoint.known.contains(formulas)
    return pd.DataFrame(
        {
            "formula": formulas.texts(),
            "n_elements": formulas.n_elements,
            "wanted": wanted.passes(formulas),
            "first": first,
            "charge_neutral": as_booleans(neutral),
            "electronegativity_balanced": as_booleans(balanced),
            "smact_valid": as_booleans(valid),
            "usual_states": as_booleans(usual),
            "novel": as_booleans(np.where(there, novel, 0).astype(np.int8)),
        }
    )


def _first(formulas: Formulas, seen: NDArray[np.uint64]) -> tuple[NDArray[np.bool_], NDArray[np.uint64]]:
    """Whether each formula appears for the first time; `seen` is sorted, and comes back with the new ones."""
    keys = formulas.keys()
    unique, rows = np.unique(keys, return_index=True)
    places = np.minimum(np.searchsorted(seen, unique), max(len(seen) - 1, 0))
    new = (seen[places] != unique) if len(seen) else np.ones(len(unique), bool)
    new &= unique != 0  # the empty formula
    first = np.zeros(len(keys), bool)
    first[rows[new]] = True
    return first, np.sort(np.concatenate([seen, unique[new]]), kind="stable")  # two sorted runs are merged


def _require_predictors(checkpoint: Checkpoint, request: Request, predictors: Sequence[Predictor]) -> None:
    if not request.tolerance:
        return
    nothing = Formulas.concatenate([])
    given = {name for predictor in predictors for name in predictor(nothing)}
    for name, tolerance in request.tolerance.items():
        if name not in given:
            model = checkpoint.model
            given_here = isinstance(model, PropertyPredictor) and name in model.properties
            example = f", such as {checkpoint.name}" if given_here else ""
            raise ValueError(
                f"no predictor gives {name}, which must lie within {tolerance:g} of {request.condition[name]:g};"
                f" predict with a model that gives it{example}, or leave the tolerance out"
            )


def _off_by(rows: pd.DataFrame, request: Request) -> NDArray[np.float64]:
    """How many tolerances predictions lie from what is asked for, (N,), the largest of the properties; NaN for none."""
    parts = [off_by(rows[name], request.condition[name], tolerance) for name, tolerance in request.tolerance.items()]
    return np.max(parts, axis=0)  # NaN wins


def off_by(values: pd.Series, asked: float, tolerance: float) -> NDArray[np.float64]:
    """How many tolerances values lie from what is asked for, (N,); at most 1 is near."""
    return np.abs(values.to_numpy(np.float64) - asked) / tolerance


def _predict(predictors: Sequence[Predictor], formulas: Formulas, judged: pd.DataFrame) -> NDArray[np.bool_]:
    """Add the predictions of what was kept to its rows; return which rows got one of each predictor, (N,)."""
    rows = np.flatnonzero(judged["kept"])
    got_all = np.ones(len(rows), bool)
    for predictor in predictors:
        found = predictor(formulas[rows])
        problems = found.pop("problem").to_numpy(object)
        for name in found:
            values = np.full(len(judged), np.nan, np.float32)
            values[rows] = found[name]
            judged[name] = values
        got_all &= problems == ""
        judged.loc[rows, "problem"] = [
            "; ".join(filter(None, pair)) for pair in zip(judged["problem"].iloc[rows], problems, strict=True)
        ]
    judged["problem"] = judged.pop("problem")  # the last column
    predicted = np.zeros(len(judged), bool)
    predicted[rows] = got_all
    return predicted


def _numbers(symbols: Sequence[str]) -> list[int]:
    return [element_table()[symbol].number for symbol in symbols]
