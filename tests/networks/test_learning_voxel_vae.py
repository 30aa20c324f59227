"""The voxel VAE of crystals of any symmetry at tiny size, and what it learns from."""

import json
from dataclasses import replace

import pytest
import torch

from matgen_core.networks.arrays import cells, density
from matgen_core.networks.arrays.crystals import ReducedArrays
from matgen_core.networks.arrays.splits import TRAIN
from matgen_core.networks.learning.loops import Schedule
from matgen_core.networks.learning.voxels import voxel_vae
from matgen_core.networks.learning.voxels.voxel_vae import Distortion, VoxelVAELearner
from matgen_core.networks.models.voxels.voxel_vae import AttentionUNet, VoxelVAE, VoxelVAEConfig
from tests.support.arrays import reduced_arrays as arrays
from tests.support.arrays import rng

CONFIG = VoxelVAEConfig(
    grid=(8, 8, 12),
    n_summaries=4,
    per_summary=4,
    tokens=48,
    heads=3,
    encoder_blocks=2,
    decoder_blocks=2,
    painted=8,
    unet=(16, 24),
    beta=1e-3,
    prior_hidden=12,
    prior_blocks=2,
)
NOTHING = Distortion(0.0, 0.0, 0.0, 0.0, 0.0)


def model() -> VoxelVAE:
    torch.manual_seed(3)
    return VoxelVAE(CONFIG).eval()


def batch(net: VoxelVAE, data: ReducedArrays) -> tuple[torch.Tensor, ...]:
    drawn = voxel_vae.draw(net, data.frac_coords, data.species, data.codes)
    return drawn, data.lattice, data.frac_coords, data.species, data.codes, torch.linspace(0.5, 2, len(data.elements))


def test_a_cell_is_six_numbers_and_back() -> None:
    lattice = torch.randn(50, 3, 3, generator=rng()) + 4 * torch.eye(3)
    parameters = cells.lattice_parameters(lattice)
    again = cells.lattice_from_parameters(parameters)
    torch.testing.assert_close(again @ again.mT, lattice @ lattice.mT, atol=1e-3, rtol=1e-4)
    impossible = torch.tensor([[3.0, 4.0, 5.0, 0.9, 0.9, -0.9]])
    assert cells.lattice_from_parameters(impossible).isfinite().all()


