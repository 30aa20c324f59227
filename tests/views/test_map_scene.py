import math
import struct
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from matgen_core.latent.selection import Lasso, combine, points_in_polygon, select
from matgen_core.views import palettes
from matgen_core.views.maps.events import MapEvents
from matgen_core.views.maps.scene import (
    MISSING,
    N_LEVELS,
    OTHER,
    ROWS_PER_BLOCK,
    Camera,
    MapMarker,
    MapPath,
    MapScene,
    color_by_category,
    color_by_value,
    hover_text,
    point_cloud,
)
from tests.support.rows import each_row

SQUARE = [(0, 0), (4, 0), (4, 4), (0, 4)]

grid = st.integers(-6, 6)
corners = st.lists(st.tuples(grid, grid), min_size=3, max_size=9)


def winding(point: tuple[int, int], polygon: list[tuple[int, int]]) -> int:
    """Turns round a point, in exact arithmetic and one edge at a time."""
    x, y = point
    turns = 0
    for (x0, y0), (x1, y1) in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        if (y0 <= y) == (y1 <= y):
            continue
        crossing = x0 + Fraction((y - y0) * (x1 - x0), y1 - y0)
        if x < crossing:
            turns += 1 if y1 > y0 else -1
    return turns


@given(corners, st.lists(st.tuples(grid, grid), min_size=1, max_size=30))
@example(SQUARE, [(0, 0), (2, 2), (4, 2), (2, 4), (4, 4), (-1, 2)])
@example([(0, 0), (4, 4), (4, 0), (0, 4)], [(1, 2), (3, 2), (2, 1), (2, 3)])
def test_points_in_polygon_agrees_with_exact_winding(polygon, points):
    found = points_in_polygon(points, polygon)
    assert found.tolist() == [winding(point, polygon) != 0 for point in points]


def test_an_outline_that_overlaps_itself_has_no_hole():
    twice_round = [*SQUARE, *SQUARE]
    assert points_in_polygon([(2, 2)], twice_round).all()


@given(st.floats(-3, 3), st.floats(-3, 3), st.integers(0, 2**32 - 1))
def test_two_halves_share_no_point_and_lose_none(top, bottom, seed):
    points = np.random.default_rng(seed).normal(size=(50, 2))
    points[0] = (top + bottom) / 2, 0.0  # on the cut or beside it by rounding
    left = points_in_polygon(points, [(-9, -9), (bottom, -9), (top, 9), (-9, 9)])
    right = points_in_polygon(points, [(bottom, -9), (9, -9), (9, 9), (top, 9)])
    assert (left ^ right).all()


def test_float32_points_are_compared_exactly():
    points = np.array([[0.1, 0.5]], dtype=np.float32)  # a little above 0.1
    assert points_in_polygon(points, [(0.1, 0), (1, 0), (1, 1), (0.1, 1)]).all()


@pytest.mark.parametrize(
    ("points", "polygon", "line"),
    [
        (np.zeros((3, 3)), SQUARE, r"points of shape \(3, 3\)"),
        (np.zeros((3, 2)), [1, 2, 3], r"polygon of shape \(3,\)"),
        (np.zeros((3, 2)), [(0, 0), (1, math.nan), (1, 1)], "not finite"),
    ],
)
def test_points_in_polygon_names_what_is_wrong(points, polygon, line):
    with pytest.raises(ValueError, match=line):
        points_in_polygon(points, polygon)


def test_combine_is_set_arithmetic():
    current, inside = np.array([1, 1, 0, 0], bool), np.array([1, 0, 1, 0], bool)
    results = {op: combine(current, inside, op).tolist() for op in ("new", "add", "subtract", "intersect", "clear")}
    assert results == {
        "new": [True, False, True, False],
        "add": [True, True, True, False],
        "subtract": [False, True, False, False],
        "intersect": [True, False, False, False],
        "clear": [False] * 4,
    }
    with pytest.raises(ValueError, match="4 points cannot join one of 3"):
        combine(current, inside[:3], "add")


def test_select_reads_an_event_and_applies_it():
    points = np.array([(1.0, 1.0), (3.0, 3.0), (9.0, 9.0)])
    event = {"op": "add", "polygon": {"origin": [0.5, 0.5], "step": 0.25, "path": [6, 0, 0, 6, -6, 0]}}
    lasso = Lasso.from_event(event)
    assert lasso.polygon.tolist() == [[0.5, 0.5], [2, 0.5], [2, 2], [0.5, 2]]
    assert select(points, np.array([False, False, True]), lasso).tolist() == [True, False, True]
    assert select(points, None, lasso).tolist() == [True, False, False]
    assert select(points, np.ones(3, bool), Lasso.from_event({"op": "clear"})).tolist() == [False] * 3


