"""A CIF that names its space group and lists no operations: applied in the setting that fits, or refused aloud."""

import numpy as np
import pytest
from pymatgen.core import Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from tests.support.rows import each_row
from tests.support.structure_texts import SALT_ROWS, cif_text, formula_of, read_one

CUBIC = (15.1, 15.1, 15.1, 90, 90, 90)
HEXAGONAL = (13.5, 13.5, 31.9, 90, 90, 120)
RHOMBOHEDRAL = (14.75, 14.75, 14.75, 57.2, 57.2, 57.2)
UNIQUE_B = (15.1, 16.2, 17.3, 90, 99, 90)
UNIQUE_C = (15.1, 16.2, 17.3, 90, 90, 99)
ORTHORHOMBIC = (15.1, 16.2, 17.3, 90, 90, 90)
TETRAGONAL = (14.6, 14.6, 19.0, 90, 90, 90)
SYMBOL, HALL, NUMBER = "_symmetry_space_group_name_H-M", "_symmetry_space_group_name_Hall", "_space_group_IT_number"
GENERAL = ("Fe1 Fe 0.3312 0.1152 0.0384 1",)


def named(head: str, cell: tuple[float, ...], rows: tuple[str, ...] = GENERAL):
    return read_one("a.cif", cif_text(rows, head, cell, operations=None))


def number_of(structure: Structure) -> int:
    return SpacegroupAnalyzer(structure, symprec=0.01).get_space_group_number()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of spglib, for how pymatgen calls it
@each_row(
    ("head", "cell", "n", "number", "applied"),
    [
        (f"{SYMBOL} 'F m 3 m'", CUBIC, 192, 225, "F m -3 m"),
        (f"{SYMBOL} 'fm-3m'", CUBIC, 192, 225, "F m -3 m"),
        (f"{SYMBOL} F m -3 m", CUBIC, 192, 225, "F m -3 m"),
        (f"{SYMBOL} 'F 4/m -3 2/m'", CUBIC, 192, 225, "F m -3 m"),
        (f"{SYMBOL} 'F -4 3 m'", CUBIC, 96, 216, "F -4 3 m"),
        (f"{SYMBOL} 'F43m'", CUBIC, 96, 216, "F -4 3 m"),
        (f"{SYMBOL} 'P a 3'", CUBIC, 24, 205, "P a -3"),
        (f"{SYMBOL} 'F d -3 m Z'", CUBIC, 192, 227, "F d -3 m:2"),
        (f"{SYMBOL} 'Fd-3mS'", CUBIC, 192, 227, "F d -3 m:1"),
        (f"{SYMBOL} 'F d -3 m (origin choice 2)'", CUBIC, 192, 227, "F d -3 m:2"),
        (f"{SYMBOL} 'P 31 2 1'", HEXAGONAL, 6, 152, "P 31 2 1"),
        (f"{SYMBOL} 'P6_3/mmc'", HEXAGONAL, 24, 194, "P 63/m m c"),
        (f"{SYMBOL} 'R -3 m'", HEXAGONAL, 36, 166, "R -3 m:H"),
        (f"{SYMBOL} 'R -3 m'", RHOMBOHEDRAL, 12, 166, "R -3 m:R"),
        (f"{SYMBOL} 'R 3 c :R'", RHOMBOHEDRAL, 6, 161, "R 3 c:R"),
        (f"{SYMBOL} 'R-3m:H'", RHOMBOHEDRAL, 12, 166, "R -3 m:R"),
        (f"{SYMBOL} 'P 21/n'", UNIQUE_B, 4, 14, "P 1 21/n 1"),
        (f"{SYMBOL} 'P2(1)/a'", UNIQUE_B, 4, 14, "P 1 21/a 1"),
        (f"{SYMBOL} 'P 21/a'", UNIQUE_C, 4, 14, "P 1 1 21/a"),
        (f"{SYMBOL} 'P 2/m'", UNIQUE_C, 4, 10, "P 1 1 2/m"),
        (f"{SYMBOL} 'B 2/m'", UNIQUE_C, 8, 12, "B 1 1 2/m"),
        (f"{SYMBOL} 'I2/a'", UNIQUE_B, 8, 15, "I 1 2/a 1"),
        (f"{SYMBOL} 'P 1 21/c 1 :b1'", UNIQUE_B, 4, 14, "P 1 21/c 1"),
        (f"{SYMBOL} 'P 1 1 21/b'", UNIQUE_C, 4, 14, "P 1 1 21/b"),
        (f"{SYMBOL} 'C m c a'", ORTHORHOMBIC, 16, 64, "C m c a"),
        (f"{SYMBOL} 'C m c e'", ORTHORHOMBIC, 16, 64, "C m c a"),
        (f"{SYMBOL} 'Pbnm'", ORTHORHOMBIC, 8, 62, "P b n m"),
        (f"{SYMBOL} 'P 21/n 21/m 21/a'", ORTHORHOMBIC, 8, 62, "P n m a"),
        (f"{SYMBOL} 'P 42/m n m'", TETRAGONAL, 16, 136, "P 42/m n m"),
        (f"{SYMBOL} 'I 41/a m d:2'", TETRAGONAL, 32, 141, "I 41/a m d:2"),
        (f"{HALL} '-F 4 2 3'", CUBIC, 192, 225, "F m -3 m"),
        (f"{HALL} '-P 2yn'", UNIQUE_B, 4, 14, "P 1 21/n 1"),
        (f"{HALL} '-r_3_2\"'", HEXAGONAL, 36, 166, "R -3 m:H"),
        (f"{NUMBER} 225", CUBIC, 192, 225, "F m -3 m"),
        (f"{NUMBER} 62", ORTHORHOMBIC, 8, 62, "P n m a"),
        (f"{NUMBER} 14", UNIQUE_B, 4, 14, "P 1 21/c 1"),
        (f"{NUMBER} 166", RHOMBOHEDRAL, 12, 166, "R -3 m:R"),
        (f"{NUMBER} 221\n{SYMBOL} 'Q 4 5 6'", CUBIC, 48, 221, "P m -3 m"),
    ],
)
def test_a_named_group_is_applied_in_the_setting_that_fits(
    head: str, cell: tuple[float, ...], n: int, number: int, applied: str
) -> None:
    found = named(head, cell)
    assert found.structure is not None, found.problem
    assert len(found.structure) == n
    assert number_of(found.structure) == number
    assert f"no symmetry operations in the file: {applied} (No. {number}) applied" in found.note


