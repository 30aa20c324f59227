"""What made a table, written into the table itself: a file that is passed on still says where it is from."""

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import pandas as pd

from matgen_core import checkpoint as checkpoints

MADE_BY, VERSIONS, SETTINGS = "made_by", "made_by_versions", "made_with"
_SHOWN = 12  # letters of a hash: enough to tell folders apart


def origin(models: Sequence[str], settings: Mapping[str, Any]) -> dict[str, str]:
    """Say which models made something, in which version, and with what settings.

    Args:
        models: Names of the checkpoints.
        settings: All that was chosen, the seed among it; JSON can write it.

    Returns:
        made_by, made_by_versions (of the app; of each checkpoint the commit that trained it and the first letters of
        the SHA-256 of its settings and of its weights), made_with (the settings as JSON).
    """
    return {
        MADE_BY: ", ".join(models),
        VERSIONS: "; ".join([f"MatGen Explorer {version('matgen-explorer')}", *map(checkpoint_version, models)]),
        SETTINGS: json.dumps(settings, ensure_ascii=False, sort_keys=True),
    }


def with_origin(table: pd.DataFrame, models: Sequence[str], settings: Mapping[str, Any]) -> pd.DataFrame:
    """Add `origin` to every row of a table: rows are taken out of a file, joined with others and sorted."""
    return table.assign(**origin(models, settings))


def checkpoint_version(name: str) -> str:
    """Tell one state of a checkpoint from every other: "icsg3d: commit 9c4b609c4cab, settings 1f…, weights 3b…"."""
    config, _ = checkpoints.documents(name)
    hashes = checkpoints.hashes(name)
    said = [f"commit {config['commit']}"] if config.get("commit") else []
    files = {"settings": "config.json", "weights": "weights.safetensors"}
    said += [f"{what} {hashes[file][:_SHOWN]}" for what, file in files.items() if file in hashes]
    return f"{name}: {', '.join(said if hashes else [*said, 'without hashes'])}"
