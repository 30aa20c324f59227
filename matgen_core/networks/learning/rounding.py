"""Weights in eight bits: rows of whole numbers from -127 to 127 with a scale for each row, half the size of float16."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

_SCALE = ".scale_of_rows"


def pack(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Write each table of floats as int8 with a scale a row; vectors and whole numbers stay as they are.

    A table that was packed and unpacked is packed to the same numbers.
    """
    packed: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if tensor.ndim < 2 or not tensor.is_floating_point():
            packed[name] = tensor
            continue
        scale = (tensor.float().flatten(1).abs().amax(1) / 127).clamp(min=1e-12)
        by_row = scale.view(-1, *(1,) * (tensor.ndim - 1))
        packed[name] = (tensor.float() / by_row).round().to(torch.int8)
        packed[name + _SCALE] = scale
    return packed


def unpack(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Undo `pack`; tensors that were not packed stay as they are."""
    found = {name: tensor for name, tensor in tensors.items() if not name.endswith(_SCALE)}
    for name, scale in tensors.items():
        if name.endswith(_SCALE):
            whole = found[name.removesuffix(_SCALE)]
            found[name.removesuffix(_SCALE)] = whole.float() * scale.view(-1, *(1,) * (whole.ndim - 1))
    return found


def is_packed(tensors: Mapping[str, Tensor]) -> bool:
    """Whether tensors come from `pack`."""
    return any(name.endswith(_SCALE) for name in tensors)


@torch.no_grad()
def round_weights(model: nn.Module) -> None:
    """Round a model in place to what eight bits hold, so that figures are of what is stored."""
    model.load_state_dict(unpack(pack(model.state_dict())))
