"""Extended XYZ: frame by frame, each with its row."""

import pytest

from matgen_core import data
from matgen_core.data.structure_files import read_content
from tests.support.rows import each_row
from tests.support.structure_texts import formula_of, frame_text, read_one

CELL = 'Lattice="4 0 0 0 4 0 0 0 4"'


@pytest.mark.parametrize(
    "between", ["", "\n", "\n\n\n", " \n", "\r\n"], ids=["nothing", "a line", "lines", "a space", "carriage return"]
)
def test_blank_lines_between_frames_end_nothing(between: str) -> None:
    text = between + between.join(frame_text(cation) for cation in ("Na", "K", "Rb")) + between
    found = read_content("a.xyz", "a.xyz", text.encode())
    assert [each.name for each in found] == ["a.xyz:1", "a.xyz:2", "a.xyz:3"]
    assert [formula_of(each) for each in found] == ["Na1 Cl1", "K1 Cl1", "Rb1 Cl1"]
    assert all(each.note == "" for each in found)


@each_row(
    ("bad", "said"),
    [
        (frame_text("Xx"), "line 7: symbol 'Xx' is no element"),
        (frame_text().replace("Cl 2 2 2", "Cl 2 2"), "line 8: 3 values, but 4 are expected"),
        (frame_text().replace("Cl 2 2 2", "Cl 2 2 nan"), "line 8: 'nan' is no number"),
        (frame_text().replace("Cl 2 2 2", "Cl 2 2 1e99"), "line 8: the coordinate '1e99' is far outside"),
        (frame_text(comment="a plain XYZ"), "line 6 has no Lattice"),
        (frame_text(comment='Lattice="4 4 4"'), "line 6: Lattice has 3 numbers, but three vectors are 9"),
        (frame_text(comment='Lattice="4 0 0 0 4 0 0 0 a"'), "line 6: in Lattice 'a' is no number"),
        (frame_text(comment=f'{CELL} pbc="F F F"'), "periodic in no direction (pbc); a molecule is not imported"),
        (frame_text(comment=f"{CELL} Properties=pos:R:3"), "needs species:S:1 and pos:R:3"),
        (frame_text(comment=f"{CELL} Properties=species:S:1:pos:R:300000000"), "cannot be read"),
        (frame_text(comment=f"{CELL} {'x' * 30_000}"), "at most 20000 are read"),
        (frame_text(comment='Lattice="1e308 0 0 0 1e308 0 0 0 1e308"'), "a cell edge of 1e+308 Å"),
        (frame_text(count="5"), "line 5 announces 5 atoms, but line 9 is none after 2"),
        (frame_text(count="0").rpartition("Na")[0], "line 5 announces no atoms"),
    ],
)  # fmt: skip
def test_a_frame_that_fails_keeps_its_row_and_the_next_is_read(bad: str, said: str) -> None:
    found = read_content("a.xyz", "a.xyz", (frame_text("K") + bad + "\n" + frame_text("Rb")).encode())
    assert [formula_of(each) for each in found] == ["K1 Cl1", "", "Rb1 Cl1"]
    assert said in found[1].problem
    assert found[1].problem.startswith("no readable extended XYZ: ")


@each_row(
    ("text", "said"),
    [
        (frame_text("D"), "deuterium (symbol 'D') counts as hydrogen"),
        (frame_text("T"), "tritium (symbol 'T') counts as hydrogen"),
        (frame_text("NA"), "symbol 'NA' read as Na"),
        (frame_text().replace("2 2 2", "2,0 2 2"), "line 4: '2,0' read as 2"),
        (frame_text(comment=f'{CELL} pbc="T T F"'), "some directions only (pbc T T F)"),
        (frame_text("11"), ""),
        (frame_text(comment=f'{CELL} pbc="T T T" energy=-3 note="a b"'), ""),
        (frame_text(comment="lattice='4 0 0 0 4 0 0 0 4'"), ""),
        ("2\n" + f"{CELL} Properties=pos:R:3:forces:R:3:species:S:1\n0 0 0 0 0 0 Na\n2 2 2 0 0 0 Cl\n", ""),
        (frame_text(count="+2"), ""),
    ],
)
def test_a_frame_is_read_and_what_was_done_is_said(text: str, said: str) -> None:
    found = read_one("a.extxyz", text)
    assert found.structure is not None, found.problem
    assert found.structure.get_distance(0, 1) == pytest.approx(12**0.5)
    assert said in found.note
    assert bool(said) == bool(found.note)


def test_what_is_no_frame_ends_the_file_with_its_line() -> None:
    for odd in ("two\n", "2 atoms\n", "1_000\n", "-2\n"):
        found = read_content("a.xyz", "a.xyz", (frame_text() + odd + frame_text()).encode())
        assert len(found) == 2
        assert "line 5: " in found[1].problem
        assert "from there on nothing was read" in found[1].problem


def test_imports_take_the_values_and_the_notes(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MATGEN_DATA", str(tmp_path / "data"))
    text = frame_text("D", f"{CELL} gap=1.5 flag=T") + "\n" + frame_text("Xx", CELL) + frame_text("K", f"{CELL} gap=2")
    (tmp_path / "mine.xyz").write_text(text)
    report = data.import_file("mine", tmp_path / "mine.xyz")
    assert report.n_read == 2
    assert [label for label, _ in report.skipped] == ["mine-2"]
    assert report.notes == (("mine-1", "deuterium (symbol 'D') counts as hydrogen"),)
    assert "note on mine-1: deuterium" in report.summary()
    assert data.load("mine").table["gap"].tolist() == [1.5, 2.0]
