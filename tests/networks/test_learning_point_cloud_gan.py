"""The point-cloud GANs: what they see, what they write, how they learn."""

import json
from dataclasses import replace

import pytest
import torch

from matgen_core.networks.arrays import clouds
from matgen_core.networks.arrays.clouds import CloudArrays
from matgen_core.networks.learning import LEARNERS, runs
from matgen_core.networks.learning.clouds.point_cloud_gan import Ranges, fingerprints, look, pairs, told, volumes
from matgen_core.networks.learning.clouds.point_cloud_gan_paper import augmented
from matgen_core.networks.models.clouds.point_cloud_gan import PointCloudGAN, PointCloudGANConfig
from matgen_core.networks.models.clouds.point_cloud_gan_paper import PointCloudGANPaper
from matgen_core.representations import PointCloud
from tests.support.arrays import rng
from tests.support.clouds import SLOTS, cloud_arrays, one
from tests.support.tiny import TINY

OURS, PAPER = TINY["point_cloud_gan"], TINY["point_cloud_gan_paper"]
CELL = torch.tensor([[4.4, 0.3, 0.1], [-0.5, 4.9, 0.4], [0.2, 0.6, 5.2]], dtype=torch.float64)
COUNTS = (1, 2, 2)


def gan(config: PointCloudGANConfig = OURS) -> PointCloudGAN:
    torch.manual_seed(0)
    model = PointCloudGAN(config)
    model.known.learn(cloud_arrays().counts, cloud_arrays().weight)
    return model.eval()


def both() -> list:
    torch.manual_seed(0)
    paper = PointCloudGANPaper(PAPER)
    paper.known.learn(cloud_arrays().counts, cloud_arrays().weight)
    return [gan(), paper.eval()]


def test_the_critic_sees_the_crystal_and_not_how_it_is_written() -> None:
    model, sites = gan().double(), torch.rand(5, 3, generator=rng(1), dtype=torch.float64)
    at = model.critic.features(one(sites, COUNTS, CELL))
    turn = torch.linalg.qr(torch.randn(3, 3, generator=rng(2), dtype=torch.float64))[0]
    sheared = torch.tensor(
        [[1.0, 0, 0], [0, 1, 0], [1, 0, 1]], dtype=torch.float64
    )  # other vectors of the same lattice
    others = {
        "shifted": one(sites + torch.tensor([0.3, -0.7, 2.2]), COUNTS, CELL),
        "turned": one(sites, COUNTS, CELL @ turn),
        "in another order": one(sites[[0, 2, 1, 4, 3]], COUNTS, CELL),
        "with other axes": one(sites[:, [2, 0, 1]], COUNTS, CELL[[2, 0, 1]]),
        "in another cell": one(sites @ torch.linalg.inv(sheared), COUNTS, sheared @ CELL),
    }
    for way, crystal in others.items():
        torch.testing.assert_close(model.critic.features(crystal), at, rtol=1e-6, atol=1e-8, msg=way)
    moved = sites.clone()
    moved[3, 1] += 0.05
    for way, crystal in {
        "a site moved": one(moved, COUNTS, CELL),
        "larger": one(sites, COUNTS, 1.05 * CELL),
        "elements exchanged": one(sites[[1, 0, 2, 3, 4]], COUNTS, CELL),
    }.items():
        assert (model.critic.features(crystal) - at).abs().max() > 1e-5, way


def test_a_site_does_not_see_itself_but_its_images() -> None:
    model, site = gan(), torch.zeros(1, 1, 3)
    there = torch.ones(1, 1, dtype=torch.bool)
    assert not model.critic.neighbors(site, there, torch.eye(3)[None] * 1.01 * OURS.reach).any()
    assert model.critic.neighbors(site, there, torch.eye(3)[None] * 0.8 * OURS.reach).any()


def test_a_supercell_is_the_same_crystal_to_the_critic() -> None:
    model, sites = gan().double(), torch.rand(3, 3, generator=rng(1), dtype=torch.float64)
    double = torch.cat(
        [sites / torch.tensor([2.0, 1, 1]), sites / torch.tensor([2.0, 1, 1]) + torch.tensor([0.5, 0, 0])]
    )
    doubled = one(
        double[[0, 3, 1, 4, 2, 5]], (2, 2, 2), torch.diag(torch.tensor([2.0, 1, 1], dtype=torch.float64)) @ CELL
    )
    at = model.critic.features(one(sites, (1, 1, 1), CELL))
    torch.testing.assert_close(model.critic.features(doubled), at, rtol=1e-6, atol=1e-8)


def test_the_composition_is_the_one_that_is_asked_for() -> None:
    model, layout = gan(), PointCloud(("Mg", "Mn", "O"), SLOTS)
    asked = torch.cartesian_prod(*[torch.arange(n + 1) for n in SLOTS])[1:]
    z = torch.randn(len(asked), model.latent_dim, generator=rng(4))
    with torch.no_grad():
        made = model.decode(z, asked.float())
    assert made.shape == (len(asked), *layout.shape)
    for counts, array in zip(asked.tolist(), made.numpy(), strict=True):
        assert list(layout.counts(layout.decode(array).composition)) == counts


