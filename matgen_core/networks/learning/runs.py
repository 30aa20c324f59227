"""What a training run leaves in its folder, and what reads it again."""

import json
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import load_file, save_file

Network = TypeVar("Network", bound=torch.nn.Module)


def save_weights(model: torch.nn.Module, folder: Path) -> None:
    """Write the weights in float16."""
    tensors = {name: tensor.detach().half().cpu().contiguous() for name, tensor in model.state_dict().items()}
    save_file(tensors, folder / "weights.safetensors")


def read_config(folder: Path) -> dict[str, Any]:
    """Return the fields of the configuration that a run left in a folder."""
    stored: dict[str, Any] = json.loads((folder / "config.json").read_text())
    return {key: tuple(value) if isinstance(value, list) else value for key, value in stored.items()}


def read_weights(model: Network, folder: Path) -> Network:
    """Give a network the weights that a run left in a folder."""
    weights = load_file(folder / "weights.safetensors")
    model.load_state_dict({name: value.float() for name, value in weights.items()})
    return model.eval()


def last_losses(path: Path) -> dict[str, float]:
    """Return the last value of each figure in the log of a training run."""
    return {key: value for line in path.read_text().splitlines() for key, value in json.loads(line).items()}


def best_device() -> str:
    """Return "cuda" where there is one, else "cpu"."""
    return "cuda" if torch.cuda.is_available() else "cpu"
