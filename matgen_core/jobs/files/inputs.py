"""Files that are read within limits, so that a broken or a foreign one costs a line and neither time nor memory."""

import json
import stat
from collections.abc import Mapping
from functools import lru_cache
from hashlib import file_digest
from pathlib import Path
from typing import Any

MAX_TEXT = 4_000_000  # bytes of a document
MAX_DEPTH = 32  # lists and objects in one another
MAX_HEADER = 10_000_000  # bytes of what tensors say of themselves
MAX_ROWS, MAX_COLUMNS, MAX_TABLE = 5_000_000, 1_000, 4_000_000_000  # the last in bytes, unpacked


def read_text(path: Path) -> str:
    """Read a document in UTF-8.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is no file, too long, or no text.
    """
    size = size_of(path)
    if size > MAX_TEXT:
        raise ValueError(f"{size / 1e6:.0f} MB; at most {MAX_TEXT / 1e6:.0f} MB are read")
    return path.read_text(encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is none, too long or too deep, or holds what is no text.
    """
    text = read_text(path)
    try:
        values = json.loads(text)
    except RecursionError as error:
        raise ValueError(f"it is deeper than {MAX_DEPTH} levels") from error
    if not isinstance(values, dict):
        raise ValueError("it holds no JSON object")
    level: list[Any] = [values]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for each in level
            for inner in (each.values() if isinstance(each, dict) else each)
            if isinstance(inner, dict | list)
        ]
    if level:
        raise ValueError(f"it is deeper than {MAX_DEPTH} levels")
    if "\\ud" in text.lower():  # halves of characters can be written in JSON, and nowhere else
        json.dumps(values, ensure_ascii=False).encode()
    return values


def check_kinds(values: Mapping[str, Any], kinds: Mapping[str, Any], inside: str = "") -> None:
    """See that an object has some values, and that they are of their kinds.

    Args:
        values: What was read.
        kinds: A class for each key, or for an object the kinds of its own keys.
        inside: What stands before the keys in messages.

    Raises:
        ValueError: If one is missing or of another kind.
    """
    for key, kind in kinds.items():
        if key not in values:
            raise ValueError(f"it has no {inside}{key}")
        value = values[key]
        expected: Any = dict if isinstance(kind, Mapping) else (int, float) if kind is float else kind
        if not isinstance(value, expected) or (isinstance(value, bool) and kind is not bool):
            raise ValueError(f"its {inside}{key} is {value!r:.80}")
        if isinstance(kind, Mapping):
            check_kinds(value, kind, f"{inside}{key}.")


def check_parquet(path: Path) -> None:
    """Look at what a parquet file says of itself before it is read.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is none, or holds more than is read.
    """
    import pyarrow.parquet as pq

    size_of(path)
    facts = pq.read_metadata(path)
    unpacked = sum(facts.row_group(number).total_byte_size for number in range(facts.num_row_groups))
    for found, most, what in (
        (facts.num_rows, MAX_ROWS, "rows"),
        (facts.num_columns, MAX_COLUMNS, "columns"),
        (unpacked, MAX_TABLE, "bytes"),
    ):
        if not 0 <= found <= most:
            raise ValueError(f"{found:,} {what}; at most {most:,} are read")


def check_tensors(path: Path) -> None:
    """Look at how long a safetensors file says that its header is, before it is read.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is none, or says more of itself than is read.
    """
    size = size_of(path)
    with path.open("rb") as file:
        header = int.from_bytes(file.read(8), "little")
    if not 0 < header <= min(size - 8, MAX_HEADER):
        raise ValueError(f"a header of {header:,} bytes in a file of {size:,}")


def size_of(path: Path) -> int:
    """Return the size of a file in bytes.

    Raises:
        OSError: If there is none.
        ValueError: If it is something else: a folder, a pipe, a device, which may never end.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("it is no file")
    return found.st_size


def sha256_of(path: Path) -> str:
    """Return the checksum of a file, in hexadecimal; a file that has not changed is read once a process."""
    found = path.stat()
    return _sha256(path, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


@lru_cache(maxsize=1_000)
def _sha256(path: Path, *state: int) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
