"""The page Compositions alone: nothing yet, a run, a run that is canceled, and what cannot be asked for."""

import shlex
import time
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pymatgen.core import Composition
from streamlit.runtime.caching import cache_resource_api
from streamlit.testing.v1 import AppTest

from matgen_core import checkpoint
from matgen_core.jobs.turns import Turn
from matgen_core.materials.formulas import subscripted
from matgen_core.tasks import funnel
from matgen_core.tasks.funnel import session
from matgen_core.tasks.funnel.running import Request, Wanted
from matgen_core.tasks.prediction import predict_formulas
from tests.support.page_checks import said, seen, whole
from tests.support.serving import ROOT

PAGE = ROOT / "pages" / "compositions.py"
N = 800


@pytest.fixture(autouse=True)
def short_chunks(fresh_caches: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is stopped ends soon."""
    monkeypatch.setattr(session, "CHUNK", funnel.BATCH)


def page(**address: str) -> AppTest:
    test = AppTest.from_file(str(PAGE), default_timeout=120)
    for key, value in {"generator": "ding", "n": str(N), **address}.items():
        test.query_params[key] = value
    return test.run()


def button(test: AppTest, label: str):
    return next(each for each in test.button if each.label == label)


def finished(test: AppTest) -> AppTest:
    """Run until nothing more comes."""
    for _ in range(300):
        if not any(each.label == "Cancel" for each in test.button):
            return whole(test)
        time.sleep(0.1)
        test.run()
    raise AssertionError("the run did not end")


def in_line(n: int) -> list[Turn]:
    """Stand in the line before all runs, when those of other tests have ended: a stopped one still ends its chunk."""
    cache_resource_api.clear_session_cache("test session id")
    turns = [session.TURNS.join() for _ in range(n)]
    assert all(turn.wait() for turn in turns[:2])
    return turns


def test_before_anything_is_generated_the_page_says_what_will_come() -> None:
    test = whole(page())
    assert "Nothing is generated yet" in test.info[0].value
    headline = checkpoint.summary("ding")["headline"]
    assert f"**{headline['ours']}**" in said(test)
    assert headline["paper"] in said(test)
    assert not test.dataframe


def test_a_run_shows_the_funnel_and_the_formulas_that_were_kept() -> None:
    test = page(has="O", never="F", elements_to="4", seed="5")
    test = finished(button(test, "Generate").click().run())
    wanted = Wanted(must=("O",), never=("F",), n_elements=(2, 4))
    ding = checkpoint.load("ding")
    (chunk,) = funnel.run(ding, Request(N, 5, wanted), [partial(predict_formulas, ding)])
    kept, n_last = session.radioactive_last(chunk.rows[chunk.rows["kept"]])
    assert 0 < n_last < len(kept) < N
    assert f"**{N:,} samples** of `ding`, seed 5" in said(test)
    (shown,) = [each.value for each in test.dataframe]
    assert list(shown["formula"]) == [subscripted(text) for text in kept["formula"]]
    assert list(shown["volume_per_atom"]) == pytest.approx(list(kept["volume_per_atom"]))
    assert set(shown["charge_neutral"]) == {"✓"}
    assert f"{n_last:,} hold an element without a stable isotope" in said(test)
    share = chunk.counts["wanted"] / chunk.counts["generated"]
    assert f"As asked for: **{share:.1%}** of the samples; of the training formulas **" in said(test)
    first = kept["formula"].iloc[0]
    assert test.subheader[0].value == subscripted(first)
    assert all("O" in Composition(text) and "F" not in Composition(text) for text in kept["formula"])
    assert test.query_params["has"] == "O"


def test_a_formula_that_is_looked_at_shows_its_reasons() -> None:
    test = finished(button(page(), "Generate").click().run())
    test.session_state["formula"] = "MoS2"
    test = whole(test.run())
    assert test.subheader[0].value == "MoS₂"
    assert "Mo+4 S-2" in said(test)
    assert "a known 2D material" in said(test)
    test.session_state["formula"] = "Na3Cl"
    test = whole(test.run())
    assert "no choice of the icsd24 oxidation states is neutral" in said(test)
    assert "Nearest known 2D material" in said(test)


def test_what_was_not_kept_is_shown_with_the_stage_it_stopped_at() -> None:
    test = finished(button(page(never="O"), "Generate").click().run())
    test.button_group(key="rows").set_value("left").run()
    (shown,) = [each.value for each in test.dataframe]
    assert "not asked for" in set(shown["stopped_at"])
    assert set(shown["charge_neutral"]) == {"✓", "✕", "?"}


def test_a_canceled_run_keeps_what_is_there() -> None:
    test = button(page(n="10000000", has="O"), "Generate").click().run()
    deadline = time.monotonic() + 60
    while not test.dataframe and time.monotonic() < deadline:
        time.sleep(0.2)
        test.run()
    test = finished(button(test, "Cancel").click().run())
    run = test.session_state["generated"][1]
    assert run.job.state == "stopped"
    assert 0 < run.look().counts["generated"] < 10_000_000
    assert 0 < len(test.dataframe[0].value) <= run.n_kept


def test_a_run_that_has_to_wait_says_how_many_come_first_and_can_be_canceled() -> None:
    others = in_line(3)
    try:
        test = whole(button(page(), "Generate").click().run())
        (line,) = [seen(each.proto.text) for each in test.get("progress")]
        assert line == f"{N:,} samples: waiting, 2 ahead"
        assert "2 runs work at a time here" in said(test)
        others[0].leave()
        test.run()
        assert [seen(each.proto.text) for each in test.get("progress")] == [f"{N:,} samples: waiting, 1 ahead"]
        test = finished(button(test, "Cancel").click().run())
        assert test.session_state["generated"][1].job.state == "stopped"
        assert "stopped after 0 of 800" in "".join(each.value for each in test.markdown)
        assert others[2].ahead == 0
        assert not whole(button(test, "Generate").click().run()).dataframe
    finally:
        for each in others:
            each.leave()
    assert len(finished(test).dataframe) == 1


def test_a_run_that_waits_leaves_the_line_with_its_session() -> None:
    others = in_line(2)
    try:
        run = button(page(), "Generate").click().run().session_state["generated"][1]
        assert run.job.state == "waiting"
        cache_resource_api.clear_session_cache("test session id")
        run.job.wait(60)
        assert run.job.state == "stopped"
        others.append(session.TURNS.join())
        assert others[-1].ahead == 1
    finally:
        for each in others:
            each.leave()


def test_a_run_ends_with_its_session() -> None:
    test = button(page(n="10000000"), "Generate").click().run()
    run = test.session_state["generated"][1]
    assert run.job.state == "running"
    cache_resource_api.clear_session_cache("test session id")
    run.job.wait(60)
    assert run.job.state == "stopped"


def test_a_value_outside_the_training_range_is_flagged_and_allowed() -> None:
    name = "formation_energy_per_atom"
    plain = whole(page(**{f"ask_{name}": "true", f"want_{name}": "-1.0"}))
    assert not plain.warning
    test = whole(page(near="false", **{f"ask_{name}": "true", f"want_{name}": "-4.9"}))
    (line,) = [seen(each.value) for each in test.warning]
    assert line.startswith("Formation energy -4.9 is outside")
    button(test, "Generate").click().run()
    test = finished(test)
    assert test.session_state["generated"][0].request.condition == {name: -4.9}
    assert test.dataframe[0].value[name].median() < -1.5


ENERGY, VOLUME = "formation_energy_per_atom", "volume_per_atom"
LITHIUM = {f"ask_{ENERGY}": "true", f"want_{ENERGY}": "-2.0", "has": "O"}


def test_only_what_is_predicted_near_is_kept_unless_that_is_switched_off() -> None:
    test = whole(page(**LITHIUM, **{f"within_{ENERGY}": "0.2"}))
    assert test.toggle(key="near").value
    assert test.number_input(key=f"within_{VOLUME}").disabled
    test = finished(button(test, "Generate").click().run())
    asked, run = test.session_state["generated"]
    assert asked.request.tolerance == {ENERGY: 0.2}
    seen = run.look()
    (shown,) = [each.value for each in test.dataframe]
    assert shown[ENERGY].between(-2.2, -1.8).all()
    assert 0 < len(shown) == seen.counts["near"] < seen.counts["predicted"]
    assert list(shown["formula"]) == [subscripted(text) for text in session.radioactive_last(seen.kept)[0]["formula"]]
    share = seen.counts["near"] / seen.counts["predicted"]
    line = next(each.value for each in test.markdown if each.value.startswith("Asked for formation energy **-2**"))
    assert f"(median of {seen.counts['predicted']:,}), **{share:.1%}** within ±0.2" in line
    assert "the same model's predictor; its card has the independent judge's figures" in line
    assert "**near the request**" in said(test)
    test.selectbox(key="first").select("off_by").run()
    shown = next(each.value for each in whole(test).dataframe)
    assert (shown[ENERGY] + 2).abs().is_monotonic_increasing
    test.button_group(key="rows").set_value("left").run()
    (shown,) = [each.value for each in whole(test).dataframe]
    assert not shown.loc[shown["stopped_at"] == "not near the request", ENERGY].between(-2.2, -1.8).any()
    assert (shown["stopped_at"] == "not near the request").any()

    test.toggle(key="near").set_value(False).run()
    assert "Settings have changed" in said(test)
    test = finished(button(test, "Generate").click().run())
    seen = test.session_state["generated"][1].look()
    assert "near" not in seen.counts
    assert len(seen.kept) == seen.counts["novel"] > run.n_kept
    line = next(each.value for each in test.markdown if each.value.startswith("Asked for formation energy **-2**"))
    assert "within" not in line


def test_who_predicts_what_has_to_be_near_is_asked_without_being_chosen() -> None:
    test = page(**LITHIUM)
    test.button_group(key="predictors").set_value(["two_d_screen"]).run()
    assert "`ding` predicts what has to be near, so it is asked, too" in said(whole(test))
    test = finished(button(test, "Generate").click().run())
    asked, run = test.session_state["generated"]
    assert asked.predictors == ("two_d_screen", "ding")
    assert run.look().counts["near"] == len(test.dataframe[0].value) > 0
    test.toggle(key="near").set_value(False).run()
    assert "so it is asked, too" not in said(whole(test))


def test_a_request_that_nothing_meets_says_what_to_do() -> None:
    address = {f"ask_{ENERGY}": "true", f"want_{ENERGY}": "-4.0", f"ask_{VOLUME}": "true", f"want_{VOLUME}": "45.0"}
    test = finished(button(page(**address), "Generate").click().run())
    seen = test.session_state["generated"][1].look()
    (line,) = [each.value for each in test.info]
    assert f"“near the request” took the last {seen.counts['predicted']:,}. Widen the limits" in line
    nearest = {answer.name: answer.nearest for answer in seen.answers}
    assert f"formation energy {nearest[ENERGY]:.2f}, volume per atom {nearest[VOLUME]:.2f}" in line
    assert not test.dataframe
    elements = {"only": "Li,Na", "elements_from": "2", f"ask_{ENERGY}": "true"}
    test = finished(button(page(**elements, n="50"), "Generate").click().run())
    assert "“as asked for” took the last 50. Allow more elements" in test.info[0].value


def test_the_command_that_the_page_shows_keeps_the_same(run, tmp_path: Path) -> None:
    address = {**LITHIUM, f"ask_{VOLUME}": "true", f"want_{VOLUME}": "13.0", "undecided": "true", "n": "600"}
    test = page(never="F", elements_to="4", **address, **{f"within_{ENERGY}": "0.3"})
    test = finished(button(test, "Generate").click().run())
    (command,) = [each.value for each in test.code if each.value.startswith("matgen generate")]
    words = [str(tmp_path / word) if word == "formulas.csv" else word for word in shlex.split(command)]
    code, _, err = run(*words[1:])
    assert code == 0, err
    table = pd.read_csv(tmp_path / "formulas.csv")
    kept = test.session_state["generated"][1].look().kept
    assert table.loc[table["kept"], "formula"].to_list() == kept["formula"].to_list() != []
    (code,) = [each.value for each in test.code if "funnel.Request" in each.value]
    made: dict[str, Any] = {}
    exec(code, made)
    assert made["request"] == test.session_state["generated"][0].request
    assert made["chunk"].counts["near"] == len(kept)


def test_settings_that_changed_after_a_run_are_mentioned() -> None:
    test = finished(button(page(), "Generate").click().run())
    assert "Settings have changed" not in said(test)
    test.number_input(key="seed").set_value(9).run()
    assert "Settings have changed" in said(whole(test))


@pytest.mark.parametrize(
    ("address", "line"),
    [
        ({"has": "Xx"}, "'Xx' is no element"),
        ({"has": "O", "never": "O"}, "O: among the elements that must occur and those that never do"),
        ({"elements_from": "5", "elements_to": "3"}, "n_elements from 5 to 3"),
        ({"has": "Li,O,Fe", "elements_to": "2"}, "3 elements must occur, but a formula may have 2"),
    ],
)
def test_what_cannot_be_asked_for_costs_one_line(address: dict[str, str], line: str) -> None:
    test = whole(page(**address), line)
    assert not any(each.label == "Generate" and not each.disabled for each in test.button)


def test_no_element_at_all_costs_one_line() -> None:
    test = button(page(), "Nothing").click().run()
    whole(test, "no element is allowed")
    assert whole(button(test, "Every element").click().run()).query_params.get("never") is None


def test_few_allowed_elements_stand_in_the_address() -> None:
    test = page(only="Li,O,Fe,Pu", has="O")
    assert "must=('O',), may=('Li', 'Fe', 'Pu')" in "".join(each.value for each in test.code)
    assert "1 must, 3 may" in said(test)


@pytest.mark.parametrize("n", ["0", "1000000000", "many"])
def test_a_number_of_samples_that_cannot_be_is_not_taken(n: str) -> None:
    assert whole(page(n=n)).number_input(key="n").value == 10_000
