"""Steps that arrive in the background and stay, so that a page may look at any time and never waits."""

from collections.abc import Iterator

from matgen_core.jobs.job import Handle, Job
from matgen_core.jobs.turns import Turns
from matgen_core.tasks.journeys.steps import Step

AT_ONCE = 2  # walks, of all visitors of one server, so that none takes the machine from the others
TURNS = Turns(AT_ONCE)


class Recording:
    """The steps of one walk.

    Attributes:
        n_steps: How many there will be.
        job: How the walk stands.
    """

    def __init__(self, steps: Iterator[Step], n_steps: int, turns: Turns = TURNS) -> None:
        self.n_steps = n_steps
        self.job: Job[None] = Job(turns, n_steps)
        self._source = steps
        self._kept: list[Step] = []

    @property
    def steps(self) -> list[Step]:
        """The steps so far, in order."""
        return list(self._kept)

    def start(self) -> None:
        """Go on where it stopped, or begin; nothing happens if it is under way or over."""
        self.job.start(self._walk)

    def stop(self) -> None:
        """End after the step under way; what is there stays, and `start` goes on from it."""
        self.job.stop()

    def wait_for_first(self, seconds: float) -> None:
        """Return when there is a step, or there will be none, or after some seconds."""
        self.job.wait_for(lambda: bool(self._kept), seconds)

    def _walk(self, handle: Handle) -> None:
        for step in self._source:
            self._kept.append(step)
            handle.report(done=len(self._kept), total=self.n_steps)
            if handle.is_stopped:
                return
