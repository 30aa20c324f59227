"""POSCAR as VASP reads it and as people write it."""

import pytest

from matgen_core.data.structure_files import MAX_SITES
from tests.support.rows import each_row
from tests.support.structure_texts import formula_of, poscar_text, read_one

CARTESIAN = ("0 0 0", "2.82 2.82 0", "2.82 0 2.82", "0 2.82 2.82", "2.82 2.82 2.82", "0 0 2.82", "0 2.82 0", "2.82 0 0")
UNIT = tuple(" ".join(str(float(word) / 5.64) for word in site.split()) for site in CARTESIAN)
DIRECT = ("0 0 0", ".5 .5 0", ".5 0 .5", "0 .5 .5", ".5 .5 .5", "0 0 .5", "0 .5 0", ".5 0 0")


def sites(*behind: str) -> tuple[str, ...]:
    return tuple(f"{place} {behind[i % len(behind)]}" for i, place in enumerate(DIRECT))


@each_row(
    ("text", "said"),
    [
        (poscar_text(), ""),
        (poscar_text("-179.406144", edge="1"), ""),
        (poscar_text("-179.406144", edge="1", mode="Cartesian", sites=UNIT), ""),
        (poscar_text("-179.406144", mode="kartesisch", sites=CARTESIAN), ""),
        (poscar_text("5.64", edge="1", mode="Cartesian", sites=UNIT), ""),
        (poscar_text("5.64 5.64 5.64", edge="1"), ""),
        (poscar_text("5.64 5.64 5.64", edge="1", mode="C", sites=UNIT), ""),
        (poscar_text("1.0D0", edge="5.64d0"), ""),
        (poscar_text("1.0 ! scale"), ""),
        (poscar_text().replace("\n", "\r\n"), ""),
        (poscar_text().replace("\n", "\r"), ""),
        (poscar_text(title="salt\u2028with\u2028marks"), ""),
        (poscar_text(symbols="Na_pv/7b3 Cl/aa0"), ""),
        (poscar_text(symbols="NA CL"), "symbol 'NA' read as Na"),
        (poscar_text(counts="4.0 4."), "'4.0' read as 4 sites"),
        (poscar_text(counts="+4 4"), ""),
        (poscar_text(counts="4 4\n"), "is blank"),
        (poscar_text(mode="Selective dynamics\nDirect", sites=sites("T T F")), ""),
        (poscar_text(sites=sites("T T F")), "without a line 'Selective dynamics'"),
        (poscar_text(sites=sites("F F F")), "without a line 'Selective dynamics'"),
        (poscar_text(symbols=None, sites=tuple(f"{s} {'Na' if i < 4 else 'Cl'}" for i, s in enumerate(DIRECT))),
         "elements taken from the symbols behind the coordinates"),
        (poscar_text(symbols=None, title="Na Cl"), "elements taken from the first line"),
        (poscar_text(sites=tuple(site.replace(".", ",") if "." in site else site for site in DIRECT)), "read as 0.5"),
        (poscar_text() + "\n0.1 0.2 0.3\n" * 8, "velocities and the like"),
        (poscar_text(symbols="Na\nCl", counts="4\n4"), ""),
    ],
)  # fmt: skip
def test_rock_salt_however_it_is_written(text: str, said: str) -> None:
    found = read_one("POSCAR", text)
    assert formula_of(found) == "Na4 Cl4", found.problem
    assert found.structure is not None
    assert found.structure.lattice.abc == pytest.approx((5.64,) * 3)
    assert found.structure.distance_matrix[0][4:].min() == pytest.approx(2.82)
    assert said in found.note
    assert bool(said) == bool(found.note)


