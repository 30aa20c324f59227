"""Importing a person's own materials: each format, what is skipped, what is refused."""

import json
import pickle
import shutil

import numpy as np
import pandas as pd
import pytest
from pymatgen.core import Lattice, Structure

from matgen_core import data
from matgen_core.data.importers import ImportLimits
from matgen_core.data.rows import structure_row

SALT = Structure(Lattice.from_parameters(3.9, 4.1, 5.2, 88, 93, 104), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.4, 0.6]])
OXIDE = Structure(Lattice.cubic(4.2), ["Mg", "O", "O"], [[0, 0, 0], [0.5, 0.5, 0.5], [0.25, 0.25, 0.75]])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MATGEN_DATA", str(tmp_path / "data"))
    return tmp_path


def assert_holds(dataset, *crystals):
    assert len(dataset) == len(crystals)
    for (_, row), crystal in zip(dataset.table.iterrows(), crystals, strict=True):
        got = data.structure(row)
        assert got.atomic_numbers == crystal.atomic_numbers
        assert got.lattice.parameters == pytest.approx(crystal.lattice.parameters, abs=1e-4)
        assert np.allclose(got.frac_coords % 1, crystal.frac_coords % 1, atol=1e-4)


def nothing_written(folder):
    written = folder / "data"
    return not written.exists() or not [entry for entry in written.rglob("*") if entry.is_file()]


def test_folder_of_cifs(folder):
    cifs = folder / "cifs" / "deep"
    cifs.mkdir(parents=True)
    SALT.to(str(cifs / "a_salt.cif"))
    OXIDE.to(str(cifs.parent / "oxide.cif"))
    (cifs / "broken.cif").write_text("data_broken\n_cell_length_a nonsense\n")
    half = Structure(Lattice.cubic(3), [{"Ti": 0.5, "V": 0.5}], [[0, 0, 0]])
    half.to(str(cifs / "half.cif"))
    report = data.import_file("mine", folder / "cifs")
    assert report.n_read == 2
    assert [label for label, _ in report.skipped] == ["deep/broken", "deep/half"]
    assert "partially occupied" in dict(report.skipped)["deep/half"]
    loaded = data.load("mine")
    assert_holds(loaded, SALT, OXIDE)
    assert loaded.table["material_id"].tolist() == ["deep/a_salt", "oxide"]
    assert loaded.table["formula"].tolist() == ["NaCl", "MgO2"]
    assert loaded.source.level == "structure"
    assert loaded.chemical_systems().tolist() == ["Cl-Na", "Mg-O"]


def test_csv_of_formulas_keeps_its_columns_and_sodium_nitride(folder):
    path = folder / "mine.csv"
    path.write_text("formula,band_gap,note\nNaN,1.5,salt\nQq2O,2.0,wrong\nFe2O3,,NA\n")
    report = data.import_file("mine", path)
    assert report.n_read == 2
    assert report.skipped[0][0] == "row 2"
    first, second = report.summary().splitlines()
    assert first == f"mine: 2 read, 1 skipped; in {folder / 'data' / 'mine.parquet'}"
    assert second.startswith("  skipped row 2: 'Qq2O'")
    table = data.load("mine").table
    assert table["formula"].tolist() == ["NaN", "Fe2O3"]
    assert table["band_gap"].isna().tolist() == [False, True]
    assert table["note"].tolist() == ["salt", "NA"]


def test_csv_of_phase_fields_splits(folder):
    path = folder / "fields.csv"
    path.write_text("phase_field\nLi-Sn-S-Cl\nLi-Mg-S-Cl\n")
    data.import_file("fields", path)
    loaded = data.load("fields")
    assert loaded.source.level == "phase field"
    one, two = loaded.split((0.5, 0.5), seed=0)
    assert len(one) == len(two) == 1


def test_csv_with_cifs_or_json_columns(folder):
    pd.DataFrame({"cif": [SALT.to(fmt="cif"), "nonsense"], "gap": [8.5, 0.0]}).to_csv(folder / "a.csv")
    report = data.import_file("with_cifs", folder / "a.csv")
    assert (report.n_read, len(report.skipped)) == (1, 1)
    assert_holds(data.load("with_cifs"), SALT)
    assert data.load("with_cifs").table["gap"].tolist() == [8.5]
    row = {key: json.dumps(np.asarray(value).tolist()) for key, value in structure_row("x", OXIDE).items()}
    pd.DataFrame([row | {"material_id": "x"}]).to_csv(folder / "b.csv")
    data.import_file("with_json", folder / "b.csv")
    assert_holds(data.load("with_json"), OXIDE)


def test_parquet_of_cells_becomes_the_standard_columns(folder):
    cell = dict(zip(("a", "b", "c", "alpha", "beta", "gamma"), SALT.lattice.parameters, strict=True))
    row = {"numbers": [11, 17], "frac_coords": SALT.frac_coords.ravel(), "gap": 8.5} | cell
    pd.DataFrame([row, row | {"frac_coords": [0.0]}]).to_parquet(folder / "cells.parquet")
    report = data.import_file("cells", folder / "cells.parquet")
    assert report.skipped == (("row 2", "2 sites need 6 coordinates, not 1"),)
    loaded = data.load("cells")
    assert_holds(loaded, SALT)
    assert list(loaded.table) == ["material_id", "formula", "lattice", "numbers", "frac_coords", "gap"]


