"""Phase fields as arrays: what is read, what is refused, and that order never matters."""

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matgen_core.materials.fields import parse_phase_field, write_phase_field
from matgen_core.representations import DecodeError, ElementFeatures

SYMBOLS = ("Li", "Na", "Mg", "Al", "Sn", "P", "O", "S", "Cl", "Br")


def element_features(n_slots: int = 4) -> ElementFeatures:
    rng = np.random.default_rng(5)
    properties = pd.DataFrame(rng.normal(3, 2, (len(SYMBOLS), 6)), columns=[f"p{i}" for i in range(6)])
    properties["MendeleevNumber"] = rng.permutation(len(SYMBOLS)) * 7.0
    properties["constant"] = 4.2
    properties.insert(0, "element", SYMBOLS)
    fields = [SYMBOLS[i : i + n_slots] for i in range(len(SYMBOLS) - n_slots + 1)]
    return ElementFeatures.fit(properties, fields)


def test_fit_standardizes_over_the_occurrences_in_the_training_fields() -> None:
    representation = element_features()
    fields = [SYMBOLS[i : i + 4] for i in range(len(SYMBOLS) - 3)]
    seen = representation.table[representation.places(fields)].reshape(-1, len(representation.features))
    varying = [name != "constant" for name in representation.features]
    np.testing.assert_allclose(seen.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(seen.std(0), varying, atol=1e-5)  # a property that never varies becomes 0


@given(st.lists(st.sampled_from(SYMBOLS), min_size=4, max_size=4, unique=True))
def test_the_order_of_the_elements_does_not_matter(field: list[str]) -> None:
    representation = element_features()
    arrays = [representation.encode(tuple(order)) for order in permutations(field)]
    for array in arrays:
        np.testing.assert_array_equal(array, arrays[0])


@given(st.lists(st.sampled_from(SYMBOLS), min_size=3, max_size=3))
def test_decode_undoes_encode_and_survives_noise(field: list[str]) -> None:
    representation = element_features(3)
    noise = np.random.default_rng(0).normal(0, 0.05, representation.shape)
    assert representation.decode(representation.encode(tuple(field)) + noise) == tuple(sorted(field))


def test_decode_refuses_numbers_that_are_not_finite() -> None:
    representation = element_features()
    with pytest.raises(DecodeError, match="not finite"):
        representation.decode(np.full(representation.shape, np.nan, np.float32))


def test_a_field_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Li-S-Cl has 3 elements, but this model ranks fields of 4"):
        element_features().encode(("Li", "S", "Cl"))


def test_an_element_without_features_is_named() -> None:
    with pytest.raises(ValueError, match="Og: this model has no features"):
        element_features().encode(("Li", "Og", "S", "Cl"))


def test_parse_sorts_and_strips() -> None:
    assert parse_phase_field(" Sn-Li - S-Cl") == ("Cl", "Li", "S", "Sn")
    assert write_phase_field(("Sn", "Cl", "Li", "S")) == "Cl-Li-S-Sn"


@pytest.mark.parametrize("text", ["Li-Xx-S-Cl", "", "Li--S-Cl", "LiSnSCl", "li-S", "nan", "Li\u2013Sn\u2013S\u2013Cl"])
def test_parse_names_what_is_no_element(text: str) -> None:
    with pytest.raises(ValueError, match="is no element; write a phase field as in Li-Sn-S-Cl"):
        parse_phase_field(text)


def test_a_repeated_element_needs_mixed_valence() -> None:
    with pytest.raises(ValueError, match="repeats As"):
        parse_phase_field("As-As-Cd-Cl")
    assert parse_phase_field("As-As-Cd-Cl", mixed_valence=True) == ("As", "As", "Cd", "Cl")
