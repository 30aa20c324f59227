"""Generated formulas through the funnel: every sample counted, the same whatever the chunks, readable when it stops."""

import errno
import json
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from pymatgen.core import Composition

from matgen_core import checkpoint
from matgen_core.checkpoint import Checkpoint
from matgen_core.checks import COMPOSITION_CHECKS, screen, screen_texts, usual_rule
from matgen_core.jobs.files.tables import part_of
from matgen_core.materials.formulas import Formulas, KnownFormulas
from matgen_core.networks.models import MODELS
from matgen_core.networks.models.formula_lm import FormulaLM
from matgen_core.tasks import funnel
from matgen_core.tasks.funnel.running import BATCH, Request, Wanted
from tests.support.writers import ELEMENTS, Forgetful, everything

N = 2 * BATCH + 700


@pytest.fixture
def saved(writer: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    checkpoint.save(writer, tmp_path / "checkpoints" / "tiny")
    monkeypatch.setenv("MATGEN_CHECKPOINTS", str(tmp_path / "checkpoints"))
    monkeypatch.setitem(MODELS, "formula_lm", Forgetful)
    return tmp_path


def test_every_sample_has_its_row_and_every_stage_its_count(writer: Checkpoint) -> None:
    table, last = everything(writer, Request(N, seed=2), chunk_size=BATCH)
    assert table["sample"].to_list() == list(range(1, N + 1))
    there = table["n_elements"] > 0
    assert 0 < (~there).sum() < N
    assert (table["problem"] == np.where(there, "", "no elements")).all()
    assert (table["first"] == ~table["formula"].duplicated() & there).all()
    verdicts = ["wanted", "charge_neutral", "electronegativity_balanced", "smact_valid", "usual_states", "novel"]
    assert not table.loc[~there, verdicts].to_numpy(bool).any()
    chosen = table[there].drop_duplicates("formula").iloc[:300]
    judged = screen(chosen["formula"], COMPOSITION_CHECKS)
    for name in ("charge_neutral", "electronegativity_balanced", "smact_valid"):
        assert chosen[name].to_list() == judged[name].to_list(), name
    usual = screen_texts(chosen["formula"], [usual_rule()])["usual_states"]
    assert chosen["usual_states"].to_list() == usual.to_list()
    assert (usual == False).sum() > (chosen["charge_neutral"] == False).sum() > 0  # noqa: E712 or missing
    known = {"Li2O", "Fe2O3", "NaAlO2", "Na2S"}
    novel = [Composition(text).reduced_formula not in known for text in chosen["formula"]]
    assert chosen["novel"].to_list() == novel
    assert False in novel
    stages = [
        there,
        table["wanted"],
        table["first"],
        table["charge_neutral"],
        table["electronegativity_balanced"],
        table["novel"],
    ]
    passed, expected = pd.Series(True, table.index), [N]
    for column in stages:
        passed &= column.fillna(False).astype(bool)
        expected.append(int(passed.sum()))
    assert list(last.counts.values()) == expected
    assert [*last.counts, "predicted", "near"] == list(funnel.STAGES)
    assert table["kept"].equals(passed)
    assert last.undecided["neutral"] == (table["first"] & table["charge_neutral"].isna()).sum() > 0


def test_the_samples_depend_on_the_seed_alone(writer: Checkpoint) -> None:
    small, whole = (everything(writer, Request(N, seed=3), chunk_size=size)[0] for size in (BATCH, 4 * BATCH))
    pd.testing.assert_frame_equal(small, whole)
    other = everything(writer, Request(N, seed=4))[0]
    assert (other["formula"] != whole["formula"]).mean() > 0.5
    noise = torch.from_numpy(np.random.default_rng(3).standard_normal((N, writer.model.latent_dim), np.float32))
    with torch.inference_mode():
        made = writer.representation.formulas(writer.model.decode(noise).numpy())
    assert (made.texts() != whole["formula"]).sum() <= 2  # one large batch rounds otherwise


def test_undecided_formulas_go_on_when_asked_for(writer: Checkpoint) -> None:
    strict, open_too = (everything(writer, Request(N, keep_undecided=keep))[1].counts for keep in (False, True))
    assert open_too["neutral"] > strict["neutral"]
    assert open_too["unique"] == strict["unique"]


def test_without_known_formulas_novelty_is_missing(writer: Checkpoint) -> None:
    table, last = everything(replace(writer, known=None), Request(200))
    assert table.loc[table["n_elements"] > 0, "novel"].isna().all()
    assert last.counts["novel"] == last.counts["balanced"]


def test_predictors_are_asked_about_what_was_kept(writer: Checkpoint) -> None:
    asked: list[str] = []

    def heaviest(formulas: Formulas) -> pd.DataFrame:
        asked.extend(formulas.texts())
        problems = np.where(formulas.n_atoms > 8, "too large", "")
        values = np.where(problems == "", formulas.n_atoms, np.nan)
        return pd.DataFrame({"n_atoms": values, "n_atoms_std": 0.0, "problem": problems})

    table, last = everything(writer, Request(N), predictors=[heaviest], chunk_size=BATCH)
    kept = table[table["kept"]]
    assert kept["formula"].to_list() == asked
    assert list(table.columns[-4:]) == ["kept", "n_atoms", "n_atoms_std", "problem"]
    assert table.loc[~table["kept"], "n_atoms"].isna().all()
    assert last.counts["predicted"] == kept["n_atoms"].notna().sum() < len(kept)
    assert set(kept["problem"]) == {"", "too large"}
    assert (kept["problem"].eq("") == kept["n_atoms"].notna()).all()


def test_what_is_wanted() -> None:
    formulas = Formulas.of_texts(["LiFeO2", "Li2O", "FeS2", "Li6PS5Cl", "O2", "NaCl"])[0]

    def passing(**wanted: object) -> list[str]:
        return formulas.texts()[Wanted(**wanted).passes(formulas)].tolist()

    assert passing() == ["LiFeO2", "Li2O", "FeS2", "Li6PS5Cl", "O2", "NaCl"]
    assert passing(must=("Li",)) == ["LiFeO2", "Li2O", "Li6PS5Cl"]
    assert passing(must=("Li", "O")) == ["LiFeO2", "Li2O"]
    assert passing(must=("Li",), may=("O",)) == ["Li2O"]
    assert passing(may=("Fe", "S", "O")) == ["FeS2", "O2"]
    assert passing(never=("O", "Cl")) == ["FeS2"]
    assert passing(n_elements=(2, 3)) == ["LiFeO2", "Li2O", "FeS2", "NaCl"]
    assert passing(n_atoms=(3, 4)) == ["LiFeO2", "Li2O", "FeS2"]
    assert passing(counts=(1, 1)) == ["NaCl"]
    assert passing(counts=(2, 9)) == ["O2"]
    empty = Formulas(np.zeros((1, 2), np.uint8), np.zeros((1, 2), np.uint8))
    assert not Wanted().passes(empty).any()


@pytest.mark.parametrize(
    ("wanted", "line"),
    [
        ({"must": ("Xx",)}, "'Xx' is no element"),
        ({"must": ("Li",), "never": ("Li", "O")}, "Li: among the elements that must occur and those that never do"),
        ({"may": ("O",), "never": ("O",)}, "O: among the elements that may occur"),
        ({"n_elements": (4, 2)}, "n_elements from 4 to 2"),
        ({"counts": (0, 2)}, "counts from 0 to 2"),
        ({"must": ("Li", "O"), "n_elements": (1, 1)}, "2 elements must occur, but a formula may have 1"),
    ],
)
def test_wishes_that_cannot_be_met_are_refused(wanted: dict, line: str) -> None:
    with pytest.raises(ValueError, match=re.escape(line)):
        Wanted(**wanted)


@pytest.mark.parametrize("n", [0, -5, 10**9])
def test_a_number_that_one_run_does_not_take_is_refused(n: int) -> None:
    with pytest.raises(ValueError, match=f"^{n} samples; one run takes 1 to 10,000,000$"):
        Request(n)


def test_a_number_of_a_thousand_digits_is_refused_in_a_short_line() -> None:
    long = 10**1_000
    for made in (lambda: Request(long), lambda: Request(1, seed=-long), lambda: Wanted(n_atoms=(long, 1))):
        with pytest.raises(ValueError, match="; ") as refused:
            made()
        assert len(str(refused.value)) < 200


def test_other_models_and_conditions_are_refused(writer: Checkpoint) -> None:
    with pytest.raises(ValueError, match="tiny takes no volume; it takes none"):
        next(funnel.run(writer, Request(1, condition={"volume_per_atom": 12.0})))
    with pytest.raises(ValueError, match="writes no formulas"):
        next(funnel.run(checkpoint.load("phase_field_vae"), Request(1)))


class Obedient(FormulaLM):
    """Writes the formula that the condition names."""

    condition_properties = ("formation_energy_per_atom",)

    def condition_of(self, **wanted: torch.Tensor) -> torch.Tensor:
        return torch.stack(list(wanted.values()), 1)

    def decode(self, z: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        assert condition.shape == (len(z), 1)
        return torch.nn.functional.one_hot(condition.long().expand(-1, 6), 4).float()


def test_a_condition_reaches_every_sample(writer: Checkpoint) -> None:
    obedient = replace(writer, model=Obedient(writer.model.config))
    table, _ = everything(obedient, Request(BATCH + 3, condition={"formation_energy_per_atom": 2.0}))
    assert set(table["formula"]) == {"Na3Li3Al3Fe3S3O3"}
    with pytest.raises(ValueError, match="a formation energy of nan; give a finite number"):
        next(funnel.run(obedient, Request(1, condition={"formation_energy_per_atom": float("nan")})))
    with pytest.raises(ValueError, match="tiny takes no band gap; it takes formation_energy_per_atom"):
        next(funnel.run(obedient, Request(1, condition={"band_gap": 1.0})))


def test_known_formulas_are_told_from_new_ones(tmp_path: Path) -> None:
    formulas = Formulas.of_table(np.random.default_rng(1).integers(0, 5, (20_000, 6)), ELEMENTS)
    known = KnownFormulas.of(formulas[:10_000])
    known.write(tmp_path / "known.parquet")
    again = KnownFormulas.read(tmp_path / "known.parquet")
    np.testing.assert_array_equal(again.keys, known.keys)
    theirs = set(formulas[:10_000].reduced().texts())
    np.testing.assert_array_equal(again.contains(formulas), [text in theirs for text in formulas.reduced().texts()])
    assert not KnownFormulas.of(formulas[:0]).contains(formulas).any()
    assert (tmp_path / "known.parquet").stat().st_size < 4.5 * len(known)


def test_a_checkpoint_keeps_its_known_formulas(writer: Checkpoint, saved: Path) -> None:
    assert checkpoint.load("tiny").known.keys.tolist() == writer.known.keys.tolist()
    checkpoint.amend("tiny", {"headline": {}}, pd.DataFrame({"formula": ["Li2O"]}))
    assert checkpoint.load("tiny").known.keys.tolist() == writer.known.keys.tolist()
    (saved / "checkpoints" / "tiny" / "known.parquet").write_bytes(b"PAR1")
    with pytest.raises(checkpoint.CheckpointError, match=r"known\.parquet cannot be used"):
        checkpoint.load("tiny")


def test_generate_writes_every_sample_to_csv_and_parquet(run, saved: Path, writer: Checkpoint) -> None:
    expected = everything(writer, Request(500, seed=7))[0]
    for out, read in ((saved / "new" / "out.csv", pd.read_csv), (saved / "new" / "out.parquet", pd.read_parquet)):
        code, _, err = run("generate", "tiny", "-n", 500, "--seed", 7, "--out", out)
        assert code == 0, err
        assert f"seed 7; wrote 500 rows to {out}" in err
        assert re.search(r"500 generated\n", err)
        table = read(out)
        assert list(table.columns) == list(expected.columns)
        assert table["formula"].fillna("").to_list() == expected["formula"].to_list()
    assert table["charge_neutral"].isna().sum() == expected["charge_neutral"].isna().sum()
    options = ("--unique", "--must", "Li", "--never", "S,Na", "--elements", "2-3", "--atoms", "2-9")
    code, _, err = run("generate", "tiny", "-n", 500, "--out", saved / "few.csv", *options)
    assert code == 0, err
    few = pd.read_csv(saved / "few.csv")
    assert not few["formula"].duplicated().any()
    right = []
    for text in few["formula"]:
        symbols = set(re.findall("[A-Z][a-z]?", text))
        fits = {"Li"} <= symbols <= {"Li", "O", "Fe", "Al"} and len(symbols) in (2, 3)
        right.append(fits and Composition(text).num_atoms <= 9)
    assert few["wanted"].to_list() == right
    assert 0 < sum(right) < len(right)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("-n", 0), "0 samples; one run takes 1 to 10,000,000"),
        (("-n", 10**9), "1000000000 samples; one run takes 1 to 10,000,000"),
        (("-n", 5, "--seed", -1), "seed -1; expected 0 or more"),
        (("-n", 5, "--must", "Xx"), "'Xx' is no element"),
        (("-n", 5, "--elements", "two"), "--elements two; write one number, or two as 2-4"),
        (("-n", 5, "--elements", "0"), "n_elements from 0 to 0"),
        (("-n", 5, "--width", 2), "--near and --width are not for tiny"),
        (("-n", 5, "--volume", 12), "tiny takes no volume; it takes none"),
    ],
)
def test_generate_refuses_bad_input_with_one_line(run, saved: Path, options: tuple[object, ...], line: str) -> None:
    out = saved / "out.csv"
    code, _, err = run("generate", "tiny", *options, "--out", out)
    assert (code, len(err.strip().splitlines())) == (2, 1)
    assert line in err
    assert not out.exists()


