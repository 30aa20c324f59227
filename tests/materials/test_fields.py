"""Phase fields: what is read, what is refused, and that a field is the same however it was written."""

import pickle

import pytest

from matgen_core.materials.fields import PhaseField


def test_parse_sorts_and_strips_and_write_undoes_it() -> None:
    field = PhaseField.parse(" Sn-Li - S-Cl")
    assert list(field) == ["Cl", "Li", "S", "Sn"]
    assert field.write() == "Cl-Li-S-Sn"
    assert PhaseField.read(field.write()) == PhaseField.parse("Li-Sn-S-Cl") == field


@pytest.mark.parametrize("text", ["Li-Xx-S-Cl", "", "Li--S-Cl", "LiSnSCl", "li-S", "nan", "Li\u2013Sn\u2013S\u2013Cl"])
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
