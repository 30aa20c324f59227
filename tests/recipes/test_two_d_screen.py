"""What is measured of the classifier of 2D materials, on hand-made cases, and the table of formulas."""

from pathlib import Path

import numpy as np
import pytest
import torch
from pymatgen.core import Composition
from sklearn.metrics import average_precision_score, roc_auc_score

from matgen_core import checkpoint, checks, data
from matgen_core.checkpoint import Checkpoint
from matgen_core.latent.space import LatentSpace
from matgen_core.materials.formulas import Formulas
from matgen_core.networks.models.formula_lm import FormulaLM, FormulaLMConfig
from matgen_core.recipes.two_d_screen import figures as measured
from matgen_core.recipes.two_d_screen.data import load_two_dimensional
from matgen_core.recipes.two_d_screen.forest import Growth, grow
from matgen_core.recipes.two_d_screen.recipe import TwoDScreenRecipe
from matgen_core.representations import MagpieFeatures
from matgen_core.representations.element_counts import ElementCounts
from matgen_core.tasks import funnel

ELEMENTS = ("O", "S", "Cl", "Fe", "Mo", "Ti")
LABELS = np.array([True, True, False, False, False])


def sulfides(n: int = 240) -> measured.Material:
    """Formulas of six elements; those with sulfur and without oxygen count as 2D."""
    representation = MagpieFeatures(ELEMENTS, np.random.default_rng(2).normal(size=(6, 22)) * 10)
    counts = np.random.default_rng(3).integers(0, 3, (n, 6)).astype(np.uint8)
    formulas = Formulas.of_table(counts[counts.any(1)], ELEMENTS)
    table = formulas.table(["S", "O"])
    labels = (table[:, 0] > 0) & (table[:, 1] == 0)
    return measured.Material(formulas, representation.encode_formulas(formulas), labels, ~labels & (table[:, 0] > 1))


@pytest.fixture(scope="module")
def dataset() -> data.Dataset:
    if not all(data.path_of(name).exists() for name in ("mc2d_exfoliable", "matbench_jdft2d", "mp_structures")):
        pytest.skip("the data sets are not installed")
    return load_two_dimensional()


def test_no_formula_is_there_twice_and_what_is_both_is_2d(dataset: data.Dataset) -> None:
    table = dataset.table
    formulas, problems = Formulas.of_texts(table["formula"])
    assert not any(problems)
    assert len(np.unique(formulas.reduced().keys())) == len(table) > 40_000
    assert (table["two_dimensional"] == (table["source"] != "mp_structures")).all()
    rows = table.set_index("formula")
    assert rows.loc["MoS2", "two_dimensional"]  # 2H is 2D; MP has crystals of it with bonds in three dimensions too
    assert rows.loc["C", "two_dimensional"]
    assert not rows.loc["NaCl", "two_dimensional"]
    assert 2000 < table["two_dimensional"].sum() < 3343


def test_folds_part_chemical_systems(dataset: data.Dataset) -> None:
    fold = measured.folds_by_system(dataset, 10, 0)
    assert np.bincount(fold, minlength=10).min() > 0.09 * len(fold)
    systems = dataset.chemical_systems().to_numpy()
    assert all(len(set(fold[systems == system])) == 1 for system in ("Mo-S", "Fe-O", "Bi-Cl-O"))
    by_system = {}
    for system, number in zip(systems, fold, strict=True):
        assert by_system.setdefault(system, number) == number
    by_row = measured.folds_by_row(len(fold), 10, 0)
    assert np.ptp(np.bincount(by_row)) <= 1
    assert any(len(set(by_row[systems == system])) > 1 for system in ("Mo-S", "Fe-O", "Bi-Cl-O"))


def test_a_forest_is_asked_about_what_it_did_not_see() -> None:
    material = sulfides()
    fold, seen = measured.folds_by_row(len(material.labels), 4, 1), []
    growth = Growth(n_trees=7, max_depth=4)
    votes = measured.cross_validate(material, fold, growth, 5, each=lambda forest, mask: seen.append(mask))
    np.testing.assert_array_equal(np.stack(seen), [fold == number for number in range(4)])
    held_out = fold == 2
    forest = grow(material.x[~held_out], material.labels[~held_out], growth, 7)
    np.testing.assert_array_equal(votes[held_out], forest.votes(torch.from_numpy(material.x[held_out])))
    partly = measured.cross_validate(material, fold, growth, 5, judged=[2])
    np.testing.assert_array_equal(partly[held_out], votes[held_out])
    assert np.isnan(partly[~held_out]).all()