def test_a_sample_is_the_same_alone_and_among_others_of_other_sizes() -> None:
    model = gan()
    asked = torch.tensor([[1.0, 2, 4], [2, 1, 1], [1, 0, 0], [2, 3, 4]])
    z = torch.randn(4, model.latent_dim, generator=rng(4))
    with torch.no_grad():
        together = model.decode(z, asked)
        for row in range(4):
            torch.testing.assert_close(
                model.decode(z[row : row + 1], asked[row : row + 1])[0], together[row], rtol=1e-4, atol=1e-5
            )
        assert (model.features(together)[1] - model.features(together[1:2])[0]).abs().max() < 1e-4


def test_without_a_condition_learned_compositions_are_drawn_as_often_as_they_were_learned() -> None:
    arrays = cloud_arrays()
    weight = arrays.weight * torch.tensor([4.0, 2.0, 2.0])[torch.arange(len(arrays)) % 3]
    for model in both():
        model.known.learn(arrays.counts, weight)
        drawn = model.known.at(torch.randn(4000, generator=rng(5)))
        shares = [(drawn == torch.tensor(counts)).all(1).float().mean() for counts in ([1, 2, 4], [2, 1, 3], [1, 1, 2])]
        torch.testing.assert_close(torch.stack(shares), torch.tensor([0.5, 0.25, 0.25]), atol=0.03, rtol=0)
        assert model.known.at(torch.tensor([-40.0, 40.0])).shape == (2, 3)
        z = torch.randn(3, model.latent_dim, generator=rng(6))
        with torch.no_grad():
            assert torch.equal(model.decode(z), model.decode(z, model.known.at(z[:, 0]).float()))


def test_losses_reach_every_weight_of_their_side() -> None:
    arrays = cloud_arrays()
    ours, paper = both()
    for model, real in ((ours, pairs(arrays, ())(16, rng(1))), (paper, augmented(arrays, torch.arange(16), rng(1)))):
        model.train()
        model.critic_loss(real, rng(2))["loss"].backward()
        reached = {name for name, weight in model.named_parameters() if weight.grad is not None and weight.grad.any()}
        # Only differences of the paper's verdicts count, so its last layer learns no zero.
        assert {name for name, _ in model.critic.named_parameters(prefix="critic")} - reached <= {"critic.verdict.bias"}
        model.zero_grad()
        model.generator_loss(real, rng(2)).backward()
        for name, weight in model.generator.named_parameters():
            assert weight.grad is not None, name
            assert weight.grad.any(), f"{type(model).__name__}: {name}"


def test_the_penalty_is_on_how_much_a_small_move_changes_the_critic_s_mind() -> None:
    model, real = gan(), pairs(cloud_arrays(), ())(16, rng(1))
    parts = model.critic_loss(real, rng(2))
    assert parts["penalty"] > 0
    stiffer = gan(replace(OURS, penalty=5.0)).critic_loss(real, rng(2))
    torch.testing.assert_close(stiffer["loss"] - parts["loss"], 2.5 * parts["penalty"], rtol=1e-3, atol=1e-7)
    still = gan(replace(OURS, moved=0.0, strained=0.0)).critic_loss(real, rng(2))
    assert still["penalty"] < 1e-9


