"""Temporary folders that go with their owner, even one that was killed: the next folder that is made takes them away.

A process that ends by itself removes its folders; one that is killed cannot. So each folder has a lock beside it that
its process holds as long as the folder lives, and that the operating system lets go when the process is gone, however
it went. Numbers of processes would not do: they are given again, and mean another process in another container.
"""

import secrets
import shutil
import tempfile
import weakref
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout


class TemporaryFolder:
    """An empty folder that is removed when nobody holds this object, or when `remove` is called.

    Attributes:
        path: Where it is.
    """

    def __init__(self, prefix: str) -> None:
        """Remove the folders of this prefix whose processes are gone, and make one.

        Raises:
            OSError: If none can be made.
        """
        remove_abandoned(prefix)
        self.path = Path(tempfile.gettempdir()) / f"{prefix}{secrets.token_hex(8)}"
        lock = _lock_of(self.path)
        lock.acquire()  # before the folder is there: one without an owner would be taken away
        self.path.mkdir(mode=0o700)
        self.remove = weakref.finalize(self, _remove, self.path, lock)


def _lock_of(folder: Path) -> FileLock:
    # The lock belongs to the folder: a run that began in one thread may be let go in another.
    return FileLock(folder.with_name(f"{folder.name}.lock"), timeout=0, thread_local=False)


def remove_abandoned(prefix: str) -> None:
    """Remove the temporary folders of a prefix whose processes are gone."""
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix}*/"):
        lock = _lock_of(folder)
        if not Path(lock.lock_file).exists():  # not made here
            continue
        try:
            lock.acquire()
        except (Timeout, OSError):  # its owner lives, or is another user
            continue
        _remove(folder, lock)


def _remove(folder: Path, lock: FileLock) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    lock.release()
    with suppress(OSError):  # somebody else who cleans up is at it
        Path(lock.lock_file).unlink()
