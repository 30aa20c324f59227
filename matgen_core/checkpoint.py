"""A checkpoint is a folder that is read whole or not at all.

`weights.safetensors` holds the network's tensors and, under `representation.`, the arrays of its
representation; `config.json` says what they are; `metrics.json` and `card.md` are written by the training
run; `index.parquet` holds the training materials of a model with an encoder, and `known.parquet` the keys of the
formulas that a generator of formulas was trained on. `config.json` has the SHA-256 of each, and of itself, so that
damage is noticed. No pickle is ever read.
"""

import dataclasses
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, from_numpy, nn

from matgen_core.jobs import seals
from matgen_core.jobs.inputs import check_kinds, check_parquet, check_tensors, read_json, read_text
from matgen_core.jobs.outputs import whole_folder, write_text
from matgen_core.jobs.tables import save_parquet
from matgen_core.materials.formulas import KnownFormulas
from matgen_core.materials.levels import LEVELS, Level, level_of
from matgen_core.networks.arrays import tensors as tensor_files
from matgen_core.networks.learning import rounding
from matgen_core.networks.learning.rounding import Precision
from matgen_core.networks.models import MODELS
from matgen_core.networks.models.capabilities import VERBS
from matgen_core.representations import REPRESENTATIONS, Representation

FORMAT = 3
_READ = (1, 2, FORMAT)  # formats that `load` takes
_WITHOUT_HASHES = (1, 2)
NO_HASHES = "no hashes: damage would not be noticed"
_CONFIG, _WEIGHTS, _METRICS, _CARD = "config.json", "weights.safetensors", "metrics.json", "card.md"
_INDEX, _KNOWN = "index.parquet", "known.parquet"
_HASHED = (_WEIGHTS, _METRICS, _CARD, _INDEX, _KNOWN)
_KNOWN_OF = "known_of"  # in config.json: the checkpoint whose known formulas these are
_DESCRIBED = {"format", "model", "model_config", "representation", "representation_config", seals.HASHES}
# What lists and pages read of metrics, and what it is, where it is there.
_FIGURES: dict[str, Any] = {
    "headline": {"figure": str, "ours": str, "paper": str},
    "reconstruction": {},
    "evidence": {},
    "baselines": {},
    "bank": {"n_samples": int, "seed": int},
    "maps": {},
    "test": {},
}
_OF_SCORERS = {"explained_variance": float, "decoder_spread": float, "active_dimensions": int}
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
    notes: tuple[str, ...] = ()  # what whoever uses it should know of the folder that it was read from

    @property
    def level(self) -> Level:
        """What its materials are."""
        return level_of(self.provenance["level"])


def root() -> Path:
    """Return the folder that holds the checkpoints: $MATGEN_CHECKPOINTS or `checkpoints` of this project."""
    return Path(os.environ.get("MATGEN_CHECKPOINTS") or Path(__file__).parent.parent / "checkpoints")


def names() -> list[str]:
    """Return the names of the checkpoints present, sorted; those that are broken count, too."""
    try:
        return sorted(name for name in os.listdir(root()) if name[:1] != "." and _is_one(root() / name))
    except OSError:
        return []


def _is_one(folder: Path) -> bool:
    try:
        return not {_CONFIG, _WEIGHTS}.isdisjoint(os.listdir(folder))
    except NotADirectoryError:
        return False
    except OSError:  # no right to look, a link to nowhere: a line says so
        return True


def fingerprint(name: str) -> tuple[Any, ...]:
    """Return what changes when the folder of a checkpoint does: the name, time, size and number of each file.

    That of a folder that is gone is empty. A checkpoint that reads the formulas of another changes with it.
    """
    found = _state(root() / name)
    other = _known_of(root() / name / _CONFIG, found)
    return found if other in (None, name) else (*found, *_state(root() / str(other)))


