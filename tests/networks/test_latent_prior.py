"""The learned prior on clouds where the answer is known, and what a latent space makes of it."""

import numpy as np
import pytest
import torch

from matgen_core.checkpoint import Checkpoint
from matgen_core.latent.space import LatentSpace
from matgen_core.networks.learning.loops import Schedule, fit
from matgen_core.networks.models.parts.latent_prior import LatentPrior, LatentPriorConfig

CENTERS = torch.tensor([[6.0, 0.0, 1.0], [-3.0, 5.0, 1.0], [-3.0, -5.0, 1.0]])
CONFIG = LatentPriorConfig(3, 3, hidden=48, n_blocks=2, dropout=0.05, guidance=1.5, n_steps=10)


def noise(n: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, 3, generator=torch.Generator().manual_seed(seed))


def nearest(z: torch.Tensor) -> torch.Tensor:
    return torch.cdist(z, CENTERS).argmin(1)


@pytest.fixture(scope="module")
def prior() -> LatentPrior:
    """Taught three clouds far from the origin, one a class, the first twice as often."""
    torch.manual_seed(0)
    label = torch.tensor([0, 0, 1, 2]).repeat(300)
    mean = CENTERS[label] + 0.4 * noise(len(label), 5)
    made = LatentPrior(CONFIG)
    made.standardize(mean, torch.full_like(mean, -6.0))
    known = torch.nn.functional.one_hot(label, 3).float()
    schedule = Schedule(epochs=80, batch_size=200, learning_rate=5e-3)
    fit(made, (mean, torch.full_like(mean, -6.0), known), schedule)
    return made


def test_every_parameter_gets_a_gradient() -> None:
    made = LatentPrior(CONFIG)
    made.loss(noise(8), noise(8, 1), torch.eye(3)[torch.arange(8) % 3])["loss"].backward()
    assert [name for name, weight in made.named_parameters() if weight.grad is None or not weight.grad.any()] == []


def test_the_loss_learns_where_on_the_way_it_is_told_to() -> None:
    """With all points at the origin and nothing learned, the velocity is right at the start and not at the end."""
    made = LatentPrior(CONFIG)
    torch.nn.init.zeros_(made.last[-1].weight)
    torch.nn.init.zeros_(made.last[-1].bias)
    given = (torch.zeros(4000, 3), torch.full((4000, 3), -torch.inf), torch.zeros(4000, 3))
    losses = [made.loss(*given, torch.full((4000,), time))["loss"].item() for time in (0.0, 0.5, 1.0)]
    assert losses == pytest.approx([0.0, 1.0, 1.0], abs=0.05)


def test_samples_land_in_the_class_asked_for(prior: LatentPrior) -> None:
    asked = torch.tensor([0, 1, 2]).repeat_interleave(100)
    z = prior.sample(noise(300), torch.eye(3)[asked])
    assert (nearest(z) == asked).float().mean() > 0.97
    assert (z - CENTERS[asked]).norm(dim=1).median() < 1.5


def test_without_a_class_all_clouds_are_drawn_as_often_as_they_are(prior: LatentPrior) -> None:
    z = prior.sample(noise(900))
    assert (torch.cdist(z, CENTERS).amin(1) < 2).float().mean() > 0.85  # of the standard normal: none
    np.testing.assert_allclose(nearest(z).bincount(minlength=3) / 900, [0.5, 0.25, 0.25], atol=0.1)


def test_guidance_stretches_the_step_of_the_condition(prior: LatentPrior) -> None:
    asked = torch.eye(3)[torch.ones(200, dtype=torch.long)]
    torch.testing.assert_close(prior.sample(noise(200), asked, guidance=0.0), prior.sample(noise(200)))
    share = [(nearest(prior.sample(noise(200), asked, guidance=g)) == 1).float().mean() for g in (0.0, 1.5)]
    assert share[0] < 0.5 < share[1]


def test_round_a_center_the_width_is_kept_and_the_condition_heard(prior: LatentPrior) -> None:
    center, other = CENTERS[0], torch.eye(3)[torch.ones(100, dtype=torch.long)]
    close = prior.sample(noise(100), other, center, width=0.02)
    assert (close - center).norm(dim=1).max() < 1.5
    far = prior.sample(noise(100), other, center, width=20.0)
    assert (nearest(far) == 1).float().mean() > 0.9


def test_one_by_one_is_as_in_a_batch_and_weights_come_back(prior: LatentPrior) -> None:
    z = prior.sample(noise(6))
    torch.testing.assert_close(prior.sample(noise(6)[2:3]), z[2:3])
    again = LatentPrior(CONFIG).eval()
    again.load_state_dict(prior.state_dict(), strict=True)
    assert torch.equal(again.sample(noise(6)), z)


class WithPrior(torch.nn.Module):
    latent_dim = 3

    def __init__(self, prior: LatentPrior) -> None:
        super().__init__()
        self.prior = prior

    def draw_from_prior(self, *arguments: torch.Tensor) -> torch.Tensor:
        return self.prior.sample(*arguments)


def test_a_latent_space_draws_from_the_learned_prior(prior: LatentPrior) -> None:
    space = LatentSpace.of(Checkpoint("clouds", "with_prior", WithPrior(prior), None, {}, ""))
    z = space.sample(50, seed=3)
    np.testing.assert_array_equal(z, space.sample(50, seed=3))
    assert not np.array_equal(z, space.sample(50, seed=4))
    assert torch.cdist(torch.from_numpy(z), CENTERS).amin(1).median() < 1.5
    asked = np.eye(3, dtype=np.float32)[np.full(50, 2)]
    assert (nearest(torch.from_numpy(space.sample(50, 3, condition=asked))) == 2).float().mean() > 0.9
    center = np.array([9.0, 9.0, 9.0], np.float32)
    assert np.abs(space.sample(50, 3, center, 0.1) - center).max() < 0.6  # no condition: normal, wherever it is
    plain = LatentSpace.of(Checkpoint("plain", "none", torch.nn.Identity(), None, {}, ""))
    plain.model.latent_dim = 3
    with pytest.raises(ValueError, match="plain has no learned prior"):
        plain.sample(50, 3, condition=asked)