def test_a_generator_follows_its_critic() -> None:
    """A critic that likes large cells makes the generator write larger ones."""
    model = gan()
    real = pairs(cloud_arrays(), ())(16, rng(1))

    def likes_room(*batches: clouds.CloudBatch) -> list[tuple[torch.Tensor, torch.Tensor]]:
        volumes = [clouds.volume_of(some.lattice) / some.counts.sum(1) for some in batches]
        return [(volume, torch.zeros(len(volume) // 2)) for volume in volumes]

    model.critic.forward = likes_room
    before = clouds.volume_of(model.made(real[0].counts, real[0].slot, rng(3)).lattice).mean()
    step = torch.optim.Adam(model.generator.parameters(), 0.003)
    for seed in range(10):
        step.zero_grad()
        model.generator_loss(real, rng(seed)).backward()
        step.step()
    assert clouds.volume_of(model.made(real[0].counts, real[0].slot, rng(3)).lattice).mean() > 1.1 * before


def test_no_slope_is_infinite_whatever_the_network_says_of_a_cell() -> None:
    model = gan()
    for scale in (1.0, 30.0, 1e4):
        said = (scale * torch.randn(200, 7, generator=rng(9))).requires_grad_(True)
        lattice = model.generator.lattice(said, torch.full((200,), 6))
        lattice.sum().backward()
        assert lattice.isfinite().all()
        assert said.grad.isfinite().all()
        per_site = clouds.volume_of(lattice.detach()) / 6
        assert per_site.min() > 0.5 * OURS.volume
        assert per_site.max() < 2 * OURS.volume


def test_sites_on_one_spot_leave_the_losses_finite() -> None:
    model, real = gan(), pairs(cloud_arrays(), ())(16, rng(1))
    with torch.no_grad():
        for weight in model.generator.to_place.parameters():
            weight.zero_()
    for loss in (model.critic_loss(real, rng(2))["loss"], model.generator_loss(real, rng(2))):
        loss.backward()
        assert loss.isfinite()
        assert all(weight.grad.isfinite().all() for weight in model.parameters() if weight.grad is not None)


def test_partners_have_one_composition_and_are_two_crystals_where_there_are_two() -> None:
    arrays = cloud_arrays(13)  # five, four and four
    lone = replace(arrays, counts=torch.cat([arrays.counts[:-1], torch.tensor([[2, 2, 2]])]))
    places = {tuple(row.flatten().tolist()) for row in lone.lattice}
    for sizes in ((), (5, 6)):
        draw = pairs(lone, sizes)
        seen = set()
        for seed in range(12):
            some, differ = draw(20, rng(seed))
            half = len(some) // 2
            assert torch.equal(some.counts[:half], some.counts[half:])
            same = (some.lattice[:half] == some.lattice[half:]).flatten(1).all(1)
            assert torch.equal(same, differ == 0)
            assert torch.equal(differ == 0, (some.counts[:half] == 2).all(1))
            seen |= {tuple(row.flatten().tolist()) for row in some.lattice}
        assert seen == places


def test_what_is_published_as_augmentation_leaves_the_crystal() -> None:
    arrays = cloud_arrays()
    rows = torch.arange(len(arrays))
    points = augmented(arrays, rows, rng(7))
    some, plain = clouds.read(points, SLOTS), clouds.batch(arrays, rows)
    assert torch.equal(some.counts, plain.counts)
    torch.testing.assert_close(fingerprints(some, SLOTS), fingerprints(plain, SLOTS), rtol=1e-2, atol=5e-3)
    again = augmented(arrays, rows, rng(8))
    assert not torch.equal(points[:, 0].sort(1).values, points[:, 0])  # axes change places
    assert (points[:, 2:4].sum(-1) == 0).any(0).all()  # an empty row stands first, too
    assert (points - again).abs().max() > 0.1


def test_a_look_says_what_is_wrong_with_samples() -> None:
    arrays = cloud_arrays()
    seen = Ranges.of(arrays)
    found = look(gan(), arrays, seen, 40, seed=0)
    assert found["asked"] == 1
    assert found["all"] <= min(found["whole"], found["volume"])

    class Copies:
        """Writes one training crystal of a composition, whatever the noise."""

        latent_dim = 2

        def __init__(self, scale: float) -> None:
            self.scale = scale

        def decode(self, z: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
            rows = torch.stack([(arrays.counts == row).all(1).nonzero()[0, 0] for row in counts])
            there = clouds.occupied(counts, SLOTS)
            return clouds.to_points(arrays.frac_coords[rows], there, self.scale * arrays.lattice[rows])

        def crystals_of(self, x: torch.Tensor) -> clouds.CloudBatch:
            return clouds.read(x, SLOTS)

    copied, inflated = look(Copies(1.0), arrays, seen, 40, seed=0), look(Copies(1.8), arrays, seen, 40, seed=0)
    assert copied["off"] < 0.01
    assert copied["variety"] < 0.01
    assert inflated["whole"] > copied["whole"]
    assert inflated["volume"] == inflated["all"] == 0
    assert inflated["off"] > 0.1


@pytest.mark.parametrize(
    ("name", "config"),
    [("point_cloud_gan_mgmno", OURS), ("point_cloud_gan_mgmno_paper", PAPER)],
)
def test_a_run_leaves_weights_and_losses(name, config, tmp_path) -> None:
    arrays = cloud_arrays()
    arrays.save(tmp_path / "arrays.safetensors")
    learner = LEARNERS[name]
    learner = replace(
        learner,
        config=config,
        looked_at=24,
        adversarial=replace(learner.adversarial, steps=3, batch_size=8, report_every=2, critic_steps=1),
    )
    runs.learn(name, learner, tmp_path / "arrays.safetensors", tmp_path / "run", "cpu")
    lines = runs.losses(tmp_path / "run" / "losses.jsonl")
    assert [line["step"] for line in lines] == [2, 3]
    assert {"distance", "penalty", "all", "off", "variety", "val_all"} <= set(lines[-1])
    stored = runs.read_config(tmp_path / "run")
    kind = PointCloudGANPaper if "paper" in name else PointCloudGAN
    model = runs.read_weights(kind(kind.Config(**stored)), tmp_path / "run")
    training = arrays.of_part("train")
    assert torch.equal(model.known.counts.long(), training.counts.unique(dim=0))
    assert stored["slots"] == SLOTS
    settings = json.loads((tmp_path / "run" / "settings.json").read_text())["settings"]
    assert settings["adversarial"]["steps"] == 3


def test_volumes_are_told_by_the_training_crystals() -> None:
    arrays = cloud_arrays()
    found = told(OURS, arrays)
    assert found.volume == pytest.approx(float(volumes(arrays).log().mean().exp()))
    assert found.volume_spread == pytest.approx(float(volumes(arrays).log().std()))
    assert told(OURS, arrays.select(torch.tensor([0]))).volume_spread == OURS.volume_spread
    assert isinstance(arrays.of_part("val"), CloudArrays)
