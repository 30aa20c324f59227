"""Figures of a generator of formulas, where they can be counted by hand; and the formulas that it learns from."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from matgen_core import checkpoint, data
from matgen_core.checkpoint import Checkpoint
from matgen_core.data import DATASETS, Dataset
from matgen_core.materials.formulas import Formulas
from matgen_core.networks.learning.formula_lm import FormulaLMLearner
from matgen_core.networks.models.formula_lm import FormulaLM, FormulaLMConfig
from matgen_core.recipes import RECIPES
from matgen_core.recipes.formula_lm import figures as measured
from matgen_core.recipes.formula_lm.baseline import independent_elements, overwritten
from matgen_core.recipes.formula_lm.recipe import FormulaLMRecipe
from matgen_core.recipes.shared import formula_sets
from matgen_core.representations import ElementCounts


def formulas(*texts: str) -> Formulas:
    return Formulas.of_texts(texts)[0]


def test_different_formulas_are_counted_once_and_multiples_are_not_new() -> None:
    written = formulas("NaCl", "NaCl", "Na2Cl2", "NaCl3", "", "KCl")
    found = measured.variety(written, training=formulas("NaCl", "LiF"))
    assert found["unique"] == pytest.approx(4 / 6)  # NaCl, Na2Cl2, NaCl3, KCl
    assert found["novel"] == pytest.approx(2 / 4)  # NaCl3, KCl
    assert found["no_formula"] == pytest.approx(1 / 6)
    assert found["neutral"] == found["balanced"] == pytest.approx(3 / 4)  # Cl has +1 ... +7 only beside more negative


def test_balance_asks_for_neutrality_and_more() -> None:
    found = measured.passing(formulas("NaCl", "NaCl3", "HLi", "LiMg"))
    assert found["balanced"] <= found["neutral"]
    assert found["balanced"] == pytest.approx(2 / 4)  # an alloy is judged as everything else


def test_recovery_is_told_apart_by_part_and_number_of_elements() -> None:
    known = formulas("NaCl", "KCl", "LiF", "MgO", "SrTiO3", "BaTiO3")
    held_out = np.array([False, True, False, True, False, True])
    found = measured.recovery(known, held_out, formulas("Na2Cl2", "KCl", "CsI", "BaTiO3", "CaTiO3"))
    assert found["2"] == {"training": 0.5, "held_out": 0.5, "new": pytest.approx(2 / 3), "n_held_out": 2}
    assert found["3"] == {"training": 0.0, "held_out": 1.0, "new": 1.0, "n_held_out": 1}
    assert found["4"]["n_held_out"] == 0


def test_the_distance_of_elements_is_0_for_the_same_and_1_for_others() -> None:
    salts, elements = formulas("NaCl", "KCl"), ("Na", "K", "Cl", "O", "Mg")
    assert measured.element_distance(salts, formulas("K2Cl", "NaCl5"), elements) == 0
    assert measured.element_distance(salts, formulas("MgO"), elements) == 1


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


FORMULA_LM = [recipe for recipe in RECIPES.values() if isinstance(recipe, FormulaLMRecipe)]


@pytest.mark.parametrize("recipe", FORMULA_LM, ids=lambda recipe: recipe.name)
def test_a_recipe_has_the_settings_of_what_is_shipped(recipe: FormulaLMRecipe) -> None:
    shipped = checkpoint.load(recipe.name).model.config
    assert shipped == replace(
        recipe.learner.config,
        n_elements=shipped.n_elements,
        element_temperature=recipe.element_temperature,
        count_temperature=recipe.count_temperature,
    )


def tried(recipe: FormulaLMRecipe) -> tuple[list[dict[str, object]], FormulaLM]:
    """What the recipe measures of two random networks that write three elements."""
    known = formulas("NaCl", "KCl", "NaKCl2", "NaCl3")
    some = formula_sets.FormulaSet(known, ("K", "Na", "Cl"), Dataset("some", pd.DataFrame(), None, ""), known)
    torch.manual_seed(0)
    config = replace(recipe.learner.config, n_elements=3, n_slots=3, hidden=8, critic=8)
    before, after = FormulaLM(config).eval(), FormulaLM(config).eval()
    with torch.no_grad():
        after.generator.to_count[-1].bias[2] += 3.0
        before.generator.to_count[-1].bias[5] += 99.0
    made = Checkpoint("some", "formula_lm", after, ElementCounts(some.elements, 8), {}, "")
    return recipe.measure_tried(made, before, some), after


def test_what_was_tried_is_measured_at_its_temperatures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "SAMPLE_COUNTS", (100, 1_000, 2_000))
    config = FormulaLMConfig(count_temperature=0.5)
    recipe = FormulaLMRecipe(
        "some", "Some", formula_sets.oqmd, FormulaLMLearner(config), tried=((1.0, 0.01), (1.0, 9.0))
    )
    (before, cold, warm), shipped = tried(recipe)
    assert [row["before_the_critic"] for row in (before, cold, warm)] == [True, False, False]
    assert (before["element_temperature"], before["count_temperature"]) == (1.0, 0.5)
    assert (warm["element_temperature"], warm["count_temperature"]) == (1.0, 9.0)
    # Where each count is the likeliest one, there are no more formulas than the four sets of elements.
    assert before["samples"]["1000"]["unique"] == cold["samples"]["1000"]["unique"] == 4 / 1_000
    assert warm["samples"]["1000"]["unique"] > 20 / 1_000
    assert shipped.config.count_temperature == 0.5
    assert set(before["samples"]) == {"100", "1000"}


def test_elements_of_the_baseline_are_drawn_by_themselves_at_their_places() -> None:
    training = formulas("NaCl", "KBr", "MgO", "SrTiO3", "BaZrO3")
    elements = ("Ba", "Sr", "K", "Na", "Mg", "Zr", "Ti", "Br", "Cl", "O")
    drawn = independent_elements(training, elements, 3000, seed=1)
    assert len(drawn) == 3000
    assert (drawn.n_elements >= 2).all()  # none twice
    texts, counts = np.unique(drawn.texts(), return_counts=True)
    share = dict(zip(texts.tolist(), (counts / 3000).tolist(), strict=True))
    binaries = {a + b for a in ("Na", "K", "Mg") for b in ("Cl", "Br", "O")}
    assert set(share) == binaries | {a + b + "O3" for a in ("Sr", "Ba") for b in ("Ti", "Zr")}
    assert sum(share[each] for each in binaries) == pytest.approx(3 / 5, abs=0.04)  # stoichiometries by frequency
    assert all(share[each] == pytest.approx(1 / 15, abs=0.02) for each in binaries)
    again, other = (independent_elements(training, elements, 3000, seed) for seed in (1, 2))
    assert (again.keys() == drawn.keys()).all()
    assert (other.keys() != drawn.keys()).any()


def test_a_formula_with_an_element_twice_is_drawn_again() -> None:
    training, elements = formulas("NaCl", "ClF", "BrCl"), ("Na", "Br", "Cl", "F")
    drawn = independent_elements(training, elements, 500, seed=0)
    assert len(drawn) == 500
    assert set(drawn.texts()) == {"NaCl", "ClF", "NaF", "BrCl", "BrF"}  # never ClCl


def test_elements_that_are_written_too_often_are_named_with_their_training_formulas() -> None:
    training = formulas("NaCl", "KCl", "NaCl3", "PmCl3")
    written = formulas("PmCl", "PmCl3", "NaCl", "XeCl")  # Xe is no training element
    worst, *_, last = overwritten(training, written, ("Na", "K", "Pm", "Cl", "Xe"))
    assert worst == {"element": "Pm", "times": pytest.approx((2 / 8) / (1 / 8)), "n_training": 1}
    assert last == {"element": "K", "times": 0.0, "n_training": 1}
    assert len(overwritten(training, written, ("Na", "K", "Pm", "Cl", "Xe"), n_shown=1)) == 1
