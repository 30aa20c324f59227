"""Crystals on a grid: round trips, invariances, refusals."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Element, Lattice, Structure

from matgen_core.materials.cells import cubic_setting
from matgen_core.networks.arrays import boxes, density
from matgen_core.representations import DecodeError, VoxelGrid
from matgen_core.representations.round_trip import round_trip, site_error, summarize
from matgen_core.representations.voxels.voxel_grid import element_codes
from tests.support.crystals import rock_salt

ELEMENTS = ("H", "O", "Na", "Cl", "Ti", "Sr", "Nd", "Pr")


FLAT = torch.tensor([[[4.0, 0.0, 0.0], [0.0, 4.0, 0.0], [4.0, 4.0, 0.1]]])


def grid(**options) -> VoxelGrid:
    return VoxelGrid(ELEMENTS, element_codes(ELEMENTS), np.ones(len(ELEMENTS), np.float32), **options)


def perovskite(edge: float = 3.9) -> Structure:
    sites = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    return Structure(Lattice.cubic(edge), ["Sr", "Ti", "O", "O", "O"], sites)


@st.composite
def crystals(draw) -> Structure:
    """Random cells of any shape with sites on a shaken 3 x 3 x 3 grid, so that none lie on one spot."""
    n = draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    lattice = Lattice.from_parameters(*rng.uniform(4, 9, 3), *rng.uniform(75, 105, 3))
    places = np.stack(np.meshgrid(*[np.arange(3)] * 3), -1).reshape(-1, 3)[rng.permutation(27)[:n]]
    frac_coords = (places + rng.uniform(-0.2, 0.2, (n, 3))) / 3
    return Structure(lattice, rng.choice(ELEMENTS, n).tolist(), frac_coords)


@settings(max_examples=25, deadline=None)
@given(crystals(), st.sampled_from(["fraction", "angstrom", "step"]), st.sampled_from([(16, 16, 16), (14, 18, 20)]))
def test_any_cell_comes_back(structure, unit, points) -> None:
    width = {"fraction": 0.06, "angstrom": 0.42, "step": 0.9}[unit]
    representation = grid(grid=points, unit=unit, width=width)
    decoded = representation.decode(representation.encode(structure))
    assert site_error(structure, decoded) < 0.002
    np.testing.assert_allclose(decoded.lattice.parameters, structure.lattice.parameters, rtol=1e-4)


@settings(max_examples=10, deadline=None)
@given(crystals(), st.integers(0, 1000))
def test_noise_under_the_threshold_changes_nothing(structure, seed) -> None:
    representation = grid(width=0.06)
    array = representation.encode(structure)
    noise = 0.05 * np.random.default_rng(seed).standard_normal(array.shape, np.float32)
    assert site_error(structure, representation.decode(array + noise)) < 0.02


def test_close_sites_are_told_apart() -> None:
    pair = Structure(Lattice.cubic(6), ["H", "O"], [[0.4, 0.5, 0.5], [0.535, 0.5, 0.5]])
    representation = grid(width=0.05)
    assert site_error(pair, representation.decode(representation.encode(pair))) < 0.001


def test_heights_alone_tell_the_element() -> None:
    heights = np.array([Element(symbol).Z for symbol in ELEMENTS], np.float32)
    representation = VoxelGrid(ELEMENTS, np.zeros((len(ELEMENTS), 0), np.float32), heights, width=0.05)
    decoded = representation.decode(representation.encode(perovskite()))
    assert site_error(perovskite(), decoded) < 0.001


def test_order_and_whole_translations_do_not_matter() -> None:
    structure, representation = perovskite(), grid()
    moved = Structure(structure.lattice, structure.species[::-1], structure.frac_coords[::-1] + np.array([1, -2, 3]))
    np.testing.assert_allclose(representation.encode(moved), representation.encode(structure), atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 23))
def test_standard_setting_forgets_origin_orientation_and_order(seed, turn) -> None:
    rng = np.random.default_rng(seed)
    structure = perovskite()
    structure.translate_sites(1, [0.03, 0, 0])
    written = (structure.frac_coords + rng.random(3)) @ boxes.rotations()[turn].numpy().T % 1.0
    order = rng.permutation(5)
    other = Structure(structure.lattice, [structure.species[i] for i in order], written[order])
    representation = grid(setting="cubic_cell")
    np.testing.assert_allclose(representation.encode(other), representation.encode(structure), atol=1e-3)


def test_primitive_cell_and_supercell_become_the_conventional_cell() -> None:
    representation = grid(setting="cubic")
    expected = representation.encode(rock_salt())
    for cell in (rock_salt().get_primitive_structure(), rock_salt() * (2, 1, 1)):
        np.testing.assert_allclose(representation.encode(cell), expected, atol=1e-3)
    assert len(cubic_setting(rock_salt().get_primitive_structure())) == 8


def test_every_cell_of_a_crystal_draws_the_same_reduced_one() -> None:
    representation = grid(setting="reduced", grid=(16, 16, 24), width=0.8, unit="step")
    expected = representation.encode(rock_salt())
    for cell in (rock_salt().get_primitive_structure(), rock_salt() * (2, 1, 1), rock_salt() * (4, 4, 4)):
        np.testing.assert_allclose(representation.encode(cell), expected, atol=2e-3)
    assert len(representation.standardize(rock_salt())) == 2
    assert site_error(representation.standardize(rock_salt()), representation.decode(expected)) < 1e-3


def test_batch_is_one_by_one_and_a_failure_keeps_its_place() -> None:
    representation = grid()
    arrays = np.stack([representation.encode(structure) for structure in (perovskite(), rock_salt())])
    broken = np.full_like(arrays[:1], np.nan)
    first, failed, second = representation.decode_batch(np.concatenate([arrays[:1], broken, arrays[1:]]))
    assert isinstance(failed, DecodeError)
    for together, array in zip((first, second), arrays, strict=True):
        alone = representation.decode(array)
        assert together.species == alone.species
        offset = together.frac_coords - alone.frac_coords
        np.testing.assert_allclose(offset - offset.round(), 0, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda a: a.__setitem__(0, 0.0), "no peak"),
        (lambda a: a.__setitem__((0, 3, 3, 3), np.nan), "not finite"),
        (lambda a: a.__setitem__(slice(1, 4), 0.0), "edges of 0.00"),
        (lambda a: a.__setitem__(slice(1, 4), density.coordinates(FLAT, (16, 16, 16))[0]), "flat"),
    ],
)
def test_what_is_no_crystal_is_refused(change, reason) -> None:
    array = grid().encode(perovskite())
    change(array)
    with pytest.raises(DecodeError, match=reason):
        grid().decode(array)


def test_too_many_peaks_are_refused() -> None:
    array = grid().encode(rock_salt())
    with pytest.raises(DecodeError, match="more than 7 peaks"):
        grid(max_sites=7).decode(array)


def test_a_supercell_is_the_crystal_itself() -> None:
    standard = grid(setting="cubic").standardize(rock_salt())
    primitive = rock_salt().get_primitive_structure()
    for cell, times in ((primitive, 5), (primitive, (4, 3, 6)), (rock_salt(), 3), (rock_salt(), (4, 4, 4))):
        large = cell * times
        assert len(large) > 80
        again = grid(setting="cubic").standardize(large)
        assert again.lattice.a == pytest.approx(standard.lattice.a)
        assert again.species == standard.species
        np.testing.assert_allclose(again.frac_coords, standard.frac_coords, atol=1e-6)


def _crowd() -> Structure:
    """A cell that is no supercell: one atom of Sr among 80 of Na."""
    places = np.stack(np.meshgrid(*[np.arange(5) / 5] * 3), -1).reshape(-1, 3)[:81]
    return Structure(Lattice.cubic(20), ["Sr", *["Na"] * 80], places)


@pytest.mark.parametrize(
    ("structure", "options", "reason"),
    [
        (
            Structure(Lattice.cubic(4), [{"Na": 0.5, "Sr": 0.5}], [[0, 0, 0]]),
            {},
            "Na:0.5, Sr:0.5 is partly occupied",
        ),
        (Structure(Lattice.cubic(4), ["Na", "Kr"], [[0, 0, 0], [0.5] * 3]), {}, "Kr is not one of the 8 elements"),
        (rock_salt() * (4, 4, 4), {}, "512 sites in the cell, but this model holds at most 80"),
        (rock_salt() * (5, 5, 5), {"setting": "cubic"}, "1000 sites in the cell, but this model holds at most 80"),
        (_crowd(), {"setting": "cubic"}, "81 sites in the cell, but this model holds at most 80"),
        (Structure(Lattice.hexagonal(3, 5), ["Na"], [[0, 0, 0]]), {"setting": "cubic"}, "not cubic .*P6/mmm"),
        (
            Structure(Lattice.tetragonal(3, 5), ["Na"], [[0, 0, 0]]),
            {"setting": "cubic_cell"},
            "not cubic .*3.00 x 3.00 x 5.00",
        ),
        (
            Structure(Lattice.orthorhombic(9, 3, 15), ["Na"], [[0, 0, 0]]),
            {"setting": "reduced", "max_edges": (9.6, 9.6, 14.4)},
            "edges of 3.0, 9.0, 15.0 Å, but this model draws at most 9.6, 9.6, 14.4 Å; take a crystal with a smaller",
        ),
        (_crowd(), {"setting": "reduced"}, "81 sites in the cell, but this model holds at most 80"),
        (Structure(Lattice.cubic(20), ["Na"], [[0, 0, 0]]), {"unit": "angstrom", "width": 0.4}, "0.32 grid steps"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(structure, options, reason) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        grid(**options).encode(structure)
    assert "\n" not in str(caught.value)


def test_no_two_elements_have_codes_that_are_close() -> None:
    symbols = tuple(Element.from_Z(z).symbol for z in range(1, 95))
    codes = element_codes(symbols)
    distance = np.linalg.norm(codes[:, None] - codes[None], axis=-1) + 10 * np.eye(94)
    assert distance.min() > 1.9
    np.testing.assert_array_equal(element_codes(("O", "Fe")), codes[[7, 25]])
    with pytest.raises(ValueError, match="too few"):
        element_codes(symbols, n_binary=9)


def test_splat_agrees_with_a_sum_over_images() -> None:
    rng = np.random.default_rng(1)
    site, widths = rng.random(3), np.array([0.06, 0.08, 0.1])
    points = np.stack(np.meshgrid(*[np.arange(n) / n for n in (6, 7, 8)], indexing="ij"), -1)
    images = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3), -1).reshape(-1, 3)
    expected = sum(np.exp(-0.5 * (((points - site + image) / widths) ** 2).sum(-1)) for image in images)
    frac_coords, values = torch.tensor(site[None, None]), torch.full((1, 1, 1), 2.5, dtype=torch.float64)
    drawn = density.splat(frac_coords, values, (6, 7, 8), torch.tensor(widths))
    np.testing.assert_allclose(drawn[0, 0].numpy(), 2.5 * expected, atol=1e-9)


def test_round_trips_are_counted_with_their_failures() -> None:
    table = round_trip(grid(max_sites=8), [perovskite(), rock_salt()])
    assert summarize(table)["match_rate"] == 1.0
    drowned = summarize(round_trip(grid(max_sites=8), [perovskite(), rock_salt()], noise=3.0))
    assert drowned["n"] == 2
    assert drowned["match_rate"] == 0.0
    assert set(drowned["by_n_sites"]) == {"(2, 5]", "(5, 8]"}


def test_no_element_is_left_out_of_a_checkpoint_config() -> None:
    assert replace(grid(), max_sites=5).shape == (20, 16, 16, 16)


def test_anions_have_one_set_of_places_whatever_the_cations() -> None:
    """A line between two perovskites would else pass crystals with both sets, and too many peaks."""
    swapped = perovskite().copy()
    swapped.replace_species({"Sr": "Ti", "Ti": "Sr"})
    places = [
        sorted(map(tuple, cubic_setting(cell).frac_coords[[site.specie.symbol == "O" for site in cell]].round(3)))
        for cell in map(cubic_setting, (perovskite(), swapped))
    ]
    assert places[0] == places[1]
