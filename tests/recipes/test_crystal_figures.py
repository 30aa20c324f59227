"""What is said about a latent space of crystals: walks, clouds, obedience, generated sets; failures count."""

import sys
from functools import cache

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from matgen_core.checks.sets import PEROV5_CUTOFFS
from matgen_core.latent.space import Decoded
from matgen_core.recipes.shared.crystal_figures import covered, generated, obedience, walked
from matgen_core.recipes.shared.crystal_measures import failures
from matgen_core.recipes.shared.runs import without_nan
from tests.support.crystals import of_group


@cache  # pymatgen takes 0.3 s for the group, and nothing here changes a structure
def rock_salt(metal: str, anion: str, edge: float = 4.2) -> Structure:
    return of_group("Fm-3m", Lattice.cubic(edge), [metal, anion], [[0, 0, 0], [0.5, 0.5, 0.5]])


def crystal(x: float) -> Decoded:
    """NaCl where x is 1 or more, a cell too small where it is 0 to 1, else nothing."""
    z = np.array([x], np.float32)
    return Decoded(z, problem="no peak") if x < 0 else Decoded(z, rock_salt("Na", "Cl", 5.6 if x >= 1 else 0.9))


def test_a_walk_counts_what_does_not_decode_and_what_is_too_dense() -> None:
    bad, good = (-0.5, 0, 0.5, 1, 1.5, 2, 2.5), (1, 2, 3, 4, 5, 6, 7)
    figures = walked([crystal(x) for x in bad + good + bad], n_steps=7)
    assert (figures["n_lines"], figures["n_points"]) == (3, 21)
    assert figures["decoded"] == pytest.approx(19 / 21)
    assert figures["valid"] == pytest.approx((4 + 7 + 4) / 21)
    assert figures["lines_valid_throughout"] == pytest.approx(1 / 3)
    assert figures["formulas_per_line"] == 1


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
    assert np.isnan(obedience(asked, np.full(6, -0.5), edges)["rank_correlation"])  # one value for every sample
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


def test_a_set_in_which_nothing_decodes_has_rates_and_no_distances() -> None:
    figures = generated(SAMPLES[3:], [rock_salt("Na", "Cl")], [])
    assert figures["valid"] == figures["unique"] == 0
    assert "density_distance" not in figures


def test_missing_matminer_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matminer", None)
    figures = covered({"drawn": SAMPLES}, [rock_salt("Na", "Cl", 5.6)], PEROV5_CUTOFFS)
    assert figures["drawn"].startswith("not measured: matminer is missing")


def test_coverage_counts_failures_and_sets_in_which_nothing_decodes() -> None:
    figures = covered({"some": SAMPLES, "none": SAMPLES[3:]}, [rock_salt("Na", "Cl", 5.6)], PEROV5_CUTOFFS)
    assert figures["some"]["cov_recall"] == 1
    assert figures["some"]["cov_precision"] == 0.5  # two of four; KF has another composition
    assert (figures["none"]["cov_recall"], figures["none"]["n_generated"]) == (0, 1)


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
