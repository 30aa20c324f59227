"""How far a ranking of phase fields can be trusted: known fields, held out, against random ones.

Nobody knows which fields hold no compound, so there are no negatives. What can be measured is whether a
ranking puts fields that are known, but that it was not trained on, before fields drawn at random. Three ways
of drawing ask three questions:

- `same_kind`: two cations and two anions, every element alike. Does it beat a blind choice?
- `by_frequency`: elements drawn with their frequencies in the known fields. Does it beat a choice of common
  elements?
- `same_counts`: elements exchanged between known fields, so every element occurs exactly as often as it does
  there. Does it know which elements go together?
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matgen_core.materials.fields import ANIONS, PhaseField
from matgen_core.tasks.ranking.baselines import _places

Score = Callable[[Sequence[PhaseField]], NDArray[np.floating]]
CONTROLS = {
    "same_kind": "random fields of the same kind",
    "by_frequency": "random fields with the training frequencies",
    "same_counts": "random fields with exactly the training counts",
}
_SWEEPS = 60  # exchanges tried per field; the share of known fields left is 0 long before


def controls(known: Sequence[PhaseField], n_fields: int, seed: int) -> dict[str, list[PhaseField]]:
    """Draw random fields in each of the three ways; none is known, all are of distinct elements.

    Args:
        known: Known fields of four elements.
        n_fields: How many to draw in each way.
        seed: The same seed draws the same fields.
    """
    rng = np.random.default_rng(seed)
    symbols = np.array(sorted({symbol for field in known for symbol in field}))
    place = {symbol: i for i, symbol in enumerate(symbols)}
    places = np.sort(_places(place, known), axis=1)
    is_anion = np.isin(symbols, ANIONS)
    counts = np.bincount(places.ravel(), minlength=len(symbols)).astype(np.float64)

    def same_kind(n: int) -> NDArray[np.int64]:
        cations, anions = np.flatnonzero(~is_anion), np.flatnonzero(is_anion)
        return np.hstack([rng.choice(cations, (n, 2)), rng.choice(anions, (n, 2))])

    def by_frequency(n: int) -> NDArray[np.int64]:
        return rng.choice(len(symbols), (n, places.shape[1]), p=counts / counts.sum())

    def same_counts(n: int) -> NDArray[np.int64]:
        return np.vstack([_exchanged(places, is_anion, rng) for _ in range(-(-n // len(places)))])

    taken = {tuple(row) for row in places.tolist()}
    drawn = {}
    for name, draw in (
        ("same_kind", same_kind),
        ("by_frequency", by_frequency),
        ("same_counts", same_counts),
    ):
        rows: list[list[int]] = []
        while len(rows) < n_fields:
            new = np.sort(draw(n_fields), axis=1)
            new = new[(np.diff(new, axis=1) > 0).all(1)]
            rows += [row for row in new.tolist() if tuple(row) not in taken]
        drawn[name] = [PhaseField(symbols[row].tolist()) for row in rows[:n_fields]]
    return drawn


def _exchanged(places: NDArray[np.int64], is_anion: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int64]:
    """Exchange elements of one class between pairs of fields until none is known; counts stay exactly."""
    fields = places.tolist()
    known = {tuple(field) for field in fields}
    is_known = [True] * len(fields)
    pairs = rng.integers(len(fields), size=(_SWEEPS * len(fields), 2)).tolist()
    slots = rng.integers(places.shape[1], size=(_SWEEPS * len(fields), 2)).tolist()
    anion = is_anion.tolist()
    for (a, b), (i, j) in zip(pairs, slots, strict=True):
        first, second = fields[a][i], fields[b][j]
        if a == b or anion[first] != anion[second] or second in fields[a] or first in fields[b]:
            continue
        new_a = [*fields[a][:i], second, *fields[a][i + 1 :]]
        new_b = [*fields[b][:j], first, *fields[b][j + 1 :]]
        known_a, known_b = tuple(sorted(new_a)) in known, tuple(sorted(new_b)) in known
        if known_a + known_b <= is_known[a] + is_known[b]:
            fields[a], fields[b], is_known[a], is_known[b] = new_a, new_b, known_a, known_b
    return np.array(fields)


def roc_auc(held_out: NDArray[np.floating], random: NDArray[np.floating]) -> float:
    """Chance that a held-out known field scores lower than a random one; ties count half."""
    order = np.sort(random)
    below = np.searchsorted(order, held_out, "left") + np.searchsorted(order, held_out, "right")
    return float(1 - below.mean() / (2 * len(random)))


def enrichment(held_out: NDArray[np.floating], random: NDArray[np.floating], top: float) -> float:
    """Share of known fields among the `top` share of all by score, over their share of all."""
    scores = np.concatenate([held_out, random])
    is_held_out = np.arange(len(scores)) < len(held_out)
    best = np.argsort(scores, kind="stable")[: max(1, round(top * len(scores)))]
    return float(is_held_out[best].mean() / is_held_out.mean())


def cross_validate(
    train_on: Callable[[Sequence[PhaseField], int], Score],
    known: Sequence[PhaseField],
    n_folds: int = 5,
    n_controls: int = 10,
    seed: int = 0,
) -> dict[str, Any]:
    """Hold out each fold of the known fields in turn and rank it against random fields.

    Args:
        train_on: Trains a ranker on fields and returns its score function; the int is the number of the fold.
        known: Known fields; one with a repeated element is trained on but not judged, as no control has one.
        n_folds: Number of folds.
        n_controls: Random fields for every known one.
        seed: Draws the folds and the random fields.

    Returns:
        For each control "auc", "enrichment_1" and "enrichment_5" (top 1 and 5 %), each with mean, std and the
        value of each fold; "below_threshold": the share of held-out fields and of each control below the
        middle between the lowest and the highest score of the training fields, the paper's threshold.
    """
    order = np.random.default_rng(seed).permutation(len(known)).tolist()
    drawn = controls(known, n_controls * len(known), seed)
    folds: dict[str, dict[str, list[float]]] = {
        name: {"auc": [], "enrichment_1": [], "enrichment_5": []} for name in CONTROLS
    }
    below: dict[str, list[float]] = {"held_out": [], **{name: [] for name in CONTROLS}}
    for i in range(n_folds):
        held_out = [known[row] for row in order[i::n_folds] if len(set(known[row])) == len(known[row])]
        training = [known[row] for place, row in enumerate(order) if place % n_folds != i]
        score = train_on(training, i)
        of_training, of_held_out = score(training), score(held_out)
        threshold = (of_training.min() + of_training.max()) / 2
        below["held_out"].append(float((of_held_out < threshold).mean()))
        for name, fields in drawn.items():
            of_random = score(fields)
            folds[name]["auc"].append(roc_auc(of_held_out, of_random))
            folds[name]["enrichment_1"].append(enrichment(of_held_out, of_random, 0.01))
            folds[name]["enrichment_5"].append(enrichment(of_held_out, of_random, 0.05))
            below[name].append(float((of_random < threshold).mean()))
    return {
        "n_known": len(known),
        "n_folds": n_folds,
        "controls_per_known": n_controls,
        "seed": seed,
        **{name: {key: _spread(values) for key, values in parts.items()} for name, parts in folds.items()},
        "below_threshold": {name: _spread(values) for name, values in below.items()},
    }


def hold_out(
    score: Score,
    training: Sequence[PhaseField],
    held_out: Sequence[PhaseField],
    n_controls: int = 10,
    seed: int = 0,
    n_resamples: int = 1000,
) -> dict[str, Any]:
    """Rank fields that were held out as one group against random fields.

    Args:
        score: Of a ranker that was trained on `training`.
        training: Known fields, for the controls: these are drawn for all known fields, as in `cross_validate`.
        held_out: Known fields; one with a repeated element is not judged, as no control has one.
        n_controls: Random fields for every known one.
        seed: Draws the random fields and the resamples.
        n_resamples: Of the held-out fields, for the interval.

    Returns:
        n_training, n_held_out, and for each control "auc", "auc_95" (the interval that holds 95 % of the areas when the
        held-out fields are drawn anew with replacement), "enrichment_1" and "enrichment_5".
    """
    known = [*training, *held_out]
    judged = [field for field in held_out if len(set(field)) == len(field)]
    of_held_out = score(judged)
    again = np.random.default_rng(seed).integers(len(judged), size=(n_resamples, len(judged)))
    found: dict[str, Any] = {"n_training": len(training), "n_held_out": len(judged)}
    for name, fields in controls(known, n_controls * len(known), seed).items():
        of_random = score(fields)
        areas = [roc_auc(of_held_out[rows], of_random) for rows in again]
        found[name] = {
            "auc": round(roc_auc(of_held_out, of_random), 4),
            "auc_95": [round(float(limit), 4) for limit in np.quantile(areas, (0.025, 0.975))],
            "enrichment_1": round(enrichment(of_held_out, of_random, 0.01), 4),
            "enrichment_5": round(enrichment(of_held_out, of_random, 0.05), 4),
        }
    return found


def _spread(values: Sequence[float]) -> dict[str, Any]:
    return {
        "mean": round(float(np.mean(values)), 4),
        "std": round(float(np.std(values, ddof=1)), 4),
        "folds": [round(value, 4) for value in values],
    }
