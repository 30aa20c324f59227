"""Figures show what the tables hold: every row, in its place, under its name."""

import pandas as pd

from matgen_core import checkpoint, figures, ranking

NAMES = ["Cl-Li-S-Sn", "Li-O-P-S", "Cl-Cs-O-Re", "C-I-Mo-O", "As-As-Cd-Cl"]


def test_the_ranking_shows_score_spread_and_ranks() -> None:
    rows = pd.DataFrame(
        {"phase_field": NAMES[:2], "score": [1.0, 2.0], "score_std": [0.1, 0.3], "rank": [1, 2]}
        | {"rank_low": [1, 2], "rank_high": [4, 9]}
    )
    figure = figures.ranking(rows, selected=NAMES[1])
    (dots,) = figure.data
    assert list(dots.y) == ["Li-Sn-S-Cl", "Li-P-S-O"]
    assert list(dots.x) == [1.0, 2.0]
    assert list(dots.error_x.array) == [0.1, 0.3]
    assert list(dots.marker.color) == [figures.KNOWN, figures.ACCENT]
    assert [list(point) for point in dots.customdata] == [[NAMES[0], "1 to 4"], [NAMES[1], "2 to 9"]]
    beside = {note.y: note.text for note in figure.layout.annotations}
    assert beside == {1: "rank, 90 %", "Li-Sn-S-Cl": "1 to 4", "Li-P-S-O": "2 to 9"}


def test_a_ranker_without_members_has_no_whiskers() -> None:
    norm = checkpoint.load("phase_field_norm")
    rows = ranking.rank(norm, [("Cl", "Li", "S", "Sn"), ("Li", "O", "P", "S")])
    (dots,) = figures.ranking(rows).data
    assert dots.error_x.array is None
    assert list(dots.x) == list(rows["score"])


def test_contributions_are_shares_of_their_sum() -> None:
    (bars,) = figures.contributions(pd.DataFrame({"element": ["Li", "S"], "contribution": [1.0, 3.0]})).data
    assert dict(zip(bars.y, bars.text, strict=True)) == {"Li": "1.0 (25%)", "S": "3.0 (75%)"}


def test_scores_of_known_and_candidates_are_told_apart() -> None:
    figure = figures.scores([1.0, 2.0], [3.0], selected=3.0)
    assert [(trace.name, list(trace.x)) for trace in figure.data] == [
        ("known (training), 2", [1.0, 2.0]),
        ("candidates, 1", [3.0]),
    ]
    assert figure.layout.shapes[0].x0 == 3.0


def test_evidence_has_a_panel_a_control_with_the_stored_auc() -> None:
    metrics = checkpoint.load("phase_field_norm").metrics
    frame = ranking.evidence_frame("norm", metrics)
    figure = figures.evidence(frame)
    assert len(figure.data) == len(ranking.CONTROLS)
    for trace, control in zip(figure.data, ranking.CONTROLS, strict=True):
        shown = dict(zip(trace.y, trace.x, strict=True))
        assert shown["norm"] == metrics["evidence"][control]["auc"]["mean"]
        assert shown["pair co-occurrence"] == metrics["baselines"]["pair_co_occurrence"][control]["auc"]["mean"]
        assert next(iter(trace.error_x.array)) == metrics["evidence"][control]["auc"]["std"]


def test_faithfulness_has_a_box_a_projection() -> None:
    index = pd.DataFrame({"umap_faithfulness": [0.1, 0.9], "pca_faithfulness": [0.2, 0.4]})
    boxes = {box.name: list(box.x) for box in figures.faithfulness(index, ("umap", "pca")).data}
    assert boxes == {"UMAP": [0.1, 0.9], "PCA": [0.2, 0.4]}