@torch.inference_mode()
def test_a_crystal_is_coded_alone_as_in_a_batch_and_its_cell_is_read_from_the_voxels() -> None:
    net, data = model(), arrays()
    drawn = batch(net, data)[0]
    voxels = torch.cat([drawn[:, :1], density.coordinates(data.lattice, CONFIG.grid), drawn[:, 1:]], 1)
    z = net.encode(voxels).mean
    torch.testing.assert_close(z, net.posterior(drawn, data.lattice).mean, atol=1e-4, rtol=1e-4)
    assert z.shape == (6, net.latent_dim) == (6, 16)
    assert net.decode(z).shape == voxels.shape == (6, 20, 8, 8, 12)
    torch.testing.assert_close(net.encode(voxels[2:3]).mean, z[2:3], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(net.decode(z[2:3]), net.decode(z)[2:3], atol=1e-5, rtol=1e-4)
    other = net.posterior(drawn, 1.2 * data.lattice).mean
    assert (other - z).abs().max() > 1e-3


def test_the_loss_obeys_the_seed_and_reaches_every_weight() -> None:
    net, data = model(), arrays()
    losses = [float(net.loss(*batch(net, data), rng=rng(seed))["loss"].detach()) for seed in (1, 1, 2)]
    assert losses[0] == losses[1] != losses[2]
    parts = net.loss(*batch(net, data), rng=rng(1))
    torch.testing.assert_close(parts["loss"], parts["reconstruction"] + CONFIG.beta * parts["kl"])
    parts["loss"].backward()
    for name, weight in net.named_parameters():
        if not name.startswith("prior."):
            assert weight.grad is not None, name
            assert weight.grad.abs().sum() > 0, name


@torch.inference_mode()
def test_the_unet_knows_no_border() -> None:
    torch.manual_seed(4)
    net, x = AttentionUNet(3, 5, (8, 12)).eval(), torch.randn(2, 4, 6, 8, 3)
    for axis in (1, 2, 3):
        moved = net(x.roll(2, axis))  # a step of the coarser level
        torch.testing.assert_close(moved, net(x).roll(2, axis), atol=1e-5, rtol=1e-4)


def test_sites_are_the_same_only_if_none_is_missing_too_many_far_or_another_element() -> None:
    data = arrays(2)
    there = data.species >= 0
    found = density.Sites(data.frac_coords + 0.01, there.float(), there)

    def same(found: density.Sites, species: torch.Tensor, within: float = 0.1) -> list[bool]:
        return density.same_sites(data.frac_coords, data.species, found, species, within, data.lattice).tolist()

    assert same(found, data.species) == [True, True]
    assert same(density.Sites(found.frac_coords + 1, found.heights, found.found), data.species) == [True, True]
    assert same(found, data.species, within=0.01) == [False, False]  # 0.017 edges are some 0.06 Å
    assert same(found, data.species.clone().index_fill_(0, torch.tensor([1]), 0)) == [True, False]
    more = there.clone()
    more[0, 2] = True  # a site that the first crystal does not have
    assert same(density.Sites(found.frac_coords, found.heights, more), data.species) == [False, True]
    fewer = there.clone()
    fewer[1, 4] = False
    assert same(density.Sites(found.frac_coords, found.heights, fewer), data.species) == [True, False]


def test_crystals_that_are_learned_by_heart_come_back_with_their_cells(tmp_path) -> None:
    data = replace(arrays(), part=torch.tensor([0, 0, 0, 0, 0, 1]))
    schedule = Schedule(epochs=220, batch_size=5, learning_rate=6e-3)
    net, history = voxel_vae.train(data, CONFIG, schedule, NOTHING, "cpu", tmp_path, 1000)
    assert history[-1]["loss"] < 0.2 * history[0]["loss"]
    found = voxel_vae.check(net, data.of_part(TRAIN), NOTHING)
    assert found["validation_returned"] == found["validation_sites"] == 1.0
    z = voxel_vae.posteriors(net, data.of_part(TRAIN)).mean
    with torch.no_grad():
        lattice = density.lattice_of(net.decode(z)[:, 1:4])
    expected = cells.lattice_parameters(data.of_part(TRAIN).lattice)
    torch.testing.assert_close(cells.lattice_parameters(lattice), expected, atol=0.15, rtol=0.03)
    # A wrong element, a site less or a cell of another volume is no return.
    for wrong in (
        {"species": (data.species + 1).clamp(max=4) * (data.species >= 0) - (data.species < 0).long()},
        {"frac_coords": data.frac_coords + 0.3 * torch.eye(5, 3)},
        {"lattice": 1.2 * data.lattice},
    ):
        changed = replace(data, **wrong).of_part(TRAIN)
        sites, species, found_lattice = voxel_vae.read(net, data.codes, z, 6)
        same = density.same_sites(
            changed.frac_coords, changed.species, sites, species, 0.5, data.of_part(TRAIN).lattice
        )
        right_volume = (torch.linalg.det(found_lattice) / torch.linalg.det(changed.lattice) - 1).abs() < 0.1
        assert not (same & right_volume).any(), wrong.keys()


def test_a_distorted_crystal_keeps_its_origin_and_takes_the_volumes_of_new_elements() -> None:
    data = arrays(200)
    rows = (data.frac_coords, data.species, data.lattice)
    same = voxel_vae.distort(rows, data.volumes, NOTHING, rng())
    for before, after in zip(rows, same, strict=True):
        torch.testing.assert_close(before, after)
    moved, species, lattice = voxel_vae.distort(rows, data.volumes, replace(NOTHING, displaced=1, farthest=0.2), rng())
    assert torch.equal(species, data.species)
    torch.testing.assert_close(lattice, data.lattice)
    torch.testing.assert_close(moved[:, 0], torch.zeros(200, 3))  # where the first atom of these crystals stands
    steps = ((moved - data.frac_coords) @ data.lattice).norm(dim=-1)[data.species >= 0]
    assert 0.15 < steps.max() <= 0.4  # the origin moved by as much, the other way at most
    _, species, lattice = voxel_vae.distort(rows, data.volumes, replace(NOTHING, substituted=1, reach=3), rng())
    assert not torch.equal(species, data.species)
    ratio = torch.linalg.det(lattice) / torch.linalg.det(data.lattice)
    old, new = ((data.volumes[kinds.clamp(min=0)] * (kinds >= 0)).sum(1) for kinds in (data.species, species))
    torch.testing.assert_close(ratio, new / old, atol=1e-4, rtol=1e-3)
    _, _, strained = voxel_vae.distort(rows, data.volumes, replace(NOTHING, strain=0.02), rng())
    strain = torch.linalg.inv(data.lattice) @ strained - torch.eye(3)
    torch.testing.assert_close(strain, strain.mT, atol=1e-4, rtol=0)
    assert strain.std().item() == pytest.approx(0.02, rel=0.2)


def test_a_run_leaves_weights_a_profile_and_what_is_judged(tmp_path) -> None:
    learner = VoxelVAELearner(
        CONFIG,
        schedule=Schedule(epochs=2, batch_size=4, learning_rate=1e-3),
        prior=Schedule(epochs=3, batch_size=4, learning_rate=1e-3),
        n_known=2,
        n_drawn=3,
    )
    for _ in range(2):  # a run before it leaves nothing behind
        learner.learn(arrays(), tmp_path, "cpu")
    stored = json.loads((tmp_path / "config.json").read_text())
    logarithm = arrays().of_part(TRAIN).lattice.norm(dim=-1).log()
    assert stored["lattice_mean"][:3] == pytest.approx(logarithm.mean(0).tolist())
    assert len((tmp_path / "losses.jsonl").read_text().splitlines()) == 2
    assert len((tmp_path / "prior_losses.jsonl").read_text().splitlines()) == 3
    profile = json.loads((tmp_path / voxel_vae.PROFILE).read_text())
    assert profile["operations_per_crystal"] > 1e6
    assert profile["share"] == pytest.approx(profile["operations_per_second"] / profile["operations_of_a_product"])
    net = voxel_vae.read_run(tmp_path)
    known = voxel_vae.posteriors(net, arrays().of_part(TRAIN)).mean
    torch.testing.assert_close(net.prior.mean, known.mean(0), atol=2e-3, rtol=2e-3)  # the weights are in float16
    judged = voxel_vae.JudgedCrystals.load(tmp_path / voxel_vae.FILE)
    assert {name: len(found.z) for name, found in judged.found.items()} == {
        "known": 3,
        "learned_prior": 3,
        "standard_normal": 3,
    }
    assert 5 in judged.rows.tolist()  # the test part
    expected = voxel_vae.posteriors(net, arrays().select(judged.rows)).mean
    torch.testing.assert_close(judged.found["known"].z, expected, atol=2e-3, rtol=2e-3)
    assert judged.found["known"].lattice.shape == (3, 3, 3)


def test_arrays_come_back_from_their_file(tmp_path) -> None:
    data = arrays()
    data.save(tmp_path / "a.safetensors")
    again = ReducedArrays.load(tmp_path / "a.safetensors")
    assert again.elements == data.elements
    assert torch.equal(again.species, data.species)
    torch.testing.assert_close(again.frac_coords, data.frac_coords, atol=3e-4, rtol=0)
    assert len(again.of_part(TRAIN)) == 4
    assert again.of_part(TRAIN).volumes.shape == (6,)
