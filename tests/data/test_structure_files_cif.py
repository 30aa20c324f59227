"""CIF as people have it: what is read is what the file says, or a line says why not."""

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from matgen_core.data.structure_export import cif
from matgen_core.data.structure_files import read_content
from tests.support.crystals import of_group
from tests.support.rows import each_row
from tests.support.structure_texts import ALL_COLUMNS, FACES, LABELS_ALONE, SALT_ROWS, cif_text, formula_of, read_one

CUBE = (4.1, 4.1, 4.1, 90, 90, 90)


def test_every_block_keeps_its_row_also_one_that_fails_or_has_a_name_again() -> None:
    broken = cif_text(("Na1 Na ? ? ? 1", "Cl1 Cl .5 .5 .5 1"), name="broken")
    text = "data_global\n_publ_author_name 'A. N.'\n" + cif_text() + broken + cif_text(("K1 K 0 0 0 1", SALT_ROWS[1]))
    found = read_content("many.cif", "many.cif", text.encode())
    assert [each.name for each in found] == ["many.cif:1", "many.cif:2", "many.cif:3"]
    assert [formula_of(each) for each in found] == ["Na4 Cl4", "", "K4 Cl4"]
    assert "Na1 (line 47) has the coordinate x '?'" in found[1].problem
    assert "global" in found[0].note
    assert "a second block is called 'salt'" in found[2].note


@each_row(
    ("label", "formula", "means", "said"),
    [
        ("Na1", None, "Na", ""),
        ("Fe3+", None, "Fe", ""),
        ("FeM1", None, "Fe", "label 'FeM1' read as Fe"),
        ("CL2", None, "Cl", "label 'CL2' read as Cl"),
        ("Ow1", None, "O", "hydrogen on it has no site"),
        ("D1", None, "H", "counts as hydrogen"),
        ("CO1", "Co Cl", "Co", "which the formula names"),
        ("HO1", "H Cl", "H", "label 'HO1' read as H"),
        ("W1", "W Cl", "W", ""),
        ("W1", "O Cl", "O", "water's O"),
        ("Va1", "V Cl", "V", "label 'Va1' read as V"),
        ("HO1", None, "", "label 'HO1' can be Ho or H"),
        ("CO1", None, "", "can be Co or C"),
        ("W1", None, "", "can be tungsten or water"),
        ("Va", None, "", "a vacancy?"),
        ("Vac2", None, "", "a vacancy?"),
        ("T1", None, "", "is no element"),
        ("Du1", None, "", "is no element"),
        ("M1", None, "", "is no element"),
        ("NH4", None, "", "names a group of atoms"),
        ("SO4", "Na2 S O4", "", "names a group of atoms"),
        ("Ca,Mg", None, "", "names several elements"),
        ("Ni/Mn1", None, "", "names several elements"),
        ("FeCo1", None, "", "names several elements"),
        ("Xx1", "Na Cl", "", "none of the elements of the file's formula (Cl, Na)"),
    ],
)
def test_a_label_means_an_element_only_where_it_is_clear(
    label: str, formula: str | None, means: str, said: str
) -> None:
    head = f"_chemical_formula_sum '{formula}'" if formula else ""
    found = read_one("a.cif", cif_text((f"{label} 0 0 0", "Cl9 .5 .5 .5"), head, CUBE, ("x,y,z",), LABELS_ALONE))
    if not means:
        assert said in found.problem
        assert f"line 17: label '{label}'" in found.problem
    else:
        assert found.structure is not None, found.problem
        assert {*found.structure.symbol_set} == {means, "Cl"}
        assert said in found.note


@each_row(
    ("symbol", "means", "said"),
    [
        ("Fe3+", "Fe", ""),
        ("O2-", "O", ""),
        ("Cval", "C", ""),
        ("FE", "Fe", "read as Fe"),
        ("fe", "Fe", "read as Fe"),
        ("Zr_sv", "Zr", "read as Zr"),
        ("D", "H", "deuterium"),
        ("T", "H", "tritium"),
        ("Va", "", "is no element (a vacancy?)"),
        ("X", "", "is no element"),
        ("CO", "", "can be Co or C"),
        ("La,Sr", "", "names several elements"),
        ("Fe/Co", "", "names several elements"),
        ("Ni_Mn", "", "names several elements"),
        ("NH4", "", "names a group of atoms"),
    ],
)
def test_a_type_symbol_is_an_element_or_named(symbol: str, means: str, said: str) -> None:
    found = read_one("a.cif", cif_text((f"A1 {symbol} 0 0 0 1", SALT_ROWS[1]), cell=CUBE, operations=("x,y,z",)))
    assert said in (found.note if means else found.problem)
    if means:
        assert found.structure is not None
        assert means in found.structure.symbol_set


