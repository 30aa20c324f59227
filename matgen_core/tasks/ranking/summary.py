"""Rankings and their evidence as tables that a page or a notebook can show."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from matgen_core.materials.fields import PhaseField
from matgen_core.tasks.ranking.evidence import CONTROLS
from matgen_core.tasks.ranking.rankers import BASELINES, HARDEST


def by_element(table: pd.DataFrame) -> pd.DataFrame:
    """Tell how the fields that hold an element score: columns element, n_fields, mean_score, best_rank."""
    exploded = table.assign(element=list(map(PhaseField.read, table["phase_field"]))).explode("element")
    grouped = exploded.groupby("element")
    return pd.DataFrame(
        {"n_fields": grouped.size(), "mean_score": grouped["score"].mean(), "best_rank": grouped["rank"].min()}
    ).reset_index()


def evidence_frame(name: str, metrics: Mapping[str, Any]) -> pd.DataFrame:
    """Lay out a ranker's evidence beside the baselines.

    Args:
        name: What to call the ranker.
        metrics: Of its checkpoint.

    Returns:
        One row a ranker and control: ranker, control, auc, auc_std (over folds), enrichment_1, enrichment_5,
        is_baseline. Empty if the checkpoint holds no evidence.
    """
    parts = {name: metrics.get("evidence", {})}
    parts |= {title: metrics.get("baselines", {}).get(key, {}) for key, title in BASELINES.items()}
    rows = [
        {
            "ranker": ranker,
            "control": title,
            "auc": float(evidence[control]["auc"]["mean"]),
            "auc_std": float(evidence[control]["auc"]["std"]),
            "enrichment_1": float(evidence[control]["enrichment_1"]["mean"]),
            "enrichment_5": float(evidence[control]["enrichment_5"]["mean"]),
            "is_baseline": ranker != name,
        }
        for ranker, evidence in parts.items()
        for control, title in CONTROLS.items()
        if control in evidence
    ]
    columns = ["ranker", "control", "auc", "auc_std", "enrichment_1", "enrichment_5", "is_baseline"]
    return pd.DataFrame(rows, columns=columns)


def verdict(metrics: Mapping[str, Any]) -> str:
    """Say in one sentence a baseline whether a ranker beats it on held-out fields, control by control.

    Where the ranker was judged on the harder split by time too, a last sentence says what came of that.
    """
    evidence, baselines = metrics.get("evidence", {}), metrics.get("baselines", {})
    sentences = []
    for key, title in reversed(BASELINES.items()):
        theirs = baselines.get(key, {})
        tested = [control for control in CONTROLS if control in evidence and control in theirs]
        lost = [control for control in tested if evidence[control]["auc"]["mean"] <= theirs[control]["auc"]["mean"]]
        if not tested:
            continue
        if not lost:
            sentences.append(f"It beats {title} against every kind of random field.")
        elif len(lost) == len(tested):
            sentences.append(f"It does not beat {title} against any kind of random field.")
        else:
            sentences.append(f"It does not beat {title} against {' or '.join(CONTROLS[control] for control in lost)}.")
    if sentences and "pseudo_time" in metrics:
        sentences = ["In cross-validation:", *sentences, _harder(metrics["pseudo_time"])]
    return " ".join(sentences) or "There is no held-out evidence for this ranker."


def _harder(pseudo_time: Mapping[str, Any]) -> str:
    ours, pairs = (pseudo_time[key][HARDEST]["auc"] for key in ("ranker", "pair_co_occurrence"))
    return (
        f"On known fields that older databases lack, a harder test, it {'beats' if ours > pairs else 'does not beat'}"
        f" {BASELINES['pair_co_occurrence']}: AUC {ours:.3f} against {pairs:.3f}."
    )
