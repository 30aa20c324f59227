"""Works that are judged beside a page: one at a time, others in line; each belongs to whoever asked for it."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from matgen_core.jobs.job import Handle, Job
from matgen_core.jobs.pieces import Workers, work_through
from matgen_core.jobs.store import Store, Work
from matgen_core.jobs.turns import Turns
from matgen_core.networks.potentials import POTENTIALS
from matgen_core.tasks.validation import judging, runs
from matgen_core.tasks.validation.inputs import Candidate
from matgen_core.tasks.validation.judging import KIND
from matgen_core.tasks.validation.scores import Protocol

MAX_CRYSTALS = 200  # of one work on a page; the command line takes any number
AT_ONCE = 1  # works; each uses every core
State = Literal["waiting", "running", "interrupted", "stopped", "failed", "done"]


@dataclass(frozen=True)
class Standing:
    """How a work stands at one moment.

    Attributes:
        work: As it is kept.
        state: "waiting" in line and "running" here, "interrupted" where whoever worked on it is gone, "stopped",
            "failed" if it could not go on, "done".
        ahead: How many works have to end before it begins.
        seconds: How long it has been running here.
        n_here: Pieces that were done in this time.
        problem: Why it failed, in one line.
    """

    work: Work
    state: State
    ahead: int = 0
    seconds: float = 0.0
    n_here: int = 0
    problem: str = ""

    @property
    def is_under_way(self) -> bool:
        """Whether something happens by itself."""
        return self.state in ("waiting", "running")

    @property
    def seconds_left(self) -> float | None:
        """How long it will still take at the rate measured so far; None before there is one."""
        return self.seconds / self.n_here * (self.work.n - self.work.n_done) if self.n_here else None


class _Run:
    """A work that this server has begun: its job, and what was done before it."""

    def __init__(self, turns: Turns) -> None:
        self.job: Job[None] = Job(turns)
        self.n_before: int | None = None


class Validations:
    """The line of works of one server; every method may be called from any thread."""

    def __init__(self, store: Store | None = None, workers: Callable[[], Workers] | None = None) -> None:
        """Open the line.

        Args:
            store: Where works are kept; the user's own store if it is not given.
            workers: Makes those who compute a work; processes of this machine, one a core, if it is not given.

        Raises:
            OSError: If the store cannot be used.
        """
        self._store = store or Store()
        self._workers = workers or (lambda: runs.workers_of())
        self._turns, self._lock = Turns(AT_ONCE), threading.Lock()
        self._runs: dict[str, _Run] = {}
        for each in self._store.works():
            if each.kind == KIND and each.progress == "waiting":  # the line that it stood in went with its server
                self._store.stop(each.id)

    def begin(
        self,
        candidates: Sequence[Candidate],
        protocol: Protocol,
        title: str,
        owner: str,
        source: Mapping[str, Any] | None = None,
    ) -> str:
        """Keep a work and put it in line; the same asked for again by the same person is the same work.

        Returns:
            Its id.

        Raises:
            FullError: If too much is under way.
            ValueError: If there is nothing to judge, or too much.
            OSError: If it cannot be kept.
        """
        if len(candidates) > MAX_CRYSTALS:
            raise ValueError(
                f"{len(candidates):,} crystals; a page takes {MAX_CRYSTALS} at a time, `matgen validate` any number"
            )
        work = runs.begin(self._store, candidates, protocol, title, owner, source)
        if work.progress != "done":
            self._start(work.id)
        return work.id

    def go_on(self, work: str, owner: str) -> None:
        """Put a work that was broken off or stopped in line again; what is done stays done."""
        if self.look(work, owner).state in ("interrupted", "stopped", "failed"):
            self._start(work)

    def stop(self, work: str, owner: str) -> None:
        """End a work, or let it leave the line; what is done stays."""
        if self.look(work, owner).is_under_way:
            self._store.stop(work)
            if (run := self._runs.get(work)) is not None:
                run.job.stop()

    def remove(self, work: str, owner: str) -> None:
        """Forget a work and what came of it."""
        self.stop(work, owner)
        if (run := self._runs.pop(work, None)) is not None:
            run.job.wait(10)  # it lets go of the lock
        self._store.remove(work)

    def works(self, owner: str) -> list[Standing]:
        """Return how the works of a person stand, the newest first."""
        return [self._standing(each) for each in self._store.works(owner) if each.kind == KIND]

    def look(self, work: str, owner: str) -> Standing:
        """Return how a work stands.

        Raises:
            LookupError: If there is none of this person.
        """
        return self._standing(self._of(work, owner))

    def asked(self, work: str, owner: str) -> tuple[list[Candidate], dict[str, Any]]:
        """Return all that was asked for, and what made it; errors as in `look`."""
        self._of(work, owner)
        return runs.candidates_of(self._store, work), self._store.about(work)["source"]

    def rows(self, work: str, owner: str, candidates: Sequence[Candidate]) -> list[dict[str, Any]]:
        """Return the rows so far, one a candidate; errors as in `look`."""
        self._of(work, owner)
        return runs.rows_of(self._store, work, candidates)

    def gathered(
        self, work: str, owner: str, candidates: Sequence[Candidate]
    ) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Return all rows and what is kept beside them; errors as in `look`."""
        self._of(work, owner)
        return runs.gathered(self._store, work, candidates)

    def _of(self, work: str, owner: str) -> Work:
        found = self._store.work(work)
        if found.owner != owner or found.kind != KIND:
            raise KeyError(work)
        return found

    def _standing(self, work: Work) -> Standing:
        run = self._runs.get(work.id)
        if work.progress == "done" or run is None:
            # one in line that nobody here has begun stands in the line of another server
            state: State = work.progress
            return Standing(work, state)
        status = run.job.status()
        here = max(0, work.n_done - run.n_before) if run.n_before is not None else 0
        if status.state == "failed":
            return Standing(work, "failed", problem=status.problem)
        if status.state in ("waiting", "running"):
            return Standing(work, status.state, status.ahead, status.seconds, here)
        return Standing(work, "stopped")

    def _start(self, work: str) -> None:
        with self._lock:
            run = self._runs.get(work)
            if run is None or run.job.state in ("failed", "done"):
                run = self._runs[work] = _Run(self._turns)
        run.job.start(lambda handle: self._work(work, run, handle))

    def _work(self, work: str, run: _Run, handle: Handle) -> None:
        run.n_before = self._store.work(work).n_done
        workers = self._workers()
        try:
            work_through(self._store, work, workers, judging.failed, is_stopped=lambda: handle.is_stopped)
        finally:
            workers.close()


def potentials() -> tuple[str, ...]:
    """Name the potentials that can relax here, the quick one first."""
    return tuple(name for name in POTENTIALS if _is_usable(name))


def _is_usable(name: str) -> bool:
    try:
        judging.protocol_with(name, 1)
    except ValueError:  # its package is not installed
        return False
    return True


def when(work: Work) -> str:
    """Write when a work was asked for, in the time of this machine: "28 Nov, 14:05"."""
    return time.strftime("%d %b, %H:%M", time.localtime(work.created)).lstrip("0")
