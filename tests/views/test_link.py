"""Links to views: what is written is read, and what anybody might write instead costs one line."""

import base64
import json
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matgen_core.latent.selection import Lasso, extend
from matgen_core.views.maps import link as view_link
from matgen_core.views.maps.framing import Camera
from matgen_core.views.maps.link import View
from tests.support.rows import each_row

TRIANGLE = Lasso(np.array([[-1.5, 2.25], [3.0, 2.25], [0.125, 7.5]]), "new")
HOLE = Lasso(np.array([[0.0, 3.0], [1.0, 3.0], [0.5, 4.0]]), "subtract")


def written(values: Any) -> str:
    """A link to whatever JSON."""
    return base64.urlsafe_b64encode(zlib.compress(json.dumps(values).encode())).decode().rstrip("=")


@given(
    st.text(min_size=1, max_size=40),
    st.text(max_size=60),
    st.lists(st.sampled_from(["Li", "O", "Fe"]), unique=True),
    st.tuples(*[st.floats(-1e3, 1e3)] * 2, st.floats(1e-3, 1e3)),
)
def test_a_view_comes_back(model: str, text: str, symbols: list[str], camera: tuple[float, float, float]) -> None:
    rounded = [float(f"{value:.6g}") for value in camera]
    view = View(model, "umap", text, "Fe", text, tuple(symbols), ("Pb",), "gap:0:1", "mp-1", Camera(*rounded))
    link = view_link.encode(view)
    assert view_link.decode(link) == view
    assert set(link) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def test_outlines_choose_the_same_points_again() -> None:
    rng = np.random.default_rng(0)
    places = {"umap": rng.normal(2, 3, (5_000, 2)), "pca": rng.normal(0, 2, (5_000, 2))}
    angles = np.linspace(0, 2 * np.pi, 300, endpoint=False)
    radius = 3 + 0.4 * rng.random(300)
    blob = Lasso(np.column_stack([radius * np.cos(angles), radius * np.sin(angles)]) + 1.234567, "add")
    steps = (("umap", TRIANGLE), ("umap", HOLE), ("pca", blob))
    expected = None
    for projection, lasso in steps:
        expected = extend(expected, places[projection], lasso, projection)
    assert expected is not None
    link = view_link.encode(View("a", outlines=steps))
    again = view_link.replay(view_link.decode(link).outlines, places)
    assert again is not None
    assert (again.mask != expected.mask).sum() <= 1  # an outline is kept to a 16,000th of its size
    assert 100 < again.mask.sum() < 4_900
    assert [lasso.op for _, lasso in again.steps] == ["new", "subtract", "add"]
    assert len(link) < 2_500
    with pytest.raises(ValueError, match="drawn on the map 'pca', which is not here; here are umap"):
        view_link.replay(view_link.decode(link).outlines, {"umap": places["umap"]})


def test_a_view_that_is_too_much_for_a_link_is_refused_with_what_to_do() -> None:
    rng = np.random.default_rng(0)
    wild = tuple(("umap", Lasso(rng.normal(size=(900, 2)), "add")) for _ in range(4))
    with pytest.raises(ValueError, match=r"at most 6,000 pass everywhere; draw the selection with fewer outlines"):
        view_link.encode(View("a", outlines=wild))


GOOD = {"v": 2, "model": "a"}


@each_row(
    "text",
    [
        "rubbish",
        "%%%",
        "ä",
        "",
        "A" * 7_000,
        written(GOOD)[:-4],
        written({**GOOD, "at": "x" * 300_000}),  # a bomb: a few hundred letters
        written([1]),
        written({**GOOD, "v": 3}),
        written({**GOOD, "v": "1\n2"}),
        written({"v": 2}),
        written({"v": 1}),
        written({**GOOD, "model": 3}),
        written({**GOOD, "evil": 1}),
        written({**GOOD, "must": "Li"}),
        written({**GOOD, "never": [1]}),
        written({**GOOD, "camera": [0, 0, 0]}),
        written({**GOOD, "camera": [0, 0, float("nan")]}),
        written({**GOOD, "camera": [0, 0, True]}),
        written({**GOOD, "camera": [0, 0, 10**400]}),
        written({**GOOD, "camera": [-(10**4_000), 0, 1]}),
        written({**GOOD, "camera": [float("inf"), 0, 1]}),
        written({**GOOD, "camera": [0, 1e300, 1]}),
        written({**GOOD, "camera": [0, 0, -1]}),
        written({**GOOD, "camera": {"x": 0}}),
        written({**GOOD, "camera": 7}),
        written({**GOOD, "camera": "012"}),
        written({**GOOD, "outlines": [["umap", "new", [0, 0], 1, [10**400, 0, 0, 1]]]}),
        written({**GOOD, "outlines": [["umap", "new", [10**400, 0], 1, [1, 0, 0, 1]]]}),
        written({**GOOD, "outlines": [["umap", "new", [0, 0], 1e308, [10, 0, 0, 10]]]}),
        written({**GOOD, "outlines": [["umap", "new", [0, 0], 1, [1e999, 0, 0, 1]]]}),
        written({**GOOD, "outlines": [["umap", ["new"], [0, 0], 1, [1, 0, 0, 1]]]}),
        written({**GOOD, "outlines": [["umap", "new", [0, 0], 1]]}),
        written({**GOOD, "outlines": [["umap", "burn", [0, 0], 1, [1, 0, 0, 1]]]}),
        written({**GOOD, "outlines": [["umap", "new", [0, 0], -1, [1, 0, 0, 1]]]}),
        written({**GOOD, "outlines": [["umap", "new", [0, 0], 1, ["x", 0, 0, 1]]]}),
        written({**GOOD, "outlines": [["umap", "clear", [0, 0], 1, []]] * 51}),
        base64.urlsafe_b64encode(zlib.compress(b"[" * 50_000)).decode(),
    ],
)
def test_rubbish_costs_one_line(text: str) -> None:
    with pytest.raises(ValueError, match="this link to a view cannot be read") as raised:
        view_link.decode(text)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 300


@each_row(
    ("version", "asked_for", "opened", "was"),
    [
        (1, "matgan_icsd", "formula_lm_icsd", "matgan_icsd"),
        (1, "matgan_icsd_filtered", "formula_lm_icsd_filtered", "matgan_icsd_filtered"),
        (1, "matgan_oqmd", "formula_lm_oqmd", "matgan_oqmd"),
        (1, "matgan", "matgan", ""),
        (1, "formula_lm_icsd", "formula_lm_icsd", ""),
        (2, "matgan_icsd", "matgan_icsd", ""),  # another model by now
        (2, "matgan_icsd_filtered", "matgan_icsd_filtered", ""),
    ],
)
def test_a_link_from_before_the_renaming_opens_the_model_it_was_made_for(
    version: int, asked_for: str, opened: str, was: str
) -> None:
    view = view_link.decode(written({"v": version, "model": asked_for, "search": "matgan_icsd"}))
    assert (view.model, view.was, view.search) == (opened, was, "matgan_icsd")
