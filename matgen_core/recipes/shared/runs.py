"""What every recipe does round a training run: where it is kept, and what made it."""

import dataclasses
import os
import subprocess
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from matgen_core.data import Dataset

ARRAYS = "arrays.safetensors"  # what a run of `matgen train` learns from, in its folder


def cache() -> Path:
    """Return the folder that keeps arrays and what a run leaves."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "matgen-explorer" / "crystals"


def provenance(
    recipe: str,
    seed: int,
    *datasets: Dataset,
    run: Mapping[str, Any],
    counted: Iterable[Dataset] = (),
    settings: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Say what made a checkpoint: recipe, data with hashes and rows, the run and its settings, commit, seed, day.

    Args:
        recipe: Its name.
        seed: Of everything random.
        datasets: What is named with its hash.
        run: What `runs.read_settings` says of the run.
        counted: What is named with its rows, where that is more than `datasets`: all parts of a split.
        settings: In place of those of the run, where the card tells more.
    """
    return {
        "recipe": recipe,
        "seed": seed,
        "datasets": {dataset.name: dataset.sha256 for dataset in datasets},
        "rows": {dataset.name: len(dataset) for dataset in tuple(counted) or datasets},
        "settings": dict(run["settings"] if settings is None else settings),
        "commit": _commit(),
        "trained": datetime.now(UTC).date().isoformat(),
        "run": {key: value for key, value in run.items() if key != "settings"},
    }


def settings_of(recipe: Any, *fields: str) -> dict[str, Any]:
    """Return fields of a recipe as JSON can hold them; a dataclass among them becomes a dict."""
    values = {name: getattr(recipe, name) for name in fields}
    return {
        name: dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else value
        for name, value in values.items()
    }


def _commit() -> str:
    """Return the commit of the source tree, with "-dirty" if files differ from it, or "unknown"."""
    try:
        return subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def measured(apart: Mapping[str, Callable[[], Any]]) -> dict[str, Any]:
    """Measure the figures that a recipe measures by themselves; NaN becomes None."""
    return {name: without_nan(measure()) for name, measure in apart.items()}


def without_nan(figures: Any) -> Any:
    """Put None for every NaN, which JSON does not know."""
    if isinstance(figures, dict):
        return {key: without_nan(value) for key, value in figures.items()}
    if isinstance(figures, list):
        return [without_nan(value) for value in figures]
    return None if isinstance(figures, float) and np.isnan(figures) else figures
