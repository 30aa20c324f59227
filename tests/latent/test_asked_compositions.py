"""Latent spaces of models that make crystals of an asked composition."""

from collections import Counter

import numpy as np
import pytest
import torch
from pymatgen.core import Composition

from matgen_core.latent.space import LatentSpace
from matgen_core.networks.models.clouds.point_cloud_gan import PointCloudGAN, PointCloudGANConfig
from matgen_core.representations import PointCloud

SLOTS = (4, 5, 8)
LEARNED = torch.tensor([[1, 1, 2], [2, 2, 4], [2, 2, 4], [2, 2, 4], [1, 2, 4], [2, 1, 5]])


@pytest.fixture(scope="module")
def space() -> LatentSpace:
    torch.manual_seed(0)
    config = PointCloudGANConfig(SLOTS, 4, noise_dim=3, width=16, heads=2, blocks=1, rounds=1, critic=12, channels=4)
    model = PointCloudGAN(config)
    model.known.learn(LEARNED, torch.ones(len(LEARNED)))
    return LatentSpace(model.eval(), PointCloud(("Mg", "Mn", "O"), SLOTS), "tiny")


def sizes(space: LatentSpace, formula: str, n: int = 400) -> Counter[tuple[int, ...]]:
    return Counter(tuple(map(int, row)) for row in space.cells(Composition(formula), n, seed=1))


def test_a_composition_is_made_in_cells_of_the_sizes_that_were_learned(space) -> None:
    found = sizes(space, "MgMnO2")
    assert set(found) == {(1, 1, 2), (2, 2, 4)}
    assert 0.65 < found[2, 2, 4] / 400 < 0.85  # three of four were learned so
    # Of what was not learned: every cell that the slots hold, and that is no larger than the largest learned.
    assert set(sizes(space, "MgMnO3")) == {(1, 1, 3)}
    assert set(sizes(space, "MgMnO")) == {(1, 1, 1), (2, 2, 2)}
    assert set(sizes(space, "Mg3Mn5O8")) == {(3, 5, 8)}  # larger, and the smallest there is
    assert set(sizes(space, "Mg2Mn2O6")) == {(2, 2, 6)}  # written with its size
    assert np.array_equal(space.cells(Composition("MgMnO2"), 9, 3), space.cells(Composition("MgMnO2"), 9, 3))


def test_compositions_that_cannot_be_made_are_refused_with_the_reason(space) -> None:
    for formula, words in (
        ("MgFeO2", "no slots for Fe: the elements are Mg, Mn, O"),
        ("NaCl", "no slots for Na, Cl"),
        ("Mg5MnO8", "5 Mg where there are 4 slots"),
        ("MgMn2O9", "9 O where there are 8 slots"),
        ("MgO", "MgO has no Mn; every crystal that tiny has learned holds Mg, Mn, O"),
        ("O2", "O2 has no Mg, Mn"),
    ):
        with pytest.raises(ValueError, match=words):
            space.cells(Composition(formula), 2, 0)
    with pytest.raises(ValueError, match="takes no composition"):
        LatentSpace(torch.nn.Identity(), None, "other").cells(Composition("MgO"), 2, 0)


def test_samples_have_the_composition_and_without_one_those_that_were_learned(space) -> None:
    z = space.sample(60, seed=2)
    asked = space.decode(z, space.cells(Composition("MgMn2O4"), 60, 0))
    assert {each.material.composition.reduced_formula for each in asked if each.material} == {"MgMn2O4"}
    free = {each.material.composition.reduced_formula for each in space.decode(z) if each.material}
    assert free == {"MgMnO2", "MgMn2O4", "Mg2MnO5"}


def test_a_walk_keeps_the_composition_of_its_start(space) -> None:
    start, end = np.float32([-2, 0.3, -1, 0.5]), np.float32([2, -1, 0.4, 2])
    for spherical in (False, True):
        path = space.interpolate(start, end, 5, spherical)
        assert np.allclose(path[0], start)
        assert np.allclose(path[-1], end)
        assert np.all(path[1:4, 0] == start[0])
        assert len(np.unique(path[:, 1].round(4))) == 5
    around = space.sample(20, 3, center=start, width=0.7)
    assert np.all(around[:, 0] == start[0])
    assert around[:, 1].std() > 0.3
    narrow, wide = space.sample(9, 3, width=0.1), space.sample(9, 3)
    assert np.array_equal(narrow[:, 0], wide[:, 0])
    assert np.allclose(narrow[:, 1:], 0.1 * wide[:, 1:])
    other = LatentSpace(torch.nn.Identity(), None, "other")
    assert other.interpolate(start, end, 3)[1, 0] == 0
