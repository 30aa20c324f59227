"""Crystals on the command line, with the shipped checkpoints: a row for every input, whatever it is."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pymatgen.core import Lattice, Structure

from matgen_core.data.structure_export import cif, distinct_names, extended_xyz, poscar
from tests.support.crystals import NACL, of_group

PEROVSKITE = Structure(
    Lattice.cubic(3.905),
    ["Sr", "Ti", "O", "O", "O"],
    [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]],
)
HEUSLER = of_group("Fm-3m", Lattice.cubic(5.95), ["Cu", "Mn", "Al"], [[0.25, 0.25, 0.25], [0.5, 0.5, 0.5], [0, 0, 0]])
BAD = {  # file: the reason, with a structure model
    "half.cif": "partly occupied",
    "big.cif": "512 sites in the cell, but this model holds at most",
    "tetragonal.cif": "not cubic (space group P4/mmm",
    "einsteinium.cif": "Es is not one of the",
    "broken.cif": "no readable CIF",
    "empty.cif": "the file is empty",
    "huge.cif": "100 MB, but a structure file may have at most 10 MB",
    "nameless.vasp": "does not name its elements",
    "notes.txt": "not the name of a structure file",
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Good and bad files, the good ones last, so that they come after every failure."""
    folder = tmp_path_factory.mktemp("files")
    half = Structure(Lattice.cubic(3), [{"Ti": 0.5, "V": 0.5}], [[0, 0, 0]])
    tetragonal = Structure(Lattice.tetragonal(3, 4), ["Ti", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    einsteinium = Structure(Lattice.cubic(3), ["Es", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    half.to(str(folder / "half.cif"))
    big = NACL * (4, 4, 4)
    big.replace(0, "K")  # so that it is no supercell of anything
    (folder / "big.cif").write_text(cif(big))
    (folder / "tetragonal.cif").write_text(cif(tetragonal))
    (folder / "einsteinium.cif").write_text(cif(einsteinium))
    (folder / "broken.cif").write_text("data_x\n_cell_length_a nonsense\n")
    (folder / "empty.cif").touch()
    with (folder / "huge.cif").open("wb") as huge:
        huge.truncate(100_000_000)
    lines = poscar(PEROVSKITE).splitlines()
    sites = [" ".join(row.split()[:3]) for row in lines[8:]]
    (folder / "nameless.vasp").write_text("\n".join(["x", *lines[1:5], *lines[6:8], *sites]))
    (folder / "notes.txt").write_text("no crystal")
    (folder / "salt.cif").write_text(cif(NACL))
    (folder / "POSCAR").write_text(poscar(PEROVSKITE))
    (folder / "heusler.extxyz").write_text(extended_xyz(HEUSLER.get_primitive_structure()))
    return [folder / name for name in (*BAD, "salt.cif", "POSCAR", "heusler.extxyz")]


def by_name(table: pd.DataFrame, column: str) -> pd.DataFrame:
    assert table[column].to_list() == [*BAD, "salt.cif", "POSCAR", "heusler.extxyz"]
    return table.set_index(column)


def test_encode_gives_a_point_or_the_reason(run, files: list[Path], tmp_path: Path) -> None:
    code, _, err = run("encode", "icsg3d", *files, "--out", tmp_path / "z.parquet")
    assert code == 0
    table = by_name(pd.read_parquet(tmp_path / "z.parquet"), "input")
    assert list(table.columns) == ["z", "problem", "note"]
    for name, reason in BAD.items():
        assert table.loc[name, "z"] is None
        assert reason in table.loc[name, "problem"]
        assert len([line for line in err.splitlines() if line.startswith(f"{name}: ")]) == 1
    shapes = {table.loc[name, "z"].shape for name in ("salt.cif", "POSCAR", "heusler.extxyz")}
    assert len(shapes) == 1


def test_reconstruct_compares_in_the_models_cell_and_keeps_every_row(run, files: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "back"
    assert run("reconstruct", "icsg3d", *files, "--out", out)[0] == 0
    table = by_name(pd.read_csv(out / "table.csv"), "input")
    for name, reason in BAD.items():
        assert not table.loc[name, "match"]
        assert not table.loc[name, "decoded"]
        assert reason in table.loc[name, "reason"]
    assert sorted(path.name for path in out.glob("*.cif")) == ["POSCAR.cif", "heusler.cif", "salt.cif"]
    for name, original in (("salt.cif", NACL), ("POSCAR", PEROVSKITE), ("heusler.extxyz", HEUSLER)):
        row = table.loc[name]
        assert row["match"]
        assert row["rmsd"] < 0.05
        assert row["length_error"] < 0.2  # Å; against the primitive cell of the Heusler it would be 1.7
        decoded = Structure.from_file(out / row["file"])
        assert len(decoded) == len(original)
        assert decoded.composition == original.composition


def test_predict_and_check_keep_every_row(run, files: list[Path], tmp_path: Path) -> None:
    assert run("predict", "cgcnn_energy", *files, "--out", tmp_path / "p.csv")[0] == 0
    table = by_name(pd.read_csv(tmp_path / "p.csv"), "file")
    energy = table["formation_energy_per_atom"]
    assert energy["salt.cif"] == pytest.approx(-2.1, abs=0.2)  # eV/atom, Materials Project has -2.1
    assert energy["POSCAR"] == pytest.approx(-3.55, abs=0.2)  # and -3.55
    assert energy.isna().sum() == len(BAD) - 1  # a tetragonal crystal is no problem for a graph
    assert (table["formation_energy_per_atom_std"].notna() == energy.notna()).all()
    assert (table["problem"].isna() == energy.notna()).all()
    assert run("check", *files, "--out", tmp_path / "c.csv")[0] == 0
    table = by_name(pd.read_csv(tmp_path / "c.csv"), "file")
    assert table.loc["salt.cif", ["distances", "charge_neutral", "valid"]].astype(bool).all()
    assert str(table.loc["half.cif", "ordered"]) == "False"
    assert "Ti:0.5" in table.loc["half.cif", "ordered_reason"]
    assert "no readable CIF" in table.loc["broken.cif", "problem"]
    assert str(table.loc["broken.cif", "valid"]) == "False"


def test_a_folder_and_files_that_are_all_bad(run, files: list[Path], tmp_path: Path) -> None:
    assert run("predict", "cgcnn_energy", files[0].parent, "--out", tmp_path / "p.csv")[0] == 0
    assert sorted(pd.read_csv(tmp_path / "p.csv")["file"]) == sorted(
        path.name for path in files if path.name != "notes.txt"
    )
    bad = [path for path in files if path.name in ("broken.cif", "empty.cif")]
    for number, command in enumerate((["predict", "cgcnn_energy"], ["encode", "icsg3d"], ["reconstruct", "icsg3d"])):
        code, _, err = run(*command, *bad, "--out", tmp_path / f"out{number}")
        assert code == 0, err
    assert len(pd.read_csv(tmp_path / "out0")) == 2
    assert not pd.read_csv(tmp_path / "out2" / "table.csv")["match"].any()


def test_generate_is_seeded_and_keeps_failed_decodes(run, tmp_path: Path) -> None:
    tables = []
    for number, seed in enumerate((3, 3, 4)):
        out = tmp_path / str(number)
        code, _, err = run("generate", "icsg3d", "-n", 12, "--seed", seed, "--width", 4, "--out", out)
        assert (code, f"seed {seed}" in err) == (0, True)
        tables.append(pd.read_csv(out / "table.csv"))
    pd.testing.assert_frame_equal(tables[0], tables[1])
    assert not tables[0].equals(tables[2])
    first = tables[0]
    assert first["sample"].to_list() == list(range(1, 13))
    assert not first["decoded"].all(), "4 standard deviations out some samples are no crystals"
    assert first["problem"].notna().equals(~first["decoded"])
    assert first["file"].notna().equals(first["decoded"])
    assert sorted(path.name for path in (tmp_path / "0").glob("*.cif")) == sorted(first["file"].dropna())
    assert {"distances", "distances_reason", "smact_valid", "smact_valid_reason", "valid"} <= set(first)
    assert (first.loc[~first["decoded"], "valid"].astype(str) == "False").all()


def test_generate_near_a_crystal_under_a_condition(run, files: list[Path], tmp_path: Path) -> None:
    near = next(path for path in files if path.name == "POSCAR")
    lengths = {}
    for energy in (-4, 1):
        out = tmp_path / str(energy)
        arguments = ("-n", 6, "--seed", 1, "--near", near, "--width", 0.05, "--formation-energy", energy)
        assert run("generate", "icsg3d", *arguments, "--out", out)[0] == 0
        table = pd.read_csv(out / "table.csv")
        lengths[energy] = table["volume_per_atom"].to_list()
        if energy == -4:
            assert (table["formula"] == "SrTiO3").sum() >= 4
    assert lengths[-4] != lengths[1]


def test_decode_is_the_same_as_generate(run, tmp_path: Path) -> None:
    from matgen_core import checkpoint
    from matgen_core.latent.space import LatentSpace

    z = LatentSpace.of(checkpoint.load("icsg3d")).sample(4, seed=5)
    np.save(tmp_path / "z.npy", z)
    assert run("decode", "icsg3d", tmp_path / "z.npy", "--out", tmp_path / "decoded")[0] == 0
    assert run("generate", "icsg3d", "-n", 4, "--seed", 5, "--out", tmp_path / "drawn")[0] == 0
    decoded, drawn = (pd.read_csv(tmp_path / name / "table.csv") for name in ("decoded", "drawn"))
    assert list(decoded.columns) == ["sample", "decoded", "formula", "file", "problem"]
    pd.testing.assert_frame_equal(decoded, drawn[decoded.columns], check_dtype=False)


def test_phase_fields_decode_to_a_table(run, tmp_path: Path) -> None:
    assert run("generate", "phase_field_vae", "-n", 3, "--out", tmp_path / "drawn.csv")[0] == 0
    table = pd.read_csv(tmp_path / "drawn.csv")
    assert list(table.columns) == ["sample", "phase_field", "problem"]
    assert len(table) == 3


@pytest.mark.parametrize(
    ("array", "line"),
    [
        (np.zeros((2, 3), np.float32), r"float32 of shape \(2, 3\); expected float numbers of shape \(n, \d+\)"),
        (np.zeros((2, 3), np.int64), "int64"),
        (np.array([{"a": 1}], object), "no readable .npy file"),
        (np.zeros((0, 3)), r"of shape \(0, 3\)"),
        (None, "no readable .npy file"),
    ],
)
def test_decode_refuses_other_arrays_in_one_line(run, tmp_path: Path, array, line: str) -> None:
    path = tmp_path / "z.npy"
    path.touch() if array is None else np.save(path, array, allow_pickle=True)
    code, _, err = run("decode", "icsg3d", path, "--out", tmp_path / "out")
    assert code == 2
    assert re.search(line, err), err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("icsg3d", "-n", 0), "0 samples; one run takes 1 to 10,000"),
        (("icsg3d", "-n", 10**9), "1000000000 samples; one run takes 1 to 10,000"),
        (("icsg3d", "-n", 1, "--width", 0), "--width 0"),
        (("icsg3d", "-n", 1, "--seed", -1), "--seed -1"),
        (("icsg3d", "-n", 1, "--formation-energy", "nan"), "a formation energy of nan; give a finite number"),
        (("icsg3d", "-n", 1, "--near", "nowhere.cif"), "nowhere.cif: no such file"),
        (("icsg3d", "-n", 1, "--composition", "MgO"), "icsg3d takes no --composition; these checkpoints do: "),
        (("formula_lm_icsd", "-n", 1, "--composition", "MgO"), "formula_lm_icsd writes formulas and takes no --comp"),
        (("ion_exchange", "-n", 1, "--composition", "MgO"), "ion_exchange takes -n, --seed and --out alone"),
        (("point_cloud_gan_mgmno", "-n", 1, "--composition", " "), "--composition is empty; expected a formula"),
        (("phase_field_vae", "-n", 1, "--formation-energy", -1), "phase_field_vae takes no formation energy"),
        (
            ("cgcnn_energy", "-n", 1),
            "cgcnn_energy has no decoder; these checkpoints have one: crystalgan_hydride, ding",
        ),
    ],
)
def test_generate_refuses_what_it_cannot_do(run, tmp_path: Path, arguments: tuple[object, ...], line: str) -> None:
    code, _, err = run("generate", *arguments, "--out", tmp_path / "out")
    assert code == 2
    assert line in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_nothing_that_is_there_is_overwritten(run, files: list[Path], tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("mine")
    code, _, err = run("reconstruct", "icsg3d", files[-1], "--out", tmp_path)
    assert (code, "is not an empty folder" in err) == (2, True)
    assert (tmp_path / "table.csv").read_text() == "mine"


def test_check_formulas(run, tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_text("formula\nNaN\nNaCl3\nnonsense!\nCu3Au\n")
    assert run("check", path, "--out", tmp_path / "c.csv")[0] == 0
    table = pd.read_csv(tmp_path / "c.csv", keep_default_na=False)
    assert table["formula"].to_list() == ["NaN", "NaCl3", "nonsense!", "Cu3Au"]
    assert table["charge_neutral"].to_list() == ["True", "False", "False", ""]
    assert "is no formula" in table["problem"][2]
    assert "alloy" in table["charge_neutral_reason"][3]


def test_names_of_files_stay_in_their_folder_and_apart() -> None:
    names = distinct_names(
        [
            "../../etc/x",
            "POSCAR",
            "poscar",
            "POSCAR",
            "..",
            "",
            "a b",
            "x" * 300,
            "POSCAR-2",
            "-rf",
            "a\n\x00\u202eb",
            ".-x",
        ]
    )
    assert len({name.casefold() for name in names}) == len(names)
    assert all(name.isprintable() and 0 < len(name) <= 110 for name in names)
    assert not any("/" in name or name.startswith((".", "-")) for name in names)
    assert names[1] == "POSCAR"
    assert names[6] == "a b"


def test_two_files_of_one_name_and_a_file_of_two_crystals(run, tmp_path: Path) -> None:
    for name, structure in (("a", NACL), ("b", PEROVSKITE)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "POSCAR").write_text(poscar(structure))
    (tmp_path / "two.cif").write_text(cif(NACL) + cif(PEROVSKITE).replace("data_", "data_second_"))
    inputs = [tmp_path / "a" / "POSCAR", tmp_path / "b" / "POSCAR", tmp_path / "two.cif"]
    assert run("reconstruct", "icsg3d", *inputs, "--out", tmp_path / "out")[0] == 0
    table = pd.read_csv(tmp_path / "out" / "table.csv")
    assert table["input"].to_list() == [*map(str, inputs[:2]), "two.cif:1", "two.cif:2"]
    assert table["file"].to_list() == ["POSCAR.cif", "POSCAR-2.cif", "two-1.cif", "two-2.cif"]
    assert table["formula"].to_list() == ["Na4Cl4", "SrTiO3", "Na4Cl4", "SrTiO3"]
