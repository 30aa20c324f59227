"""The command line as a contract: exit codes, one clear line, tables that scripts can read."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.support.serving import free_port, wait_until_healthy


def fields_csv(folder: Path, *rows: str) -> Path:
    path = folder / "fields.csv"
    path.write_text("\n".join(["phase_field,note", *(f"{row},n{i}" for i, row in enumerate(rows))]) + "\n")
    return path


def test_rank_keeps_spelling_columns_and_every_row(run, tmp_path: Path) -> None:
    out = tmp_path / "new" / "out.csv"
    source = fields_csv(tmp_path, "Li-K-F-N", "Li-Sn-S-Cl", "Sn-Li-S-Cl")
    code, _, err = run("rank", source, "--model", "phase_field_norm", "--out", out)
    assert (code, err.strip()) == (0, f"wrote 3 rows to {out}")
    table = pd.read_csv(out)
    assert list(table.columns[:3]) == ["phase_field", "score", "rank"]
    assert table["phase_field"].to_list() == ["Li-Sn-S-Cl", "Sn-Li-S-Cl", "Li-K-F-N"]
    assert table["rank"].to_list() == [1, 1, 2]
    assert table["note"].to_list() == ["n1", "n2", "n0"]


def test_a_bad_field_is_a_bad_row(run, tmp_path: Path) -> None:
    problems = {
        "Li-Xx-S-Cl": "line 3: 'Li-Xx-S-Cl': 'Xx' is no element",
        "As-As-Cd-Cl": "line 4: 'As-As-Cd-Cl' repeats As; name each element once",
        "Li-S-Cl": "line 5: Cl-Li-S has 3 elements, but this model ranks fields of 4",
        "Og-Li-S-Cl": "line 6: Og: this model has no features",
        "fields.csv": "line 7: 'fields.csv': 'fields.csv' is no element",
        "": "line 8: '': '' is no element",
    }
    source = fields_csv(tmp_path, "Li Sn S Cl", *problems, "li-k-f-n")
    out = tmp_path / "out.csv"
    code, _, err = run("rank", source, "--model", "phase_field_norm", "--out", out)
    assert code == 0
    table = pd.read_csv(out, keep_default_na=False)
    assert table["phase_field"].to_list() == ["Li Sn S Cl", "li-k-f-n", *problems]
    assert table["note"].to_list() == ["n0", "n7", *(f"n{k}" for k in range(1, 7))]
    assert table["note (matgen)"].to_list() == ["", "read as Li-K-F-N", *[""] * 6]
    assert table["rank"].to_list() == ["1", "2", *[""] * 6]
    for (text, problem), found, line in zip(problems.items(), table["problem"][2:], err.splitlines(), strict=False):
        assert f"{source}, {problem}" in line, text
        assert problem.split(": ", 1)[1] in found


def test_rank_keeps_rows_that_are_all_bad_and_refuses_a_table_without_any(run, tmp_path: Path) -> None:
    code, out, _ = run("rank", fields_csv(tmp_path, "Li-S", "x"), "--model", "phase_field_norm")
    assert (code, len(out.splitlines())) == (0, 3)
    code, out, err = run("rank", fields_csv(tmp_path), "--model", "phase_field_norm")
    assert (code, out) == (2, "")
    assert "has a column phase_field but no rows" in err


def test_mixed_valence_is_accepted_when_asked_for(run, tmp_path: Path) -> None:
    code, out, _ = run("rank", fields_csv(tmp_path, "As-As-Cd-Cl"), "--model", "phase_field_norm", "--mixed-valence")
    assert code == 0
    assert out.splitlines()[1].startswith("As-As-Cd-Cl,6.62")


@pytest.mark.parametrize(
    ("text", "line"), [("", "is no CSV table"), ("a,b\n1,2\n", "has no column phase_field; its columns are: a, b")]
)
def test_rank_refuses_a_file_without_fields(run, tmp_path: Path, text: str, line: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    code, _, err = run("rank", path, "--model", "phase_field_norm")
    assert code == 2
    assert line in err


def test_a_missing_file_and_a_missing_model_are_named(run, tmp_path: Path) -> None:
    code, _, err = run("rank", tmp_path / "nowhere.csv", "--model", "phase_field_norm")
    assert (code, err.strip()) == (2, f"matgen: {tmp_path / 'nowhere.csv'}: no such file; expected a CSV file")
    code, _, err = run("rank", fields_csv(tmp_path, "Li-Sn-S-Cl"), "--model", "nope")
    assert code == 2
    assert "nope: no such checkpoint" in err
    assert "phase_field_norm" in err


def test_enumerate_leaves_out_the_known(run) -> None:
    arguments = ["enumerate", "--must", "Li", "--cations", "Si,Sn", "--anions", "S,Cl,O"]
    every = run(*arguments)[1].split()
    unexplored = run(*arguments, "--unexplored", "phase_field_norm")[1].split()
    assert every[0] == unexplored[0] == "phase_field"
    assert len(every) == 1 + 6
    assert "Cl-Li-S-Sn" in unexplored
    assert set(unexplored) <= set(every)


def test_models_lists_every_checkpoint(run) -> None:
    rows = json.loads(run("models", "--json")[1])
    norm = next(row for row in rows if row["name"] == "phase_field_norm")
    assert norm["level"] == "phase field"
    assert norm["capabilities"] == ["score"]
    assert set(norm["headline"]) >= {"figure", "ours", "paper"}


def test_unknown_recipe_and_checkpoint_without_encoder(run, tmp_path: Path) -> None:
    assert "is no recipe; known: " in run("train", "nope")[2]
    code, _, err = run(
        "encode", "phase_field_norm", fields_csv(tmp_path, "Li-Sn-S-Cl"), "--out", tmp_path / "z.parquet"
    )
    assert code == 2
    assert "has no encoder" in err


def test_a_recipe_for_other_elements_takes_all_words_of_its_options(run, tmp_path: Path) -> None:
    own = ("train", "point_cloud_gan", "--elements", "Mg", "Mn", "O", "--slots")
    for given, line in (
        ((*own, "8", "8", "--data", tmp_path / "x.cif"), "3 elements with 2 numbers of slots"),
        ((*own, "8", "8", "x"), "point_cloud_gan takes --elements Mg Mn O --slots 8 8 12 --data FILE, all three"),
        ((*own, "8", "8", "12", "--data", tmp_path / "x.cif"), "x.cif: no such file or folder"),
        ((*own, "8,8,12", "--data", tmp_path / "x.cif"), "x.cif: no such file or folder"),
        (("train", "icsg3d", "--elements", "Mg", "O"), "icsg3d takes no --elements"),
        (("train", "icsg3d", "more"), "unexpected extra argument"),
    ):
        code, _, err = run(*given)
        assert code == 2
        assert line in err, given


def test_encode_gives_one_row_an_input_and_the_reason_where_it_has_no_point(run, tmp_path: Path) -> None:
    out = tmp_path / "z.parquet"
    code, _, _ = run("encode", "phase_field_vae", fields_csv(tmp_path, "Li-Sn-S-Cl", "Li-S-Cl"), "--out", out)
    assert code == 0
    table = pd.read_parquet(out)
    assert list(table.columns) == ["input", "z", "problem", "note"]
    assert table["z"][0] is not None
    assert table["problem"][0] is None
    assert table["z"][1] is None
    assert "has 3 elements" in table["problem"][1]


COMMANDS = (
    "models",
    "enumerate",
    "rank",
    "encode",
    "decode",
    "reconstruct",
    "generate",
    "predict",
    "check",
    "train",
    "evaluate",
    "app",
    "data list",
    "data import",
    "data fetch",
)


def test_every_command_has_help(run) -> None:
    for command in COMMANDS:
        code, out, _ = run(*command.split(), "--help")
        assert code == 0, command
        assert "Usage:" in out, command


def test_a_usage_error_exits_with_2(run) -> None:
    assert run("rank")[0] == 2


def test_the_app_opens_and_listens_on_this_machine_only() -> None:
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-c", "from matgen_core.cli import main; main()", "app"],
        env={**os.environ, "STREAMLIT_SERVER_PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_until_healthy(f"http://localhost:{port}", server)
        tables = "".join(Path(f"/proc/net/{name}").read_text() for name in ("tcp", "tcp6"))
        sockets = [line.split() for line in tables.splitlines()]
        listening = {
            address for _, address, _, state, *_ in sockets if state == "0A" and address.endswith(f":{port:04X}")
        }
        assert listening
        assert listening <= {f"0100007F:{port:04X}", f"{'0' * 24}01000000:{port:04X}"}  # 127.0.0.1 and ::1
    finally:
        os.killpg(server.pid, signal.SIGKILL)  # streamlit is the command's child
        server.wait(timeout=20)
