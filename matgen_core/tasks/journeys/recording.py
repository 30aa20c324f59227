"""Steps that arrive in the background and stay, so that a page may look at any time and never waits."""

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from threading import Condition, Lock
from typing import Literal

import torch

from matgen_core.tasks.journeys.steps import Step

State = Literal["ready", "waiting", "running", "stopped", "done", "failed"]


def workers(n_workers: int) -> Executor:
    """Make threads that walk, each on one core: cores shared by several such threads wait for each other."""
    return ThreadPoolExecutor(n_workers, thread_name_prefix="journey", initializer=torch.set_num_threads, initargs=(1,))


class Recording:
    """The steps of one walk.

    Attributes:
        n_steps: How many there will be.
    """

    def __init__(self, steps: Iterator[Step], n_steps: int) -> None:
        self.n_steps = n_steps
        self._source = steps
        self._kept: list[Step] = []
        self._state: State = "ready"
        self._failure: BaseException | None = None
        self._lock = Lock()
        self._news = Condition(self._lock)
        self._at_work = Lock()  # started again at once, the former run has to see that it was stopped

    @property
    def state(self) -> State:
        """What it is doing; "waiting" until a worker is free."""
        return self._state

    @property
    def steps(self) -> list[Step]:
        """The steps so far, in order.

        Raises:
            Exception: Whatever stood in the way of the next step.
        """
        if self._failure is not None:
            raise self._failure
        return list(self._kept)

    def start(self, workers: Executor) -> None:
        """Go on where it stopped, or begin; nothing happens if it is under way or over."""
        with self._lock:
            if self._state not in ("ready", "stopped"):
                return
            self._state = "waiting"
        workers.submit(self._run)

    def wait_for_first(self, timeout: float) -> None:
        """Return when there is a step, or there will be none, or after `timeout` seconds."""
        with self._news:
            self._news.wait_for(lambda: self._kept or self._state not in ("waiting", "running"), timeout)

    def stop(self) -> None:
        """End after the step under way; what is there stays, and `start` goes on from it."""
        with self._lock:
            if self._state in ("waiting", "running", "ready"):
                self._state = "stopped"

    def _run(self) -> None:
        with self._at_work:
            if not self._turn("waiting", "running"):
                return
            try:
                for step in self._source:
                    with self._news:
                        self._kept.append(step)
                        self._news.notify_all()
                    if self._state != "running":
                        return
            except Exception as failure:  # raised again where the steps are asked for
                self._failure = failure
                self._turn("running", "failed")
            self._turn("running", "done")

    def _turn(self, before: State, after: State) -> bool:
        with self._lock:
            if self._state != before:
                return False
            self._state = after
            self._news.notify_all()
            return True
