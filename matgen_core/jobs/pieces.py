"""The pieces of long work, one after the other, on processes of this machine or on a cluster, into a store.

The same loop for both: whatever gives futures will do. A piece that fails, takes too long or ends the process that it
is in costs its own row, and nothing else. One whose process ended is tried once more, since somebody may have killed
that; one that took too long is tried again when it is allowed more time.
"""

import importlib
import logging
import math
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, Protocol

from matgen_core.jobs.bounded import Bounded, BrokenError, LateError, Limits
from matgen_core.jobs.store import Piece, Store

Answer = tuple[dict[str, Any], dict[str, Any]]  # what a table shows, and what is asked for one by one
_LOG = logging.getLogger(__name__)
_PATIENCE = 0.5  # seconds between two looks at whether somebody wants the work to end


class Workers(Protocol):
    """Whoever computes pieces."""

    n: int
    seconds: float  # that a piece may take

    def submit(self, content: str, settings: Mapping[str, Any]) -> "Future[Any]":
        """Begin a piece, or let it wait; the future holds an `Answer`."""
        ...

    def close(self) -> None:
        """Let go of them; pieces under way are given up."""
        ...


class ProcessWorkers:
    """Processes of this machine, each with bounds of time and memory."""

    def __init__(self, module: str, n: int, limits: Limits) -> None:
        """Start nothing yet.

        Args:
            module: Where FUNCTIONS["piece"] stands: content and settings to an `Answer`.
            n: Processes.
            limits: Of each piece.
        """
        self.n, self.seconds = n, limits.seconds
        self._bounded = Bounded(module, n, limits)
        self._threads = ThreadPoolExecutor(n, "pieces")

    def submit(self, content: str, settings: Mapping[str, Any]) -> "Future[Any]":
        """Begin a piece, or let it wait."""
        return self._threads.submit(self._bounded.call, "piece", content, dict(settings))

    def close(self) -> None:
        """End the processes."""
        self._bounded.close()
        self._threads.shutdown(wait=False, cancel_futures=True)


class ClusterWorkers:
    """A Dask cluster by the address of its scheduler; its workers have this package installed."""

    def __init__(self, module: str, address: str) -> None:
        """Connect.

        Args:
            module: As for `ProcessWorkers`.
            address: As `tcp://host:8786`.

        Raises:
            ValueError: If Dask is not installed, or nobody answers there; one line.
        """
        try:
            from distributed import Client
        except ImportError as error:
            raise ValueError(
                "a cluster needs Dask, which is not installed: pip install 'matgen-explorer[cluster]'"
            ) from error
        try:
            self._client = Client(address, timeout=10, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            raise ValueError(f"no Dask scheduler answers at {address[:80]!r}; write it as tcp://host:8786") from error
        self._module = module
        self.n, self.seconds = max(1, len(self._client.ncores())), math.inf

    def submit(self, content: str, settings: Mapping[str, Any]) -> "Future[Any]":
        """Begin a piece, or let it wait; one whose worker is gone is tried on another one."""
        done: Future[Any] = Future()
        there = self._client.submit(compute, self._module, content, dict(settings), pure=False, retries=2)

        def hand_over(finished: Any) -> None:
            if finished.status == "finished":
                done.set_result(finished.result())
            elif finished.status == "error":
                problem = finished.exception()
                done.set_exception(problem)
            else:
                done.set_exception(ValueError("given up by the cluster"))

        there.add_done_callback(hand_over)
        return done

    def close(self) -> None:
        """Let the cluster go; it stays as it was."""
        self._client.close(timeout=5)


def compute(module: str, content: str, settings: Mapping[str, Any]) -> Any:
    """Compute one piece in this process."""
    return importlib.import_module(module).FUNCTIONS["piece"](content, dict(settings))


def work_through(
    store: Store,
    work: str,
    workers: Workers,
    failed: Callable[[Piece, str], dict[str, Any]],
    done: Callable[[int, int], None] = lambda done, n: None,
    is_stopped: Callable[[], bool] = lambda: False,
    again: bool = False,
) -> bool:
    """Compute what is missing of a work and keep each piece as it is done.

    Args:
        store: Where the work stands.
        work: Its id.
        workers: Who computes.
        failed: Makes the row of a piece that could not be computed, from the piece and the reason.
        done: Told how many pieces are done, and of how many.
        is_stopped: Asked now and then; the store is asked, too.
        again: Whether all that took too long is tried again, and not only what is allowed more time than then.

    Returns:
        Whether all is done.

    Raises:
        OSError: If the store cannot be written; what was kept stays.
        ValueError: If somebody else works on it.
    """
    with store.working_on(work) as is_ours:
        if not is_ours:
            raise ValueError("somebody else works on this already")
        left = store.missing(work, math.inf if again else workers.seconds)
        asked = store.work(work)
        n_done = asked.n - sum(piece.copies for piece in left)
        broken: set[str] = set()
        waiting: dict[Future[Any], Piece] = {}
        done(n_done, asked.n)
        try:
            while left or waiting:
                if is_stopped() or store.is_stopped(work):
                    return False
                while left and len(waiting) < 2 * workers.n:  # few, so that a stop is heard soon
                    piece = left.pop(0)
                    waiting[workers.submit(piece.content, asked.settings)] = piece
                ready, _ = wait(waiting, _PATIENCE, FIRST_COMPLETED)
                for future in ready:
                    piece = waiting.pop(future)
                    late = None
                    try:
                        row, rest = future.result()
                    except BrokenError as problem:
                        if piece.key not in broken:
                            broken.add(piece.key)
                            left.insert(0, piece)
                            continue
                        row, rest = failed(piece, _line(problem)), {}
                    except LateError as problem:
                        row, rest, late = failed(piece, _line(problem)), {}, workers.seconds
                    except ValueError as problem:
                        row, rest = failed(piece, _line(problem)), {}
                    except Exception as fault:  # of ours; the others shall not wait until it is mended
                        _LOG.exception("a piece of work failed: %s", piece.name)
                        row, rest = failed(piece, f"a fault of this program: {_last_line(fault)}"), {}
                    store.keep(piece.key, row, rest, late)
                    n_done += piece.copies
                    done(n_done, asked.n)
        finally:
            for future in waiting:
                future.cancel()
    return True


def _last_line(fault: BaseException) -> str:
    return (str(fault).strip().splitlines() or [type(fault).__name__])[-1][:300]


def _line(error: object) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