def test_figures_are_means_over_folds() -> None:
    rng = np.random.default_rng(0)
    labels, scores, fold = rng.random(300) < 0.3, rng.random(300), np.arange(300) % 3
    scores[labels] += 0.3
    figures = measured.ranking_figures(labels, scores, fold)
    aucs = [roc_auc_score(labels[fold == k], scores[fold == k]) for k in range(3)]
    precisions = [average_precision_score(labels[fold == k], scores[fold == k]) for k in range(3)]
    assert figures["auc"] == pytest.approx(np.mean(aucs), abs=1e-4)
    assert figures["auc_std"] == pytest.approx(np.std(aucs), abs=1e-4)
    assert figures["average_precision"] == pytest.approx(np.mean(precisions), abs=1e-4)


def test_thresholds_by_hand() -> None:
    rows = measured.threshold_figures(LABELS, np.array([0.85, 0.2, 0.3, 0.19, 0.0]))
    by_threshold = {row["threshold"]: row for row in rows}
    assert by_threshold[0.2] == {"threshold": 0.2, "false_positive_rate": 0.3333, "recall": 1.0, "precision": 0.6667}
    assert by_threshold[0.4] == {"threshold": 0.4, "false_positive_rate": 0.0, "recall": 0.5, "precision": 1.0}
    assert by_threshold[0.9]["precision"] is None


def test_calibration_by_hand() -> None:
    figures = measured.calibration_figures(LABELS, np.array([1.0, 0.95, 0.05, 0.0, 0.92]))
    assert figures["brier"] == pytest.approx((0.05**2 + 0.05**2 + 0.92**2) / 5, abs=1e-5)
    low, high = figures["table"]
    assert low == {"from": 0.0, "n": 2, "mean_probability": 0.025, "share_2d": 0.0}
    assert high == {"from": 0.9, "n": 3, "mean_probability": 0.9567, "share_2d": 0.6667}
    assert figures["expected_calibration_error"] == pytest.approx((2 * 0.025 + 3 * 0.29) / 5, abs=1e-4)


def test_a_correction_is_fitted_on_the_other_folds_and_helps() -> None:
    rng = np.random.default_rng(1)
    truth = rng.beta(0.4, 2, 30_000)
    labels, fold = rng.random(30_000) < truth, np.arange(30_000) % 5
    odds = truth / (1 - truth)
    votes = odds**0.5 / (1 + odds**0.5)  # too near the middle
    found = measured.calibrated(labels, votes, fold)
    gaps = {name: measured.calibration_figures(labels, p)["expected_calibration_error"] for name, p in found.items()}
    assert gaps["sigmoid"] < 0.01 < gaps["votes"]
    assert gaps["isotonic"] < 0.01
    slope, _ = measured.fit_calibration(labels, votes)
    assert slope == pytest.approx(2, abs=0.1)
    other = labels.copy()
    other[fold == 0] = ~other[fold == 0]  # what a fold holds must not matter to its own probabilities
    for name, probabilities in measured.calibrated(other, votes, fold).items():
        np.testing.assert_array_equal(probabilities[fold == 0], found[name][fold == 0])


def test_baselines_count_without_the_fold_that_they_score() -> None:
    material = sulfides()
    fold = measured.folds_by_row(len(material.labels), 4, 1)
    found = measured.baselines(material, ELEMENTS, fold)
    assert measured.ranking_figures(material.labels, found["elements"], fold)["auc"] > 0.9
    turned = material.labels.copy()
    turned[fold == 1] = ~turned[fold == 1]
    other = measured.baselines(measured.Material(material.formulas, material.x, turned, turned), ELEMENTS, fold)
    for name, scores in found.items():
        np.testing.assert_array_equal(other[name][fold == 1], scores[fold == 1])
        assert (other[name][fold == 2] != scores[fold == 2]).any()
    last = np.array([text.rstrip("123456789")[-1] for text in material.formulas.texts()])  # "O" of "FeO2", "l" of Cl
    for letter in "OSl":
        assert len(np.unique(found["most_electronegative"][(fold == 0) & (last == letter)])) == 1