def test_generate_refuses_other_files_and_what_is_there(run, saved: Path) -> None:
    code, _, err = run("generate", "tiny", "-n", 5, "--out", saved / "out.txt")
    assert (code, "name it .csv, or .parquet" in err) == (2, True)
    (saved / "mine.parquet").mkdir()
    (saved / "mine.parquet" / "notes").write_text("mine")
    code, _, err = run("generate", "tiny", "-n", 5, "--out", saved / "mine.parquet")
    assert (code, "is not an empty folder" in err) == (2, True)
    (saved / "file").touch()
    code, _, err = run("generate", "tiny", "-n", 5, "--out", saved / "file" / "out.csv")
    assert (code, len(err.strip().splitlines())) == (2, 1)
    code, _, err = run("generate", "phase_field_vae", "-n", 5, "--must", "Li", "--out", saved / "out.csv")
    assert code == 2


@pytest.mark.parametrize(
    ("name", "signal_number", "code"),
    [("out.csv", signal.SIGINT, 130), ("out.parquet", signal.SIGKILL, -9)],
)
def test_a_run_that_is_stopped_leaves_whole_rows(saved: Path, name: str, signal_number: int, code: int) -> None:
    out = saved / name
    command = ["generate", "tiny", "-n", str(10**7), "--out", str(out)]
    main = f"import sys; from matgen_core.cli import main; sys.argv = {['matgen', *command]}; main()"
    process = subprocess.Popen([sys.executable, "-c", main], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for _ in range(2):  # chunks
        assert "samples" in process.stderr.readline()
    process.send_signal(signal_number)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == code, said
    assert not out.exists()
    out = part_of(out)
    table = pd.read_csv(out) if out.suffix == ".csv" else pd.read_parquet(out)
    assert len(table) >= 2 * funnel.CHUNK
    assert table["sample"].to_list() == list(range(1, len(table) + 1))
    if code == 130:
        assert f"stopped; {out} holds {len(table):,} rows, all whole" in said
        assert len(table) % funnel.CHUNK == 0


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_full_disk_leaves_what_was_written_readable(kind: str, tmp_path: Path) -> None:
    """In a process of its own that may write files of 6,000 bytes."""
    out = tmp_path / f"out.{kind}"
    noise = np.random.default_rng(0).integers(0, 10**9, 2_000).tolist()
    script = f"""
import json, resource, signal, sys
import pandas as pd
from pathlib import Path
from matgen_core.jobs.files.tables import CSVFile, ParquetFolder
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (6_000, 6_000))
table = {"CSVFile" if kind == "csv" else "ParquetFolder"}(Path({str(out)!r}))
values = {noise}
try:
    for size in (100, 150, 2_000):
        table.write(pd.DataFrame({{"value": values[:size]}}))
except OSError as error:
    print(json.dumps([error.errno, error.strerror, error.filename, table.n_rows]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    number, line, name, n_rows = json.loads(done.stdout)
    assert (number, name, n_rows) == (errno.EFBIG, str(out), 250)
    assert line.startswith("File too large; the 250 rows before stand there, in ")
    table = pd.read_csv(out) if kind == "csv" else pd.read_parquet(out)
    assert table["value"].to_list() == noise[:100] + noise[:150]
    assert [path.name for path in tmp_path.rglob(".*")] == []
