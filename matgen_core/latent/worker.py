"""One warm process that makes maps on request, so that a map that a visitor asks for stops nobody.

A first UMAP fit compiles for 10 to 30 s in every process; the worker stays, so the next one does not. Jobs run one
after the other. A fit cannot be interrupted from inside, so stopping a running job ends the process and the next
job starts another. The process ends with the one that started it, however that ends.
"""

import threading
from functools import partial
from multiprocessing.connection import Connection

from matgen_core.jobs.job import Handle, Job
from matgen_core.jobs.processes import Companion, line_to_parent
from matgen_core.jobs.turns import Turns
from matgen_core.latent.projection import Projected, ProjectionSettings, projected
from matgen_core.latent.space import Z

MAX_WAITING = 8
MAX_POINTS = 20_000  # a t-SNE of so many takes minutes
_TICK = 0.1  # seconds between two looks at whether a job was stopped

# Seconds that a map took on one of two quiet cores, rounded up; four times that on busy ones. 5,000 crystals of icsg3d:
# UMAP 28 s, most of it compiling, t-SNE 21 s; 1,583 of them: UMAP 12 s and then 3 s, t-SNE 5 s.
_COMPILING = 12.0  # UMAP, the first map of a process
_SEARCH_COMPILING = (4_096, 25.0)  # UMAP, from so many points on: its neighbors are found another way
_BUSY = 4.0


def seconds(n_points: int, settings: ProjectionSettings) -> tuple[float, float]:
    """Return how long a map will take, grades included: on a quiet machine, and on a busy one as the first map."""
    grading = 5e-8 * n_points**2
    if settings.method == "pca":
        usual, first = 0.3, 0.0
    elif settings.method == "tsne":
        usual, first = 0.5 + 1e-6 * n_points**2 + 1e-3 * n_points, 0.0
    else:
        usual, first = 0.5 + 1.5e-3 * n_points, _COMPILING
        first += _SEARCH_COMPILING[1] if n_points >= _SEARCH_COMPILING[0] else 0.0
    return usual + grading, _BUSY * (usual + first + grading)


class ProjectionWorker:
    """A line of maps to make, and the process that makes them; every method may be called from any thread."""

    def __init__(self) -> None:
        self._turns = Turns(1)
        self._jobs: list[Job[Projected]] = []  # those that are not over, and some that are
        self._lock = threading.Lock()
        self._companion: Companion | None = None

    def submit(self, z: Z, settings: ProjectionSettings) -> Job[Projected]:
        """Ask for a map of some points.

        Args:
            z: Latent points, (n_points, latent_dim).
            settings: How to project.

        Returns:
            A job that has been started; its result is the map.

        Raises:
            ValueError: If the settings cannot make a map of these points, there are too many, or too many jobs wait.
        """
        settings.check(len(z))
        if len(z) > MAX_POINTS:
            raise ValueError(f"{len(z):,} points; at most {MAX_POINTS:,} are mapped here, so select fewer")
        with self._lock:
            self._jobs = [job for job in self._jobs if not job.is_over]
            if sum(job.state == "waiting" for job in self._jobs) >= MAX_WAITING:
                raise ValueError(f"{MAX_WAITING} maps are waiting to be made already; try again in a minute")
            job: Job[Projected] = Job(self._turns)
            job.start(partial(self._make, z, settings))
            self._jobs.append(job)
        return job

    def close(self) -> None:
        """End the process; jobs that are not over are stopped."""
        with self._lock:
            for job in self._jobs:
                job.stop()
            last = self._turns.join()
        last.wait()
        self._end_process()
        last.leave()

    def _make(self, points: Z, settings: ProjectionSettings, handle: Handle) -> Projected | None:
        handle.report("starting the worker" if self._companion is None else "sending")
        try:
            connection = self._connected()
            connection.send((points, settings))
            while not handle.is_stopped:
                if not connection.poll(_TICK):
                    continue
                kind, value = connection.recv()
                if kind == "result":
                    return value
                if kind == "problem":
                    raise ValueError(value)
                stage, share = value
                handle.report(stage, share or 0.0, None if share is None else 1.0)
        except (EOFError, OSError) as error:
            self._end_process()
            raise OSError(f"the worker ended ({type(error).__name__}); ask again") from error
        self._end_process()
        return None

    def _connected(self) -> Connection:
        if self._companion is None or not self._companion.is_alive:
            self._end_process()
            self._companion = Companion(__name__)
        return self._companion.connection

    def _end_process(self) -> None:
        if self._companion is not None:
            self._companion.close()
        self._companion = None


def serve() -> None:
    """Make maps for the process that started this one, until it ends."""
    connection = line_to_parent()

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


if __name__ == "__main__":
    serve()
