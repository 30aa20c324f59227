"""Steps that arrive in the background and stay, so that a page may look at any time and never waits."""

import threading
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

from matgen_core.jobs.job import Handle, Job
from matgen_core.jobs.turns import Turns

AT_ONCE = 2  # recordings, of all visitors of one server, so that none takes the machine from the others
TURNS = Turns(AT_ONCE)
Step = TypeVar("Step")


class SharedSteps(Generic[Step]):
    """The steps of one work for whoever asks for it: each is computed once, by the first who comes to it.

    Iterate over it from any thread, as often as wanted. Who stops leaves the rest to who goes on.
    """

    def __init__(self, steps: Iterable[Step], n_steps: int) -> None:
        """Compute nothing yet.

        Args:
            steps: The work; each step is computed when it is asked for.
            n_steps: How many there are.
        """
        self._n_steps = n_steps
        self._source = iter(steps)
        self._kept: list[Step] = []
        self._fault: Exception | None = None
        self._lock = threading.Lock()

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left to compute."""
        return len(self._kept) >= self._n_steps

    def __iter__(self) -> Iterator[Step]:
        number = 0
        while (step := self._step(number)) is not None:
            yield step
            number += 1

    def _step(self, number: int) -> Step | None:
        with self._lock:
            if number == len(self._kept):
                if self._fault is not None:
                    raise self._fault  # a generator that has failed would only say that it is at its end
                try:
                    self._kept.append(next(self._source))
                except StopIteration:
                    return None
                except Exception as fault:
                    self._fault = fault
                    raise
            return self._kept[number]


class Recording(Generic[Step]):
    """The steps of one work as one visitor sees them arrive.

    Attributes:
        n_steps: How many there will be.
        job: How the work stands.
    """

    def __init__(self, steps: Iterable[Step], n_steps: int, turns: Turns = TURNS) -> None:
        self.n_steps = n_steps
        self.job: Job[None] = Job(turns, n_steps)
        self._source = iter(steps)
        self._kept: list[Step] = []

    @property
    def steps(self) -> list[Step]:
        """The steps so far, in order."""
        return list(self._kept)

    def start(self) -> None:
        """Go on where it stopped, or begin; nothing happens if it is under way or over."""
        self.job.start(self._record)

    def stop(self) -> None:
        """End after the step under way; what is there stays, and `start` goes on from it."""
        self.job.stop()

    def wait_for_first(self, seconds: float) -> None:
        """Return when there is a step, or there will be none, or after some seconds."""
        self.job.wait_for(lambda: bool(self._kept), seconds)

    def _record(self, handle: Handle) -> None:
        for step in self._source:
            self._kept.append(step)
            handle.report(done=len(self._kept), total=self.n_steps)
            if handle.is_stopped:
                return


def follow(current: Recording[Step], before: Recording[Step] | None, is_halted: bool, seconds: float) -> None:
    """See that a recording goes on, and that the one before it does not.

    Args:
        current: What is looked at now.
        before: What was looked at before, by the same person; it may be the same.
        is_halted: Whether the person has stopped the current one.
        seconds: How long to wait for its first step.
    """
    if before is not None and before is not current:
        before.stop()
    if is_halted:
        current.stop()  # it may have been made anew
        return
    current.start()
    current.wait_for_first(seconds)
