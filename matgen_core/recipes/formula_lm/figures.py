"""Figures of a generator of formulas: variety, novelty, validity beside its training formulas, what it finds again."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matgen_core.checks import screen_formulas
from matgen_core.latent.space import LatentSpace
from matgen_core.materials.formulas import Formulas
from matgen_core.recipes.shared.card import paper
from matgen_core.recipes.shared.formula_sets import PAPER_RULES, FormulaSet
from matgen_core.tasks import funnel

# Published, in percent, of the checkpoints by name.
PAPER: Mapping[str, Mapping[str, float]] = paper("formula_lm")["percent"]
SAMPLE_COUNTS = (10_000, 330_000, 2_000_000)


def measure(space: LatentSpace, formulas: FormulaSet, held_out: NDArray[np.bool_], seed: int) -> dict[str, Any]:
    """Generate as many formulas as the paper and hold them against the training set and the held-out tenth.

    Args:
        space: With its known formulas.
        formulas: All of its data set.
        held_out: Which of them it was not trained on.
        seed: Of the samples.
    """
    training = formulas.formulas[~held_out]
    written = generate(space, SAMPLE_COUNTS[-1], seed)
    return {
        "data": data_figures(formulas),
        "samples": {str(n): variety(written[:n], training) for n in SAMPLE_COUNTS},
        "training_formulas": {"n": len(training), **passing(training)},
        "recovery": recovery(formulas.formulas, held_out, written[first_of_each(written)]),
        "n_elements": {
            name: [float(share) for share in np.bincount(some.n_elements, minlength=9)[:9] / len(some)]
            for name, some in (("training", training), ("generated", written[: SAMPLE_COUNTS[0]]))
        },
        "element_distance": element_distance(training, written[: SAMPLE_COUNTS[1]], formulas.elements),
    }


def measure_briefly(space: LatentSpace, formulas: FormulaSet, held_out: NDArray[np.bool_], seed: int) -> dict[str, Any]:
    """What `measure` has under `samples` and `element_distance`, without the largest number of samples."""
    counts, training = SAMPLE_COUNTS[:-1], formulas.formulas[~held_out]
    written = generate(space, counts[-1], seed)
    return {
        "samples": {str(n): variety(written[:n], training) for n in counts},
        "element_distance": element_distance(training, written, formulas.elements),
    }


def generate(space: LatentSpace, n_samples: int, seed: int) -> Formulas:
    """Write formulas."""
    return Formulas.concatenate(list(funnel.samples(space, funnel.Request(n_samples, seed))))


def data_figures(formulas: FormulaSet) -> dict[str, Any]:
    """Count the different formulas of a data set and those that are learned or held out; say what the others are."""
    return {"n_all": len(formulas.everything), "n": len(formulas.formulas), "others": formulas.others}


def first_of_each(written: Formulas) -> NDArray[np.int64]:
    """Rows of the formulas where each appears for the first time; what is no formula is in none."""
    unique, first = np.unique(written.keys(), return_index=True)
    return first[unique != 0]


def variety(written: Formulas, training: Formulas) -> dict[str, float]:
    """Shares of unique and empty samples, and of the different formulas those that are new and that pass the checks."""
    different = written[first_of_each(written)]
    return {
        "unique": len(different) / len(written),
        "novel": _mean(~np.isin(different.reduced().keys(), training.keys())),
        "no_formula": _mean(written.n_elements == 0),
        **passing(different),
    }


def passing(formulas: Formulas) -> dict[str, float]:
    """Of different formulas, those that pass the paper's checks; what cannot be decided does not pass."""
    verdicts = screen_formulas(formulas, list(PAPER_RULES.values()))
    return {name: float((found.answers == 1).mean()) for name, found in zip(PAPER_RULES, verdicts, strict=True)}


def recovery(known: Formulas, held_out: NDArray[np.bool_], written: Formulas) -> dict[str, dict[str, float]]:
    """What of the training and of the held-out formulas is written, and what is new, by the number of elements."""
    made = np.unique(written.reduced().keys())
    again = np.isin(known.keys(), made)
    of_data = np.isin(written.reduced().keys(), known.keys()[~held_out])
    found = {}
    for n in (2, 3, 4, 5):
        mine, theirs = known.n_elements == n, written.n_elements == n
        found[str(n)] = {
            "training": _mean(again[mine & ~held_out]),
            "held_out": _mean(again[mine & held_out]),
            "new": _mean(~of_data[theirs]),
            "n_held_out": float((mine & held_out).sum()),
        }
    return found


def _mean(values: NDArray[np.bool_]) -> float:
    return float(values.mean()) if len(values) else 0.0


def element_distance(training: Formulas, written: Formulas, elements: tuple[str, ...]) -> float:
    """Half the sum of the differences in how often each element occurs: 0 for the same, 1 for nothing in common."""
    shares = [(some.table(elements) > 0).sum(0) for some in (training, written)]
    first, second = (share / share.sum() for share in shares)
    return float(np.abs(first - second).sum() / 2)
