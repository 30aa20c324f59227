"""`matgen validate`: any files and folders in, a row for every crystal out, shares that can be compared."""

import json
from pathlib import Path

import pandas as pd
import pytest
from pymatgen.core import Lattice, Structure

from matgen_core import data
from matgen_core.data.rows import structure_row
from matgen_core.data.structure_export import cif
from matgen_core.networks.potentials import RelaxSettings, remote
from matgen_core.tasks.validation import inputs, judging, runs, scoreboards
from tests.support.crystals import rock_salt
from tests.support.judged_here import Here, pairs_named

BAD = {  # file: crystal or text, and what is said of it
    "einstein.cif": (rock_salt("Es", "Cl"), "7net-0 does not know Es"),
    "empty.cif": ("", "the file is empty"),
    "far.cif": (Structure(Lattice.cubic(25), ["Na"], [[0, 0, 0]]), "a cell that is nearly empty"),
    "flat.cif": (Structure(Lattice.orthorhombic(9, 9, 1.2), ["Na", "Cl"], [[0] * 3, [0.5] * 3]), "a flat cell"),
    "half.cif": (Structure(Lattice.cubic(3), [{"Ti": 0.5, "V": 0.5}], [[0, 0, 0]]), "partially occupied"),
    "many.cif": (rock_salt() * (3, 3, 3), "216 atoms in the cell"),
    "near.cif": (Structure(Lattice.cubic(4), ["Na", "Cl"], [[0] * 3, [0.11, 0, 0]]), "two atoms are 0.44 Å apart"),
    "noise.cif": ("data_x\n_cell_length_a nonsense\n", "no readable CIF"),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A generator's folder of good and bad files and one sample that failed; pairs of atoms relax what is in it."""
    monkeypatch.setattr(judging, "potential_named", pairs_named)
    monkeypatch.setattr(runs, "workers_of", lambda processes, scheduler, minutes: Here())
    monkeypatch.setenv("MATGEN_WORK", str(tmp_path / "work"))
    monkeypatch.setenv("MATGEN_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    pd.DataFrame([structure_row("mp-1", rock_salt())]).to_parquet(data.path_of("mp_structures"))
    samples = tmp_path / "samples"
    samples.mkdir()
    for name, (content, _) in BAD.items():
        (samples / name).write_text(content if isinstance(content, str) else cif(content))
    half = Structure(Lattice.cubic(3), [{"Ti": 0.5, "V": 0.5}], [[0, 0, 0]])
    half.to(str(samples / "half.cif"))
    for name, each in (("salt", rock_salt()), ("bromide", rock_salt("K", "Br", 6.1))):
        (samples / f"{name}.cif").write_text(cif(each.get_primitive_structure()))
    (samples / "table.csv").write_text("sample,decoded,problem\n1,True,\n7,False,no peaks\n")
    return samples


def test_every_input_has_its_row(run, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, _, err = run("validate", folder, "--out", out, "--scoreboard", "mine")
    assert code == 0
    table = pd.read_csv(out / "table.csv").set_index("name")
    assert list(table.index) == [*sorted([*BAD, "bromide.cif", "salt.cif"]), "sample 7"]
    for name, (_, reason) in BAD.items():
        assert reason in table.loc[name, "problem"]
        assert sum(line.startswith(f"{name}: ") for line in err.splitlines()) == 1
        assert pd.isna(table.loc[name, "energy_above_hull"])
    assert table.loc["sample 7", "problem"] == "not decoded: no peaks"
    good = table.loc[["salt.cif", "bromide.cif"]]
    assert good["energy_above_hull"].notna().all()
    assert good["novel"].tolist() == ["False", "True"] or good["novel"].tolist() == [False, True]
    assert sorted(path.name for path in out.glob("*.cif")) == ["bromide.cif", "salt.cif"]
    relaxed = Structure.from_file(out / good.loc["salt.cif", "relaxed_file"])
    assert relaxed.volume / 2 == pytest.approx(good.loc["salt.cif", "relaxed_volume_per_atom"], rel=1e-3)
    kept = json.loads((tmp_path / "work" / "scoreboard.json").read_text())["mine"]
    assert kept["n"] == 11
    assert kept["made"] == pytest.approx(8 / 11)
    assert kept["novel"] == pytest.approx(table["novel"].astype(str).eq("True").sum() / 11)
    assert scoreboards.own()["mine"] == kept
    assert "11 crystals asked for" in err


def test_the_gpu_may_be_elsewhere(run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "load_potential", lambda name, device: pairs_named(name))
    there = tmp_path / "cells.safetensors"
    code, _, err = run("validate", folder, "--prepare", there)
    assert (code, "wrote 7 of 11 crystals to" in err) == (0, True), err
    crystals = [each.structure for each in inputs.candidates_of([folder]) if each.can_be_judged]
    done = remote.relaxed(inputs.cells_of(crystals), "7net-0", "7net-l3i5", "cpu", 10, RelaxSettings())
    done.save(tmp_path / "back.safetensors")
    assert run("validate", folder, "--from", tmp_path / "back.safetensors", "--out", tmp_path / "a")[0] == 0
    assert run("validate", folder, "--out", tmp_path / "b")[0] == 0
    one, other = (pd.read_csv(tmp_path / name / "table.csv") for name in "ab")
    assert list(one.columns) == list(other.columns)
    assert one["problem"].fillna("").tolist() == other["problem"].fillna("").tolist()
    assert one["energy_above_hull"].tolist() == pytest.approx(
        other["energy_above_hull"].tolist(), abs=1e-5, nan_ok=True
    )
    (folder / "salt.cif").unlink()
    code, _, err = run("validate", folder, "--from", tmp_path / "back.safetensors", "--out", tmp_path / "c")
    assert (code, "holds 7 relaxed crystals, and not of the 6 that are given here" in err) == (2, True), err


def test_bad_options_end_with_one_line(run, folder: Path, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "out")
    for options, line in (
        ((), "give --out FOLDER for results, or --prepare FILE"),
        ((*out, "--prepare", tmp_path / "x"), "give --out FOLDER for results, or --prepare FILE"),
        (("--prepare", tmp_path / "x", "--from", tmp_path / "y"), "give --out FOLDER for results"),
        ((*out, "--potential", "gnome"), "'gnome' is no potential; known: 7net-0, 7net-l3i5, chgnet"),
        ((*out, "--second", "gnome"), "'gnome' is no potential; known: 7net-0, 7net-l3i5, chgnet"),
        (
            (*out, "--second", "7net-0"),
            "7net-0 is asked first and second; a second opinion",
        ),
        ((*out, "--potential", "chgnet", "--second", "chgnet"), "chgnet is asked first and second"),
        ((*out, "--max-steps", "0"), "0 steps of a relaxation; expected 1 or more"),
        ((*out, "--scoreboard", "a/b"), "take at most 60 letters, digits, spaces"),
        ((*out, "--from", tmp_path / "none"), "none"),
        (("--out", folder), "exists and is not an empty folder"),
    ):
        code, _, err = run("validate", folder, *options)
        assert (code, line in err.splitlines()[-1]) == (2, True), err
    code, _, err = run("validate", tmp_path / "nowhere", *out)
    assert (code, len(err.splitlines())) == (2, 1)
    assert not (tmp_path / "out").exists()


def test_processes_and_addresses_are_checked() -> None:
    with pytest.raises(ValueError, match="-1 processes; expected 1 or more"):
        runs.workers_of(-1)
    for minutes in (0, -1, float("nan")):
        with pytest.raises(ValueError, match=r"minutes for a crystal; expected more than 0"):
            runs.workers_of(1, "", minutes)
    with pytest.raises(ValueError, match="no Dask scheduler answers at 'nowhere'"):
        runs.workers_of(0, "nowhere")
