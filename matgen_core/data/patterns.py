"""Measured powder patterns: texts of two columns as people and instruments write them, and the files of vendors.

A pattern is read whole or refused in one line: no row is skipped among the numbers, and no sign is taken for another.
"""

import io
import re
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np

from matgen_core.data.structure_files import decoded, one_line
from matgen_core.data.structure_files.reading import shown
from matgen_core.materials.diffraction import Measured

MAX_BYTES = 5_000_000
MAX_POINTS = 200_000
_LEAST_POINTS = 10
_MAX_UNPACKED = 50_000_000  # bytes of everything in an archive
_MAX_FILES = 500
_TEXT = (".xy", ".xye", ".csv", ".dat", ".txt", ".asc", ".tsv", ".prn", "")
# Bruker, Rigaku, Malvern Panalytical, GSAS, FIT2D, powder CIF
VENDORS = (".raw", ".brml", ".uxd", ".ras", ".rasx", ".xrdml", ".gsas", ".gsa", ".fxye", ".gda", ".chi", ".cif")
ENDINGS = ".xy, .xye, .csv, .dat, .txt, .asc, .raw, .brml, .uxd, .ras, .rasx, .xrdml, .gsas, .chi"

_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?")
_WITH_COMMA = re.compile(r"[-+]?[0-9]+,[0-9]+(?:[eE][-+]?[0-9]{1,3})?")
_COMMENT = ("#", "!", "%", "'", "/", "*")
_STARTS = re.compile(r"\s*[-+.]?[0-9]")
_MAX_LINE = 1_000


def read_pattern(content: bytes, name: str) -> Measured:
    """Read a measured pattern.

    Args:
        content: Text of columns (angle, intensity, ...) with any header, decimal points or commas, or a file
            of a vendor (`VENDORS`).
        name: The file's name; its ending tells the format.

    Returns:
        The pattern, by rising angle.

    Raises:
        ValueError: In one line that names the file: too large, of a format that is not read, without a usable pattern,
            or with a line that is none of the pattern.
    """
    try:
        if len(content) > MAX_BYTES:
            raise ValueError(f"{len(content) / 1e6:.1f} MB; a pattern may have up to {MAX_BYTES / 1e6:g} MB")
        ending = PurePosixPath(name).suffix.lower()
        if ending in VENDORS:
            angle, intensity = _of_vendor(content, name, ending)
        elif ending in _TEXT or b"\0" not in content:
            angle, intensity = _of_text(content)
        else:
            raise ValueError(f"{ending} is not read; expected {ENDINGS}")
        return _checked(angle, intensity)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _checked(angle: Sequence[float], intensity: Sequence[float]) -> Measured:
    if len(angle) < _LEAST_POINTS:
        raise ValueError(f"{len(angle)} lines with two numbers; expected at least {_LEAST_POINTS}, angle and intensity")
    if len(angle) > MAX_POINTS:
        raise ValueError(f"{len(angle)} points; at most {MAX_POINTS} are read, so bin the pattern first")
    two_theta, counts = np.array(angle, float), np.array(intensity, float)
    if not (np.isfinite(two_theta).all() and np.isfinite(counts).all()):
        raise ValueError("a number that is not finite")
    steps = np.diff(two_theta)
    falls = (steps < 0).sum() > (steps > 0).sum()
    wrong = steps > 0 if falls else steps < 0
    if wrong.any() or (steps == 0).sum() > len(steps) / 20:
        place = int(np.flatnonzero(wrong if wrong.any() else steps == 0)[0]) + 1
        raise ValueError(
            f"its angles do not {'fall' if falls else 'rise'} (point {place + 1}: {two_theta[place]:g} after"
            f" {two_theta[place - 1]:g}); is the first column the angle, and is this one scan?"
        )
    if falls:
        two_theta, counts = two_theta[::-1], counts[::-1]
    if two_theta[0] < 0 or two_theta[-1] > 180:
        raise ValueError(
            f"angles run from {two_theta[0]:g} to {two_theta[-1]:g}; expected 2 theta within 0 to 180 degrees"
        )
    if counts.max() <= counts.min():
        raise ValueError(f"every intensity is {counts[0]:g}; is the second column the intensity?")
    return Measured(two_theta, counts)


# Files of vendors


def _of_vendor(content: bytes, name: str, ending: str) -> tuple[Sequence[float], Sequence[float]]:
    import geddes  # a Rust library: bounds of its own, no entities of XML

    if content.startswith(b"PK"):
        _check_archive(content)
    try:
        found = geddes.read_bytes(content, PurePosixPath(name).name)
    except (ValueError, OSError, OverflowError, MemoryError) as error:
        raise ValueError(f"no readable {ending} pattern ({one_line(error)}); export it as .xy") from None
    return list(found.x), list(found.y)


