"""A job: work that goes on beside whoever asked for it, and how it stands.

Whatever takes long in the background is one of these, in a process or a thread, so that all of it waits, runs, stops
and fails in the same words.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, TypeVar

from matgen_core.jobs.turns import Turn, Turns

State = Literal["ready", "waiting", "running", "stopped", "done", "failed"]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Status:
    """A job at one moment.

    Attributes:
        state: "ready" until it is started, "waiting" in line, "running"; then "done", "failed", or stopped by somebody.
        stage: What is being done, in a few words; "" of work that has no stages.
        done: How much is done of the stage, or of all work that has no stages, in whatever it counts.
        total: Of how much; None if that is not known.
        ahead: How many jobs have to end before it begins.
        seconds: How long it has been running; waiting does not count.
        problem: What made it fail, in one line.
    """

    state: State = "ready"
    stage: str = ""
    done: float = 0.0
    total: float | None = None
    ahead: int = 0
    seconds: float = 0.0
    problem: str = ""

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens by itself."""
        return self.state in ("stopped", "done", "failed")

    @property
    def share(self) -> float | None:
        """Done of total, 0 to 1; None if that is not known."""
        return self.done / self.total if self.total else None


class Handle:
    """What work is given for one run: where it tells how far it is, and asks whether to end.

    Attributes:
        is_stopped: Whether somebody has stopped the job, so that the work should return soon.
    """

    def __init__(self, job: "Job[Any]") -> None:
        self.is_stopped = False
        self._job = job

    def report(self, stage: str = "", done: float = 0.0, total: float | None = None) -> None:
        """Tell how far the work is, as in `Status`; what was told before no longer counts."""
        self._job._set(stage=stage, done=done, total=total)


Work = Callable[[Handle], Result | None]


class Job(Generic[Result]):
    """Work that waits for its turn and then runs in a thread of its own; every method may be called from any thread.

    `ValueError` and `OSError` are problems, told in one line; any other exception is a fault, raised again by `status`.
    """

    def __init__(self, turns: Turns, total: float | None = None) -> None:
        """Make a job that is ready.

        Args:
            turns: The line that it will stand in.
            total: Of how much it will tell what is done, if that is known before it begins.
        """
        self._turns = turns
        self._changed = threading.Condition()
        self._status = Status(total=total)
        self._result: Result | None = None
        self._fault: BaseException | None = None
        self._turn: Turn | None = None  # held until the work has ended, which may be later than it was stopped
        self._handle: Handle | None = None  # of the run under way
        self._began = 0.0

    def start(self, work: Work[Result]) -> None:
        """Begin, or go on after a stop; nothing happens if it is under way, done or failed.

        Args:
            work: Called when it is the job's turn, and again when the job goes on; it returns when it is done, or when
                its handle says that the job is stopped.
        """
        with self._changed:
            if self.state not in ("ready", "stopped"):
                return
            self._set(state="waiting")
            if self._turn is None:  # else the run that was stopped is at its last piece, and its thread goes on
                self._turn = self._turns.join()
                threading.Thread(target=self._run, args=(self._turn, work), name="job", daemon=True).start()

    def stop(self) -> None:
        """Leave the line, or end as soon as the work looks; a job that is over stays as it is."""
        with self._changed:
            if self.is_over:
                return
            if self._handle is not None:
                self._handle.is_stopped = True
            else:
                self._leave()
            self._set(state="stopped")

    @property
    def state(self) -> State:
        """What it is doing."""
        return self._status.state

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens by itself."""
        return self._status.is_over

    @property
    def result(self) -> Result | None:
        """What the work returned, when it is done."""
        return self._result

    def status(self) -> Status:
        """Return how it stands.

        Raises:
            BaseException: Whatever ended the work, if it was a fault.
        """
        with self._changed:
            if self._fault is not None:
                raise self._fault
            return replace(self._status, ahead=self._turn.ahead if self._turn else 0, seconds=self._seconds())

    def wait(self, seconds: float) -> None:
        """Return when it is over and its work has ended, or after some seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self.is_over and self._turn is None, seconds)

    def wait_for(self, news: Callable[[], bool], seconds: float) -> None:
        """Return when a report of the work has brought some news, or the job is over, or after some seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self.is_over or news(), seconds)

    def _run(self, turn: Turn, work: Work[Result]) -> None:
        while turn.wait() and (handle := self._begin(turn)):
            try:
                result = work(handle)
            except (ValueError, OSError) as error:
                self._end("failed", problem=(str(error) or type(error).__name__).splitlines()[0])
            except BaseException as fault:  # whatever it is belongs to whoever looks
                self._end("failed", fault=fault)
            else:
                self._end("done", result)

    def _begin(self, turn: Turn) -> Handle | None:
        with self._changed:
            if self._turn is not turn:  # stopped at the moment when its turn came
                return None
            self._handle, self._began = Handle(self), time.monotonic()
            self._set(state="running")
            return self._handle

    def _end(
        self, state: State, result: Result | None = None, problem: str = "", fault: BaseException | None = None
    ) -> None:
        with self._changed:
            self._set(seconds=self._seconds())
            self._handle = None
            if self.state == "running" or state == "failed":  # a failure is told even of a job that was stopped
                self._result, self._fault = result, fault
                self._set(state=state, problem=problem)
            if self.state != "waiting":  # else it was started again meanwhile, and keeps its place
                self._leave()

    def _leave(self) -> None:
        if self._turn is not None:
            self._turn.leave()
            self._turn = None
        self._changed.notify_all()

    def _seconds(self) -> float:
        return self._status.seconds + (time.monotonic() - self._began if self._handle is not None else 0.0)

    def _set(self, **changes: Any) -> None:
        with self._changed:
            self._status = replace(self._status, **changes)
            self._changed.notify_all()
