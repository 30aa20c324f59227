"""Magpie features of whole arrays are matminer's, value for value."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Composition

from matgen_core.materials.elements import element_table
from matgen_core.materials.formulas import Formulas
from matgen_core.representations.magpie_features import MagpieFeatures

# Of every kind: one element, ties of the most frequent, eight elements, large counts, noble gases, actinides.
REAL = """
Li Fe2O3 SrTiO3 MoS2 NaCl LiFePO4 Ca5P3HO13 In4O24Se8Zn2 HgNa4P2 Bi8Co4O28S4 XeF2 KrF2 UO2 Pu3Co NaN H2O Mg149H
K2NaAlF6 BaY2Cu3O7 CsPbI3 Bi2Te3 GeSe CrI3 Nb3Cl8 WTe2 C Si CaMg3C4O12 Na3Zr2Si2PO12 Cu12Sb4S13 CuInSe2 LaNi5 NdFeB
Er2O3 TbFe2 Pa2O5 AcF3 ThO2 Cf2O3 BN P As4 Hf2Si2Te2 Br2O2Ti2 KCl RbBr CsCl LiNaKRbCsClBrI
""".split()


@pytest.fixture(scope="module")
def features() -> MagpieFeatures:
    return MagpieFeatures.of_matminer(tuple(element_table()))


@pytest.fixture(scope="module")
def featurizer():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from matminer.featurizers.composition import ElementProperty

        return ElementProperty.from_preset("magpie", impute_nan=True)


def test_features_of_real_and_drawn_formulas_are_matminers(features: MagpieFeatures, featurizer) -> None:
    rng = np.random.default_rng(4)
    counts = np.zeros((250, len(features.elements)), np.uint8)
    for row in counts:
        chosen = rng.choice(len(row), rng.integers(1, 9), replace=False)
        row[chosen] = rng.integers(1, 5, len(chosen))  # small counts: ties are frequent
    formulas = Formulas.concatenate([Formulas.of_texts(REAL)[0], Formulas.of_table(counts, features.elements)])
    ours = features.encode_formulas(formulas)
    theirs = np.array([featurizer.featurize(Composition(text)) for text in formulas.texts()])
    assert features.feature_names == featurizer.feature_labels()
    assert ours.shape == (len(REAL) + 250, 132)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)


def test_a_formula_alone_is_as_among_many(features: MagpieFeatures) -> None:
    formulas, _ = Formulas.of_texts(REAL * 60)  # more than are computed at once
    many = features.encode_formulas(formulas)
    for row in (0, 3, len(REAL), 2047, 2048, len(many) - 1):
        np.testing.assert_array_equal(many[row], features.encode(Composition(REAL[row % len(REAL)])))


def test_fractions_are_weights(features: MagpieFeatures, featurizer) -> None:
    mixed = Composition("La0.7Sr0.3MnO3")
    np.testing.assert_allclose(features.encode(mixed), featurizer.featurize(mixed), rtol=1e-6, atol=1e-6)


@given(
    st.dictionaries(st.sampled_from(["H", "C", "O", "Fe", "U"]), st.integers(1, 40), min_size=1),
    st.integers(2, 6),
)
def test_a_multiple_of_a_formula_has_its_features(features: MagpieFeatures, counts: dict[str, int], times: int) -> None:
    one, many = features.encode_formulas(Formulas.of_compositions([Composition(counts), Composition(counts) * times]))
    np.testing.assert_allclose(one, many, rtol=1e-6, atol=1e-6)


def test_what_does_not_fit_is_named(features: MagpieFeatures) -> None:
    few = MagpieFeatures(features.elements[:8], features.table[:8])
    formulas, _ = Formulas.of_texts(["H2O", "NaCl", "??"])
    assert few.misfits(formulas) == ["", "NaCl: no Na, Cl among the 8 elements", "an empty formula"]
    with pytest.raises(ValueError, match="Na1Cl1: no Na, Cl among the 8 elements"):
        few.encode(Composition("NaCl"))
    with pytest.raises(ValueError, match="empty formula"):
        few.encode(Composition({}))
    with pytest.raises(ValueError, match=r"shape \(8, 21\); expected \(8, 22\)"):
        MagpieFeatures(few.elements, few.table[:, 1:])
