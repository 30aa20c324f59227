import math
import random
from dataclasses import dataclass

import numpy as np
import pytest
from pymatgen.core import Composition, Lattice, Structure

from matgen_core.checks import (
    COMPOSITION_CHECKS,
    STRUCTURE_CHECKS,
    Check,
    Verdict,
    balanced_check,
    closest_sites,
    distance_check,
    formula_of,
    neutral_check,
    pass_rates,
    screen,
    size_check,
    smact_check,
    strict_distance_check,
    volume_check,
)


@dataclass
class Sample:
    material: object = None
    problem: str | None = None


def rock_salt(a: float = 5.64) -> Structure:
    sodium = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    return Structure(Lattice.cubic(a), ["Na"] * 4 + ["Cl"] * 4, np.vstack([sodium, sodium + 0.5]))


@pytest.mark.parametrize(
    ("formula", "neutral", "balanced", "published"),
    [
        ("NaCl", True, True, True),
        ("BaTiO3", True, True, True),
        ("NaCl2", False, False, False),
        ("Fe3O4", True, True, False),  # two valences of iron: the published rule knows one
        ("Pb3O4", None, None, False),  # lead is not listed as mixed valent: open, not wrong
        ("AlFe2", None, None, True),  # an alloy
        ("HeO", None, None, None),  # nothing known of helium
        ("Li3.3SnS3.3Cl0.7", True, True, True),
        ("Li3.14159265O", None, None, None),  # no whole counts
        ("Si", True, True, True),
        ("NaN", True, True, True),  # sodium nitride, no missing value
        ("Xx2O3", None, None, None),
    ],
)
def test_composition_verdicts(formula, neutral, balanced, published):
    material = Composition(formula)
    verdicts = [check(material) for check in (neutral_check(), balanced_check(), smact_check())]
    assert [verdict.passed for verdict in verdicts] == [neutral, balanced, published]
    assert all(verdict.reason for verdict in verdicts)


def test_neutral_but_unbalanced():
    # osmium is a metal but no less electronegative than arsenic; neutral alone does not see it
    assert neutral_check()(Composition("OsAs")).reason == "neutral: As-3 Os+3"
    assert balanced_check()(Composition("OsAs")).passed is False
    assert balanced_check("smact14")(Composition("OF2")).reason == "neutral and balanced: O+2 F-1"


def test_reason_names_states_that_add_up():
    assert neutral_check()(Composition("Fe3O4")).reason == "neutral with mixed valence: Fe+2/+3 O-2"
    assert "Pb+2/+" in neutral_check()(Composition("Pb3O4")).reason
    assert "He" in neutral_check()(Composition("HeO")).reason


def test_mixed_valence_has_one_sign():
    # H+1 with gold as -1, -1, +1 would be neutral, and no chemistry
    assert neutral_check("smact14")(Composition("HAu3")).passed is False


def test_same_verdict_for_multiples_and_order():
    for formula in ("Fe3O4", "BaTiO3", "Na2Cl4", "Li33Sn10S33Cl7"):
        composition = Composition(formula)
        doubled = Composition({element: 2 * n for element, n in reversed(composition.items())})
        for check in COMPOSITION_CHECKS:
            assert check(composition).passed is check(doubled).passed


def test_alloy_rule_can_be_left_out():
    assert smact_check("icsd24", include_alloys=True)(Composition("AlFe2")).passed is True
    assert smact_check("icsd24", include_alloys=False)(Composition("AlFe2")).passed is False


def test_agrees_with_smact():
    smact = pytest.importorskip("smact", exc_type=ImportError)
    from smact.screening import smact_validity

    rng = random.Random(0)
    symbols = [s for s in smact.ordered_elements(1, 94) if s not in {"He", "Ne", "Ar", "Pm", "Rn", "Ir"}]
    checked = 0
    for _ in range(400):
        formula = "".join(f"{s}{rng.randint(1, 6)}" for s in rng.sample(symbols, rng.randint(1, 4)))
        composition = Composition(formula)
        for states in ("icsd24", "smact14"):
            verdict = smact_check(states, include_alloys=False)(composition)
            if verdict.passed is None:
                continue
            expected = smact_validity(
                composition, include_alloys=False, oxidation_states_set=None if states == "icsd24" else states
            )
            assert verdict.passed is bool(expected), (formula, states, verdict)
            checked += 1
    assert checked > 700


def test_minimum_image_distance():
    # 0.9 Å apart through the wall of the cell, 4.1 Å inside it
    near = Structure(Lattice.cubic(5), ["Na", "Cl"], [[0.05, 0, 0], [0.87, 0, 0]])
    assert closest_sites(near).distance == pytest.approx(0.9)
    assert closest_sites(near).pair == "Cl-Na"
    assert distance_check(0.89)(near).passed is True
    assert distance_check(0.91)(near).passed is False
    assert "0.90 Å (Cl-Na) at 62.5 Å^3/atom" in distance_check()(near).reason


