"""The published boxes there and back: the recursive watershed on planted parts, and whole crystals."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pymatgen.core import Lattice, Structure

from matgen_core.networks.arrays import boxes as padded_box
from matgen_core.representations import DecodeError, PaddedVoxels
from matgen_core.representations.round_trip import round_trip, site_error
from matgen_core.representations.voxels.padded_voxels import element_radii
from matgen_core.representations.voxels.watershed import convexity, cut, majority
from tests.support.crystals import rock_salt

ELEMENTS = ("Na", "Cl", "Ti", "Sr", "O")
NUMBERS = np.array([11, 17, 22, 38, 8], np.float32)
SHAPE = (28, 20, 20)


def layout(**options) -> PaddedVoxels:
    return PaddedVoxels(ELEMENTS, NUMBERS, element_radii(ELEMENTS), **options)


def perovskite(edge: float = 3.9) -> Structure:
    sites = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    return Structure(Lattice.cubic(edge), ["Ti", "Sr", "O", "O", "O"], sites)


def balls(*centers: tuple[float, float, float], radius: float = 4.3) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Occupied voxels and density of balls that may touch."""
    squares = [sum((axis - c) ** 2 for axis, c in zip(np.indices(SHAPE), center, strict=True)) for center in centers]
    density = sum(np.exp(-square / (2 * 3.0**2)) for square in squares)
    return np.min(squares, 0) <= radius**2, np.asarray(density, np.float32)


def test_a_touching_pair_is_cut_between_its_centers() -> None:
    occupied, density = balls((7, 10, 10), (19, 10, 10))
    occupied[7:19, 10, 10] = True  # a thin neck
    assert convexity(occupied) < 0.8
    sites = cut(occupied, density)
    centers = sorted(voxels.mean(0).tolist() for voxels in sites)
    np.testing.assert_allclose(centers, [[7, 10, 10], [19, 10, 10]], atol=0.3)
    together = np.concatenate(sites)
    assert len(np.unique(together, axis=0)) == len(together)  # no voxel belongs to two sites


def test_a_pair_that_overlaps_is_convex_enough_for_one_site() -> None:
    """Two equal balls that touch fill four fifths of their hull: the published limit never parts such a pair."""
    occupied, density = balls((8, 10, 10), (15, 10, 10))
    assert 0.8 <= convexity(occupied) < 0.95
    assert len(cut(occupied, density)) == 1


def test_pieces_are_cut_again_and_a_ball_apart_is_left() -> None:
    occupied, density = balls((5, 5, 10), (15, 5, 10), (15, 15, 10), (24, 14, 4), radius=4.1)
    occupied[5:15, 5, 10] = occupied[15, 5:15, 10] = True
    centers = sorted(voxels.mean(0).tolist() for voxels in cut(occupied, density))
    np.testing.assert_allclose(centers, [[5, 5, 10], [15, 5, 10], [15, 15, 10], [24, 14, 4]], atol=0.3)


def test_one_ball_is_one_site_and_a_speck_is_none() -> None:
    occupied, density = balls((8, 10, 10))
    occupied[20, 10, 10:13] = True  # three voxels
    (site,) = cut(occupied, density)
    assert site.mean(0).tolist() == [8, 10, 10]
    occupied[20, 11, 10] = True
    assert len(cut(occupied, density)) == 2


def test_convexity_is_the_filled_share_of_the_hull() -> None:
    cube = np.ones((3, 3, 3), bool)
    assert convexity(cube) == 1
    corner = np.zeros((4, 4, 4), bool)
    corner[0], corner[:, 0], corner[:, :, 0] = True, True, True
    # Its hull is the cube without the far corner, beyond the plane x + y + z = 6 through three of its points.
    hull = sum(x + y + z <= 6 for x in range(4) for y in range(4) for z in range(4))
    assert convexity(corner) == pytest.approx(int(corner.sum()) / hull)
    assert convexity(np.ones((1, 5, 5), bool)) == 1  # flat


