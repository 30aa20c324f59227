"""What a process apart is asked to do in tests: answer, take too long, take too much, break."""

import itertools
import os
import signal
from pathlib import Path
from typing import Any


def _endless(begun: str = "") -> None:
    if begun:
        Path(begun).write_text(str(os.getpid()))
    sum(itertools.repeat(0))  # in C, with the interpreter's lock: nothing in this process is heard any more


def _half_an_answer() -> None:
    os.write(_connection(), b"\x00\x00\x00\x40 and then nothing")
    _endless()


def _connection() -> int:
    """The descriptor of the line to the parent: the only socket that this process holds."""
    sockets = [int(name) for name in os.listdir("/proc/self/fd") if "socket" in _target(name)]
    return sockets[0]


def _target(name: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{name}")
    except OSError:
        return ""


def _refuse(text: str) -> None:
    raise ValueError(text)


def _fault() -> None:
    raise KeyError("a fault of ours")


def _numbers(n: int) -> list[float]:
    return [k / 7 for k in range(n)]


FUNCTIONS: dict[str, Any] = {
    "echo": lambda value: value,
    "pid": os.getpid,
    "numbers": _numbers,
    "endless": _endless,
    "half": _half_an_answer,
    "memory": lambda: len(bytearray(2 * 1024**3)),
    "break": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "chatter": lambda: print("a library says something", flush=True),
    "refuse": _refuse,
    "fault": _fault,
    "no_json": lambda: {1, 2},
}
