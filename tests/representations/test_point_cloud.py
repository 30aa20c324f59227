"""Crystals in slots: round trips, refusals, and the same layout in torch."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Composition, Lattice, Structure

from matgen_core.networks.arrays import clouds
from matgen_core.networks.arrays.cells import lattice_parameters
from matgen_core.representations import DecodeError, PointCloud
from matgen_core.representations.round_trip import site_error
from tests.support.crystals import NACL, RUTILE, rock_salt

MGMNO = PointCloud(("Mg", "Mn", "O"), (8, 8, 12))
OTHER = PointCloud(("Li", "V", "O", "F"), (3, 5, 7, 2))


@st.composite
def crystals(draw, layout: PointCloud) -> Structure:
    """Random cells of any shape, random sites, also outside of 0 to 1 and on its ends."""
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    counts = [draw(st.integers(0, n)) for n in layout.slots[:-1]] + [draw(st.integers(1, layout.slots[-1]))]
    symbols = [symbol for symbol, n in zip(layout.elements, counts, strict=True) for symbol in [symbol] * n]
    frac_coords = rng.uniform(-1, 2, (len(symbols), 3))
    frac_coords[rng.random(frac_coords.shape) < 0.2] = rng.choice([0.0, 1.0, -1e-17, 0.5])
    lattice = Lattice.from_parameters(*rng.uniform(6, 29, 3), *rng.uniform(62, 118, 3))
    order = rng.permutation(len(symbols))
    return Structure(lattice, [symbols[i] for i in order], frac_coords[order])


@settings(max_examples=40, deadline=None)
@given(st.data(), st.sampled_from([MGMNO, OTHER]))
def test_what_fits_comes_back(data, layout) -> None:
    structure = data.draw(crystals(layout))
    array = layout.encode(structure)
    assert array.shape == (2 + sum(layout.slots), 3) == layout.shape
    assert array.dtype == np.float32
    decoded = layout.decode(array)
    assert site_error(structure, decoded) < 1e-6
    np.testing.assert_allclose(decoded.lattice.parameters, structure.lattice.parameters, rtol=1e-5)
    # Another time changes nothing but the last digit.
    np.testing.assert_allclose(layout.encode(decoded), array, atol=1e-6)


def test_the_layout_is_the_papers() -> None:
    crystal = Structure(Lattice.from_parameters(3, 6, 12, 60, 90, 108), ["O", "Mg"], [[0, 0.5, 0.25], [0.75, 0, 0]])
    array = MGMNO.encode(crystal)
    assert array.shape == (30, 3)
    np.testing.assert_allclose(array[0], [0.1, 0.2, 0.4], rtol=1e-6)
    np.testing.assert_allclose(array[1], [1 / 3, 0.5, 0.6], rtol=1e-6)
    np.testing.assert_allclose(array[2], [2 / 3, 1 / 6, 1 / 6], rtol=1e-6)
    np.testing.assert_allclose(array[18], [1 / 6, 1 / 2, 1 / 3], rtol=1e-6)
    assert np.count_nonzero(array.any(1)) == 4


def test_the_corner_of_the_cell_is_a_site_and_an_empty_row_is_none() -> None:
    alone = Structure(Lattice.cubic(4), ["O"], [[0, 0, 0]])
    assert len(MGMNO.decode(MGMNO.encode(alone))) == 1
    array = MGMNO.encode(alone)
    array[5] = 0.13  # 0.39 in all
    assert len(MGMNO.decode(array)) == 1
    array[5] = 0.134
    assert MGMNO.decode(array).composition == Composition("MgO")


def test_refusals_name_what_does_not_fit() -> None:
    disordered = Structure(Lattice.cubic(4), [{"Mg": 0.5, "Mn": 0.5}], [[0, 0, 0]])
    nine = Structure(Lattice.cubic(9), ["Mg"] * 9, np.arange(27).reshape(9, 3) / 27)
    long = Structure(Lattice.orthorhombic(4, 4, 31), ["O"], [[0, 0, 0]])
    for structure, words in (
        (NACL, "no slots for Na, Cl: the elements are Mg, Mn, O"),
        (RUTILE, "no slots for Ti"),
        (rock_salt("Fe", "O"), "no slots for Fe"),
        (disordered, "partially occupied"),
        (nine, "Mg9 does not fit: 9 Mg where there are 8 slots"),
        (long, "an edge of 31.0 Å; the cell rows hold up to 30 Å"),
    ):
        with pytest.raises(ValueError, match=words):
            MGMNO.encode(structure)
    for formula, words in (
        ("Mg9MnO12", "9 Mg where there are 8 slots"),
        ("MgMn9O13", "9 Mn where there are 8 slots, 13 O where there are 12 slots"),
        ("MgFe2O4", "no slots for Fe"),
        ("Mg0.5MnO2", "Mg 0.5: a cell holds whole atoms"),
    ):
        with pytest.raises(ValueError, match=words):
            MGMNO.counts(Composition(formula))
    assert MGMNO.counts(Composition("Mn4Mg2O8")) == (2, 4, 8)
    assert MGMNO.counts(Composition("MnO")) == (0, 1, 1)


def test_a_layout_that_is_none_is_refused() -> None:
    for elements, slots, words in (
        (("Mg", "Mn"), (8,), "2 elements with 1 numbers of slots"),
        ((), (), "0 elements"),
        (("Mg", "Mg"), (8, 8), "an element stands twice in Mg Mg"),
        (("Mg", "Xx"), (8, 8), "'Xx' is no element"),
        (("Mg", "Mn"), (8, 0), "slots for Mn 0"),
        (("Mg", "Mn"), (-1, 3), "slots for Mg -1"),
    ):
        with pytest.raises(ValueError, match=words):
            PointCloud(elements, slots)


def test_arrays_that_are_no_crystal_say_why() -> None:
    good = MGMNO.encode(Structure(Lattice.cubic(4), ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]))
    for rows, value, words in (
        (slice(2, None), 0.0, "no row of the decoded array is a site"),
        (0, 0.04, "edges of 1.20, 1.20, 1.20 Å"),
        (0, 4.0, "edges of 120.00"),
        (0, 0.055, "Å\\^3 a site"),
        (1, 0.01, "angles of 1.8, 1.8, 1.8 degrees"),
        (1, 0.7, "angles of 126.0, 126.0, 126.0 degrees, which no cell has"),
        (3, np.nan, "not finite"),
    ):
        array = good.copy()
        array[rows] = value
        with pytest.raises(DecodeError, match=words):
            MGMNO.decode(array)


@settings(max_examples=15, deadline=None)
@given(st.data(), st.sampled_from([MGMNO, OTHER]))
def test_torch_writes_and_reads_the_same_arrays(data, layout) -> None:
    structure = data.draw(crystals(layout))
    array = torch.from_numpy(layout.encode(structure))[None]
    frac_coords, there, lattice = clouds.from_points(array)
    counts = torch.tensor([layout.counts(structure.composition)])
    assert torch.equal(there, clouds.occupied(counts, layout.slots))
    torch.testing.assert_close(
        lattice_parameters(lattice)[0, :3].numpy(), np.array(structure.lattice.abc, np.float32), rtol=1e-4, atol=1e-4
    )
    again = clouds.to_points(frac_coords, there, lattice)
    # An angle from its cosine, and a coordinate on the end of the cell, which may come back on the other end.
    there_and_back = (again - array).abs()
    assert float(there_and_back[:, :2].max()) < 1e-4
    off = there_and_back[:, 2:] / clouds.SQUEEZED
    assert float(torch.minimum(off, 1 - off).max()) < 1e-5


def test_least_distances_are_those_of_pymatgen() -> None:
    layout = PointCloud(("Na", "Cl", "Ti", "O"), (4, 4, 2, 4))
    lone = Structure(Lattice.from_parameters(3.1, 4, 5, 80, 95, 100), ["O"], [[0.9, 0.1, 0.2]])
    primitive = NACL.get_primitive_structure()
    for structure, expected in ((NACL, 2.82), (primitive, 2.82), (lone, 3.1), (RUTILE, 1.9481)):
        points = torch.from_numpy(layout.encode(structure))[None]
        found = float(clouds.least_distances(*clouds.from_points(points)))
        assert found == pytest.approx(expected, abs=1e-3), structure.formula
