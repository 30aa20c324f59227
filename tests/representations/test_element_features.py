"""Phase fields as arrays: what is read, what is refused, and that order never matters."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matgen_core.materials.fields import PhaseField
from matgen_core.representations import DecodeError, ElementFeatures

SYMBOLS = ("Li", "Na", "Mg", "Al", "Sn", "P", "O", "S", "Cl", "Br")


def element_features(n_slots: int = 4) -> ElementFeatures:
    rng = np.random.default_rng(5)
    properties = pd.DataFrame(rng.normal(3, 2, (len(SYMBOLS), 6)), columns=[f"p{i}" for i in range(6)])
    properties["MendeleevNumber"] = rng.permutation(len(SYMBOLS)) * 7.0
    properties["constant"] = 4.2
    properties.insert(0, "element", SYMBOLS)
    fields = [PhaseField(SYMBOLS[i : i + n_slots]) for i in range(len(SYMBOLS) - n_slots + 1)]
    return ElementFeatures.fit(properties, fields)


def test_fit_standardizes_over_the_occurrences_in_the_training_fields() -> None:
    representation = element_features()
    fields = [PhaseField(SYMBOLS[i : i + 4]) for i in range(len(SYMBOLS) - 3)]
    seen = representation.table[representation.places(fields)].reshape(-1, len(representation.features))
    varying = [name != "constant" for name in representation.features]
    np.testing.assert_allclose(seen.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(seen.std(0), varying, atol=1e-5)  # a property that never varies becomes 0


@given(st.lists(st.sampled_from(SYMBOLS), min_size=4, max_size=4, unique=True))
def test_slots_are_filled_in_the_order_of_mendeleev_numbers(symbols: list[str]) -> None:
    representation = element_features()
    (places,) = representation.places([PhaseField(symbols)])
    assert {representation.elements[i] for i in places} == set(symbols)
    assert (np.diff(representation.order[places]) > 0).all()


@given(st.lists(st.sampled_from(SYMBOLS), min_size=3, max_size=3))
def test_decode_undoes_encode_and_survives_noise(field: list[str]) -> None:
    representation = element_features(3)
    noise = np.random.default_rng(0).normal(0, 0.05, representation.shape)
    assert representation.decode(representation.encode(PhaseField(field)) + noise) == PhaseField(field)


def test_decode_refuses_numbers_that_are_not_finite() -> None:
    representation = element_features()
    with pytest.raises(DecodeError, match="not finite"):
        representation.decode(np.full(representation.shape, np.nan, np.float32))


def test_a_field_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Cl-Li-S has 3 elements, but this model ranks fields of 4"):
        element_features().encode(PhaseField(["Li", "S", "Cl"]))


def test_an_element_without_features_is_named() -> None:
    with pytest.raises(ValueError, match="Og: this model has no features"):
        element_features().encode(PhaseField(["Li", "Og", "S", "Cl"]))