@each_row(
    ("text", "said"),
    [
        (poscar_text(symbols="Na Cl O"), "line 6 names 3 elements, but line 7 has 2 counts"),
        (poscar_text(symbols="Na"), "line 6 names 1 element, but line 7 has 2 counts"),
        (poscar_text(counts="3 4"), "8 coordinate lines, but 7 sites are announced"),
        (poscar_text(counts="4 6"), "8 coordinate lines, but 10 sites are announced"),
        (poscar_text(sites=DIRECT[:5]), "5 coordinate lines, but 8 sites are announced"),
        (poscar_text(counts="4 4", mode="0 0 0"), "line 8 says '0 0 0', where Direct or Cartesian is expected"),
        (poscar_text(counts="4.5 3.5"), "'4.5' is no number of sites"),
        (poscar_text(counts="4 -4"), "'-4' is no number of sites"),
        (poscar_text(counts="4 four"), "'four' is no number of sites"),
        (poscar_text(counts="300_000_000 4"), "'300_000_000' is no number of sites"),
        (poscar_text(counts="+300000000 4"), f"more than {MAX_SITES}"),
        (poscar_text(counts="4 4", title="x\u2028y").replace("4 4", "300000000 4"), f"more than {MAX_SITES}"),
        (poscar_text(counts="0 0"), "announces no sites"),
        (poscar_text("0"), "cannot scale a cell"),
        (poscar_text("1 1"), "one number or three are expected"),
        (poscar_text("-1 1 1"), "cannot scale a cell"),
        (poscar_text("a"), "'a' is no scale"),
        (poscar_text(symbols=None), "does not name its elements"),
        (poscar_text(symbols="Na Va"), "line 6: symbol 'Va' is no element"),
        (poscar_text(symbols="Na Xx"), "line 6: symbol 'Xx' is no element"),
        (poscar_text(sites=("0 0", *DIRECT[1:])), "line 9: 2 numbers, but a site's place has 3"),
        (poscar_text(sites=("0 0 nan", *DIRECT[1:])), "line 9: 'nan' is no number"),
        (poscar_text(sites=("0 0 1e17", *DIRECT[1:])), "line 9: '1e17' is too large"),
        (poscar_text(sites=("0 0 20000", *DIRECT[1:])), "line 9: '0 0 20000' is far outside"),
        (poscar_text(sites=("0 0 0 Cl", *DIRECT[1:])), "site 1 has Cl behind its coordinates"),
        (poscar_text(edge="1e308"), "line 3: '1e308' is too large"),
        (poscar_text(edge="a"), "line 3: 'a' is no number"),
        ("salt\n1\n", "it ends after line 2, where a vector of the cell is expected"),
    ],
)
def test_each_fault_has_a_line_of_its_own(text: str, said: str) -> None:
    found = read_one("a.vasp", text)
    assert found.structure is None
    assert found.problem.startswith("no readable POSCAR: ")
    assert said in found.problem


def test_deuterium_counts_as_hydrogen_aloud() -> None:
    found = read_one("POSCAR", poscar_text(symbols="Li D"))
    assert formula_of(found) == "Li4 H4"
    assert found.note == "deuterium (symbol 'D') counts as hydrogen"


@each_row(
    ("edge", "said"),
    [
        ("600", "a cell edge of 600 Å; at most 500 Å"),
        ("130", "Å³ a site, more than 20,000"),
        ("0.4", "faces 0.4 Å apart"),
    ],
)
def test_a_cell_that_no_crystal_has_is_refused(edge: str, said: str) -> None:
    assert said in read_one("a.vasp", poscar_text(edge=edge, counts="1 1", sites=DIRECT[3:5])).problem


def test_a_long_cell_is_read_where_it_is_full_and_refused_where_it_is_empty() -> None:
    lines = "x\n1\n300 0 0\n0 4 0\n0 0 4\nFe\n{}\nDirect\n"
    full = lines.format(150) + "".join(f"{i / 150} 0 0\n" for i in range(150))
    assert formula_of(read_one("a.vasp", full)) == "Fe150"
    assert "an almost empty cell: 2 sites" in read_one("a.vasp", lines.format(2) + "0 0 0\n0.01 0 0\n").problem
    slab = "x\n1\n40 0 0\n0 4 0\n0 0 4\nFe\n2\nDirect\n0 0 0\n0.05 .5 .5\n"
    assert formula_of(read_one("a.vasp", slab)) == "Fe2"
