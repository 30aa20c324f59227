"""The one way out: a file or a folder is written beside its place, under a lock, and takes the place when it is whole.

Until then the old one stands there, and whatever ends the work at whatever moment (a full disk, an interrupt, a kill)
leaves it so. Two commands that write to one place do not wait for each other: the second is told at once.

Names that begin with `.writing-` are what is being written, or what a killed process left; the next writer to the same
place takes it away.
"""

import ctypes
import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

UNFINISHED = ".writing-"  # begins the names of what is being written
BUSY = "it is being written by another command"
_EXCHANGE, _HERE = 2, -100  # RENAME_EXCHANGE and AT_FDCWD of Linux


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a path to write to; the file takes the place of `path` if the block ends well, else it is gone.

    The permissions of an old file stay, a link to a file stays a link. A pipe or a device is written as it is.

    Args:
        path: The file; folders above it are made, and removed again if nothing comes of it.

    Yields:
        Where to write, in the same folder.

    Raises:
        OSError: If it cannot be written, or another command is writing it; the file is named, and the reason.
    """
    place = _place(path, is_folder=False)
    if place is None:
        with _named(path):
            yield path
        return
    with _held(path, place):
        try:
            with _named(path, place.beside):
                yield place.beside
                _take_the_place(place)
        finally:
            _remove(place.beside)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder to write to; it takes the place of `path` if the block ends well, else it is gone.

    A folder that cannot be replaced, since it is the working directory, a mount or stands where nothing may be made,
    gets the files one after the other, and tables last.

    Args:
        path: The folder; what stands in it is replaced.

    Yields:
        Where to write.

    Raises:
        OSError: If it cannot be written, or another command is writing it; the folder is named, and the reason.
    """
    place = _place(path, is_folder=True)
    assert place is not None
    with _held(path, place):
        try:
            with _named(path, place.beside):
                place.beside.mkdir()
                yield place.beside
                if place.is_fixed:
                    _move_into(place.beside, place.target)
                else:
                    _take_the_place(place)
        finally:
            _remove(place.beside)


@contextmanager
def claimed(path: Path | None, is_folder: bool | None = None) -> Iterator[None]:
    """Keep others from writing to a place from the first moment of long work to its last.

    Args:
        path: A file or a folder that will be written in the block, by this thread; None if nothing will.
        is_folder: Which of the two; None if that is not known yet.

    Raises:
        OSError: If it cannot be written, or another command is writing it.
    """
    if path is None:
        yield
        return
    is_folder = is_folder if is_folder is not None else path.is_dir()
    place = _place(path, is_folder)
    with _held(path, place) if place else nullcontext():
        yield


def write_text(path: Path, text: str) -> None:
    """Write a file of text in UTF-8; see `whole_file`."""
    with whole_file(path) as beside:
        beside.write_text(text, encoding="utf-8")


@dataclass(frozen=True)
class _Place:
    """Where something is to stand, and what is needed to put it there."""

    target: Path
    beside: Path
    lock: Path
    is_fixed: bool = False  # a folder that has to stay the one that it is


