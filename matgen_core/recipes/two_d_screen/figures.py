"""What is measured of a classifier of 2D materials: cross-validation, baselines, calibration, counts of candidates."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from matgen_core.data import Dataset
from matgen_core.materials.elements import element_table
from matgen_core.materials.formulas import Formulas
from matgen_core.networks.models.random_forest import RandomForest, log_odds
from matgen_core.recipes.shared.card import paper
from matgen_core.recipes.two_d_screen.forest import Growth, grow
from matgen_core.representations import MagpieFeatures
from matgen_core.representations.magpie_features import PROPERTIES, STATISTICS

PAPER_AUC: float = paper("two_d_screen")["auc"]
# Candidates among two million samples by threshold: all, and those of 2, 3, 4, and more elements.
PAPER_CANDIDATES = {float(least): counts for least, counts in paper("two_d_screen")["candidates"].items()}
THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
N_TREES = (25, 50, 100, 150)  # of the first so many trees is said how well they do alone
CHUNK = 50_000  # formulas whose features are held at once
Labels = NDArray[np.bool_]
Scores = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Material:
    """Formulas with their features and what is known of each."""

    formulas: Formulas
    x: NDArray[np.float32]  # (N, 132)
    labels: Labels  # known as 2D
    doubtful: Labels  # bulk formulas that have a layered polymorph

    @classmethod
    def of(cls, dataset: Dataset, representation: MagpieFeatures) -> "Material":
        """Compute the features of a table of `data.load_two_dimensional`."""
        table = dataset.table
        formulas, _ = Formulas.of_texts(table["formula"])
        labels = table["two_dimensional"].to_numpy(bool)
        doubtful = table["has_layered_polymorph"].to_numpy(bool) & ~labels
        return cls(formulas, representation.encode_formulas(formulas), labels, doubtful)


def folds_by_system(dataset: Dataset, n_folds: int, seed: int) -> NDArray[np.int64]:
    """Deal the rows into folds, (N,), so that no chemical system is in two of them."""
    fold = np.full(len(dataset), -1)
    for number, part in enumerate(dataset.split([1 / n_folds] * n_folds, seed)):
        fold[dataset.table.index.get_indexer(part.table.index)] = number
    return fold


def folds_by_row(n: int, n_folds: int, seed: int) -> NDArray[np.int64]:
    """Deal the rows into folds, (n,), whatever their elements."""
    return np.random.default_rng(seed).permutation(np.arange(n) % n_folds)


def cross_validate(
    material: Material,
    fold: NDArray[np.int64],
    growth: Growth,
    seed: int,
    judged: Sequence[int] | None = None,
    each: Callable[[RandomForest, NDArray[np.bool_]], None] | None = None,
) -> NDArray[np.float32]:
    """Grow a forest on each nine tenths and ask it about the rest.

    Args:
        material: Formulas.
        fold: Fold of each, (N,).
        growth: How the trees grow.
        seed: Of the first forest; the next has the next.
        judged: Folds to hold out in turn; all if not given.
        each: Called with every forest and the mask of the rows that it did not see.

    Returns:
        Votes of the trees that did not see a formula, (N, n_trees); NaN in the folds that are not judged.
    """
    votes = np.full((len(fold), growth.n_trees), np.nan, np.float32)
    for number in judged if judged is not None else range(int(fold.max()) + 1):
        held_out = fold == number
        forest = grow(material.x[~held_out], material.labels[~held_out], growth, seed + number)
        votes[held_out] = forest.votes(torch.from_numpy(material.x[held_out])).numpy()
        if each:
            each(forest, held_out)
    return votes


def ranking_figures(labels: Labels, scores: Scores, fold: NDArray[np.int64]) -> dict[str, float]:
    """Area under the ROC curve and average precision, their means and standard deviations over the folds."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    figures = {}
    for name, figure in (("auc", roc_auc_score), ("average_precision", average_precision_score)):
        of_fold = [figure(labels[fold == number], scores[fold == number]) for number in np.unique(fold)]
        figures[name], figures[f"{name}_std"] = round(float(np.mean(of_fold)), 4), round(float(np.std(of_fold)), 4)
    return figures


