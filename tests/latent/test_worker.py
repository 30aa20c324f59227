"""The worker: maps come back as they would be made here, and cancel, errors and the end of the app are survived."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from matgen_core.latent import projection
from matgen_core.latent import worker as projection_worker
from matgen_core.latent.projection import ProjectionSettings
from matgen_core.latent.worker import Job, ProjectionWorker

Z = np.random.default_rng(0).normal(size=(200, 6)).astype(np.float32)
PCA = ProjectionSettings("pca")
LONG = ProjectionSettings("tsne", perplexity=60)
needs_proc = pytest.mark.skipif(not os.path.isdir("/proc"), reason="reads the state of processes from /proc")


@pytest.fixture(scope="module")
def worker() -> Iterator[ProjectionWorker]:
    made = ProjectionWorker()
    yield made
    made.close()


def process_of(app: int) -> int:
    """Wait for the process that makes maps for another one, and return its number."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it has ended meanwhile
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == app and "matgen_core.latent.worker" in (folder / "cmdline").read_text():
                    return int(folder.name)
        time.sleep(0.02)
    raise AssertionError(f"process {app} has started no worker within a minute")


def until(worker: ProjectionWorker, number: int, state: str, seconds: float = 60) -> Job:
    """Wait for a state; a job that is over in another fails at once."""
    end = time.monotonic() + seconds
    while (job := worker.job(number)).state != state and not job.is_over and time.monotonic() < end:
        time.sleep(0.02)
    return job


def test_two_jobs_give_each_its_own_map_in_order(worker: ProjectionWorker) -> None:
    first, second = worker.submit(Z, PCA), worker.submit(Z[:90], PCA)
    assert worker.job(second).ahead == 1
    one, two = worker.wait(first, 60), worker.wait(second, 60)
    assert (one.state, two.state) == ("done", "done"), one.problem + two.problem
    expected = projection.projected(Z, PCA)
    assert one.result is not None
    assert two.result is not None
    np.testing.assert_allclose(one.result.positions, expected.positions, atol=1e-5)
    np.testing.assert_allclose(one.result.faithfulness, expected.faithfulness)
    assert one.result.trustworthiness == pytest.approx(expected.trustworthiness)
    assert one.result.continuity == pytest.approx(expected.continuity)
    assert two.result.positions.shape == (90, 2)


def test_a_running_job_is_canceled_and_the_next_one_is_made(worker: ProjectionWorker) -> None:
    many = np.random.default_rng(1).normal(size=(15_000, 6)).astype(np.float32)  # minutes of t-SNE
    running, waiting = worker.submit(many, LONG), worker.submit(Z, PCA)
    assert until(worker, running, "running").state == "running"
    worker.cancel(running)
    assert worker.job(running).state == "canceled"
    assert worker.wait(waiting, 60).state == "done"
    assert worker.job(running).result is None


def test_a_waiting_job_is_canceled_and_never_runs(worker: ProjectionWorker) -> None:
    first, second, third = (worker.submit(Z, PCA) for _ in range(3))
    worker.cancel(second)
    assert worker.wait(third, 60).state == "done"
    assert worker.job(second).state == "canceled"
    assert worker.job(second).result is None
    worker.cancel(first)  # over: it stays as it is
    assert worker.job(first).state == "done"


def test_an_error_in_the_worker_is_told_and_the_worker_lives(worker: ProjectionWorker) -> None:
    broken = Z.copy()
    broken[3, 2] = np.nan
    job = worker.wait(worker.submit(broken, PCA), 60)
    assert job.state == "failed"
    assert "NaN" in job.problem
    assert "\n" not in job.problem
    assert worker.wait(worker.submit(Z, PCA), 60).state == "done"


@needs_proc
def test_a_worker_that_dies_costs_its_job_alone(worker: ProjectionWorker) -> None:
    many = np.random.default_rng(1).normal(size=(15_000, 6)).astype(np.float32)
    number = worker.submit(many, LONG)
    until(worker, number, "running")
    os.kill(process_of(os.getpid()), signal.SIGKILL)
    assert worker.wait(number, 30).state == "failed"
    assert "worker ended" in worker.job(number).problem
    assert worker.wait(worker.submit(Z, PCA), 60).state == "done"


def test_what_cannot_be_mapped_is_refused_at_once(worker: ProjectionWorker) -> None:
    with pytest.raises(ValueError, match="10 points; a map needs more than 45"):
        worker.submit(Z[:10], PCA)
    with pytest.raises(ValueError, match="at most 20,000 are mapped here"):
        worker.submit(np.zeros((20_001, 2), np.float32), PCA)
    with pytest.raises(ValueError, match=r"min_dist 1\.5"):
        worker.submit(Z, ProjectionSettings(min_dist=1.5))
    with pytest.raises(ValueError, match="no longer kept"):
        worker.job(10_000)


def test_a_crowd_is_refused_and_old_results_are_let_go() -> None:
    crowded = ProjectionWorker()
    try:
        many = np.random.default_rng(1).normal(size=(15_000, 6)).astype(np.float32)
        until(crowded, crowded.submit(many, LONG), "running")
        waiting = [crowded.submit(Z, PCA) for _ in range(projection_worker.MAX_WAITING)]
        with pytest.raises(ValueError, match="8 maps are waiting"):
            crowded.submit(Z, PCA)
        assert crowded.job(waiting[-1]).ahead == 8
        crowded.cancel(waiting[0])
        assert crowded.job(waiting[-1]).ahead == 7
        for number in waiting:
            crowded.cancel(number)
        for _ in range(12):
            crowded.cancel(crowded.submit(Z, PCA))
        with pytest.raises(ValueError, match="no longer kept"):
            crowded.job(waiting[0])
    finally:
        crowded.close()


@needs_proc
def test_the_worker_ends_with_the_app_even_in_the_middle_of_a_fit() -> None:
    app = """
import time, numpy as np
from matgen_core.latent.projection import ProjectionSettings
from matgen_core.latent.worker import ProjectionWorker
if __name__ == "__main__":
    worker = ProjectionWorker()
    number = worker.submit(np.random.default_rng(1).normal(size=(15_000, 6)).astype("f4"), ProjectionSettings("tsne"))
    while "fitting" not in worker.job(number).stage:
        time.sleep(0.05)
    print("fitting", flush=True)
    time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", app], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    assert parent.stdout.readline() == "fitting\n"
    child = process_of(parent.pid)
    assert os.path.exists(f"/proc/{child}")
    parent.kill()
    parent.wait()
    parent.stdout.close()
    for _ in range(100):
        if not os.path.exists(f"/proc/{child}"):
            return
        time.sleep(0.1)
    os.kill(child, 9)
    pytest.fail("the worker outlived the app by 10 s")
