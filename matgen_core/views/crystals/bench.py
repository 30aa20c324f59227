"""What lies on the structure bench: up to four crystals, written as a line that fits into a link.

`icsg3d:mp-1234` is what a model decodes of a crystal that it knows, `icsg3d:mp-1234:original` that crystal itself,
`upload:0a1b2c3d4e5f` a file of the visitor's, which only the visitor's own session holds.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from pymatgen.core import Structure

from matgen_core.latent.errors import COMES_BACK

UPLOAD = "upload"
MAX_ENTRIES = 4
MAX_CELLS = 5  # drawn along each axis
_PART = re.compile(r"[\w.+-]{1,80}")


@dataclass(frozen=True)
class Entry:
    """One crystal of the bench.

    Attributes:
        source: A checkpoint, or "upload".
        key: Name of the crystal in it, or the digest of a file.
        is_original: Whether the known crystal is meant and not what the model decodes.
    """

    source: str
    key: str
    is_original: bool = False

    def __str__(self) -> str:
        return f"{self.source}:{self.key}" + (":original" if self.is_original else "")

    @property
    def is_upload(self) -> bool:
        """Whether it is a file of the visitor's."""
        return self.source == UPLOAD


def read_entry(text: str) -> Entry:
    """Read what `str` of an entry wrote.

    Raises:
        ValueError: If it is none.
    """
    source, _, rest = text.partition(":")
    key, _, version = rest.partition(":")
    if not (_PART.fullmatch(source) and _PART.fullmatch(key)) or version not in ("", "original"):
        raise ValueError(f"{text[:80]!r} names no crystal; expected MODEL:ID or MODEL:ID:original, as icsg3d:mp-2998")
    return Entry(source, key, version == "original")


def read_entries(line: str) -> tuple[list[Entry], list[str]]:
    """Read a line of entries parted by commas.

    Returns:
        The entries, each once and at most `MAX_ENTRIES`, and what is wrong with the others.
    """
    entries: list[Entry] = []
    problems = []
    for text in filter(None, (part.strip() for part in line.split(","))):
        try:
            entries.append(read_entry(text))
        except ValueError as error:
            problems.append(str(error))
    entries = list(dict.fromkeys(entries))
    if len(entries) > MAX_ENTRIES:
        problems.append(f"{len(entries)} crystals are asked for; the bench holds {MAX_ENTRIES}, the first are shown")
    return entries[:MAX_ENTRIES], problems


def write_entries(entries: Sequence[Entry]) -> str:
    """Write entries as a line that `read_entries` reads."""
    return ",".join(map(str, entries))


def digest(name: str, structure: Structure) -> str:
    """Name an uploaded crystal by its content: no other session can guess it or mistake it for its own."""
    parts = (name, structure.lattice.matrix.tobytes(), structure.frac_coords.tobytes(), structure.formula)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


def examples(known: pd.DataFrame, n: int = 3) -> pd.DataFrame:
    """Choose crystals to begin with: one of each family, of those that come back and were not trained on, if any.

    Args:
        known: As `map_columns.known_materials` gives it, of a model of crystals.
        n: How many at most.

    Returns:
        Rows of `known`.
    """
    if "reconstruction" in known and (known["reconstruction"] == COMES_BACK).any():
        known = known[known["reconstruction"] == COMES_BACK]
    order = [name for name in ("split", "energy_above_hull") if name in known]
    known = known.sort_values(order, kind="stable") if order else known  # test stands before train and val
    if "family" in known and known["family"].nunique() > 1:
        known = known.drop_duplicates("family")
    return known.head(n)
