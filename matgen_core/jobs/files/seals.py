"""Hashes of the files of a folder, kept in a document of the same folder, so that damage is noticed."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from matgen_core.jobs.files.inputs import sha256_of, size_of

MAX_SIZE = 2_000_000_000  # bytes of a file: a second or two
HASHES = "sha256"  # in the document: by the name of the file


class SealError(ValueError):
    """A file that is not what was written.

    Attributes:
        file: Its name.
    """

    def __init__(self, file: str) -> None:
        super().__init__("it is not what was written, for its SHA-256 is another")
        self.file = file


def sealed(values: Mapping[str, Any], document: str, folder: Path, files: Iterable[str]) -> dict[str, Any]:
    """Return what a document says, with new hashes of itself and of those of some files that are there; others stay."""
    facts = {key: value for key, value in values.items() if key != HASHES}
    hashes = {name: sha256_of(folder / name) for name in files if (folder / name).exists()}
    return facts | {HASHES: values.get(HASHES, {}) | {document: _hash_of(facts), **hashes}}


def check(values: Mapping[str, Any], document: str, folder: Path, files: Iterable[str]) -> None:
    """Hold a document and some files against the hashes in it; a file that is neither there nor in it is no fault.

    Raises:
        SealError: If one is not what was written.
        OSError: If a file cannot be read.
        ValueError: If it is no file, or too large.
    """
    hashes = values.get(HASHES)
    if not isinstance(hashes, dict) or hashes.get(document) != _hash_of(values):
        raise SealError(document)
    for name in files:
        if name not in hashes and not (folder / name).exists():
            continue
        if (size := size_of(folder / name)) > MAX_SIZE:
            raise ValueError(f"{size:,} bytes; at most {MAX_SIZE:,} are read")
        if sha256_of(folder / name) != hashes.get(name):
            raise SealError(name)


def _hash_of(values: Mapping[str, Any]) -> str:
    """The hash of what a document says, however it is laid out; that of the hashes aside."""
    facts = {key: value for key, value in values.items() if key != HASHES}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
