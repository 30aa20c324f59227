"""The page Compositions alone: nothing yet, a run, a run that is canceled, and what cannot be asked for."""

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import streamlit as st
from pymatgen.core import Composition
from streamlit.runtime.caching import cache_resource_api
from streamlit.testing.v1 import AppTest

from matgen_core import checkpoint, funnel, generation
from matgen_core.formulas import subscripted
from matgen_core.funnel import Request, Wanted
from matgen_core.prediction import predict_formulas
from tests.page_checks import said, whole

PAGE = Path(__file__).parent.parent / "pages" / "compositions.py"
N = 2_000


@pytest.fixture(autouse=True)
def fresh_caches() -> Iterator[None]:
    """No test sees the checkpoints of another."""
    yield
    st.cache_resource.clear()
    st.cache_data.clear()


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
    kept = chunk.rows[chunk.rows["kept"]]
    assert 0 < len(kept) < N
    assert f"**{N:,} samples** of `ding`, seed 5" in said(test)
    (shown,) = [each.value for each in test.dataframe]
    assert list(shown["formula"]) == [subscripted(text) for text in kept["formula"]]
    assert list(shown["volume_per_atom"]) == pytest.approx(list(kept["volume_per_atom"]))
    assert set(shown["charge_neutral"]) == {"✓"}
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
    assert run.look().state == "stopped"
    assert 0 < run.look().counts["generated"] < 10_000_000
    assert 0 < len(test.dataframe[0].value) <= run.n_kept


def test_a_run_that_has_to_wait_says_how_many_come_first_and_can_be_canceled() -> None:
    others = [generation.TURNS.join() for _ in range(3)]
    try:
        test = whole(button(page(), "Generate").click().run())
        (line,) = [each.proto.text for each in test.get("progress")]
        assert line == "2,000 samples: waiting, 2 ahead"
        others[0].leave()
        test.run()
        assert [each.proto.text for each in test.get("progress")] == ["2,000 samples: waiting, 1 ahead"]
        test = finished(button(test, "Cancel").click().run())
        assert test.session_state["generated"][1].look().state == "stopped"
        assert "stopped; 2,000 were asked for" in "".join(each.value for each in test.markdown)
        assert others[2].ahead == 0
        assert not whole(button(test, "Generate").click().run()).dataframe
    finally:
        for each in others:
            each.leave()
    assert len(finished(test).dataframe) == 1


def test_a_run_that_waits_leaves_the_line_with_its_session() -> None:
    others = [generation.TURNS.join() for _ in range(2)]
    try:
        run = button(page(), "Generate").click().run().session_state["generated"][1]
        assert run.look().state == "waiting"
        cache_resource_api.clear_session_cache("test session id")
        run.wait(60)
        assert run.look().state == "stopped"
        others.append(generation.TURNS.join())
        assert others[-1].ahead == 1
    finally:
        for each in others:
            each.leave()


def test_a_run_ends_with_its_session() -> None:
    test = button(page(n="10000000"), "Generate").click().run()
    run = test.session_state["generated"][1]
    assert run.look().state == "running"
    cache_resource_api.clear_session_cache("test session id")
    run.wait(60)
    assert run.look().state == "stopped"


def test_a_value_outside_the_training_range_is_flagged_and_allowed() -> None:
    name = "formation_energy_per_atom"
    plain = whole(page(**{f"ask_{name}": "true", f"want_{name}": "-1.0"}))
    assert not plain.warning
    test = whole(page(**{f"ask_{name}": "true", f"want_{name}": "-4.9"}))
    (line,) = [each.value for each in test.warning]
    assert line.startswith("Formation energy -4.9 is outside")
    button(test, "Generate").click().run()
    test = finished(test)
    assert test.session_state["generated"][0].request.condition == {name: -4.9}
    assert test.dataframe[0].value[name].median() < -1.5


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
