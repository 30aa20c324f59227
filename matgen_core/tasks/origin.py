"""What made a table, written into the table itself: a file that is passed on still says where it is from."""

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import pandas as pd

from matgen_core import checkpoint as checkpoints
from matgen_core.jobs import seals
from matgen_core.jobs.inputs import read_json

MADE_BY, VERSIONS, SETTINGS = "made_by", "made_by_versions", "made_with"
_SHOWN = 12  # letters of a hash: enough to tell folders apart


def with_origin(table: pd.DataFrame, models: Sequence[str], settings: Mapping[str, Any]) -> pd.DataFrame:
    """Add to every row which models made it, in which version, and with what settings.

    Rows are taken out of a file, joined with others and sorted, so it stands in each of them.

    Args:
        table: Any table.
        models: Names of the checkpoints.
        settings: All that was chosen, the seed among it; JSON can write it.

    Returns:
        The table and three columns: made_by, made_by_versions (of the app; of each checkpoint the commit that trained
        it and the first letters of the SHA-256 of its settings and of its weights), made_with (the settings as JSON).
    """
    texts = {
        MADE_BY: ", ".join(models),
        VERSIONS: "; ".join([f"MatGen Explorer {version('matgen-explorer')}", *map(checkpoint_version, models)]),
        SETTINGS: json.dumps(settings, ensure_ascii=False, sort_keys=True),
    }
    return table.assign(**texts)


def checkpoint_version(name: str) -> str:
    """Tell one state of a checkpoint from every other: "icsg3d: commit 9c4b609c4cab, settings 1f…, weights 3b…"."""
    config = read_json(checkpoints.root() / name / "config.json")
    hashes = config.get(seals.HASHES, {})
    parts = {
        "commit": config.get("commit"),
        "settings": hashes.get("config.json", "")[:_SHOWN],
        "weights": hashes.get("weights.safetensors", "")[:_SHOWN],
    }
    return f"{name}: " + (", ".join(f"{key} {value}" for key, value in parts.items() if value) or "without hashes")
