"""Latent spaces: sampling, walking, neighbors and maps, on points where the answer is known."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from matgen_core import checks
from matgen_core.checkpoint import Checkpoint
from matgen_core.latent import projection
from matgen_core.latent.building import with_points
from matgen_core.latent.map import LatentMap
from matgen_core.latent.projection import ProjectionSettings
from matgen_core.latent.space import LatentSpace
from matgen_core.materials.formulas import Formulas
from matgen_core.materials.levels import CRYSTAL
from matgen_core.networks.models.parts.blocks import Gaussian
from matgen_core.representations import DecodeError

LEVEL = {"level": CRYSTAL.key}


class Doubling(torch.nn.Module):
    """Encodes x to 2x and back."""

    latent_dim = 3

    def encode(self, x):
        return Gaussian(2 * x, torch.zeros_like(x))

    def decode(self, z):
        return z / 2


class Numbers:
    """A material is a tuple of three numbers that are not negative."""

    shape = (3,)

    def encode(self, material):
        if min(material) < 0:
            raise ValueError(f"{material}: a number is negative")
        return np.array(material, np.float32)

    def decode(self, array):
        if array.min() < 0:
            raise DecodeError("a decoded number is negative")
        return tuple(array.tolist())


@pytest.fixture
def space() -> LatentMap:
    z = np.random.default_rng(0).uniform(0, 4, (60, 3)).astype(np.float16).astype(np.float32)
    index = pd.DataFrame({"id": [f"m{i}" for i in range(60)], "pca_x": z[:, 0] * 10, "pca_y": z[:, 1] * 10})
    checkpoint = Checkpoint("numbers", "doubling", Doubling(), Numbers(), {}, "", LEVEL, index=with_points(index, z))
    return LatentMap(checkpoint)


def test_a_failed_decode_keeps_its_place(space: LatentMap) -> None:
    decoded = space.decode(np.array([[2, 4, 6], [2, -4, 6], [0, 0, 2]], np.float32))
    assert [item.material for item in decoded] == [(1, 2, 3), None, (0, 0, 1)]
    assert decoded[1].problem == "a decoded number is negative"


def test_a_material_that_does_not_fit_keeps_its_place(space: LatentMap) -> None:
    encoded = space.encode([(1, 2, 3), (-1, 0, 0), (0, 0, 1)])
    np.testing.assert_array_equal(encoded[0].z, [2, 4, 6])
    assert encoded[1].z is None
    assert "negative" in encoded[1].problem
    np.testing.assert_array_equal(encoded[2].z, [0, 0, 2])
    assert space.encode([(-1, 0, 0)])[0].z is None


def test_neighbors_are_the_true_ones(space: LatentMap) -> None:
    points = np.random.default_rng(1).uniform(0, 4, (5, 3)).astype(np.float32)
    distances, rows = space.neighbors(points, 7)
    true = np.linalg.norm(points[:, None] - space.z, axis=-1)
    np.testing.assert_array_equal(rows, np.argsort(true, axis=1)[:, :7])
    np.testing.assert_allclose(distances, np.sort(true, axis=1)[:, :7], atol=1e-3)
    assert space.neighbors(points, 1000)[1].shape == (5, 60)


def test_a_training_material_is_placed_where_it_is_and_others_among_their_neighbors(space: LatentMap) -> None:
    np.testing.assert_allclose(space.place(space.z[:3], "pca"), space.positions("pca")[:3], atol=0.01)
    middle = space.place(np.full((1, 3), 2, np.float32), "pca")[0]
    assert np.all((middle > 5) & (middle < 35))
    with pytest.raises(ValueError, match="'umap' is no projection of numbers; it has pca"):
        space.positions("umap")


def test_samples_obey_seed_center_and_width(space: LatentSpace) -> None:
    center = np.array([5, -3, 1], np.float32)
    drawn = space.sample(20_000, seed=4, center=center, width=0.2)
    np.testing.assert_allclose(drawn.mean(0), center, atol=0.01)
    np.testing.assert_allclose(drawn.std(0), 0.2, atol=0.01)
    np.testing.assert_array_equal(space.sample(5, seed=9), space.sample(5, seed=9))
    assert not np.array_equal(space.sample(5, seed=9), space.sample(5, seed=10))


def test_paths_begin_and_end_where_they_should(space: LatentSpace) -> None:
    start, end = np.array([3, 0, 0], np.float32), np.array([0, 3, 0], np.float32)
    line = space.interpolate(start, end, 5)
    arc = space.interpolate(start, end, 5, spherical=True)
    for path in (line, arc):
        np.testing.assert_allclose(path[[0, -1]], [start, end], atol=1e-6)
    np.testing.assert_allclose(line[2], [1.5, 1.5, 0])
    np.testing.assert_allclose(np.linalg.norm(arc, axis=1), 3, rtol=1e-5)  # on the sphere all the way
    np.testing.assert_allclose(space.interpolate(start, 2 * start, 3, spherical=True)[1], 1.5 * start)
    np.testing.assert_allclose(space.interpolate(np.zeros(3, np.float32), end, 3, spherical=True)[1], end / 2)
    with pytest.raises(ValueError, match="1 steps; a path needs at least its 2 ends"):
        space.interpolate(start, end, 1)


def test_a_model_without_index_has_no_map() -> None:
    with pytest.raises(ValueError, match="numbers carries no materials with their latent points"):
        LatentMap(Checkpoint("numbers", "doubling", Doubling(), Numbers(), {}, ""))


def test_faithfulness_is_one_on_a_true_map_and_chance_on_a_shuffled_one() -> None:
    plane = np.random.default_rng(2).normal(size=(300, 2)).astype(np.float32)
    z = np.column_stack([plane, np.zeros((300, 3))]).astype(np.float32)
    np.testing.assert_allclose(projection.faithfulness(z, 5 * plane), 1)
    assert projection.faithfulness(z, np.random.default_rng(3).permutation(plane)).mean() < 0.15
    pca = projection.project(z, ProjectionSettings("pca"))
    np.testing.assert_allclose(projection.faithfulness(z, pca), 1)


def test_unknown_methods_and_too_few_points_are_refused() -> None:
    with pytest.raises(ValueError, match="'som' is no projection; known: umap, tsne, pca"):
        projection.project(np.zeros((100, 3), np.float32), ProjectionSettings("som"))
    with pytest.raises(ValueError, match="10 points; a map needs more than 45"):
        projection.project(np.zeros((10, 3), np.float32), ProjectionSettings("pca"))


def test_the_percentile_of_a_distance_is_that_among_training_materials_left_out() -> None:
    z = np.array([[0, 0, 0], [1, 0, 0], [3, 0, 0], [7, 0, 0], [50, 0, 0]], np.float32)  # the last is not trained on
    index = pd.DataFrame({"id": list("abcde"), "split": [*["train"] * 4, "test"]})
    space = LatentMap(Checkpoint("line", "doubling", Doubling(), Numbers(), {}, "", LEVEL, index=with_points(index, z)))
    # To their nearest other, the training materials have 1, 1, 2 and 4.
    points = np.array([[0.5, 0, 0], [-1.5, 0, 0], [10, 0, 0], [49, 0, 0]], np.float32)
    np.testing.assert_array_equal(space.distance_percentile(points, k=1), [0, 50, 75, 100])
    assert space.distance_percentile(points, k=99).tolist()[-1] == 100


# A model without an encoder


def test_a_latent_point_that_is_drawn_again_decodes_to_the_formula_of_its_row(formula_bank: Checkpoint) -> None:
    space = LatentMap(formula_bank)
    assert not space.encodes
    assert (space.has_point.sum(), space.known.sum()) == (60, 60)
    assert not (space.has_point & space.known).any()
    rows = np.flatnonzero(space.has_point)
    made = [each.material for each in space.reconstruct(rows.tolist())]
    assert [checks.formula_of(each) for each in made] == space.index["formula"][rows].to_list()
    np.testing.assert_allclose(space.features_of(space.z[rows]), space.features[rows], atol=2e-3)  # stored in float16
    assert "seed_row" not in space.index


def test_a_known_material_without_a_latent_point_keeps_its_place_and_is_not_encoded(formula_bank: Checkpoint) -> None:
    space = LatentMap(formula_bank)
    first, known, last = space.reconstruct([70, 3, 90])
    assert known.material is None
    assert known.problem == "formulas has no encoder, so a known material has no latent point to decode"
    assert [checks.formula_of(each.material) for each in (first, last)] == list(space.index["formula"][[70, 90]])
    with pytest.raises(ValueError, match="formulas has no encoder"):
        space.encode([first.material])


def test_distances_are_those_between_features_and_may_pass_over_what_was_generated(formula_bank: Checkpoint) -> None:
    space = LatentMap(formula_bank)
    points = space.features_of(space.sample(9, seed=3))
    true = np.linalg.norm(points[:, None].astype(float) - space.features, axis=-1)
    distances, rows = space.neighbors(points, 4, known_only=True)
    assert (rows < 60).all()
    np.testing.assert_allclose(distances, np.sort(true[:, :60], axis=1)[:, :4], atol=2e-3)
    np.testing.assert_allclose(np.take_along_axis(true, rows, 1), distances, atol=2e-3)
    assert (space.neighbors(points, 4)[1] >= 60).any()
    apart = np.linalg.norm(space.features[:40, None] - space.features[:40], axis=-1) + 1e9 * np.eye(40)
    theirs, percentiles = true[:, :40].min(axis=1)[:, None], space.distance_percentile(points, k=1)
    assert (percentiles >= 100 * (apart.min(axis=1) < theirs - 4e-3).mean(axis=1)).all()
    assert (percentiles <= 100 * (apart.min(axis=1) < theirs + 4e-3).mean(axis=1)).all()


@pytest.mark.parametrize("missing", ["bank", "seed_row"])
def test_without_its_bank_a_model_that_cannot_encode_has_no_map(formula_bank: Checkpoint, missing: str) -> None:
    assert formula_bank.index is not None
    metrics = {key: value for key, value in formula_bank.metrics.items() if key != missing}
    broken = replace(formula_bank, metrics=metrics, index=formula_bank.index.drop(columns=missing, errors="ignore"))
    with pytest.raises(ValueError, match="formulas has no encoder, and no bank of samples in its place"):
        LatentMap(broken)


def test_formulas_that_count_as_known_are_those_of_the_training_where_they_are_carried(
    formula_bank: Checkpoint,
) -> None:
    space = LatentMap(formula_bank)
    names = space.index["formula"]
    held_out = Formulas.of_texts(sorted(set(names[40:60]) - set(names[:40])))[0]
    assert len(held_out)
    assert not space.known_formulas.contains(held_out).all()
    assert LatentMap(replace(formula_bank, known=None)).known_formulas.contains(held_out).all()