@each_row(
    ("written", "amount", "said"),
    [
        ("1", 1, ""),
        ("0.5(2)", 0.5, ""),
        (".", 1, "Na1 (line 22): occupancy '.' taken as 1"),
        ("?", 1, "occupancy '?' taken as 1"),
        ("1/4", 0.25, "'1/4' read as 0.25"),
        ("25%", 0.25, "'25%' read as 0.25"),
        ("0,75", 0.75, "'0,75' read as 0.75"),
        ("1.02", 1, "scaled to 1"),
        ("1.3", None, "Na1 (line 22): 1 row at one place hold 1.3 atoms"),
        ("-0.2", None, "Na1 (line 22): the occupancy '-0.2' is not between 0 and 1"),
        ("nan", None, "Na1 (line 22): the occupancy 'nan' is no number"),
        ("inf", None, "'inf' is no number"),
        ("full", None, "'full' is no number"),
        ("1e999", None, "1e999"),
    ],
)
def test_an_occupancy_is_read_or_named_with_line_and_site(written: str, amount: float | None, said: str) -> None:
    found = read_one("a.cif", cif_text((f"Na1 Na 0 0 0 {written}", SALT_ROWS[1])))
    if amount is None:
        assert said in found.problem
    else:
        assert found.structure is not None
        assert found.structure.composition["Na"] == pytest.approx(4 * amount)
        assert said in found.note


def test_an_empty_site_is_left_out_aloud_and_never_against_the_formula() -> None:
    rows = ("Na1 Na 0 0 0 1", "Cl1 Cl .5 .5 .5 1", "K1 K .25 .25 .25 0")
    found = read_one("a.cif", cif_text(rows))
    assert formula_of(found) == "Na4 Cl4"
    assert "K1 (line 24): occupancy 0, left out" in found.note
    assert "the file's formula holds K" in read_one("a.cif", cif_text(rows, "_chemical_formula_sum 'K Na Cl'")).problem


@each_row(
    ("rows", "holds", "said"),
    [
        (("La1 La 0 0 0 0.334", "Ba1 Ba 0 0 0 0.667"), {"La": 0.334 / 1.001, "Ba": 0.667 / 1.001}, "scaled to 1"),
        (("La1 La 0 0 0 0.33", "Ba1 Ba 0 0 0 0.34", "Ca1 Ca 0 0 0 0.34"), {"La": 0.33 / 1.01}, "add up to 1.01"),
        (("D1 D 0 0 0 0.8", "H1 H 0 0 0 0.2"), {"H": 1}, "deuterium"),
        (("Na1 Na 0 0 0 0.5", "Na2 Na 0 0 0 0.5"), {"Na": 1}, ""),
        (("Na1 Na 0 0 0 1", "Na1B Na 0 0 0 1"), {"Na": 1}, "Na1B (line 20): listed before"),
        (("O1 O 0 0 0 1", "H1 H 0 0 0 1"), {"O": 1}, "this hydrogen was left out"),
        (("O1 O 0 0 0 .6", "H1 H 0 0 0 .4"), {"O": 0.6, "H": 0.4}, "share one place, hydrogen with them"),
        (("Na1 Na 0 0 0 1", "K1 K 0 0 0 1"), None, "Na1 (line 19), K1 (line 20): 2 rows at one place hold 2 atoms"),
        (("Na1 Na 0 0 0 .7", "K1 K 0 0 0 .7"), None, "hold 1.4 atoms"),
    ],
)
def test_what_shares_a_place(rows: tuple[str, ...], holds: dict[str, float] | None, said: str) -> None:
    found = read_one("a.cif", cif_text((*rows, SALT_ROWS[1]), operations=("x,y,z",)))
    if holds is None:
        assert said in found.problem
    else:
        assert found.structure is not None, found.problem
        assert said in found.note
        for symbol, amount in holds.items():
            assert found.structure.composition[symbol] == pytest.approx(amount)


