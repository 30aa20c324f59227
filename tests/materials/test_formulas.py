"""Many formulas as arrays: read and written without loss, told apart, and refused with what is wrong."""

from math import gcd

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Composition

from matgen_core.checks import formula_of
from matgen_core.materials.elements import element_table
from matgen_core.materials.formulas import Formulas

COMPOSITIONS = st.dictionaries(st.sampled_from(list(element_table())), st.integers(1, 255), min_size=1, max_size=9)


@given(st.lists(COMPOSITIONS.map(Composition), min_size=1, max_size=4))
def test_formulas_are_written_as_one_by_one_and_read_again(compositions: list[Composition]) -> None:
    made = Formulas.of_compositions(compositions)
    written = made.texts()
    assert list(written) == [formula_of(composition) for composition in compositions]
    again, problems = Formulas.of_texts(written)
    assert not any(problems)
    np.testing.assert_array_equal(again.keys(), made.keys())
    assert [Composition(text) for text in written] == compositions
    assert list(made.reduced().texts()) == [
        formula_of(composition / gcd(*map(round, composition.values()))) for composition in compositions
    ]


def test_a_table_of_counts_and_back() -> None:
    elements = ("O", "Sr", "Ti")
    made = Formulas.of_table(np.array([[3, 1, 1], [0, 0, 0], [1, 1, 0]]), elements)
    assert list(made.texts()) == ["SrTiO3", "", "SrO"]
    assert made.n_elements.tolist() == [3, 0, 2]
    assert made.n_atoms.tolist() == [5, 0, 2]
    np.testing.assert_array_equal(made.table(elements), [[3, 1, 1], [0, 0, 0], [1, 1, 0]])
    np.testing.assert_array_equal(made.table(("Ti", "Li")), [[1, 0], [0, 0], [0, 0]])
    assert made.fit(elements, 3).tolist() == [True, False, True]
    assert made.fit(elements, 2).tolist() == [False, False, True]
    assert made.fit(("O", "Sr"), 3).tolist() == [False, False, True]
    with pytest.raises(ValueError, match="nothing known of Xx"):
        Formulas.of_table(np.ones((1, 1)), ("Xx",))


def test_keys_tell_formulas_apart() -> None:
    texts = ["SrTiO3", "Sr2Ti2O6", "SrTi3O", "SrTiO2", "TiO3Sr"]
    keys = Formulas.of_texts(texts)[0].keys()
    assert len(set(keys[:4].tolist())) == 4
    assert keys[0] == keys[4]
    assert len(set(Formulas.of_texts(texts)[0].reduced().keys().tolist())) == 3
    assert Formulas.of_table(np.zeros((1, 1)), ("Li",)).keys().tolist() == [0]


def test_formulas_of_different_width_stand_behind_one_another() -> None:
    binary, quaternary = Formulas.of_texts(["NaN"])[0], Formulas.of_texts(["Li6PS5Cl"])[0]
    assert list(Formulas.concatenate([binary, quaternary, binary]).texts()) == ["NaN", "Li6PS5Cl", "NaN"]
    assert len(Formulas.concatenate([])) == 0
    assert list(Formulas.concatenate([binary, quaternary])[np.array([False, True])].texts()) == ["Li6PS5Cl"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("Xx2", "'Xx' is no element"),
        ("Li0.5O", "0.5 Li; counts must be whole, 1 to 255"),
        ("Fe0O", "a zero where oxygen may be meant; is it FeOO?"),
        ("H300", "300 H"),
        ("", "no formula; write it as"),
        ("(Na" * 50_000, "150,000 characters, more than 300"),
        ("Li-O", "it is a phase field"),
        ("foo", "symbols begin with a capital letter and go on in lower case; is it FOO?"),
    ],
)
def test_what_is_no_formula_keeps_its_place_and_says_why(text: str, problem: str) -> None:
    made, problems = Formulas.of_texts(["Ca(OH)2", text])
    assert list(made.texts()) == ["CaH2O2", ""]
    assert problems[0] == ""
    assert problem in problems[1]
