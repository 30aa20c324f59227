"""Figures show what the tables hold: every row, in its place, under its name."""

import numpy as np
import pandas as pd

from matgen_core import checkpoint
from matgen_core.materials.fields import PhaseField
from matgen_core.materials.formulas import subscripted
from matgen_core.tasks import ranking
from matgen_core.tasks.funnel.answers import Answer
from matgen_core.tasks.validation import diagrams
from matgen_core.views import charts
from tests.support.rows import each_row

CORNERS = ((0.0, 0.0), (1.0, 0.0), (0.5, 0.75**0.5))  # of a diagram of three elements
NAMES = ["Cl-Li-S-Sn", "Li-O-P-S", "Cl-Cs-O-Re", "C-I-Mo-O", "As-As-Cd-Cl"]


def test_the_ranking_shows_score_spread_and_ranks() -> None:
    rows = pd.DataFrame(
        {"phase_field": NAMES[:2], "score": [1.0, 2.0], "score_std": [0.1, 0.3], "rank": [1, 2]}
        | {"rank_low": [1, 2], "rank_high": [4, 9]}
    )
    figure = charts.ranking(rows, selected=NAMES[1])
    dots, names = figure.data
    assert list(names.y) == list(dots.y)  # a click on a name chooses, too: an unseen bar lies under it
    assert [list(point) for point in names.customdata] == [list(point) for point in dots.customdata]
    assert (names.marker.opacity, names.selected.marker.opacity, names.unselected.marker.opacity) == (0, 0, 0)
    assert list(figure.layout.yaxis.ticktext) == ["Li-Sn-S-Cl", "<b>Li-P-S-O</b>"]
    assert list(dots.y) == ["Li-Sn-S-Cl", "Li-P-S-O"]
    assert list(dots.x) == [1.0, 2.0]
    assert list(dots.error_x.array) == [0.1, 0.3]
    assert list(dots.marker.color) == [charts.KNOWN, charts.ACCENT]
    assert [list(point) for point in dots.customdata] == [[NAMES[0], "1 to 4"], [NAMES[1], "2 to 9"]]
    beside = {note.y: note.text for note in figure.layout.annotations}
    assert beside == {1: "rank, 90 %", "Li-Sn-S-Cl": "1 to 4", "Li-P-S-O": "2 to 9"}


def test_a_ranker_without_members_has_no_whiskers() -> None:
    norm = checkpoint.load("phase_field_norm")
    rows = ranking.rank(norm, [PhaseField.read("Cl-Li-S-Sn"), PhaseField.read("Li-O-P-S")])
    dots, _ = charts.ranking(rows).data
    assert dots.error_x.array is None
    assert list(dots.x) == list(rows["score"])


def test_contributions_are_shares_of_their_sum() -> None:
    (bars,) = charts.contributions(pd.DataFrame({"element": ["Li", "S"], "contribution": [1.0, 3.0]})).data
    assert dict(zip(bars.y, bars.text, strict=True)) == {"Li": "1.0 (25%)", "S": "3.0 (75%)"}


def test_scores_of_known_and_candidates_are_told_apart() -> None:
    figure = charts.scores([1.0, 2.0], [3.0], selected=3.0)
    assert [(trace.name, list(trace.x)) for trace in figure.data] == [
        ("known (training), 2", [1.0, 2.0]),
        ("candidates, 1", [3.0]),
    ]
    assert figure.layout.shapes[0].x0 == 3.0


def test_evidence_has_a_panel_a_control_with_the_stored_auc() -> None:
    metrics = checkpoint.load("phase_field_norm").metrics
    frame = ranking.evidence_frame("norm", metrics)
    figure = charts.evidence(frame)
    assert len(figure.data) == len(ranking.CONTROLS)
    for trace, control in zip(figure.data, ranking.CONTROLS, strict=True):
        shown = dict(zip(trace.y, trace.x, strict=True))
        assert shown["norm"] == metrics["evidence"][control]["auc"]["mean"]
        assert shown["pair co-occurrence"] == metrics["baselines"]["pair_co_occurrence"][control]["auc"]["mean"]
        assert next(iter(trace.error_x.array)) == metrics["evidence"][control]["auc"]["std"]


def test_faithfulness_has_a_box_a_projection() -> None:
    index = pd.DataFrame({"umap_faithfulness": [0.1, 0.9], "pca_faithfulness": [0.2, 0.4]})
    boxes = {box.name: list(box.x) for box in charts.faithfulness(index, ("umap", "pca")).data}
    assert boxes == {"UMAP": [0.1, 0.9], "PCA": [0.2, 0.4]}


def test_an_answer_stands_beside_the_request_and_the_training_range() -> None:
    energy = Answer("energy", -2.0, 0.1).after(pd.DataFrame({"energy": [-2.05, -1.0, 0.5, 0.5], "problem": ""}))
    volume = Answer("volume", 30.0).after(pd.DataFrame({"volume": [28.0, 31.0], "problem": ""}))
    ranges = {"energy": (-5.0, -3.2, 1.9, 3.0), "volume": (4.0, 9.0, 52.0, 77.0)}
    figure = charts.answers([energy, volume], ranges, {"energy": "Energy (eV/atom)", "volume": "Volume (Å³)"})
    bars, others = figure.data
    assert (bars.y.sum(), others.y.sum()) == (4, 2)
    assert dict(zip(bars.x[bars.y > 0].round(1), bars.y[bars.y > 0], strict=True)) == {-2.0: 1, -1.0: 1, 0.5: 2}
    np.testing.assert_allclose(np.diff(bars.customdata)[:, 0], bars.width)
    spans = [(shape.xref, shape.x0, shape.x1) for shape in figure.layout.shapes]
    assert spans == [("x", -3.2, 1.9), ("x", -2.1, -1.9), ("x", -2, -2), ("x2", 9, 52), ("x2", 30, 30)]
    notes = {note.text: note.xref for note in figure.layout.annotations}
    assert notes["<b>asked for \u22122</b> ± 0.1"] == "x"
    assert notes["<b>asked for 30</b>"] == "x2"
    low, high = figure.layout.xaxis2.range
    assert low < 9 < 52 < high
    assert figure.layout.xaxis.title.text == "Energy (eV/atom), predicted"


