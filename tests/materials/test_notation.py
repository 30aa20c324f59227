"""Formulas as people write them: one reading for each, or one line that says why there is none."""

import pytest

from matgen_core.checks import formula_of
from matgen_core.materials import notation, query
from matgen_core.materials.elements import check_elements
from matgen_core.materials.formulas import Formulas
from matgen_core.materials.systems import chemical_system

# What is written, what it means in writing order, and what its note says.
HYDRATES = [
    ("CoCl2.6H2O", "CoH12Cl2O6", "read as CoCl2 · 6H2O"),
    ("NiSO4.7H2O", "NiH14SO11", "read as NiSO4 · 7H2O"),
    ("Na2S2O3.5H2O", "Na2H10S2O8", "read as Na2S2O3 · 5H2O"),
    ("Th(NO3)4.5H2O", "ThH10N4O17", "read as Th(NO3)4 · 5H2O"),
    ("BaCl2.2(H2O)", "BaH4Cl2O2", "read as BaCl2 · 2(H2O)"),
    ("NaBr.2D2O", "NaH4BrO2", "read as NaBr · 2D2O; deuterium counts as hydrogen"),
    ("KF.2H2O", "KH4O2F", "read as KF · 2H2O"),
    ("FeCl3·6H2O", "FeH12Cl3O6", ""),
    ("FeCl3 • 6 H2O", "FeH12Cl3O6", ""),
    ("FeCl3*6H2O", "FeH12Cl3O6", ""),
    ("FeCl3 . 6H2O", "FeH12Cl3O6", ""),
    ("FeCl3⋅6H₂O", "FeH12Cl3O6", ""),
    ("LiCl.H2O", "LiH2ClO", ""),
    ("CdSO4.2.5H2O", "CdH5SO6.5", ""),
    ("MgSO4·1/2H2O", "MgHSO4.5", ""),
    ("2ZnO·3B2O3", "Zn2B6O11", ""),
    ("BaO.TiO2", "BaTiO3", ""),
]
SPELLINGS = [
    ("Na₂O", "Na2O", ""),
    ("Na$_2$O", "Na2O", ""),
    ("Na_{2}O", "Na2O", ""),
    ("Na_2O", "Na2O", ""),
    (r"\ce{Na2O}", "Na2O", ""),
    (r"$\mathrm{Na_2O}$", "Na2O", ""),
    (r"Na\textsubscript{2}O", "Na2O", ""),
    (r"NiSO$_4\cdot$6H$_2$O", "NiH12SO10", ""),
    ("Na<sub>2</sub>O", "Na2O", ""),
    ("Na2 O1", "Na2O", ""),
    ("\u00a0Na2O\u200b ", "Na2O", ""),
    ("Ｎａ２Ｏ", "Na2O", ""),  # noqa: RUF001
    ("K3[Fe(CN)6]", "K3FeC6N6", ""),
    ("K3{Fe(CN)6}", "K3FeC6N6", ""),
    ("Sr.5Ba.5TiO3", "Ba0.5Sr0.5TiO3", ""),
    ("(Sr0,5Ba0,5)TiO3", "Ba0.5Sr0.5TiO3", "decimal comma read"),
    ("YBa2Cu3O6.5", "Ba2YCu3O6.5", ""),
    ("LiNi1.5Mn0.5O4", "LiMn0.5Ni1.5O4", ""),
    ("NaN", "NaN", ""),
    ("C60", "C60", ""),
    ("Ca10(PO4)6(OH)2", "Ca10P6H2O26", ""),
]
ISOTOPES = [
    ("D2O", "H2O", "deuterium counts as hydrogen"),
    ("HDO", "H2O", "deuterium counts as hydrogen"),
    ("LiD", "LiH", "deuterium counts as hydrogen"),
    ("ND4Cl", "H4NCl", "deuterium counts as hydrogen"),
    ("Ca(OD)2", "CaH2O2", "deuterium counts as hydrogen"),
    ("D₂O", "H2O", "deuterium counts as hydrogen"),
    ("LiT", "LiH", "tritium counts as hydrogen"),
    ("NaBD4", "NaBH4", "deuterium counts as hydrogen"),
    ("KD2PO4", "KPH2O4", "deuterium counts as hydrogen"),
    ("DT", "H2", "deuterium counts as hydrogen; tritium counts as hydrogen"),
    ("Dy2O3", "Dy2O3", ""),
    ("TlBr", "TlBr", ""),
]
ZEROS = [
    ("LiMn204", "Mn204", "if the zero is an oxygen, write Mn2O4"),
    ("Cr203", "Cr203", "if the zero is an oxygen, write Cr2O3"),
    ("La2Zr207", "Zr207", "if the zero is an oxygen, write Zr2O7"),
    ("H20", "H20", "if the zero is an oxygen, write H2O"),
    ("Na20", "Na20", "if the zero is an oxygen, write Na2O"),
]
REFUSED = {
    # a zero for an O
    "NaFeP04": "a zero where oxygen may be meant; is it NaFePO4?",
    "BaTi03": "a zero where oxygen may be meant; is it BaTiO3?",
    "Mn02": "is it MnO2?",
    "Li2C03": "is it Li2CO3?",
    "Ca3(P04)2": "is it Ca3(PO4)2?",
    "Zn0": "is it ZnO?",
    "CuSO4.5H20": "a zero where oxygen may be meant; is it H2O?",
    "CuSO4·5H20": "a zero where oxygen may be meant; is it H2O?",
    "C0C03": "is it",
    "Sr0.0O": "0 Sr; an amount is more than 0",
    # the wrong case
    "batio3": "is it BaTiO3?",
    "NAOH": "is it NaOH?",
    "licoo2": "is it LiCoO2 or LiCOO2?",
    "kcl": "is it KCl?",
    "zns": "is it ZnS?",
    "MGO": "is it MgO?",
    "Mgo": "is it MgO?",
    "fe2o3": "is it Fe2O3?",
    "gaAs": "is it GaAs?",
    "ca(oh)2": "is it Ca(OH)2?",
    "nan": "is it NaN?",
    "inf": "is it InF or INF?",
    # two meanings
    "Fe2O3.3SiO2": "3.3 can be a decimal number or begin a hydrate",
    "CuSO4 5H2O": "a number behind a space",
    "Na 2 O": "a number behind a space",
    "(Mg,Fe)O": "give each element its amount",
    # no neutral formula with numbers
    "Na+": "a charge or another sign",
    "SO4^2-": "a charge",
    "PO4³⁻": "a charge",
    "Fe(III)Cl3": "an oxidation state in brackets",
    "LixMnO2": "a variable",
    "La1-xSrxMnO3": "a variable",
    "YBa2Cu3O7-δ": "a variable",
    "MgSO4·nH2O": "a variable",
    "Li-Sn-S-Cl": "it is a phase field",
    # numbers that are none
    "Na1e999": "no formula",
    "Na1e-999": "no formula",
    "Na300_000_000": "no formula",
    "Na300000000Cl": "an amount is more than 0 and at most 1,000,000",
    "((Na9999)9999)9999": "an amount",
    "Na" + "9" * 400: "characters, more than 300",
    "Na" + "9" * 200: "a number of 200 digits",
    "Na٣Cl": "no formula",
    "+3": "no formula",
    "1e5": "no formula",
    "-inf": "no formula",
    "8.5": "no formula",
    "": "no formula; write it as Fe2O3",
    "Na\nCl": "no formula",
    "Ca(OH": "a bracket that is not closed",
    "CaOH)2": "a bracket without its other half",
    "Ca()2": "an empty one",
    "Qq2O3": "'Qq' is no element",
    "=SUM(A1)": "no formula",
    "0b1\nLi2S": "0 before 'b1\\nLi2S' is no number",
}