@each_row(
    ("head", "cell", "said"),
    [
        (f"{SYMBOL} 'Q 4 5 6'", CUBIC, "space group 'Q 4 5 6' is unknown"),
        (f"{SYMBOL} 'F m -3 m'", ORTHORHOMBIC, "the cell does not fit space group F m -3 m"),
        (f"{SYMBOL} 'C m c a'", UNIQUE_B, "the cell does not fit space group C m c a"),
        (f"{SYMBOL} 'P 63/m m c'", RHOMBOHEDRAL, "the cell does not fit"),
        (f"{SYMBOL} 'F m -3 m'\n{NUMBER} 221", CUBIC, "means No. 225, but the file also says No. 221"),
        (f"{SYMBOL} 'F d -3 m'\n{HALL} '-F 4 2 3'", CUBIC, "is not that of 'F d -3 m'"),
        (f"{HALL} '-X 9 9 9'", CUBIC, "'-X 9 9 9' is unknown"),
        (f"{SYMBOL} 'F d -3 m'", CUBIC, "can mean several settings: F d -3 m:1 (No. 227) gives Fe192, F d -3 m:2"),
        (f"{NUMBER} 129", TETRAGONAL, "can mean several"),
        (f"{NUMBER} 14", UNIQUE_C, "can mean several settings: P 1 1 21/a"),
    ],
)
def test_a_group_that_cannot_be_applied_costs_one_line_and_never_p1(
    head: str, cell: tuple[float, ...], said: str
) -> None:
    found = named(head, cell)
    assert found.structure is None
    assert said in found.problem


