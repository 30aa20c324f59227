"""Phase fields: what is read, what is refused, and that a field is the same however it was written."""

import pickle

import pytest

from matgen_core.materials.fields import DASHES, PhaseField, read_field


def test_parse_sorts_and_strips_and_write_undoes_it() -> None:
    field = PhaseField.parse(" Sn-Li - S-Cl")
    assert list(field) == ["Cl", "Li", "S", "Sn"]
    assert field.write() == "Cl-Li-S-Sn"
    assert PhaseField.read(field.write()) == PhaseField.parse("Li-Sn-S-Cl") == field


@pytest.mark.parametrize("text", ["Li-Xx-S-Cl", "", "Li--S-Cl", "LiSnSCl", "nan"])
def test_parse_names_what_is_no_element(text: str) -> None:
    with pytest.raises(ValueError, match="is no element; write a phase field as in Li-Sn-S-Cl"):
        PhaseField.parse(text)


def test_a_repeated_element_needs_mixed_valence() -> None:
    with pytest.raises(ValueError, match="repeats As"):
        PhaseField.parse("As-As-Cd-Cl")
    field = PhaseField.parse("Cd-As-As-Cl", mixed_valence=True)
    assert (list(field), len(field)) == (["As", "As", "Cd", "Cl"], 4)


def test_fields_are_one_in_a_set_and_sort_by_their_symbols() -> None:
    first, second = PhaseField(["Cl", "Li"]), PhaseField(["O", "Li"])
    assert {first, PhaseField(["Li", "Cl"])} == {first}
    assert sorted([second, first]) == [first, second]


def test_a_field_cannot_be_changed() -> None:
    field = PhaseField(["Li", "O"])
    with pytest.raises(AttributeError):
        field.size = 2  # type: ignore[attr-defined]
    with pytest.raises(TypeError):
        field[0] = "Na"  # type: ignore[index]


def test_a_field_is_still_one_after_a_trip_to_another_process() -> None:
    field = pickle.loads(pickle.dumps(PhaseField(["Li", "O"])))
    assert isinstance(field, PhaseField)
    assert field.write() == "Li-O"


@pytest.mark.parametrize(
    ("field", "group"), [("Cl-Li-S-Sn", "Cl-S"), ("As-As-Cd-Cl", "As-Cl"), ("Li-O-P-S", "O-S"), ("Cu-Ge-P-S", "P-S")]
)
def test_anion_group(field: str, group: str) -> None:
    assert PhaseField.read(field).anion_group == group


@pytest.mark.parametrize(
    ("field", "written"), [("Cl-Li-S-Sn", "Li-Sn-S-Cl"), ("As-As-Cd-Cl", "Cd-As-As-Cl"), ("Ar-F-Li", "Li-F-Ar")]
)
def test_chemists_order(field: str, written: str) -> None:
    assert PhaseField.read(field).chemists_order() == written


def test_a_field_is_read_as_people_write_it() -> None:
    lower = "read as Li-Sn-S-Cl"
    for text, note in {
        "Li Sn S Cl": "",
        "Li,Sn,S,Cl": "",
        "Li, Sn, S, Cl": "",
        "Li;Sn;S;Cl": "",
        "Li_Sn_S_Cl": "",
        "Li/Sn/S/Cl": "",
        "Li\tSn\tS\tCl": "",
        "Li\u00a0Sn\u00a0S\u00a0Cl": "",
        "Li - Sn – S — Cl": "",  # noqa: RUF001
        "li-sn-s-cl": lower,
        "LI-Sn-S-CL": lower,
        "li sn s cl": lower,
        **{dash.join(("Li", "Sn", "S", "Cl")): "" for dash in DASHES},
    }.items():
        assert read_field(text) == (PhaseField.parse("Li-Sn-S-Cl"), note), text
    assert read_field("Li-D-O") == (PhaseField.parse("H-Li-O"), "deuterium counts as hydrogen")


def test_what_is_no_field_says_what_it_may_be() -> None:
    for text, said in {
        "LiSnSCl": "is it Li-Sn-S-Cl?",
        "Li2S-SnCl2": "is it Li-Sn-S-Cl?",
        "Li₂S – P₂S₅": "is it Li-P-S?",  # noqa: RUF001
        "Li-CO-S": "'CO' is no element",
        "Li-Sn4+-S": "'Sn4+' is no element",
        "Li-Sn-": "'' is no element",
        "Li--S": "'' is no element",
        "fields.csv": "'fields.csv' is no element",
        "Na1e999-O": "'Na1e999' is no element",
        "Li-H-D": "repeats H",
        "٣-Li": "is no element",
        "x" * 5000: "…' is no element",
    }.items():
        with pytest.raises(ValueError, match=r"is no element|repeats") as refused:
            read_field(text)
        assert said in str(refused.value), text
        assert len(str(refused.value)) < 250
