"""Reduced cells: one for every way of writing a crystal, without moving an atom."""

import numpy as np
import pytest
from numpy.typing import NDArray
from pymatgen.core import Lattice, Structure
from scipy.optimize import linear_sum_assignment

from matgen_core.materials.cells import reduced_setting
from tests.support.crystals import rock_salt

LATTICES = {
    "cubic": Lattice.cubic(4.1),
    "face-centered": Lattice([[0, 2.7, 2.7], [2.7, 0, 2.7], [2.7, 2.7, 0]]),
    "body-centered": Lattice([[-2, 2, 2], [2, -2, 2], [2, 2, -2]]),
    "tetragonal": Lattice.tetragonal(3.9, 5.6),
    "hexagonal": Lattice.hexagonal(3.3, 5.2),
    "rhombohedral": Lattice.rhombohedral(5.4, 55),
    "orthorhombic": Lattice.orthorhombic(3.8, 4.9, 6.3),
    "monoclinic": Lattice.from_parameters(4.2, 3.6, 6.0, 90, 103, 90),
    "triclinic": Lattice.from_parameters(4.2, 5.1, 6.6, 82, 71, 95),
    "flat and long": Lattice.orthorhombic(3.2, 3.3, 13.0),
}
SITES = {
    "one": (["Na"], [[0.1, 0.2, 0.3]]),
    "pair": (["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
    "perovskite": (["Sr", "Ti", "O", "O", "O"], [[0, 0, 0], [0.5] * 3, [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]),
    "low": (["Li", "Ti", "O", "O"], [[0.02, 0.11, 0.07], [0.48, 0.31, 0.52], [0.21, 0.77, 0.33], [0.8, 0.6, 0.9]]),
}


def written_otherwise(structure: Structure, rng: np.random.Generator, larger: bool) -> Structure:
    """The same crystal from another origin, turned, in another basis, its sites in another order."""
    basis = np.linalg.multi_dot([_shear(rng) for _ in range(3)])
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    turn *= np.linalg.det(turn)
    moved = structure.cart_coords + rng.uniform(-5, 5, 3)
    order = rng.permutation(len(structure))
    other = Structure(
        basis @ structure.lattice.matrix @ turn,
        [structure.species[i] for i in order],
        (moved @ turn)[order],
        coords_are_cartesian=True,
        to_unit_cell=True,
    )
    return other * (2, 1, 1) if larger else other


def _shear(rng: np.random.Generator) -> NDArray[np.float64]:
    matrix = np.eye(3)
    i, j = rng.permutation(3)[:2]
    matrix[i, j] = rng.choice([-1, 1])
    return matrix


def farthest(a: Structure, b: Structure) -> float:
    """Largest distance in Å between sites of the same element in two cells that are the same."""
    assert len(a) == len(b)
    np.testing.assert_allclose(a.lattice.parameters, b.lattice.parameters, atol=0.01)
    unlike = np.array([[x.specie != y.specie for y in b] for x in a])
    distances = a.lattice.get_all_distances(a.frac_coords, b.frac_coords) + 100 * unlike
    return float(distances[linear_sum_assignment(distances)].max())


@pytest.mark.parametrize("lattice", LATTICES)
def test_a_crystal_has_one_reduced_cell(lattice: str) -> None:
    rng = np.random.default_rng(list(LATTICES).index(lattice))
    for name, (species, sites) in SITES.items():
        structure = Structure(LATTICES[lattice], species, sites)
        expected = reduced_setting(structure)
        for larger in (False, True):
            found = reduced_setting(written_otherwise(structure, rng, larger))
            assert farthest(expected, found) < 1e-3, (name, larger)
        assert np.all(np.diff(expected.lattice.abc) > -1e-3)
        assert expected.lattice.volume == pytest.approx(structure.volume)
        at_origin = np.abs(expected.frac_coords - expected.frac_coords.round()).max(1) < 1e-9
        assert at_origin.sum() == 1


def test_no_atom_is_moved() -> None:
    rng = np.random.default_rng(2)
    for size in (0.02, 0.05, 0.1):
        structure = rock_salt()
        structure = Structure(
            structure.lattice,
            structure.species,
            structure.cart_coords + size * rng.standard_normal((8, 3)),
            coords_are_cartesian=True,
        )
        found = reduced_setting(structure)
        assert len(found) == 8
        pairs = [np.sort(each.distance_matrix[np.triu_indices(8, 1)]) for each in (structure, found)]
        np.testing.assert_allclose(*pairs, atol=2e-3)


def test_a_small_displacement_is_small_in_the_reduced_cell() -> None:
    rng = np.random.default_rng(3)
    for name, lattice in LATTICES.items():
        structure = Structure(lattice, *SITES["perovskite"])
        steps = rng.standard_normal((5, 3))
        steps *= 0.03 / np.linalg.norm(steps, axis=1, keepdims=True)
        moved = Structure(lattice, structure.species, structure.cart_coords + steps, coords_are_cartesian=True)
        # Twice the step: the atom at the origin moved too.
        assert farthest(reduced_setting(structure), reduced_setting(moved)) < 0.07, name


def test_crystals_of_a_type_have_their_atoms_at_the_same_places() -> None:
    one, other = (
        reduced_setting(Structure(LATTICES["tetragonal"], species, SITES["perovskite"][1]))
        for species in (["Sr", "Ti", "O", "O", "O"], ["Ca", "Zr", "S", "S", "S"])
    )
    np.testing.assert_allclose(*(np.sort(each.frac_coords.ravel()) for each in (one, other)), atol=1e-6)


def test_two_sites_on_one_spot_and_a_flat_cell_are_refused() -> None:
    with pytest.raises(ValueError, match="Na: no primitive cell was found; see that no two sites"):
        reduced_setting(Structure(Lattice.cubic(4), ["Na", "Na"], [[0, 0, 0], [0, 0, 0]]))
    with pytest.raises(ValueError, match="Na: the cell cannot be reduced; see that it is not flat"):
        reduced_setting(Structure(Lattice([[3, 0, 0], [0, 3, 0], [3, 3, 0]]), ["Na"], [[0, 0, 0]]))