@each_row(
    "event",
    [
        {},
        {"op": "explode"},
        {"op": "new"},
        {"op": "new", "polygon": {"origin": [0, 0], "step": 1}},
        {"op": "new", "polygon": {"origin": [0, "x"], "step": 1, "path": [1, 0, 0, 1]}},
        {"op": "new", "polygon": {"origin": [0, 0], "step": math.inf, "path": [1, 0, 0, 1]}},
        {"op": "new", "polygon": {"origin": [0, 0], "step": 1, "path": [math.inf, 0, 0, 1]}},
        {"op": "new", "polygon": {"origin": [0, 0], "step": 1, "path": [1, 0, 0]}},
        {"op": "new", "polygon": {"origin": [0, 0], "step": 1, "path": [1] * 5000}},
    ],
)
def test_a_malformed_event_is_one_clear_line(event):
    with pytest.raises(ValueError, match=r"^lasso [^\n]+$"):
        Lasso.from_event(event)


@given(
    st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)), min_size=1, max_size=20),
    st.floats(-1e6, 1e6),
)
def test_positions_survive_packing(points, shift):
    xy = np.array(points) + shift
    cloud = point_cloud(xy)
    packed = np.frombuffer(cloud.buffer.data, "<f4").reshape(-1, 2)
    assert np.abs(packed).max() <= 1
    np.testing.assert_allclose(packed * cloud.half_span + cloud.center, xy, atol=1e-6 * cloud.half_span + 1e-9)


def test_a_small_map_far_away_keeps_its_detail():
    xy = np.array([(1e7, 1e7), (1e7 + 1e-3, 1e7), (1e7, 1e7 + 2e-3)])
    packed = np.frombuffer(point_cloud(xy).buffer.data, "<f4").reshape(-1, 2)
    assert len(np.unique(packed, axis=0)) == 3


def test_positions_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match="2 of 3 positions are not finite"):
        point_cloud([(0, 0), (math.nan, 1), (math.inf, 2)])
    with pytest.raises(ValueError, match=r"shape \(0, 2\)"):
        point_cloud(np.empty((0, 2)))


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=200), st.sampled_from(["linear", "quantile"]))
def test_codes_follow_the_order_of_values(values, axis):
    coloring = color_by_value(values, label="E", axis=axis)
    codes = np.frombuffer(coloring.buffer.data, np.uint8)
    order = np.argsort(values, kind="stable")
    assert (np.diff(codes[order].astype(int)) >= 0).all()
    assert codes.max() < N_LEVELS


