"""Tables as people and their spreadsheets save them: one reader of CSV for the commands, imports and data sets.

Encoding, separator and decimal sign are found in the file. Every row of the file is a row of the table, in order: one
that cannot be read keeps its place with the reason, and what had to be guessed is said.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from matgen_core.data.structure_files import decoded
from matgen_core.data.structure_files.reading import count, listed, shown
from matgen_core.jobs.files import csv_cells

MAX_BYTES = 500 * 1024**2
MAX_ROWS = 5_000_000
_MAX_COLUMNS = 1_000
_MAX_CELL = 10 * 1024**2  # characters; a CIF in a cell has a hundredth of it
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_SEP_LINE = re.compile(r"\s*\"?sep=(.)\"?\s*", re.IGNORECASE)
_LOOKED_AT = 20  # rows that tell two separators apart
_DECIMAL_COMMA = re.compile(r"[-+]?[0-9]*,[0-9]+(?:[eE][-+]?[0-9]{1,3})?")
_THOUSANDS = re.compile(r"[-+]?[0-9]{1,3}(?:,[0-9]{3})+")
_NUMBER = re.compile(r"[-+]?[0-9]+(?:[eE][-+]?[0-9]{1,3})?")

csv.field_size_limit(_MAX_CELL)  # of the whole process, which reads no table elsewhere


@dataclass(frozen=True, eq=False)
class TextTable:
    """A table as text.

    Attributes:
        name: What messages call the file.
        rows: One row a row of the file, in order; of one that could not be read, what fits under the header.
        lines: The line of the file on which each begins.
        problems: Why a row could not be read; "" if it could.
        notes: What was done or guessed to read the file, a line each.
        decimal_commas: Columns of numbers that are written with decimal commas.
    """

    name: str
    rows: pd.DataFrame
    lines: tuple[int, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    decimal_commas: tuple[str, ...] = ()

    def typed(self) -> pd.DataFrame:
        """Return the table with columns of numbers where all cells are; an empty cell is missing, the text NaN is none.

        Raises:
            ValueError: If a row could not be read; the message names it.
        """
        wrong = next((problem for problem in self.problems if problem), "")
        if wrong:
            raise ValueError(wrong)
        return self.readable()

    def readable(self) -> pd.DataFrame:
        """Return the rows that could be read, typed as `typed` does."""
        kept = self.rows[np.array([not problem for problem in self.problems], bool)]
        for column in self.decimal_commas:
            kept = kept.assign(**{column: kept[column].str.replace(",", ".", regex=False)})
        typed = pd.read_csv(
            io.StringIO(csv_cells.csv_text(kept)),
            index_col=False,
            keep_default_na=False,
            na_values=[""],
            skip_blank_lines=False,
            low_memory=False,
        )
        return csv_cells.restored(typed)


def titles(table: pd.DataFrame) -> str:
    """Return the names of a table's columns as a message shows them, on one line."""
    return listed([shown(str(name))[1:-1] for name in table.columns], most=8)


def read_csv(path: Path, columns: Collection[str] = ()) -> TextTable:
    """Read a CSV file.

    Args:
        path: The file.
        columns: Names that its header may spell otherwise ("Phase Field" for phase_field); they decide, too, where
            two separators are possible.

    Raises:
        ValueError: In one line, if there is no such file, or it is no table.
    """
    if path.is_dir():
        raise ValueError(f"{path} is a folder; expected a CSV file")
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise ValueError(
                f"{path}: {size / 1e6:.0f} MB; a table may have {MAX_BYTES / 1e6:.0f} MB, so give it in parts"
            )
        content = path.read_bytes()
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file; expected a CSV file") from None
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or error}") from error
    return parse_csv(content, str(path), columns)


def parse_csv(content: bytes, name: str, columns: Collection[str] = ()) -> TextTable:
    """Read a CSV file that is in memory, as `read_csv` does."""
    try:
        text, encoding = decoded(content)
        if len(content) > MAX_BYTES:
            raise ValueError(f"{len(content) / 1e6:.0f} MB; a table may have {MAX_BYTES / 1e6:.0f} MB")
        return _parse(text, name, columns, [encoding] if encoding else [])
    except ValueError as error:
        raise ValueError(f"{name} is no CSV table: {error}") from None


