"""A checkpoint is a folder that is read whole or not at all.

`weights.safetensors` holds the network's tensors and, under `representation.`, the arrays of its
representation; `config.json` says what they are; `metrics.json` and `card.md` are written by the training
run; `index.parquet` holds the training materials of a model with an encoder, and `known.parquet` the keys of the
formulas that a generator of formulas was trained on. No pickle is ever read.
"""

import dataclasses
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, from_numpy, nn

from matgen_core.materials.known import KnownFormulas
from matgen_core.materials.levels import Level, level_of
from matgen_core.networks.learning import rounding
from matgen_core.networks.learning.rounding import Precision
from matgen_core.networks.models import MODELS
from matgen_core.networks.models.capabilities import VERBS
from matgen_core.representations import REPRESENTATIONS, Representation

FORMAT = 2
_READ = (1, FORMAT)  # formats that `load` takes
# What the column reconstruction_error of format 1 held, by the model.
_ERRORS_OF_FORMAT_1 = {
    "phase_field_norm": "distance_from_average",
    "phase_field_vae": "restoration",
    "ding": "wrong_counts",
    "icsg3d": "no_match",
    "icsg3d_paper": "no_match",
}
_ARRAYS = "representation."  # prefix of the representation's arrays among the weights
_Part = TypeVar("_Part")  # a file that not every checkpoint has


class CheckpointError(Exception):
    """A checkpoint folder that cannot be used; the message says what is wrong and what to do."""


@dataclass(frozen=True)
class Checkpoint:
    """A trained model with everything that is needed to use and to judge it."""

    name: str
    model_name: str
    model: nn.Module
    representation: Representation
    metrics: dict[str, Any]
    card: str
    provenance: dict[str, Any] = field(default_factory=dict)  # data set, its hash, commit, seed, recipe
    index: pd.DataFrame | None = None
    known: KnownFormulas | None = None  # training formulas of a generator of formulas
    precision: Precision = "exact"  # how the weights are stored; they are rounded when they are written

    @property
    def level(self) -> Level:
        """What its materials are."""
        return level_of(self.provenance["level"])


def root() -> Path:
    """Return the folder that holds the checkpoints: $MATGEN_CHECKPOINTS or `checkpoints` of this project."""
    return Path(os.environ.get("MATGEN_CHECKPOINTS") or Path(__file__).parent.parent / "checkpoints")


def names() -> list[str]:
    """Return the names of the checkpoints present, sorted."""
    return sorted(path.parent.name for path in root().glob("*/config.json"))


def has_map(name: str) -> bool:
    """Tell whether a checkpoint carries materials with their latent points; the file's list of columns is all read."""
    try:
        return "z" in pq.read_schema(root() / name / "index.parquet").names
    except (OSError, ValueError):  # no such file, or a broken one, of which `load` tells
        return False


def save(checkpoint: Checkpoint, folder: Path) -> None:
    """Write a checkpoint; what stood in `folder` is replaced only when everything has been written.

    Args:
        checkpoint: What to write.
        folder: The folder to write, made if it does not exist.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    config = config_of(checkpoint)
    _, arrays = _split_arrays(checkpoint.representation)
    tensors = rounding.stored(checkpoint.model, checkpoint.precision)
    tensors |= {_ARRAYS + name: from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".writing-") as temporary:
        new = Path(temporary) / folder.name
        new.mkdir()
        save_file(tensors, new / "weights.safetensors")
        (new / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        (new / "metrics.json").write_text(json.dumps(checkpoint.metrics, indent=2) + "\n")
        (new / "card.md").write_text(checkpoint.card)
        if checkpoint.index is not None:
            checkpoint.index.to_parquet(new / "index.parquet", index=False, compression="zstd")
        if checkpoint.known is not None:
            checkpoint.known.write(new / "known.parquet")
        if folder.exists():
            folder.rename(Path(temporary) / "replaced")
        shutil.move(new, folder)


def config_of(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return what `config.json` holds of a checkpoint."""
    representation_config, _ = _split_arrays(checkpoint.representation)
    return {
        "format": FORMAT,
        "model": checkpoint.model_name,
        "model_config": dataclasses.asdict(checkpoint.model.config),  # type: ignore[call-overload]
        "representation": _name_of(checkpoint.representation),
        "representation_config": representation_config,
        **checkpoint.provenance,
    }


def amend(name: str, metrics: dict[str, Any], index: pd.DataFrame | None = None) -> None:
    """Replace the metrics of a checkpoint, and its index if one is given; all else stays byte for byte.

    Raises:
        CheckpointError: If there is no such checkpoint or it cannot be used.
    """
    load(name)
    folder = root() / name
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".writing-") as temporary:
        new = Path(temporary) / name
        shutil.copytree(folder, new)
        (new / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
        if index is not None:
            index.to_parquet(new / "index.parquet", index=False, compression="zstd")
        folder.rename(Path(temporary) / "replaced")
        shutil.move(new, folder)


def write_card(name: str, card: str) -> None:
    """Replace the card of a checkpoint at one stroke; everything else stays byte for byte.

    Raises:
        CheckpointError: If there is no such checkpoint.
    """
    folder = _folder(name)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".writing-") as temporary:
        new = Path(temporary) / "card.md"
        new.write_text(card)
        new.replace(folder / "card.md")