def test_linear_scale_places_values_and_says_what_is_clipped():
    values = [0.0, 0.5, 1.0, 7.0, -3.0, math.nan, math.inf]
    coloring = color_by_value(values, label="Gap", unit="eV", limits=(0, 1))
    codes = np.frombuffer(coloring.buffer.data, np.uint8)
    assert codes.tolist() == [0, N_LEVELS // 2, N_LEVELS - 1, N_LEVELS - 1, 0, MISSING, MISSING]
    assert coloring.clipped == (True, True)
    assert coloring.n_missing == 2
    assert [text for _, text in coloring.ticks] == ["0", "0.2", "0.4", "0.6", "0.8", "1"]
    assert color_by_value([0.2, 0.9], label="Gap", limits=(0, 1)).clipped == (False, False)


def test_one_outlier_does_not_take_all_colors():
    values = np.append(np.linspace(0, 1, 999), 1e6)
    codes = np.frombuffer(color_by_value(values, label="E").buffer.data, np.uint8)
    assert len(np.unique(codes)) > 200


def test_log_scale_gives_each_decade_the_same_share():
    coloring = color_by_value([1, 10, 100, 1000, 0, -1], label="k", axis="log", limits=(1, 1000))
    codes = np.frombuffer(coloring.buffer.data, np.uint8)
    assert codes.tolist() == [0, 84, 169, N_LEVELS - 1, MISSING, MISSING]
    assert coloring.ticks[0] == (0.0, "1")
    assert coloring.ticks[1] == (pytest.approx(1 / 3), "10")


def test_quantile_scale_gives_each_color_the_same_share():
    rng = np.random.default_rng(0)
    coloring = color_by_value(rng.lognormal(0, 3, 20_000), label="E", axis="quantile")
    counts = np.bincount(np.frombuffer(coloring.buffer.data, np.uint8), minlength=N_LEVELS)
    assert counts.min() > 0.9 * counts.mean()
    assert counts.max() < 1.1 * counts.mean()


@pytest.mark.parametrize("values", [[2.0, 2.0, 2.0], [math.nan, math.nan], [], [0.0] * 200 + [1.0]])
def test_degenerate_values_still_make_a_scale(values):
    for axis in ("linear", "log", "quantile"):
        coloring = color_by_value(values, label="E", axis=axis)
        assert coloring.n_points == len(values), axis
        assert all(0 <= at <= 1 for at, _ in coloring.ticks), axis


def test_limits_out_of_order_are_refused():
    with pytest.raises(ValueError, match="limits 2 to 1"):
        color_by_value([1.0], label="E", limits=(2, 1))
    with pytest.raises(ValueError, match="above 0"):
        color_by_value([1.0], label="E", limits=(0, 1), axis="log")


def test_classes_keep_their_color_in_a_given_order():
    kinds = ["trigonal", "cubic", None, "cubic", math.nan, "", "hexagonal"]
    coloring = color_by_category(kinds, label="System", order=["cubic", "hexagonal", "trigonal", "triclinic"])
    assert np.frombuffer(coloring.buffer.data, np.uint8).tolist() == [2, 0, MISSING, 0, MISSING, MISSING, 1]
    assert [(entry.name, entry.count) for entry in coloring.entries] == [
        ("cubic", 2),
        ("hexagonal", 1),
        ("trigonal", 1),
    ]
    assert coloring.n_missing == 3


@given(st.lists(st.sampled_from([f"c{i}" for i in range(15)] + [""]), max_size=200))
def test_every_point_is_in_the_legend_once(names):
    coloring = color_by_category(names, label="Cluster")
    codes = np.frombuffer(coloring.buffer.data, np.uint8)
    assert sum(entry.count for entry in coloring.entries) + coloring.n_missing == len(names)
    for entry in coloring.entries:
        assert (codes == entry.code).sum() == entry.count
    own = [entry for entry in coloring.entries if entry.code != OTHER]
    assert len(own) <= palettes.MAX_CATEGORIES
    rest = set(names) - {entry.name for entry in own} - {""}
    assert all(names.count(name) <= min((entry.count for entry in own), default=0) for name in rest)


@given(
    st.lists(
        st.tuples(st.text(max_size=6), st.one_of(st.none(), st.floats(allow_nan=False, width=32))),
        min_size=1,
        max_size=3 * ROWS_PER_BLOCK,
    )
)
def test_hover_rows_are_found_by_their_offsets(rows):
    names, values = zip(*rows, strict=True)
    hover = hover_text({"Formula": names, "E": values}, {"E": "eV"})
    data = hover.buffer.data
    offsets = struct.unpack(f"<{hover.n_blocks + 1}I", data[: 4 * (hover.n_blocks + 1)])
    assert offsets[-1] == len(data)
    for i, (name, value) in enumerate(rows):
        block = i // ROWS_PER_BLOCK
        lines = data[offsets[block] : offsets[block + 1]].decode().split("\n")
        assert lines[i % ROWS_PER_BLOCK].split("\t")[0] == " ".join(name.split())
        text = lines[i % ROWS_PER_BLOCK].split("\t")[1].replace("\N{MINUS SIGN}", "-")
        assert text == "" if value is None else float(text) == pytest.approx(value, rel=1e-3)


def test_hover_fields_of_different_length_are_refused():
    with pytest.raises(ValueError, match=r"'a': 2, 'b': 1"):
        hover_text({"a": [1, 2], "b": [1]})


def test_scene_parts_must_belong_to_the_same_points():
    cloud = point_cloud(np.random.default_rng(0).normal(size=(5, 2)))
    with pytest.raises(ValueError, match="coloring is for 4 points, but the map has 5"):
        MapScene(cloud, coloring=color_by_value(np.arange(4.0), label="E"))
    with pytest.raises(ValueError, match="selected is for 6 points"):
        MapScene(cloud, selected=np.ones(6, bool))
    with pytest.raises(ValueError, match="point 5: the map has points 0 to 4"):
        MapScene(cloud, links=[(0, 5)])


def test_payload_holds_no_list_as_long_as_the_points():
    n = 1000
    scene = MapScene(
        point_cloud(np.random.default_rng(0).normal(size=(n, 2))),
        coloring=color_by_value(np.arange(n), label="E"),
        hover=hover_text({"Row": range(n)}),
        selected=np.arange(n) % 3 == 0,
        paths=[MapPath([(0, 0), (1, 1)], current=1)],
        camera=Camera(0, 1, 2),
    )
    published = {}

    def url(buffer):
        published[buffer.digest] = buffer.data
        return f"/{buffer.digest}"

    payload = scene.payload(url)
    assert len(str(payload)) < 4500
    assert payload["paths"] == [{"xy": [[0.0, 0.0], [1.0, 1.0]], "label": "", "offData": [], "current": 1}]
    assert payload["camera"] == {"x": 0, "y": 1, "span": 2}
    bits = np.frombuffer(published[payload["selected"]["url"][1:]], np.uint8)
    assert np.unpackbits(bits, bitorder="little")[:n].astype(bool).tolist() == (np.arange(n) % 3 == 0).tolist()
    assert payload["selected"]["count"] == 334


def test_buffers_that_differ_anywhere_have_different_names():
    # Streamlit itself samples files above 1 MiB at three places only.
    zeros = np.zeros(3_000_000)
    changed = zeros.copy()
    changed[700_000] = 1.0
    one, other = (color_by_value(values, label="E", limits=(0, 1)) for values in (zeros, changed))
    assert one.buffer.digest != other.buffer.digest


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_neighboring_categories_differ_for_every_kind_of_sight(theme):
    # Machado et al. 2009, doi:10.1109/TVCG.2009.113, severity 1: linear RGB as dichromats see it.
    sights = {
        "normal": np.eye(3),
        "protan": [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ],
        "deutan": [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ],
        "tritan": [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ],
    }
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    for n in range(2, palettes.MAX_CATEGORIES + 1):
        srgb = palettes.categories(n, theme) / 255
        linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
        for sight, matrix in sights.items():
            xyz = np.clip(linear @ np.array(matrix).T, 0, 1) @ to_xyz.T / [0.9505, 1.0, 1.089]
            f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
            lab = np.column_stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])])
            gaps = np.linalg.norm(lab[:, None] - lab[None], axis=-1)[np.triu_indices(n, 1)]
            assert gaps.min() > 9, (n, sight)


