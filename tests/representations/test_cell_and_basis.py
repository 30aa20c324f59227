"""Cell and basis images there and back: any cell and any two elements, and what is refused."""

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from matgen_core.representations import CellAndBasis, DecodeError

LAYOUT = CellAndBasis(("Ti", "O"))


def crystals(n: int = 30) -> list[Structure]:
    """Random cells of 2 to 12 sites at least 1.5 Å apart, of all shapes."""
    random = np.random.default_rng(1)
    found: list[Structure] = []
    while len(found) < n:
        n_sites = int(random.integers(2, 13))
        edges, angles = random.uniform(3, 6.5, 3), random.uniform(65, 115, 3)
        lattice = Lattice.from_parameters(*edges, *angles)
        sites: list[np.ndarray] = []
        for _ in range(400):
            site = random.random(3)
            near = [lattice.get_distance_and_image(site, other)[0] for other in sites]
            if len(sites) < n_sites and (not near or min(near) > 1.5):
                sites.append(site)
        species = ["Ti" if i < max(len(sites) // 3, 1) else "O" for i in range(len(sites))]
        crystal = Structure(lattice, species, sites)
        if len(sites) > 1 and 4 < crystal.volume / len(sites) < 100:
            found.append(crystal)
    return found


def worst(known: Structure, found: Structure) -> tuple[float, float, float]:
    """Largest differences of edges (Å) and angles (degrees), and of positions (Å) with their elements."""
    assert known.composition == found.composition
    distances = known.lattice.get_all_distances(known.frac_coords, found.frac_coords)
    alike = np.array([[a.specie == b.specie for b in found] for a in known])
    edges = np.abs(np.subtract(known.lattice.abc, found.lattice.abc)).max()
    angles = np.abs(np.subtract(known.lattice.angles, found.lattice.angles)).max()
    return float(edges), float(angles), float(np.where(alike, distances, np.inf).min(1).max())


def test_crystals_come_back_in_their_standard_cell() -> None:
    known = [LAYOUT.standardize(crystal) for crystal in crystals()]
    found = LAYOUT.decode_batch(np.stack([LAYOUT.draw(crystal) for crystal in known]))
    errors = [worst(a, b) for a, b in zip(known, found, strict=True) if not isinstance(b, DecodeError)]
    assert len(errors) == len(known)
    assert np.max(errors, 0) == pytest.approx([0, 0, 0], abs=1e-3)


def test_a_crystal_shifted_turned_or_as_a_supercell_gives_the_same_images() -> None:
    for crystal in crystals(8):
        array = LAYOUT.encode(crystal)
        assert array.shape == LAYOUT.shape == (3, 32, 32, 32)
        others = [crystal.copy() for _ in range(3)]
        others[0].translate_sites(range(len(crystal)), [0.13, 0.41, 0.77])
        others[1].make_supercell([[0, 1, 0], [0, 0, 1], [1, 0, 0]])
        others[2].make_supercell([2, 1, 1])
        for other in others:
            np.testing.assert_allclose(LAYOUT.encode(other), array, atol=5e-3)


def test_no_two_elements_have_a_distance_of_their_own() -> None:
    """The same places with other elements are read alike, however near they are."""
    for pair in (("V", "O"), ("H", "U"), ("Cs", "I")):
        layout = CellAndBasis(pair)
        crystal = Structure(
            Lattice.orthorhombic(3.1, 3.7, 4.4), [*pair, pair[1]], [[0] * 3, [0.5] * 3, [0.5, 0.5, 0.77]]
        )
        found = layout.decode(layout.encode(crystal))
        assert worst(layout.standardize(crystal), found)[2] < 0.01


def test_noise_below_the_height_of_a_peak_is_no_atom() -> None:
    known = [LAYOUT.standardize(crystal) for crystal in crystals(6)]
    arrays = np.stack([LAYOUT.draw(crystal) for crystal in known])
    noise = np.random.default_rng(0).normal(0, 0.03, arrays[:, 1:].shape).astype(np.float32)
    arrays[:, 1:] += noise
    for a, b in zip(known, LAYOUT.decode_batch(arrays), strict=True):
        assert isinstance(b, Structure)
        assert worst(a, b)[2] < 0.2


def test_what_does_not_fit_is_refused_with_the_reason() -> None:
    cell = Lattice.cubic(4)
    sites = [[0, 0, 0], [0.5, 0.5, 0.5]]
    many = np.random.default_rng(0).random((24, 3))
    for crystal, reason in (
        (Structure(cell, ["Ti", "S"], sites), "S is not one of the elements of this model, Ti, O"),
        (Structure(cell, [{"Ti": 0.5, "O": 0.5}, "O"], sites), "partly occupied"),
        (Structure(Lattice.orthorhombic(4, 4, 11), ["Ti", "O"], sites), "at most 10 Å"),
        (Structure(Lattice.cubic(9), ["Ti"] * 23 + ["O"], many), "at most 20"),
        (Structure(Lattice.from_parameters(10, 10, 10, 61, 61, 61), ["Ti", "O"], [[0, 0, 0], [0.85] * 3]), "box of 15"),
    ):
        with pytest.raises(ValueError, match=reason):
            LAYOUT.encode(crystal)


def test_images_that_are_no_crystal_are_failures_with_the_reason() -> None:
    good = LAYOUT.encode(crystals(1)[0])
    cases = []
    for change, reason in (
        (lambda x: x[1:].__imul__(0.1), "no peak"),
        (lambda x: x.__setitem__(0, 0.0), "decoded cell is none"),
        (lambda x: x.__setitem__((1, 3, 3, 3), np.nan), "not finite"),
        (lambda x: x.__setitem__(slice(1, None), np.random.default_rng(0).random(x[1:].shape)), "peaks|each|apart"),
    ):
        array = good.copy()
        change(array)
        cases.append((array, reason))
    found = LAYOUT.decode_batch(np.stack([good, *(array for array, _ in cases)]))
    assert isinstance(found[0], Structure)
    for (array, reason), each in zip(cases, found[1:], strict=True):
        assert isinstance(each, DecodeError)
        with pytest.raises(DecodeError, match=reason):
            LAYOUT.decode(array)


def test_atoms_on_one_spot_of_the_cell_are_refused() -> None:
    crystal = Structure(Lattice.cubic(4), ["Ti", "O", "O"], [[0, 0, 0], [0.5, 0.5, 0.5], [1.5, 0.5, 0.55]])
    with pytest.raises(DecodeError, match="apart"):
        LAYOUT.decode(LAYOUT.draw(crystal))