@each_row(
    ("rows", "head", "holds"),
    [
        (("C1 C 0 0 0 1",), "_chemical_formula_sum C\n_cell_formula_units_Z 8", "C8"),
        (("C1 C 0 0 0 1",), "_chemical_formula_sum C16", "C16"),
        (("C1 C .125 .125 .125 1",), "_chemical_formula_sum C\n_cell_formula_units_Z 8", "C8"),
        (("Mg1 Mg .125 .125 .125 1", "Al1 Al .5 .5 .5 1", "O1 O .262 .262 .262 1"),
         "_chemical_formula_sum 'Al2 Mg O4'", "Mg8 Al16 O32"),
        (("Mg1 Mg 0 0 0 1", "Al1 Al .625 .625 .625 1", "O1 O .387 .387 .387 1"),
         "_chemical_formula_sum 'Al2 Mg O4'\n_cell_formula_units_Z 8", "Mg8 Al16 O32"),
    ],
)  # fmt: skip
def test_the_formula_decides_between_origins(rows: tuple[str, ...], head: str, holds: str) -> None:
    found = named(f"{SYMBOL} 'F d -3 m'\n{head}", (8.1, 8.1, 8.1, 90, 90, 90), rows)
    assert formula_of(found) == holds, found.problem
    assert "F d -3 m:" in found.note


def test_without_any_symmetry_it_is_p1_aloud_or_refused_against_the_formula() -> None:
    found = read_one("a.cif", cif_text(operations=None))
    assert formula_of(found) == "Na1 Cl1"
    assert "neither symmetry operations nor a space group in the file: read as P 1" in found.note
    refused = read_one("a.cif", cif_text(head="_chemical_formula_sum 'Na4 Cl4'", operations=None))
    assert "in P 1 the sites are Na1 Cl1, but the file says Na4 Cl4" in refused.problem


def test_an_unknown_symbol_says_what_p1_would_be_and_what_the_file_says() -> None:
    found = named(f"{SYMBOL} 'Q 1'\n_chemical_formula_sum 'Na4 Cl4'", CUBIC, SALT_ROWS)
    assert "in P 1 the sites would be Na1 Cl1, but the file says Na4 Cl4" in found.problem


def test_operations_that_are_not_those_of_the_named_group_are_told() -> None:
    head = f"{SYMBOL} 'F m -3 m'"
    found = read_one("a.cif", cif_text(head=head, operations=("x,y,z",)))
    assert formula_of(found) == "Na1 Cl1"
    assert "has 192 symmetry operations, but the file lists 1: these were used" in found.note
    head += "\n_chemical_formula_sum 'Na Cl'\n_cell_formula_units_Z 4"
    found = read_one("a.cif", cif_text(head=head, operations=("x,y,z",)))
    assert formula_of(found) == "Na4 Cl4"
    assert "the group was applied, which gives the file's formula" in found.note


def test_operations_are_read_with_or_without_marks_spaces_and_numbers() -> None:
    rows = ("Fe1 Fe 0.1 0.2 0.3 1",)
    expected = [[0.1, 0.2, 0.3], [0.4, 0.3, 0.7], [0.9, 0.8, 0.7]]
    for written in (
        "x,y,z\n1/2-x,+y+1/10,-z\n-x,-y,-z",
        "'x, y, z'\n'-x+.5, y+0.1, -z'\n'-X, -Y, -Z'",
        "x, y, z\n1/2-x, y+1/10, -z\n-x, -y, -z",
    ):
        head = f"loop_\n_space_group_symop_operation_xyz\n{written}"
        found = named(head, ORTHORHOMBIC, rows)
        assert found.structure is not None, found.problem
        assert np.allclose(found.structure.frac_coords, expected)
    numbered = "loop_\n_symmetry_equiv_pos_site_id\n_symmetry_equiv_pos_as_xyz\n1 x,y,z\n2 -x, -y, -z"
    assert len(named(numbered, ORTHORHOMBIC, rows).structure) == 2
