"""What made a file: checkpoint with hash and commit, version, seed and settings, the same in every export."""

import json
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import pandas as pd

from matgen_core import checkpoint as checkpoints

COLUMN = "provenance"


def stamp(name: str, **settings: Any) -> dict[str, Any]:
    """Return what made a result, as plain values for JSON.

    Args:
        name: The checkpoint.
        settings: What was asked of it; what is "" or None is left out.

    Returns:
        `checkpoint`, `weights_sha256` (None for a folder of a format without hashes), `commit`, `trained`, `seed` of
        the checkpoint, `version` of this software, and the settings.

    Raises:
        CheckpointError: If the folder cannot be read.
    """
    config = checkpoints.documents(name)[0]
    try:
        ours = version("matgen-explorer")
    except PackageNotFoundError:  # run from a folder without being installed
        ours = None
    return {
        "checkpoint": name,
        "weights_sha256": checkpoints.hashes(name).get("weights.safetensors"),
        **{key: config.get(key) for key in ("commit", "trained", "seed")},
        "version": ours,
        **{key: value for key, value in settings.items() if value not in ("", None)},
    }


def stamped(table: pd.DataFrame, made_by: dict[str, Any]) -> pd.DataFrame:
    """Return a table with a last column that says in JSON what made it: a CSV has no place for it but its rows."""
    return table.assign(**{COLUMN: json.dumps(made_by, ensure_ascii=False)})
