"""One warm process that makes maps on request, so that a map that a visitor asks for stops nobody.

A first UMAP fit compiles for 10 to 30 s in every process; the worker stays, so the next one does not. Jobs run one
after the other. A fit cannot be interrupted from inside, so canceling a running job ends the process and the next
job starts another. The process ends with the one that started it, however that ends.
"""

import itertools
import os
import secrets
import subprocess
import sys
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Literal

from matgen_core.jobs.turns import Turn, Turns
from matgen_core.latent.projection import Projected, ProjectionSettings, projected
from matgen_core.latent.space import Z

State = Literal["waiting", "running", "done", "failed", "canceled"]

MAX_WAITING = 8
MAX_POINTS = 20_000  # a t-SNE of so many takes minutes
_KEPT = 16  # finished jobs whose results wait to be fetched
_TICK = 0.1  # seconds between two looks at whether a job was canceled


@dataclass(frozen=True, eq=False)
class Job:
    """What is known of a request at one moment."""

    settings: ProjectionSettings
    n_points: int
    state: State = "waiting"
    ahead: int = 0  # jobs that come first
    stage: str = ""
    share: float | None = None  # of the stage that is done, None if that is not known
    seconds: float = 0.0  # of running
    result: Projected | None = None
    problem: str = ""

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in ("done", "failed", "canceled")


class ProjectionWorker:
    """A queue of maps to make, and the process that makes them; every method may be called from any thread."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[int, Job] = OrderedDict()
        self._turns = Turns(1)
        self._in_line: dict[int, Turn] = {}  # jobs that are not over
        self._changed = threading.Condition()
        self._numbers = itertools.count(1)
        self._process: subprocess.Popen[str] | None = None
        self._connection: Connection | None = None

    def submit(self, z: Z, settings: ProjectionSettings) -> int:
        """Ask for a map of some points.

        Args:
            z: Latent points, (n_points, latent_dim).
            settings: How to project.

        Returns:
            The number of the job.

        Raises:
            ValueError: If the settings cannot make a map of these points, there are too many, or too many jobs wait.
        """
        settings.check(len(z))
        if len(z) > MAX_POINTS:
            raise ValueError(f"{len(z):,} points; at most {MAX_POINTS:,} are mapped here, so select fewer")
        with self._changed:
            if sum(job.state == "waiting" for job in self._jobs.values()) >= MAX_WAITING:
                raise ValueError(f"{MAX_WAITING} maps are waiting to be made already; try again in a minute")
            number = next(self._numbers)
            self._jobs[number] = Job(settings, len(z))
            turn = self._in_line[number] = self._turns.join()
            over = [each for each, job in self._jobs.items() if job.is_over]
            for each in over[: max(0, len(over) - _KEPT)]:
                del self._jobs[each]
        threading.Thread(target=self._run, args=(number, turn, z), name="projection-worker", daemon=True).start()
        return number

    def job(self, number: int) -> Job:
        """Return how a job stands.

        Raises:
            ValueError: If there is no such job, or it was over long ago.
        """
        with self._changed:
            if number not in self._jobs:
                raise ValueError("this map is no longer kept; ask for it again")
            turn = self._in_line.get(number)
            return replace(self._jobs[number], ahead=turn.ahead if turn else 0)

    def cancel(self, number: int) -> None:
        """Give up a job; one that is over stays as it is."""
        with self._changed:
            if number in self._in_line:
                self._set(number, state="canceled")

    def wait(self, number: int, seconds: float) -> Job:
        """Return how a job stands when it is over, or after some seconds."""
        with self._changed:
            self._changed.wait_for(lambda: number not in self._jobs or self._jobs[number].is_over, seconds)
        return self.job(number)

    def close(self) -> None:
        """End the process; jobs that are not over are canceled."""
        with self._changed:
            for number in list(self._in_line):
                self._set(number, state="canceled")
            last = self._turns.join()
        last.wait()
        self._end_process()
        last.leave()

    def _set(self, number: int, **changes: object) -> None:
        was_waiting = self._jobs[number].state == "waiting"
        self._jobs[number] = replace(self._jobs[number], **changes)  # type: ignore[arg-type]
        if self._jobs[number].is_over:
            turn = self._in_line.pop(number)
            if was_waiting:  # else it has the process, and leaves when it is done with it
                turn.leave()
        self._changed.notify_all()

    def _run(self, number: int, turn: Turn, points: Z) -> None:
        try:
            if not turn.wait():
                return
            with self._changed:
                if number not in self._in_line:
                    return
                self._set(number, state="running", stage="starting the worker" if self._process is None else "sending")
                settings = self._jobs[number].settings
            self._work_on(number, points, settings)
        finally:
            turn.leave()

    def _work_on(self, number: int, points: Z, settings: ProjectionSettings) -> None:
        started = time.monotonic()
        try:
            connection = self._connected()
            connection.send((points, settings))
            while True:
                ready = connection.poll(_TICK)
                with self._changed:
                    if number not in self._in_line:  # canceled
                        break
                    self._set(number, seconds=time.monotonic() - started)
                if not ready:
                    continue
                kind, value = connection.recv()
                with self._changed:
                    if number not in self._in_line:
                        break
                    if kind == "progress":
                        self._set(number, stage=value[0], share=value[1])
                        continue
                    done = {"state": "done", "result": value, "share": 1.0}
                    self._set(number, **(done if kind == "result" else {"state": "failed", "problem": value}))
                    return
        except (EOFError, OSError) as error:
            with self._changed:
                if number in self._in_line:
                    self._set(number, state="failed", problem=f"the worker ended ({type(error).__name__}); ask again")
        self._end_process()

    def _connected(self) -> Connection:
        if self._connection is None or self._process is None or self._process.poll() is not None:
            self._end_process()
            secret = secrets.token_hex(32)
            # multiprocessing.Process would run the main script again in the child, and under Streamlit that is a page.
            self._process = subprocess.Popen(
                [sys.executable, "-m", "matgen_core.latent.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=Path(__file__).parents[2],
                text=True,
            )
            to_it, from_it = self._process.stdin, self._process.stdout
            if to_it is None or from_it is None:
                raise OSError("the worker has no pipes")
            to_it.write(f"{secret}\n")
            to_it.flush()
            address = from_it.readline().strip()
            if not address:
                raise EOFError
            self._connection = Client(address, authkey=bytes.fromhex(secret))
        return self._connection

    def _end_process(self) -> None:
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            with self._process as process:  # closes its pipes and waits for its end
                process.kill()
        self._process = self._connection = None


def serve() -> None:
    """Make maps for the process that started this one, until it ends; the secret comes first on standard input."""
    secret = bytes.fromhex(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with Listener(authkey=secret) as listener:
        sys.stdout.write(f"{listener.address}\n")
        sys.stdout.flush()
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # nobody reads what libraries print from here on
        connection = listener.accept()

    def report(stage: str, share: float | None) -> None:
        connection.send(("progress", (stage, share)))

    while True:
        points, settings = connection.recv()
        report("loading the libraries; the first map of a worker takes 10 to 30 s longer", None)
        try:
            answer: tuple[str, object] = ("result", projected(points, settings, report))
        except Exception as error:  # whatever it is belongs to the visitor who asked, not to the next one
            answer = ("problem", f"{type(error).__name__}: {error}".splitlines()[0])
        connection.send(answer)


def _end_with_parent() -> None:
    while sys.stdin.read(1):
        pass
    os._exit(0)  # in the middle of a fit nothing gentler would be heard


if __name__ == "__main__":
    serve()
