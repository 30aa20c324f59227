"""A training run: what it is asked for, what it leaves in its folder, and what reads that again."""

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, TypeVar

import torch
from safetensors.torch import load_file

from matgen_core.jobs.files.outputs import write_text
from matgen_core.networks.arrays import tensors

Network = TypeVar("Network", bound=torch.nn.Module)
Settings = TypeVar("Settings")
SETTINGS = "settings.json"


class Learner(Protocol):
    """A frozen dataclass of all settings of a run, which can do it.

    Attributes:
        Arrays: The class of what it learns from, one file.
        seed: Of all that is drawn.
    """

    Arrays: ClassVar[Any]

    @property
    def seed(self) -> int:
        """Seed of all that is drawn."""
        ...

    def for_run(self, device: str, minutes: float | None) -> Self:
        """Return the settings as they will be used on a device, within a limit in place of their own."""
        ...

    def learn(self, arrays: Any, folder: Path, device: str) -> None:
        """Learn, and leave config.json, weights and losses in a folder that is there."""
        ...


def learn(name: str, learner: Learner, arrays: Path, folder: Path, device: str, minutes: float | None = None) -> None:
    """Do a run: the one way to it, from the recipe of a checkpoint and on a bare machine.

    Args:
        name: Of the checkpoint that it is for.
        learner: The settings.
        arrays: The file that the recipe prepared.
        folder: Gets settings.json, config.json, weights and losses.
        device: "cpu" or "cuda".
        minutes: Limit of the whole run in place of those of the settings.

    Raises:
        ValueError: If the arrays are others than the learner's, or device, minutes or a setting cannot be used.
    """
    check(device, minutes)
    learner = learner.for_run(device, minutes)
    item = tensors.load(learner.Arrays, arrays)
    folder.mkdir(parents=True, exist_ok=True)
    write_settings(folder, name, learner, device, minutes)
    learner.learn(item, folder, device)


def check(device: str, minutes: float | None) -> None:
    """See that a run can be done on a device, within a limit.

    Raises:
        ValueError: If not.
    """
    if device not in ("cpu", "cuda"):
        raise ValueError(f"device {device!r}: expected cpu or cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device 'cuda': this machine has no GPU that torch can use; take cpu")
    if minutes is not None and not minutes > 0:
        raise ValueError(f"{minutes:g} minutes: expected a positive number")


def write_settings(folder: Path, name: str, settings: Any, device: str, minutes: float | None) -> None:
    """Note what a run is done with: a dataclass of settings as they are used, device, limit, version of torch."""
    record = {
        "name": name,
        "settings": dataclasses.asdict(settings),
        "minutes": minutes,
        "device": device,
        "processor": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "torch": torch.__version__,
    }
    write_text(folder / SETTINGS, json.dumps(record, indent=2) + "\n")


def read_settings(folder: Path, name: str) -> dict[str, Any]:
    """Return what `write_settings` noted.

    Raises:
        ValueError: If the folder holds no run, or one for another checkpoint.
    """
    path = folder / SETTINGS
    if not path.is_file():
        raise ValueError(f"{folder} holds no run: {SETTINGS} is missing")
    record: dict[str, Any] = json.loads(path.read_text())
    if record["name"] != name:
        raise ValueError(f"{folder} holds a run for {record['name']}, not for {name}")
    return record


