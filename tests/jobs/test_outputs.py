"""The one way out: whole or not there, one writer at a time, and what cannot be written is one line with its reason."""

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest
import torch

from matgen_core.jobs.files.outputs import claimed, whole_file, whole_folder, write_text
from matgen_core.jobs.files.tables import growing, part_of, save_csv, save_parquet
from matgen_core.networks.arrays import tensors
from tests.support.serving import ROOT

TABLE = pd.DataFrame({"number": range(20_000)})
WRITERS: dict[str, Callable[[Path], object]] = {
    "a.txt": lambda path: write_text(path, "new" * 20_000),
    "a.csv": lambda path: save_csv(TABLE, path),
    "a.parquet": lambda path: save_parquet(TABLE, path),
    "a.safetensors": lambda path: tensors.write({"a": torch.arange(20_000)}, path),
}


def entries(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_leaves_the_old_file_and_names_it(name: str, tmp_path: Path) -> None:
    place = tmp_path / name
    place.write_text("old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, before[0][1]))
    try:
        with pytest.raises(OSError, match="File too large") as error:
            WRITERS[name](place)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before[0])
        signal.signal(signal.SIGXFSZ, before[1])
    assert (error.value.errno, error.value.filename) == (errno.EFBIG, str(place))
    assert place.read_text() == "old"
    assert entries(tmp_path) == [name]
    WRITERS[name](place)
    assert place.stat().st_size > 5_000
    assert entries(tmp_path) == [name]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, MemoryError])
def test_whatever_ends_the_work_leaves_what_stood_there(failure: type[BaseException], tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "old").write_text("old")
    (tmp_path / "file").write_text("old")
    before = entries(tmp_path)

    def half(path: Path, way) -> None:
        with way(path) as beside:
            (beside if way is whole_file else beside / "new").write_text("half")
            raise failure("stop")

    for name, way in (("file", whole_file), ("folder", whole_folder), ("new/file", whole_file), ("n/f", whole_folder)):
        with pytest.raises(failure):
            half(tmp_path / name, way)
    assert entries(tmp_path) == before
    assert (tmp_path / "file").read_text() == "old"


def test_permissions_and_links_stay(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    (tmp_path / "file").chmod(0o640)
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "to_come").symlink_to("later")
    write_text(tmp_path / "link", "new")
    write_text(tmp_path / "to_come", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "to_come").is_symlink()
    assert (tmp_path / "later").read_text() == "new"
    assert (tmp_path / "file").read_text() == "new"
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640
    (tmp_path / "folder").mkdir(mode=0o750)
    (tmp_path / "folder" / "old").touch()
    with whole_folder(tmp_path / "folder") as made:
        (made / "new").touch()
    assert entries(tmp_path / "folder") == ["new"]
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("folder", "it is a folder, and a file is to be written"),
        ("loop", "Too many levels of symbolic links"),
        ("file/below", "Not a directory"),
        ("", "it is a folder"),
        ("/sys/x.csv", "Permission denied|Read-only file system"),
        ("/proc/x/y.csv", "No such file or directory"),
        ("/dev/full", "No space left on device"),
        ("x" * 300, "File name too long"),
    ],
)
def test_what_cannot_be_written_is_named_with_the_reason(name: str, line: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").write_text("old")
    before = entries(tmp_path)
    path = tmp_path / name
    for write in (lambda: save_csv(TABLE, path), lambda: write_text(path, "x")):
        with pytest.raises(OSError, match=line) as error:
            write()
        assert error.value.filename == str(path)
    if name != "/dev/full":
        with pytest.raises(OSError, match=line), claimed(path, is_folder=False):
            pass
    with pytest.raises(OSError, match="it is a file, and a folder"), whole_folder(tmp_path / "file"):
        pass
    assert entries(tmp_path) == before


def test_a_second_writer_is_told_at_once_and_the_first_goes_on(tmp_path: Path) -> None:
    place = tmp_path / "a.csv"
    said: list[str] = []

    def second() -> None:
        for work in (lambda: write_text(place, "second"), lambda: next(iter(open_growing()))):
            try:
                work()
            except OSError as error:
                said.append(f"{error.filename}: {error.strerror}")

    def open_growing():
        with growing(place) as table:
            yield table

    with claimed(place), whole_file(place) as beside:  # a command holds the place from its beginning
        beside.write_text("first")
        other = threading.Thread(target=second)
        other.start()
        other.join()
        script = f"from matgen_core.jobs.files.outputs import *\nwrite_text({place!r}, '')".replace("PosixPath", "Path")
        done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
        said.append(done.stderr.strip().splitlines()[-1])
    assert len(said) == 3
    assert all("it is being written by another command" in line and str(place) in line for line in said)
    assert place.read_text() == "first"
    assert entries(tmp_path) == ["a.csv"]


def test_a_folder_that_has_to_stay_gets_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / ".writing-here").mkdir()  # of one that was killed
    (folder / ".writing-here" / "half.cif").touch()
    monkeypatch.chdir(folder)
    number = folder.stat().st_ino
    with whole_folder(Path()) as made:
        (made / "a.cif").write_text("new")
        (made / "table.csv").write_text("new")
    assert folder.stat().st_ino == number
    assert entries(folder) == ["a.cif", "table.csv"]


def test_a_pipe_is_written_as_it_is(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_text()))
    reader.start()
    write_text(tmp_path / "pipe", "text")
    reader.join()
    assert read == ["text"]
    assert entries(tmp_path) == ["pipe"]


# Tables that grow


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_a_table_that_grows_is_a_part_until_it_is_whole(name: str, tmp_path: Path) -> None:
    out, part = tmp_path / name, part_of(tmp_path / name)
    read = {"out.csv": pd.read_csv, "out.parquet": pd.read_parquet}[name]
    assert part.name == name.replace("out.", "out.part.")

    def work(failure: BaseException | None) -> None:
        with growing(out) as table:
            for start in (0, 10, 20):
                table.write(TABLE[start : start + 10])
                assert not out.exists() or read(out)["number"].tolist() == [7]
            if failure:
                raise failure

    if name == "out.csv":
        out.write_text("number\n7\n")
    for failure in (KeyboardInterrupt(), ValueError("bad"), MemoryError()):
        with pytest.raises(type(failure)) as stopped:
            work(failure)
        assert stopped.value.__notes__ == [f"{part} holds 30 rows, all whole"]
        assert read(part)["number"].tolist() == list(range(30))
        assert not out.exists() or read(out)["number"].tolist() == [7]
    work(None)
    assert read(out)["number"].tolist() == list(range(30))
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_nothing_is_left_of_a_table_without_rows(name: str, tmp_path: Path) -> None:
    with suppress(ValueError), growing(tmp_path / name):
        raise ValueError
    assert entries(tmp_path) == []


# A kill at any moment


def test_a_kill_at_any_moment_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.killed_writers", str(tmp_path), "56"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert sum(was_killed for _, _, was_killed, *_ in found) >= 50
    for name, moment, was_killed, state, _ in found:
        assert state in (("old", "new") if was_killed else ("new",)), (name, moment)
    assert {state for _, _, _, state, _ in found} == {"old", "new"}
    assert sum(bool(left) for *_, left in found) > 15  # or few kills came in the middle
