"""What a reader found: a crystal or the reason why there is none, and what was done to read it; numbers as written."""

import codecs
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pymatgen.core import Structure


@dataclass(frozen=True)
class Reading:
    """One crystal of a file, or the reason why there is none.

    Attributes:
        structure: As written in the file, partial occupancy included.
        problem: "" if there is a structure.
        notes: What was done or guessed to read it, one plain line each.
        extra: Further values that the file gives with it.
    """

    structure: Structure | None = None
    problem: str = ""
    notes: tuple[str, ...] = ()
    extra: Any = None

    def require(self) -> Structure:
        """Return the crystal.

        Raises:
            ValueError: With the problem, if there is none.
        """
        if self.structure is None:
            raise ValueError(self.problem)
        return self.structure


_DIGITS = 40  # of a number; more is no number that a program wrote
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][+-]?\d{1,4})?(?:\(\d*\)?)?", re.ASCII)
_FRACTION = re.compile(r"([+-]?)(\d{1,6})/(\d{1,6})", re.ASCII)
_COMMA = re.compile(r"[+-]?\d*,\d+(?:\(\d*\)?)?", re.ASCII)
_MINUS = str.maketrans({"\u2212": "-", "\u2013": "-"})


def read_number(text: str) -> tuple[float, str]:
    """Read a number, its uncertainty in brackets left out.

    Exponents may be written with D. A fraction and a decimal comma are read too, but not in silence.

    Returns:
        The number, and "read as 0.5" where it is not written as programs write numbers, else "".

    Raises:
        ValueError: If it is no finite number: "'abc' is no number".
    """
    plain = text.translate(_MINUS)
    how = "" if plain == text else "read"
    if len(plain) <= _DIGITS:
        if _NUMBER.fullmatch(plain):
            value = _float(plain)
        elif _COMMA.fullmatch(plain):
            value, how = _float(plain.replace(",", ".")), "read"
        elif (parts := _FRACTION.fullmatch(plain)) and int(parts[3]):
            value, how = float(f"{parts[1]}1") * int(parts[2]) / int(parts[3]), "read"
        else:
            raise ValueError(f"{shown(text)} is no number")
        if math.isfinite(value):
            return value, how and f"read as {value:.6g}"
    raise ValueError(f"{shown(text)} is no number of this world" if len(text) <= _DIGITS else "no number")


def _float(text: str) -> float:
    return float(text.partition("(")[0].replace("d", "e").replace("D", "e"))


def decimals(text: str) -> int:
    """Count the decimals that a number is written with, zeros at its end left out."""
    fraction = text.partition("(")[0].partition(".")[2]
    return len(fraction.rstrip("0")) if fraction.isdecimal() else 0


def shown(text: str, length: int = 40) -> str:
    """Quote a text of a file on one line, cut where it is long."""
    plain = "".join(c if c.isprintable() else " " for c in text[: length + 1])
    return f"'{plain[:length]}…'" if len(text) > length else f"'{plain}'"


def listed(names: Sequence[str], most: int = 5) -> str:
    """Join names, and count those beyond the first few."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def count(n: int, noun: str) -> str:
    """Write a number and its noun: "1 site", "2 sites"."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def one_line(error: Exception) -> str:
    """Return the first line of an error."""
    return (str(error).splitlines() or [type(error).__name__])[0][:300]


def text_of(content: bytes) -> str:
    """Decode a text in UTF-8, UTF-16 with its mark, or, as older programs write, Latin-1.

    Raises:
        ValueError: If it is no text.
    """
    try:
        return decoded(content)[0]
    except ValueError as error:
        raise ValueError(f"{error}; export the structure as CIF") from None


def decoded(content: bytes) -> tuple[str, str]:
    """Decode a text, and tell the encoding where it had to be guessed.

    UTF-8, UTF-16 and UTF-32 with their marks, UTF-16 without one, and what older programs of Windows write.

    Returns:
        The text without its mark, and "read as Windows-1252 (Latin-1)" or the like; "" for UTF-8 and where a mark is.

    Raises:
        ValueError: If it is no text.
    """
    for mark, name in _MARKS:
        if content.startswith(mark):
            return content.decode(name, errors="replace").removeprefix("\ufeff"), ""
    if b"\0" in content:
        start = content[:1000]
        for name, zeros in (("utf-16-le", start[1::2]), ("utf-16-be", start[0::2])):
            if len(zeros) > 3 and zeros.count(0) > 0.9 * len(zeros) and len(content) % 2 == 0:
                return content.decode(name, errors="replace"), f"read as {name[:6].upper()}, which has no mark"
        line = content[: content.index(b"\0")].count(b"\n") + 1
        raise ValueError(f"no text but binary data (a zero byte on line {line})")
    try:
        return content.decode("utf-8"), ""
    except UnicodeDecodeError:
        try:
            return content.decode("cp1252"), "no UTF-8; read as Windows-1252 (Latin-1)"
        except UnicodeDecodeError:
            return content.decode("latin-1"), "no UTF-8; read as Latin-1"


_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