def changed(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """Return settings with other values, which come from JSON: objects for dataclasses, lists for tuples.

    Raises:
        ValueError: If there is no such setting, or its value is of another kind.
    """
    kind = type(settings).__name__
    known = [field.name for field in dataclasses.fields(settings)]  # type: ignore[arg-type]
    found: dict[str, Any] = {}
    for name, value in changes.items():
        if name not in known:
            raise ValueError(f"{kind} has no {name}; it has {', '.join(known)}")
        present = getattr(settings, name)
        if dataclasses.is_dataclass(present):
            if not isinstance(value, Mapping):
                raise ValueError(f"{kind}.{name}: {value!r} is no object of its settings")
            found[name] = changed(present, value)
        elif isinstance(present, tuple):
            if not isinstance(value, list | tuple):
                raise ValueError(f"{kind}.{name}: {value!r} is no list")
            found[name] = _tuples(value)
        else:
            if isinstance(present, int | float) and not isinstance(value, int | float | None):
                raise ValueError(f"{kind}.{name}: {value!r} is no number")
            found[name] = value
    return dataclasses.replace(settings, **found)  # type: ignore[type-var]


def shared_out(minutes: float | None, *limits: float | None) -> tuple[float | None, ...]:
    """Share the minutes of a run out among its parts as their own limits are; without any, these stay."""
    if minutes is None:
        return limits
    factor = stretch(minutes, limits)
    return tuple(factor * limit for limit in limits if limit is not None)


def adversarial_run(learner: Any, minutes: float | None) -> Any:
    """Return the settings of a learner of one game as they will be used, on any device.

    Args:
        learner: A dataclass with the schedule `adversarial`, and `seed`.
        minutes: Limit of the run; None leaves its own.
    """
    (limit,) = shared_out(minutes, learner.adversarial.minutes)
    schedule = dataclasses.replace(learner.adversarial, seed=learner.seed, minutes=limit)
    return dataclasses.replace(learner, adversarial=schedule)


def stretch(minutes: float, limits: Sequence[float | None]) -> float:
    """By which factor the limits of the parts of a run have to grow to have this sum.

    Raises:
        ValueError: If a part has no limit.
    """
    known = [limit for limit in limits if limit is not None]
    if len(known) < len(limits):
        raise ValueError("a part of this run has no limit of its own, so minutes cannot be shared out; set its minutes")
    return minutes / sum(known)


@contextmanager
def products_in_tf32(wanted: bool) -> Iterator[None]:
    """Let a GPU multiply float32 matrices in TF32 within the block, if so wanted."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if wanted else before)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def write_config(config: Any, folder: Path) -> None:
    """Write the sizes of a network."""
    write_text(folder / "config.json", json.dumps(dataclasses.asdict(config), indent=2) + "\n")


def read_config(folder: Path) -> dict[str, Any]:
    """Return the fields of the configuration that a run left in a folder.

    Raises:
        ValueError: If it left none.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise ValueError(f"{folder} holds no finished run: config.json is missing")
    stored: dict[str, Any] = json.loads(path.read_text())
    return {key: _tuples(value) for key, value in stored.items()}


def save_weights(model: torch.nn.Module, folder: Path, stage: str = "weights") -> None:
    """Write the weights in float16."""
    tensors_ = {name: tensor.detach().half().cpu().contiguous() for name, tensor in model.state_dict().items()}
    tensors.write(tensors_, folder / f"{stage}.safetensors")


def save_exact_weights(model: torch.nn.Module, folder: Path) -> None:
    """Write the weights as they are."""
    tensors_ = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    tensors.write(tensors_, folder / "weights.safetensors")


def read_weights(model: Network, folder: Path, stage: str = "weights") -> Network:
    """Give a network the weights that a run left in a folder.

    Raises:
        ValueError: If it left none.
    """
    path = folder / f"{stage}.safetensors"
    if not path.is_file():
        raise ValueError(f"{folder} holds no finished run: {path.name} is missing")
    model.load_state_dict(load_file(path))  # into the types of the network
    return model.eval()


def losses(path: Path) -> list[dict[str, float]]:
    """Return the log of a training loop, one dict an epoch or report.

    Raises:
        ValueError: If there is none.
    """
    if not path.is_file():
        raise ValueError(f"{path.parent} holds no finished run: {path.name} is missing")
    return [json.loads(line) for line in path.read_text().splitlines()]


def last_losses(path: Path) -> dict[str, float]:
    """Return the last value of each figure in the log of a training loop."""
    return {key: value for line in losses(path) for key, value in line.items()}


def _tuples(value: Any) -> Any:
    """Tuples for the lists that JSON makes of them."""
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value
