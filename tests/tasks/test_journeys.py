"""Journeys: where routes lead, and what is said of each step, on a space where every answer is known."""

import io
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from pymatgen.core import Structure

from matgen_core import checkpoint
from matgen_core.checkpoint import Checkpoint
from matgen_core.data.structure_export import cif_archive
from matgen_core.jobs.recording import Recording, SharedSteps
from matgen_core.jobs.turns import Turns
from matgen_core.latent.building import with_points
from matgen_core.latent.map import LatentMap
from matgen_core.tasks import journeys
from matgen_core.views import charts
from matgen_core.views.maps.journey import journey_overlay, steps_outside, waypoint_pins
from tests.support.salts import CRYSTALS, Halving, Salts, light, places, salts


@pytest.fixture
def space() -> LatentMap:
    return salts()


def steps_at(space: LatentMap, *z: tuple[float, float, float], **how: object) -> list[journeys.Step]:
    route = journeys.Route(np.array(z, np.float32), ("",) * len(z), (None,) * len(z))
    return list(journeys.walk(space, route, **how))  # type: ignore[arg-type]


def asked(energy: float) -> dict[str, float]:
    return {"formation_energy_per_atom": energy}


# Routes


@pytest.mark.parametrize("kind", ["straight", "spherical", "neighbors"])
def test_a_path_stands_on_its_waypoints_and_shares_steps_out_by_distance(space: LatentMap, kind: str) -> None:
    route = journeys.path(space, places(space, "s0", "s2", "s5"), 10, kind)  # type: ignore[arg-type]
    assert len(route) == 10
    stops = [i for i, row in enumerate(route.rows) if row is not None]
    assert [route.rows[i] for i in stops] == [0, 2, 5]
    assert [route.labels[i] for i in stops] == ["LiF", "LiBr", "NaBr"]
    assert sum(label != "" for label in route.labels) == 3
    np.testing.assert_array_equal(route.z[stops], space.z[[0, 2, 5]])
    assert stops == [0, 6, 9]  # the first leg is twice as long
    gaps = np.linalg.norm(np.diff(route.z, axis=0), axis=1)
    assert gaps.max() < 1.3 * gaps.min()


def test_a_spherical_path_keeps_its_distance_from_the_origin(space: LatentMap) -> None:
    a, b = places(space, "s2", "s6")
    arc = np.linalg.norm(journeys.path(space, [a, b], 9, "spherical").z, axis=1)
    line = np.linalg.norm(journeys.path(space, [a, b], 9, "straight").z, axis=1)
    np.testing.assert_allclose(arc, arc[0], rtol=1e-3)
    assert line[4] < 0.98 * arc[4]


def ring() -> LatentMap:
    """Points on three quarters of a circle: the straight way between its ends is empty."""
    turns = np.linspace(0, 1.5 * np.pi, 120)
    z = np.column_stack([np.cos(turns), np.sin(turns), np.zeros(120)]).astype(np.float32)
    index = pd.DataFrame({"id": [f"r{i}" for i in range(120)], "formula": "LiF"})
    model = Checkpoint("ring", "halving", Halving(), Salts(), {}, "", CRYSTALS, index=with_points(index, z))  # type: ignore[arg-type]
    return LatentMap(model)


def test_a_path_along_neighbors_bends_round_empty_space() -> None:
    space = ring()
    ends = places(space, "r0", "r119")
    bent = journeys.path(space, ends, 12, "neighbors")
    np.testing.assert_allclose(np.linalg.norm(bent.z[:, :2], axis=1), 1, atol=0.12)
    straight = journeys.path(space, ends, 12, "straight")
    assert space.distance_percentile(straight.z, k=1).max() == 100
    known = journeys.path(space, ends, 12, "known")
    rows = [row for row in known.rows if row is not None]
    assert len(rows) == len(known) > 4
    assert rows == sorted(rows)
    np.testing.assert_array_equal(known.z, space.z[rows])
    assert set(known.labels) == {"LiF"}


