"""Work on what comes from outside, in a process apart: it gets so much time and memory, and is ended beyond.

A parser in C hears nobody, and what it takes of memory it takes from the server; only a process can be ended. One that
is warm waits for work, since starting one takes seconds; whatever had to be ended is replaced.

What a process answers is JSON, never a pickle: a parser that was made to do the will of a file could else run anything
here. What it is sent was made here, so that may be pickled.
"""

import importlib
import json
import resource
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matgen_core.jobs.processes import ONE_THREAD, Companion, line_to_parent
from matgen_core.jobs.turns import Turns

Functions = Mapping[str, Callable[..., Any]]
_MAX_WAITING = 16  # calls in line
_MAX_ANSWER = 200 * 1024**2  # bytes
_MAX_CALLS = 500  # of one process; then another takes its place, since libraries keep some of what they saw


@dataclass(frozen=True)
class Limits:
    """What one call may take.

    Attributes:
        seconds: From the moment when its turn has come.
        megabytes: Of memory, beyond what the process has when it stands idle.
    """

    seconds: float = 7.0
    megabytes: int = 1_000


class BoundedError(ValueError):
    """A call took more time or memory than it may, or broke the process that it ran in."""


class LateError(BoundedError):
    """A call took more time than it may."""


class BrokenError(BoundedError):
    """A call broke the process that it ran in, or somebody killed that."""


class BusyError(ValueError):
    """A call was not tried, and may be in a minute."""


class Bounded:
    """Functions of a module, called in processes apart; every method may be called from any thread."""

    def __init__(self, module: str, n_at_once: int = 1, limits: Limits | None = None) -> None:
        """Start nothing yet.

        Args:
            module: Where a dict FUNCTIONS stands: what may be called, by name. What the functions are given can be
                pickled, what they return can be written as JSON.
            n_at_once: How many processes work at most.
            limits: Of each call.
        """
        self.limits = limits or Limits()
        self._module, self._n_at_once = module, n_at_once
        self._turns = Turns(n_at_once)
        self._lock = threading.Condition()
        self._idle: list[_Server] = []
        self._busy: set[_Server] = set()
        self._n_starting = self._n_waiting = 0
        self._is_closed = False

    def warm(self) -> None:
        """Start in the background, one after the other, what is not there."""
        threading.Thread(target=self._fill, name="bounded", daemon=True).start()

    def call(self, name: str, *arguments: Any) -> Any:
        """Call a function when its turn has come.

        Returns:
            What it returned, as JSON brings it back: tuples are lists.

        Raises:
            BoundedError: If it took too much and was ended.
            BusyError: If too many wait, or no process can be started.
            ValueError: If the function raised it, or OSError.
            RuntimeError: If it raised anything else, with its traceback: a fault of ours.
        """
        turn = self._turns.join()
        try:
            if turn.ahead > _MAX_WAITING:
                raise BusyError("too many others wait; try again in a minute")
            turn.wait()
            return self._answer(name, arguments)
        finally:
            turn.leave()

    def close(self) -> None:
        """End all processes; calls under way fail."""
        with self._lock:
            self._is_closed = True
            idle = list(self._idle)
            self._idle.clear()
            for server in self._busy:
                server.companion.kill()  # whoever waits for it lets go of the rest
        for server in idle:
            server.companion.close()

    def _answer(self, name: str, arguments: tuple[Any, ...]) -> Any:
        server = self._take()
        try:
            kind, value = server.ask(name, arguments, self.limits.seconds)
        except BaseException:
            self._give_back(server, is_whole=False)
            raise
        self._give_back(server, is_whole=kind != "memory")
        if kind == "result":
            return value
        if kind == "problem":
            raise ValueError(value)
        if kind == "memory":
            raise BoundedError(f"it takes more than {self.limits.megabytes:,} MB of memory, and was ended")
        raise RuntimeError(value)

    def _take(self) -> "_Server":
        with self._lock:
            self._n_waiting += 1
            try:
                # One that is being started is there sooner than another one would be.
                self._lock.wait_for(lambda: self._idle or self._n_starting < self._n_waiting)
            finally:
                self._n_waiting -= 1
            server = self._idle.pop() if self._idle else None
            if server is None:
                self._n_starting += 1
            else:
                self._busy.add(server)
        if server is not None and server.companion.is_alive:
            return server
        if server is not None:  # somebody else has ended it
            self._give_back(server, is_whole=False)
            return self._take()
        return self._start(self._busy.add)

    def _give_back(self, server: "_Server", is_whole: bool) -> None:
        with self._lock:
            self._busy.discard(server)
            if is_whole and server.n_calls < _MAX_CALLS and not self._is_closed:
                self._idle.append(server)
                self._lock.notify_all()
                return
        server.companion.close()
        self.warm()  # the next one shall not wait for the libraries

    def _fill(self) -> None:
        while True:
            with self._lock:
                if self._is_closed or len(self._idle) + len(self._busy) + self._n_starting >= self._n_at_once:
                    return
                self._n_starting += 1
            try:
                self._start(self._idle.append)
            except BusyError:
                return  # whoever needs it is told

    def _start(self, keep: Callable[["_Server"], None]) -> "_Server":
        """Start the process that has been counted as starting."""
        server = None
        try:
            server = self._started()
        finally:
            with self._lock:
                self._n_starting -= 1
                is_kept = server is not None and not self._is_closed
                if server is not None and is_kept:
                    keep(server)
                self._lock.notify_all()
        if not is_kept:
            server.companion.close()
            raise BusyError("no process is started any more")
        return server

    def _started(self) -> "_Server":
        try:
            return _Server(Companion(__name__, self._module, json.dumps(vars(self.limits)), **ONE_THREAD))
        except (OSError, EOFError) as error:
            raise BusyError(f"no process can be started ({type(error).__name__}); try again in a minute") from error