def test_the_commonest_element_wins_and_empty_space_never() -> None:
    assert majority(np.array([0, 0, 0, 3, 2, 3])) == 3
    assert majority(np.array([0, 0])) == 0


@pytest.mark.parametrize(
    ("structure", "tolerance"),
    [(perovskite(), 0.1), (rock_salt(), 0.03)],  # balls that overlap lose voxels to their neighbors
    ids=["perovskite", "rock salt"],
)
def test_a_crystal_comes_back(structure: Structure, tolerance: float) -> None:
    boxes = layout()
    array = boxes.encode(structure)
    assert array.shape == boxes.shape
    decoded = boxes.decode(array)
    assert site_error(boxes.standardize(structure), decoded) < tolerance
    np.testing.assert_allclose(decoded.lattice.abc, structure.lattice.abc, rtol=1e-4)
    assert decoded.lattice.angles == (90, 90, 90)
    assert round_trip(boxes, [structure])["match"].all()


def test_the_box_of_a_crystal_is_that_of_training() -> None:
    boxes = layout(setting="as_given")
    structure = perovskite()
    place = {symbol: i for i, symbol in enumerate(ELEMENTS)}
    species = torch.tensor([[place[site.specie.symbol] for site in structure]])
    x, labels = padded_box.draw(
        torch.tensor(structure.frac_coords, dtype=torch.float32)[None],
        species,
        torch.tensor([3.9]),
        torch.from_numpy(NUMBERS),
        torch.from_numpy(boxes.radii),
        32,
    )
    array = boxes.encode(structure)
    np.testing.assert_allclose(array[:4], x[0].numpy(), atol=1e-4)
    assert (array[4] == labels[0].numpy()).all()
    assert (array[5] == (array[4] > 0)).all()


def spoiled(channel: int, value: float) -> NDArray[np.float32]:
    array = layout().encode(perovskite())
    array[channel] = value
    return array


@pytest.mark.parametrize(
    ("array", "line"),
    [
        (spoiled(0, math.nan), "not finite"),
        (spoiled(1, 2.0), "edges of"),
        (spoiled(4, 0), "no occupied part"),
        (spoiled(5, 0.79), "no occupied part"),
    ],
    ids=["not finite", "no edge", "all labels empty", "not surely occupied"],
)
def test_an_array_that_is_no_crystal_says_why(array: NDArray[np.float32], line: str) -> None:
    with pytest.raises(DecodeError, match=line) as error:
        layout().decode(array)
    assert "\n" not in str(error.value)


def test_too_many_sites_are_no_crystal() -> None:
    with pytest.raises(DecodeError, match="more than 4 sites"):
        layout(max_sites=4).decode(layout().encode(perovskite()))


def tetragonal() -> Structure:
    return Structure(Lattice.tetragonal(3.9, 5.1), ["Ti", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])


def mixed() -> Structure:
    return Structure(Lattice.cubic(3.0), [{"Na": 0.5, "Ti": 0.5}], [[0, 0, 0]])


@pytest.mark.parametrize(
    ("structure", "line"),
    [
        (tetragonal(), "not cubic"),
        (mixed(), "partly occupied"),
        (Structure(Lattice.cubic(3.0), ["Xe"], [[0, 0, 0]]), "Xe is not one of the 5 elements"),
    ],
    ids=["tetragonal", "mixed site", "unknown element"],
)
def test_a_crystal_that_does_not_fit_is_refused(structure: Structure, line: str) -> None:
    with pytest.raises(ValueError, match=line) as error:
        layout().encode(structure)
    assert "\n" not in str(error.value)


def test_radii_are_ionic_and_large_enough_to_be_seen() -> None:
    radii = element_radii(("Na", "B", "H"))
    assert radii[0] == pytest.approx(1.16, abs=0.05)
    assert radii[1] == pytest.approx(0.6)
    assert radii[2] == pytest.approx(1.2)  # none is known