def test_a_property_that_the_labels_hang_on_is_missed() -> None:
    material = sulfides(400)
    x = np.random.default_rng(5).normal(size=material.x.shape).astype(np.float32)
    labels = x[:, 3] > 0  # the mean of the first property
    lost = measured.property_importance(grow(x, labels, Growth(n_trees=40), 0), x, labels, seed=0)
    assert max(lost, key=lost.__getitem__) == "Number"
    assert lost["Number"] > 0.1 > 5 * max(value for name, value in lost.items() if name != "Number")


def test_candidates_are_counted_by_elements_and_threshold() -> None:
    material = sulfides()
    representation = MagpieFeatures(ELEMENTS, np.random.default_rng(2).normal(size=(6, 22)) * 10)
    forest = grow(material.x, material.labels, Growth(n_trees=9), 0)
    forest.calibration = torch.tensor([1.5, 0.4])
    stranger, _ = Formulas.of_texts(["NaS"])
    rows = measured.candidate_counts(forest, representation, Formulas.concatenate([material.formulas, stranger]))
    probability = forest.predict(torch.from_numpy(material.x))[0][:, 0].numpy()
    votes = forest.votes(torch.from_numpy(material.x)).numpy().mean(1)
    n = material.formulas.n_elements
    for row in rows:
        for name, scores in (("ours", probability), ("by_votes", votes)):
            passed = scores >= row["threshold"]
            wanted = [passed.sum(), *((passed & (n == k)).sum() for k in (2, 3, 4)), (passed & (n > 4)).sum()]
            assert row[name] == wanted
    assert rows[0]["paper"] == [1485, 266, 861, 327, 31]
    assert rows[0]["ours"] != rows[0]["by_votes"]


def test_recall_by_anion() -> None:
    formulas, _ = Formulas.of_texts(["MoS2", "TiS2", "FeS", "TiO2", "MoCl5", "FeCl3"])
    labels = np.array([True, True, False, False, True, False])
    material = measured.Material(formulas, np.zeros((6, 132), np.float32), labels, labels)
    rows = measured.figures_by_anion(material, np.array([0.9, 0.1, 0.6, 0.7, 0.5, 0.2]), least=2)
    sulfur, others = rows
    assert list(sulfur.values()) == ["S", 2, 1, 0.5, 1]
    assert list(others.values()) == ["others", 1, 2, 1, 0.5]


def test_candidates_are_different_and_balanced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATGEN_CHECKPOINTS", str(tmp_path))
    material, layout = sulfides(), ElementCounts(ELEMENTS, max_count=4)
    representation = MagpieFeatures(ELEMENTS, np.random.default_rng(2).normal(size=(6, 22)) * 10)
    forest = grow(material.x, material.labels, Growth(n_trees=9), 0)
    screen = Checkpoint("screen", "random_forest", forest, representation, {}, "card")
    recipe = TwoDScreenRecipe(n_generated=3000, seed=4)
    assert recipe.candidates(screen) == {}
    torch.manual_seed(0)
    gan = FormulaLM(FormulaLMConfig(n_elements=6, n_counts=4, n_slots=3, hidden=16, critic=8))
    facts = {"title": "generator", "system": "none", "level": "composition"}
    generator = Checkpoint("formula_lm_icsd", "formula_lm", gan, layout, {}, "card", facts)
    checkpoint.save(generator, tmp_path / "formula_lm_icsd")
    found = recipe.candidates(screen)["candidates"]
    texts = set()
    for part in funnel.samples(LatentSpace.of(generator), funnel.Request(3000, 4)):
        texts |= {Composition(text).reduced_formula for text in part.texts() if text}
    assert found["n_different"] == len(texts) < 3000
    table = checks.screen(sorted(texts), [checks.balanced_check()])
    assert 0 < found["n_screened"] == (table["electronegativity_balanced"] == True).sum() < len(texts)  # noqa: E712
    assert found["counts"][-1]["ours"][0] <= found["n_screened"]