class _Server:
    """One process, and how it is asked."""

    def __init__(self, companion: Companion) -> None:
        self.companion = companion
        self.n_calls = 0
        companion.connection.recv_bytes(8)  # it has read its libraries

    def ask(self, name: str, arguments: tuple[Any, ...], seconds: float) -> tuple[str, Any]:
        """Ask for one answer; beyond so many seconds the process is ended."""
        self.n_calls += 1
        is_late = threading.Event()

        def end() -> None:
            is_late.set()
            self.companion.kill()

        timer = threading.Timer(seconds, end)
        timer.daemon = True
        timer.start()
        try:
            self.companion.connection.send((name, arguments))
            kind, value = json.loads(self.companion.connection.recv_bytes(_MAX_ANSWER))
        except (EOFError, OSError, ValueError, TypeError) as error:
            if is_late.is_set():
                raise LateError(f"it takes more than {seconds:g} seconds, and was ended") from error
            raise BrokenError("it broke the process that it was read in") from error
        finally:
            timer.cancel()
        return kind, value


def serve() -> None:
    """Answer calls for the process that started this one, until it ends; module and limits are its arguments."""
    connection = line_to_parent()
    module, limits = sys.argv[1], Limits(**json.loads(sys.argv[2]))
    functions: Functions = importlib.import_module(module).FUNCTIONS
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who started this
    _limit_memory(limits.megabytes)
    connection.send_bytes(b"ready")
    while True:
        try:
            name, arguments = connection.recv()
        except EOFError:  # the parent has let go
            return
        # The parent ends this process when its time is over; where there is no parent any more, the kernel does.
        signal.setitimer(signal.ITIMER_REAL, limits.seconds + 5)
        connection.send_bytes(_answer(functions, name, arguments))
        signal.setitimer(signal.ITIMER_REAL, 0)


def _answer(functions: Functions, name: str, arguments: tuple[Any, ...]) -> bytes:
    try:
        return json.dumps(("result", functions[name](*arguments))).encode()
    except (ValueError, OSError) as error:
        found = "problem", (str(error).splitlines() or [type(error).__name__])[0]
    except MemoryError:
        found = "memory", ""
    except Exception:
        found = "fault", traceback.format_exc()
    return json.dumps(found).encode()


def _limit_memory(megabytes: int) -> None:
    """Allow so much address space beyond what there is now; where the system does not tell, beyond 2 GB."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        now = pages * resource.getpagesize()
    except OSError:
        now = 2 * 1024**3
    most = now + megabytes * 1024**2
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


if __name__ == "__main__":
    serve()
