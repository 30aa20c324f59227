"""A run of the funnel beside a page: what it shows is what the funnel found, and what was kept stays when it ends."""

import io
import json
import shutil
import threading
import zipfile
from collections import Counter
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from pymatgen.core import Composition

from matgen_core import checkpoint
from matgen_core.checkpoint import Checkpoint
from matgen_core.materials.formulas import Formulas, KnownFormulas
from matgen_core.networks.models.formula_lm import FormulaLM, FormulaLMConfig
from matgen_core.representations import ElementCounts
from matgen_core.tasks import funnel
from matgen_core.tasks.funnel import session
from matgen_core.tasks.funnel.running import Request, Wanted
from matgen_core.tasks.funnel.session import Generation
from matgen_core.tasks.prediction import predict_formulas
from tests.support.waiting import until

N = 1_500


@pytest.fixture(scope="module")
def ding() -> Checkpoint:
    return checkpoint.load("ding")


@pytest.fixture(scope="module")
def over(ding: Checkpoint) -> Generation:
    """A small run that came to its end."""
    request = Request(N, seed=3, wanted=Wanted(never=("F",), n_elements=(2, 4)))
    return ended(Generation(ding, request, [partial(predict_formulas, ding)]))


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of several chunks are short."""
    monkeypatch.setattr(session, "CHUNK", funnel.BATCH)


def ended(run: Generation) -> Generation:
    run.job.wait(120)
    assert run.job.is_over
    return run


def test_a_run_shows_what_the_funnel_found(ding: Checkpoint, over: Generation) -> None:
    (chunk,) = funnel.run(ding, over.request, [partial(predict_formulas, ding)])
    seen = over.look()
    assert (seen.status.state, seen.status.problem, seen.status.done) == ("done", "", N)
    assert (seen.counts, seen.undecided) == (dict(chunk.counts), dict(chunk.undecided))
    kept = chunk.rows[chunk.rows["kept"]]
    assert 0 < len(kept) == over.n_kept < N
    stored = pd.read_parquet(over.folder)
    for table in (seen.kept, stored):
        assert table["formula"].to_list() == kept["formula"].to_list()
        np.testing.assert_allclose(table["volume_per_atom"], kept["volume_per_atom"])
    assert seen.rate == pytest.approx(N / seen.status.seconds)
    with zipfile.ZipFile(io.BytesIO(over.archive({"made_by": "ding"}))) as archive:
        assert json.loads(archive.read("formulas/origin.json")) == {"made_by": "ding"}
        names = [name for name in archive.namelist() if name.endswith(".parquet")]
        parts = [pd.read_parquet(io.BytesIO(archive.read(name))) for name in names]
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), stored)


def test_a_share_stands_beside_that_of_the_training_formulas(over: Generation) -> None:
    real = session.real_formulas(over.checkpoint)
    assert over.training_share() == np.mean([each for each in over.request.wanted.passes(real)])
    index = over.checkpoint.index
    assert index is not None
    name, limit = "volume_per_atom", 2.0
    asked = replace(over.request, condition={name: 20.0}, tolerance={name: limit})
    values = index.loc[index["split"] == "train", name].dropna()
    near = Generation.__new__(Generation)
    near.checkpoint, near.request = over.checkpoint, asked
    assert near.training_share_near(name) == pytest.approx(float(((values - 20.0).abs() <= limit).mean()))
    assert near.training_share_near("band_gap") is None


def test_radioactive_formulas_come_last_in_their_order() -> None:
    rows = pd.DataFrame({"formula": ["Li2UTcO6", "LiFeO2", "BiTcO4", "Li3BiO4", "PmN"], "sample": range(5)})
    table, n_last = session.radioactive_last(rows)
    assert n_last == 3
    assert list(table["formula"]) == ["LiFeO2", "Li3BiO4", "Li2UTcO6", "BiTcO4", "PmN"]
    assert list(table["sample"]) == [1, 3, 0, 2, 4]
    assert session.radioactive_last(rows[rows["formula"] == "LiFeO2"])[1] == 0


def test_what_was_not_kept_says_where_it_stopped(over: Generation) -> None:
    seen = over.look()
    assert len(seen.left) == min(session.LEFT_SHOWN, N - over.n_kept)
    stops = Counter(session.stopped_at(all_rows(over)[lambda rows: ~rows["kept"]]))
    counts, is_open = seen.counts, seen.undecided
    assert stops["no formula"] == N - counts["formula"]
    assert stops["not asked for"] == counts["formula"] - counts["wanted"] > 0
    assert stops["came before"] == counts["wanted"] - counts["unique"] > 0
    assert stops["neutral: undecided"] == is_open["neutral"] > 0
    assert stops["not neutral"] == counts["unique"] - counts["neutral"] - is_open["neutral"] > 0
    assert stops["not balanced"] + stops["balanced: undecided"] == counts["neutral"] - counts["balanced"]
    assert "" not in stops


def all_rows(run: Generation) -> pd.DataFrame:
    return pd.concat([chunk.rows for chunk in funnel.run(run.checkpoint, run.request)])


def no_sodium(formulas: Formulas) -> pd.DataFrame:
    """A predictor that knows nothing of sodium."""
    problems = ["Na is unknown" if "Na" in text else "" for text in formulas.texts()]
    return pd.DataFrame({"band": 1.0, "band_std": 0.1, "problem": problems})


@pytest.fixture(scope="module")
def near(ding: Checkpoint) -> Generation:
    """A run of two parts that keeps what is predicted near the request."""
    wishes = {"condition": {"volume_per_atom": 14.0, "energy_per_atom": -6.0}, "tolerance": {"volume_per_atom": 2.0}}
    request = Request(funnel.BATCH + 500, seed=3, wanted=Wanted(must=("O",)), **wishes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "CHUNK", funnel.BATCH)
        return ended(Generation(ding, request, [partial(predict_formulas, ding), no_sodium]))


@pytest.fixture(scope="module")
def near_rows(ding: Checkpoint, near: Generation) -> pd.DataFrame:
    """All that the funnel finds for the same request."""
    return pd.concat(
        [chunk.rows for chunk in funnel.run(ding, near.request, [partial(predict_formulas, ding), no_sodium])]
    )


def test_a_run_keeps_what_is_near_the_request(near: Generation, near_rows: pd.DataFrame) -> None:
    seen = near.look()
    stored = pd.read_parquet(near.folder)
    assert len(list(near.folder.glob("*.parquet"))) == 2
    assert stored["volume_per_atom"].between(12, 16).all()
    assert 0 < near.n_kept == len(stored) == seen.counts["near"] < seen.counts["predicted"] < seen.counts["novel"]
    assert not stored["formula"].str.contains("Na").any()
    best = near.best("off_by", True)
    assert best["off_by"].is_monotonic_increasing
    assert best["off_by"].iloc[0] == stored["off_by"].min() < 0.1
    stops = Counter(session.stopped_at(near_rows[~near_rows["kept"]]))
    assert stops["not predicted"] == seen.counts["novel"] - seen.counts["predicted"] > 0
    assert stops["not near the request"] == seen.counts["predicted"] - seen.counts["near"] > 0
    assert stops["in the training data"] == seen.counts["balanced"] - seen.counts["novel"] > 0
    assert "" not in stops


def test_a_run_tells_whether_the_request_was_heard(near: Generation, near_rows: pd.DataFrame) -> None:
    counts = near.look().counts
    volume, energy = near.look().answers
    assert (volume.name, volume.asked, volume.tolerance) == ("volume_per_atom", 14.0, 2.0)
    assert (energy.name, energy.asked, energy.tolerance) == ("energy_per_atom", -6.0, None)
    assert volume.n == energy.n == sum(volume.counts.values()) == counts["predicted"]
    assert volume.n_near == counts["near"]
    values = near_rows.loc[near_rows["problem"] == "", "volume_per_atom"].dropna()
    assert volume.median == pytest.approx(values.median(), abs=0.01)
    assert volume.nearest == pytest.approx(values.iloc[(values - 14).abs().argmin()])


def test_a_run_that_is_stopped_keeps_what_is_near(ding: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "CHUNK", funnel.BATCH)
    wishes = {"condition": {"volume_per_atom": 14.0}, "tolerance": {"volume_per_atom": 1.0}}
    run = Generation(ding, Request(funnel.MAX_SAMPLES, **wishes), [partial(predict_formulas, ding)])
    assert tuple(run.look().counts) == tuple(funnel.STAGES)  # before the first part, too
    run.job.wait_for(lambda: run.look().counts["near"] > 0, 120)
    run.job.stop()
    seen = ended(run).look()
    assert seen.status.state == "stopped"
    assert 0 < seen.status.done == seen.counts["generated"] < 10 * session.CHUNK
    assert len(pd.read_parquet(run.folder)) == run.n_kept == seen.counts["near"] == seen.answers[0].n_near > 0


def test_the_best_rows_are_those_of_all_parts(ding: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "SHOWN", 40)
    run = ended(Generation(ding, Request(2 * session.CHUNK, seed=1, wanted=Wanted(must=("O",)))))
    assert len(list(run.folder.glob("*.parquet"))) == 2
    stored = pd.read_parquet(run.folder)
    for ascending in (True, False):
        top = run.best("n_elements", ascending)
        assert len(run.look().kept) == len(top) == 40 < len(stored)
        expected = stored.sort_values("n_elements", ascending=ascending, kind="stable").head(40)
        assert top["formula"].to_list() == expected["formula"].to_list()


def test_elements_are_counted_in_percent_of_the_formulas(ding: Checkpoint, over: Generation) -> None:
    shares = over.element_shares().set_index("element")
    rows = all_rows(over)
    for column, formulas in (("generated", rows["formula"]), ("kept", rows.loc[rows["kept"], "formula"])):
        has_oxygen = ["O" in Composition(text) for text in formulas if text]
        assert shares.at["O", column] == pytest.approx(100 * np.mean(has_oxygen))
    assert ding.index is not None
    training = ding.index.loc[ding.index["split"] == "train", "formula"]
    assert shares.at["O", "training"] == pytest.approx(100 * np.mean(["O" in Composition(text) for text in training]))
    assert shares.at["F", "kept"] == 0 < shares.at["F", "generated"]


def test_real_and_generated_formulas_lie_side_by_side(ding: Checkpoint, over: Generation) -> None:
    features, points = over.comparison()
    assert len(features) == len(points)
    assert set(points["kind"]) == {"real", "generated", "kept"}
    rows = all_rows(over)
    kept = set(rows.loc[rows["kept"], "formula"])
    assert set(points.loc[points["kind"] == "kept", "formula"]) == kept
    assert points.loc[points["kind"] != "real", "formula"].is_unique
    place = points.index[points["kind"] == "kept"][0]
    composition = Composition(points.at[place, "formula"])
    expected = sorted((composition.get_atomic_fraction(element) for element in composition), reverse=True)
    assert sorted(features[place][features[place] > 0].tolist(), reverse=True) == pytest.approx(expected, rel=1e-5)


def test_the_files_go_with_the_run(ding: Checkpoint) -> None:
    run = ended(Generation(ding, Request(50)))
    folder = run.folder
    assert folder.is_dir()
    del run
    assert until(lambda: not folder.exists())  # the thread of the run may be about to end


def test_what_cannot_be_written_ends_a_run_with_one_line(ding: Checkpoint) -> None:
    run = Generation(ding, Request(8 * session.CHUNK, wanted=Wanted(must=("O",))))
    shutil.rmtree(run.folder)  # as if the disk were gone
    seen = ended(run).look()
    assert seen.status.state == "failed"
    assert str(run.folder) in seen.status.problem


def test_a_fault_of_ours_stays_loud(ding: Checkpoint) -> None:
    def broken(_: object) -> pd.DataFrame:
        raise ZeroDivisionError("ours")

    run = ended(Generation(ding, Request(500), [broken]))
    with pytest.raises(ZeroDivisionError, match="ours"):
        run.look()


def test_the_formula_most_alike_has_the_most_similar_shares(ding: Checkpoint) -> None:
    assert ding.index is not None
    training = ding.index.loc[ding.index["split"] == "train", "formula"]
    formula = str(training.iloc[7])
    assert session.most_alike(ding, formula) == (formula, 0.0)
    found = session.most_alike(ding, "NaCl3")
    assert found is not None

    def apart(text: str) -> float:
        one, other = Composition("NaCl3").fractional_composition, Composition(text).fractional_composition
        return sum(abs(one[each] - other[each]) for each in {*one, *other}) / 2

    assert found[1] == pytest.approx(min(apart(text) for text in training), abs=1e-6)
    assert apart(found[0]) == pytest.approx(found[1], abs=1e-6)
    with pytest.raises(ValueError, match="no formula"):
        session.most_alike(ding, "salt!")


def test_a_network_with_a_critic_is_compared_by_its_last_layer_and_knows_what_is_novel() -> None:
    torch.manual_seed(0)
    config = FormulaLMConfig(n_elements=6, n_counts=4, n_slots=4, hidden=8, critic=8, n_features=5)
    layout = ElementCounts(("Li", "Na", "Fe", "Al", "S", "O"), max_count=4)
    known, _ = Formulas.of_texts(["Li2O", "Fe2O3", "NaAlO2", "Na2S"])
    index = pd.DataFrame({"formula": [*known.texts(), "AlS"], "split": ["train"] * 4 + ["generated"]})
    gan = Checkpoint(
        "tiny", "formula_lm", FormulaLM(config).eval(), layout, {}, "", index=index, known=KnownFormulas.of(known)
    )
    run = ended(Generation(gan, Request(400, seed=1)))
    features, points = run.comparison()
    assert features.shape == (len(points), 5)
    assert (points["kind"] == "real").sum() == 4
    with torch.inference_mode():
        expected = gan.model.features(torch.from_numpy(layout.encode_formulas(known))).numpy()
    np.testing.assert_allclose(features[:4], expected, rtol=1e-5)
    assert session.novel(gan, "Fe4O6") is False
    assert session.novel(gan, "FeO") is True
    assert session.novel(replace(gan, known=None), "FeO") is None
    assert session.novel(checkpoint.load("ding"), "FeO") is False  # it shares those of formula_lm_oqmd


def test_a_run_that_was_left_lets_go_of_its_rows_unless_somebody_comes_back(ding: Checkpoint) -> None:
    run = ended(Generation(ding, Request(200, seed=1)))
    assert run.folder.exists()
    others = set(threading.enumerate())
    run.leave(5)
    run.stay()
    for timer in set(threading.enumerate()) - others:
        timer.join(60)
    assert run.folder.exists()
    run.leave(3_600)
    run.leave(0)
    assert until(lambda: not run.folder.exists())