def _state(folder: Path) -> tuple[Any, ...]:
    try:
        files = sorted(os.listdir(folder))
        found = [(name, os.stat(path) if os.path.exists(path := folder / name) else os.lstat(path)) for name in files]
    except OSError:
        return ()
    return (str(folder), *((name, it.st_mtime_ns, it.st_ctime_ns, it.st_size, it.st_ino) for name, it in found))


@lru_cache(maxsize=200)
def _known_of(path: Path, state: tuple[Any, ...]) -> Any:
    """Return which other checkpoint holds the known formulas of one; `state` is that of its folder."""
    try:
        return read_json(path).get(_KNOWN_OF)
    except (OSError, ValueError):
        return None


def has_map(name: str) -> bool:
    """Tell whether a checkpoint carries materials with their latent points; the file's list of columns is all read."""
    try:
        check_parquet(root() / name / _INDEX)
        return "z" in pq.read_schema(root() / name / _INDEX).names
    except Exception:  # no such file, or a broken one, of which `load` tells; what it raises depends on where it breaks
        return False


@contextmanager
def blamed(name: str) -> Iterator[None]:
    """Make of whatever goes wrong with what a folder holds an error that names the folder, in one line.

    Nobody can list what a broken file leads to, and one folder shall not break what has to do with others.

    Raises:
        CheckpointError: In place of any other exception.
    """
    try:
        yield
    except CheckpointError:
        raise
    except Exception as error:
        line = (str(error).splitlines() or [""])[0][:200]
        raise CheckpointError(
            f"{root() / name}: what it holds cannot be used ({type(error).__name__}: {line}); {_mend(root() / name)}"
        ) from error


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
        tensor_files.write(tensors, new / _WEIGHTS)
        (new / _METRICS).write_text(_json(checkpoint.metrics), encoding="utf-8")
        (new / _CARD).write_text(checkpoint.card, encoding="utf-8")
        if checkpoint.index is not None:
            save_parquet(checkpoint.index, new / _INDEX)
        if checkpoint.known is not None:
            checkpoint.known.write(new / _KNOWN)
        _seal(new, config)


def _json(values: dict[str, Any]) -> str:
    return json.dumps(values, indent=2) + "\n"


def _seal(folder: Path, config: dict[str, Any], files: Iterable[str] = _HASHED) -> None:
    """Write `config.json` of the newest format for what stands in a folder; hashes of other files stay."""
    whole = seals.sealed(config | {"format": FORMAT}, _CONFIG, folder, files)
    write_text(folder / _CONFIG, _json(whole))


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
    with _changed(name, _METRICS, *(() if index is None else (_INDEX,))) as new:
        (new / _METRICS).write_text(_json(metrics), encoding="utf-8")
        if index is not None:
            save_parquet(index, new / _INDEX)


def write_card(name: str, card: str) -> None:
    """Replace the card of a checkpoint at one stroke; weights, settings, metrics and index stay as they are.

    A folder of an older format becomes one of the newest: it gets hashes.

    Raises:
        CheckpointError: If there is no such checkpoint, or its documents cannot be used.
        OSError: If it cannot be written.
    """
    documents(name)
    with _changed(name, _CARD) as new:
        (new / _CARD).write_text(card, encoding="utf-8")


@contextmanager
def _changed(name: str, *files: str) -> Iterator[Path]:
    """Give a copy of a folder to replace files in; with new hashes it takes the place of the old if that ends well."""
    folder = _folder(name)
    with whole_folder(folder) as new:
        shutil.copytree(folder, new, dirs_exist_ok=True)
        config = read_json(new / _CONFIG)
        if config["format"] == 1 and (index := _read_index(new / _INDEX, config)) is not None:
            save_parquet(index, new / _INDEX)
        yield new
        _seal(new, config, _HASHED if config["format"] in _WITHOUT_HASHES else files)