def threshold_figures(labels: Labels, scores: Scores) -> list[dict[str, float | None]]:
    """Share of the bulk formulas that pass each threshold, of the 2D ones that do, and of 2D ones among what passes."""
    rows = []
    for threshold in THRESHOLDS:
        passed = scores >= threshold
        rows.append(
            {
                "threshold": threshold,
                "false_positive_rate": round(float(passed[~labels].mean()), 4),
                "recall": round(float(passed[labels].mean()), 4),
                "precision": round(float(labels[passed].mean()), 4) if passed.any() else None,
            }
        )
    return rows


def calibration_figures(labels: Labels, scores: Scores, n_bins: int = 10) -> dict[str, Any]:
    """Brier score, mean gap between probability and share (in bins of equal width), and the table of these bins."""
    place = np.minimum((scores * n_bins).astype(int), n_bins - 1)
    table = [
        {
            "from": round(number / n_bins, 3),
            "n": int((place == number).sum()),
            "mean_probability": round(float(scores[place == number].mean()), 4),
            "share_2d": round(float(labels[place == number].mean()), 4),
        }
        for number in np.unique(place)
    ]
    gap = sum(row["n"] * abs(row["mean_probability"] - row["share_2d"]) for row in table) / len(labels)
    brier = float(np.square(scores - labels).mean())
    return {"brier": round(brier, 5), "expected_calibration_error": round(float(gap), 4), "table": table}


def fit_calibration(labels: Labels, votes: Scores) -> tuple[float, float]:
    """Fit slope and intercept of the log odds of votes to what is known."""
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(C=1e6).fit(_log_odds(votes)[:, None], labels)
    return float(fitted.coef_[0, 0]), float(fitted.intercept_[0])


def calibrated(labels: Labels, votes: Scores, fold: NDArray[np.int64]) -> dict[str, Scores]:
    """Turn votes into probabilities in three ways, each fitted without the fold that a formula is in.

    Args:
        labels: What is known, (N,).
        votes: Shares of the votes of trees that did not see the formula, (N,).
        fold: Fold of each formula, (N,).

    Returns:
        `votes` as they are; `sigmoid`, a line in the log odds; `isotonic`, the best rising steps.
    """
    from sklearn.isotonic import IsotonicRegression

    isotonic, sigmoid = np.empty((2, len(labels)))
    for number in np.unique(fold):
        inside, outside = fold == number, fold != number
        steps = IsotonicRegression(out_of_bounds="clip").fit(votes[outside], labels[outside])
        isotonic[inside] = steps.predict(votes[inside])
        slope, intercept = fit_calibration(labels[outside], votes[outside])
        sigmoid[inside] = 1 / (1 + np.exp(-slope * _log_odds(votes[inside]) - intercept))
    return {"votes": votes, "sigmoid": sigmoid, "isotonic": isotonic}


def _log_odds(votes: Scores) -> Scores:
    return np.asarray(log_odds(torch.from_numpy(np.asarray(votes, np.float64))))


def baselines(material: Material, elements: Sequence[str], fold: NDArray[np.int64]) -> dict[str, Scores]:
    """Score every formula by two rules that count, each without the fold that it is in.

    `elements`: the sum over the elements of a formula of how much more frequent each is among 2D formulas (naive
    Bayes). `most_electronegative`: the same of the most electronegative element alone.
    """
    present = material.formulas.table(elements) > 0
    last = _most_electronegative(material.formulas)
    alone = last[:, None] == np.unique(last)
    scores: dict[str, Scores] = {}
    for name, flags in (("elements", present), ("most_electronegative", alone)):
        scores[name] = np.empty(len(fold))
        for number in np.unique(fold):
            inside, outside = fold == number, fold != number
            positive, negative = flags[outside & material.labels], flags[outside & ~material.labels]
            odds = np.log((positive.sum(0) + 1) / (len(positive) + 2)) - np.log(
                (negative.sum(0) + 1) / (len(negative) + 2)
            )
            scores[name][inside] = flags[inside] @ odds
    return scores


