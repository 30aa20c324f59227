"""The worker: maps come back as they would be made here; it survives a stop and its own end, and ends with the app."""

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

from matgen_core.jobs.job import Job
from matgen_core.latent import projection
from matgen_core.latent.projection import Projected, ProjectionSettings
from matgen_core.latent.worker import MAX_WAITING, ProjectionWorker

Z = np.random.default_rng(0).normal(size=(200, 6)).astype(np.float32)
MANY = np.random.default_rng(1).normal(size=(15_000, 6)).astype(np.float32)  # minutes of t-SNE
PCA = ProjectionSettings("pca")
LONG = ProjectionSettings("tsne", perplexity=60)
LIMIT = 120  # s, far more than anything here takes
needs_proc = pytest.mark.skipif(not os.path.isdir("/proc"), reason="reads the state of processes from /proc")


@pytest.fixture(scope="module")
def worker() -> Iterator[ProjectionWorker]:
    made = ProjectionWorker()
    yield made
    made.close()


def is_fitting(job: Job[Projected]) -> bool:
    """Wait until a job is in the middle of its fit."""
    job.wait_for(lambda: "fitting" in job.status().stage, LIMIT)
    return job.state == "running"


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


def test_two_jobs_give_each_its_own_map(worker: ProjectionWorker) -> None:
    one, two = worker.submit(Z, PCA), worker.submit(Z[:90], PCA)
    for job in (one, two):
        job.wait(LIMIT)
        assert job.state == "done", job.status().problem
    expected = projection.projected(Z, PCA)
    assert one.result is not None
    assert two.result is not None
    np.testing.assert_allclose(one.result.positions, expected.positions, atol=1e-5)
    np.testing.assert_allclose(one.result.faithfulness, expected.faithfulness)
    assert one.result.trustworthiness == pytest.approx(expected.trustworthiness)
    assert one.result.continuity == pytest.approx(expected.continuity)
    assert two.result.positions.shape == (90, 2)


def test_a_stopped_map_takes_its_process_along_and_keeps_nothing(worker: ProjectionWorker) -> None:
    job = worker.submit(MANY, LONG)
    assert is_fitting(job)
    job.stop()
    job.wait(LIMIT)
    assert (job.state, job.result) == ("stopped", None)
    after = worker.submit(Z, PCA)
    after.wait_for(lambda: bool(after.status().stage), LIMIT)
    assert after.status().stage == "starting the worker"
    after.wait(LIMIT)
    assert after.state == "done"


@needs_proc
def test_a_worker_that_dies_costs_its_job_alone(worker: ProjectionWorker) -> None:
    job = worker.submit(MANY, LONG)
    assert is_fitting(job)
    os.kill(process_of(os.getpid()), signal.SIGKILL)
    job.wait(LIMIT)
    assert job.status().problem == "the worker ended (EOFError); ask again"
    after = worker.submit(Z, PCA)
    after.wait(LIMIT)
    assert after.state == "done"


def test_what_cannot_be_mapped_is_refused_at_once(worker: ProjectionWorker) -> None:
    with pytest.raises(ValueError, match="10 points; a map needs more than 45"):
        worker.submit(Z[:10], PCA)
    with pytest.raises(ValueError, match="at most 20,000 are mapped here"):
        worker.submit(np.zeros((20_001, 2), np.float32), PCA)
    with pytest.raises(ValueError, match=r"min_dist 1\.5"):
        worker.submit(Z, ProjectionSettings(min_dist=1.5))


def test_a_crowd_is_refused_and_stopped_when_the_worker_is_closed() -> None:
    crowded = ProjectionWorker()
    jobs = [crowded.submit(MANY, LONG)]
    jobs[0].wait_for(lambda: jobs[0].state == "running", LIMIT)
    try:
        jobs += [crowded.submit(Z, PCA) for _ in range(MAX_WAITING)]
        with pytest.raises(ValueError, match="8 maps are waiting"):
            crowded.submit(Z, PCA)
        jobs[1].stop()
        jobs.append(crowded.submit(Z, PCA))
        assert jobs[-1].status().ahead == MAX_WAITING
    finally:
        crowded.close()
    assert {job.state for job in jobs} == {"stopped"}


@needs_proc
def test_the_worker_ends_with_the_app_even_in_the_middle_of_a_fit() -> None:
    app = """
import time, numpy as np
from matgen_core.latent.projection import ProjectionSettings
from matgen_core.latent.worker import ProjectionWorker
if __name__ == "__main__":
    worker = ProjectionWorker()
    job = worker.submit(np.random.default_rng(1).normal(size=(15_000, 6)).astype("f4"), ProjectionSettings("tsne"))
    job.wait_for(lambda: "fitting" in job.status().stage, 60)
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
