"""Tables as spreadsheets save them: read right, or refused in one line; as many rows out as went in."""

from pathlib import Path

import pytest

from matgen_core import data
from matgen_core.data.tables import parse_csv, read_csv

FORMULA = ("formula",)
TWO = [["NaCl", "8,5"], ["MgO", "7,7"]]
PLAIN = [["NaCl", "8.5"], ["MgO", "7.7"]]
UNICODE = "formula,note\nNaCl,25 °C\nMgO,Müller\n"
# What a spreadsheet wrote, the rows in it, and what is said.
READ: dict[str, tuple[bytes, list[list[str]], list[str]]] = {
    "commas": (b"formula,gap\nNaCl,8.5\nMgO,7.7\n", PLAIN, []),
    "semicolons": (
        b"formula;gap\nNaCl;8,5\nMgO;7,7\n",
        TWO,
        ["columns separated by semicolons", "decimal commas read in gap"],
    ),
    "semicolons with points": (b"formula;gap\nNaCl;8.5\nMgO;7.7\n", PLAIN, ["columns separated by semicolons"]),
    "tabs": (b"formula\tgap\nNaCl\t8.5\nMgO\t7.7\n", PLAIN, ["columns separated by tabs"]),
    "tabs with commas": (
        b"formula\tgap\nNaCl\t8,5\nMgO\t7,7\n",
        TWO,
        ["columns separated by tabs", "decimal commas read in gap"],
    ),
    "bars": (b"formula|gap\nNaCl|8.5\nMgO|7.7\n", PLAIN, ["columns separated by bars"]),
    "sep": (b"sep=;\r\nformula;gap\r\nNaCl;8.5\r\nMgO;7.7\r\n", PLAIN, ["columns separated by semicolons"]),
    "SEP with commas": (b'"SEP=,"\nformula,gap\nNaCl,8.5\nMgO,7.7', PLAIN, []),
    "quoted decimal commas": (b'formula,gap\nNaCl,"8,5"\nMgO,"7,7"\n', TWO, ["decimal commas read in gap"]),
    "old Macintosh": (b"formula,gap\rNaCl,8.5\rMgO,7.7\r", PLAIN, []),
    "mark of UTF-8": (b"\xef\xbb\xbfformula,gap\nNaCl,8.5\nMgO,7.7\n", PLAIN, []),
    "UTF-16": ("formula,gap\nNaCl,8.5\nMgO,7.7\n".encode("utf-16"), PLAIN, []),
    "UTF-16 without its mark": (
        "formula,gap\nNaCl,8.5\nMgO,7.7\n".encode("utf-16-le"),
        PLAIN,
        ["read as UTF-16, which has no mark"],
    ),
    "UTF-32": ("formula,gap\nNaCl,8.5\nMgO,7.7\n".encode("utf-32"), PLAIN, []),
    "UTF-8": (UNICODE.encode(), [["NaCl", "25 °C"], ["MgO", "Müller"]], []),
    "Latin-1": (
        UNICODE.encode("latin-1"),
        [["NaCl", "25 °C"], ["MgO", "Müller"]],
        ["no UTF-8; read as Windows-1252 (Latin-1)"],
    ),
    "Windows": (
        "formula,note\nNaCl,10 €\n".encode("cp1252"),
        [["NaCl", "10 €"]],
        ["no UTF-8; read as Windows-1252 (Latin-1)"],
    ),
    "header": (b" Formula ,Gap\nNaCl,8.5\nMgO,7.7\n", PLAIN, []),
    "HEADER": (b'"FORMULA","gap"\n"NaCl","8.5"\n"MgO","7.7"\n', PLAIN, []),
    "two separators in the header": (
        b"formula;gap (eV, PBE)\nNaCl;8.5\nMgO;7.7\n",
        PLAIN,
        ["columns separated by semicolons"],
    ),
    "no name for the last": (b"formula,gap,\nNaCl,8.5,\nMgO,7.7,\n", PLAIN, []),
    "commas behind": (b"formula,gap\nNaCl,8.5,\nMgO,7.7,,,\n", PLAIN, []),
    "commas behind one column": (b"formula\nNaCl,\nMgO,\n", [["NaCl"], ["MgO"]], []),
    "a row too short": (b"formula,gap\nNaCl\nMgO,7.7\n", [["NaCl", ""], ["MgO", "7.7"]], []),
    "empty rows at the end": (
        b"formula,gap\nNaCl,8.5\nMgO,7.7\n,\n,\n",
        PLAIN,
        ["2 empty rows at the end left out"],
    ),
    "empty lines": (b"\n\nformula,gap\nNaCl,8.5\n\nMgO,7.7\n\n", PLAIN, ["2 empty lines left out"]),
    "an empty row within": (b"formula,gap\nNaCl,8.5\n,\nMgO,7.7\n", [PLAIN[0], ["", ""], PLAIN[1]], []),
    "an empty cell": (b'formula\nNaCl\n""\nMgO\n', [["NaCl"], [""], ["MgO"]], []),
    "a cell of two lines": (b'formula,note\nNaCl,"a\nb"\nMgO,c\n', [["NaCl", "a\nb"], ["MgO", "c"]], []),
    "inches": (b'formula,note\nNaCl,5" disk\n', [["NaCl", '5" disk']], []),
    "sodium nitride": (b"formula,gap\nNaN,1\nNA,2\n", [["NaN", "1"], ["NA", "2"]], []),
    "an odd line end": ("formula,note\nNaCl,a\u2028b\n".encode(), [["NaCl", "a\u2028b"]], []),
}
REFUSED = {
    b"": "it is empty",
    b"\n\n": "it is empty",
    b'formula,gap\nNaCl,8.5\n"MgO,7.7\nZnO,3\n': "line 3: a quotation mark is not closed",
    b'formula,gap\n"NaCl,8.5\n"MgO",7.7\n': "line 2: a quotation mark is not closed",
    b'formula,gap\nNaCl,"8"5\n': "line 2: a quotation mark is not closed, or stands within a cell",
    b"formula,gap\nNaCl,8.5\nMg\0O,7.7\n": "a zero byte on line 3",
    b"formula,Formula ,FORMULA\nNaCl,a,b\n": "",
    b"Formula,FORMULA\nNaCl,a\n": "its header has 2 columns formula; keep one",
    b"a,b;c\nd,e;f\n": "its columns may be separated by commas or semicolons",
    b"formula\n" + b"," * 2000: "line 2: 2,001 fields, more than 1,000",
    b"\xff\xd8\xff\xe0\0\x10JFIF\0": "no text but binary data",
    b'formula\n"' + b"x" * (10 * 1024**2 + 10) + b'"': "line 2: a cell is too long",
}
LOST = b"formula,note\nNaCl,MgO,x\nKBr,b\nCaO,c,d,e\n"


