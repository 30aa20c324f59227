"""A whole checkpoint: reading it with its weights, and writing it."""

import dataclasses
import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, from_numpy, nn

from matgen_core.checkpoint.folder import (
    CAPABILITIES,
    CARD,
    CONFIG,
    FORMAT,
    HASHED,
    INDEX,
    KNOWN,
    KNOWN_OF,
    METRICS,
    WEIGHTS,
    WITHOUT_HASHES,
    CheckpointError,
    blamed,
    broken,
    documents,
    folder_of,
    names,
    read_config,
    read_if_there,
    read_part,
    root,
    verbs_of,
    verify,
)
from matgen_core.jobs.files import seals
from matgen_core.jobs.files.inputs import check_parquet, check_tensors, read_json, read_text
from matgen_core.jobs.files.outputs import whole_folder, write_text
from matgen_core.jobs.files.tables import save_parquet
from matgen_core.materials.formulas import KnownFormulas
from matgen_core.materials.levels import Level, level_of
from matgen_core.networks.arrays import tensors as tensor_files
from matgen_core.networks.models import MODELS
from matgen_core.networks.models.parts import rounding
from matgen_core.networks.models.parts.rounding import Precision
from matgen_core.representations import REPRESENTATIONS, Representation

_DESCRIBED = {"format", "model", "model_config", "representation", "representation_config", CAPABILITIES, seals.HASHES}
# What the column reconstruction_error of format 1 held, by the model.
_ERRORS_OF_FORMAT_1 = {
    "phase_field_norm": "distance_from_average",
    "phase_field_vae": "restoration",
    "ding": "wrong_counts",
    "icsg3d": "no_match",
    "icsg3d_paper": "no_match",
}
_ARRAYS = "representation."  # prefix of the representation's arrays among the weights


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
    notes: tuple[str, ...] = ()  # what whoever uses it should know of the folder that it was read from

    @property
    def level(self) -> Level:
        """What its materials are."""
        return level_of(self.provenance["level"])


