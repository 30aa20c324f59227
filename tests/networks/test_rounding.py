"""Weights in eight bits: near to what they were, and the same however often they are stored."""

import json
from dataclasses import replace

import pytest
import torch

from matgen_core import checkpoint
from matgen_core.checkpoint import Checkpoint
from matgen_core.networks.learning import rounding
from matgen_core.networks.models.matgan import MatGAN, MatGANConfig
from matgen_core.representations import ElementCounts

MODEL = MatGANConfig(n_elements=3, n_counts=4, n_slots=2, hidden=64, critic=64)


def test_rows_keep_their_own_scale() -> None:
    tensors = {"table": torch.tensor([[1e-3, -2e-3], [100.0, 50.0], [0.0, 0.0]]), "line": torch.tensor([0.1, 7.0])}
    packed = rounding.pack(tensors)
    assert packed["table"].dtype == torch.int8
    found = rounding.unpack(packed)
    torch.testing.assert_close(found["table"], tensors["table"], rtol=0.01, atol=0)
    assert torch.equal(found["line"], tensors["line"])
    assert set(found) == set(tensors)


def test_what_was_rounded_is_stored_and_read_without_loss(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATGEN_CHECKPOINTS", str(tmp_path))
    torch.manual_seed(0)
    model = MatGAN(MODEL)
    rounding.round_weights(model)
    rounded = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    provenance = {"title": "Tiny", "system": "MatGAN", "level": "composition"}
    layout = ElementCounts(("Li", "S", "O"), max_count=4)
    made = Checkpoint("tiny", "matgan", model, layout, {}, "", provenance, eight_bits=True)
    checkpoint.save(made, tmp_path / "tiny")
    read = checkpoint.load("tiny")
    assert read.eight_bits
    for name, tensor in read.model.state_dict().items():
        torch.testing.assert_close(tensor, rounded[name], rtol=1e-6, atol=0)
    small = (tmp_path / "tiny" / "weights.safetensors").stat().st_size
    checkpoint.save(replace(made, eight_bits=False), tmp_path / "tiny")
    assert not checkpoint.load("tiny").eight_bits
    assert small < 0.6 * (tmp_path / "tiny" / "weights.safetensors").stat().st_size
    assert "eight_bits" not in json.loads((tmp_path / "tiny" / "config.json").read_text())
