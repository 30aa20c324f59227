"""`matgen translate`: two binary hydrides in, a CIF and a row for every try out, or one line that says why not."""

import json
from pathlib import Path

import pandas as pd
import pytest

from matgen_core import checkpoint as checkpoints
from matgen_core.data import read_structures
from matgen_core.data.structure_export import cif
from tests.support.commands import matgen
from tests.support.crystals import NACL
from tests.support.hydrides import MGH2, MGTIH4, NIH, TIH2, dihydride, translator

FILES = {
    "MgH2.cif": MGH2,
    "TiH2.cif": TIH2,
    "NiH.cif": NIH,
    "other_MgH2.cif": dihydride("Mg", 5.0),
    "NaCl.cif": NACL,
    "MgTiH4.cif": MGTIH4,
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Crystals, a folder of two, a file that is none, and a checkpoint of networks that have learned nothing."""
    monkeypatch.setenv("MATGEN_CHECKPOINTS", str(tmp_path / "checkpoints"))
    checkpoints.save(translator(), tmp_path / "checkpoints" / "tiny")
    (tmp_path / "two").mkdir()
    for name, crystal in FILES.items():
        (tmp_path / name).write_text(cif(crystal))
    for name in ("MgH2.cif", "TiH2.cif"):
        (tmp_path / "two" / name).write_text(cif(FILES[name]))
    (tmp_path / "noise.cif").write_text("data_x\n_cell_length_a nonsense\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_try_has_a_row_and_a_crystal(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ran(second: str, *options: str) -> None:
        assert matgen("translate", "tiny", "MgH2.cif", second, *options, monkeypatch=monkeypatch) == 0

    ran("TiH2.cif", "-n", "12", "--seed", "3", "--out", "made")
    said = capsys.readouterr().err
    assert "seed 3" in said
    assert "of 12 pass everything" in said
    table = pd.read_csv(folder / "made" / "table.csv")
    assert table["try"].tolist() == list(range(1, 13))
    assert set(table["framework"]) == {"Mg-H", "Ti-H"}
    for row in table.itertuples():
        (read,) = read_structures([folder / "made" / row.file])
        crystal = read.structure
        assert crystal is not None
        assert crystal.composition.reduced_formula == row.formula
        assert {str(each) for each in crystal.composition} == {"Mg", "Ti", "H"}
    kept = table.loc[table["kept_as"].notna()].sort_values("kept_as")
    assert table["good"].sum() >= len(kept) > 0
    assert kept["realness"].is_monotonic_decreasing
    assert json.loads(table["made_with"].iloc[0])["seed"] == 3
    ran("TiH2.cif", "-n", "12", "--seed", "3", "--out", "again")
    assert (folder / "again" / "table.csv").read_text() == (folder / "made" / "table.csv").read_text()
    ran("NiH.cif", "-n", "4", "--share", "0.5", "--out", "half")
    shares = pd.read_csv(folder / "half" / "table.csv")["share_of_second"]
    assert shares.between(0.33, 0.67).all()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("NaCl.cif", "TiH2.cif"), "the first crystal, NaCl, is no hydride"),
        (("MgH2.cif", "MgTiH4.cif"), "the second crystal, MgTiH4, is no binary hydride"),
        (("MgH2.cif", "other_MgH2.cif"), "both crystals are hydrides of Mg"),
        (("MgH2.cif", "two"), "two holds 2 crystals; give a file with one"),
        (("noise.cif", "TiH2.cif"), "noise.cif: no readable CIF"),
        (("MgH2.cif", "missing.cif"), "missing.cif"),
        (("MgH2.cif", "TiH2.cif", "-n", "0"), "0 tries; expected 1 to 10,000"),
        (("MgH2.cif", "TiH2.cif", "--share", "1"), "a share of 1 of the metal atoms"),
        (("MgH2.cif", "TiH2.cif", "--seed", "-1"), "--seed -1; expected 0 or more"),
    ],
)
def test_what_cannot_be_translated_ends_with_one_line(
    folder: Path,
    arguments: tuple[str, ...],
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert matgen("translate", "tiny", *arguments, "--out", "made", monkeypatch=monkeypatch) == 2
    said = capsys.readouterr().err
    assert said.startswith("matgen: ")
    assert said.count("\n") == 1
    assert reason in said
    assert not (folder / "made").exists()
