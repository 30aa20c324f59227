"""The folder of a checkpoint: what there is, what its documents say, and one line for whatever is broken in it.

No weights are read here, and nothing is imported that computes.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from matgen_core.checkpoint.renamed import RENAMED
from matgen_core.jobs.files import seals
from matgen_core.jobs.files.inputs import check_kinds, check_parquet, read_json
from matgen_core.materials.levels import LEVELS
from matgen_core.networks.models import MODELS
from matgen_core.representations import REPRESENTATIONS

FORMAT = 3
_READ = (1, 2, FORMAT)  # formats that `load` takes
WITHOUT_HASHES = (1, 2)
NO_HASHES = "no hashes: damage would not be noticed"
CONFIG, WEIGHTS, METRICS, CARD = "config.json", "weights.safetensors", "metrics.json", "card.md"
INDEX, KNOWN = "index.parquet", "known.parquet"
HASHED = (WEIGHTS, METRICS, CARD, INDEX, KNOWN)
KNOWN_OF = "known_of"  # in config.json: the checkpoint whose known formulas these are
CAPABILITIES = "capabilities"  # in config.json: what its model can do
_LONGEST = 300  # letters of what is wrong with a file
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
Part = TypeVar("Part")  # a file that not every checkpoint has


class CheckpointError(Exception):
    """A checkpoint folder that cannot be used; the message says what is wrong and what to do."""


def root() -> Path:
    """Return the folder that holds the checkpoints: $MATGEN_CHECKPOINTS or `checkpoints` of this project."""
    return Path(os.environ.get("MATGEN_CHECKPOINTS") or Path(__file__).parents[2] / "checkpoints")


def names() -> list[str]:
    """Return the names of the checkpoints present, sorted; those that are broken count, too."""
    try:
        return sorted(name for name in os.listdir(root()) if name[:1] != "." and _is_one(root() / name))
    except OSError:
        return []


def _is_one(folder: Path) -> bool:
    try:
        return not {CONFIG, WEIGHTS}.isdisjoint(os.listdir(folder))
    except NotADirectoryError:
        return False
    except OSError:  # no right to look, a link to nowhere: a line says so
        return True


def fingerprint(name: str) -> tuple[Any, ...]:
    """Return what changes when the folder of a checkpoint does: the name, time, size and number of each file.

    That of a folder that is gone is empty. A checkpoint that reads the formulas of another changes with it.
    """
    found = _state(root() / name)
    other = _known_of(root() / name / CONFIG, found)
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
        return read_json(path).get(KNOWN_OF)
    except (OSError, ValueError):
        return None


def has_map(name: str) -> bool:
    """Tell whether a checkpoint carries materials with their latent points; the file's list of columns is all read."""
    try:
        import pyarrow.parquet as pq

        check_parquet(root() / name / INDEX)
        return "z" in pq.read_schema(root() / name / INDEX).names
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
            f"{root() / name}: what it holds cannot be used ({type(error).__name__}: {line}); {mend(root() / name)}"
        ) from error