def test_what_a_spreadsheet_saves_is_read_right() -> None:
    for kind, (content, rows, notes) in READ.items():
        table = parse_csv(content, "t.csv", FORMULA)
        assert table.rows.columns[0] == "formula", kind
        assert (table.rows.to_numpy().tolist(), list(table.notes)) == (rows, notes), kind
        assert len(table.rows) == len(table.lines) == len(table.problems) == len(rows), kind
        assert not any(table.problems), kind


def test_what_cannot_be_read_is_one_line() -> None:
    for content, reason in REFUSED.items():
        if not reason:
            assert parse_csv(content, "t.csv", FORMULA).rows["formula"].tolist() == ["NaCl"]
            continue
        with pytest.raises(ValueError, match=r"^t\.csv is no CSV table: ") as refused:
            parse_csv(content, "t.csv", FORMULA)
        assert reason in str(refused.value)
        assert "\n" not in str(refused.value)


def test_a_row_with_a_field_too_many_is_that_rows_problem() -> None:
    for separator in (b",", b";", b"\t"):
        table = parse_csv(LOST.replace(b",", separator), "t.csv", FORMULA)
        assert table.rows["formula"].tolist() == ["NaCl", "KBr", "CaO"]
        assert table.lines == (2, 3, 4)
        assert [problem.split(";")[0] for problem in table.problems] == [
            "line 2 has 3 fields, the header 2",
            "",
            "line 4 has 4 fields, the header 2",
        ]
        assert table.readable()["formula"].tolist() == ["KBr"]
        with pytest.raises(ValueError, match="line 2 has 3 fields, the header 2"):
            table.typed()


