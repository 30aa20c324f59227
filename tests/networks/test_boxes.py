"""Padded boxes: the published densities and labels, against their definition written out."""

import math

import pytest
import torch
from torch import Tensor

from matgen_core.networks.arrays import boxes
from matgen_core.networks.learning.voxels import icsg3d_paper
from matgen_core.networks.learning.voxels.icsg3d_paper import Elements
from matgen_core.networks.models.voxels.icsg3d_paper import ICSG3DPaper, ICSG3DPaperConfig

NUMBERS, RADII = torch.tensor([3.0, 26.0, 8.0]), torch.tensor([0.9, 0.8, 1.3])
SITES = torch.tensor([[[0.0, 0.0, 0.0], [0.5, 0.25, 0.75], [0.1, 0.6, 0.3]]])
SPECIES, EDGE = torch.tensor([[1, 2, -1]]), torch.tensor([4.2])


def drawn(sites: Tensor = SITES, species: Tensor = SPECIES) -> tuple[Tensor, Tensor]:
    return boxes.draw(sites, species, EDGE, NUMBERS, RADII, grid=16)


@pytest.mark.parametrize("voxel", [(3, 3, 3), (0, 15, 7), (8, 5, 11), (9, 5, 10), (4, 3, 2)])
def test_a_voxel_is_what_the_definition_says(voxel: tuple[int, int, int]) -> None:
    x, labels = drawn()
    place = [((i + 0.5) / 16 * 1.5 - 0.25) * 4.2 for i in voxel]
    density, nearest, label = 0.0, math.inf, 0
    for site, kind in zip(SITES[0, :2].tolist(), (1, 2), strict=True):
        distance = math.dist(place, [4.2 * value for value in site])
        radius, number = float(RADII[kind]), float(NUMBERS[kind])
        density += number / (radius**3 * (2 * math.pi) ** 1.5) * math.exp(-(distance**2) / (2 * radius**2))
        if distance < min(radius, nearest):
            nearest, label = distance, kind + 1
    assert float(x[(0, 0, *voxel)]) == pytest.approx(density, rel=1e-4, abs=1e-7)
    assert int(labels[(0, *voxel)]) == label
    assert x[(0, slice(1, 4), *voxel)].tolist() == pytest.approx([i / 16 * 1.5 * 4.2 for i in voxel])


def test_every_electron_far_from_the_walls_is_in_the_box() -> None:
    sites, species = torch.tensor([[[0.5, 0.5, 0.5]]]), torch.tensor([[1]])
    x, _ = boxes.draw(sites, species, torch.tensor([6.0]), NUMBERS, RADII, grid=32)
    assert float(x[:, 0].sum() * (6.0 * 1.5 / 32) ** 3) == pytest.approx(26.0, rel=1e-3)


def test_padding_draws_nothing() -> None:
    moved = SITES.clone()
    moved[0, 2] = 0.7
    for one, other in zip(drawn(), drawn(moved), strict=True):
        assert torch.equal(one, other)


def test_turning_the_sites_turns_the_box() -> None:
    quarter = torch.tensor([[[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]])
    x, labels = drawn()
    turned, turned_labels = drawn(boxes.turn(SITES, quarter))
    torch.testing.assert_close(turned[:, 0], x[:, 0].rot90(1, (1, 2)), atol=1e-5, rtol=1e-4)
    assert (turned_labels == labels.rot90(1, (1, 2))).float().mean() > 0.999  # voxels on the rim of a ball may round
    found = boxes.rotations()
    assert len({tuple(matrix.flatten().tolist()) for matrix in found}) == 24
    torch.testing.assert_close(found @ found.mT, torch.eye(3).expand(24, 3, 3))


def test_the_sites_go_to_the_corner() -> None:
    sites = torch.tensor([[[0.3, 0.99999, -0.2], [0.5, 0.25, 0.4], [0.1, 0.1, 0.1]]])
    expected = torch.tensor([[0.0, 0.0, 0.4], [0.2, 0.25, 0.0]])
    torch.testing.assert_close(boxes.to_corner(sites, SPECIES)[0, :2], expected)


def test_the_edge_is_read_back() -> None:
    torch.testing.assert_close(boxes.edge_of(drawn()[0][:, 1:4]), torch.full((1, 3), 4.2))


def test_the_perceptual_loss_leaves_the_unet_alone() -> None:
    torch.manual_seed(0)
    model = ICSG3DPaper(ICSG3DPaperConfig(n_elements=3, grid=8, latent_dim=6, channels=(5, 7), unet_channels=(6, 9)))
    before = {name: value.clone() for name, value in model.unet.state_dict().items()}
    guess = torch.rand(2, 4, 8, 8, 8, requires_grad=True)
    model.train().perceptual_error(guess, torch.rand(2, 4, 8, 8, 8)).backward()
    assert guess.grad is not None
    assert guess.grad.abs().sum() > 0
    for name, value in model.unet.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert all(weight.grad is None and weight.requires_grad for weight in model.unet.parameters())
    assert model.unet.training


def test_batches_are_turned_and_lose_some_conditions() -> None:
    model = ICSG3DPaper(ICSG3DPaperConfig(n_elements=3, grid=8, latent_dim=6, channels=(5, 7), unet_channels=(6, 9)))
    weights = torch.tensor([0.2, 1.0, 1.1, 0.9])
    transform = icsg3d_paper.batches(model, Elements(NUMBERS, RADII), weights)
    rows = (SITES.expand(200, -1, -1), SPECIES.expand(200, -1), EDGE.expand(200), torch.ones(200, 10))
    x, labels, condition, given = transform(rows, torch.Generator().manual_seed(1))
    assert len({tuple(each.flatten().tolist()) for each in labels}) == 24
    assert torch.allclose(x[:, 0].flatten(1).sum(1), x[0, 0].sum(), rtol=1e-3)
    assert 0.35 < float(condition.mean()) < 0.65
    assert set(condition.sum(1).tolist()) == {0.0, 10.0}
    assert given is weights