def test_islands_are_not_joined_by_neighbors() -> None:
    z = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    z[20:] += 100
    index = pd.DataFrame({"id": [f"i{i}" for i in range(40)], "formula": "LiF"})
    model = Checkpoint("islands", "halving", Halving(), Salts(), {}, "", CRYSTALS, index=with_points(index, z))  # type: ignore[arg-type]
    islands = LatentMap(model)
    with pytest.raises(ValueError, match="no chain of neighbors leads from LiF to LiF in islands"):
        journeys.path(islands, places(islands, "i0", "i30"), 5, "neighbors")


def test_arithmetic_ends_at_the_sum(space: LatentMap) -> None:
    a, b, c = places(space, "s6", "s0", "s1")  # KF - LiF + LiCl: potassium for lithium
    route = journeys.arithmetic(space, a, b, c, 5)
    np.testing.assert_array_equal(route.z[:3], space.z[[6, 0, 1]])
    np.testing.assert_allclose(route.z[-1], space.z[6] - space.z[0] + space.z[1], rtol=1e-6)
    np.testing.assert_allclose(np.diff(route.z[2:], axis=0), np.tile((a.z - b.z) / 4, (4, 1)), atol=1e-6)
    assert route.labels[0] == "A: KF"
    assert route.labels[3] == "C + 25% (A − B)"  # noqa: RUF001
    assert list(journeys.walk(space, route))[-1].formula == "KCl"
    with pytest.raises(ValueError, match="A and B are both KF"):
        journeys.arithmetic(space, a, a, c, 5)


def test_an_axis_is_followed_in_units_of_the_spread() -> None:
    rng = np.random.default_rng(1)
    z = rng.normal(size=(500, 3)) * [0.1, 3, 1]
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turned = (z @ turn.T).astype(np.float16).astype(np.float32)
    index = pd.DataFrame({"id": [f"a{i}" for i in range(500)], "formula": "LiF"})
    model = Checkpoint("axes", "halving", Halving(), Salts(), {}, "", CRYSTALS, index=with_points(index, turned))  # type: ignore[arg-type]
    space = LatentMap(model)
    (center,) = places(space, "a7")
    route = journeys.axis(space, center, 0, 5, reach=2.0)
    way = route.z[-1] - route.z[0]
    assert np.linalg.norm(way) == pytest.approx(4 * 3, rel=0.1)
    assert abs(way @ turn[:, 1]) == pytest.approx(np.linalg.norm(way), rel=1e-3)
    assert way[np.abs(way).argmax()] > 0
    assert route.labels == ("−2.0 σ", "−1.0 σ", "LiF", "+1.0 σ", "+2.0 σ")  # noqa: RUF001
    assert route.rows == (None, None, 7, None, None)
    np.testing.assert_allclose(journeys.axis_shares(space), [9 / 10.01, 1 / 10.01, 0.01 / 10.01], rtol=0.15)
    plain = journeys.axis(space, center, 2, 3, reach=1.5, kind="coordinate")
    np.testing.assert_allclose(np.ptp(plain.z, axis=0), [0, 0, 3 * turned[:, 2].std()], rtol=1e-5)


def test_samples_scatter_around_every_center_alike(space: LatentMap) -> None:
    centers = space.z[[0, 8]]
    route = journeys.samples(space, centers, 4000, width=0.1, seed=3)
    nearest = np.linalg.norm(route.z[:, None] - centers, axis=-1).argmin(1)
    assert nearest.mean() == pytest.approx(0.5, abs=0.03)
    np.testing.assert_allclose((route.z - centers[nearest]).std(0), 0.1, rtol=0.05)
    again = journeys.samples(space, centers, 4000, width=0.1, seed=3).z
    np.testing.assert_array_equal(route.z, again)
    assert not np.array_equal(again, journeys.samples(space, centers, 4000, width=0.1, seed=4).z)
    np.testing.assert_allclose(journeys.samples(space, None, 4000, width=0.1, seed=3).z.std(0), 1, rtol=0.05)


