"""Paths between known materials: a random spread off the way, and crystals judged by the ends of it."""

import numpy as np
import pytest

from matgen_core.latent.map import LatentMap
from matgen_core.tasks import journeys
from matgen_core.tasks.journeys import Light
from tests.support.salts import light, places, salts


@pytest.fixture
def space() -> LatentMap:
    return salts()


@pytest.mark.parametrize("kind", ["straight", "spherical", "neighbors"])
def test_a_spread_moves_what_is_between_the_waypoints(space: LatentMap, kind: journeys.PathKind) -> None:
    along = places(space, "s0", "s4", "s8")
    way = journeys.path(space, along, 41, kind)
    moved = journeys.path(space, along, 41, kind, spread=0.3, seed=5)
    ends = list(moved.ends)
    assert [moved.labels[end] for end in ends] == ["LiF", "NaCl", "KBr"]
    assert moved.labels == way.labels
    off = np.delete(moved.z - way.z, ends, axis=0)
    assert (moved.z[ends] == way.z[ends]).all()
    assert off.std() == pytest.approx(0.3, rel=0.2)
    assert np.abs(off.mean()) < 0.1
    again, other = (journeys.path(space, along, 41, kind, 0.3, seed).z for seed in (5, 6))
    assert (again == moved.z).all()
    assert not np.isclose(np.delete(other, ends, axis=0), np.delete(moved.z, ends, axis=0)).any(axis=1).all()
    assert (journeys.path(space, along, 41, kind, 0.0, seed=5).z == way.z).all()
    nothing_between = journeys.path(space, along, 3, kind, spread=0.3)
    assert (nothing_between.z == [place.z for place in along]).all()


@pytest.mark.parametrize(
    ("kind", "spread", "said"),
    [
        ("spherical", -0.1, "a spread of -0.1; it must be 0 or"),
        ("straight", float("nan"), "a spread of nan; it must be 0 or"),
        ("straight", float("inf"), "a spread of inf; it must be 0 or"),
        ("known", 0.2, "would leave the known materials"),
    ],
)
def test_a_spread_that_means_nothing_is_refused(
    space: LatentMap, kind: journeys.PathKind, spread: float, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        journeys.path(space, places(space, "s0", "s8"), 5, kind, spread)


def test_a_walk_between_crystals_is_judged_by_its_ends(space: LatentMap) -> None:
    route = journeys.path(space, places(space, "s0", "s2", "s8"), 7)  # LiF, LiBr, KBr; edges 4, 4.5, 5 Å
    assert route.ends == (0, 3, 6)
    route.z[1] = (2.07, 0.5, 0)  # sodium between lithium salts; a volume as on the line
    route.z[4] = (2.0, 0.5, 1)  # sodium and a small cell
    route.z[5] = (4.6, 0, 1)  # nothing
    steps = list(journeys.walk(space, route))
    assert [light(step, "ends").answer for step in steps] == ["yes", "no", "no", "yes", "no", "no", "yes"]
    assert light(steps[2], "ends").word == "foreign Cl"  # which lies between F and Br here
    assert light(steps[1], "ends").word == "foreign Na"
    assert light(steps[1], "ends").reason == "Na: in neither LiF nor LiBr"
    assert light(steps[4], "ends").reason == "Na: in neither LiBr nor KBr"
    assert [light(step, "volume").answer for step in steps] == ["yes", "yes", "yes", "yes", "no", "no", "yes"]
    said = "32.0 Å³ an atom, −38% off the line between LiBr (45.6) and KBr (62.5)"  # noqa: RUF001 a minus
    assert light(steps[4], "volume").word == "volume −38%"  # noqa: RUF001
    assert light(steps[4], "volume").reason == said
    assert list(journeys.tally(steps)["light"]) == [
        "decodes",
        "distances",
        "ends",
        "volume",
        "charge",
        "data",
        "returns",
    ]
    assert {"ends", "volume", "ends_reason", "volume_reason"} <= set(journeys.table(steps))


def test_a_volume_of_one_end_is_no_wrong_volume(space: LatentMap) -> None:
    route = journeys.path(space, places(space, "s0", "s8"), 3)  # 4 to 5 Å: 32 to 62.5 Å^3 an atom, between them 47.2
    asked_of = {
        3.1: "no",  # far below both
        3.9: "no",  # below both, and more than FAR_OFF off the line
        4.0: "undecided",
        4.3: "undecided",  # as an end may be
        4.4: "yes",
        4.6: "yes",
        4.8: "undecided",
        5.0: "undecided",
        5.1: "no",
    }
    for edge, answer in asked_of.items():
        route.z[1] = (edge / 2, 0, 0)
        step = list(journeys.walk(space, route))[1]
        assert light(step, "volume").answer == answer, edge
    route.z[2] = (4.6, 0, 0)  # an end that decodes to nothing
    step = list(journeys.walk(space, route))[1]
    assert light(step, "volume").answer == "undecided"
    assert light(step, "volume").reason == "KBr decodes to no crystal, so there is no line to it"
    assert light(step, "ends").answer == "yes"


def test_only_a_way_between_crystals_has_ends(space: LatentMap) -> None:
    a, b, c = places(space, "s0", "s4", "s8")
    for route in (
        journeys.arithmetic(space, a, b, c, 3),
        journeys.axis(space, b, 0, 3),
        journeys.samples(space, [a.z], 3, 0.1, 0),
        journeys.path(space, [a, c], 3, "known"),
    ):
        assert not {"ends", "volume"} & {each.name for step in journeys.walk(space, route) for each in step.lights}


def test_no_light_says_its_title_twice() -> None:
    words = {("volume", "volume fits"): "fits", ("decodes", "decodes"): "", ("ends", "foreign Mn"): "foreign Mn"}
    words |= {
        ("volume", "no cell"): "no cell",
        ("elements", "as asked"): "",
        ("data", "near the data"): "near the data",
    }
    for (name, word), said in words.items():
        assert Light(name, "yes", word, "").beside_title == said
