"""Latent map and Journeys of a model that makes crystals of an asked composition, and cannot encode any."""

import numpy as np
import pytest

from matgen_core import checkpoint
from matgen_core.latent.map import LatentMap
from matgen_core.tasks import journeys
from pages._parts.shared import latent_maps
from tests.support.page_checks import page, said, whole

NAME = "point_cloud_gan_mgmno"
pytestmark = pytest.mark.usefixtures("fresh_caches")


@pytest.fixture(scope="module")
def space() -> LatentMap:
    return LatentMap(checkpoint.load(NAME))


def test_points_of_the_bank_are_drawn_again_as_they_stand_in_the_index(space: LatentMap) -> None:
    rows = np.flatnonzero(space.has_point)[:8]
    drawn = space.decode(space.z[rows])
    formulas = space.index["formula"].iloc[rows].tolist()
    assert [each.material.composition.reduced_formula for each in drawn if each.material] == formulas
    where = space.features_of(space.z[rows])
    np.testing.assert_allclose(where, space.features[rows], atol=0.02)  # stored in float16


def test_a_walk_begins_and_ends_where_it_should_with_one_composition_between(space: LatentMap) -> None:
    ends = [journeys.waypoint(space, key) for key in journeys.example(space)]
    assert ends[0].name == ends[1].name
    formulas = space.index["formula"]
    other = np.flatnonzero(space.has_point & (formulas != ends[0].name))[0]
    for last in (ends[1], journeys.waypoint(space, str(space.index["id"][other]))):
        route = journeys.path(space, [ends[0], last], 5, spread=0.1)
        steps = list(journeys.walk(space, route))
        assert [step.formula for step in steps] == [ends[0].name] * 4 + [last.name]
        assert len({step.material.volume for step in steps}) == 5
    known = space.index["id"][~space.has_point].iloc[0]
    with pytest.raises(ValueError, match=r"is a known crystal, and .* has no encoder .*; choose a generated crystal"):
        journeys.waypoint(space, str(known))


def test_the_map_says_what_it_shows(space: LatentMap) -> None:
    key = str(space.index["id"][space.has_point].iloc[0])
    test = page("latent_map", map=NAME, at=key).run()
    whole(test)
    notice = "\n".join(each.value for each in test.info)
    assert "has no encoder" in notice
    assert "it writes crystals from random numbers" in notice
    n = int(space.has_point.sum())
    assert f"{int(space.known.sum())} known crystals beside {n} of a fixed bank of" in notice
    assert "known and generated crystals" in said(test)


@pytest.mark.filterwarnings("default")  # steps are described in threads, which undo each other's filters
def test_journeys_offers_a_walk_between_generated_crystals(space: LatentMap) -> None:
    test = page("journeys", journey=NAME).run()
    whole(test)
    assert "click on a generated point of the map" in said(test)
    (button,) = [each for each in test.button if each.label.startswith("Try ")]
    button.click().run()
    whole(test)
    assert len(test.session_state["waypoints"]) == 2


def test_a_map_is_colored_by_what_tells_its_points_apart() -> None:
    by_name = {NAME: "split", "imatgen_vo": "origin", "icsg3d": "family", "formula_lm_icsd": "split"}
    assert {name: latent_maps.telling_column(name, "none") for name in by_name} == by_name
    assert latent_maps.telling_column("ding", "none") == "formation_energy_per_atom"
    assert latent_maps.color_titles("imatgen_vo", "umap")["origin"] == "Origin"
