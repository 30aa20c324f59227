"""The page Crystals alone: samples come, are looked at, and go on to other pages; a link opens the same ones."""

from pathlib import Path
from threading import Event
from typing import Any

import pytest
from pymatgen.core import Composition
from streamlit.testing.v1 import AppTest

from matgen_core import checkpoint
from matgen_core.latent.space import LatentSpace
from matgen_core.tasks.crystals import sampling
from matgen_core.tasks.crystals.sampling import Asked
from pages._parts.components import crystal_viewer
from pages._parts.shared.bench_crystals import GIVEN, GIVEN_FROM, GIVEN_SOURCE
from tests.support.page_checks import handed_to, page, said, seen, whole
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("fresh_caches")

ENERGY = "formation_energy_per_atom"
FAILS = "icsg3d_paper,n=6,seed=4"  # its sample 6 is no crystal


@pytest.fixture(autouse=True)
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is installed to compare with, and each viewer is told of what it would draw."""
    monkeypatch.setenv("MATGEN_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    monkeypatch.setattr(crystal_viewer, "viewer_problem", lambda: None)
    monkeypatch.setattr(sampling, "EXAMPLE", 4)


def finished(test: AppTest, *errors: str) -> AppTest:
    """Run the page until every sample is there."""

    def is_whole() -> bool:
        test.run()
        return not any(each.label == "Cancel" for each in test.button)

    assert until(is_whole, 60)
    return whole(test, *errors)


def press(test: AppTest, label: str) -> AppTest:
    return next(each for each in test.button if seen(each.label) == label).click().run()


def opened(link: str, **more: str) -> AppTest:
    return finished(page("crystals", crystals=link, **more))


def cards(test: AppTest) -> list[str]:
    return [seen(each.label).strip("*") for each in test.button if str(each.key).startswith("closer_")]


def test_what_is_generated_stands_in_a_link_that_opens_the_same() -> None:
    test = whole(page("crystals").run())
    assert "What you get" in said(test)
    test.selectbox(key="crystal_model").set_value("voxel_vae").run()
    assert [each.key for each in test.selectbox] == ["crystal_model"], "it takes no condition, so none is offered"
    test.number_input(key="crystal_samples").set_value(3).run()
    test.number_input(key="crystal_seed").set_value(5).run()
    test = finished(press(test, "Generate"))
    link = test.query_params["crystals"]
    assert link in ("voxel_vae,n=3,seed=5", ["voxel_vae,n=3,seed=5"])
    other = opened("voxel_vae,n=3,seed=5")
    assert cards(other) == cards(test)
    assert len(cards(test)) == 3
    assert (other.selectbox(key="crystal_model").value, other.number_input(key="crystal_seed").value) == (
        "voxel_vae",
        5,
    )
    space = LatentSpace.of(checkpoint.load("voxel_vae"))
    drawn = [each.material.composition.reduced_composition for each in space.decode(space.sample(3, 5))]
    assert [Composition(each) for each in next(each.value for each in test.dataframe)["formula"]] == drawn
    test.number_input(key="crystal_seed").set_value(6).run()
    whole(test)
    assert "Settings have changed" in said(test), "what is shown is still that of seed 5"
    assert test.query_params["crystals"] in (link, [link])
    assert cards(test) == cards(other)


def test_only_what_a_model_allows_can_be_asked_for() -> None:
    test = whole(page("crystals", crystal_model="icsg3d").run())
    offered = test.selectbox(key=f"crystal_{ENERGY}").options
    assert len(offered) == 11
    assert offered[0] == "any"
    assert offered[1].startswith("below \u2212")
    test.number_input(key="crystal_samples").set_value(2).run()
    test.selectbox(key=f"crystal_{ENERGY}").select_index(1).run()
    test = finished(press(test, "Generate"))
    [link] = (
        [test.query_params["crystals"]]
        if isinstance(test.query_params["crystals"], str)
        else test.query_params["crystals"]
    )
    asked = Asked.read(link)
    low = sampling.classes(LatentSpace.of(checkpoint.load("icsg3d")), ENERGY)[0]
    assert asked.wanted == ((ENERGY, low.value),)
    again = opened("icsg3d,n=2,seed=0,formation_energy_per_atom=-7.5")  # of the same class
    assert again.selectbox(key=f"crystal_{ENERGY}").value == low.value
    assert cards(again) == cards(test)
    assert "Settings have changed" not in said(again)
    free = whole(page("crystals", crystal_model="icsg3d_perov5").run())
    assert [each.key for each in free.selectbox] == ["crystal_model"]


def test_a_failed_sample_is_a_tile_that_counts() -> None:
    test = opened(FAILS)
    assert "no crystal" in cards(test)
    assert len(cards(test)) == 6
    shown = said(test).replace("**", "")
    assert "Of 6 samples, failed ones included: 5 are crystals" in shown
    [viewer] = handed_to(test, "crystal_viewer")
    assert len(viewer["panels"]) == 1
    press(test, "**no crystal**")
    whole(test)
    assert test.query_params["sample"] in ("6", ["6"])
    assert any("It decodes to no crystal" in seen(each.value) for each in test.warning)
    assert handed_to(test, "crystal_viewer") == []
    assert [each.label for each in test.button if each.label == "Open on the bench"] == []
    test.selectbox(key="crystals_show").set_value("No crystal").run()
    assert cards(test) == ["no crystal"]
    test.selectbox(key="crystals_show").set_value("not strict_distances").run()
    table = next(each.value for each in test.dataframe)
    assert len(cards(test)) == int((table["strict_distances"] == False).sum())  # noqa: E712
    whole(test)


def test_one_crystal_is_shown_with_all_that_can_be_said_of_it() -> None:
    test = opened("voxel_vae,n=3,seed=5", sample="2")
    table = next(each.value for each in test.dataframe)
    shown = said(test)
    row = table.iloc[1]
    for words in (
        "Space group",
        f"{row['density']:.2f} g/cm³",
        f"{row['volume_per_atom']:.2f} Å³/atom",
        f"{row['min_distance']:.2f} Å",
        "sites",
    ):
        assert words in shown, words
    lines = "\n".join(seen(each.value) for each in test.markdown if "badge[" in each.value)
    for reason in ("strict_distances_reason", "smact_valid_reason", "novel_reason"):
        assert str(row[reason]).replace("^3", "³") in lines, reason


def test_samples_go_on_to_other_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    went: list[tuple[str, dict[str, str]]] = []

    def go(to: str, query_params: dict[str, str]) -> None:
        went.append((to, query_params))

    test = opened("icsg3d,n=3,seed=2,formation_energy_per_atom=-2", sample="3")
    monkeypatch.setattr("streamlit.switch_page", go)

    def sent(label: str) -> tuple[str, dict[str, Any]]:
        press(test, label)
        assert not test.exception
        return went[-1]

    to, query = sent("Open in Journeys")
    assert (to, query["mode"], query["around"], query["step"]) == ("pages/journeys.py", "Samples", "Prior", "3")
    walk = page("journeys", **query)
    formula = next(each.value for each in test.dataframe)["formula"].iloc[2]
    assert until(lambda: any(seen(each.value).startswith("3 · ") for each in walk.run().subheader), 60)
    heading = next(seen(each.value) for each in walk.subheader if seen(each.value).startswith("3 · "))
    plain = heading.translate(str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789"))
    assert sorted(plain.removeprefix("3 · ")) == sorted(formula), "the same point decodes to the same crystal"
    to, query = sent("Open on the bench")
    assert to == "pages/structure_bench.py"
    assert query["bench"].startswith("upload:")
    to, query = sent("Validate all 3")
    assert to == "pages/validate.py"
    assert [each.name for each in test.session_state[GIVEN]] == ["sample-00001", "sample-00002", "sample-00003"]
    assert test.session_state[GIVEN_SOURCE]["generator"] == "icsg3d"
    assert "icsg3d, 3 samples, seed 2" in test.session_state[GIVEN_FROM]
    sent("Validate it")
    assert len(test.session_state[GIVEN]) == 1


def test_a_link_that_cannot_be_is_one_line_and_the_page_stands() -> None:
    for link, words in {
        "voxel_vae,n=0": "asks for no crystals",
        "voxel_vae,n=9999": "a page makes 200 at a time",
        "nothing,n=2": "'nothing' makes no crystals here",
        "ding,n=2": "'ding' makes no crystals here",
    }.items():
        test = page("crystals", crystals=link).run()
        whole(test, words)
        assert any(each.label == "Generate" for each in test.button)
    test = finished(page("crystals", crystals="voxel_vae,n=2,volume_per_atom=3"), "takes no volume")
    assert any(each.label == "Generate" for each in test.button)


def test_a_run_is_stopped_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    first, rest = Event(), Event()
    samples = sampling.samples

    def slow(model: Any, asked: Asked) -> Any:
        for each in samples(model, asked):
            yield each
            first.set()
            assert rest.wait(60)

    monkeypatch.setattr(sampling, "samples", slow)
    test = page("crystals", crystals="voxel_vae,n=3,seed=1").run()
    assert until(first.is_set, 60)
    test.run()
    press(test, "Cancel")
    rest.set()
    assert until(lambda: any(each.label == "Go on" for each in test.run().button), 60)
    whole(test)
    assert any("stopped after 1 of 3" in seen(each.value) for each in test.markdown) or "stopped" in said(test)
    assert len(cards(test)) in (1, 2), "what has arrived stays"
    finished(press(test, "Go on"))
    assert len(cards(test)) == 3