@pytest.mark.parametrize("table", [HYDRATES, SPELLINGS, ISOTOPES], ids=["hydrates", "spellings", "isotopes"])
def test_a_formula_is_read_as_it_is_meant(table: list[tuple[str, str, str]]) -> None:
    for text, formula, note in table:
        assert (formula_of(notation.composition_of(text)), notation.read(text).note) == (formula, note), text
        assert notation.note_on(text) == note, text


def test_a_text_without_one_meaning_is_refused_in_one_line() -> None:
    for text, reason in REFUSED.items():
        with pytest.raises(ValueError, match="is no formula") as refused:
            notation.read(text)
        line = str(refused.value)
        assert reason in line, text
        assert "\n" not in line, text
        assert len(line) < 250, text
        assert notation.note_on(text) == ""


def test_a_zero_that_may_be_an_oxygen_is_doubted_aloud() -> None:
    for text, part, note in ZEROS:
        assert note in notation.note_on(text), text
        assert part in text
    for text in ("C10H20", "C60", "Ca10(PO4)6", "Li20O10", "Mo204O600"):
        assert notation.note_on(text) == "", text


def test_every_door_reads_a_formula_alike() -> None:
    for text, formula, _ in [*HYDRATES, *SPELLINGS, *ISOTOPES]:
        assert chemical_system(text) == notation.composition_of(text).chemical_system, text
        assert query.find(text.replace(" ", "").replace("\u00a0", ""), [formula]) == [True], text
    for text in REFUSED:
        made, problems = Formulas.of_texts(["MgO", text, "NaCl"])
        assert made.texts().tolist() == ["MgO", "", "NaCl"]
        assert [bool(problem) for problem in problems] == [False, True, False], text


def test_a_search_says_what_a_word_can_mean() -> None:
    for word, said in {
        "nacl": "is it NaCl?",
        "has:li": "is it Li?",
        "D": "deuterium counts as hydrogen here: H",
        "not:D": "deuterium counts as hydrogen here: H",
        "Li-D-O": "deuterium counts as hydrogen here: H",
        "Na1e999": "is no element, formula or search term",
        "n<=٣": "is no element, formula or search term",
        "n<=300_000": "is no element, formula or search term",
        "+3": "is no element, formula or search term",
        "LiFeP04": "is no element, formula or search term",
        "only:Li,xx": "'xx' is no element",
    }.items():
        with pytest.raises(ValueError, match="is no") as refused:
            query.parse(word)
        assert said in str(refused.value), word
    assert query.notes("D2O has:Li Li2S MgCl2.6H2O") == [
        "D2O: deuterium counts as hydrogen",
        "MgCl2.6H2O: read as MgCl2 · 6H2O",
    ]
    assert query.find("Li–*–S", ["Li-P-S", "Li-S"]) == [True, False]  # noqa: RUF001


def test_elements_that_are_asked_for_follow_the_same_rule() -> None:
    with pytest.raises(ValueError, match="deuterium counts as hydrogen here; write H"):
        check_elements(["Li", "D"])
    with pytest.raises(ValueError, match=r"'li' is no element \(is it Li\?\)"):
        check_elements(["li"])
