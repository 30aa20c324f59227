"""The crystal VAE and the U-Net at tiny size, and the arrays that they learn from."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from matgen_core.checkpoint import Checkpoint
from matgen_core.latent.space import LatentSpace
from matgen_core.networks.arrays.crystals import CrystalArrays
from matgen_core.networks.learning.loops import Schedule
from matgen_core.networks.learning.voxels import icsg3d
from matgen_core.networks.learning.voxels import points as crystal_points
from matgen_core.networks.learning.voxels.icsg3d import Augmentation
from matgen_core.networks.models.parts.unet import UNet, UNetConfig
from matgen_core.networks.models.voxels.icsg3d import ICSG3D, ICSG3DConfig
from matgen_core.recipes.shared.card import with_card
from matgen_core.recipes.shared.crystal_baselines import nearest_prototype
from matgen_core.recipes.shared.crystal_limits import lines
from matgen_core.recipes.shared.crystal_measures import decoded, measure
from matgen_core.recipes.shared.cubic import family, representation, structures
from matgen_core.recipes.shared.runs import without_nan
from matgen_core.representations import VoxelGrid
from matgen_core.representations.round_trip import site_error
from tests.support.arrays import ELEMENTS, rng
from tests.support.arrays import crystal_arrays as arrays

CONFIG = ICSG3DConfig(
    n_codes=16,
    grid=8,
    width=0.1,
    latent_dim=6,
    condition_edges=(-1.0, -0.3),
    channels=(8, 16),
    n_narrow=4,
    refiner=(8, 16),
    edge_mean=1.4,
    edge_spread=0.2,
    beta=0.3,
    species_weight=0.7,
    edge_weight=3.0,
    prior_hidden=12,
    prior_blocks=2,
    guidance=1.7,
)


def model(config: ICSG3DConfig = CONFIG) -> ICSG3D:
    torch.manual_seed(3)
    return ICSG3D(config)


def batch(net: ICSG3D, data: CrystalArrays) -> tuple[torch.Tensor, ...]:
    x = icsg3d.draw(data.frac_coords, data.species, data.edge, data.codes, net.config.grid, net.config.width)
    return x, data.frac_coords, data.species, data.codes, torch.linspace(0.5, 2, len(ELEMENTS))


def test_shapes_and_the_cell_edge() -> None:
    net = model().eval()
    x = batch(net, arrays())[0]
    posterior = net.encode(x)
    assert posterior.mean.shape == posterior.log_var.shape == (6, 6)
    assert net.decode(posterior.mean).shape == x.shape == (6, 20, 8, 8, 8)


def test_loss_is_the_sum_of_its_parts_and_obeys_the_seed() -> None:
    net = model()
    given = batch(net, arrays())
    parts = net.loss(*given, rng=rng(5))
    again, other = net.loss(*given, rng=rng(5)), net.loss(*given, rng=rng(6))
    assert parts["loss"] == again["loss"] != other["loss"]
    assert parts["kl"] > 0
    reconstruction = parts["density"] + parts["codes"] + 0.7 * parts["species"] + 3.0 * parts["edge"]
    torch.testing.assert_close(parts["reconstruction"], reconstruction)
    torch.testing.assert_close(parts["loss"], parts["reconstruction"] + 0.3 * parts["kl"])


def test_class_weights_reach_the_loss() -> None:
    net = model()
    *given, weights = batch(net, arrays())
    heavier = net.loss(*given, 2 * weights, rng=rng())
    torch.testing.assert_close(heavier["species"], 2 * net.loss(*given, weights, rng=rng())["species"])


def test_every_parameter_gets_a_gradient() -> None:
    net = model()
    net.loss(*batch(net, arrays()), rng=rng())["loss"].backward()
    silent = [name for name, weight in net.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert [name for name in silent if not name.startswith("prior.")] == []  # the prior has a loss of its own


def test_batch_is_one_by_one() -> None:
    net = model().eval()
    x = batch(net, arrays())[0]
    z = net.encode(x).mean
    torch.testing.assert_close(net.encode(x[2:3]).mean, z[2:3], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(net.decode(z[2:3]), net.decode(z)[2:3], atol=1e-4, rtol=1e-4)


def test_condition_classes_and_unknown_energies() -> None:
    energies = torch.tensor([-2.0, -0.5, 0.4, float("nan")])
    assert model().condition_of(energies).tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]]
    free = model(replace(CONFIG, condition_edges=()))
    assert free.condition_of(energies).shape == (4, 0)


@pytest.mark.slow
def test_an_overfitted_batch_comes_back_as_crystals(tmp_path) -> None:
    data = replace(arrays(), part=torch.tensor([0, 0, 0, 0, 0, 1]))
    config = replace(
        CONFIG, latent_dim=16, channels=(16, 24), n_narrow=8, beta=1e-3, species_weight=1.0, edge_weight=20.0
    )
    schedule = Schedule(epochs=120, batch_size=5, learning_rate=8e-3, minutes=3)
    net, history = icsg3d.train(data, config, schedule, Augmentation(0.0, edge_jitter=0.0), "cpu", tmp_path, 100)
    assert history[-1]["loss"] < 0.2 * history[0]["loss"]
    training = data.of_part("train")
    assert icsg3d.reconstruct(net, training)[1].all()
    layout = representation(data, conventional=False, grid=8, width=0.1)
    z = icsg3d.reconstruct(net, training)[0]
    for original, array in zip(structures(training), net.decode(z).detach().numpy(), strict=True):
        assert site_error(original, layout.decode(array)) < 0.05


def test_a_run_leaves_a_prior_of_its_posteriors_and_the_points_that_are_judged(tmp_path) -> None:
    config = ICSG3DConfig(grid=8, width=0.1, latent_dim=6, channels=(8, 8), n_narrow=4, refiner=(8, 8))
    learner = icsg3d.ICSG3DLearner(
        config,
        schedule=Schedule(epochs=2, batch_size=4, learning_rate=1e-3),
        prior=Schedule(epochs=3, batch_size=4, learning_rate=1e-3),
        samples=crystal_points.Samples(walks=3, steps=2, prior=4, around=10, per_class=2),
    )
    for _ in range(2):  # a run before it leaves nothing behind
        learner.learn(arrays(), tmp_path, "cpu")
    stored = json.loads((tmp_path / "config.json").read_text())
    assert stored["edge_mean"] == pytest.approx(float(arrays().of_part("train").edge.log().mean()))
    assert len((tmp_path / "losses.jsonl").read_text().splitlines()) == 2
    assert len((tmp_path / "prior_losses.jsonl").read_text().splitlines()) == 3
    net = icsg3d.read_run(tmp_path)
    assert net.config.channels == (8, 8)
    known = icsg3d.posteriors(net, arrays().of_part("train")).mean
    torch.testing.assert_close(net.prior.mean, known.mean(0), atol=2e-3, rtol=2e-3)  # the weights are in float16
    judged = crystal_points.Judged.load(tmp_path / crystal_points.FILE)
    assert len(judged.known) == len(arrays())
    drawn = {name: len(points.z) for name, points in judged.points.items()}
    assert drawn["standard_normal"] == drawn["learned_prior"] == 4
    assert drawn["conditioned"] == drawn["unconditioned"] == 2 * net.config.n_conditions > 0


def test_half_precision_and_shares_of_the_minutes_are_those_of_the_run() -> None:
    learner = icsg3d.ICSG3DLearner(
        schedule=Schedule(5, 4, 1e-3, minutes=6.0, bfloat16=True), prior=Schedule(5, 4, 1e-3, minutes=2.0), seed=4
    )
    used = learner.for_run("cpu", 1.0)
    assert (used.schedule.minutes, used.prior.minutes) == (0.75, 0.25)
    assert (used.schedule.seed, used.prior.seed) == (4, 4)
    assert not used.schedule.bfloat16
    assert learner.for_run("cuda", None).schedule == replace(learner.schedule, seed=4)


def test_points_decode_to_the_crystals_of_the_layout() -> None:
    """What is read where the network is trained is what the app reads."""
    net, data = model(replace(CONFIG, latent_dim=64)).eval(), arrays()
    layout = representation(data, conventional=False, grid=8, width=0.1)
    x = batch(net, data)[0]
    net.decode = lambda z: x[: len(z)]  # type: ignore[method-assign]
    points = icsg3d.decode(net, data, torch.zeros(6, 64), batch_size=6)
    found = decoded(points, layout)
    for one, other in zip(found, layout.decode_batch(x.numpy()), strict=True):
        assert one.material.formula == other.formula
        np.testing.assert_allclose(one.material.lattice.matrix, other.lattice.matrix, atol=1e-4)
        np.testing.assert_allclose(one.material.frac_coords, other.frac_coords, atol=1e-5)
    assert points.counts.tolist() == [2, 5] * 3
    thin = decoded(replace(points, edge=torch.full((6,), 0.2)), layout)
    assert {item.problem.split(" of ")[0] for item in thin} == {"the decoded cell has edges"}


def test_everything_is_measured_and_written_when_nothing_decodes() -> None:
    """An untrained network draws no crystal: every rate is 0 over all samples, and the card says so."""
    net, data = model().eval(), arrays()
    layout = representation(data, conventional=False, grid=8, width=0.1)
    n = crystal_points.Samples(round_trips=4, walks=2, steps=3, prior=5, covered=2, around=10, per_class=2)
    judged = icsg3d.judge_points(net, data, n, seed=0, device="cpu")
    figures = measure(net.config, layout, data, judged, n, seed=0)
    assert figures["reconstruction_test"]["all"]["n_samples"] == 1
    assert figures["reconstruction_test"]["all"]["match_rate"] == 0
    for name in ("standard_normal", "learned_prior"):
        assert (figures["generation"][name]["n_samples"], figures["generation"][name]["valid"]) == (5, 0)
        assert figures["coverage"][name]["cov_recall"] == 0
    assert figures["condition"]["conditioned"]["n"] == 6
    assert figures["condition"]["conditioned"]["in_class"] == 0
    assert figures["round_trip_without_network"]["match_rate"] == 1
    run = {"epoch": 1, "seconds": 60, "density": 1.0, "codes": 1.0, "species": 1.0, "kl": 1.0, "species_right": 0.0}
    figures |= {"nearest_prototype": nearest_prototype(data)}
    figures |= {"lines": lines(LatentSpace(net, layout), data, n, seed=0)}
    figures |= {"displaced": {"0.1": {"n": 1, "encoded": 1.0, "match_rate": 0.0}}}
    assert set(figures["lines"]) == {"volume_off", "held_out"}  # one crystal is held out, so there is no line
    figures |= {"training": run, "training_of_prior": {"epoch": 2, "loss": 1.5}}
    figures |= {"maps": {"n_points": 1, "n_neighbors": 1, "n_seeds": 1, "maps": {}}}
    made = {"title": "Some", "recipe": "icsg3d", "seed": 0, "datasets": {"perov5/train": "0"}}
    made |= {"rows": {"perov5/train": 3}, "settings": {"augmentation": {"substituted": 0.25}}}
    card = with_card(Checkpoint("x", "icsg3d", net, layout, without_nan(figures), "", made)).card
    assert "0.00%" in card
    assert "guidance 1.7" in card
    assert "25% of the crystals given elements" in card
    assert f"{sum(weight.numel() for weight in net.parameters()):,} weights" in card
    json.dumps(without_nan(figures), allow_nan=False)


def test_lines_pair_by_family_and_leave_out_their_ends() -> None:
    family = torch.tensor([0, 0, 1, 1, 1])
    same = crystal_points.random_pairs(family, True, 40, rng())
    assert len(same) == 40
    assert (family[same[:, 0]] == family[same[:, 1]]).all()
    assert (same[:, 0] != same[:, 1]).all()
    other = crystal_points.random_pairs(family, False, 40, rng())
    assert (family[other[:, 0]] != family[other[:, 1]]).all()
    assert len(crystal_points.random_pairs(torch.arange(5), True, 40, rng())) == 0
    assert len(crystal_points.random_pairs(torch.zeros(5, dtype=torch.long), False, 40, rng())) == 0
    line = crystal_points.line_points(torch.zeros(2, 1), torch.tensor([[3.0], [6.0]]), 2)
    torch.testing.assert_close(line[:, 0], torch.tensor([1.0, 2.0, 2.0, 4.0]))


def test_the_check_of_a_run_sees_wrong_elements_sites_and_edges(monkeypatch: pytest.MonkeyPatch) -> None:
    net, data = model(), arrays()
    x = batch(net, data)[0]
    monkeypatch.setattr(net, "decode", lambda z: x)  # a network that draws every crystal as it is

    def returned(data: CrystalArrays) -> list[bool]:
        return icsg3d.reconstruct(net, data)[1].tolist()

    assert all(returned(data))
    swapped = replace(data, species=torch.where(data.species == 5, 4, data.species))
    assert returned(swapped) == [True, False] * 3
    assert not any(returned(replace(data, edge=1.1 * data.edge)))
    moved = data.frac_coords.clone()
    moved[0, 0] = torch.tensor([0.2, 0.0, 0.0])
    assert returned(replace(data, frac_coords=moved)) == [False] + [True] * 5


def test_arrays_come_back_from_their_file(tmp_path) -> None:
    data = arrays()
    data.save(tmp_path / "arrays.safetensors")
    read = CrystalArrays.load(tmp_path / "arrays.safetensors")
    assert (read.elements, read.families, read.ids) == (data.elements, data.families, data.ids)
    torch.testing.assert_close(read.frac_coords, data.frac_coords)
    torch.testing.assert_close(read.formation_energy_per_atom, data.formation_energy_per_atom, equal_nan=True)
    assert read.of_part("test").ids == ("crystal-5",)


def test_arrays_and_representation_draw_the_same_voxels() -> None:
    data = arrays()
    layout: VoxelGrid = representation(data, conventional=False, grid=8, width=0.1)
    drawn = icsg3d.draw(data.frac_coords, data.species, data.edge, data.codes, 8, 0.1)
    # The standard setting of the layout may put another site at the origin, so it is asked to leave the cell alone.
    as_given = replace(layout, setting="as_given")
    for structure, voxels in zip(structures(data), drawn.numpy(), strict=True):
        np.testing.assert_allclose(as_given.encode(structure), voxels, atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_substitution_keeps_the_pattern(seed) -> None:
    data = arrays()
    rows = (data.frac_coords, data.species, data.edge)
    how = Augmentation(substituted=0.5, reach=3.0, edge_jitter=0.0)
    _, species, edge = icsg3d.augment(rows, len(ELEMENTS), how, rng(seed))
    assert torch.equal(edge, data.edge)
    assert torch.equal(species < 0, data.species < 0)
    for old, new in zip(data.species, species, strict=True):
        pairs = set(zip(old[old >= 0].tolist(), new[old >= 0].tolist(), strict=True))
        assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


def test_rare_elements_weigh_more() -> None:
    weights = icsg3d.class_weights(arrays())
    assert weights[0] > weights[3]  # 2 crystals of 6 hold Li, 3 hold O
    assert weights.min() >= 0.5


@pytest.mark.parametrize(
    ("numbers", "name"),
    [
        ([11, 17], "binary"),
        ([22, 38, 8, 8, 8], "abx3"),
        ([29, 29, 25, 13], "heusler"),
        ([3, 12, 7], "heusler"),
        ([22] * 2 + [38] * 2 + [8] * 6, None),
        ([29], None),
        ([3, 12, 7, 9], None),
    ],
)
def test_families(numbers, name) -> None:
    assert family(numbers) == name


def test_unet_learns_labels_and_weights_count() -> None:
    torch.manual_seed(0)
    net = UNet(UNetConfig(n_in=2, n_out=3, channels=(8, 16)))
    x = torch.randn(2, 2, 8, 8, 8, generator=rng())
    labels = (x[:, 0] > 0.5).long() + (x[:, 1] > 1.0).long()
    assert net(x).shape == (2, 3, 8, 8, 8)
    assert [tuple(seen.shape[1:]) for seen in net.features(x)] == [(8, 8, 8, 8), (16, 4, 4, 4)]
    even, uneven = torch.ones(3), torch.tensor([0.1, 1.0, 3.0])
    assert net.loss(x, labels, even)["loss"] != net.loss(x, labels, uneven)["loss"]
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        net.loss(x, labels, uneven)["loss"].backward()
        optimizer.step()
    assert net.loss(x, labels, uneven)["filled_voxels_right"] > 0.9


def test_unet_is_periodic() -> None:
    torch.manual_seed(0)
    net = UNet(UNetConfig(n_in=1, n_out=2, channels=(8, 16))).eval()
    x = torch.randn(1, 1, 8, 8, 8, generator=rng())
    shifted = net(x.roll((2, 4, 6), (2, 3, 4)))
    torch.testing.assert_close(shifted, net(x).roll((2, 4, 6), (2, 3, 4)), atol=1e-4, rtol=1e-4)