@each_row(
    ("x", "value", "said"),
    [
        (".25", 0.25, ""),
        ("2.5E-1", 0.25, ""),
        ("0.25(3)", 0.25, ""),
        ("1/4", 0.25, "Na1 (line 19): the coordinate x '1/4' read as 0.25"),
        ("0,25", 0.25, "'0,25' read as 0.25"),
        (".", None, "Na1 (line 19) has the coordinate x '.'; give a number"),
        ("?", None, "Na1 (line 19) has the coordinate x '?'"),
        ("nan", None, "'nan' is no number"),
        ("a", None, "Na1 (line 19): the coordinate x 'a' is no number"),
        ("1e17", None, "is far outside"),
        ("1e999", None, "no number"),
    ],
)
def test_a_coordinate_is_read_or_named_with_line_and_site(x: str, value: float | None, said: str) -> None:
    found = read_one("a.cif", cif_text((f"Na1 Na {x} 0 0 1", SALT_ROWS[1]), operations=("x,y,z",)))
    if value is None:
        assert said in found.problem
    else:
        assert found.structure is not None
        assert found.structure[0].frac_coords[0] == pytest.approx(value)
        assert said in found.note


@each_row(
    ("rows", "formula", "said"),
    [
        (("Na1 Na 0 0 0 1", "O1 O .5 .5 .5 1"), "Na O H", "H of the formula (Na O H) has no site: read as NaO"),
        (("Na1 Na 0 0 0 1", "O1 O .5 .5 .5 1", "H1 H ? ? ? 1"), "Na O H", "H1 (line 24): hydrogen without coordinates"),
        (("Na1 Na 0 0 0 1", "O1 O .5 .5 .5 1", "H1 H .4 .4 .4 1"), "Na O H2", "formula has 8 H for 4 of the sites"),
        (("Na1 Na 0 0 0 1", "Cl1 Cl .5 .5 .5 1"), "Na Cl2", "formula is Na Cl2, but its sites give Na4 Cl4"),
        (("Na1 Na 0 0 0 1", "Cl1 Cl .5 .5 .5 1"), "K Na Cl2", "formula is K Na Cl2, but its sites give Na4 Cl4"),
        (("Na1 Na 0 0 0 1", "Cl1 Cl .5 .5 .5 1"), "Na8 Cl8", "but the cell holds Na4 Cl4"),
        (("Na1 Na 0 0 0 1", "Cl1 Cl .5 .5 .5 1"), "Na Cl'\n_cell_formula_units_Z '8", "the file says 8 times Na Cl"),
        (("Na1 Na 0 0 0 1", "Cl1 Cl .5 .5 .5 1"), "Na Cl'\n_cell_formula_units_Z '4", ""),
        (("Na1 Na 0 0 0 1", "Cl1 Cl .5 .5 .5 1"), "Na4 Cl4'\n_cell_formula_units_Z '4", ""),
        (("Na1 D 0 0 0 1", "Cl1 Cl .5 .5 .5 1"), "D Cl", "deuterium"),
    ],
)
def test_sites_are_compared_with_the_formula_of_the_file(rows: tuple[str, ...], formula: str, said: str) -> None:
    found = read_one("a.cif", cif_text(rows, f"_chemical_formula_sum '{formula}'"))
    assert found.structure is not None
    assert said in found.note
    assert bool(found.note) == bool(said)


def test_hydrogen_that_is_only_said_to_be_attached_is_told() -> None:
    columns = (*ALL_COLUMNS, "attached_hydrogens")
    found = read_one("a.cif", cif_text(("O1 O 0 0 0 1 2", "Na1 Na .5 .5 .5 1 0"), columns=columns))
    assert "2 hydrogen atoms said to be attached to other sites" in found.note


