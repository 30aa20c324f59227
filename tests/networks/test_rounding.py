"""Weights in eight bits: near to what they were, and the same however often they are stored."""

from dataclasses import replace

import pytest
import torch

from matgen_core import checkpoint
from matgen_core.checkpoint import Checkpoint
from matgen_core.networks.models.formula_lm import FormulaLM, FormulaLMConfig
from matgen_core.networks.models.parts import rounding
from matgen_core.representations import ElementCounts

MODEL = FormulaLMConfig(n_elements=3, n_counts=4, n_slots=2, hidden=64, critic=64)


class Tensors(torch.nn.Module):
    def __init__(self, tensors: dict[str, torch.Tensor]) -> None:
        super().__init__()
        for name, tensor in tensors.items():
            self.register_buffer(name, tensor)


def test_rows_keep_their_own_scale() -> None:
    tensors = {"table": torch.tensor([[1e-3, -2e-3], [100.0, 50.0], [0.0, 0.0]]), "line": torch.tensor([0.1, 7.0])}
    packed = rounding.stored(Tensors(tensors), "int8")
    assert packed["table"].dtype == torch.int8
    found = rounding.restored(packed)
    torch.testing.assert_close(found["table"], tensors["table"], rtol=0.01, atol=0)
    assert torch.equal(found["line"], tensors["line"])
    assert set(found) == set(tensors)


def test_what_was_rounded_is_stored_and_read_without_loss(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATGEN_CHECKPOINTS", str(tmp_path))
    torch.manual_seed(0)
    model = FormulaLM(MODEL)
    rounding.round_weights(model, "int8")
    rounded = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    provenance = {"title": "Tiny", "system": "language model", "level": "composition"}
    layout = ElementCounts(("Li", "S", "O"), max_count=4)
    made = Checkpoint("tiny", "formula_lm", model, layout, {}, "", provenance, precision="int8")
    checkpoint.save(made, tmp_path / "tiny")
    read = checkpoint.load("tiny")
    assert read.precision == "int8"
    for name, tensor in read.model.state_dict().items():
        torch.testing.assert_close(tensor, rounded[name], rtol=1e-6, atol=0)
    small = (tmp_path / "tiny" / "weights.safetensors").stat().st_size
    checkpoint.save(replace(made, precision="exact"), tmp_path / "tiny")
    assert checkpoint.load("tiny").precision == "exact"
    assert small < 0.6 * (tmp_path / "tiny" / "weights.safetensors").stat().st_size


def test_float16_rounds_what_was_learned_and_nothing_else() -> None:
    torch.manual_seed(0)
    norm = torch.nn.BatchNorm1d(3)
    norm.running_mean.fill_(1 / 3)
    torch.nn.init.constant_(norm.weight, 1 / 3)
    rounding.round_weights(norm, "float16")
    assert norm.weight[0] == torch.tensor(1 / 3).half().float()
    assert norm.running_mean[0] == torch.tensor(1 / 3)
    assert rounding.stored(norm, "float16")["weight"].dtype == torch.float16
    assert rounding.precision_of(rounding.stored(norm, "float16")) == "float16"