def test_the_funnel_tells_counts_shares_and_what_is_undecided() -> None:
    counts, is_open = {"generated": 200, "unique": 100, "neutral": 25}, {"neutral": 60}
    decided, undecided = charts.funnel(counts, is_open).data
    assert list(decided.y) == ["generated", "unique", "charge-neutral"]
    assert list(decided.x) == [200, 100, 25]
    assert list(undecided.x) == [0, 0, 60]
    assert list(undecided.text) == ["<b>200</b>", "<b>100</b>  50.0%", "<b>25</b>  25.0%  (60 undecided)"]
    decided, undecided = charts.funnel({**counts, "neutral": 85}, is_open, ["neutral"]).data
    assert list(decided.x) == [200, 100, 25]
    assert undecided.text[2] == "<b>85</b>  85.0%  (60 of them undecided)"


def test_each_element_stands_in_its_place_with_its_share() -> None:
    table = pd.DataFrame(
        {
            "element": ["H", "O", "Ce", "La"],
            "generated": [1.0, 40.0, 2.0, 0.5],
            "kept": 0.0,
            "training": [2, 10, 4, 0.5],
        }
    )
    places = {"H": (0, 0), "O": (1, 15), "Ce": (8, 3), "La": (5, 2)}
    for shown, value in (("generated", 40.0), ("ratio", 2.0)):
        _, colored, named = charts.element_shares(table, shown).data
        assert colored.z[places["O"]] == value
        assert sum(z == z for z in colored.z.ravel()) == 4
        for symbol, place in places.items():
            assert named.customdata[place].startswith(f"<b>{symbol}</b><br>generated")
    letters = {note.text: (note.y, note.x) for note in charts.element_shares(table, "kept").layout.annotations}
    assert {symbol: letters[symbol] for symbol in places} == places
    assert letters["Hf"] == (5, 3)
    assert charts.element_shares(table, "generated", logarithmic=True).data[1].z[0, 0] == 0.0


def test_generated_formulas_are_told_from_real_ones() -> None:
    points = pd.DataFrame({"formula": ["A", "B", "C"], "kind": ["real", "kept", "real"]})
    real, kept = charts.generated_map(np.array([[0.0, 1], [2, 3], [4, 5]]), points).data
    assert (list(real.x), list(real.y), list(real.text)) == ([0, 4], [1, 5], ["A", "C"])
    assert (list(kept.x), kept.name) == ([2], "kept, 1")


@each_row("formula", ["NaCl", "SrTiO3", "KLi", "Fe2O3", "LiCoO2"])
def test_a_hull_diagram_shows_every_phase_and_the_crystal_in_its_place(formula: str) -> None:
    phases = diagrams.phases_of(formula)
    share = diagrams.place_of(formula, phases)
    figure = charts.hull(phases, formula, share, -1.0, 0.05, {formula})
    points = {each.name: each for each in figure.data if each.mode.startswith("markers")}
    yours = points.pop("yours")
    assert sum(len(each.x) for each in points.values()) == len(phases.table)
    assert sum(each.mode == "lines" for each in figure.data) == len(phases.lines)
    stable = points["known and stable"]
    if len(phases.elements) == 2:
        assert (yours.x[0], yours.y[0]) == (share[phases.elements[1]], -1.0)
        assert list(stable.y) == phases.table["energy"][phases.table["is_stable"]].tolist()
    else:
        at = sum(share[each] * np.array(corner) for each, corner in zip(phases.elements, CORNERS, strict=True))
        assert np.allclose([yours.x[0], yours.y[0]], at)
        known = phases.table.index[(phases.table["formula"] == formula) & phases.table["is_stable"]]
        named = [text for text in stable.text or () if text]
        assert (subscripted(formula) in named) == bool(len(known))
    assert "\u22121.000 eV/atom, +0.050 to the hull" in yours.hovertemplate


def test_the_energy_of_a_relaxation_is_told_above_its_end() -> None:
    (line,) = charts.relaxation([0, 5, 9], [-3.0, -3.1, -3.2]).data
    assert list(line.x) == [0, 5, 9]
    assert np.allclose(line.y, [200, 100, 0])


def test_generators_stand_in_order_with_their_intervals() -> None:
    board = pd.DataFrame(
        {
            "name": ["a", "<b>", "c"], "kind": ["here", "this", "no network"], "n": [10, 8, 10],
            "msun": [20.0, 50.0, None], "msun_low": [10.0, 25.0, None], "msun_high": [40.0, 75.0, None],
        }
    )  # fmt: skip
    (dots,) = charts.generators(board, "msun", "S.U.N.", "<b>").data
    assert list(dots.y) == ["a", "<b>&lt;b&gt;</b>"]
    assert list(dots.error_x.array) == [20.0, 25.0]
    assert list(dots.error_x.arrayminus) == [10.0, 25.0]
    assert list(dots.marker.color) == [charts.KNOWN, charts.ACCENT]