@each_row("third", ["0.33 0.67", "0.333 0.667", "0.3330 0.6670", "0.3333 0.6667", "0.33333 0.66667"])
def test_a_third_with_few_digits_is_on_its_axis(third: str) -> None:
    operations = ("x,y,z", "-y,x-y,z", "-x+y,-x,z", "-x,-y,z+1/2", "y,-x+y,z+1/2", "x-y,x,z+1/2")
    rows = (f"Zn1 Zn {third} 0 1", f"S1 S {third} 0.375 1", "Xe1 Xe 0.1 0.2 0.3 1")
    found = read_one("a.cif", cif_text(rows, cell=(3.8, 3.8, 6.2, 90, 90, 120), operations=operations))
    assert formula_of(found).split() == ["Zn2", "S2", "Xe6"]
    assert ("moved onto the special position" in found.note) == (len(third) < 14 and "0.3333" not in third)


@each_row(
    "text",
    [
        cif_text().upper().replace("DATA_", "data_"),
        cif_text().replace("_cell_", "_cell.").replace("_atom_site_", "_atom_site."),
        cif_text(head="_refine_special_details\n;\ndata_refl\nloop_\n_cell_length_a\n;"),
        cif_text(head="_publ_text 'it''s a data_block'\n_other \"loop_\""),
        cif_text().replace("\n", "\r\n"),
        cif_text().replace("\n", "\r"),
        cif_text().replace("'", ""),
        "#\\#CIF_2.0\n" + cif_text(head="_text '''two\nlines with ' in it'''"),
        "\ufeff" + cif_text(head="# a remark with 'an open quotation mark"),
        cif_text(head="_open 'never closed").replace("5.64", "5.64(2)"),
        cif_text(head="save_frame\nsave_"),
    ],
)
def test_other_ways_to_write_the_same(text: str) -> None:
    found = read_one("a.cif", text)
    assert formula_of(found) == "Na4 Cl4", found.problem
    assert found.structure is not None
    assert found.structure.distance_matrix[0][4:].min() == pytest.approx(2.82)


@each_row(
    ("text", "said"),
    [
        ("a\n1\n3 0 0\n", "no line begins with data_"),
        ("data_a\n_x 1\n", "none of its blocks holds a cell and sites"),
        (cif_text(cell=("?", 5, 5, 90, 90, 90)), "line 3, _cell_length_a: '?'; a number in Å is expected"),
        (cif_text(cell=(5, 5, "5 Å".replace(" ", "_"), 90, 90, 90)), "line 5, _cell_length_c"),
        (cif_text(cell=(5, 5, 5, 90, 190, 90)), "'190' degrees is no angle of a cell"),
        (cif_text(cell=(5, 5, 5, 30, 30, 90)), "close no cell"),
        (cif_text(cell=(1e6, 4, 4, 90, 90, 90)), "is no edge of a cell"),
        (cif_text(("Na1 Na 0 0 0", SALT_ROWS[1])), "line 22: 5 values, but its loop has 6 columns"),
        (cif_text(("Na1 Na 0 0 0 1 1", SALT_ROWS[1])), "line 22: 7 values, but its loop has 6 columns"),
        (cif_text(("Na1 0 0", "Cl1 .5 .5"), columns=("label", "fract_x", "fract_y")), "it lists no sites"),
        (cif_text(operations=("x,y,z", "x,y,w")), "symmetry operation: 'x,y,w' cannot be read"),
        (cif_text(operations=("x,y,z", "x,x,z")), "keeps no volume"),
        (cif_text(operations=("x,y,z", "y,x,z"), cell=(4, 6, 5, 90, 90, 90)), "do not fit its cell"),
        (cif_text().replace("Na1 Na", "\n;Na1 Na"), "a text field (;) that is never closed"),
    ],
)
def test_each_fault_has_a_line_of_its_own(text: str, said: str) -> None:
    found = read_one("a.cif", text)
    assert said in found.problem
    assert found.problem.startswith("no readable CIF: ")


@each_row("name", ["POSCAR.cif", "poscar-salt.CIF", "CONTCAR_2.cif", "salt.mcif"])
def test_the_ending_cif_wins(name: str) -> None:
    assert formula_of(read_one(name, cif_text())) == "Na4 Cl4"


def test_a_cif_that_is_named_poscar_is_read_aloud() -> None:
    found = read_one("POSCAR", cif_text())
    assert formula_of(found) == "Na4 Cl4"
    assert "read as CIF" in found.note