def test_extended_xyz(folder):
    pytest.importorskip("ase", reason="ase is not installed")
    frames = ""
    for crystal, gap in ((SALT, 8.5), (OXIDE, 7.8)):
        cell = " ".join(str(x) for x in crystal.lattice.matrix.ravel())
        frames += f'{len(crystal)}\nLattice="{cell}" Properties=species:S:1:pos:R:3 gap={gap} energy=-1.5\n'
        for site in crystal:
            frames += f"{site.specie} {' '.join(map(str, site.coords))}\n"
    (folder / "mine.extxyz").write_text(frames + "1\nProperties=species:S:1:pos:R:3\nH 0 0 0\n")
    report = data.import_file("mine", folder / "mine.extxyz")
    [(label, reason)] = report.skipped
    assert label == "mine-3"
    assert "line 11 has no Lattice" in reason
    assert "a molecule is not imported" in reason
    loaded = data.load("mine")
    assert_holds(loaded, SALT, OXIDE)
    assert loaded.table["gap"].tolist() == [8.5, 7.8]
    assert loaded.table["energy"].tolist() == [-1.5, -1.5]
    (folder / "cut.xyz").write_text(frames + "7\nbroken")
    assert data.import_file("cut", folder / "cut.xyz").skipped[0][0] == "cut-3"


@pytest.mark.parametrize("suffix", [".db", ".json"])
def test_ase_database(folder, suffix):
    pytest.importorskip("ase", reason="ase is not installed")
    from ase import Atoms
    from ase.db import connect

    path = folder / f"mine{suffix}"
    with connect(path) as database:
        for crystal, gap in ((SALT, 8.5), (OXIDE, 7.8)):
            atoms = Atoms(
                numbers=crystal.atomic_numbers,
                positions=crystal.cart_coords,
                cell=crystal.lattice.matrix,
                pbc=True,
            )
            database.write(atoms, gap=gap)
        database.write(Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.7]]))
    report = data.import_file("mine", path)
    assert report.n_read == 2
    assert "molecule" in report.skipped[0][1]
    loaded = data.load("mine")
    assert_holds(loaded, SALT, OXIDE)
    assert loaded.table["gap"].tolist() == [8.5, 7.8]


def test_no_pickle_is_ever_opened(folder, tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    for suffix in (".pkl", ".npy", ".traj", ".csv", ".parquet", ".db", ".json", ".xyz", ".cif"):
        path = folder / f"trap{suffix}"
        path.write_bytes(pickle.dumps(Trap()))
        if suffix in (".db", ".json", ".xyz"):
            pytest.importorskip("ase", reason="ase is not installed")
        with pytest.raises(ValueError, match="trap") as caught:
            data.import_file("mine", path)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "sprung").exists()
    assert nothing_written(folder)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("", "no CSV table: it is empty"),
        ("name,gap\nx,1\n", "expected a column formula"),
        ("formula\nQq\n", "no material could be read"),
        ("formula\n", "no material could be read"),
    ],
)
def test_a_useless_csv_is_one_line(folder, content, line):
    (folder / "bad.csv").write_text(content)
    with pytest.raises(ValueError, match=line) as caught:
        data.import_file("mine", folder / "bad.csv")
    assert "\n" not in str(caught.value)
    assert nothing_written(folder)


def test_sizes_are_limited(folder):
    path = folder / "mine.csv"
    path.write_text("formula\n" + "Fe2O3\n" * 30)
    with pytest.raises(ValueError, match="at most 0 MB"):
        data.import_file("mine", path, limits=ImportLimits(max_bytes=100))
    with pytest.raises(ValueError, match="more than 20 materials"):
        data.import_file("mine", path, limits=ImportLimits(max_rows=20))
    pd.DataFrame({"formula": ["Fe"] * 30}).to_parquet(folder / "mine.parquet")
    with pytest.raises(ValueError, match="30 rows, more than 20"):
        data.import_file("mine", folder / "mine.parquet", limits=ImportLimits(max_rows=20))
    SALT.to(str(folder / "salt.cif"))
    with pytest.raises(ValueError, match="2 sites, more than 1"):
        data.import_file("mine", folder / "salt.cif", limits=ImportLimits(max_sites=1))
    with pytest.raises(ValueError, match="larger than"):
        data.import_file("mine", folder / "salt.cif", limits=ImportLimits(max_cif_bytes=10))
    assert nothing_written(folder)


def test_names_and_files_are_checked(folder):
    path = folder / "mine.csv"
    path.write_text("formula\nFe2O3\n")
    with pytest.raises(ValueError, match="no data-set name"):
        data.import_file("../mine", path)
    with pytest.raises(ValueError, match="no such file"):
        data.import_file("mine", folder / "other.csv")
    shutil.copy(path, folder / "mine.docx")
    (folder / "empty").mkdir()
    with pytest.raises(ValueError, match=r"cannot import .docx"):
        data.import_file("mine", folder / "mine.docx")
    with pytest.raises(ValueError, match=r"no file \*.cif"):
        data.import_file("mine", folder / "empty")
    data.import_file("mine", path)
    with pytest.raises(ValueError, match="installed already"):
        data.import_file("mine", path)
    path.write_text("formula\nFeO\n")
    data.import_file("mine", path, replace=True)
    assert data.load("mine").table["formula"].tolist() == ["FeO"]


def test_a_registered_name_takes_only_that_data_set(folder):
    name = "published_scores_training"
    other = folder / "other.csv"
    other.write_text("phase_field\nLi-Sn-S-Cl\n")
    with pytest.raises(ValueError, match="lacks published_score, published_norm_score"):
        data.import_file(name, other)
    assert nothing_written(folder)
    copy = folder / "copy.csv"
    copy.write_text("phase_field,published_score,published_norm_score\nCl-Li-S-Sn,10.094,0.052\n")
    data.import_file(name, copy)
    loaded = data.load(name)
    assert not loaded.is_registered
    assert loaded.table["published_score"].tolist() == [10.094]
    assert data.path_of(name) == folder / "data" / "phase_fields" / f"{name}.csv"
