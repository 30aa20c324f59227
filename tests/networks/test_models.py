"""The contract: what every network must do, whatever its paper."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from matgen_core.networks.arrays import boxes as padded_box
from matgen_core.networks.learning import loops
from matgen_core.networks.learning.voxels import imatgen, voxel_vae
from matgen_core.networks.learning.voxels.icsg3d import draw
from matgen_core.networks.models import MODELS
from matgen_core.networks.models.parts.blocks import Gaussian
from tests.support.arrays import rng
from tests.support.tiny import TINY

TABLE = torch.randn(11, 5, generator=torch.Generator().manual_seed(8))  # features of 11 elements


def fields(n: int = 8) -> Tensor:
    return torch.randint(11, (n, 3), generator=rng(4))


# What each model that learns takes as a batch.
def voxels() -> tuple[Tensor, ...]:
    """Two crystals of two and three sites, with sites, species, codes and class weights."""
    frac_coords = torch.rand(2, 3, 3, generator=rng(5))
    species, codes = torch.tensor([[0, 3, -1], [2, 1, 1]]), torch.randn(4, 16, generator=rng(6))
    x = draw(frac_coords, species, torch.tensor([4.0, 5.5]), codes, grid=8, width=0.1)
    return x, frac_coords, species, codes, torch.tensor([0.5, 2.0, 1.5, 0.7])


def reduced_cells() -> tuple[Tensor, ...]:
    """Two crystals of two and three sites in cells of any kind, with codes and class weights."""
    frac_coords, lattice = (
        torch.rand(2, 3, 3, generator=rng(5)),
        torch.diag_embed(torch.tensor([[3.0, 4, 5], [4, 5, 7]])),
    )
    lattice = lattice + 0.4 * torch.rand(2, 3, 3, generator=rng(7))
    species, codes = torch.tensor([[0, 3, -1], [2, 1, 1]]), torch.randn(4, 16, generator=rng(6))
    drawn = voxel_vae.draw(build("voxel_vae"), frac_coords, species, codes)
    return drawn, lattice, frac_coords, species, codes, torch.tensor([0.5, 2.0, 1.5, 0.7])


def boxes() -> tuple[Tensor, ...]:
    """Two crystals of two and three sites in padded boxes, with labels, conditions and class weights."""
    frac_coords = torch.rand(2, 3, 3, generator=rng(5))
    species, edge = torch.tensor([[0, 3, -1], [2, 1, 1]]), torch.tensor([4.0, 5.5])
    numbers, radii = torch.tensor([3.0, 8.0, 26.0, 17.0]), torch.tensor([0.9, 1.3, 0.8, 1.1])
    x, labels = padded_box.draw(frac_coords, species, edge, numbers, radii, grid=8)
    condition = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    return x, labels, condition, torch.tensor([0.2, 0.5, 2.0, 1.5, 0.7])


def images() -> tuple[Tensor, ...]:
    """Two crystals of three elements as basis images, with cells and classes of which one is not known."""
    frac_coords, species = torch.rand(2, 4, 3, generator=rng(5)), torch.tensor([[0, 2, 1, -1], [2, 1, 1, 0]])
    lattice = torch.diag_embed(torch.tensor([[3.0, 4, 5], [4, 5, 6]])) + 0.3 * torch.rand(2, 3, 3, generator=rng(7))
    how = imatgen.Images(box=11.0, width=0.7)
    drawn = imatgen.draw(frac_coords, species, lattice, TINY["imatgen"], how)
    return drawn, lattice, torch.tensor([1.0, torch.nan])


def formulas() -> tuple[Tensor, ...]:
    """Eight tables of five elements with the counts 0 to 3, and properties of which some are not known."""
    counts = torch.randint(4, (8, 5), generator=rng(4))
    values = torch.randn(8, 3, generator=rng(5)).masked_fill(torch.rand(8, 3, generator=rng(6)) < 0.3, torch.nan)
    return torch.nn.functional.one_hot(counts, 4).float(), values


def graphs() -> tuple[Tensor, ...]:
    """Two crystals of two and three atoms, every atom bound to every other of its crystal."""
    pairs = [(0, 1), (1, 0), (2, 3), (3, 2), (2, 4), (4, 2), (3, 4), (4, 3)]
    sources, targets = torch.tensor(pairs).T
    distances = torch.linspace(2.1, 3.4, len(pairs))
    values = torch.tensor([[0.4, 1.9], [-0.7, 0.6]])
    return torch.tensor([0, 1, 2, 0, 1]), sources, targets, distances, torch.tensor([0, 0, 1, 1, 1]), values


BATCHES: dict[str, Callable[[], tuple[Tensor, ...]]] = {
    "cgcnn": graphs,
    "ding": formulas,
    "icsg3d": voxels,
    "icsg3d_paper": boxes,
    "imatgen": images,
    "phase_field_vae": lambda: (TABLE, fields()),
    "voxel_vae": reduced_cells,
}
VAES = ("ding", "icsg3d", "icsg3d_paper", "imatgen", "phase_field_vae", "voxel_vae")


def test_every_model_has_a_tiny_config() -> None:
    assert set(TINY) == set(MODELS)


def build(name: str) -> Any:
    torch.manual_seed(3)
    return MODELS[name](TINY[name])


@pytest.mark.parametrize("name", MODELS)
def test_the_config_is_kept(name: str) -> None:
    assert build(name).config == TINY[name]


def test_every_model_that_learns_has_a_batch() -> None:
    assert set(BATCHES) == {name for name in MODELS if hasattr(MODELS[name], "loss")}


@pytest.mark.parametrize("name", BATCHES)
def test_the_loss_obeys_the_seed_and_reaches_every_parameter(name: str) -> None:
    model, batch = build(name), BATCHES[name]()
    # Built anew each time: a batch norm changes with every loss.
    losses = [float(build(name).loss(*batch, rng=rng(seed))["loss"].detach()) for seed in (1, 1, 2)]
    assert losses[0] == losses[1] != losses[2]
    model.loss(*batch, rng=rng())["loss"].backward()
    for key, weight in model.named_parameters():
        if key.startswith(("prior.", "predictor.", "judge.")):  # these have losses of their own, and tests
            continue
        assert weight.grad is not None, f"{key} gets no gradient"
        assert weight.grad.abs().sum() > 0, f"{key} gets a gradient of 0"


@pytest.mark.parametrize("name", VAES)
def test_the_loss_of_a_vae_is_reconstruction_and_weighted_kl(name: str) -> None:
    model = build(name)
    parts = model.loss(*BATCHES[name](), rng=rng())
    torch.testing.assert_close(parts["loss"], parts["reconstruction"] + model.config.beta * parts["kl"])
    assert parts["kl"] > 0


@pytest.mark.parametrize("name", BATCHES)
def test_one_batch_is_learned_by_heart(name: str) -> None:
    model, batch = build(name), BATCHES[name]()
    slow = name in ("icsg3d", "imatgen", "voxel_vae")
    optimizer = torch.optim.Adam(model.parameters(), 0.003 if slow else 0.02)
    first = float(model.loss(*batch, rng=rng())["loss"].detach())
    for step in range(120):
        optimizer.zero_grad()
        loss = model.loss(*batch, rng=rng(step))["loss"]
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.6 * first


@torch.inference_mode()
def test_a_phase_field_is_encoded_alone_as_in_a_batch() -> None:
    model, x = build("phase_field_vae"), TABLE[fields()]
    z = model.encode(x).mean
    assert z.shape == (8, model.latent_dim) == (8, 8)
    assert model.decode(z).shape == (8, 3, 5)
    torch.testing.assert_close(z, torch.cat([model.encode(row[None]).mean for row in x]))
    torch.testing.assert_close(model.decode(z), torch.cat([model.decode(row[None]) for row in z]))


@torch.inference_mode()
def test_shared_contexts_give_the_scores_of_single_fields() -> None:
    model, places = build("phase_field_vae"), fields(60)
    for weight in model.parameters():
        weight.add_(torch.randn(weight.shape, generator=rng(9)))
    together = model.element_errors(TABLE, places)
    alone = torch.cat([model.element_errors(TABLE, place[None]) for place in places])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(model.score(TABLE, places), together.sum(1))
    torch.testing.assert_close(model.contributions(TABLE, places).sum(1), model.score(TABLE, places).mean(1))
    assert (together >= 0).all()


@torch.inference_mode()
def test_the_hidden_element_does_not_reach_its_own_restoration() -> None:
    """The probabilities of all elements in a slot, given the others, add up to one."""
    model = build("phase_field_vae")
    places = torch.tensor([[3, 7, element] for element in range(11)])
    errors = model.element_errors(TABLE, places)[:, 2]
    torch.testing.assert_close((-errors).exp().sum(0), torch.ones(2))


@torch.inference_mode()
def test_tabulated_terms_give_the_posterior_of_the_features() -> None:
    model, places = build("phase_field_vae"), fields()
    none_hidden = torch.full((2, len(places)), 3)
    tabulated = model.encode_elements(TABLE, places, none_hidden)
    posterior = model.encode(TABLE[places])
    torch.testing.assert_close(posterior.mean, tabulated.mean.movedim(0, 1).flatten(1))
    torch.testing.assert_close(posterior.log_var, tabulated.log_var.movedim(0, 1).flatten(1))


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
