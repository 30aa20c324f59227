"""Properties: their titles and units in one place, as tables show them."""

from matgen_core.materials.properties import PROPERTIES, property_named


def test_titles_and_units_as_tables_show_them() -> None:
    titles = {name: each.column.title for name, each in PROPERTIES.items()}
    assert titles["formation_energy_per_atom"] == "Formation energy (eV/atom)"
    assert titles["volume_per_atom"] == "Volume per atom (Å³/atom)"
    assert titles["poisson_ratio"] == "Poisson ratio"
    assert titles["edge"] == "Cubic cell edge (Å)"
    assert {name for name, each in PROPERTIES.items() if each.name != name} == set()


def test_little_room_and_no_company_have_titles_of_their_own() -> None:
    assert PROPERTIES["volume_per_atom"].narrow_column.title == "Volume (Å³/atom)"
    assert PROPERTIES["bulk_modulus"].narrow_column.title == "Bulk modulus (GPa)"
    assert PROPERTIES["probability"].column_by_itself.title == "Probability of 2D"
    assert PROPERTIES["band_gap"].column_by_itself.title == "Band gap (eV)"


def test_a_property_of_another_data_set_is_called_as_it_is_named() -> None:
    assert property_named("seebeck_coefficient").column.title == "Seebeck coefficient"
    assert property_named("band_gap") is PROPERTIES["band_gap"]
