"""Weights as a checkpoint stores them: exactly, in float16, or as rows of int8 with a scale each.

One rule for every checkpoint: what was learned is rounded, and what a network was told (buffers: scales, ranges,
running means) stays exact in float16; in eight bits each table of numbers is rounded, vectors stay.
"""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

Precision = Literal["exact", "float16", "int8"]
_SCALE = ".scale_of_rows"


def stored(model: nn.Module, precision: Precision) -> dict[str, Tensor]:
    """Return the tensors of a model as they are written, on the CPU; `restored` undoes it.

    Rounding what was rounded before changes nothing.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    if precision == "float16":
        learned = {name for name, _ in model.named_parameters()}
        return {name: tensor.half() if name in learned else tensor for name, tensor in tensors.items()}
    return _packed(tensors) if precision == "int8" else tensors


def restored(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a model from what `stored` gave; float16 stays for the model to widen."""
    found = {name: tensor for name, tensor in tensors.items() if not name.endswith(_SCALE)}
    for name, scale in tensors.items():
        if name.endswith(_SCALE):
            whole = found[name.removesuffix(_SCALE)]
            found[name.removesuffix(_SCALE)] = whole.float() * scale.view(-1, *(1,) * (whole.ndim - 1))
    return found


def precision_of(tensors: Mapping[str, Tensor]) -> Precision:
    """Tell how tensors that were read are stored."""
    if any(name.endswith(_SCALE) for name in tensors):
        return "int8"
    return "float16" if any(tensor.dtype == torch.float16 for tensor in tensors.values()) else "exact"


@torch.no_grad()
def round_weights(model: nn.Module, precision: Precision) -> None:
    """Round a model in place to what is stored of it, so that figures are of what is shipped."""
    model.load_state_dict(restored(stored(model, precision)))


def _packed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Write each table of floats as int8 with a scale a row; vectors and whole numbers stay as they are."""
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
