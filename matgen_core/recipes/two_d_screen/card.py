"""The card of the screening for 2D materials."""

from typing import TYPE_CHECKING, Any

import pandas as pd

from matgen_core.data import Dataset
from matgen_core.recipes.shared.card import data_section, markdown_table, write_card
from matgen_core.recipes.two_d_screen.figures import PAPER_AUC, PAPER_FALSE_POSITIVES

if TYPE_CHECKING:
    from matgen_core.recipes.two_d_screen.recipe import TwoDScreenRecipe


def card(recipe: "TwoDScreenRecipe", metrics: dict[str, Any], sources: list[Dataset]) -> str:
    """Write the card of metrics that the recipe has measured."""
    found, growth = metrics["data"], recipe.growth
    calibration = metrics["calibration"]["sigmoid"]
    tried = pd.DataFrame(metrics["tried"]).rename(columns={"average_precision": "average precision", "brier": "Brier"})
    tried = tried[["settings", "auc", "average precision", "Brier"]].rename(columns={"auc": "AUC"})
    trees = pd.DataFrame(metrics["fewer_trees"])[["trees", "auc", "average_precision"]]
    first = list(metrics["auc_lost_without_property"].items())[:10]
    candidates = metrics.get("candidates")
    return write_card(
        "two_d_screen: which compositions are likely 2D materials",
        {
            "What it is": f"A random forest of {growth.n_trees} trees on the 132 Magpie features of a composition (22"
            " properties of the elements x minimum, maximum, range, mean, average deviation, mode; matminer's"
            " definitions). A tree's vote is the share of known 2D formulas in the leaf that a composition reaches;"
            " `probability` is the mean vote, corrected by a line in its log odds that was fitted to forests that did"
            " not know a formula's chemical system; `probability_std` is the standard deviation of the votes, that is"
            " how far single trees disagree, not an error bar of the probability. `index.parquet` names the"
            " known 2D formulas with the probability that they get from trees that saw no formula of their elements.",
            "Data": f"{data_section(*sources)}\n\n{found['two_dimensional']:,} reduced formulas known as 2D materials"
            f" and {found['bulk']:,} of crystals whose bonds run in three dimensions"
            f" ({found['share_two_dimensional']:.1%} 2D), in {found['chemical_systems']:,} chemical systems. A formula"
            " that is known as both counts as 2D. The bulk formulas are unlabelled rather than negative: nobody found a"
            f" layer of them so far. {found['bulk_with_layered_polymorph']:,} of them have a layered polymorph too.",
            "Recipe": f"{growth.n_trees} trees of depth {growth.max_depth} at most (paper: 250 and 20);"
            f" {growth.n_edges + 1} bins a feature at most, the square root of the number of features looked at for a"
            f" split, seed {recipe.seed}. A node takes two bytes; the share in a leaf is kept in 255ths, and every"
            " figure here is measured with the forest as it is stored. `matgen train two_d_screen` needs the extra"
            " `descriptors`.",
            "Figures beside the paper's": _figures(metrics)
            + f"\n\nFalse positives and what is found, by threshold, on held-out systems:\n\n{_thresholds(metrics)}\n\n"
            "Calibration on held-out systems. Mean gap between probability and share of 2D formulas"
            f" {calibration['expected_calibration_error']:.4f}, Brier score {calibration['brier']:.4f};"
            f" {_corrections(metrics)}\n\n{_reliability(calibration['table'])}\n\n"
            f"By the most electronegative element, at 0.5 and on held-out systems:\n\n{_by_anion(metrics)}\n\n"
            + (_candidates(candidates) if candidates else _NO_CANDIDATES),
            "What was tried": f"{recipe.tried_trees} trees, {recipe.tried_folds} of the {recipe.n_folds} folds:\n\n"
            f"{markdown_table(tried)}\n\nFewer trees of the same forests, all folds:\n\n{markdown_table(trees)}\n\n"
            "What the forests look at: AUC that is lost on held-out formulas when the six features of one property are"
            " shuffled together: " + ", ".join(f"{name} {value:.4f}" for name, value in first) + ".",
            "Intended use": "Ordering generated compositions for a closer look; finding known 2D formulas like a new"
            " one.",
            "Out of scope": "Whether a composition forms at all, in which structure, and whether its layers come off:"
            " a composition cannot say that it is layered. Polymorphs have one probability.",
            "Known failures": f"The probability holds for a mixture with {found['share_two_dimensional']:.1%} 2D"
            " formulas, as in the training data; how many of all possible compositions are 2D materials nobody knows."
            " Known 2D materials come from screenings of known layered crystals, so the forest knows the chemistry of"
            f" such crystals: {_weakest(metrics)} Counts above a threshold depend on it steeply.",
        },
    )


