"""Where the data folder is, and the file of each data set in it; nothing is read."""

import os
import re
from pathlib import Path

from platformdirs import user_data_path

from matgen_core.data.registry.known import DATASETS

_SLUG = re.compile(r"[a-z0-9][a-z0-9_]{0,63}")


def root() -> Path:
    """The data folder: $MATGEN_DATA, else ../shared/data beside the project, else the user's data folder.

    The folder need not exist yet.
    """
    chosen = os.environ.get("MATGEN_DATA")
    if chosen:
        return Path(chosen).expanduser()
    beside = Path(__file__).resolve().parents[4] / "shared" / "data"
    return beside if beside.is_dir() else user_data_path("matgen-explorer", appauthor=False)


def path_of(name: str) -> Path:
    """Where the file of a data set is, or would be.

    Raises:
        ValueError: If the name is no data-set name (lower case, digits, underscores).
    """
    if name in DATASETS:
        return root() / DATASETS[name].file
    check_name(name)
    return root() / f"{name}.parquet"


def check_name(name: str) -> None:
    """Refuse a name that could not be a file's.

    Raises:
        ValueError: If it is not made of lower-case letters, digits and underscores.
    """
    if not is_name(name):
        raise ValueError(
            f"{name!r} is no data-set name: expected lower-case letters, digits and underscores, at most 64"
        )


def is_name(text: str) -> bool:
    """Tell whether a data set may be called so."""
    return _SLUG.fullmatch(text) is not None
