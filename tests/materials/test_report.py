"""Sites, symmetry and comparison of structures."""

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from matgen_core.materials import report
from tests.support.crystals import NACL, RUTILE, rock_salt


def test_symmetry_of_rutile() -> None:
    found = report.symmetry(RUTILE)
    assert (found.number, found.symbol, found.crystal_system) == (136, "P4_2/mnm", "tetragonal")
    assert found.wyckoff == ("2a", "2a", "4f", "4f", "4f", "4f")
    assert found.summary == "P4_2/mnm (136), tetragonal"


@pytest.mark.parametrize("cell", ["conventional", "primitive", "double"])
def test_wyckoff_multiplicities_do_not_depend_on_the_cell(cell: str) -> None:
    structure = NACL.copy()
    if cell == "primitive":
        structure = structure.get_primitive_structure()
    elif cell == "double":
        structure.make_supercell([2, 1, 1])
    found = report.symmetry(structure)
    assert found.number == 225
    assert {letter[0] for letter in found.wyckoff} == {"4"}


def test_a_structure_without_a_group_is_unknown_and_not_p1() -> None:
    overlapping = Structure(Lattice.cubic(4), ["Fe", "Fe"], [[0, 0, 0], [0.001, 0, 0]])
    found = report.symmetry(overlapping)
    assert (found.number, found.symbol) == (None, None)
    assert found.summary.startswith("Space group unknown: ")


def test_site_table_lists_sites_in_order() -> None:
    table = report.site_table(RUTILE)
    assert table["Site"].tolist() == ["Ti1", "Ti2", "O1", "O2", "O3", "O4"]
    assert table["Coordination number"].tolist() == [6, 6, 3, 3, 3, 3]
    assert np.allclose(table[["X (Å)", "Y (Å)", "Z (Å)"]], RUTILE.cart_coords)
    assert table["Nearest neighbor (Å)"].tolist() == pytest.approx([1.946] * 6, abs=0.003)


def test_the_nearest_neighbor_of_a_lone_atom_is_its_image() -> None:
    assert report.site_table(Structure(Lattice.cubic(3), ["Po"], [[0, 0, 0]]))[
        "Nearest neighbor (Å)"
    ].tolist() == pytest.approx([3.0])


def test_comparison_measures_what_was_moved() -> None:
    other = RUTILE.copy()
    other.translate_sites([2], [0, 0, 0.3 / 2.959])
    found = report.compare(RUTILE, other)
    assert found.matches
    moved = found.displacements.sort_values("Displacement (Å)")["Displacement (Å)"].to_numpy()
    # The matcher also shifts the whole cell by a sixth of the move, which lessens the sum of squares.
    assert moved[-1] == pytest.approx(0.25, abs=0.01)
    assert moved[:-1] == pytest.approx([0.05] * 5, abs=0.01)
    assert found.rmsd_angstrom == pytest.approx(float(np.sqrt((moved**2).mean())), abs=1e-3)
    assert found.rmsd == pytest.approx(found.rmsd_angstrom / (RUTILE.volume / 6) ** (1 / 3), abs=1e-6)


def test_comparison_sees_through_site_order_and_origin() -> None:
    other = Structure.from_sites(list(reversed(RUTILE)))
    other.translate_sites(range(6), [0.13, 0.41, 0.7])
    found = report.compare(RUTILE, other)
    assert found.rmsd == pytest.approx(0, abs=1e-6)
    assert found.displacements["Displacement (Å)"].max() == pytest.approx(0, abs=1e-5)


def test_comparison_reports_the_swelling_of_a_cell() -> None:
    other = RUTILE.copy()
    other.scale_lattice(RUTILE.volume * 1.02**3)
    lattice = report.compare(RUTILE, other).lattice.set_index("Parameter")
    assert lattice.loc["a (Å)", "Difference (%)"] == pytest.approx(2, abs=0.01)
    assert lattice.loc["alpha (°)", "Difference"] == pytest.approx(0, abs=1e-6)
    assert lattice.loc["Volume per site (Å³)", "Difference (%)"] == pytest.approx(6.12, abs=0.01)


def test_a_supercell_is_the_same_structure() -> None:
    assert report.compare(NACL, NACL.get_primitive_structure()).rmsd == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (NACL, "NaCl is another composition than TiO2"),
        (Structure(RUTILE.lattice, RUTILE.species, np.random.default_rng(0).random((6, 3))), "no mapping of sites"),
    ],
    ids=["composition", "random sites"],
)
def test_what_does_not_match_says_why_and_still_compares_lattices(other: Structure, reason: str) -> None:
    found = report.compare(RUTILE, other)
    assert not found.matches
    assert (found.rmsd, len(found.displacements)) == (None, 0)
    assert reason in found.problem
    assert len(found.lattice) == 7


def test_cells_that_nobody_waits_for_are_not_matched() -> None:
    large = NACL * (3, 3, 3)
    found = report.compare(large, large)
    assert found.problem == "216 sites; at most 150 are matched"
    assert found.lattice["Difference"].abs().max() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("structure", "n_sites"),
    [
        (rock_salt() * (5, 5, 5), 2),
        (rock_salt() * (2, 1, 1), 2),
        (rock_salt(), None),  # the conventional cell is what people mean
        (rock_salt().get_primitive_structure(), None),
        (RUTILE, None),
        (RUTILE * (2, 2, 1), 6),
        (RUTILE * (1, 1, 3), 6),
        (Structure(Lattice.cubic(12), ["Fe"], [[0.1, 0.2, 0.3]]), None),
        (Structure(Lattice.cubic(12), ["Fe"], [[0.1, 0.2, 0.3]]) * (2, 2, 2), 1),
        (Structure(Lattice.cubic(4), [{"Ba": 0.5}, "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]) * (1, 3, 1), 2),
        (Structure(Lattice.cubic(4), ["Fe", "Fe"], [[0, 0, 0], [0.0001, 0, 0]]), None),
    ],
)
def test_a_supercell_is_offered_its_primitive_cell(structure: Structure, n_sites: int | None) -> None:
    found = report.primitive(structure)
    assert (None if found is None else len(found)) == n_sites
    if found is not None:
        assert found.composition.fractional_composition.almost_equals(structure.composition.fractional_composition)
        assert found.volume / len(found) == pytest.approx(structure.volume / len(structure))
    moved = structure.copy()
    if len(moved) > 2:
        moved.translate_sites([0], [0.05, 0.02, 0.01])
        assert report.primitive(moved) is None  # it is a supercell no more