def documents(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read `config.json`, without its hashes, and `metrics.json` of a checkpoint, without its weights.

    Raises:
        CheckpointError: If there is no such checkpoint, or one of the two is missing, broken or of another format.
    """
    folder = _folder(name)
    with blamed(name):
        config = _config(folder)
        _verify(folder, config, _METRICS)
        return {key: value for key, value in config.items() if key != seals.HASHES}, _read(folder / _METRICS, read_json)


def load(name: str) -> Checkpoint:
    """Read a checkpoint by its name.

    Raises:
        CheckpointError: If there is no such checkpoint, a file is missing or broken, or its format, model or
            representation is not known here.
    """
    folder = _folder(name)
    with blamed(name):
        config = _config(folder)
        _read(folder / _WEIGHTS, check_tensors)
        notes = _verify(folder, config, *_HASHED)
        known, about_known = _known_formulas(name, config)
        tensors = _read(folder / _WEIGHTS, load_file)
        model, representation = _built(folder, config, tensors)
        return Checkpoint(
            name=name,
            model_name=config["model"],
            model=model.eval(),
            representation=representation,
            metrics=_read(folder / _METRICS, read_json),
            card=_read(folder / _CARD, read_text),
            provenance={key: value for key, value in config.items() if key not in _DESCRIBED},
            index=_read_index(folder / _INDEX, config),
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
        if config["format"] in _WITHOUT_HASHES:  # then sizes may be any, and are looked at before memory is taken
            with torch.device("meta"):  # takes a second in a fresh process
                _build(kind.Config, config["model_config"], kind).load_state_dict(weights, strict=True, assign=True)
        model = _build(kind.Config, config["model_config"], kind)
        representation = _build(REPRESENTATIONS[config["representation"]], config["representation_config"] | arrays)
        model.load_state_dict(_like(weights, model), strict=True)
    except Exception as error:  # any class may refuse what it is given in its own way
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise _broken(folder / _CONFIG, f"it does not fit the weights: {line}") from error
    return model, representation


def _known_formulas(name: str, config: dict[str, Any]) -> tuple[KnownFormulas | None, tuple[str, ...]]:
    """Read the formulas that a generator was trained on; those of another checkpoint, if they stand there."""
    other = config.get(_KNOWN_OF, name)
    if other == name:
        return _read_if_there(root() / name / _KNOWN, _read_known), ()
    try:
        if other not in names():
            raise CheckpointError(f"{other}: no such checkpoint")
        folder = _folder(other)
        _verify(folder, _config(folder), _KNOWN)
        return _read_if_there(folder / _KNOWN, _read_known), ()
    except CheckpointError as error:  # the broken one says it, too; this one can do all else
        return None, (f"what formulas are new is not told, since they stand in another checkpoint: {error}",)


def _read_known(path: Path) -> KnownFormulas:
    check_parquet(path)
    return KnownFormulas.read(path)


def _folder(name: str) -> Path:
    if name not in names():
        known = ", ".join(names()) or "none"
        raise CheckpointError(f"{name}: no such checkpoint in {root()}; present: {known}")
    return root() / name


def _config(folder: Path) -> dict[str, Any]:
    """Read `config.json`; what every checkpoint has is of the right kind."""
    config = _read(folder / _CONFIG, read_json)
    if config.get("format") not in _READ:
        raise CheckpointError(
            f"{folder}: format {config.get('format')}, but this version reads formats 1, 2 and 3;"
            f" retrain it with: matgen train {folder.name}"
        )
    for key, known in (("model", MODELS), ("representation", REPRESENTATIONS)):
        if not isinstance(config.get(key), str) or config[key] not in known:
            raise CheckpointError(f"{folder}: unknown {key} {config.get(key)!r:.80}; known: {', '.join(sorted(known))}")
    _read(folder / _CONFIG, lambda _: check_kinds(config, {"title": str, "system": str, "level": str}))
    if config["level"] not in {level.key for level in LEVELS}:
        raise _broken(folder / _CONFIG, f"its level is {config['level']!r:.80}")
    for key, kind in (("model_config", dict), ("representation_config", dict), ("datasets", dict), (_KNOWN_OF, str)):
        if not isinstance(config.get(key, kind()), kind):
            raise _broken(folder / _CONFIG, f"its {key} is {config[key]!r:.80}")
    return config


def _verify(folder: Path, config: dict[str, Any], *files: str) -> tuple[str, ...]:
    """Hold files against the hashes of `config.json`, and that against its own.

    Returns:
        A note if there are no hashes, as in older formats.

    Raises:
        CheckpointError: If one is not what was written.
    """
    if config["format"] in _WITHOUT_HASHES and seals.HASHES not in config:
        return (NO_HASHES,)
    for name in (_CONFIG, *files):
        try:
            seals.check(config, _CONFIG, folder, [] if name == _CONFIG else [name])
        except seals.SealError as error:
            raise _broken(folder / error.file, f"{error}; put back the whole folder") from error
        except (OSError, ValueError) as error:
            raise _broken(folder / name, error) from error
    return ()


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


def _mend(folder: Path) -> str:
    return f"retrain it with: matgen train {folder.name}"


def _broken(path: Path, why: object) -> CheckpointError:
    return CheckpointError(f"{path.parent}: {path.name} cannot be used ({why}); {_mend(path.parent)}")


def _read(path: Path, read: Callable[[Path], _Part]) -> _Part:
    """Read a file; whatever goes wrong is a line that names it."""
    try:
        return read(path)
    except Exception as error:  # a broken file may lead to any: SafetensorError, ArrowException, RecursionError, ...
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise _broken(path, (why.splitlines() or [type(error).__name__])[0]) from error


def _read_index(path: Path, config: dict[str, Any]) -> pd.DataFrame | None:
    index = _read_if_there(path, _read_table)
    if index is None or config["format"] != 1 or "reconstruction_error" not in index:
        return index
    place = index.columns.get_loc("reconstruction_error")
    index = index.rename(columns={"reconstruction_error": "error"})
    index.insert(place + 1, "error_kind", _ERRORS_OF_FORMAT_1[config["model"]])
    return index


def _read_table(path: Path) -> pd.DataFrame:
    check_parquet(path)
    return pd.read_parquet(path)


def _read_if_there(path: Path, read: Callable[[Path], _Part]) -> _Part | None:
    return _read(path, read) if os.path.lexists(path) else None


def summary(name: str) -> dict[str, Any]:
    """Return what a list of checkpoints shows, without reading the weights.

    Returns:
        name, title, system, level, capabilities (verbs of the model), headline (figure, ours, paper, unit), notes.

    Raises:
        CheckpointError: If there is no such checkpoint or it cannot be used.
    """
    folder = _folder(name)
    with blamed(name):
        config = _config(folder)
        notes = _verify(folder, config, _METRICS, _CARD, _INDEX, _KNOWN)
        _read_if_there(folder / _INDEX, check_parquet)
        metrics = _read(folder / _METRICS, read_json)
        can = [verb for verb, able in VERBS.items() if issubclass(MODELS[config["model"]], able)]
        needed = {"headline"} | ({"reconstruction"} if "score" in can else set())
        shown = _FIGURES | ({"reconstruction": _OF_SCORERS} if "score" in can else {})
        expected = {key: kind for key, kind in shown.items() if key in needed | metrics.keys()}
        _read(folder / _METRICS, lambda _: check_kinds(metrics, expected))
        return {
            "name": name,
            "title": config["title"],
            "system": config["system"],
            "level": config["level"],
            "capabilities": can,
            "headline": metrics["headline"],
            "notes": list(notes),
        }


def summaries() -> tuple[list[dict[str, Any]], list[str]]:
    """Return the summary of each checkpoint, and a line for each that cannot be used."""
    good, broken = [], []
    for name in names():
        try:
            good.append(summary(name))
        except CheckpointError as error:
            broken.append(str(error))
    return good, broken
