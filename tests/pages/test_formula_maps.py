"""Latent map and Journeys of models that write formulas: one that encodes (DING), one that cannot."""

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
import torch
from pymatgen.core import Composition
from streamlit.testing.v1 import AppTest

from matgen_core import checkpoint, checks
from matgen_core.checkpoint import Checkpoint
from matgen_core.latent.index import find_formula, known_columns, known_materials
from matgen_core.latent.map import LatentMap
from matgen_core.materials.formulas import subscripted
from matgen_core.tasks import journeys
from matgen_core.views.maps import columns as map_columns
from matgen_core.views.maps.journey import journey_overlay, steps_outside
from pages._parts.shared import latent_maps
from tests.support.page_checks import all_steps, page, said, seen, whole
from tests.support.serving import ROOT

pytestmark = pytest.mark.usefixtures("fresh_caches")


def light(step: journeys.Step, name: str) -> journeys.Light:
    return next(each for each in step.lights if each.name == name)


def generated(space: LatentMap) -> list[str]:
    return list(space.index["id"][space.has_point])


# Journeys without an encoder


def test_only_what_was_generated_is_a_waypoint(formula_bank: Checkpoint) -> None:
    space = LatentMap(formula_bank)
    key = generated(space)[4]
    found = journeys.waypoint(space, key)
    np.testing.assert_array_equal(found.z, space.z[found.row])
    with pytest.raises(
        ValueError, match=r"\(known-3\) is a known formula, and formulas has no encoder .*; choose a gen"
    ):
        journeys.waypoint(space, "known-3")
    with pytest.raises(ValueError, match="mp-1 is not among the 120 formulas of formulas"):
        journeys.waypoint(space, "mp-1")
    assert set(journeys.example(space)) <= set(generated(space))


def test_the_way_along_neighbors_leads_over_generated_formulas_that_are_near_in_the_features(
    formula_bank: Checkpoint,
) -> None:
    space = LatentMap(formula_bank)
    features = space.features[60:].astype(float)
    apart = np.linalg.norm(features[:, None] - features, axis=-1)
    start, end = np.unravel_index(apart.argmax(), apart.shape)
    ends = [journeys.waypoint(space, generated(space)[i]) for i in (start, end)]
    route = journeys.path(space, ends, 12, "known")
    rows = [row for row in route.rows if row is not None]
    assert len(rows) == len(route) > 2
    np.testing.assert_array_equal(route.z, space.z[rows])
    for here, there in pairwise(rows):
        ranks = [(apart[a - 60] < apart[a - 60, b - 60]).sum() for a, b in ((here, there), (there, here))]
        assert min(ranks) <= 10
    assert len(journeys.path(space, ends, 12, "neighbors")) == 12
    assert len(journeys.axis(space, ends[0], 2, 5, kind="coordinate")) == 5
    assert journeys.axis_shares(space).sum() == pytest.approx(1)


def test_steps_are_judged_as_formulas_and_held_against_known_ones(formula_bank: Checkpoint) -> None:
    space = LatentMap(formula_bank)
    ends = [journeys.waypoint(space, key) for key in generated(space)[:2]]
    steps = list(journeys.walk(space, journeys.path(space, ends, 6)))
    assert [step.formula for step in (steps[0], steps[-1])] == [end.name for end in ends]
    trained = {Composition(formula).reduced_formula for formula in space.index["formula"][:40]}
    for step in steps:
        assert [each.name for each in step.lights] == ["decodes", "neutral", "charge", "known", "data"]
        assert step.nearest.endswith(")")
        assert "(known-" in step.nearest
        assert "feature space of the critic" in light(step, "data").reason
        assert light(step, "known").word == ("known" if Composition(step.formula).reduced_formula in trained else "new")
        assert "round_trip_distance" not in step.numbers
    table = journeys.table(steps)
    assert list(table["known"]) == [light(step, "known").answer for step in steps]
    assert [each.name for each in journeys.titles(table.columns)] == list(table.columns)


def test_a_path_of_a_model_without_encoder_is_drawn_where_its_features_are(formula_bank: Checkpoint) -> None:
    space = LatentMap(formula_bank)
    ends = [journeys.waypoint(space, key) for key in generated(space)[:2]]
    route = journeys.path(space, ends, 5)
    drawn = journey_overlay(space, route, "pca", steps_outside(space, route))
    same = [np.linalg.norm(space.features - space.features[end.row], axis=1) < 1e-3 for end in ends]
    for place, rows in zip((drawn.paths[0].xy[0], drawn.paths[0].xy[-1]), same, strict=True):
        assert np.linalg.norm(space.positions("pca")[rows] - place, axis=1).min() < 0.5


