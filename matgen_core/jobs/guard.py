"""A process that is asked to end is gone within seconds, whatever it does.

A server waits for its threads when it is asked to end, and a thread in a loop of C, which keeps the interpreter's lock,
hears nothing at all, nor does any handler of signals written in Python. So a small process stands beside the server.
The interpreter writes every signal that it hears of into a pipe at once, from C; at its other end that process reads,
gives the server a few seconds to end by itself, and then ends it. Last it takes away the temporary folders of a server
that could not.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from matgen_core.jobs.files.folders import remove_abandoned

SECONDS = 3.0
_ROOT = Path(__file__).parents[2]
_ENDING = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}
_beside: dict[int, subprocess.Popen[bytes]] = {}  # the pipe and the process that reads it: one, or none


def end_within_seconds() -> None:
    """Let this process be ended `SECONDS` after it was asked to end; may be called from any thread, and again.

    Nothing happens where SIGTERM is not handled in Python: there the system ends the process at once. Process 1 of a
    container cannot be ended from within; start the container with an init process, as `docker run --init` does.
    """
    if threading.current_thread() is threading.main_thread():
        _begin()
    else:  # signals are the main thread's alone, and the one that serves is: the interpreter calls this there
        ctypes.pythonapi.Py_AddPendingCall(_in_the_main_thread, None)


def let_go() -> None:
    """Take `end_within_seconds` back; in the main thread."""
    for pipe, process in _beside.items():
        signal.set_wakeup_fd(-1)
        os.close(pipe)
        process.kill()  # this one tidies up itself
        process.wait()
    _beside.clear()


def _begin(_: object = None) -> int:
    if _beside or not callable(signal.getsignal(signal.SIGTERM)):
        return 0
    read, write = os.pipe()
    os.set_blocking(write, False)  # a signal must never wait
    before = signal.set_wakeup_fd(write)
    if before != -1:  # somebody else listens there
        signal.set_wakeup_fd(before)
        os.close(write)
    else:
        _beside[write] = subprocess.Popen([sys.executable, "-m", __name__, str(os.getpid())], stdin=read, cwd=_ROOT)
    os.close(read)
    return 0


_in_the_main_thread = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(_begin)


def watch(server: int) -> None:
    """Read the signals of a server on standard input until it is gone; end it `SECONDS` after one that asks for it."""
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)  # they are for the server, and Ctrl-C comes to both
    while received := os.read(0, 1):
        if received[0] in _ENDING:
            _end_soon(server)
    for seconds in (0.2, 2):  # the locks of its folders are let go a moment after its pipe
        time.sleep(seconds)
        remove_abandoned("matgen-")


def _end_soon(server: int) -> None:
    end = time.monotonic() + SECONDS
    while (left := end - time.monotonic()) > 0:
        if select.select([0], [], [], left)[0] and not os.read(0, 64):  # nothing more comes: it is gone
            return
    os.kill(server, signal.SIGKILL)  # it holds the pipe, so it is there


if __name__ == "__main__":
    watch(int(sys.argv[1]))
