"""A forest as arrays answers as the one that scikit-learn grew."""

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier

from matgen_core.networks.models import random_forest
from matgen_core.networks.models.random_forest import RandomForest, RandomForestConfig, log_odds
from matgen_core.recipes.two_d_screen.forest import Growth, bin_edges, forest_of, grow


def materials(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Features of few and of many values, and labels that depend on them and on chance."""
    rng = np.random.default_rng(seed)
    x = np.stack([rng.normal(size=n), rng.integers(0, 5, n), rng.exponential(size=n), np.zeros(n)], 1)
    return x.astype(np.float32), x[:, 0] + 0.7 * x[:, 1] + rng.normal(size=n) > 2.2


@pytest.mark.parametrize("settings", [{}, {"max_depth": 3}, {"min_samples_leaf": 9, "class_weight": "balanced"}])
def test_the_arrays_give_scikit_learns_probabilities(settings: dict) -> None:
    x, labels = materials(1500, 1)
    other, _ = materials(3000, 2)
    edges = bin_edges(x, 15)
    bins = [np.stack([np.searchsorted(e, c) for e, c in zip(edges, part.T, strict=True)], 1) for part in (x, other)]
    grown = RandomForestClassifier(n_estimators=13, random_state=0, **settings).fit(bins[0], labels)
    forest = forest_of(grown, edges)
    np.testing.assert_array_equal(forest.bins(torch.from_numpy(other)), bins[1])
    votes, (_, std) = forest.votes(torch.from_numpy(other)), forest.predict(torch.from_numpy(other))
    trees = np.stack([tree.predict_proba(bins[1])[:, 1] for tree in grown.estimators_], 1)
    # A leaf holds 255ths: off by half of one at most, and then not at all.
    np.testing.assert_allclose(votes.mean(1), grown.predict_proba(bins[1])[:, 1], atol=0.5 / 255 + 1e-6)
    stored = np.rint(255 * trees) / 255
    np.testing.assert_allclose(votes, stored, atol=1e-6)
    np.testing.assert_allclose(std[:, 0], stored.std(1), atol=1e-6)


def test_a_row_alone_is_as_among_many(monkeypatch: pytest.MonkeyPatch) -> None:
    forest, x = grow(*materials(400, 3), Growth(n_trees=5), seed=1), torch.from_numpy(materials(60, 4)[0])
    together = forest.votes(x)
    monkeypatch.setattr(random_forest, "ROWS_AT_ONCE", 7)
    monkeypatch.setattr(random_forest, "TREES_AT_ONCE", 2)
    torch.testing.assert_close(forest.votes(x), together, rtol=0, atol=0)
    torch.testing.assert_close(torch.cat([forest.votes(row[None]) for row in x]), together, rtol=0, atol=0)


def test_the_probability_is_a_line_in_the_log_odds_of_the_votes() -> None:
    forest, x = grow(*materials(400, 3), Growth(n_trees=5, max_depth=3), seed=1), torch.from_numpy(materials(300, 4)[0])
    forest.calibration = torch.tensor([1.4, -0.3])
    votes, probability = forest.votes(x).mean(1), forest.predict(x)[0][:, 0]
    torch.testing.assert_close(torch.logit(probability), 1.4 * log_odds(votes) - 0.3)
    torch.testing.assert_close(log_odds(votes), torch.logit(votes), atol=0.05, rtol=0.05)
    assert torch.isfinite(log_odds(torch.tensor([0.0, 1.0]))).all()


def test_growing_obeys_the_seed_and_the_settings() -> None:
    x, labels = materials(600, 5)
    forests = [grow(x, labels, Growth(n_trees=6, max_depth=4), seed) for seed in (1, 1, 2)]
    votes = [forest.votes(torch.from_numpy(x)) for forest in forests]
    assert torch.equal(votes[0], votes[1])
    assert not torch.equal(votes[0], votes[2])
    assert (forests[0].config.n_trees, forests[0].config.depth) == (6, 4)
    assert votes[0].mean(1)[labels].mean() > votes[0].mean(1)[~labels].mean() + 0.3
    rare = labels & (np.arange(len(labels)) % 10 == 0)
    plain, balanced = (grow(x, rare, Growth(6, 4, balanced=balanced), 1) for balanced in (False, True))
    assert balanced.votes(torch.from_numpy(x)).mean() > 2 * plain.votes(torch.from_numpy(x)).mean()


def test_bins_part_every_two_values_where_there_are_few() -> None:
    x = np.array([[3, 1, 2, 2, 7], [0, 0, 0, 0, 0]], np.float32).T
    np.testing.assert_array_equal(bin_edges(x, 4), [[1.5, 2.5, 5, np.inf], [np.inf] * 4])
    many = np.random.default_rng(0).normal(size=(10_000, 1)).astype(np.float32)
    (edges,) = bin_edges(many, 9)
    assert np.ptp(np.bincount(np.searchsorted(edges, many[:, 0]))) <= 2


def test_more_features_than_a_byte_can_name_are_refused() -> None:
    with pytest.raises(ValueError, match="256 features in 16 bins; at most 255"):
        RandomForest(RandomForestConfig(256, 1, 1, 0, 15))