def _check_archive(content: bytes) -> None:
    """Refuse an archive that unpacks to far more than it is."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, zlib.error, ValueError, OSError, EOFError, NotImplementedError) as error:
        raise ValueError(f"no readable archive ({one_line(error)})") from None
    unpacked = sum(entry.file_size for entry in entries)
    if len(entries) > _MAX_FILES or unpacked > _MAX_UNPACKED:
        raise ValueError(
            f"an archive of {len(entries):,} files and {unpacked / 1e6:,.0f} MB; at most {_MAX_FILES} and"
            f" {_MAX_UNPACKED / 1e6:.0f} MB are read"
        )


# Texts


def _of_text(content: bytes) -> tuple[Sequence[float], Sequence[float]]:
    try:
        text, _ = decoded(content)
    except ValueError:
        raise ValueError(f"it is no text; export the pattern as two columns, angle and intensity ({ENDINGS})") from None
    plain = text.replace('","', ";").replace('"', "")
    lines = [(number, line.strip()) for number, line in enumerate(re.split(r"\r\n|\n|\r", plain), 1)]
    lines = [(number, line) for number, line in lines if line and not line.startswith(_COMMENT)]
    split = _columns_of([line for _, line in lines if _STARTS.match(line)])
    rows = [(number, line, _numbers(split(line)) if len(line) <= _MAX_LINE else None) for number, line in lines]
    begin = next((place for place, (_, _, values) in enumerate(rows) if _is_row(values)), None)
    if begin is None:
        raise ValueError(f"0 lines with two numbers; expected at least {_LEAST_POINTS}, angle and intensity")
    data = rows[begin:]
    while data and not _is_row(data[-1][2]) and not _STARTS.match(data[-1][1]):
        data.pop()  # words behind the numbers
    if stepped := _stepped(data):
        return stepped
    widths = [len(values) for _, _, values in data if values]
    width = max(set(widths), key=widths.count)
    if data[0][2] is not None and len(data[0][2]) != width and _is_header_of_numbers(data, width):
        data = data[1:]
    for number, line, values in data:
        if not _is_row(values) or values is None or len(values) != width:
            expected = "two numbers" if width == 2 else f"{width} numbers"
            raise ValueError(
                f"line {number}: {shown(line)}; expected {expected} as on the other lines, and one scan a file"
            )
    return [values[0] for _, _, values in data if values], [values[1] for _, _, values in data if values]


def _is_row(values: list[float] | None) -> bool:
    return values is not None and len(values) >= 2


def _is_header_of_numbers(data: list[tuple[int, str, list[float] | None]], width: int) -> bool:
    """Whether the first row alone differs: such as the number of points, or start, step and end."""
    return all(values is not None and len(values) == width for _, _, values in data[1:])


def _numbers(fields: list[str]) -> list[float] | None:
    """The numbers of a line, None if one is none."""
    if not all(_NUMBER.fullmatch(field) for field in fields):
        return None
    return [float(field) for field in fields]


def _columns_of(lines: list[str]) -> "_Split":
    """Tell what parts the columns of a file and whether a comma is a decimal sign; one answer for the whole file."""
    if not any("," in line for line in lines):
        return _Split(re.compile(r"[\s;]+"), False)
    for marks, decimal_comma in ((r"\s*;\s*", True), (r"\s*\t\s*", True), (r"\s+", True)):
        split = _Split(re.compile(marks), decimal_comma)
        fitting = [split.fields(line) for line in lines]
        with_comma = [fields for fields in fitting if any(_WITH_COMMA.fullmatch(field) for field in fields[:2])]
        if len(with_comma) > 0.5 * len(lines) and sum(
            len(fields) >= 2 and all(_is_european(field) for field in fields[:2]) for fields in fitting
        ) > 0.5 * len(lines):
            return split
    by_comma = _Split(re.compile(r"\s*[,;]\s*|\s+"), False)
    integers = [
        fields for fields in map(by_comma.fields, lines) if all(re.fullmatch(r"[-+]?[0-9]+", f) for f in fields)
    ]
    if any(re.search(r"[0-9]\s+[-+.0-9]", line) and re.search(r"[0-9],[0-9]", line) for line in lines):
        raise ValueError("commas within its numbers, beside points; write numbers such as 1234.5 or 1234,5")
    if len(integers) > 0.5 * len(lines) and any(len(fields) > 3 for fields in integers):
        raise ValueError(
            "commas stand between its columns and as decimal signs; part the columns by tabs or semicolons"
        )
    return by_comma


def _is_european(field: str) -> bool:
    return bool(_WITH_COMMA.fullmatch(field) or re.fullmatch(r"[-+]?[0-9]+(?:[eE][-+]?[0-9]{1,3})?", field))


class _Split:
    """Parts a line of a pattern into texts of numbers with points."""

    def __init__(self, marks: "re.Pattern[str]", decimal_comma: bool) -> None:
        self._marks, self._decimal_comma = marks, decimal_comma

    def fields(self, line: str) -> list[str]:
        """The texts as they stand."""
        return [field for field in self._marks.split(line.strip()) if field]

    def __call__(self, line: str) -> list[str]:
        """The texts with decimal points."""
        fields = self.fields(line)
        if not self._decimal_comma:
            return fields
        # a point beside decimal commas would part thousands
        return [field.replace(",", ".") if "." not in field else "" for field in fields]


def _stepped(data: list[tuple[int, str, list[float] | None]]) -> tuple[list[float], list[float]] | None:
    """Read start, step and end on a line, and nothing but intensities behind it, as FullProf has them."""
    head = data[0][2]
    if head is None or len(head) != 3 or any(values is None for _, _, values in data):
        return None
    start, step, end = head
    counts = [value for _, _, values in data[1:] for value in values or ()]
    if not 0 < step < end - start <= 180 or abs((end - start) / step + 1 - len(counts)) > 0.5:
        return None
    return [start + step * place for place in range(len(counts))], counts
