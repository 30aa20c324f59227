"""MatGAN's arrays and its training: a generator that learns which formulas are real."""

import json
from pathlib import Path

import numpy as np
import torch

from matgen_core.compositions import FormulaArrays, counts_of, main, tables, train
from matgen_core.loops import AdversarialSchedule
from matgen_core.models.matgan import MatGAN, MatGANConfig

TINY = MatGANConfig(
    n_counts=3, noise_dim=4, n_slots=3, generator=24, generator_depth=2, critic=24, critic_depth=2, n_features=8
)


def formulas() -> FormulaArrays:
    """A1C2 and B1C3 of three elements, and one formula that is held out."""
    species = torch.tensor([[0, 2], [1, 2], [0, 1]], dtype=torch.int8).repeat(20, 1)
    counts = torch.tensor([[1, 2], [1, 3], [3, 3]], dtype=torch.int8).repeat(20, 1)
    return FormulaArrays(("A", "B", "C"), species, counts, torch.tensor([0, 0, 1], dtype=torch.int8).repeat(20))


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


def test_the_penalty_wants_a_slope_of_one() -> None:
    torch.manual_seed(0)
    model = MatGAN(MatGANConfig(**{**vars(TINY), "n_elements": 3}))
    real = tables(formulas().dense(torch.arange(10)), 3)
    parts = model.critic_loss(real, rng=torch.Generator().manual_seed(1))
    torch.testing.assert_close(parts["loss"], 10 * parts["penalty"] - parts["distance"])
    with torch.no_grad():
        for weight in model.verdict.parameters():
            weight.zero_()
    flat = model.critic_loss(real, rng=torch.Generator().manual_seed(1))
    torch.testing.assert_close(flat["penalty"], torch.tensor(1.0))  # no slope at all


def test_a_generator_learns_what_is_real(tmp_path: Path) -> None:
    schedule = AdversarialSchedule(
        minutes=5, steps=400, batch_size=32, learning_rate=2e-3, critic_learning_rate=2e-3, averaging=0.9
    )
    model, history = train(formulas(), TINY, schedule, "cpu", tmp_path)
    z = torch.randn(500, model.latent_dim, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        made = counts_of(model.decode(z), 0.2)
    real = torch.tensor([[1, 0, 2], [0, 1, 3]])
    hits = (made.unsqueeze(1) == real).all(-1).float().mean(0)
    assert hits.sum() > 0.8
    assert hits.min() > 0.15  # both, not one
    assert history[-1]["known"] > 0.8
    assert json.loads((tmp_path / "losses.jsonl").read_text().splitlines()[-1])["step"] == 400
    assert (tmp_path / "weights.safetensors").is_file()


def test_training_from_the_command_line(tmp_path: Path, capsys) -> None:
    formulas().save(tmp_path / "formulas.safetensors")
    schedule = '{"steps": 3, "batch_size": 8, "report_every": 2}'
    small = '{"n_counts": 3, "generator": 16, "critic": 16}'
    main(
        [
            str(tmp_path / "formulas.safetensors"),
            "--out",
            str(tmp_path / "run"),
            "--device",
            "cpu",
            "--config",
            small,
            "--schedule",
            schedule,
        ]
    )
    assert json.loads(capsys.readouterr().out)["step"] == 3
    assert json.loads((tmp_path / "run" / "config.json").read_text())["n_elements"] == 3
    assert np.isfinite(
        [json.loads(line)["distance"] for line in (tmp_path / "run" / "losses.jsonl").read_text().splitlines()]
    ).all()