def _parse(text: str, name: str, columns: Collection[str], notes: list[str]) -> TextTable:
    separator, skipped = _separator(text, columns)
    rows = _records(text, separator)
    if skipped:
        next(rows)
    first = next(rows, None)
    while first is not None and not any(cell.strip() for cell in first[1]):
        first = next(rows, None)
    if first is None:
        raise ValueError(f"it is empty; expected a header{f' with {listed(list(columns))}' if columns else ''}")
    header = _header(first[1], columns)
    if separator != ",":
        notes.append(f"columns separated by {_SEPARATORS.get(separator, shown(separator))}")
    found: list[tuple[int, list[str], str]] = []
    n_blank = 0
    for line, cells in rows:
        if not cells:
            n_blank += 1
            continue
        if len(found) >= MAX_ROWS:
            raise ValueError(f"more than {MAX_ROWS:,} rows; give it in parts")
        found.append((line, *_fitted(cells, len(header), line, separator)))
    n_rows = len(found)
    while found and not any(cell.strip() for cell in found[-1][1]) and not found[-1][2] and len(header) > 1:
        found.pop()
    if n_rows - len(found):
        notes.append(f"{count(n_rows - len(found), 'empty row')} at the end left out")
    if n_blank:
        notes.append(f"{count(n_blank, 'empty line')} left out")
    frame = pd.DataFrame([cells for _, cells, _ in found], columns=range(len(header)), dtype=str)
    unnamed = [place for place, title in enumerate(header) if not title]
    empty = [place for place in unnamed if not frame[place].str.strip().any()]
    titles = [title or f"column {place + 1}" for place, title in enumerate(header)]
    frame = frame.set_axis(titles, axis=1).iloc[:, [place for place in range(len(header)) if place not in empty]]
    frame = csv_cells.restored(frame)
    problems = tuple(why for _, _, why in found)
    readable = frame[np.array([not why for why in problems], bool)]
    decimal_commas = tuple(title for title in frame if _has_decimal_commas(readable[title], separator))
    if decimal_commas:
        notes.append(f"decimal commas read in {listed(decimal_commas)}")
    return TextTable(name, frame, tuple(line for line, _, _ in found), problems, tuple(notes), decimal_commas)


def _records(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Each record with the line on which it begins."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    line = 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            why = (
                "a cell is too long"
                if "limit" in str(error)
                else "a quotation mark is not closed, or stands within a cell"
            )
            raise ValueError(f"line {line}: {why}") from None
        if len(cells) > _MAX_COLUMNS:
            raise ValueError(f"line {line}: {len(cells):,} fields, more than {_MAX_COLUMNS:,}")
        yield line, cells
        line = reader.line_num + 1


def _separator(text: str, columns: Collection[str]) -> tuple[str, bool]:
    """Tell what stands between the columns, and whether the first line says so."""
    begin = text.lstrip("\r\n")[:200_000]
    first = re.split(r"\r\n|\n|\r", begin, maxsplit=1)[0]
    if told := _SEP_LINE.fullmatch(first):
        return told[1], True
    unquoted = re.sub(r'"[^"]*"', "", first)
    possible = [mark for mark in _SEPARATORS if mark in unquoted]
    if len(possible) < 2:
        return (possible or [","])[0], False
    named = [mark for mark in possible if {_key(cell) for cell in first.split(mark)} & set(columns)]
    if len(named) == 1:
        return named[0], False
    agreeing = {mark: _agreement(begin, mark) for mark in named or possible}
    best = [mark for mark in agreeing if agreeing[mark] == max(agreeing.values())]
    if len(best) > 1:
        raise ValueError(f"its columns may be separated by {' or '.join(_SEPARATORS[mark] for mark in best)}; use one")
    return best[0], False


def _agreement(text: str, separator: str) -> float:
    """The share of the first rows that have as many fields as the header."""
    widths = []
    try:
        for _, cells in _records(text, separator):
            if cells:
                widths.append(len(cells))
            if len(widths) > _LOOKED_AT:
                break
    except ValueError:
        return 0.0
    return sum(width == widths[0] for width in widths[1:]) / max(len(widths) - 1, 1)


def _key(title: str) -> str:
    """A title of the header as the columns are called here."""
    return re.sub(r"[\s_-]+", "_", title.strip().strip('"').strip().casefold())


def _header(cells: list[str], columns: Collection[str]) -> list[str]:
    """Titles of the columns; those that are looked for are called as they are here."""
    titles = [cell.strip() for cell in cells]
    for column in columns:
        alike = [place for place, title in enumerate(titles) if _key(title) in (column, column.replace("_", ""))]
        if column in titles:
            alike = [place for place in alike if titles[place] == column]
        if len(alike) > 1:
            raise ValueError(f"its header has {len(alike)} columns {column}; keep one")
        for place in alike:
            titles[place] = column
    seen: Counter[str] = Counter()
    for place, title in enumerate(titles):
        seen[title] += 1
        if title and seen[title] > 1:
            titles[place] = f"{title}.{seen[title] - 1}"
    return titles


def _fitted(cells: list[str], width: int, line: int, separator: str) -> tuple[list[str], str]:
    """Give a record as many cells as the header, or say why that cannot be; empty ones behind it are no loss."""
    extra = cells[width:]
    if any(cell.strip() for cell in extra):
        hint = "; put a cell that holds a comma in quotation marks" if separator == "," else ""
        return cells[:width], f"line {line} has {len(cells)} fields, the header {width}{hint}"
    return [*cells[:width], *[""] * (width - len(cells))], ""


def _has_decimal_commas(column: "pd.Series[str]", separator: str) -> bool:
    """Whether a column holds numbers with decimal commas; between commas, 1,234 can be a thousand."""
    filled = [cell.strip() for cell in column if cell.strip()]
    with_comma = [cell for cell in filled if "," in cell]
    return (
        bool(with_comma)
        and all(_DECIMAL_COMMA.fullmatch(cell) or _NUMBER.fullmatch(cell) for cell in filled)
        and not (separator == "," and all(_THOUSANDS.fullmatch(cell) for cell in with_comma))
    )