def figures_by_anion(material: Material, probabilities: Scores, least: int = 50) -> list[dict[str, Any]]:
    """Say how formulas fare by their most electronegative element, those with the most 2D formulas first.

    Args:
        material: Formulas.
        probabilities: Of each, from trees that did not see its chemical system, (N,).
        least: 2D formulas that an element must have to get a row; the others share one.
    """
    symbols = {facts.number: symbol for symbol, facts in element_table().items()}
    anion = np.array([symbols[int(number)] for number in _most_electronegative(material.formulas)])
    names, counts = np.unique(anion[material.labels], return_counts=True)
    frequent = names[np.argsort(-counts)][: (counts >= least).sum()]
    rows = []
    for name in [*frequent, "others"]:
        inside = anion == name if name != "others" else ~np.isin(anion, frequent)
        flat, bulk = inside & material.labels, inside & ~material.labels
        rows.append(
            {
                "element": str(name),
                "two_dimensional": int(flat.sum()),
                "bulk": int(bulk.sum()),
                "recall": round(float((probabilities[flat] >= 0.5).mean()), 3),
                "false_positive_rate": round(float((probabilities[bulk] >= 0.5).mean()), 4),
            }
        )
    return rows


def _most_electronegative(formulas: Formulas) -> NDArray[np.uint8]:
    """Atomic number of the most electronegative element of each formula, (N,): the last in writing order."""
    return np.take_along_axis(formulas.numbers, formulas.n_elements[:, None] - 1, 1)[:, 0]


def property_importance(forest: RandomForest, x: NDArray[np.float32], labels: Labels, seed: int) -> dict[str, float]:
    """Loss of AUC on held-out formulas when the six features of a property are shuffled together among them."""
    from sklearn.metrics import roc_auc_score

    def auc(features: NDArray[np.float32]) -> float:
        return float(roc_auc_score(labels, forest.predict(torch.from_numpy(features))[0][:, 0].numpy()))

    rng, whole = np.random.default_rng(seed), auc(x)
    lost = {}
    for place, name in enumerate(PROPERTIES):
        columns = slice(place * len(STATISTICS), (place + 1) * len(STATISTICS))
        shuffled = x.copy()
        shuffled[:, columns] = shuffled[rng.permutation(len(x)), columns]
        lost[name] = whole - auc(shuffled)
    return lost


def candidate_counts(forest: Any, representation: Any, formulas: Formulas) -> list[dict[str, Any]]:
    """Count candidates at each threshold of the paper: in all, of two, three, four, and of five elements and more.

    Args:
        forest: A calibrated forest.
        representation: What it was trained on.
        formulas: Different, neutral and balanced ones; what does not fit the representation is no candidate.

    Returns:
        A row a threshold: the counts by probability (ours), by_votes, and those of the paper, which go by votes.
    """
    formulas = formulas[np.array([not problem for problem in representation.misfits(formulas)], bool)]
    probability, votes = np.empty((2, len(formulas)), np.float32)
    for start in range(0, len(formulas), CHUNK):
        rows = slice(start, start + CHUNK)
        share = forest.votes(torch.from_numpy(representation.encode_formulas(formulas[rows]))).mean(1)
        votes[rows], probability[rows] = share.numpy(), forest.calibrated(share).numpy()
    rows_of = []
    for threshold, published in PAPER_CANDIDATES.items():
        row: dict[str, Any] = {"threshold": threshold}
        for name, scores in (("ours", probability), ("by_votes", votes)):
            passed = formulas.n_elements[scores >= threshold]
            counts = (len(passed), *((passed == n).sum() for n in (2, 3, 4)), (passed >= 5).sum())
            row[name] = [int(count) for count in counts]
        rows_of.append(row | {"paper": list(published)})
    return rows_of
