"""Which part of a map is looked at, and what the islands on it are called."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matgen_core.latent import clusters
from matgen_core.materials.query.structures import Structures
from matgen_core.views.maps import framing
from matgen_core.views.maps.columns import island_labels

RNG = np.random.default_rng(3)
CLOUD = RNG.normal(size=(2_000, 2)) * (4, 1) + (100, -7)


@given(st.lists(st.integers(0, len(CLOUD) - 1), min_size=1, max_size=30))
def test_every_hit_is_in_view_among_its_neighbors(rows: list[int]) -> None:
    view = framing.around(CLOUD[rows], CLOUD)
    assert (np.abs(CLOUD[rows] - (view.x, view.y)) <= view.span / 2).all()
    assert view.span >= framing.LEAST * np.ptp(CLOUD, axis=0).max() * 0.999


def test_no_hit_is_no_view() -> None:
    with pytest.raises(ValueError, match="no points"):
        framing.around(np.empty((0, 2)), CLOUD)
    assert framing.around([[1.0, 1.0]], [[1.0, 1.0]]).span > 0


def test_outliers_do_not_take_the_first_view() -> None:
    box, outside = framing.home(CLOUD)
    far = np.vstack([CLOUD, [[1_000.0, 0.0], [100.0, 900.0]]])
    (left, bottom, right, top), n_outside = framing.home(far)
    assert right < 150
    assert top < 50
    assert n_outside >= 2
    assert n_outside <= 0.05 * len(far)
    assert left >= CLOUD[:, 0].min()
    assert bottom >= CLOUD[:, 1].min()
    flat, none = framing.home(RNG.uniform(size=(500, 2)))  # nothing to gain: all is shown
    assert none == 0
    assert framing.home(np.array([[2.0, 3.0]])) == ((2.0, 3.0, 2.0, 3.0), 0)
    assert box[0] < box[2]
    assert outside < len(CLOUD) * 0.05
    assert flat[0] < flat[2]


def test_islands_are_named_by_what_is_in_them() -> None:
    n = 80
    centers = {
        "O-Sr-Ti": (0, 0),
        "Cl-Na": (9, 0),
        "Al-Cu-Mn": (0, 9),
        "Cu-Mg": (9, 9),
        "F-K-Mg": (18, 4),
        "S-Zn": (18, 14),
    }
    formulas = {
        "O-Sr-Ti": "SrTiO3",
        "Cl-Na": "NaCl",
        "Al-Cu-Mn": "MnCu2Al",
        "Cu-Mg": "MgCu2",
        "F-K-Mg": "KMgF3",
        "S-Zn": "ZnS",
    }
    groups = {"O-Sr-Ti": 221, "Cl-Na": 225, "Al-Cu-Mn": 225, "Cu-Mg": 227, "F-K-Mg": 221, "S-Zn": 216}
    systems = [each for each in centers for _ in range(n)]
    places = np.array([centers[each] for each in systems]) + RNG.normal(size=(len(systems), 2)) * 0.3
    table = pd.DataFrame(
        {
            "name": [formulas[each] for each in systems],
            "chemical_system": systems,
            "family": "",
            "space_group": [f"X ({groups[each]})" for each in systems],
        }
    )
    labels = island_labels(table, places.astype(np.float32))
    texts = {each.text for each in labels}
    kinds = sorted(text.partition(" · ")[0] for text in texts)
    assert kinds == ["Laves phase", "full Heusler", "perovskite", "perovskite", "rock salt", "zinc blende"]
    assert {"O", "Sr"} == next(set(text.split(" · ")[1].split(", ")) for text in texts if "Sr" in text)
    for each in labels:  # each stands in its island
        nearest = min(centers, key=lambda name: np.hypot(each.x - centers[name][0], each.y - centers[name][1]))
        assert np.hypot(each.x - centers[nearest][0], each.y - centers[nearest][1]) < 0.5
        assert each.kind == "island"


def test_what_nearly_all_are_names_no_island() -> None:
    table = pd.DataFrame({"name": ["SrTiO3"] * 100, "chemical_system": ["O-Sr-Ti"] * 100})
    labels = np.repeat([0, 1], 50)
    known = Structures(("abx3",) * 100)
    assert clusters.titles(labels, table, table["chemical_system"], known) == {}
    assert (clusters.islands(np.zeros((5, 2), np.float32)) == clusters.NOISE).all()
