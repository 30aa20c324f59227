"""The page Journeys alone: nothing chosen, every kind of journey, and what cannot be gone."""

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.runtime.caching import cache_resource_api
from streamlit.testing.v1 import AppTest

from matgen_core import checkpoint
from matgen_core.jobs import recording
from matgen_core.latent.index import known_materials
from matgen_core.latent.map import LatentMap
from matgen_core.tasks import journeys
from tests.support.page_checks import all_steps, said, seen, whole
from tests.support.serving import ROOT

pytestmark = pytest.mark.usefixtures("fresh_caches")

PAGE = ROOT / "pages" / "journeys.py"


@pytest.fixture(scope="module")
def fields() -> LatentMap:
    return LatentMap(checkpoint.load("phase_field_vae"))


def page(**address: str) -> AppTest:
    test = AppTest.from_file(str(PAGE), default_timeout=120)
    for key, value in {"journey": "phase_field_vae", **address}.items():
        test.query_params[key] = value
    return test.run()


def keys_of(space: LatentMap, *rows: int) -> str:
    return ",".join(space.index["phase_field"].iloc[list(rows)])


def test_without_a_place_the_page_asks_for_one_and_offers_an_example() -> None:
    test = whole(page())
    assert "**Choose 2 places**" in said(test)
    next(each for each in test.button if each.label.startswith("Try ")).click()
    test = whole(all_steps(test))
    assert "Of **12** steps: decode **12**" in said(test)
    assert test.query_params["via"].count(",") == 1


def test_a_path_is_walked_and_reopened_by_its_address(fields: LatentMap) -> None:
    test = whole(all_steps(page(via=keys_of(fields, 3, 40), step="5", n_path="7")))
    space = fields
    route = journeys.path(space, [journeys.waypoint(space, key) for key in keys_of(space, 3, 40).split(",")], 7)
    steps = list(journeys.walk(space, route, [checkpoint.load("phase_field_vae")]))
    assert f"5 · {steps[4].formula}" in [seen(each.value) for each in test.subheader]
    assert "Of **7** steps" in said(test)
    label, value, unit = journeys.property_lines(steps[4])[0]
    assert f"{label} **{value}** {unit}".strip() in said(test)
    shown = test.dataframe[0].value
    assert list(shown["formula"]) == [step.formula for step in steps]
    assert {"via", "step", "n_path"} <= set(test.query_params)
    test.button_group(key="mode").set_value("Axis").run()
    whole(all_steps(test))
    assert "Of **12** steps" in said(test)


@pytest.mark.parametrize(
    ("mode", "rows", "address", "expected"),
    [
        ("Arithmetic", (1, 5, 9), {"n_arithmetic": "4"}, "Of **6** steps"),
        ("Axis", (1,), {"n_axis": "5", "axis_number": "3"}, "Of **5** steps"),
        ("Samples", (1, 2), {"n_samples": "6", "seed": "3", "elements": "has:O"}, "as asked **"),
        ("Samples", (), {"around": "Prior", "n_samples": "4"}, "near the data **0**"),
    ],
)
def test_every_kind_of_journey(
    fields: LatentMap, mode: str, rows: tuple[int, ...], address: dict[str, str], expected: str
) -> None:
    test = whole(all_steps(page(mode=mode, via=keys_of(fields, *rows), **address)))
    assert expected in said(test)


def test_each_kind_keeps_its_waypoints_and_settings(fields: LatentMap) -> None:
    two, three = keys_of(fields, 3, 40), keys_of(fields, 3, 40, 9)
    test = whole(all_steps(page(via=two, step="5", n_path="7", way="Spherical")))

    def turn_to(mode: str) -> tuple[str, list[str], int]:
        test.button_group(key="mode").set_value(mode).run()
        whole(all_steps(test))
        shown = next(each.value for each in test.multiselect)
        return test.session_state["via"], shown, test.number_input(key=f"n_{mode.lower()}").value

    a, b, c = three.split(",")
    assert turn_to("Axis") == (two, [b], 12)
    assert "step" not in test.query_params  # it was another journey's
    test.number_input(key="n_axis").set_value(5).run()
    test.number_input(key="reach").set_value(4.0).run()
    assert turn_to("Path") == (two, [a, b], 7)
    assert test.button_group(key="way").value == "spherical"
    test.multiselect(key="waypoints").set_value([a, b, c]).run()
    assert turn_to("Axis") == (three, [c], 5)  # which has none of its own yet
    assert test.number_input(key="reach").value == 4.0
    test.multiselect(key="waypoints").set_value([a]).run()
    assert turn_to("Arithmetic") == (a, [a], 12)
    test.multiselect(key="waypoints").set_value([b, a, c]).run()
    assert turn_to("Axis") == (a, [a], 5)
    assert turn_to("Path") == (three, [a, b, c], 7)
    assert turn_to("Arithmetic") == (f"{b},{a},{c}", [b, a, c], 12)


