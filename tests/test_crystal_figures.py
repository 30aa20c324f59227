"""What is said about a latent space of crystals: walks, clouds, obedience, generated sets; failures count."""

import sys
from functools import cache

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from matgen_core.crystal_metrics import PEROV5_CUTOFFS
from matgen_core.latent import Decoded
from matgen_core.train._icsg3d_metrics import failures, without_nan
from matgen_core.train.crystal_figures import around, generated, obedience, walk


@cache  # pymatgen takes 0.3 s for the group, and nothing here changes a structure
def rock_salt(metal: str, anion: str, edge: float = 4.2) -> Structure:
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(edge), [metal, anion], [[0, 0, 0], [0.5, 0.5, 0.5]])


def decode(z):
    """NaCl where the first coordinate is 1 or more, a cell too small where it is 0 to 1, else nothing."""
    found = []
    for point in z:
        if point[0] < 0:
            found.append(Decoded(point, problem="no peak"))
        else:
            found.append(Decoded(point, material=rock_salt("Na", "Cl", 5.6 if point[0] >= 1 else 0.9)))
    return found


def test_a_walk_counts_what_does_not_decode_and_what_is_too_dense() -> None:
    z = np.array([[-1.0, 0], [3.0, 0]], np.float32)
    lines = walk(decode, z, np.array(["a", "b"]), n_pairs=3, n_steps=7, seed=0)
    assert set(lines) == {"different_families"}  # no family has two members
    figures = lines["different_families"]
    # The points between are -0.5, 0, 0.5, 1, 1.5, 2, 2.5: one fails, two are too dense, four are crystals.
    assert figures["n_points"] == 21
    assert figures["decoded"] == pytest.approx(6 / 7)
    assert figures["valid"] == pytest.approx(4 / 7)
    assert figures["lines_valid_throughout"] == 0
    assert figures["formulas_per_line"] == 1


def test_a_walk_pairs_by_family() -> None:
    z = np.array([[2.0, 0], [3.0, 0], [-2.0, 0], [-3.0, 0]], np.float32)
    lines = walk(decode, z, np.array(["a", "a", "b", "b"]), n_pairs=30, n_steps=3, seed=1)
    assert 0 < lines["same_family"]["decoded"] < 1
    assert lines["same_family"]["lines_valid_throughout"] == lines["same_family"]["valid"]  # wholly a or wholly b
    assert lines["different_families"]["lines_valid_throughout"] < 0.5


def test_clouds_have_their_variance_and_their_centers() -> None:
    centers = np.array([[0.0] * 8, [50.0] * 8], np.float32)
    cloud = around(centers, 2000, variance=0.5, seed=0)
    assert cloud.shape == (4000, 8)
    assert cloud.dtype == np.float32
    for center, part in zip(centers, (cloud[:2000], cloud[2000:]), strict=True):
        np.testing.assert_allclose(part.mean(0), center, atol=0.1)
        assert part.var() == pytest.approx(0.5, rel=0.05)
    np.testing.assert_array_equal(cloud, around(centers, 2000, variance=0.5, seed=0))


def test_obedience_counts_a_failed_decode_as_a_miss() -> None:
    edges = (-1.0, 0.0)
    asked = np.array([0, 1, 2, 0, 1, 2])
    figures = obedience(asked, np.array([-2.0, -1.0, 0.5, np.nan, np.nan, -5.0]), edges)
    # -1 lies on an edge and belongs to the class below, as in the network's own classes.
    assert figures["n"] == 6
    assert figures["in_class"] == pytest.approx(2 / 6)
    assert figures["in_class_or_beside"] == pytest.approx(3 / 6)
    perfect = obedience(asked, np.array([-2.0, -0.5, 0.5, -2.0, -0.5, 0.5]), edges)
    assert perfect["in_class"] == perfect["in_class_or_beside"] == 1
    assert perfect["rank_correlation"] == pytest.approx(1)
    nothing = obedience(asked, np.full(6, np.nan), edges)
    assert nothing["in_class"] == nothing["in_class_or_beside"] == 0


SAMPLES = [
    Decoded(np.zeros(2, np.float32), material=rock_salt("Na", "Cl", 5.6)),
    Decoded(np.zeros(2, np.float32), material=rock_salt("Na", "Cl", 5.6)),
    Decoded(np.zeros(2, np.float32), material=rock_salt("K", "F", 5.4)),
    Decoded(np.zeros(2, np.float32), problem="no peak"),
]


def test_a_generated_set_is_judged_over_all_samples() -> None:
    figures = generated(SAMPLES, [rock_salt("Na", "Cl", 5.6)], [rock_salt("Na", "Cl", 5.6)])
    assert figures["n_samples"] == 4
    assert figures["decode_rate"] == figures["structure_valid"] == figures["valid"] == 0.75
    assert figures["unique"] == 0.5
    assert figures["novel"] == figures["valid_unique_novel"] == 0.25
    assert figures["n_property_samples"] == 3
    assert figures["density_distance"] > 0
    assert "coverage" not in figures


def test_a_set_in_which_nothing_decodes_has_rates_and_no_distances() -> None:
    figures = generated(SAMPLES[3:], [rock_salt("Na", "Cl")], [])
    assert figures["valid"] == figures["unique"] == 0
    assert "density_distance" not in figures


def test_missing_matminer_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matminer", None)
    figures = generated(SAMPLES, [rock_salt("Na", "Cl", 5.6)], [], PEROV5_CUTOFFS)
    assert figures["coverage"].startswith("not measured: matminer is missing")


def test_failures_name_the_worst_first_and_count_reasons() -> None:
    import pandas as pd

    table = pd.DataFrame(
        {
            "match": [True, False, False],
            "formula": ["NaCl", "KF", "LiF"],
            "decoded_formula": ["NaCl", "KCl", ""],
            "species_accuracy": [1.0, 0.5, 0.0],
            "reason": ["", "other composition", "not decoded: the decoded density has no peak"],
        }
    )
    found = failures(table, ("a", "b", "c"), np.array(["x", "y", "y"]))
    assert found["n"] == 2
    assert found["reasons"] == {"other composition": 1, "not decoded": 1}
    assert [row["id"] for row in found["worst"]] == ["c", "b"]


def test_figures_that_do_not_exist_are_null() -> None:
    assert without_nan({"a": [float("nan"), 1.0], "b": {"c": float("nan")}}) == {"a": [None, 1.0], "b": {"c": None}}
