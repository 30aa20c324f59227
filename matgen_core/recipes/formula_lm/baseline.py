"""Formulas without a network: a stoichiometry as often as it occurs, each element drawn by itself."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matgen_core.materials.formulas import Formulas
from matgen_core.recipes.formula_lm.figures import element_distance, first_of_each, recovery, variety
from matgen_core.recipes.shared.formula_sets import FormulaSet

_CHUNK = 500_000  # formulas at once; a table of them has a byte an element


def independent_elements(training: Formulas, elements: tuple[str, ...], n_samples: int, seed: int) -> Formulas:
    """Draw formulas.

    The counts, from the least to the most electronegative element, are those of a training formula; the element at each
    place is that of another training formula with the same counts, drawn anew for each place. A formula in which an
    element comes twice is drawn again.

    Args:
        training: What is drawn from.
        elements: All that occur in them.
        n_samples: How many.
        seed: The same seed draws the same formulas.
    """
    rng = np.random.default_rng(seed)
    order = np.lexsort(training.counts.T[::-1])
    numbers, counts = training.numbers[order], training.counts[order]
    begins = np.concatenate([[True], (counts[1:] != counts[:-1]).any(1)])
    start, group = np.flatnonzero(begins), np.cumsum(begins) - 1
    size = np.bincount(group)
    drawn: list[Formulas] = []
    missing = n_samples
    while missing:
        rows = rng.integers(len(training), size=min(missing, _CHUNK))
        of_row = group[rows][:, None]
        others = start[of_row] + (rng.random((len(rows), numbers.shape[1])) * size[of_row]).astype(np.int64)
        found = Formulas(numbers[others, np.arange(numbers.shape[1])], counts[rows])
        in_order = np.sort(found.numbers, axis=1)
        repeats = ((in_order[:, 1:] == in_order[:, :-1]) & (in_order[:, 1:] > 0)).any(1)
        # Elements that were drawn apart do not stand in writing order; a table brings them into it.
        drawn.append(Formulas.of_table(found[~repeats].table(elements), elements))
        missing -= len(drawn[-1])
    return Formulas.concatenate(drawn)


def measure_baseline(
    formulas: FormulaSet, held_out: NDArray[np.bool_], counts: Sequence[int], seed: int
) -> dict[str, Any]:
    """Figures of `independent_elements` under the names of those of a network.

    Args:
        formulas: All of a data set.
        held_out: Which of them are not drawn from.
        counts: Three numbers of samples, ascending, as the network is judged by.
        seed: Of the samples.
    """
    training = formulas.formulas[~held_out]
    written = independent_elements(training, formulas.elements, counts[-1], seed)
    return {
        "samples": {str(n): variety(written[:n], training) for n in counts},
        "recovery": recovery(formulas.formulas, held_out, written[first_of_each(written)]),
        "element_distance": element_distance(training, written[: counts[1]], formulas.elements),
    }


def overwritten(
    training: Formulas, written: Formulas, elements: tuple[str, ...], n_shown: int = 5
) -> list[dict[str, Any]]:
    """Name the elements that are written too often.

    Returns:
        Of the worst: `element`; `times`, its share among the written elements over that in the training formulas; and
        `n_training`, in how many of these it stands.
    """
    theirs, ours = ((some.table(elements) > 0).sum(0) for some in (training, written))
    times = (ours / ours.sum()) / (np.maximum(theirs, 1) / theirs.sum())
    learned = np.flatnonzero(theirs)
    worst = learned[np.argsort(-times[learned], kind="stable")][:n_shown]
    return [{"element": elements[i], "times": float(times[i]), "n_training": int(theirs[i])} for i in worst]
