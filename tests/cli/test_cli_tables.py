"""Tables on the command line: every door reads them alike, and a bad row is that row alone."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pymatgen.core import Lattice, Structure

from matgen_core.data.structure_export import cif
from matgen_core.jobs.files.csv_cells import restored

BAD = (  # neighbours of a number that no formula has
    *("Na1e999", "Na1e-999", "NaCl1e400", "Na300_000_000", "Na300000000", "+3", "-1", "1e5", "inf", "-inf", "nan"),
    *("Na٣Cl", "Na²", "((Na9999)9999)9999", "LiFeP04", "batio3", "Fe3+", "LixCoO2", "Li-Sn-S-Cl", "=1+1", "<b>x</b>"),
)
GOOD = ("NaCl", "MgO", "D2O", "FeSO4.7H2O", "Li₂O")
NOTES = {"D2O": "deuterium counts as hydrogen", "FeSO4.7H2O": "read as FeSO4 · 7H2O"}
BAD_FIELDS = (
    "Li-Sn-S",
    "Na1e999",
    "LiSnSCl",
    "Li2S-SnCl2",
    "Li--S-Cl",
    "inf",
    "+3",
    "Li-Sn-S-Cl.csv",
    "Li-Xx-S-Cl",
    "8.5",
)
GOOD_FIELDS = ("Li Sn S Cl", "Li,Mg,S,Cl", "Li–Na–S–Cl", "li-k-s-cl", "Li_Al_S_Cl")  # noqa: RUF001


def shuffled(*parts: tuple[str, ...]) -> list[str]:
    """Texts in an order in which bad ones stand between good ones."""
    texts = [text for part in parts for text in part]
    return [texts[k] for k in np.random.default_rng(5).permutation(len(texts))]


def write(path: Path, column: str, texts: list[str]) -> Path:
    """A table as a spreadsheet of a country with decimal commas saves it."""
    pd.DataFrame({column: texts, "note": "a"}).to_csv(path, index=False, sep=";", encoding="utf-16")
    return path


def test_a_bad_formula_is_a_bad_row_at_every_command(run, tmp_path: Path) -> None:
    texts = shuffled(BAD, GOOD)
    source = write(tmp_path / "in.csv", " Formula", texts)
    for command in (("check",), ("predict", "ding"), ("predict", "two_d_screen")):
        code, _, err = run(*command, source, "--out", tmp_path / "out.csv")
        table = restored(pd.read_csv(tmp_path / "out.csv", keep_default_na=False))
        assert code == 0
        assert "Traceback" not in err
        assert f"{source}: columns separated by semicolons" in err
        assert table["formula"].tolist() == texts, command
        bad = table["formula"].isin(BAD)
        assert table.loc[bad, "problem"].str.contains("no formula").all(), command
        assert not table.loc[~bad, "problem"].str.contains("no formula").any(), command
        assert dict(zip(table["formula"], table["note"], strict=True)) == dict.fromkeys(texts, "") | NOTES
        first = next(row for row, text in enumerate(texts) if text in BAD)
        assert f"{source}, line {first + 2}: " in err
    code, _, err = run("encode", "ding", source, "--out", tmp_path / "z.parquet")
    table = pd.read_parquet(tmp_path / "z.parquet")
    assert (code, table["input"].tolist()) == (0, texts)
    assert table.loc[table["input"].isin(BAD), "problem"].str.contains("no formula").all()
    assert table.loc[table["input"].isin(["NaCl", "MgO", "D2O", "Li₂O"]), "z"].notna().all()


def test_a_bad_field_is_a_bad_row_at_every_command(run, tmp_path: Path) -> None:
    texts = shuffled(BAD_FIELDS, GOOD_FIELDS)
    source = write(tmp_path / "in.csv", "Phase-Field", texts)
    for model in ("phase_field_norm", "phase_field_vae"):
        code, _, err = run("rank", source, "--model", model, "--out", tmp_path / "out.csv")
        table = restored(pd.read_csv(tmp_path / "out.csv", keep_default_na=False))
        assert code == 0
        assert sorted(table["phase_field"]) == sorted(texts)
        assert table["rank"].tolist() == [*map(str, range(1, 6)), *[""] * len(BAD_FIELDS)]
        assert table["phase_field"][5:].tolist() == [text for text in texts if text in BAD_FIELDS]
        assert (table["problem"] == "").tolist() == [True] * 5 + [False] * len(BAD_FIELDS)
        line = texts.index("Li-Sn-S") + 2
        assert f"{source}, line {line}: Li-S-Sn has 3 elements, but this model ranks fields of 4" in err
    code, _, err = run("encode", "phase_field_vae", source, "--out", tmp_path / "z.parquet")
    table = pd.read_parquet(tmp_path / "z.parquet")
    assert code == 0
    assert table["z"].notna().tolist() == [text in GOOD_FIELDS for text in texts]
    assert f"{source}, line {line}: Li-S-Sn has 3 elements" in err


def test_conditions_that_are_no_numbers_are_one_line(run, tmp_path: Path) -> None:
    for arguments in (
        ("--formation-energy", "nan"),
        ("--formation-energy", "inf"),
        ("--volume", "1e999"),
        ("--energy", "-inf"),
        ("--formation-energy", "-1", "--within", "formation-energy=nan", "--predict", "ding"),
        ("--formation-energy", "-1", "--within", "formation-energy=inf", "--predict", "ding"),
        ("--elements", "٣"),
        ("--elements", "300_000_000"),
        ("--atoms", "+3"),
        ("--atoms", "9" * 30),
        ("--must", "D"),
        ("--must", "li"),
        ("--never", "Xx"),
    ):
        code, _, err = run("generate", "ding", "-n", "10", "--out", tmp_path / "out.csv", *arguments)
        assert code == 2, arguments
        assert len([line for line in err.splitlines() if line.startswith("matgen: ")]) == 1, (arguments, err)
        assert not (tmp_path / "out.csv").exists()


def test_sites_too_near_are_said_beside_every_figure(run, tmp_path: Path) -> None:
    near = Structure(Lattice.cubic(4.2), ["Mg", "O", "O"], [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0.56]])
    far = Structure(Lattice.cubic(4.2), ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    (tmp_path / "near.cif").write_text(cif(near))
    (tmp_path / "far.cif").write_text(cif(far))
    heavy = cif(far).replace("Mg", "D")
    (tmp_path / "heavy.cif").write_text(heavy)
    files = [tmp_path / name for name in ("near.cif", "far.cif", "heavy.cif")]
    for command in (
        ("predict", "cgcnn_energy"),
        ("predict", "ding"),
        ("check",),
        ("encode", "icsg3d"),
        ("reconstruct", "icsg3d"),
    ):
        out = tmp_path / ("z.parquet" if command[0] == "encode" else "_".join(command))
        code, _, _ = run(*command, *files, "--out", out)
        table = (
            pd.read_parquet(out)
            if command[0] == "encode"
            else pd.read_csv(out / "table.csv" if command[0] == "reconstruct" else out, keep_default_na=False)
        )
        assert code == 0, command
        said = table["note"].tolist()
        assert "sites too near each other: shortest 0.25 Å (O-O)" in said[0], command
        assert said[1] == "", command
        assert "deuterium" in said[2], command
        assert "counts as hydrogen" in said[2], command


def test_a_missing_table_is_one_line(run, tmp_path: Path) -> None:
    for name in ("no.csv", "Li-Sn-S-Cl"):
        code, _, err = run("rank", tmp_path / name, "--model", "phase_field_norm")
        assert (code, err.strip()) == (2, f"matgen: {tmp_path / name}: no such file; expected a CSV file")


@pytest.mark.parametrize("command", [("check",), ("predict", "ding")])
def test_a_table_that_is_none_is_one_line(run, tmp_path: Path, command: tuple[str, ...]) -> None:
    for content, reason in (
        (b'formula\n"NaCl\nMgO\n', "line 2: a quotation mark is not closed"),
        (b"formula\nNa\0Cl\n", "a zero byte on line 2"),
        (b"name\nNaCl\n", "has no column formula; its columns are: name"),
        (b"NaCl\nMgO\n", "has no column formula; its columns are: NaCl"),
        (b"formula\n\n\n", "has a column formula but no rows"),
    ):
        (tmp_path / "in.csv").write_bytes(content)
        code, out, err = run(*command, tmp_path / "in.csv")
        assert (code, out) == (2, "")
        assert reason in err
        assert len(err.strip().splitlines()) == (2 if "no rows" in reason else 1) or reason in err.splitlines()[-1]
