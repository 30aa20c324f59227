"""Formulas as tables of element against count: exact round trips, and refusals that name what does not fit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Composition

from matgen_core.materials.formulas import Formulas
from matgen_core.representations import DecodeError
from matgen_core.representations.element_counts import ElementCounts

ELEMENTS = ("Li", "O", "Ti", "Sr", "Pb")
FORMULAS = st.dictionaries(st.sampled_from(ELEMENTS), st.integers(1, 8), min_size=1).map(Composition)


@pytest.mark.parametrize("absent_column", [False, True])
@given(composition=FORMULAS)
def test_every_formula_that_fits_comes_back(absent_column: bool, composition: Composition) -> None:
    layout = ElementCounts(ELEMENTS, absent_column=absent_column)
    array = layout.encode(composition)
    assert array.shape == layout.shape == (5, 9 if absent_column else 8)
    assert layout.decode(array) == composition


def test_a_table_has_the_count_in_the_element_s_row() -> None:
    array = ElementCounts(ELEMENTS, max_count=3).encode(Composition("SrTiO3"))
    np.testing.assert_array_equal(array, [[0, 0, 0], [0, 0, 1], [1, 0, 0], [1, 0, 0], [0, 0, 0]])


@pytest.mark.parametrize(
    ("formula", "named"),
    [
        ("NaO", "no Na among the 5 elements"),
        ("LiO9", "9 O; counts must be whole, 1 to 8"),
        ("LiO0.5", "0.5 O"),
        ({}, "empty"),
    ],
)
def test_what_does_not_fit_is_named(formula: str | dict[str, int], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        ElementCounts(ELEMENTS).encode(Composition(formula))


def test_of_two_counts_the_higher_cell_wins_and_faint_ones_are_none() -> None:
    layout = ElementCounts(ELEMENTS, max_count=3)
    array = np.zeros((1, 5, 3), np.float32)
    array[0, 0, :2] = 0.3, 0.6  # Li2, though Li1 passes too
    array[0, 1, 2] = 0.19  # no O
    array[0, 2, 2] = 0.21
    assert layout.decode_batch(array) == [Composition("Li2Ti3")]
    with pytest.raises(DecodeError, match="no element"):
        layout.decode(0 * array[0])


def test_many_formulas_are_written_and_read_at_once() -> None:
    formulas, _ = Formulas.of_texts(["SrTiO3", "Li2O"])
    for absent_column in (False, True):
        layout = ElementCounts(ELEMENTS, absent_column=absent_column)
        arrays = layout.encode_formulas(formulas)
        assert arrays.shape == (2, *layout.shape)
        np.testing.assert_array_equal(arrays[0], layout.encode(Composition("SrTiO3")))
        assert list(layout.formulas(arrays).texts()) == ["SrTiO3", "Li2O"]
    assert formulas.misfits(("Li", "O", "Sr"), 2) == ["SrTiO3: no Ti among the 3 elements", ""]
    assert formulas.misfits(ELEMENTS, 2) == ["SrTiO3: 3 O; counts must be whole, 1 to 2", ""]
