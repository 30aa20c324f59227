"""Where what numba compiles is kept, on machines where neither the project nor the user's own folder can be written."""

import os
import stat
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from platformdirs import user_cache_path

_Function = TypeVar("_Function", bound=Callable[..., Any])


def find_place() -> None:
    """Tell numba of a temporary folder of this user if it can write to no other; call it before numba is imported."""
    if "NUMBA_CACHE_DIR" in os.environ or _can_be_written(user_cache_path("numba", appauthor=False)):
        return
    folder = Path(tempfile.gettempdir()) / f"matgen-numba-{os.getuid() if hasattr(os, 'getuid') else 'mine'}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return
    # What is kept is run: a folder that somebody else can write to would let him run code here.
    is_ours = stat.S_ISDIR(found.st_mode) and (not hasattr(os, "getuid") or found.st_uid == os.getuid())
    if is_ours and not found.st_mode & 0o022:
        os.environ["NUMBA_CACHE_DIR"] = str(folder)


def compiled(function: _Function) -> _Function:
    """Compile a function when it is first called, and keep what comes of it where that is possible."""
    find_place()
    from numba import njit

    try:
        made: Any = njit(cache=True, nogil=True)(function)
    except RuntimeError:  # numba found no folder that can be written
        _tell(
            "what is compiled cannot be kept, which takes some seconds each time; set NUMBA_CACHE_DIR to a folder that"
            " can be written"
        )
        made = njit(nogil=True)(function)
    typed: _Function = made
    return typed


@cache
def _tell(line: str) -> None:
    """Say something on standard error, once a process."""
    sys.stderr.write(f"{line}\n")


def _can_be_written(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