def test_the_bank_of_formula_lm_decodes_to_the_formulas_of_its_map() -> None:
    space = LatentMap(checkpoint.load("formula_lm_oqmd"))
    rows = np.flatnonzero(space.has_point)
    made = [checks.formula_of(each.material) for each in space.reconstruct(rows.tolist())]
    # Another machine's rounding may move a choice that stands on the edge between two.
    assert (np.array(made) == space.index["formula"].to_numpy()[rows]).mean() > 0.99


# Journeys with an encoder


@pytest.fixture(scope="module")
def ding() -> Checkpoint:
    return checkpoint.load("ding")


def test_formulas_of_ding_come_back_and_have_properties(ding: Checkpoint) -> None:
    space = LatentMap(ding)
    ends = [journeys.waypoint(space, key) for key in journeys.example(space)]
    steps = list(journeys.walk(space, journeys.path(space, ends, 4), [ding, checkpoint.load("two_d_screen")]))
    first = steps[0]
    assert (first.formula, light(first, "returns").answer, light(first, "known").answer) == (ends[0].name, "yes", "yes")
    assert [each.name for each in first.lights] == ["decodes", "neutral", "charge", "known", "data", "returns"]
    row = space.index.iloc[ends[0].row]
    for name in ("formation_energy_per_atom", "volume_per_atom", "energy_per_atom"):
        spread = max(4 * first.numbers[f"{name}_std"], 0.3)
        assert first.numbers[name] == pytest.approx(row[name], abs=spread)
    lines = [label for label, _, _ in journeys.property_lines(first)]
    assert "Volume per atom" in lines
    assert "Probability by two_d_screen" in lines
    assert "volume_per_atom" in [each.name for each in journeys.properties_of(steps)]


def test_any_formula_that_the_model_encodes_is_a_place(ding: Checkpoint) -> None:
    space = LatentMap(ding)
    assert "Sr3Ti2O7" not in set(space.index["formula"])
    own = journeys.waypoint(space, "Ti2Sr3O7")
    assert (own.row, own.name, own.key) == (None, "Sr3Ti2O7", "Ti2Sr3O7")
    known = journeys.waypoint(space, journeys.example(space)[0])
    route = journeys.path(space, [known, own], 4, "neighbors")
    assert list(journeys.walk(space, route))[-1].formula == "Sr3Ti2O7"
    with pytest.raises(ValueError, match="'Xx' is no element"):
        journeys.waypoint(space, "Xx2O3")
    with pytest.raises(ValueError, match="12 O; counts must be whole, 1 to 10"):
        journeys.waypoint(space, "Y3Al5O12")


def test_samples_of_ding_obey_what_is_asked_for(ding: Checkpoint) -> None:
    space = LatentMap(ding)
    energies = []
    for wanted in (-3.0, 0.5):
        route = journeys.samples(space, None, 24, 1.0, 3, {"formation_energy_per_atom": wanted})
        steps = journeys.walk(space, route, [ding])
        energies.append(np.nanmedian([step.numbers.get("formation_energy_per_atom", np.nan) for step in steps]))
    assert energies[0] < -2
    assert energies[1] > -0.3


# Pages


def test_the_map_says_that_the_model_cannot_encode_and_what_it_shows_instead(formula_bank: Checkpoint) -> None:
    space = LatentMap(formula_bank)
    key = generated(space)[0]
    test = page("latent_map", map="formulas", at=key).run()
    whole(test)
    notice = "\n".join(each.value for each in test.info)
    assert "has no encoder" in notice
    assert "60 known formulas beside 60 of a fixed bank of 300 samples (seed 11)" in notice
    assert "Showing 120 of 120 known and generated formulas" in said(test)
    assert test.selectbox(key="color").value == "split"
    assert "Its latent point decodes to it." in said(test)
    assert "Charge neutral" in said(test)
    (button,) = [each for each in test.button if each.label == "Add to journey"]
    assert not button.disabled
    known = page("latent_map", map="formulas", at="known-3").run()
    whole(known)
    assert "It has no latent point" in said(known)
    assert next(each for each in known.button if each.label == "Add to journey").disabled