def test_a_formation_energy_is_asked_of_a_learned_prior(crystal_map: Checkpoint) -> None:
    space = LatentMap(crystal_map)
    assert space.has_learned_prior
    for centers in (None, space.z[:2]):
        low, high = (journeys.samples(space, centers, 6, 0.3, 5, asked(energy)) for energy in (-9.0, 9.0))
        assert low.condition is high.condition is None  # the decoder is told nothing
        assert (low.z != high.z).any(1).all()
        np.testing.assert_array_equal(low.z, journeys.samples(space, centers, 6, 0.3, 5, asked(-9.0)).z)


@pytest.mark.parametrize(
    ("route", "said"),
    [
        (lambda s: journeys.waypoint(s, "s99"), "s99 is not among the 9 crystals of salts"),
        (lambda s: journeys.path(s, places(s, "s1"), 5), "1 waypoints; a path needs at least 2"),
        (lambda s: journeys.path(s, places(s, "s1", "s2", "s3"), 2), "2 steps for 3 waypoints"),
        (lambda s: journeys.path(s, places(s, "s1", "s1"), 5), "LiCl comes twice in turn"),
        (lambda s: journeys.axis(s, *places(s, "s1"), 3, 5), "axis 4: salts has axes 1 to 3"),
        (lambda s: journeys.axis(s, *places(s, "s1"), 0, 5, reach=0), "a reach above 0"),
        (lambda s: journeys.samples(s, s.z[:0], 5, 0.1, 0), "no place to sample around"),
        (lambda s: journeys.samples(s, s.z[:1], 5, 0.0, 0), "a width of 0; it must be above 0"),
        (lambda s: journeys.samples(s, None, 0, 0.1, 0), "0 samples; ask for at least 1"),
        (lambda s: steps_at(s, (2, 0, 0), elements="has:Xx"), "'Xx' is no element"),
        (lambda s: journeys.samples(s, None, 5, 0.1, 0, asked(-1.0)), "salts takes no formation energy"),
    ],
)
def test_what_cannot_be_gone_is_refused(space: LatentMap, route: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        route(space)  # type: ignore[operator]


# Steps


def test_a_known_material_gets_green_lights_and_its_own_name(space: LatentMap) -> None:
    (step,) = steps_at(space, tuple(space.z[4]))
    assert (step.formula, step.nearest, step.answer) == ("NaCl", "NaCl (s4)", "yes")
    assert step.space_group == "Pm-3m (221)"
    assert [each.answer for each in step.lights] == ["yes"] * 5
    assert step.numbers["percentile"] == 0
    assert step.numbers["min_distance"] == pytest.approx(4.5 * 3**0.5 / 2, rel=1e-3)
    assert light(step, "distances").word == "3.90 Å"
    assert step.numbers["round_trip_distance"] == pytest.approx(0, abs=1e-6)


def test_what_does_not_decode_keeps_its_row_and_fails_every_light(space: LatentMap) -> None:
    good, bad = steps_at(space, (2, 0, 0), (4.6, 0, 0), elements="has:Li")
    assert bad.material is None
    assert not bad.kept
    assert {each.answer for each in bad.lights} == {"no"}
    assert light(bad, "decodes").reason == "an edge of 9.2 Å"
    counted = journeys.tally([good, bad]).set_index("light")
    assert list(counted.index) == ["decodes", "distances", "charge", "data", "returns", "elements"]
    assert (counted.sum(axis=1) == 2).all()
    assert counted.loc["decodes"].to_dict() == {"yes": 1, "undecided": 0, "no": 1}
    table = journeys.table([bad, good])
    assert list(table["formula"]) == ["", "LiF"]
    assert table.columns[-1] == "elements_reason"
    assert [each.name for each in journeys.titles(table.columns)] == list(table.columns)


def test_each_light_turns_on_what_it_is_for(space: LatentMap) -> None:
    overlap, tight, far, cesium = steps_at(space, (0.25, 0, 0), (0.65, 0, 0), (4.4, 0, 0), (2, 1.4, 0))
    assert light(overlap, "distances").answer == "no"
    assert light(overlap, "distances").word == "0.43 Å"
    assert light(tight, "distances").answer == "undecided"
    assert light(far, "data").answer == "no"
    assert light(far, "data").word == "off the data"
    assert far.numbers["percentile"] == 100
    assert light(cesium, "returns").word == "cannot return"
    assert "Cs is no cation" in light(cesium, "returns").reason
    assert light(cesium, "charge").answer == "yes"
    assert cesium.answer == "no"


def test_a_material_that_comes_back_as_another_drifts(space: LatentMap, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = space.representation.draw
    monkeypatch.setattr(space.representation, "draw", lambda material: draw(material) + np.float32([0, 0, 1]))
    (step,) = steps_at(space, tuple(space.z[4]))
    assert light(step, "returns").answer == "undecided"
    assert "another crystal, NaBr" in light(step, "returns").reason
    assert step.numbers["round_trip_distance"] == pytest.approx(0.5, abs=1e-3)


def test_what_is_not_as_asked_is_shown_and_not_kept(space: LatentMap) -> None:
    route = journeys.samples(space, space.z, 60, width=0.05, seed=0)
    steps = list(journeys.walk(space, route, elements="has:Na not:Br"))
    assert len(steps) == 60
    kept = [step.formula for step in steps if step.kept]
    assert set(kept) == {"NaF", "NaCl"}
    row = journeys.tally(steps).set_index("light").loc["elements"]
    assert row["yes"] == len(kept) < 60
    assert row["no"] == 60 - len(kept)


def test_steps_come_one_by_one_and_the_first_at_once(space: LatentMap, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    decode = space.decode
    monkeypatch.setattr(space, "decode", lambda z, *rest: sizes.append(len(z)) or decode(z, *rest))
    walk = journeys.walk(space, journeys.path(space, places(space, "s0", "s8"), 12))
    assert next(walk).number == 0
    assert sizes[:2] == [2, 1]  # the two ends, by which all are judged, and then the first alone
    assert [step.number for step in walk] == list(range(1, 12))


def test_phase_fields_have_scores_and_no_atoms() -> None:
    model = checkpoint.load("phase_field_vae")
    space = LatentMap(model)
    known = str(space.index["phase_field"].iloc[0])
    ends = places(space, known, "S-Li-Cl-Sn")
    assert ends[1].row is None
    assert (ends[1].key, ends[1].name) == ("Cl-Li-S-Sn", "Li-Sn-S-Cl")
    steps = list(journeys.walk(space, journeys.path(space, ends, 3), [model]))
    assert steps[0].label == steps[0].nearest
    assert sorted(steps[0].formula.split("-")) == sorted(known.split("-"))
    assert [each.name for each in steps[0].lights] == ["decodes", "data", "returns"]
    assert steps[0].numbers["score"] == pytest.approx(space.index["error"].iloc[0], abs=0.01)
    assert steps[0].numbers["score_std"] > 0
    repeated = next(field for field in space.index["phase_field"] if len(set(field.split("-"))) < 4)
    assert journeys.waypoint(space, repeated).row is not None  # an element in two valences
    with pytest.raises(ValueError, match="'Qq' is no element"):
        journeys.waypoint(space, "Li-Qq-S-Cl")


# Drawing


def test_a_path_on_the_map_has_pins_and_says_where_it_leaves_the_data() -> None:
    space = ring()
    space.index["pca_x"], space.index["pca_y"] = space.z[:, 0] * 10, space.z[:, 1] * 10
    ends = places(space, "r0", "r119")
    route = journeys.path(space, ends, 11)
    drawn = journey_overlay(space, route, "pca", steps_outside(space, route), current=4)
    (line,) = drawn.paths
    np.testing.assert_allclose([line.xy[0], line.xy[-1]], 10 * space.z[[0, 119], :2], atol=1e-4)
    assert line.current == 4
    off = np.flatnonzero(space.distance_percentile(route.z, k=1) > journeys.EDGE)
    assert list(line.off_data) == off.tolist()
    assert 0 < off[0] < 4
    assert [label.text for label in drawn.labels] == ["leaves the data"]
    assert drawn.labels[0].x == line.xy[off[0]][0]
    assert [marker.kind for marker in drawn.markers] == ["pin", "pin"]
    assert drawn.marker_steps == (0, 10)
    known = journeys.path(space, ends, 11, "known")
    inside = journey_overlay(space, known, "pca", steps_outside(space, known))
    assert not inside.labels
    assert len(inside.markers) == 2  # a pin on every stop would hide the line
    (label,) = journey_overlay(space, route, "pca", [0, 1]).labels
    assert label.text == "outside the data"
    sampled = journey_overlay(space, journeys.samples(space, None, 5, 1, 0), "pca", [0], current=3)
    assert not sampled.paths
    assert [marker.kind for marker in sampled.markers] == ["sample"] * 3 + ["pin", "sample"]
    assert sampled.marker_steps == (0, 1, 2, 3, 4)
    added = journeys.arithmetic(space, *places(space, "r0", "r9", "r60"), 4)
    sum_of = journey_overlay(space, added, "pca", [1, 4], current=2)
    assert list(sum_of.paths[0].off_data) == [2]
    assert len(sum_of.paths[0].xy) == 4
    assert sum_of.paths[0].current == 0
    assert sum_of.marker_steps == (0, 1, 2, 5)
    assert [marker.label for marker in waypoint_pins(space, ends, "pca").markers] == ["LiF", "LiF"]


def test_the_example_joins_two_families_that_come_back() -> None:
    space = LatentMap(checkpoint.load("icsg3d"))
    first, last = (journeys.waypoint(space, key) for key in journeys.example(space))
    assert list(space.index["family"].iloc[[first.row, last.row]]) == ["abx3", "heusler"]
    assert (space.index["error"].iloc[[first.row, last.row]] == 0).all()


def test_the_figure_leaves_room_for_what_is_to_come_and_joins_what_is_walked(space: LatentMap) -> None:
    steps = steps_at(space, (2, 0, 0), (4.6, 0, 0), (2, 0.5, 0), (4.4, 0, 0))
    table = journeys.table(steps).assign(gap=[1.0, np.nan, 2.0, 3.0], gap_std=0.5)
    figure = charts.journey(table, ("gap", "Band gap (eV)"), 9, journeys.EDGE, walked_from=0, current=2)
    upper, lower, line, distance = figure.data
    np.testing.assert_allclose(upper.y, [1.5, np.nan, 2.5, 3.5])
    np.testing.assert_allclose(lower.y, [0.5, np.nan, 1.5, 2.5])
    assert (upper.fill, lower.fill) == (None, "tonexty")
    assert line.mode == distance.mode == "lines+markers"
    assert figure.layout.xaxis.range == (0.5, 9.5)
    assert figure.layout.yaxis.title.text == "Band gap (eV)"
    wild = table.assign(gap_std=[0.5, 900.0, 0.5, 0.5])
    assert charts.journey(wild, ("gap", ""), 9, journeys.EDGE).layout.yaxis.range == figure.layout.yaxis.range
    assert figure.layout.yaxis.range[0] < 0.5 < 3.5 < figure.layout.yaxis.range[1]
    assert [symbol == "circle-open" for symbol in distance.marker.symbol] == [
        step.numbers["percentile"] > journeys.EDGE for step in steps
    ]
    samples = charts.journey(table, ("gap", "Band gap (eV)"), 9, journeys.EDGE, walked_from=None)
    assert {trace.mode for trace in samples.data} == {"markers"}
    assert list(samples.data[0].error_y.array) == [0.5] * 4
    alone = charts.journey(table, None, 9, journeys.EDGE, walked_from=2)
    assert [len(trace.x) for trace in alone.data] == [2, 2]


def test_crystals_are_saved_by_step(space: LatentMap) -> None:
    steps = steps_at(space, (2, 0, 0), (4.6, 0, 0), (2, 0.5, 0))
    crystals = journeys.structures_of(steps)
    assert [name for name, _ in crystals] == ["001 LiF", "003 NaF"]
    with zipfile.ZipFile(io.BytesIO(cif_archive([*crystals, crystals[0]]))) as archive:
        assert archive.namelist() == ["001 LiF.cif", "003 NaF.cif", "001 LiF-2.cif"]
        read = Structure.from_str(archive.read("003 NaF.cif").decode(), "cif")
    assert read.composition.reduced_formula == "NaF"
    assert read.lattice.a == pytest.approx(4.0, abs=1e-4)


# Recordings


def step(number: int) -> journeys.Step:
    return journeys.Step(number, "", np.zeros(3, np.float32), None, "", "", (), "")


def test_a_recording_stops_goes_on_and_keeps_what_it_has() -> None:
    gate, begun = threading.Semaphore(0), threading.Semaphore(0)

    def steps() -> Iterator[journeys.Step]:
        for number in range(4):
            begun.release()
            assert gate.acquire(timeout=60)
            yield step(number)

    recording = Recording(steps(), 4, Turns(1))
    assert (recording.job.state, recording.job.status().total) == ("ready", 4)
    recording.start()
    gate.release()
    recording.wait_for_first(60)
    assert begun.acquire(timeout=60)
    assert begun.acquire(timeout=60)  # the second step is under way
    recording.stop()
    gate.release()
    recording.job.wait(60)
    assert (recording.job.state, recording.job.status().done, len(recording.steps)) == ("stopped", 2, 2)
    recording.start()
    recording.stop()
    recording.start()  # while the former run may still hold the source
    gate.release(2)
    recording.job.wait(60)
    assert recording.job.state == "done"
    assert [step.number for step in recording.steps] == list(range(4))


def test_shared_steps_are_computed_once_whoever_asks() -> None:
    computed = []

    def steps() -> Iterator[journeys.Step]:
        for number in range(5):
            computed.append(number)
            yield step(number)

    shared = SharedSteps(steps(), 5)
    first = iter(shared)
    assert [next(first).number, next(first).number] == [0, 1]
    assert not shared.is_whole
    later = Recording(shared, 5, Turns(1))  # who comes later has at once what is there, and goes on
    later.start()
    later.job.wait(60)
    assert [each.number for each in later.steps] == list(range(5))
    assert shared.is_whole
    assert [each.number for each in first] == [2, 3, 4]
    assert all(a is b for a, b in zip(shared, later.steps, strict=True))
    assert computed == list(range(5))


def test_shared_steps_of_many_threads_and_their_fault() -> None:
    computed = []

    def steps() -> Iterator[journeys.Step]:
        for number in range(40):
            computed.append(number)
            yield step(number)
        raise ValueError("the last cannot be decoded")

    shared = SharedSteps(steps(), 41)
    recordings = [Recording(shared, 41, Turns(8)) for _ in range(8)]
    for each in recordings:
        each.start()
    for each in recordings:
        each.job.wait(60)
        assert each.job.status().problem == "the last cannot be decoded"
        assert [one.number for one in each.steps] == list(range(40))
    assert computed == list(range(40))


def test_a_verdict_names_the_worst() -> None:
    told: dict[str, dict[str, journeys.Answer]] = {
        "It passes every check that was made.": {"decodes": "yes", "data": "yes"},
        "With a question mark: charge balance.": {"decodes": "yes", "charge": "undecided"},
        "With a question mark: charge balance, round trip.": {"charge": "undecided", "returns": "undecided"},
        "Not to be trusted: round trip.": {"charge": "undecided", "returns": "no"},
        "Not to be trusted: distances, round trip.": {"distances": "no", "returns": "no", "data": "yes"},
    }
    for expected, answers in told.items():
        lights = tuple(journeys.Light(name, answer, "", "") for name, answer in answers.items())
        assert journeys.verdict(replace(step(0), lights=lights, material="x")) == expected
        assert journeys.verdict(replace(step(0), lights=lights)) == "It decodes to no material."
