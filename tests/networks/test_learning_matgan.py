"""MatGAN: two networks that learn from each other, and the state of the generator that is kept."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from matgen_core.networks.arrays.formulas import FormulaArrays
from matgen_core.networks.learning import matgan as learning
from matgen_core.networks.learning.formula_lm import counts_of, tables
from matgen_core.networks.learning.loops import AdversarialSchedule
from matgen_core.networks.learning.matgan import MatGANLearner, train
from matgen_core.networks.learning.runs import read_config, read_weights
from matgen_core.networks.models.matgan import MatGAN, MatGANConfig
from tests.support.rows import each_row

TINY = MatGANConfig(
    n_elements=3,
    n_counts=3,
    latent_dim=6,
    channels=(8, 4),
    critic_channels=(3, 5, 4),
    hidden=24,
    depth=1,
    critic=28,
    critic_depth=1,
    n_features=6,
    sharpness=7.0,
    hard_share=0.5,
    penalty=3.0,
)
DESIGNS = ("dense", "convolutions")
GAME = AdversarialSchedule(
    minutes=2,
    steps=150,
    batch_size=32,
    learning_rate=4e-3,
    critic_learning_rate=4e-3,
    critic_steps=2,
    averaging=0.9,
    report_every=25,
)
# What each design learns with; the running mean of weights is not that of the means that a batch norm keeps.
CASES = {
    "dense": (TINY, GAME),
    "convolutions": (
        replace(TINY, design="convolutions", channels=(16, 8), sharpness=2.0),
        replace(GAME, steps=250, averaging=0.0, learning_rate=2e-3),
    ),
}


def formulas() -> FormulaArrays:
    """A C2 and B C3 many times over, and a tenth of A C2 held out."""
    species = torch.tensor([[0, 2], [1, 2]], dtype=torch.int8).repeat(50, 1)
    counts = torch.tensor([[1, 2], [1, 3]], dtype=torch.int8).repeat(50, 1)
    part = (torch.arange(100) % 20 == 0).to(torch.int8)
    return FormulaArrays(("A", "B", "C"), species, counts, part)


def built(design: str, **changes: float) -> MatGAN:
    torch.manual_seed(0)
    return MatGAN(replace(TINY, design=design, **changes))


@each_row(
    ("n_elements", "n_counts", "channels"),
    [(86, 8, (6, 5, 4, 3)), (85, 8, (6, 5, 4, 3)), (5, 3, (4, 3)), (7, 4, (4,)), (2, 1, (4, 3, 2))],
)
def test_every_design_writes_tables_of_any_size(n_elements: int, n_counts: int, channels: tuple[int, ...]) -> None:
    for design in DESIGNS:
        model = MatGAN(replace(TINY, design=design, n_elements=n_elements, n_counts=n_counts, channels=channels))
        made = model.decode(torch.randn(9, model.latent_dim))
        assert made.shape == (9, n_elements, n_counts)
        assert made.min() >= 0
        assert made.max() <= 1
        assert model.features(made).shape == (9, TINY.n_features)
        assert model.criticize(made).shape == (9,)
    assert (model.decode(torch.randn(9, 6)).shape) == (9, n_elements, n_counts)


def test_counts_of_one_element_share_what_is_not_absence() -> None:
    assert built("dense").decode(100 * torch.randn(50, 6)).sum(-1).max() <= 1 + 1e-5


def test_another_design_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match="design 'lstm'; expected 'convolutions' or 'dense'"):
        MatGANConfig(design="lstm")


@pytest.mark.parametrize("design", DESIGNS)
def test_the_penalty_wants_a_slope_of_one(design: str) -> None:
    model = built(design)
    real = tables(formulas().dense(torch.arange(16)), 3)
    parts = model.critic_loss(real, rng=torch.Generator().manual_seed(1))
    torch.testing.assert_close(parts["loss"], 3 * parts["penalty"] - parts["distance"])
    with torch.no_grad():
        for weight in model.verdict.parameters():
            weight.zero_()
    flat = model.critic_loss(real, rng=torch.Generator().manual_seed(1))
    torch.testing.assert_close(flat["penalty"], torch.tensor(1.0))  # no slope at all


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("hard_share", [0.0, 0.5, 1.0])
def test_a_share_of_what_the_critic_is_shown_is_what_would_be_read(design: str, hard_share: float) -> None:
    model, seen = built(design, hard_share=hard_share), []
    model.criticize = lambda x: seen.append(x) or x.sum((1, 2))  # type: ignore[method-assign,assignment,func-returns-value]
    model.generator_loss(torch.zeros(16, 5, 3), rng=torch.Generator().manual_seed(0)).backward()
    is_hard = ((seen[0] == 0) | (seen[0] == 1)).flatten(1).all(1)
    assert is_hard[: round(16 * hard_share)].all()
    assert not is_hard[round(16 * hard_share) :].any()
    for name, weight in model.generator.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().sum() > 0, name


def test_the_dense_critic_judges_groups_of_eight() -> None:
    """What stands in another group changes nothing; samples that are all alike are told from those that differ."""
    model = built("dense")
    different = tables(torch.randint(4, (20, 3), generator=torch.Generator().manual_seed(2)), 3)
    verdicts = model.criticize(different)
    torch.testing.assert_close(model.criticize(different[:8]), verdicts[:8])
    changed = different.clone()
    changed[9] = different[0]
    assert (model.criticize(changed) != verdicts).nonzero()[:, 0].tolist() == list(range(8, 16))
    assert (model.criticize(different[:1].expand(8, -1, -1))[0] - verdicts[0]).abs() > 1e-4
    assert model.criticize(different[:3]).shape == (3,)


@pytest.mark.parametrize("design", DESIGNS)
def test_a_generator_learns_what_is_real_and_its_best_state_is_kept(
    design: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learning, "N_JUDGED", 10_000)
    config, game = CASES[design]
    model = train(formulas(), config, game, "cpu", tmp_path, threshold=0.5)
    with torch.no_grad():
        made = counts_of(model.decode(torch.randn(500, 6, generator=torch.Generator().manual_seed(3))), 0.5)
    hits = (made.unsqueeze(1) == torch.tensor([[1, 0, 2], [0, 1, 3]])).all(-1).float().mean(0)
    assert hits.sum() > 0.8, hits
    assert hits.min() > 0.2, hits  # both, not one
    log = [json.loads(line) for line in (tmp_path / "losses.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == [25.0 * number for number in range(1, game.steps // 25 + 1)]
    assert log[-1]["known"] > 0.8
    assert read_config(tmp_path)["n_elements"] == 3
    kept = read_weights(MatGAN(config), tmp_path)
    first = next(line for line in log if line["held_out"] == max(line["held_out"] for line in log))
    assert first["step"] < game.steps  # of equals the first, so these are other weights than those at the end
    assert any(not torch.equal(a.half(), b.half()) for a, b in zip(kept.parameters(), model.parameters(), strict=True))


def test_a_limit_of_the_run_is_that_of_the_game() -> None:
    settings = MatGANLearner(seed=4)
    assert settings.for_run("cpu", None).adversarial == replace(settings.adversarial, seed=4)
    assert settings.for_run("cpu", 0.5).adversarial.minutes == 0.5
