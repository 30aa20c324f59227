"""Arrays of formulas and the training of a language model: a generator that learns which formulas are real."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from matgen_core.networks.arrays.formulas import FormulaArrays
from matgen_core.networks.learning.formula_lm import (
    ADVERSARIAL,
    LIKELIHOOD,
    counts_of,
    read_run,
    surprise,
    tables,
    train,
)
from matgen_core.networks.models.formula_lm import FormulaLM, FormulaLMConfig
from tests.support.arrays import formula_arrays as formulas

TINY = FormulaLMConfig(n_elements=3, n_counts=3, n_slots=3, hidden=16, critic=24, critic_depth=2, n_features=8)
FIRST = replace(LIKELIHOOD, epochs=40, batch_size=16, learning_rate=0.02)
SECOND = replace(ADVERSARIAL, minutes=5, steps=20, batch_size=16, critic_first=5, report_every=10)


def written(model: FormulaLM, n: int, seed: int = 3) -> torch.Tensor:
    with torch.no_grad():
        z = torch.randn(n, model.latent_dim, generator=torch.Generator().manual_seed(seed))
        return counts_of(model.decode(z), 0.5)


def test_arrays_come_back_from_a_file(tmp_path: Path) -> None:
    formulas().save(tmp_path / "formulas.safetensors")
    again = FormulaArrays.load(tmp_path / "formulas.safetensors")
    assert again.elements == ("A", "B", "C")
    assert len(again.of_part("train")) == 40
    assert again.dense(torch.tensor([0, 1])).tolist() == [[1, 0, 2], [0, 1, 3]]


def test_empty_slots_are_no_element() -> None:
    arrays = FormulaArrays(
        ("A", "B"), torch.tensor([[1, -1]], dtype=torch.int8), torch.tensor([[2, 0]], dtype=torch.int8), torch.zeros(1)
    )
    counts = arrays.dense(torch.tensor([0]))
    assert counts.tolist() == [[0, 2]]
    assert tables(counts, 3).tolist() == [[[0, 0, 0], [0, 1, 0]]]
    assert counts_of(tables(counts, 3), 0.2).tolist() == [[0, 2]]


def test_every_formula_written_has_two_to_n_slots_elements_and_one_count_of_each() -> None:
    torch.manual_seed(1)
    config = replace(TINY, n_elements=6)
    model = FormulaLM(config).eval()
    with torch.no_grad():
        tables_made = model.decode(torch.randn(3_000, model.latent_dim))
    assert tables_made.sum(-1).max() == 1
    n_elements = tables_made.sum((1, 2))
    assert n_elements.min() == 2
    assert n_elements.max() == 3
    assert (tables_made.sum(0) > 0).all()  # each cell can be reached


def test_what_is_written_follows_the_likelihood() -> None:
    """The share of each formula among samples is the one that the likelihood gives it."""
    torch.manual_seed(2)
    model = FormulaLM(replace(TINY, n_counts=2, n_slots=2)).eval()
    with torch.no_grad():
        for weight in model.generator.parameters():
            weight.mul_(3)
    made = written(model, 60_000)
    species = torch.tensor([[i, j] for i in range(3) for j in range(i + 1, 3) for _ in range(4)])
    counts = torch.tensor([[i, j] for i in (1, 2) for j in (1, 2)]).repeat(3, 1)
    likelihood = [model.generator.loss(species[[row]], counts[[row]])["loss"] for row in range(len(species))]
    dense = torch.zeros(len(species), 3, dtype=torch.int64).scatter_(1, species, counts)
    shares = (made.unsqueeze(1) == dense).all(-1).float().mean(0)
    torch.testing.assert_close(shares.sum(), torch.tensor(1.0))
    torch.testing.assert_close(shares, (-torch.stack(likelihood)).exp().detach(), atol=0.01, rtol=0)


def test_each_temperature_evens_out_its_own_choices() -> None:
    """Share of the commonest set of elements, and of the commonest counts of it, cold and warm."""
    torch.manual_seed(2)
    model = FormulaLM(replace(TINY, n_elements=9)).eval()
    shares = {}
    for of_elements in (0.02, 5.0):
        for of_counts in (0.02, 5.0):
            config = replace(model.config, element_temperature=of_elements, count_temperature=of_counts)
            other = FormulaLM(config).eval()
            other.load_state_dict(model.state_dict())
            made = written(other, 3_000)
            _, which, sizes = (made > 0).unique(dim=0, return_inverse=True, return_counts=True)
            _, of_set = made[which == sizes.argmax()].unique(dim=0, return_counts=True)
            shares[of_elements, of_counts] = (float(sizes.max()) / 3_000, float(of_set.max() / of_set.sum()))
    assert min(shares[0.02, 0.02][0], shares[0.02, 5.0][0]) > 0.8
    assert max(shares[5.0, 0.02][0], shares[5.0, 5.0][0]) < 0.3
    assert min(shares[0.02, 0.02][1], shares[5.0, 0.02][1]) > 0.8
    assert max(shares[0.02, 5.0][1], shares[5.0, 5.0][1]) < 0.4


@pytest.mark.parametrize("end", [-9.0, 9.0])
def test_extreme_points_still_give_formulas(end: float) -> None:
    model = FormulaLM(TINY).eval()
    with torch.no_grad():
        assert counts_of(model.decode(torch.full((1, model.latent_dim), end)), 0.5).bool().sum() >= 2


def test_the_penalty_wants_a_slope_of_one() -> None:
    torch.manual_seed(0)
    model = FormulaLM(TINY)
    real = tables(formulas().dense(torch.arange(10)), 3)
    parts = model.critic_loss(real, rng=torch.Generator().manual_seed(1))
    torch.testing.assert_close(parts["loss"], 10 * parts["penalty"] - parts["distance"])
    with torch.no_grad():
        for weight in model.verdict.parameters():
            weight.zero_()
    flat = model.critic_loss(real, rng=torch.Generator().manual_seed(1))
    torch.testing.assert_close(flat["penalty"], torch.tensor(1.0))  # no slope at all


def test_the_critic_s_verdict_reaches_every_weight_of_the_generator() -> None:
    torch.manual_seed(0)
    model = FormulaLM(TINY)
    model.generator_loss(200, torch.device("cpu"), rng=torch.Generator().manual_seed(0)).backward()
    for name, weight in model.generator.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().sum() > 0, name


def test_a_generator_follows_its_critic() -> None:
    """A critic that likes element B makes the generator write more of it."""
    torch.manual_seed(0)
    model = FormulaLM(replace(TINY, dropout=0.0))
    model.criticize = lambda x: x[:, 1].sum(-1)
    before = (written(model, 2_000)[:, 1] > 0).float().mean()
    step = torch.optim.Adam(model.generator.parameters(), 0.01)
    for seed in range(40):
        step.zero_grad()
        model.generator_loss(64, torch.device("cpu"), rng=torch.Generator().manual_seed(seed)).backward()
        step.step()
    assert (written(model, 2_000)[:, 1] > 0).float().mean() > before + 0.15


def test_a_generator_learns_what_is_real(tmp_path: Path) -> None:
    model = train(formulas(), TINY, FIRST, SECOND, "cpu", tmp_path)
    hits = (written(model, 500).unsqueeze(1) == torch.tensor([[1, 0, 2], [0, 1, 3]])).all(-1).float().mean(0)
    assert hits.sum() > 0.9
    assert hits.min() > 0.3  # both, not one
    assert surprise(model, formulas().of_part("train")) < 0.9  # two formulas: 0.69 nats
    last = json.loads((tmp_path / "losses.jsonl").read_text().splitlines()[-1])
    assert last["step"] == 20
    assert last["known"] > 0.9
    again = read_run(tmp_path, "weights")
    torch.testing.assert_close(written(again, 50), written(model, 50))
    assert not torch.equal(read_run(tmp_path, "likelihood").critic[0].weight, again.critic[0].weight)
