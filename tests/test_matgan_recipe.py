"""What is measured of MatGAN, on formulas that can be counted by hand; and the formulas that it learns from."""

import numpy as np
import pandas as pd
import pytest
import torch

from matgen_core import data
from matgen_core.data import DATASETS, Dataset
from matgen_core.formulas import Formulas
from matgen_core.train import _matgan_metrics as measured
from matgen_core.train import formula_sets


def formulas(*texts: str) -> Formulas:
    return Formulas.of_texts(texts)[0]


def test_different_formulas_are_counted_once_and_multiples_are_not_new() -> None:
    written = formulas("NaCl", "NaCl", "Na2Cl2", "NaCl3", "", "KCl")
    found = measured._described(written, training=formulas("NaCl", "LiF"))
    assert found["unique"] == pytest.approx(4 / 6)  # NaCl, Na2Cl2, NaCl3, KCl
    assert found["novel"] == pytest.approx(2 / 4)  # NaCl3, KCl
    assert found["no_formula"] == pytest.approx(1 / 6)
    assert found["neutral"] == found["balanced"] == pytest.approx(3 / 4)  # Cl has +1 ... +7 only beside more negative


def test_balance_asks_for_neutrality_and_more() -> None:
    found = measured._shares(formulas("NaCl", "NaCl3", "HLi", "LiMg"))
    assert found["balanced"] <= found["neutral"]
    assert found["balanced"] == pytest.approx(2 / 4)  # an alloy is judged as everything else


def test_recovery_is_told_apart_by_part_and_number_of_elements() -> None:
    known = formulas("NaCl", "KCl", "LiF", "MgO", "SrTiO3", "BaTiO3")
    held_out = np.array([False, True, False, True, False, True])
    found = measured._recovery(known, held_out, formulas("Na2Cl2", "KCl", "CsI", "BaTiO3", "CaTiO3"))
    assert found["2"] == {"training": 0.5, "held_out": 0.5, "new": pytest.approx(2 / 3), "n_held_out": 2}
    assert found["3"] == {"training": 0.0, "held_out": 1.0, "new": 1.0, "n_held_out": 1}
    assert found["4"]["n_held_out"] == 0


def test_the_distance_of_elements_is_0_for_the_same_and_1_for_others() -> None:
    salts, elements = formulas("NaCl", "KCl"), ("Na", "K", "Cl", "O", "Mg")
    assert measured._element_distance(salts, formulas("K2Cl", "NaCl5"), elements) == 0
    assert measured._element_distance(salts, formulas("MgO"), elements) == 1


@pytest.fixture
def materials(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [("Na1Cl1", 1), ("Na2Cl2", 1), ("O3Sr1Ti1", 1), ("Fe9O2", 1), ("Fe", 1), ("KCl", 0), ("NaCl3", 1)]
    table = pd.DataFrame(rows, columns=["formula", "icsd_flag"])
    monkeypatch.setattr(data, "load", lambda name: Dataset(name, table, DATASETS[name], "hash"))


def test_formulas_that_do_not_fit_are_known_all_the_same(materials: None) -> None:
    found = formula_sets.experimental()
    assert sorted(found.formulas.texts()) == ["NaCl", "NaCl3", "SrTiO3"]
    assert sorted(found.everything.texts()) == ["Fe", "Fe9O2", "NaCl", "NaCl3", "SrTiO3"]
    assert found.elements == ("Na", "Sr", "Ti", "Cl", "O")  # as they are written
    assert sorted(formula_sets.experimental_valid().formulas.texts()) == ["NaCl", "SrTiO3"]


def test_arrays_hold_the_formulas_and_a_tenth_out(materials: None) -> None:
    found = formula_sets.experimental()
    arrays = found.arrays(seed=0)
    assert arrays.elements == found.elements
    np.testing.assert_array_equal(
        Formulas.of_table(arrays.dense(torch.arange(3)).numpy(), found.elements).keys(), found.formulas.keys()
    )
    many = formula_sets.FormulaSet(
        Formulas.concatenate([found.formulas] * 20), found.elements, found.dataset, found.everything
    )
    assert many.held_out(3).sum() == 6
    assert (many.held_out(3) != many.held_out(4)).any()
    assert len(many.arrays(3).of_part("held_out")) == 6