def _place(path: Path, is_folder: bool) -> _Place | None:
    """Look at a place; None for a pipe or a device.

    Raises:
        OSError: If nothing of this kind can be written there.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        mode = None
    target = Path(os.path.realpath(path))  # of a link, what it points to
    if mode is not None and stat.S_ISDIR(mode) != is_folder:
        if is_folder:
            raise NotADirectoryError(errno.ENOTDIR, "it is a file, and a folder is to be written", str(path))
        raise IsADirectoryError(errno.EISDIR, "it is a folder, and a file is to be written", str(path))
    if mode is not None and not is_folder and not stat.S_ISREG(mode):
        return None
    if mode is not None and not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    is_fixed = mode is not None and is_folder and _is_fixed(target)
    name = f"{UNFINISHED}{target.name}"
    beside = target / name if is_fixed else target.with_name(name)
    return _Place(target, beside, beside.with_name(f"{name}.lock"), is_fixed)


def _is_fixed(folder: Path) -> bool:
    return os.path.ismount(folder) or folder == Path(os.path.realpath(".")) or not os.access(folder.parent, os.W_OK)


@contextmanager
def _held(path: Path, place: _Place) -> Iterator[None]:
    """Hold the lock of a place; the thread that holds it may take it again."""
    made = _make_folders(path, place.lock.parent)
    # Within a thread one lock, so that a command holds it from its beginning; two threads are two writers.
    lock = FileLock(place.lock, timeout=0, is_singleton=True)
    try:
        with _named(path, place.lock):
            lock.acquire()
    except Timeout:
        raise OSError(errno.EBUSY, BUSY, str(path)) from None
    except NotImplementedError:  # a file system that knows no locks keeps nobody out
        yield
        return
    is_first = lock.lock_counter == 1
    try:
        if is_first:  # what one that was killed left
            _remove(place.beside)
            if (aside := _aside(place.beside)).exists():
                _remove(aside) if place.target.exists() else aside.rename(place.target)
        yield
    except BaseException:
        _let_go(lock, is_first)
        for folder in made:
            with suppress(OSError):
                folder.rmdir()
        raise
    else:
        _let_go(lock, is_first)


def _let_go(lock: FileLock, is_first: bool) -> None:
    if is_first:
        with suppress(OSError):
            Path(lock.lock_file).unlink()  # while it is held: whoever has just opened it sees that it is gone
    lock.release()


def _make_folders(path: Path, folder: Path) -> list[Path]:
    """Make a folder and those above it; return those that were not there, the lowest first."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    with _named(path, folder):
        folder.mkdir(parents=True, exist_ok=True)
    return missing


def _take_the_place(place: _Place) -> None:
    """Put what was written where it belongs, at one stroke, with the permissions of what stood there."""
    for each in (place.beside, *(place.beside.rglob("*") if place.beside.is_dir() else ())):
        _to_the_disk(
            each
        )  # before the name: after a power cut, a name without its content would be neither old nor new
    with suppress(FileNotFoundError):
        old = place.target.stat()
        place.beside.chmod(stat.S_IMODE(old.st_mode))
        with suppress(PermissionError):
            os.chown(place.beside, old.st_uid, old.st_gid)
    try:
        place.beside.replace(place.target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        _exchange(place.beside, place.target)
    _to_the_disk(place.target.parent)


def _exchange(new: Path, old: Path) -> None:
    """Let two folders change places, at one stroke where the system can; what is old is then where the new one was."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None or rename(_HERE, bytes(new), _HERE, bytes(old), _EXCHANGE) != 0:
        aside = _aside(new)
        old.rename(aside)
        new.rename(old)
        _remove(aside)


def _aside(beside: Path) -> Path:
    return beside.with_name(f"{beside.name}.old")


def _move_into(new: Path, folder: Path) -> None:
    """Move what was written into a folder that stays; a table that lists the others comes last."""
    for each in folder.iterdir():
        if not each.name.startswith(UNFINISHED):
            _remove(each)
    for each in sorted(new.iterdir(), key=lambda each: (each.suffix in (".csv", ".json"), each.name)):
        _to_the_disk(each)
        each.replace(folder / each.name)


def _to_the_disk(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EBADF, errno.EROFS):  # folders of some file systems
            raise
    finally:
        os.close(number)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)


@contextmanager
def _named(path: Path, *helpers: Path) -> Iterator[None]:
    """Let an error of writing name the place that was asked for, and not a helper of it, or nothing."""
    try:
        yield
    except OSError as error:
        if isinstance(error, Timeout):
            raise
        ours = error.filename is None or any(str(error.filename).startswith(str(helper)) for helper in helpers)
        if not ours:
            raise
        number = error.errno
        raise OSError(number, os.strerror(number) if number else str(error), str(path)) from error
