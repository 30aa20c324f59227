"""A process of our own beside this one: started, spoken to, ended, and never left behind.

`multiprocessing.Process` and the pools that are built on it (pebble, loky) run the main script again in the child, and
under Streamlit that is a page; so the child is a module of ours, run as a program.
"""

import fcntl
import os
import subprocess
import sys
import threading
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

_ROOT = Path(__file__).parents[2]
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def compute_on_one_thread() -> None:
    """Let an operation of torch or numpy take one thread in this process, unless the environment says otherwise.

    Threads that share an operation wait for one another, spinning: on a quiet machine that gains little, on a busy one
    it costs several times the work (docs/speed.md). Call it before torch is imported.
    """
    for name, value in ONE_THREAD.items():
        os.environ.setdefault(name, value)


class Companion:
    """A process that runs a module of this project, and the line to it.

    Attributes:
        connection: What `line_to_parent` returns is its other end.
    """

    def __init__(self, module: str, *arguments: str, **environment: str) -> None:
        """Start it.

        Args:
            module: What it runs; its first act is to call `line_to_parent`.
            arguments: Of its command line, behind one that is ours.
            environment: Variables beside those of this process.

        Raises:
            OSError: If it does not start.
        """
        self.connection, theirs = Pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, str(theirs.fileno()), *arguments],
                stdin=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                cwd=_ROOT,
                env={**os.environ, **environment},
            )
        except BaseException:
            self.connection.close()
            raise
        finally:
            theirs.close()

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End it at once; whoever waits for its answer gets EOFError."""
        self._process.kill()

    def close(self) -> None:
        """End it at once, and let go of all that belongs to it."""
        self._process.kill()
        with self._process:  # closes its pipe and waits for its end
            pass
        self.connection.close()


def line_to_parent() -> Connection:
    """Return, in the process that a `Companion` started, the line to it; the process then ends with its parent."""
    _end_with_parent()
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print is none of an answer
    return Connection(int(sys.argv.pop(1)))


def _end_with_parent() -> None:
    """End with whoever holds the other end of standard input, however that ends, and whatever goes on here.

    A thread that reads is not enough: a loop in C that keeps the interpreter's lock would not let it run. So the kernel
    is asked for a signal when the pipe closes, and that signal ends a process which has made nothing else of it.
    `PR_SET_PDEATHSIG` would not do: it goes with the thread that started the process, and threads come and go.
    """
    fcntl.fcntl(sys.stdin, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(sys.stdin, fcntl.F_SETFL, fcntl.fcntl(sys.stdin, fcntl.F_GETFL) | os.O_ASYNC)
    threading.Thread(target=_end_at_end_of_input, daemon=True).start()  # it may have closed already


def _end_at_end_of_input() -> None:
    while sys.stdin.read(1):
        pass
    os._exit(0)
