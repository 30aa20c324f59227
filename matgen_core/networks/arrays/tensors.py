"""One way to save, load, move and choose from frozen dataclasses of tensors.

A field is a tensor, a dataclass of the same kind, a dict of tensors or of dataclasses that hold tensors alone, or what
JSON can write. All of it is one safetensors file, whose header names the class, so that no file is taken for another.
"""

import dataclasses
import json
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Self, TypeVar, get_args, get_origin, get_type_hints

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialized
from torch import Tensor

from matgen_core.jobs.files.outputs import whole_file

Item = TypeVar("Item")
_KIND = "kind"  # in the header: the class of the whole


def stored_as(dtype: torch.dtype, used: torch.dtype = torch.int64) -> dict[str, Any]:
    """Metadata of a field whose numbers are small: their type in the file, and that in memory."""
    return {"stored": dtype, "used": used}


def save(item: Any, path: Path) -> None:
    """Write a dataclass of tensors to one file."""
    tensors, values = _flat(item, "")
    # safetensors writes the memory of a tensor as it lies, so a transposed one would come back scrambled.
    tensors = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    header = {name: json.dumps(value) for name, value in values.items()}
    write(tensors, path, header | {_KIND: type(item).__name__})


def write(tensors: dict[str, Tensor], path: Path, header: dict[str, str] | None = None) -> None:
    """Write tensors as they lie in memory to one safetensors file, whole or not at all.

    Raises:
        OSError: If it cannot be written.
    """
    with whole_file(path) as beside:
        # `save_file` would leave a file of its own beside if it is killed.
        beside.write_bytes(serialized(tensors, header))


def load(kind: type[Item], path: Path) -> Item:
    """Read what `save` wrote, onto the CPU.

    Raises:
        ValueError: If the file holds something else, or is broken.
    """
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except SafetensorError as error:
        raise ValueError(f"{path} cannot be read as arrays ({error})") from error
    found = header.pop(_KIND, "something else")
    if found != kind.__name__:
        raise ValueError(f"{path} holds {found}, expected {kind.__name__}; prepare the arrays anew")
    values = {name: json.loads(text) for name, text in header.items()}
    try:
        return _built(kind, tensors, values, "")
    except KeyError as error:
        raise ValueError(f"{path} lacks {error.args[0]}, which {kind.__name__} has; prepare the arrays anew") from error


def to(item: Item, device: str | torch.device) -> Item:
    """Return the same on another device."""
    return _mapped(item, lambda tensor: tensor.to(device))


def select(item: Item, rows: Tensor, shared: Collection[str]) -> Item:
    """Return some rows (numbers or a mask), in their order.

    Args:
        item: A dataclass of tensors and tuples with one row a material.
        rows: Which, on the device of the tensors.
        shared: Fields that are the same for all rows, such as the list of elements.
    """
    numbers = (rows.nonzero()[:, 0] if rows.dtype == torch.bool else rows).tolist()
    values = {field.name: getattr(item, field.name) for field in dataclasses.fields(item)}  # type: ignore[arg-type]
    chosen = {
        name: value[rows] if isinstance(value, Tensor) else tuple(value[i] for i in numbers)
        for name, value in values.items()
        if name not in shared
    }
    return dataclasses.replace(item, **chosen)  # type: ignore[type-var]


class Stored:
    """What every dataclass of tensors can do: it is one safetensors file, and moves as a whole."""

    def save(self, path: Path) -> None:
        """Write one safetensors file."""
        save(self, path)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            ValueError: If the file holds something else, or is broken.
        """
        return load(cls, path)

    def to(self, device: str | torch.device) -> Self:
        """Return the same on another device."""
        return to(self, device)


def best_device() -> str:
    """Return "cuda" where there is one, else "cpu"."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def _flat(item: Any, prefix: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    tensors: dict[str, Tensor] = {}
    values: dict[str, Any] = {}
    for field in dataclasses.fields(item):
        value, key = getattr(item, field.name), prefix + field.name
        parts = {key: value}
        if _is_dict(get_type_hints(type(item))[field.name]):
            parts = {f"{key}.{name}": part for name, part in value.items()}
        for name, part in parts.items():
            if isinstance(part, Tensor):
                tensors[name] = part.to(field.metadata.get("stored", part.dtype))
            elif dataclasses.is_dataclass(part):
                inner = _flat(part, f"{name}.")
                tensors |= inner[0]
                values |= inner[1]
            else:
                values[name] = part
    return tensors, values


def _built(kind: Any, tensors: dict[str, Tensor], values: dict[str, Any], prefix: str) -> Any:
    hints = get_type_hints(kind)
    found: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        hint, key = hints[field.name], prefix + field.name
        if hint is Tensor:
            found[field.name] = tensors[key].to(field.metadata.get("used", tensors[key].dtype))
        elif dataclasses.is_dataclass(hint):
            found[field.name] = _built(hint, tensors, values, f"{key}.")
        elif _is_dict(hint):
            part = get_args(hint)[1]
            inside = [name.removeprefix(f"{key}.") for name in tensors if name.startswith(f"{key}.")]
            if part is Tensor:
                found[field.name] = {name: tensors[f"{key}.{name}"] for name in inside}
            else:
                names = dict.fromkeys(name.rpartition(".")[0] for name in inside)
                found[field.name] = {name: _built(part, tensors, values, f"{key}.{name}.") for name in names}
        else:
            found[field.name] = tuple(values[key]) if get_origin(hint) is tuple else values[key]
    return kind(**found)


def _is_dict(hint: Any) -> bool:
    """Whether a field is a dict of tensors or of dataclasses of tensors."""
    if get_origin(hint) is not dict:
        return False
    part = get_args(hint)[1]
    return part is Tensor or dataclasses.is_dataclass(part)


def _mapped(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, dict):
        return {name: _mapped(part, change) for name, part in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = {field.name: _mapped(getattr(value, field.name), change) for field in dataclasses.fields(value)}
        return dataclasses.replace(value, **parts)
    return value