def documents(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read `config.json`, without its hashes, and `metrics.json` of a checkpoint, without its weights.

    Raises:
        CheckpointError: If there is no such checkpoint, or one of the two is missing, broken or of another format.
    """
    folder = folder_of(name)
    with blamed(name):
        config = read_config(folder)
        verify(folder, config, METRICS)
        facts = {key: value for key, value in config.items() if key != seals.HASHES}
        return facts, read_part(folder / METRICS, read_json)


def hashes(name: str) -> dict[str, str]:
    """Return the SHA-256 of the files of a checkpoint as its `config.json` holds them; none in formats 1 and 2.

    Raises:
        CheckpointError: If there is no such checkpoint, or its `config.json` is missing or broken.
    """
    folder = folder_of(name)
    with blamed(name):
        return dict(read_config(folder).get(seals.HASHES) or {})


def folder_of(name: str) -> Path:
    """Return the folder of a checkpoint.

    Raises:
        CheckpointError: If there is no such checkpoint.
    """
    if name not in names():
        known = ", ".join(names()) or "none"
        now = f"; it is called {RENAMED[name]} now" if name in RENAMED else ""
        raise CheckpointError(f"{name}: no such checkpoint in {root()}{now}; present: {known}")
    return root() / name


def read_config(folder: Path) -> dict[str, Any]:
    """Read `config.json`; what every checkpoint has is of the right kind."""
    config = read_part(folder / CONFIG, read_json)
    if config.get("format") not in _READ:
        raise CheckpointError(
            f"{folder}: format {config.get('format')!r:.40}, but this version reads formats 1, 2 and 3;"
            f" retrain it with: matgen train {folder.name}"
        )
    for key, known in (("model", MODELS), ("representation", REPRESENTATIONS)):
        if not isinstance(config.get(key), str) or config[key] not in known:
            raise CheckpointError(f"{folder}: unknown {key} {config.get(key)!r:.80}; known: {', '.join(sorted(known))}")
    read_part(folder / CONFIG, lambda _: check_kinds(config, {"title": str, "system": str, "level": str}))
    if config["level"] not in {level.key for level in LEVELS}:
        raise broken(folder / CONFIG, f"its level is {config['level']!r:.80}")
    parts = {"model_config": dict, "representation_config": dict, "datasets": dict, KNOWN_OF: str, CAPABILITIES: list}
    for key, kind in parts.items():
        if not isinstance(config.get(key, kind()), kind):
            raise broken(folder / CONFIG, f"its {key} is {config[key]!r:.80}")
    return config


def verify(folder: Path, config: dict[str, Any], *files: str) -> tuple[str, ...]:
    """Hold files against the hashes of `config.json`, and that against its own.

    Returns:
        A note if there are no hashes, as in older formats.

    Raises:
        CheckpointError: If one is not what was written.
    """
    if config["format"] in WITHOUT_HASHES and seals.HASHES not in config:
        return (NO_HASHES,)
    for name in (CONFIG, *files):
        try:
            seals.check(config, CONFIG, folder, [] if name == CONFIG else [name])
        except seals.SealError as error:
            raise broken(folder / error.file, f"{error}; put back the whole folder") from error
        except (OSError, ValueError) as error:
            raise broken(folder / name, error) from error
    return ()


def mend(folder: Path) -> str:
    """Say how a folder is made anew."""
    return f"retrain it with: matgen train {folder.name}"


def broken(path: Path, why: object) -> CheckpointError:
    """Return the error for a file that cannot be used, one line."""
    reason = " ".join(str(why).split())
    reason = reason if len(reason) <= _LONGEST else f"{reason[:_LONGEST]} …"
    return CheckpointError(f"{path.parent}: {path.name} cannot be used ({reason}); {mend(path.parent)}")


def read_part(path: Path, read: Callable[[Path], Part]) -> Part:
    """Read a file; whatever goes wrong is a line that names it."""
    try:
        return read(path)
    except Exception as error:  # a broken file may lead to any: SafetensorError, ArrowException, RecursionError, ...
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise broken(path, (why.splitlines() or [type(error).__name__])[0]) from error


def read_if_there(path: Path, read: Callable[[Path], Part]) -> Part | None:
    """Read a file that not every checkpoint has; None where it is not."""
    return read_part(path, read) if os.path.lexists(path) else None


def verbs_of(model: type) -> list[str]:
    """Return what a class of models can do: encode, decode, score, predict."""
    from matgen_core.networks.models.capabilities import VERBS

    return [verb for verb, able in VERBS.items() if issubclass(model, able)]


def summary(name: str) -> dict[str, Any]:
    """Return what a list of checkpoints shows, without reading the weights.

    Returns:
        name, title, system, level, capabilities (verbs of the model), headline (figure, ours, paper, unit), notes.

    Raises:
        CheckpointError: If there is no such checkpoint or it cannot be used.
    """
    folder = folder_of(name)
    with blamed(name):
        config = read_config(folder)
        notes = verify(folder, config, METRICS, CARD, INDEX, KNOWN)
        read_if_there(folder / INDEX, check_parquet)
        metrics = read_part(folder / METRICS, read_json)
        can = config.get(CAPABILITIES) or verbs_of(MODELS[config["model"]])
        needed = {"headline"} | ({"reconstruction"} if "score" in can else set())
        shown = _FIGURES | ({"reconstruction": _OF_SCORERS} if "score" in can else {})
        expected = {key: kind for key, kind in shown.items() if key in needed | metrics.keys()}
        read_part(folder / METRICS, lambda _: check_kinds(metrics, expected))
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
    good, bad = [], []
    for name in names():
        try:
            good.append(summary(name))
        except CheckpointError as error:
            bad.append(str(error))
    return good, bad