def test_own_image_counts():
    flat = Structure(Lattice.orthorhombic(0.3, 9, 9), ["Na"], [[0, 0, 0]])
    assert closest_sites(flat).distance == pytest.approx(0.3)
    assert distance_check()(flat).passed is False


def test_strict_distances_know_the_size_of_atoms():
    hydroxide = Structure(Lattice.cubic(6), ["O", "H"], [[0, 0, 0], [0.97 / 6, 0, 0]])
    cesium = Structure(Lattice.cubic(6), ["Cs", "Cs"], [[0, 0, 0], [1.9 / 6, 0, 0]])
    oxygen = Structure(Lattice.cubic(6), ["O", "O"], [[0, 0, 0], [0.95 / 6, 0, 0]])
    assert strict_distance_check()(hydroxide).passed is True
    assert strict_distance_check()(cesium).passed is False
    assert strict_distance_check()(oxygen).passed is False
    assert strict_distance_check()(rock_salt()).passed is True
    assert distance_check()(cesium).passed is True


def test_a_blown_up_cell_does_not_pass():
    table = screen([rock_salt(), rock_salt(20.0)], STRUCTURE_CHECKS)
    assert table["distances"].tolist() == [True, True]
    assert table["valid"].tolist() == [True, False]
    assert table["volume_per_atom"].tolist() == pytest.approx([5.64**3 / 8, 1000.0])


@pytest.mark.parametrize(
    ("structure", "check"),
    [
        (Structure(Lattice.cubic(5), [{"Na": 0.5, "K": 0.5}], [[0, 0, 0]]), "ordered"),
        (Structure(Lattice.cubic(5), ["Na"], [[math.nan, 0, 0]]), "lattice"),
        (Structure(Lattice(np.diag([5, 5, 0.0])), ["Na"], [[0, 0, 0]]), "lattice"),
    ],
)
def test_structures_that_are_none(structure, check):
    table = screen([structure], STRUCTURE_CHECKS)
    assert table[check].tolist() == [False]
    assert table["valid"].tolist() == [False]


def test_size():
    assert size_check(8)(rock_salt()).passed is True
    assert size_check(7)(rock_salt()) == Verdict(False, "8 sites; at most 7")


def test_every_sample_keeps_its_row():
    samples = [rock_salt(), None, "Fe2O3", ValueError("no peak above the background"), "3Fe)", rock_salt()]
    samples += [Sample(material=rock_salt()), Sample(problem="angles of 0"), Composition()]
    table = screen(samples, STRUCTURE_CHECKS)
    assert table["formula"].tolist() == ["Na4Cl4", "", "Fe2O3", "", "", "Na4Cl4", "Na4Cl4", "", ""]
    assert table["problem"].tolist()[1] == "not decoded"
    assert table["problem"].tolist()[3] == "no peak above the background"
    assert "no formula" in table["problem"].tolist()[4]
    assert table["problem"].tolist()[7:] == ["angles of 0", "no atoms"]
    assert table["valid"].isna().tolist() == [False, False, True, False, False, False, False, False, False]
    rates = pass_rates(table, STRUCTURE_CHECKS)
    assert rates.loc["valid", ["passed", "failed", "undecided"]].tolist() == pytest.approx([3 / 9, 5 / 9, 1 / 9])
    assert (rates["n_samples"] == 9).all()


def test_all_failed_and_empty():
    assert screen([None, None], COMPOSITION_CHECKS)["valid"].tolist() == [False, False]
    empty = screen([], COMPOSITION_CHECKS)
    assert len(empty) == 0
    assert "smact_valid" in empty


def test_undecided_is_not_failed():
    unsure, sure = Check("unsure", lambda m: Verdict(None, "?")), Check("no", lambda m: Verdict(False, "!"))
    assert screen(["NaCl"], [unsure])["valid"].isna().all()
    assert screen(["NaCl"], [unsure, sure])["valid"].tolist() == [False]


def test_progress_and_unknown_input():
    seen: list[int] = []
    screen(["NaCl", None], [size_check(4)], progress=seen.append)
    assert seen == [1, 2]
    with pytest.raises(TypeError, match="int: expected a structure"):
        screen([3], [volume_check()])


def test_formula_of():
    assert formula_of(Composition("O3Fe2")) == "Fe2O3"
    assert formula_of(Composition("HeO2")) == "O2He"  # no warning on the missing electronegativity
    assert formula_of(Composition("Li3.3SnS3.3Cl0.7")) == "Li3.3SnS3.3Cl0.7"
