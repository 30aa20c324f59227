"""Data sets: registry, reading, splitting, importing. One test alone looks at the real files."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from pymatgen.core import Lattice, Structure

from matgen_core import data
from matgen_core.data import store
from matgen_core.data.registry import places
from matgen_core.data.rows import structure_row
from matgen_core.data.store import read_table, write_table
from matgen_core.materials.systems import chemical_system
from tests.support.rows import each_row


def source(**changes):
    facts = {
        "name": "tiny",
        "file": "tiny.parquet",
        "title": "A few materials",
        "level": "composition",
        "rows": 3,
        "columns": {"formula": "", "band_gap": "eV"},
        "composition_column": "formula",
        "text": "made up for this test",
        "licence": "MIT",
        "url": "",
        "sha256": None,
    }
    return data.Source(**(facts | changes))


def dataset(formulas, **changes):
    table = pd.DataFrame({"formula": formulas, "row": range(len(formulas))})
    return data.Dataset("tiny", table, source(**changes), "0" * 64)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MATGEN_DATA", str(tmp_path))
    return tmp_path


def test_compounds_of_some_elements_are_found_in_what_is_installed(folder, monkeypatch):
    columns = {"formula": "", "icsd_flag": ""}
    sets = {
        "one": source(name="one", file="one.parquet", columns=columns),
        "two": source(name="two", file="two.parquet", columns={"formula": ""}),
        "measured": source(name="measured", file="measured.csv", columns={"made": ""}, composition_column="made"),
        "fields": source(name="fields", file="fields.parquet", level="phase field"),
        "cells": source(name="cells", file="cells.parquet", composition_column="numbers", columns={"numbers": ""}),
        "missing": source(name="missing", file="missing.parquet"),
        "broken": source(name="broken", file="broken.parquet"),
    }
    monkeypatch.setattr(store, "DATASETS", sets)
    monkeypatch.setattr(places, "DATASETS", sets)
    monkeypatch.setattr(store, "MEASURED", ("measured",))
    one = ["LiFeO2", "Li2O", "Li2Fe2O4", "Li(FeO2)2", "LiFeO2F", "LiFePO4", "CoLiO2", "Fe2Li3O4"]
    flags = [0, 1, 1, 0, 1, 1, 1, -1]
    pd.DataFrame({"formula": one, "icsd_flag": flags}).to_parquet(folder / "one.parquet")
    pd.DataFrame({"formula": ["Li1Fe1O2", "Fe1Li5O4", "NaN", "NO", "No1O1"]}).to_parquet(folder / "two.parquet")
    (folder / "measured.csv").write_text("made\nLi0.5FeO2\nLi1.0Fe1.0O2.0\nNaN\n", encoding="utf-8")
    pd.DataFrame({"formula": ["LiFeO2"]}).to_parquet(folder / "fields.parquet")
    pd.DataFrame({"numbers": [[3, 8]]}).to_parquet(folder / "cells.parquet")
    (folder / "broken.parquet").write_bytes(b"PAR1 and nothing else")
    rows = {row.formula: row for row in data.compounds_of(["O", "Li", "Fe"]).itertuples()}
    assert {key: (row.is_reported, row.data_sets) for key, row in rows.items()} == {
        "LiFeO2": (True, "measured, one, two"),
        "Li0.5FeO2": (True, "measured"),
        "LiFe2O4": (None, "one"),
        "Li3Fe2O4": (None, "one"),
        "Li5FeO4": (None, "two"),
    }
    reported = [bool(each) for each in data.compounds_of(["O", "Li", "Fe"])["is_reported"]]
    assert reported == sorted(reported, reverse=True)
    assert list(data.compounds_of(["Na", "N"])["formula"]) == ["NaN"]  # sodium nitride is not a missing value
    assert list(data.compounds_of(["N", "O"])["formula"]) == ["NO"]  # and nitrogen oxide is not nobelium
    assert list(data.compounds_of(["No", "O"])["formula"]) == ["NoO"]
    assert data.compounds_of(["Xe", "Kr"]).empty


# --- the registry and the real files ---------------------------------------------------------------------


def test_registry_entries_are_whole():
    for name, entry in data.DATASETS.items():
        assert entry.name == name
        assert entry.composition_column in entry.columns, name
        assert all((entry.title, entry.text, entry.licence)), name
        assert entry.url.startswith("https://"), name
        if entry.sha256 is not None:
            assert len(entry.sha256) == 64, name
            assert entry.rows > 0, name


@pytest.mark.parametrize("name", [name for name, entry in data.DATASETS.items() if entry.sha256])
def test_installed_file_is_the_registered_one(name):
    if not data.path_of(name).is_file():
        pytest.skip(f"{name} is not installed in {data.root()}")
    loaded = data.load(name)
    if not loaded.is_registered:
        pytest.skip(f"{data.path_of(name)} is another copy of {name}, not the registered file")
    assert len(loaded) == loaded.source.rows
    assert list(loaded.table.columns) == list(loaded.source.columns)


def test_structures_of_both_layouts():
    for name in ("mp_structures", "perov5"):
        if not data.path_of(name).is_file():
            pytest.skip(f"{name} is not installed in {data.root()}")
        table = data.load(name).table
        row = table.iloc[0]
        crystal = data.structure(row)
        assert crystal.atomic_numbers == tuple(row["numbers"])
        if "volume" in row:
            assert crystal.volume == pytest.approx(row["volume"], rel=1e-3)


# --- formulas and structures -----------------------------------------------------------------------------


@each_row(
    ("text", "system"),
    [
        ("Fe2O3", "Fe-O"),
        ("NaN", "N-Na"),
        ("Na3N", "N-Na"),
        ("(NH4)2SO4", "H-N-O-S"),
        ("D2O", "H-O"),
        ("Li7.0Bi1.0O6.0", "Bi-Li-O"),
        ("Li-Sn-S-Cl", "Cl-Li-S-Sn"),
        ("As-As-Cd-Cl", "As-Cd-Cl"),
        ("Fe", "Fe"),
    ],
)
def test_chemical_system(text, system):
    assert chemical_system(text) == system


@each_row("text", ["Xx2O", "X2O", "", "nan", "Li-Qq-S", "Fe2O3!", "Li--S"])
def test_chemical_system_refuses(text):
    with pytest.raises(ValueError, match=r"Fe2O3|is it NaN|Li-Sn-S-Cl"):
        chemical_system(text)


def test_structure_reads_both_layouts():
    lattice = Lattice.from_parameters(3.0, 4.0, 5.0, 80.0, 95.0, 110.0)
    crystal = Structure(lattice, ["Ti", "O"], [[0.1, 0.2, 0.3], [0.6, 0.5, 0.4]])
    row = structure_row("x", crystal)
    assert data.structure(row).matches(crystal)
    assert np.allclose(data.structure(row).lattice.matrix, lattice.matrix)
    cell = dict(zip(("a", "b", "c", "alpha", "beta", "gamma"), lattice.parameters, strict=True))
    other = pd.Series({"numbers": [22, 8], "frac_coords": row["frac_coords"]} | cell)
    assert data.structure(other).lattice.parameters == pytest.approx(lattice.parameters)
    assert np.allclose(data.structure(other).frac_coords, crystal.frac_coords)


@pytest.mark.parametrize(
    ("row", "line"),
    [
        ({"formula": "Fe"}, "no coordinates"),
        ({"numbers": [22, 8], "frac_coords": [0, 0, 0], "lattice": np.eye(3)}, "2 sites need 6 coordinates"),
        ({"numbers": [22], "frac_coords": [0, 0, 0], "lattice": np.eye(2)}, "a lattice is 9 numbers"),
        ({"numbers": [22], "frac_coords": [0, 0, 0]}, "no cell"),
    ],
)
def test_structure_refuses(row, line):
    with pytest.raises(ValueError, match=line):
        data.structure(row)


def test_structure_row_refuses_partial_occupancy():
    with pytest.raises(ValueError, match="partially occupied"):
        structure_row("x", Structure(np.eye(3) * 3, [{"Ti": 0.5, "V": 0.5}], [[0, 0, 0]]))


# --- splits ----------------------------------------------------------------------------------------------

FORMULAS = st.lists(
    st.sampled_from(["Fe2O3", "FeO", "Fe", "NaN", "Na3N", "LiCl", "Li2S", "MgO", "Mg2O2", "TiO2", "V2O5", "SiC"]),
    min_size=12,
    max_size=60,
)


@settings(max_examples=40, deadline=None)  # a deadline would measure the machine
@given(FORMULAS, st.integers(0, 5))
def test_split_keeps_chemical_systems_whole(formulas, seed):
    whole = dataset(formulas)
    n_systems = whole.chemical_systems().nunique()
    if n_systems < 3:
        return
    parts = whole.split({"train": 0.7, "val": 0.2, "test": 0.1}, seed)
    assert list(parts) == ["train", "val", "test"]
    systems = [set(part.chemical_systems()) for part in parts.values()]
    assert sum(map(len, systems)) == n_systems == len(set().union(*systems))
    together = pd.concat([part.table for part in parts.values()]).sort_index()
    assert_frame_equal(together, whole.table)
    assert all(len(part) for part in parts.values())
    # The same parts again, and from shuffled rows.
    shuffled = data.Dataset("tiny", whole.table[::-1], whole.source, whole.sha256)
    for again in (whole.split((0.7, 0.2, 0.1), seed), shuffled.split((0.7, 0.2, 0.1), seed)):
        assert [set(part.chemical_systems()) for part in again] == systems


def test_split_meets_its_fractions_by_rows_and_follows_the_seed():
    symbols = ["Li", "Na", "K", "Rb", "Cs", "Mg", "Ca", "Sr", "Ba", "Ti", "Zr", "Hf", "Al", "Ga", "In"]
    formulas = [f"{a}{b}{n}" for a in symbols for b in ("O", "S", "Se", "F", "Cl", "Br") for n in (1, 2, 3)]
    whole = dataset(formulas)
    train, test = whole.split((0.8, 0.2), seed=1)
    assert abs(len(train) - 0.8 * len(whole)) <= 3
    other, _ = whole.split((0.8, 0.2), seed=2)
    assert set(train.table["row"]) != set(other.table["row"])
    # A system falls on the same side in a larger data set, except beside the cut.
    larger, _ = dataset([*formulas, *(f"{a}Te" for a in symbols)]).split((0.8, 0.2), seed=1)
    moved = set(test.chemical_systems()) & set(larger.chemical_systems())
    assert len(moved) <= 5


@pytest.mark.parametrize("fractions", [(0.8, 0.1), (1.2, -0.2), (), {"train": 0.5, "test": 0.6}])
def test_split_refuses_fractions(fractions):
    with pytest.raises(ValueError, match=r"expected positive numbers of sum 1"):
        dataset(["Fe", "O2"]).split(fractions, seed=0)


def test_split_refuses_too_few_systems_and_names_a_bad_row():
    with pytest.raises(ValueError, match="1 chemical systems cannot fill 2 parts"):
        dataset(["FeO", "Fe2O3"]).split((0.5, 0.5), seed=0)
    with pytest.raises(ValueError, match=r"tiny, row 1, column formula: 'Qq'"):
        dataset(["FeO", "Qq"]).split((0.5, 0.5), seed=0)
    with pytest.raises(ValueError, match="no column composition"):
        dataset(["FeO"], composition_column="composition").split((0.5, 0.5), seed=0)


# --- the data folder -------------------------------------------------------------------------------------


def test_root_follows_the_environment(folder):
    assert data.root() == folder
    assert data.path_of("perov5") == folder / "perov5.parquet"
    assert data.path_of("magpie_37") == folder / "phase_fields" / "element_features_magpie_37.csv"


def test_root_without_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv("MATGEN_DATA", raising=False)
    project = tmp_path / "project"
    monkeypatch.setattr(places, "__file__", str(project / "matgen_core" / "data" / "registry" / "places.py"))
    assert data.root().name == "matgen-explorer"
    assert tmp_path not in data.root().parents
    (tmp_path / "shared" / "data").mkdir(parents=True)
    assert data.root() == tmp_path / "shared" / "data"


@each_row("name", ["../etc/passwd", "A", "a-b", "", "a/b", "x" * 65])
def test_names_are_checked(folder, name):
    with pytest.raises(ValueError, match="no data-set name"):
        data.load(name)


def test_missing_data_says_how_to_get_it(folder):
    with pytest.raises(ValueError, match="matgen data fetch perov5") as caught:
        data.load("perov5")
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=r"mgmno is not in .* run: matgen data import mgmno PATH"):
        data.load("mgmno")
    with pytest.raises(ValueError, match=r"unknown data set 'mine'.*matgen data import mine PATH"):
        data.load("mine")


def test_a_broken_file_is_one_line(folder):
    (folder / "perov5.parquet").write_bytes(b"PAR1 cut off")
    with pytest.raises(ValueError, match=r"perov5.parquet.*cannot be read") as caught:
        data.load("perov5")
    assert "\n" not in str(caught.value)


def test_sodium_nitride_is_no_missing_value(folder):
    path = folder / "tiny.csv"
    path.write_text("formula,band_gap\nNaN,1.5\nFe2O3,\nNA,2.0\n")
    table = read_table(path)
    assert table["formula"].tolist() == ["NaN", "Fe2O3", "NA"]
    assert table["band_gap"].isna().tolist() == [False, True, False]
    assert table["band_gap"].dtype == float


def test_another_copy_is_loaded_and_named_as_such(folder):
    path = folder / "phase_fields" / "icsd2017_quaternary_two_anion.csv"
    path.parent.mkdir()
    path.write_text("phase_field\nCl-Li-S-Sn\n")
    loaded = data.load("icsd2017_quaternary_two_anion")
    assert not loaded.is_registered
    assert len(loaded.sha256) == 64
    row = data.overview().set_index("name").loc["icsd2017_quaternary_two_anion"]
    assert row["installed"]
    assert row["registered_file"] is False


def test_provenance_travels_with_a_parquet_file(folder):
    table = pd.DataFrame({"formula": ["NaN", "Fe"], "band_gap": [1.0, 0.0]})
    write_table(table, folder / "tiny.parquet", source(defects=("made up",)))
    loaded = data.load("tiny")
    assert_frame_equal(loaded.table, table)
    assert loaded.source == source(defects=("made up",))
    pd.DataFrame({"numbers": [[1]], "frac_coords": [[0.0] * 3]}).to_parquet(folder / "theirs.parquet")
    (folder / "broken.parquet").write_bytes(b"PAR1 cut off")
    assert data.load("theirs").source.composition_column == "numbers"
    overview = data.overview().set_index("name")
    assert overview.loc["tiny", "title"] == "A few materials"
    assert overview.loc["theirs", "level"] == "structure"
    assert overview.loc["theirs", "rows"] == 1
    assert overview.loc["broken", "title"].startswith("Cannot be read")
    assert not overview.loc["perov5", "installed"]


def test_a_new_file_takes_the_place_of_the_old_at_one_stroke(folder):
    path = folder / "deep" / "tiny.csv"

    write_table(pd.DataFrame({"formula": ["Fe"]}), path, source())
    assert path.read_text() == "formula\nFe\n"
    # Who reads the old file while the new one is put in its place reads on in the old one.
    with path.open() as reader:
        write_table(pd.DataFrame({"formula": ["Ni"]}), path, source())
        assert reader.read() == "formula\nFe\n"
    assert path.read_text() == "formula\nNi\n"
    assert [entry.name for entry in path.parent.iterdir()] == ["tiny.csv"]