def test_a_formula_that_is_searched_shows_its_card_and_a_selection_offers_no_crystals(
    formula_bank: Checkpoint,
) -> None:
    table = known_materials(formula_bank)
    formula = str(table["name"].iloc[7])
    test = page("latent_map", map="formulas").run()
    test.text_input(key="find").set_value(formula).run()
    whole(test)
    assert test.query_params["at"] == find_formula(table, formula)
    assert any("Found" in each.value and "formulas" in each.value for each in test.subheader)
    assert not any("CIF" in each.label for each in test.button)
    test.button_group(key="selection_view").set_value("Compared with the rest").run()
    whole(test)


def test_verdicts_are_words_and_the_split_has_an_order(formula_bank: Checkpoint) -> None:
    table = known_materials(formula_bank)
    assert list(table["charge_neutral"][:3]) == ["neutral", "charged", "undecided"]
    columns = {column.name: column for column in known_columns(table, formula_bank)}
    assert "seed_row" not in columns
    entries = map_columns.coloring(table, columns["split"]).entries
    assert [(entry.name, entry.count) for entry in entries] == [("train", 40), ("held out", 20), ("generated", 60)]
    first = str(table["name"].iloc[0])
    assert find_formula(table, first) == "known-0"
    assert find_formula(table, "XeRn9") == find_formula(table, "no formula") == ""


def test_a_journey_through_generated_formulas_and_none_from_a_known_one(formula_bank: Checkpoint) -> None:
    space = LatentMap(formula_bank)
    test = page("journeys", journey="formulas").run()
    whole(test)
    assert "60 generated formulas" in test.multiselect[0].placeholder
    assert len(test.multiselect[0].options) == 60
    next(each for each in test.button if each.label.startswith("Try ")).click()
    whole(all_steps(test))
    assert "Of **12** steps: decode **12** · neutral" in said(test)
    assert "return" not in said(test)
    refused = page("journeys", journey="formulas", via=f"known-3,{generated(space)[0]}").run()
    whole(refused, "")
    assert "choose a generated formula" in seen(refused.error[0].value)


def test_a_formula_of_ones_own_is_typed_as_a_waypoint(ding: Checkpoint) -> None:
    test = page("journeys", journey="ding", via="Sr3Ti2O7,BaTiO3", n_path="4").run()
    whole(all_steps(test))
    assert "Of **4** steps" in said(test)
    assert any("1 · Sr₃Ti₂O₇" in each.value for each in test.subheader)
    wrong = page("journeys", journey="ding", via="Sr3Ti2O7,Fe9Xx").run()
    whole(wrong, "")


def test_wishes_far_from_the_data_are_granted_and_flagged(ding: Checkpoint) -> None:
    test = page("journeys", journey="ding", mode="Samples", around="Prior", n_samples="3", volume_per_atom="95").run()
    whole(all_steps(test))
    assert "volume per atom 95 is outside" in seen(test.warning[0].value)
    assert "wanted={'volume_per_atom': 95.0}" in test.code[0].value


# Formulas that are not on the map


def fresh_formula(space: LatentMap) -> str:
    """A formula that the tiny models can read and that is not on their map."""
    reduced = {Composition(text).reduced_formula for text in space.index["formula"]}
    return next(text for text in ("LiNaSO3", "KLi2FeO3", "NaFeS2O") if Composition(text).reduced_formula not in reduced)


def test_a_model_without_encoder_locates_formulas_by_its_critic(formula_bank: Checkpoint) -> None:
    space = LatentMap(formula_bank)
    known = [Composition(text) for text in space.index["formula"][:5]]
    found = space.locate([*known, Composition("LiO9"), Composition("TiO2")])
    np.testing.assert_allclose(np.stack([each.z for each in found[:5]]), space.features[:5], atol=2e-3)
    assert [each.problem for each in found[5:]] == [
        "LiO9: 9 O; counts must be whole, 1 to 3",
        "TiO2: no Ti among the 8 elements",
    ]
    with pytest.raises(ValueError, match="has no encoder"):
        space.encode(known)


def test_a_model_with_an_encoder_locates_formulas_in_its_latent_space(ding: Checkpoint) -> None:
    space = LatentMap(ding)
    known = [Composition(text) for text in space.index["formula"][:3]]
    np.testing.assert_allclose(np.stack([each.z for each in space.locate(known)]), space.z[:3], atol=2e-2)