def test_a_path_with_a_spread_says_so_in_its_address_python_and_files(fields: LatentMap) -> None:
    from pages._parts.journeys import journey_state, telling

    keys = keys_of(fields, 3, 40)
    test = whole(all_steps(page(via=keys, way="Spherical", spread="0.3", path_seed="7", n_path="6")))
    assert "Of **6** steps" in said(test)
    code = test.code[0].value
    assert "n_steps=6, kind='spherical', spread=0.3, seed=7)" in code
    exec(code, made := {})
    along = [journeys.waypoint(fields, key) for key in keys.split(",")]
    there = journeys.path(fields, along, 6, "spherical", 0.3, 7)
    assert (made["route"].z == there.z).all()
    assert list(test.dataframe[0].value["formula"]) == [step.formula for step in journeys.walk(fields, there)]
    asked = journey_state.Journey(
        "phase_field_vae", "Path", tuple(keys.split(",")), 6, kind="spherical", spread=0.3, seed=7
    )
    assert telling.settings(asked) | {"spread": 0.3, "seed": 7, "kind": "spherical"} == telling.settings(asked)
    test.number_input(key="spread").set_value(0.0)
    test = whole(all_steps(test.run()))
    assert "kind='spherical')" in test.code[0].value
    assert "path_seed" not in [each.key for each in test.number_input]
    test.button_group(key="way").set_value("known").run()
    assert "spread" not in [each.key for each in whole(all_steps(test)).number_input]


def test_a_step_stays_with_its_journey(fields: LatentMap) -> None:
    test = whole(all_steps(page(via=keys_of(fields, 3, 40), step="5", n_path="7")))
    assert test.query_params["step"] == "5"
    whole(all_steps(test))  # a run of the page alone is no other journey
    assert test.query_params["step"] == "5"
    test.number_input(key="n_path").set_value(9).run()
    assert "step" not in whole(test).query_params
    assert any(each.value.startswith("1 · ") for each in test.subheader)


def test_what_is_typed_is_found_in_any_order(crystal_map: checkpoint.Checkpoint) -> None:
    from pages._parts.journeys import journey_state

    table = known_materials(crystal_map)
    first = {}
    for key, name in zip(table["key"], table["name"], strict=True):
        first.setdefault(name, key)
    for name in list(first)[:6]:
        parts = re.findall(r"[A-Z][a-z]?\d*", name)
        for typed in {"".join(parts), "".join(reversed(parts)), " ".join(parts[1:] + parts[:1]), f" {name} "}:
            assert journey_state.key_of("crystals", typed) == first[name], typed
    for nothing in ("Xx2O3", "Na,Cl,Xx", "<b>", "mp-0"):
        assert journey_state.key_of("crystals", nothing) == nothing.replace(",", " ")
    assert journey_state.key_of("crystals", "mp-3") == "mp-3"
    test = whole(page(journey="crystals", via="mp-1"))
    other = next(name for name, key in first.items() if key != "mp-1" and key.startswith("mp-"))
    test.multiselect(key="waypoints").set_value(["mp-1", other]).run()
    assert test.session_state["via"] == f"mp-1,{first[other]}"


def test_a_field_is_found_in_any_order(fields: LatentMap) -> None:
    from pages._parts.journeys import journey_state

    for typed in ("Sn-Li-S-Cl", "Cl-S-Sn-Li", " Li-Sn-Cl-S ", "Cl-Li-S-Sn"):
        assert journey_state.key_of(fields.name, typed) == "Cl-Li-S-Sn"
    assert journey_state.key_of(fields.name, "Xx-Li") == "Xx-Li"


def test_a_journey_is_computed_once_for_all_visitors(fields: LatentMap, monkeypatch: pytest.MonkeyPatch) -> None:
    walked = []

    def walk(*arguments: Any, **named: Any) -> Any:
        walked.append(arguments)
        return real(*arguments, **named)

    real = journeys.walk
    monkeypatch.setattr(journeys, "walk", walk)
    for _ in range(3):
        test = whole(all_steps(page(via=keys_of(fields, 5, 41), n_path="4")))
        assert "Of **4** steps" in said(test)
        cache_resource_api.clear_session_cache("test session id")  # the next is another visitor
    assert len(walked) == 1


