"""The contract: what every network must do, whatever its paper."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from matgen_core import loops
from matgen_core.models import MODELS
from matgen_core.models._blocks import Gaussian

# Tiny settings with no neutral value: no 0, no 1, no square shape.
TINY: dict[str, Any] = {
    "cgcnn": MODELS["cgcnn"].Config(n_elements=3, properties=("a", "b"), members=2, node_dim=6, edge_dim=5, hidden=7),
    "phase_field_norm": MODELS["phase_field_norm"].Config(n_slots=3, n_features=5),
}
VAES: tuple[str, ...] = ()


def test_every_model_has_a_tiny_config() -> None:
    assert set(TINY) == set(MODELS)


def build(name: str) -> Any:
    torch.manual_seed(3)
    return MODELS[name](TINY[name])


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", MODELS)
def test_the_config_is_kept(name: str) -> None:
    assert build(name).config == TINY[name]


def test_gaussian_agrees_with_torch_distributions() -> None:
    gaussian = Gaussian(torch.randn(4, 3, generator=rng()), torch.randn(4, 3, generator=rng(1)))
    normal = torch.distributions.Normal(gaussian.mean, (0.5 * gaussian.log_var).exp())
    prior = torch.distributions.Normal(torch.zeros(4, 3), torch.ones(4, 3))
    torch.testing.assert_close(gaussian.kl(), torch.distributions.kl_divergence(normal, prior).sum(-1))


def test_gaussian_samples_have_its_moments_and_obey_the_seed() -> None:
    gaussian = Gaussian(torch.tensor([[1.0, -2.0]]).expand(40_000, 2), torch.tensor([[0.5, -1.0]]).expand(40_000, 2))
    drawn = gaussian.sample(rng(7))
    torch.testing.assert_close(drawn, gaussian.sample(rng(7)))
    torch.testing.assert_close(drawn.mean(0), gaussian.mean[0], atol=0.03, rtol=0)
    torch.testing.assert_close(drawn.var(0), gaussian.log_var[0].exp(), rtol=0.03, atol=0)


class Line(torch.nn.Module):
    """y = a x + b, learned from exact points."""

    def __init__(self) -> None:
        super().__init__()
        self.line = torch.nn.Linear(1, 1)

    def loss(self, x: Tensor, y: Tensor, rng: torch.Generator | None = None) -> dict[str, Tensor]:
        return {"loss": (self.line(x) - y).square().mean()}


SCHEDULE = loops.Schedule(epochs=60, batch_size=16, learning_rate=0.1, weight_decay=0.0, seed=2)


def train_line(schedule: loops.Schedule, **options: Any) -> tuple[Line, list[dict[str, float]]]:
    torch.manual_seed(0)
    model, x = Line(), torch.linspace(-1, 1, 100)[:, None]
    return model, loops.fit(model, (x, 3 * x - 2), schedule, **options)


def test_fit_learns_and_reports_every_epoch(tmp_path) -> None:
    seen: list[int] = []
    model, history = train_line(
        SCHEDULE, log=tmp_path / "log", after_epoch=lambda epoch: seen.append(epoch) or {"x": 1.0}
    )
    assert float(model.line.weight.detach()) == pytest.approx(3, abs=0.05)
    assert float(model.line.bias.detach()) == pytest.approx(-2, abs=0.05)
    assert len(history) == len(seen) == 60
    assert history[-1]["loss"] < 1e-3 < history[0]["loss"]
    assert len((tmp_path / "log").read_text().splitlines()) == 60
    assert not model.training


def test_fit_obeys_the_seed() -> None:
    weights = [float(train_line(replace(SCHEDULE, epochs=2, seed=seed))[0].line.weight.detach()) for seed in (1, 1, 4)]
    assert weights[0] == weights[1] != weights[2]


def test_fit_stops_by_the_clock_with_the_rate_at_its_end() -> None:
    _, history = train_line(replace(SCHEDULE, epochs=1_000_000, minutes=0.01))
    assert history[-1]["seconds"] < 2
    assert history[-1]["learning_rate"] < 0.02


def test_fit_stops_when_the_loss_is_no_number() -> None:
    model, x = Line(), torch.full((20, 1), torch.nan)
    with pytest.raises(FloatingPointError, match="epoch 1"):
        loops.fit(model, (x, x), SCHEDULE)
