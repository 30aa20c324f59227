"""Temporary folders go with their owner, however that ends, and no other folder is touched."""

import gc
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from matgen_core.jobs.files.folders import TemporaryFolder

OWNER = """
import sys
from matgen_core.jobs.files.folders import TemporaryFolder
folder = TemporaryFolder("matgen-test-")
(folder.path / "part").write_text("much")
print(folder.path, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made, here and in the processes that tests start."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


@contextmanager
def owner() -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Another process with a folder."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", OWNER], stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, Path(process.stdout.readline().strip())
        finally:
            process.kill()


def test_a_folder_goes_when_nobody_holds_it(parent: Path) -> None:
    folder = TemporaryFolder("matgen-test-")
    path = folder.path
    (path / "part").write_text("much")
    assert path.stat().st_mode & 0o777 == 0o700
    del folder
    gc.collect()
    assert list(parent.iterdir()) == []


def test_a_process_that_ends_takes_its_folder_along(parent: Path) -> None:
    with owner() as (process, path):
        assert (path / "part").exists()
        process.communicate()
    assert list(parent.iterdir()) == []


def test_the_folder_of_a_process_that_was_killed_goes_when_the_next_one_is_made(parent: Path) -> None:
    with owner() as (dead, left), owner() as (_, living):
        mine = TemporaryFolder("matgen-test-")
        assert left.exists()
        assert living.exists()
        dead.kill()
        dead.wait()
        assert left.exists()
        other = TemporaryFolder("matgen-test-")
        assert not left.exists()
        assert all(path.exists() for path in (living / "part", mine.path, other.path))
        owners = {path.name.removesuffix(".lock") for path in parent.iterdir()}
        assert owners == {path.name for path in (living, mine.path, other.path)}


def test_what_others_have_left_there_stays(parent: Path) -> None:
    (parent / "matgen-test-notes").mkdir()  # without a lock: not made here
    (parent / "matgen-test-list").write_text("of somebody")
    (parent / "matgen-other-1").mkdir()
    (parent / "matgen-other-1.lock").write_text("")
    elsewhere = parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").write_text("of somebody")
    (parent / "matgen-test-link").symlink_to(elsewhere)
    (parent / "matgen-test-link.lock").write_text("")
    TemporaryFolder("matgen-test-").remove()
    assert (parent / "matgen-test-notes").is_dir()
    assert (parent / "matgen-test-list").exists()
    assert (parent / "matgen-other-1").is_dir()
    assert (elsewhere / "kept").exists()