def save(checkpoint: Checkpoint, folder: Path) -> None:
    """Write a checkpoint; what stood in `folder` is replaced only when everything has been written.

    Args:
        checkpoint: What to write.
        folder: The folder to write, made if it does not exist.

    Raises:
        OSError: If it cannot be written, or another command is writing it.
    """
    config = config_of(checkpoint)
    _, arrays = _split_arrays(checkpoint.representation)
    tensors = rounding.stored(checkpoint.model, checkpoint.precision)
    tensors |= {_ARRAYS + name: from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
    with whole_folder(folder) as new:
        tensor_files.write(tensors, new / WEIGHTS)
        (new / METRICS).write_text(_json(checkpoint.metrics), encoding="utf-8")
        (new / CARD).write_text(checkpoint.card, encoding="utf-8")
        if checkpoint.index is not None:
            save_parquet(checkpoint.index, new / INDEX)
        if checkpoint.known is not None:
            checkpoint.known.write(new / KNOWN)
        _seal(new, config)


def _json(values: dict[str, Any]) -> str:
    return json.dumps(values, indent=2) + "\n"


def _seal(folder: Path, config: dict[str, Any], files: Iterable[str] = HASHED) -> None:
    """Write `config.json` of the newest format for what stands in a folder; hashes of other files stay."""
    said = {"format": FORMAT, CAPABILITIES: verbs_of(MODELS[config["model"]])}
    whole = seals.sealed(config | said, CONFIG, folder, files)
    write_text(folder / CONFIG, _json(whole))


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
        OSError: If it cannot be written.
    """
    load(name)
    with _changed(name, METRICS, *(() if index is None else (INDEX,))) as new:
        (new / METRICS).write_text(_json(metrics), encoding="utf-8")
        if index is not None:
            save_parquet(index, new / INDEX)


def write_card(name: str, card: str) -> None:
    """Replace the card of a checkpoint at one stroke; weights, settings, metrics and index stay as they are.

    A folder of an older format becomes one of the newest: it gets hashes.

    Raises:
        CheckpointError: If there is no such checkpoint, or its documents cannot be used.
        OSError: If it cannot be written.
    """
    documents(name)
    with _changed(name, CARD) as new:
        (new / CARD).write_text(card, encoding="utf-8")


@contextmanager
def _changed(name: str, *files: str) -> Iterator[Path]:
    """Give a copy of a folder to replace files in; with new hashes it takes the place of the old if that ends well."""
    folder = folder_of(name)
    with whole_folder(folder) as new:
        shutil.copytree(folder, new, dirs_exist_ok=True)
        config = read_json(new / CONFIG)
        if config["format"] == 1 and (index := _read_index(new / INDEX, config)) is not None:
            save_parquet(index, new / INDEX)
        yield new
        _seal(new, config, HASHED if config["format"] in WITHOUT_HASHES else files)


def load(name: str) -> Checkpoint:
    """Read a checkpoint by its name.

    Raises:
        CheckpointError: If there is no such checkpoint, a file is missing or broken, or its format, model or
            representation is not known here.
    """
    folder = folder_of(name)
    with blamed(name):
        config = read_config(folder)
        read_part(folder / WEIGHTS, check_tensors)
        notes = verify(folder, config, *HASHED)
        known, about_known = _known_formulas(name, config)
        tensors = read_part(folder / WEIGHTS, load_file)
        model, representation = _built(folder, config, tensors)
        return Checkpoint(
            name=name,
            model_name=config["model"],
            model=model.eval(),
            representation=representation,
            metrics=read_part(folder / METRICS, read_json),
            card=read_part(folder / CARD, read_text),
            provenance={key: value for key, value in config.items() if key not in _DESCRIBED},
            index=_read_index(folder / INDEX, config),
            known=known,
            precision=rounding.precision_of(tensors),
            notes=(*notes, *about_known),
        )


def _built(folder: Path, config: dict[str, Any], tensors: dict[str, Tensor]) -> tuple[nn.Module, Representation]:
    """Make the model and the representation that the weights belong to."""
    arrays = {key.removeprefix(_ARRAYS): value.numpy() for key, value in tensors.items() if key.startswith(_ARRAYS)}
    weights = rounding.restored({key: value for key, value in tensors.items() if not key.startswith(_ARRAYS)})
    kind = MODELS[config["model"]]
    try:
        if config["format"] in WITHOUT_HASHES:  # then sizes may be any, and are looked at before memory is taken
            with torch.device("meta"):  # takes a second in a fresh process
                _build(kind.Config, config["model_config"], kind).load_state_dict(weights, strict=True, assign=True)
        model = _build(kind.Config, config["model_config"], kind)
        representation = _build(REPRESENTATIONS[config["representation"]], config["representation_config"] | arrays)
        model.load_state_dict(_like(weights, model), strict=True)
    except Exception as error:  # any class may refuse what it is given in its own way
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise broken(folder / CONFIG, f"it does not fit the weights: {line}") from error
    return model, representation


def _known_formulas(name: str, config: dict[str, Any]) -> tuple[KnownFormulas | None, tuple[str, ...]]:
    """Read the formulas that a generator was trained on; those of another checkpoint, if they stand there."""
    other = config.get(KNOWN_OF, name)
    if other == name:
        return read_if_there(root() / name / KNOWN, _read_known), ()
    try:
        if other not in names():
            raise CheckpointError(f"{other}: no such checkpoint")
        folder = folder_of(other)
        verify(folder, read_config(folder), KNOWN)
        return read_if_there(folder / KNOWN, _read_known), ()
    except CheckpointError as error:  # the broken one says it, too; this one can do all else
        return None, (f"what formulas are new is not told, since they stand in another checkpoint: {error}",)


def _read_known(path: Path) -> KnownFormulas:
    check_parquet(path)
    return KnownFormulas.read(path)


def _build(config_class: Any, values: dict[str, Any], wrap: Any = None) -> Any:
    """Make a dataclass from JSON values (lists are tuples again), and what `wrap` makes of it."""
    for name, kind in get_type_hints(config_class).items():
        if kind is int and name in values and type(values[name]) is not int:
            raise ValueError(f"{name} is {values[name]!r:.40}; a whole number is expected")
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


def _read_index(path: Path, config: dict[str, Any]) -> pd.DataFrame | None:
    index = read_if_there(path, _read_table)
    if index is None or config["format"] != 1 or "reconstruction_error" not in index:
        return index
    place = index.columns.get_loc("reconstruction_error")
    index = index.rename(columns={"reconstruction_error": "error"})
    index.insert(place + 1, "error_kind", _ERRORS_OF_FORMAT_1[config["model"]])
    return index


def _read_table(path: Path) -> pd.DataFrame:
    check_parquet(path)
    return pd.read_parquet(path)