def documents(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read `config.json` and `metrics.json` of a checkpoint, without its weights.

    Raises:
        CheckpointError: If there is no such checkpoint, or one of the two is missing, broken or of another format.
    """
    folder = _folder(name)
    config = _read_json(folder / "config.json")
    _check(folder, config)
    return config, _read_json(folder / "metrics.json")


def load(name: str) -> Checkpoint:
    """Read a checkpoint by its name.

    Raises:
        CheckpointError: If there is no such checkpoint, a file is missing or broken, or its format, model or
            representation is not known here.
    """
    folder = _folder(name)
    config = _read_json(folder / "config.json")
    _check(folder, config)
    try:
        tensors = load_file(folder / "weights.safetensors")
    except (OSError, SafetensorError) as error:
        raise _broken(folder / "weights.safetensors", error) from error
    arrays = {key.removeprefix(_ARRAYS): tensors.pop(key).numpy() for key in list(tensors) if key.startswith(_ARRAYS)}
    try:
        model = _build(MODELS[config["model"]].Config, config["model_config"], MODELS[config["model"]])
        representation_class = REPRESENTATIONS[config["representation"]]
        representation = _build(representation_class, config["representation_config"] | arrays)
        model.load_state_dict(_like(rounding.restored(tensors), model), strict=True)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        line = str(error).splitlines()[0]
        raise _broken(folder / "config.json", f"it does not fit the weights: {line}") from error
    described = {"format", "model", "model_config", "representation", "representation_config"}
    return Checkpoint(
        name=name,
        model_name=config["model"],
        model=model.eval(),
        representation=representation,
        metrics=_read_json(folder / "metrics.json"),
        card=_read_text(folder / "card.md"),
        provenance={key: value for key, value in config.items() if key not in described},
        index=_read_index(folder / "index.parquet", config),
        known=_read_if_there(root() / config.get("known_of", name) / "known.parquet", KnownFormulas.read),
        precision=rounding.precision_of(tensors),
    )


def _folder(name: str) -> Path:
    if name not in names():
        known = ", ".join(names()) or "none"
        raise CheckpointError(f"{name}: no such checkpoint in {root()}; present: {known}")
    return root() / name


def _check(folder: Path, config: dict[str, Any]) -> None:
    if config.get("format") not in _READ:
        raise CheckpointError(
            f"{folder}: format {config.get('format')}, but this version reads formats {' and '.join(map(str, _READ))};"
            f" retrain it with: matgen train {folder.name}"
        )
    for key, known in (("model", MODELS), ("representation", REPRESENTATIONS)):
        if config.get(key) not in known:
            raise CheckpointError(f"{folder}: unknown {key} {config.get(key)!r}; known: {', '.join(sorted(known))}")


def _build(config_class: Any, values: dict[str, Any], wrap: Any = None) -> Any:
    """Make a dataclass from JSON values (lists are tuples again), and what `wrap` makes of it."""
    made = config_class(**{key: _tuples(value) for key, value in values.items()})
    return wrap(made) if wrap else made


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _like(tensors: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Weights may be stored in float16; the network computes in the type that it was built with."""
    dtypes = {name: tensor.dtype for name, tensor in model.state_dict().items()}
    return {name: tensor.to(dtypes.get(name, tensor.dtype)) for name, tensor in tensors.items()}


def _split_arrays(representation: Any) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    values = {item.name: getattr(representation, item.name) for item in dataclasses.fields(representation)}
    arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
    return {name: value for name, value in values.items() if name not in arrays}, arrays


def _name_of(representation: Any) -> str:
    return next(name for name, known in REPRESENTATIONS.items() if known is type(representation))


def _broken(path: Path, why: object) -> CheckpointError:
    return CheckpointError(
        f"{path.parent}: {path.name} cannot be used ({why}); retrain it with: matgen train {path.parent.name}"
    )


def _read_text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise _broken(path, error) from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(_read_text(path))
    except json.JSONDecodeError as error:
        raise _broken(path, error) from error
    if not isinstance(values, dict):
        raise _broken(path, "it holds no JSON object")
    return values


def _read_index(path: Path, config: dict[str, Any]) -> pd.DataFrame | None:
    index = _read_if_there(path, pd.read_parquet)
    if index is None or config["format"] == FORMAT or "reconstruction_error" not in index:
        return index
    place = index.columns.get_loc("reconstruction_error")
    index = index.rename(columns={"reconstruction_error": "error"})
    index.insert(place + 1, "error_kind", _ERRORS_OF_FORMAT_1[config["model"]])
    return index


def _read_if_there(path: Path, read: Callable[[Path], _Part]) -> _Part | None:
    if not path.exists():
        return None
    try:
        return read(path)
    except (OSError, ValueError) as error:
        raise _broken(path, error) from error


def summary(name: str) -> dict[str, Any]:
    """Return what a list of checkpoints shows, without reading the weights.

    Returns:
        name, title, system, level, capabilities (verbs of the model), headline (figure, ours, paper, unit).

    Raises:
        CheckpointError: If there is no such checkpoint or it cannot be used.
    """
    folder = root() / name
    config, metrics = _read_json(folder / "config.json"), _read_json(folder / "metrics.json")
    _check(folder, config)
    return {
        "name": name,
        "title": config["title"],
        "system": config["system"],
        "level": config["level"],
        "capabilities": [verb for verb, able in VERBS.items() if issubclass(MODELS[config["model"]], able)],
        "headline": metrics["headline"],
    }