def test_crystals_have_lights_for_their_atoms(crystal_map: checkpoint.Checkpoint) -> None:
    test = whole(all_steps(page(journey="crystals", via="mp-1,mp-8", n_path="3")))
    by_ends = "elements of the ends **0** · volume fits **0**"
    assert f"Of **3** steps: decode **0** · sound distances **0** · {by_ends} · charge-balanced **0**" in said(test)
    assert "1 · no material" in said(test)
    energy = all_steps(
        page(journey="crystals", mode="Samples", via="mp-1", n_samples="2", formation_energy_per_atom="-1.5")
    )
    assert "wanted={'formation_energy_per_atom': -1.5}" in whole(energy).code[0].value


@pytest.mark.parametrize(
    ("address", "errors"),
    [
        ({"via": "Li-Xx-S-Cl,Cl-Li-S-Sn"}, ["'Xx' is no element"]),
        ({"via": "Cl-Li-S-Sn,Cl-Li-S-Sn"}, ["Li-Sn-S-Cl comes twice in turn"]),
        ({"via": "Cl-Li-S-Sn,Cl-Li-O-Sn,Br-Li-O-Sn", "n_path": "2"}, ["2 steps for 3 waypoints"]),
        ({"via": "Cl-Li-S-Sn", "mode": "Samples", "elements": "has:Xx"}, ["'Xx' is no element"]),
        ({"via": "", "mode": "Samples", "around": "Lasso (0)"}, ["no place to sample around"]),
    ],
)
def test_what_cannot_be_gone_costs_one_line(address: dict[str, str], errors: list[str]) -> None:
    whole(page(**address), *errors)


def test_the_condition_reaches_the_decoder(fields: LatentMap) -> None:
    from pages._parts.journeys import journey_state

    asked = journey_state.Journey("phase_field_vae", "Samples", (keys_of(fields, 1),), 3, around="waypoints")
    assert journey_state.recording.__wrapped__(asked).n_steps == 3
    with pytest.raises(ValueError, match="phase_field_vae takes no formation energy"):
        journey_state.recording.__wrapped__(replace(asked, wanted=(("formation_energy_per_atom", -1.0),)))


def test_a_journey_waits_its_turn_stops_and_goes_on(fields: LatentMap) -> None:
    others = [recording.TURNS.join() for _ in range(recording.AT_ONCE)]
    assert all(turn.wait() for turn in others)  # a walk of another test may be at its last step
    try:
        test = whole(page(via=keys_of(fields, 3, 40), n_path="9"))
        assert any("waiting, 1 ahead" in seen(each.value) for each in test.markdown)
        next(each for each in test.button if each.label == "Stop").click().run()
        assert any("stopped after 0 of 9" in seen(each.value) for each in whole(test).markdown)
        cache_resource_api.clear_session_cache("test session id")  # as when a visitor has asked for many others since
        assert any("stopped after 0 of 9" in seen(each.value) for each in whole(test.run()).markdown)
    finally:
        for turn in others:
            turn.leave()
    next(each for each in test.button if each.label == "Go on").click()
    assert "Of **9** steps" in said(whole(all_steps(test)))


def test_another_model_forgets_waypoints_that_it_does_not_know(crystal_map: checkpoint.Checkpoint) -> None:
    test = whole(page(journey="crystals", via="mp-1,mp-2"))
    test.session_state["via"] = "mp-1,Cl-Li-S-Sn"
    test.run()
    whole(test, "Cl-Li-S-Sn is not among the 60 crystals of crystals")


def test_the_card_of_the_map_takes_materials_along(crystal_map: checkpoint.Checkpoint) -> None:
    test = AppTest.from_file(str(PAGE.parent / "latent_map.py"), default_timeout=120)
    for key in ("mp-3", "mp-8"):
        test.query_params["at"] = key
        test.run()
        next(each for each in test.button if each.label == "Add to journey").click().run()
    assert test.session_state["via"] == "mp-3,mp-8"
    assert any(each.label == "Journey of 2" for each in test.button)
    assert not test.exception


def test_a_broken_checkpoint_costs_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(checkpoint.root() / "phase_field_vae", tmp_path / "phase_field_vae")
    monkeypatch.setenv("MATGEN_CHECKPOINTS", str(tmp_path))
    weights = tmp_path / "phase_field_vae" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    whole(page(), "weights.safetensors cannot be used")