def test_more_categories_than_colors_are_refused():
    with pytest.raises(ValueError, match="9 categories"):
        palettes.categories(9, "light")


@pytest.mark.parametrize("name", ["viridis", "cividis", "red_blue"])
def test_scales_are_smooth(name):
    steps = np.abs(np.diff(palettes.scale(name, N_LEVELS, "light").astype(int), axis=0))
    assert steps.max() <= 6


def small_scene() -> MapScene:
    path = MapPath([(0, 0), (1, 1), (2, 2)])
    return MapScene(point_cloud([(0, 0), (1, 1)]), paths=[path], markers=[MapMarker(0, 0)])


def test_events_are_read():
    result = {
        "clicked": 0,
        "marker": None,
        "step": {"path": 0, "step": 2},
        "lasso": {"op": "clear"},
        "camera": {"x": 1, "y": 2.5, "span": 3},
    }
    events = MapEvents.from_component(result, small_scene())
    assert events.clicked == 0
    assert events.marker is None
    assert events.step == (0, 2)
    assert events.lasso is not None
    assert events.camera == Camera(1, 2.5, 3)
    assert MapEvents.from_component({}, small_scene()) == MapEvents()


@each_row(
    ("result", "line"),
    [
        ({"clicked": 2}, "point 2 is not on this map, which has 2"),
        ({"clicked": -1}, "point -1"),
        ({"clicked": "0"}, "point '0'"),
        ({"clicked": 1.0}, r"point 1\.0"),
        ({"marker": 1}, "marker 1"),
        ({"step": {"path": 0, "step": 3}}, "step 3"),
        ({"step": {"path": 1, "step": 0}}, "path 1"),
        ({"step": 4}, "path None"),
        ({"camera": {"x": 0, "y": 0, "span": 0}}, "camera"),
        ({"camera": {"x": 0, "y": math.nan, "span": 1}}, "camera"),
        ({"camera": [1]}, "camera"),
        ({"camera": {"x": 10**400, "y": 0, "span": 1}}, "camera"),
        ({"camera": {"x": 0, "y": "0", "span": 1}}, "camera"),
    ],
)
def test_events_that_no_visitor_can_make_are_refused(result, line):
    with pytest.raises(ValueError, match=line):
        MapEvents.from_component(result, small_scene())


def test_equal_values_take_the_middle_color_of_their_share():
    coloring = color_by_value([0.0] * 500 + list(range(1, 501)), label="E", axis="quantile")
    code = np.frombuffer(coloring.buffer.data, np.uint8)[0]
    assert code == pytest.approx(N_LEVELS / 4, abs=2)


def test_the_wider_side_of_a_map_goes_from_minus_one_to_one() -> None:
    points = point_cloud(np.array([[10.0, 3.0], [30.0, 3.0], [20.0, 7.0]]))
    sent = np.frombuffer(points.buffer.data, "<f4").reshape(-1, 2)
    np.testing.assert_allclose(sent, [[-1, -0.2], [1, -0.2], [0, 0.2]], rtol=1e-6)
    assert (points.center, points.half_span) == ((20.0, 5.0), 10.0)
