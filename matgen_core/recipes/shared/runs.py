"""What every recipe does round a training run: where it is kept, and what made it."""

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from matgen_core.data import Dataset

ARRAYS = "arrays.safetensors"  # what a run of `matgen train` learns from, in its folder


def cache() -> Path:
    """Return the folder that keeps arrays and what a run leaves."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "matgen-explorer" / "crystals"


def provenance(recipe: str, seed: int, *datasets: Dataset, run: dict[str, Any]) -> dict[str, Any]:
    """Say what made a checkpoint: recipe, data with hashes, commit, seed, day, and the settings of its run."""
    return {
        "recipe": recipe,
        "seed": seed,
        "datasets": {dataset.name: dataset.sha256 for dataset in datasets},
        "commit": _commit(),
        "trained": datetime.now(UTC).date().isoformat(),
        "run": run,
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


def without_nan(figures: Any) -> Any:
    """Put None for every NaN, which JSON does not know."""
    if isinstance(figures, dict):
        return {key: without_nan(value) for key, value in figures.items()}
    if isinstance(figures, list):
        return [without_nan(value) for value in figures]
    return None if isinstance(figures, float) and np.isnan(figures) else figures
