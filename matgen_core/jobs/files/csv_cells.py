"""CSV as a spreadsheet may open it: a text that it would take for a formula is written behind an apostrophe.

A spreadsheet runs a cell that begins with =, +, -, @, a tab or a line break, whoever wrote it. The apostrophe before it
is what spreadsheets themselves mean by "this is text" (OWASP, "CSV injection"). `restored` takes it off again, so that
a table which was written here is read back as it was. Numbers are left alone.
"""

import csv
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import pandas as pd

_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠].", re.DOTALL)  # noqa: RUF001 the wide ones count for a spreadsheet, too
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?(inf|nan)", re.IGNORECASE)


def write_csv(table: pd.DataFrame, target: Path | TextIO, header: bool = True) -> None:
    """Write a table as CSV, without its row numbers.

    Args:
        table: Any table.
        target: A file, or an open one.
        header: Whether the names of the columns come first.

    Raises:
        OSError: If it cannot be written.
    """
    _defused(table).to_csv(target, header=header, **_form(table))


def csv_text(table: pd.DataFrame) -> str:
    """Return a table as the text of a CSV file."""
    text: str = _defused(table).to_csv(**_form(table))
    return text


def restored(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table that was read from CSV with every text, and every name of a column, as it was before writing."""
    return _changed(table, lambda text: text[1:] if text[:1] == "'" and _is_formula(text[1:]) else text)


def _defused(table: pd.DataFrame) -> pd.DataFrame:
    # A text that begins with an apostrophe before such a sign gets one more: so any text comes back as it was.
    return _changed(table, lambda text: f"'{text}" if _is_formula(text) else text)


def _form(table: pd.DataFrame) -> dict[str, Any]:
    # The writer of Python 3.11 leaves a carriage return bare, and what follows would be a row of its own.
    columns = [table.iloc[:, place] for place, dtype in enumerate(table.dtypes) if not _is_numeric(dtype)]
    breaks = any(isinstance(text, str) and "\r" in text for values in (table.columns, *columns) for text in values)
    quoting = csv.QUOTE_NONNUMERIC if breaks else csv.QUOTE_MINIMAL
    return {"index": False, "lineterminator": "\n", "quoting": quoting}


def _is_numeric(dtype: Any) -> bool:
    return bool(pd.api.types.is_numeric_dtype(dtype))


def _is_formula(text: str) -> bool:
    return bool(_FORMULA.match(text)) and not _NUMBER.fullmatch(text)


def _changed(table: pd.DataFrame, change: Callable[[str], str]) -> pd.DataFrame:
    def each(value: object) -> object:
        return change(value) if isinstance(value, str) else value

    changed = table.copy(deep=False)
    for place, dtype in enumerate(table.dtypes):
        if _is_numeric(dtype):
            continue
        before = table.iloc[:, place].to_list()
        after = [each(value) for value in before]
        if any(new is not old for new, old in zip(after, before, strict=True)):
            dtype = object if isinstance(dtype, pd.CategoricalDtype) else dtype  # a category of its own for none
            changed.isetitem(place, pd.Series(after, index=table.index, dtype=dtype))
    return changed.set_axis([each(name) for name in table.columns], axis=1)