_NO_CANDIDATES = (
    "Candidates among two million generated compositions are counted when the checkpoint `matgan_icsd` is present."
)


def _figures(metrics: dict[str, Any]) -> str:
    def auc(key: str, figures: dict[str, Any]) -> dict[str, str]:
        return {
            "figure": key,
            "AUC": f"{figures['auc']:.4f} ± {figures['auc_std']:.4f}",
            "average precision": f"{figures['average_precision']:.3f} ± {figures['average_precision_std']:.3f}",
            "paper, AUC": "",
        }

    rows = [
        auc("ten folds, no chemical system in two", metrics["by_system"]),
        auc("the same, bulk formulas with a layered polymorph left out", metrics["by_system_without_doubtful_bulk"]),
        auc("ten folds of formulas, as in the paper", metrics["by_row"]) | {"paper, AUC": str(PAPER_AUC)},
        auc("baseline: counts of the elements (naive Bayes)", metrics["baselines"]["elements"]),
        auc("baseline: the most electronegative element", metrics["baselines"]["most_electronegative"]),
    ]
    gap = metrics["by_row"]["average_precision"] - metrics["by_system"]["average_precision"]
    return (
        f"{markdown_table(pd.DataFrame(rows))}\n\nMean ± standard deviation over the folds. The paper's positives"
        " (2DMatPedia, about 6,351) and bulk formulas are others than these. Folds that let formulas of one chemical"
        f" system stand on both sides change the average precision by {gap:+.3f}."
    )


def _thresholds(metrics: dict[str, Any]) -> str:
    rows = [
        {
            "p >=": row["threshold"],
            "bulk formulas that pass": f"{row['false_positive_rate']:.4f}",
            "by votes": f"{votes['false_positive_rate']:.4f}",
            "paper, by votes": PAPER_FALSE_POSITIVES.get(row["threshold"], "about 0"),
            "2D formulas that pass": f"{row['recall']:.3f}",
            "2D among what passes": "none pass" if row["precision"] is None else f"{row['precision']:.3f}",
        }
        for row, votes in zip(metrics["thresholds"]["sigmoid"], metrics["thresholds"]["votes"], strict=True)
    ]
    return markdown_table(pd.DataFrame(rows))


def _corrections(metrics: dict[str, Any]) -> str:
    parts = [
        f"{words} {metrics['calibration'][name]['expected_calibration_error']:.4f} and"
        f" {metrics['calibration'][name]['brier']:.4f}"
        for name, words in (("votes", "of the votes as they are"), ("isotonic", "of an isotonic correction"))
    ]
    return ", ".join(parts) + ". Corrections are fitted without the fold that they are judged on."


def _by_anion(metrics: dict[str, Any]) -> str:
    rows = [
        {
            "element": row["element"],
            "2D formulas": row["two_dimensional"],
            "bulk": row["bulk"],
            "2D formulas that pass": f"{row['recall']:.3f}",
            "bulk that passes": f"{row['false_positive_rate']:.4f}",
        }
        for row in metrics["by_anion"]
    ]
    return markdown_table(pd.DataFrame(rows))


def _weakest(metrics: dict[str, Any]) -> str:
    """Say for which elements the fewest and the most of the 2D formulas are found."""
    rows = sorted((row for row in metrics["by_anion"] if row["element"] != "others"), key=lambda row: row["recall"])
    low, high = rows[0], rows[-1]
    return (
        f"at 0.5 it finds {high['recall']:.0%} of the 2D formulas whose most electronegative element is"
        f" {high['element']}, and {low['recall']:.0%} of those with {low['element']}."
    )


def _reliability(table: list[dict[str, Any]]) -> str:
    rows = [
        {
            "probability": f"{row['from']:.1f} to {row['from'] + 0.1:.1f}",
            "formulas": row["n"],
            "mean probability": f"{row['mean_probability']:.3f}",
            "share 2D": f"{row['share_2d']:.3f}",
        }
        for row in table
    ]
    return markdown_table(pd.DataFrame(rows))


def _candidates(found: dict[str, Any]) -> str:
    names = ("all", "2 elements", "3", "4", "5 and more")
    rows = [
        {
            "p >=": row["threshold"],
            **{
                name: f"{ours:,} ({paper:,})"
                for name, ours, paper in zip(names, row["ours"], row["paper"], strict=True)
            },
        }
        for row in found["counts"]
    ]
    return (
        f"Candidates among {found['n_generated']:,} samples of `matgan_icsd`, of which {found['n_screened']:,} are"
        f" different, neutral and balanced: by probability (by votes; in the paper, by votes)."
        f"\n\n{markdown_table(pd.DataFrame(rows))}"
    )