def test_a_formula_that_is_not_on_the_map_gets_a_card_and_a_place_by_the_critic(formula_bank: Checkpoint) -> None:
    space = LatentMap(formula_bank)
    formula = fresh_formula(space)
    doubled = "".join(f"{symbol}{2 * n:.0f}" for symbol, n in Composition(formula).items())
    test = page("latent_map", map="formulas", projection="PCA").run()
    test.text_input(key="find").set_value(doubled).run()
    whole(test)
    at = test.query_params["at"]
    assert Composition(at) == Composition(formula)
    assert test.subheader[0].value == subscripted(at)
    shown = said(test)
    assert "not in the data of the model" in shown
    assert "placed there by its true neighbors in the feature space of the critic" in shown
    assert "It has no latent point, since the model has no encoder." in shown
    assert "Charge neutral" in shown
    assert "Showing 120 of 120" in shown
    assert next(each for each in test.button if each.label == "Add to journey").disabled
    # The nearest by the critic, which is asked here by itself.
    with torch.inference_mode():
        array = torch.from_numpy(formula_bank.representation.encode(Composition(formula)))[None]
        features = formula_bank.model.features(array).numpy()
    order = np.argsort(np.linalg.norm(space.features - features, axis=1), kind="stable")
    (near,) = [each.value for each in test.dataframe]
    assert list(near["id"]) == list(space.index["id"].iloc[order[:6]])


def test_a_formula_that_is_not_on_the_map_is_marked_where_its_neighbors_are(ding: Checkpoint) -> None:
    assert "Sr3Ti2O7" not in set(LatentMap(ding).index["formula"])
    test = page("latent_map", map="ding", projection="UMAP", find="Sr3Ti2O7", at="Sr3Ti2O7").run()
    whole(test)
    space = LatentMap(ding)
    (located,) = space.locate([Composition("Sr3Ti2O7")])
    assert located.z is not None
    where = latent_maps.placed("ding", "umap", ("Sr3Ti2O7",))
    np.testing.assert_allclose(where[["x", "y"]].to_numpy(), space.place(located.z[None], "umap"))
    (marker,) = latent_maps.markers("ding", where, "Sr3Ti2O7", {})
    assert (marker.label, marker.kind) == ("Sr₃Ti₂O₇", "pin")
    assert "Its latent point decodes to it." in said(test)
    assert "Predicted by `ding`: Formation energy" in said(test)
    assert not next(each for each in test.button if each.label == "Add to journey").disabled
    done = subprocess.run([sys.executable, "-c", test.code[-1].value], capture_output=True, text=True, check=True)
    x, y = np.loadtxt([done.stdout.splitlines()[-1].strip("[]")])
    np.testing.assert_allclose([x, y], where[["x", "y"]].to_numpy()[0], rtol=1e-4)


@pytest.mark.parametrize(
    ("formula", "line"),
    [
        ("LiO9", "LiO9: 9 O; counts must be whole, 1 to 3"),
        ("TiO2", "TiO2: no Ti among the 8 elements"),
        ("Li-O-*", ""),
        ("Li", ""),
    ],
)
def test_what_the_model_cannot_read_costs_one_line_and_a_search_none(
    formula_bank: Checkpoint, formula: str, line: str
) -> None:
    test = page("latent_map", map="formulas").run()
    test.text_input(key="find").set_value(formula).run()
    whole(test, *[line] * bool(line))
    if line:
        assert seen(test.error[0].value) == line
        assert next(each for each in test.button if each.label == "Add to journey").disabled
        assert not [each for each in test.button if each.label == "Generate around these elements"]
    else:
        assert "".join(test.query_params["at"]).startswith(
            ("known-", "generated-")
        )  # the first hit, and no place of its own
        assert "hit 1 is open" in said(test)
    stale = page("latent_map", map="formulas", at="known-999").run()
    whole(stale, "")
    assert "known-999 is not among the formulas of formulas" in seen(stale.error[0].value)


def test_the_card_leads_to_formulas_of_the_same_elements_by_the_same_model() -> None:
    test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    test.switch_page("pages/latent_map.py")
    test.query_params |= {"map": "formula_lm_icsd", "at": "Sr3Ti2O7"}
    test.session_state["never"], test.session_state["only"] = "Ti,F", "Li,O"
    test.run()
    next(each for each in test.button if each.label == "Generate around these elements").click().run()
    whole(test)
    assert test.title[0].value == "Compositions"
    assert test.selectbox(key="generator").value == "formula_lm_icsd"
    assert {key: test.query_params.get(key) for key in ("has", "never", "only")} == {
        "has": "O,Sr,Ti",
        "never": "F",
        "only": None,
    }
    assert "3 must, 82 may, 1 never occur" in said(test)
