"""Maps on request, runs of the funnel and recordings of journeys wait, stop, fail and make room as any job does."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from matgen_core import checkpoint
from matgen_core.jobs.job import Job
from matgen_core.jobs.recording import Recording
from matgen_core.jobs.turns import Turns
from matgen_core.latent.projection import ProjectionSettings
from matgen_core.latent.worker import ProjectionWorker
from matgen_core.tasks.funnel import BATCH, MAX_SAMPLES, Request, session
from matgen_core.tasks.funnel.session import Generation
from matgen_core.tasks.journeys import Step

LIMIT = 120  # s, far more than anything here takes


@dataclass
class Background:
    """One kind of work that goes on beside a page, one at a time.

    Attributes:
        endless: Begins a job that takes minutes, and brings news before it ends.
        short: Begins one that comes to its end.
        failing: Begins one that cannot be done.
        problem: What that one says of itself.
    """

    endless: Callable[[], Job]
    short: Callable[[], Job]
    failing: Callable[[], Job]
    problem: str


def maps() -> Iterator[Background]:
    worker, rng, plain = ProjectionWorker(), np.random.default_rng(0), ProjectionSettings("pca")
    few, many = (rng.normal(size=(n, 6)).astype(np.float32) for n in (200, 15_000))
    yield Background(
        lambda: worker.submit(many, ProjectionSettings("tsne", perplexity=60)),
        lambda: worker.submit(few, plain),
        lambda: worker.submit(np.where(np.arange(6) == 2, np.nan, few), plain),
        "ValueError: Input X contains NaN",
    )
    worker.close()


def runs_of_the_funnel() -> Iterator[Background]:
    ding, turns = checkpoint.load("ding"), Turns(1)

    def begun(request: Request) -> Job:
        return Generation(ding, request, turns=turns).job

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "CHUNK", BATCH)  # a run that is stopped ends soon
        yield Background(
            lambda: begun(Request(MAX_SAMPLES)),
            lambda: begun(Request(50)),
            lambda: begun(Request(50, condition={"band_gap": 1.0})),
            "band gap",
        )


def recordings() -> Iterator[Background]:
    turns = Turns(1)

    def steps(n: int, fails: bool = False) -> Iterator[Step]:
        for number in range(n):
            yield Step(number, "", np.zeros(3, np.float32), None, "", "", (), "")
        if fails:
            raise ValueError("no way on")

    def begun(n: int, fails: bool = False) -> Job:
        recording = Recording(steps(n, fails), n, turns)
        recording.start()
        return recording.job

    yield Background(lambda: begun(10**9), lambda: begun(3), lambda: begun(2, fails=True), "no way on")


@pytest.fixture(params=[maps, runs_of_the_funnel, recordings], ids=lambda kind: kind.__name__)
def kind(request: pytest.FixtureRequest) -> Iterator[Background]:
    yield from request.param()


def test_the_next_begins_when_the_one_before_is_stopped_or_fails(kind: Background) -> None:
    endless, given_up, failing, short = kind.endless(), kind.short(), kind.failing(), kind.short()
    endless.wait_for(lambda: bool(endless.status().done) or "fitting" in endless.status().stage, LIMIT)
    assert endless.state == "running"
    assert [job.status().ahead for job in (given_up, failing, short)] == [1, 2, 3]
    given_up.stop()
    assert short.status().ahead == 2
    endless.stop()
    short.wait(LIMIT)
    assert [job.state for job in (endless, given_up, failing, short)] == ["stopped", "stopped", "failed", "done"]
    assert given_up.status().seconds == 0
    assert kind.problem in failing.status().problem
    assert "\n" not in failing.status().problem
