"""What numba compiles is kept where it can be; where nothing can be written, it is compiled anew and that is told."""

import os
import tempfile
from pathlib import Path

import pytest

from matgen_core.jobs.compiled import compiled, find_place

NOTE = "what is compiled cannot be kept, which takes some seconds each time; set NUMBA_CACHE_DIR"


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary files of somebody who has no other that can be written."""
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, "/proc/nowhere")
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")  # so that what the test sets is taken back
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_temporary_folder_is_taken_where_home_cannot_be_written(temporary: Path) -> None:
    find_place()
    folder = Path(os.environ["NUMBA_CACHE_DIR"])
    assert folder.parent == temporary
    assert folder.stat().st_mode & 0o777 == 0o700
    find_place()  # the next process
    assert Path(os.environ["NUMBA_CACHE_DIR"]) == folder


def test_a_folder_of_temporary_files_that_others_can_write_to_is_not_taken(temporary: Path) -> None:
    folder = temporary / f"matgen-numba-{os.getuid()}"
    folder.mkdir()
    folder.chmod(0o777)
    find_place()
    assert "NUMBA_CACHE_DIR" not in os.environ
    folder.rmdir()
    folder.symlink_to("/var")
    find_place()
    assert "NUMBA_CACHE_DIR" not in os.environ


def test_what_is_set_and_a_home_that_can_be_written_stay(
    temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    find_place()
    assert "NUMBA_CACHE_DIR" not in os.environ
    monkeypatch.setenv("HOME", "/proc/nowhere")
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/somewhere")
    find_place()
    assert os.environ["NUMBA_CACHE_DIR"] == "/somewhere"


def test_where_nothing_can_be_kept_it_is_compiled_anew_and_told_once(
    temporary: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made: dict = {}
    for name in ("twice", "thrice"):  # numba keeps nothing of a function that stands in no file
        exec(compile(f"def {name}(x): return x * {2 + (name == 'thrice')}", "/proc/nowhere/code.py", "exec"), made)
    assert compiled(made["twice"])(4) == 8
    assert compiled(made["thrice"])(4) == 12
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(NOTE)
