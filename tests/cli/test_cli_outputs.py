"""What commands write: whole or not there, and one line with file and reason where it cannot be written."""

import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pandas as pd
import pytest

from matgen_core import checkpoint
from matgen_core.checkpoint import Checkpoint
from matgen_core.jobs.files.outputs import claimed
from matgen_core.tasks import funnel
from tests.support.serving import ROOT

MAIN = "import sys; from matgen_core.cli import main; sys.argv = ['matgen', *sys.argv[1:]]; main()"
ENUMERATE = ("enumerate", "--must", "Li", "--cations", "Mg,Al,Si,Sn,Zn,Ga,Ge,In,Y,La")


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, list[object]]:
    """Commands with --out, by the name of what each is to write."""
    (tmp_path / "fields.csv").write_text("phase_field\nLi-Sn-S-Cl\n")
    (tmp_path / "formulas.csv").write_text("formula\nNaCl\n")
    (tmp_path / "z.npy").write_bytes(b"")
    fields, formulas = tmp_path / "fields.csv", tmp_path / "formulas.csv"
    return {
        "enumerate.csv": [*ENUMERATE],
        "rank.csv": ["rank", fields, "--model", "phase_field_norm"],
        "check.csv": ["check", formulas],
        "predict.csv": ["predict", "two_d_screen", formulas],
        "encode.parquet": ["encode", "phase_field_vae", fields],
        "decode.csv": ["decode", "formula_lm_icsd", tmp_path / "z.npy"],
        "generate.csv": ["generate", "formula_lm_icsd", "-n", "10"],
        "reconstruct": ["reconstruct", "icsg3d", formulas],
        "prepare.safetensors": ["train", "phase_field_norm"],
    }


def test_a_command_says_at_once_what_it_cannot_write(run, tmp_path: Path, inputs: dict[str, list[object]]) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").write_text("old")
    for name, command in inputs.items():
        option = "--prepare" if name.startswith("prepare") else "--out"
        wrong = tmp_path / ("file" if name == "reconstruct" else "")
        for place in (wrong, tmp_path / "loop", Path("/sys") / name):
            if place == wrong and name.startswith(("decode", "generate", "prepare")):
                continue  # they look at the name or the model first, and say so
            code, out, err = run(*command, option, place)
            assert (code, out) == (2, ""), (name, place, err)
            (line,) = err.strip().splitlines()
            assert line.startswith(f"matgen: {place}") or name.startswith("prepare"), line
    assert (tmp_path / "file").read_text() == "old"


def test_the_second_of_two_commands_that_write_one_file_is_told(
    run, tmp_path: Path, inputs: dict[str, list[object]]
) -> None:

    place = tmp_path / "out.csv"
    place.write_text("old")
    held, done = threading.Event(), threading.Event()

    def first() -> None:
        with claimed(place):
            held.set()
            done.wait(60)

    other = threading.Thread(target=first)
    other.start()
    held.wait(60)
    for name in ("enumerate.csv", "rank.csv", "check.csv", "generate.csv"):
        code, out, err = run(*inputs[name], "--out", place)
        assert (code, out, err) == (2, "", f"matgen: {place}: it is being written by another command\n")
    done.set()
    other.join()
    assert place.read_text() == "old"
    assert run(*inputs["rank.csv"], "--out", place)[0] == 0
    assert len(pd.read_csv(place)) == 1


def test_a_file_may_be_input_and_output(run, tmp_path: Path, inputs: dict[str, list[object]]) -> None:
    code, _, err = run(*inputs["rank.csv"], "--out", tmp_path / "fields.csv")
    assert (code, err) == (0, f"wrote 1 rows to {tmp_path / 'fields.csv'}\n")
    assert pd.read_csv(tmp_path / "fields.csv")["rank"].tolist() == [1]


@pytest.mark.parametrize(
    ("arguments", "device", "reason"),
    [
        (ENUMERATE, "/dev/full", "No space left on device"),
        (("models",), "/dev/full", "No space left on device"),
        (ENUMERATE, None, "Broken pipe"),
    ],
)
def test_a_standard_output_that_takes_no_more_is_one_line(
    arguments: tuple[str, ...], device: str | None, reason: str
) -> None:
    if device:
        out = os.open(device, os.O_WRONLY)
    else:
        reader, out = os.pipe()
        os.close(reader)
    command = [sys.executable, "-c", MAIN, *arguments]
    done = subprocess.run(command, cwd=ROOT, stdout=out, stderr=subprocess.PIPE, text=True)
    os.close(out)
    assert (done.returncode, done.stderr) == (2, f"matgen: standard output: {reason}\n")


def test_a_run_that_finds_the_disk_full_says_where_its_rows_are(
    run, writer: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATGEN_CHECKPOINTS", str(tmp_path / "checkpoints"))
    checkpoint.save(writer, tmp_path / "checkpoints" / "tiny")
    (tmp_path / "made").mkdir()
    place = tmp_path / "made" / "out.csv"
    assert run("generate", "tiny", "-n", funnel.CHUNK, "--out", place)[0] == 0
    whole = place.read_bytes()
    before = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) * 3 // 2, before[0][1]))
    try:
        code, _, err = run("generate", "tiny", "-n", 3 * funnel.CHUNK, "--out", place)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before[0])
        signal.signal(signal.SIGXFSZ, before[1])
    part = place.with_name("out.part.csv")
    line = f"matgen: {part}: File too large; the {funnel.CHUNK:,} rows before stand there, in whole lines"
    assert (code, err.splitlines()[-1]) == (2, line)
    assert place.read_bytes() == part.read_bytes() == whole
    assert run("generate", "tiny", "-n", 5, "--out", place)[0] == 0
    assert len(pd.read_csv(place)) == 5
    assert [path.name for path in place.parent.iterdir()] == ["out.csv"]