def test_a_magnetic_crystal_is_read_without_its_moments() -> None:
    head = "loop_\n_space_group_symop_magn_operation.xyz\nx,y,z,+1\n-x,-y,-z,-1\n"
    head += "loop_\n_space_group_symop_magn_centering.xyz\nx,y,z,+1\nx+1/2,y+1/2,z+1/2,-1\n"
    head += "loop_\n_atom_site_moment.label\n_atom_site_moment.crystalaxis_x\nMn1 3.0"
    rows = ("Mn1 Mn 0 0 0 1", "O1 O 0.3 0 0 1")
    found = read_one("a.mcif", cif_text(rows, head, operations=None))
    assert formula_of(found) == "Mn2 O4"
    assert found.note == "magnetic moments were left out"


def test_the_whole_cell_listed_beside_operations_is_counted_once() -> None:
    rows = ("Na1 Na 0 0 0 1", "Na2 Na .5 .5 0 1", "Cl1 Cl .5 .5 .5 1", "Cl2 Cl 0 0 .5 1")
    found = read_one("a.cif", cif_text(rows))
    assert formula_of(found) == "Na4 Cl4"
    assert "Na2 (line 23), Cl2 (line 25): listed before" in found.note


def test_sites_far_outside_are_brought_back_and_farther_ones_refused() -> None:
    found = read_one("a.cif", cif_text(("Na1 Na 0 0 0 1", "Cl1 Cl 40.5 .5 .5 1")))
    assert formula_of(found) == "Na4 Cl4"
    assert np.abs(found.structure.frac_coords).max() < 1


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of spglib, for how pymatgen calls it
@each_row(
    ("structure", "symbol", "n_rows"),
    [
        (
            of_group("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5] * 3]),
            "F m -3 m",
            2,
        ),
        (
            of_group("P4_2/mnm", Lattice.tetragonal(4.6, 2.96), ["Ti", "O"], [[0, 0, 0], [0.3, 0.3, 0]]),
            "P 42/m n m",
            2,
        ),
        (of_group("R-3m", Lattice.hexagonal(4.5, 11.9), ["Bi"], [[0, 0, 0.234]]), "R -3 m:H", 1),
        (of_group("Fd-3m", Lattice.cubic(3.57), ["C"], [[0] * 3]), "F d -3 m:1", 1),
        (Structure(Lattice.from_parameters(3, 4, 5, 80, 95, 101), ["Fe", "O"], [[0, 0, 0], [0.4, 0.3, 0.2]]), "P 1", 2),
    ],
)
def test_export_names_the_group_and_reads_back(structure: Structure, symbol: str, n_rows: int) -> None:
    text = cif(structure, "a test")
    assert text.startswith("# written by MatGen Explorer")
    assert "from a test" in text.splitlines()[0]
    assert f"_symmetry_space_group_name_H-M   '{symbol}'" in text
    rows = [line.split() for line in text.splitlines() if line.startswith("  ") and len(line.split()) == 7]
    assert len(rows) == n_rows
    assert len({row[1] for row in rows}) == n_rows
    assert sum(int(row[2]) for row in rows) == len(structure)
    found = read_one("a.cif", text)
    assert found.structure is not None
    assert found.note == ""
    assert found.structure.composition == structure.composition
    apart = found.structure.frac_coords[:, None] - structure.frac_coords[None]
    assert (np.abs(apart - np.round(apart)).max(axis=2).min(axis=1) < 1e-6).all()


def test_export_stays_in_p1_where_the_cell_is_no_setting_or_the_sites_are_off_and_says_the_group() -> None:
    salt = of_group("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5] * 3])
    moved = salt.copy()
    moved.translate_sites([0], [0.005, 0, 0])
    for structure, why in ((salt.get_primitive_structure(), "none of its settings"), (moved, "off it")):
        text = cif(structure)
        assert "'P 1'" in text
        assert "Fm-3m (225)" in text.splitlines()[1]
        assert why in text.splitlines()[1]
        assert read_one("a.cif", text).structure.composition == structure.composition


def test_labels_of_an_export_are_unique_however_a_crystal_was_read() -> None:
    read = read_one("a.cif", cif_text(("M1 Na 0 0 0 .5", "M1 K 0 0 0 .5", SALT_ROWS[1]), operations=FACES)).structure
    assert read is not None
    labels = [line.split()[1] for line in cif(read).splitlines() if line.startswith("  ") and len(line.split()) == 7]
    assert sorted(labels) == ["Cl1", "K1", "Na1"]