def test_numbers_are_numbers_and_thousands_stay_text(tmp_path: Path) -> None:
    for text, column, values in (
        ("a;b\nx;8,5\ny;7\n", "b", [8.5, 7.0]),
        ("a;b\nx;-1,5e-3\ny;,5\n", "b", [-0.0015, 0.5]),
        ("a,b\nx,8\ny,7\n", "b", [8, 7]),
        ('a,b\nx,"1,234"\ny,"5,678"\n', "b", ["1,234", "5,678"]),
        ("a;b\nx;1.234,5\ny;2,5\n", "b", ["1.234,5", "2,5"]),
        ("a;b\nx;Li,Na\ny;2,5\n", "b", ["Li,Na", "2,5"]),
        ("a,b\nNaN,nan\nx,y\n", "b", ["nan", "y"]),
        ("a,b\nx,True\ny,False\n", "b", [True, False]),
    ):
        (tmp_path / "t.csv").write_text(text)
        assert read_csv(tmp_path / "t.csv").typed()[column].tolist() == values, text


def test_files_that_are_none_are_one_line(tmp_path: Path) -> None:
    for path, reason in ((tmp_path, "is a folder"), (tmp_path / "no.csv", "no such file")):
        with pytest.raises(ValueError, match=reason):
            read_csv(path)


def test_an_import_reads_what_the_commands_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATGEN_DATA", str(tmp_path / "data"))
    for number, (kind, (content, rows, notes)) in enumerate(READ.items()):
        (tmp_path / "mine.csv").write_bytes(content)
        report = data.import_file(f"mine_{number}", tmp_path / "mine.csv")
        formulas = [row[0] for row in rows]
        assert report.n_read + len(report.skipped) == len(rows), kind
        good = [formula for formula in formulas if formula not in ("", "NA")]
        assert data.load(f"mine_{number}").table["formula"].tolist() == good, kind
        assert [note for label, note in report.notes if label == "mine.csv"] == notes, kind


def test_an_import_skips_bad_rows_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATGEN_DATA", str(tmp_path / "data"))
    bad = ("Na1e999", "Na1e-999", "Na300_000_000", "+3", "inf", "nan", "1e400", "Na٣", "LiFeP04", "lifepo4", "Fe3+")
    (tmp_path / "f.csv").write_text(
        "\n".join(["formula,x", "NaCl,1", *(f"{text},2" for text in bad), "MgO,3,4", "D2O,5"])
    )
    report = data.import_file("formulas", tmp_path / "f.csv")
    assert data.load("formulas").table["formula"].tolist() == ["NaCl", "D2O"]
    skipped = dict(report.skipped)
    assert set(skipped) == {f"row {number}" for number in range(2, 14)}
    assert "line 14 has 3 fields, the header 2" in skipped["row 13"]
    assert report.notes == (("row 14", "deuterium counts as hydrogen"),)
    fields = ("Li-Sn-S-Cl", "Li Sn S O", "li-na-s-o", "Li–K–S–O", "Li-Xx", "LiSnS", "Li-D-O")  # noqa: RUF001
    (tmp_path / "p.csv").write_text("\n".join(["Phase Field", *fields]))
    report = data.import_file("fields", tmp_path / "p.csv")
    assert data.load("fields").table["phase_field"].tolist() == [
        "Li-Sn-S-Cl",
        "Li-Sn-S-O",
        "Na-Li-S-O",
        "K-Li-S-O",
        "Li-H-O",
    ]
    assert [label for label, _ in report.skipped] == ["row 5", "row 6"]
    assert [label for label, _ in report.notes] == ["row 2", "row 3", "row 4", "row 7"]
