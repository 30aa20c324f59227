"""A job waits, runs, tells how far it is, stops, goes on, and fails in the same way whatever its work is."""

import threading

import pytest

from matgen_core.jobs.job import Handle, Job
from matgen_core.jobs.turns import Turns

LIMIT = 60  # s, far more than anything here takes


class Pieces:
    """Work in pieces, each of which waits until it is let through."""

    def __init__(self, n: int) -> None:
        self.n, self.n_done, self.n_calls = n, 0, 0
        self.gate, self.is_at_work = threading.Semaphore(0), False

    def __call__(self, handle: Handle) -> str | None:
        assert not self.is_at_work, "called while a former call is at work"
        self.is_at_work = True
        self.n_calls += 1
        while self.n_done < self.n and not handle.is_stopped:
            assert self.gate.acquire(timeout=LIMIT)
            self.n_done += 1
            handle.report("cutting", self.n_done, self.n)
        self.is_at_work = False
        return "all"


def runs(job: Job) -> bool:
    job.wait_for(lambda: job.state == "running", LIMIT)
    return job.state == "running"


def test_a_job_waits_runs_tells_how_far_it_is_and_gives_its_result() -> None:
    turns, first, second = Turns(1), Pieces(2), Pieces(1)
    one, two = Job[str](turns, total=2), Job[str](turns)
    assert (one.state, one.is_over, one.status().total) == ("ready", False, 2)
    one.start(first)
    one.start(first)  # a second start is none
    two.start(second)
    assert runs(one)
    assert (two.state, two.status().ahead, two.status().seconds) == ("waiting", 1, 0)
    first.gate.release()
    one.wait_for(lambda: one.status().done == 1, LIMIT)
    seen = one.status()
    assert (seen.state, seen.stage, seen.total, seen.share, one.result) == ("running", "cutting", 2, 0.5, None)
    first.gate.release()
    assert runs(two)
    assert two.status().ahead == 0
    one.stop()
    one.start(first)
    seen = one.status()
    assert (seen.state, one.result, first.n_calls) == ("done", "all", 1)  # what is over stays as it is
    assert 0 < seen.seconds < LIMIT
    second.gate.release()
    two.wait(LIMIT)
    assert two.state == "done"
    assert one.status() == seen


def test_few_run_at_once_in_the_order_in_which_they_came() -> None:
    turns, gates = Turns(2), [threading.Event() for _ in range(5)]
    jobs, at_work, most, began = [Job[None](turns) for _ in gates], set[int](), list[int](), list[int]()

    def work(handle: Handle, number: int) -> None:
        began.append(number)
        at_work.add(number)
        most.append(len(at_work))
        assert gates[number].wait(LIMIT)
        at_work.remove(number)

    for number, job in enumerate(jobs):
        job.start(lambda handle, number=number: work(handle, number))
    assert all(map(runs, jobs[:2]))
    assert [(job.state, job.status().ahead) for job in jobs[2:]] == [("waiting", 1), ("waiting", 2), ("waiting", 3)]
    jobs[3].stop()
    jobs[3].wait(LIMIT)
    assert [job.status().ahead for job in jobs] == [0, 0, 1, 0, 2]
    gates[1].set()
    assert runs(jobs[2])
    assert (jobs[4].state, jobs[4].status().ahead) == ("waiting", 1)
    for gate in gates:
        gate.set()
    for job in jobs:
        job.wait(LIMIT)
    assert [job.state for job in jobs] == ["done", "done", "done", "stopped", "done"]
    assert (set(began[:2]), began[2:], max(most)) == ({0, 1}, [2, 4], 2)


def test_a_stopped_job_holds_its_place_until_its_work_has_ended() -> None:
    turns, pieces = Turns(1), Pieces(3)
    stopped, after = Job[str](turns), Job[str](turns)
    stopped.start(pieces)
    after.start(lambda handle: "made")
    assert runs(stopped)
    stopped.stop()
    assert (stopped.state, after.state, after.status().ahead) == ("stopped", "waiting", 1)
    pieces.gate.release()
    after.wait(LIMIT)
    stopped.wait(LIMIT)
    assert after.result == "made"
    assert (stopped.state, stopped.status().done, stopped.result) == ("stopped", 1, None)


def test_a_stopped_job_goes_on_where_it_was() -> None:
    turns, pieces = Turns(1), Pieces(5)
    job, other = Job[str](turns), Job[str](turns)
    job.stop()  # before it has begun
    job.start(pieces)
    other.start(lambda handle: "made")
    assert runs(job)
    job.stop()
    job.start(pieces)  # while the first piece is at work: it keeps its place, and is called again after that
    job.stop()
    job.start(pieces)
    assert (job.state, job.status().ahead) == ("waiting", 0)
    pieces.gate.release()
    assert runs(job)
    assert (pieces.n_calls, pieces.n_done, other.state) == (2, 1, "waiting")
    job.stop()
    pieces.gate.release()
    other.wait(LIMIT)
    assert (job.state, pieces.n_done, job.status().done) == ("stopped", 2, 2)
    job.start(pieces)
    pieces.gate.release(3)
    job.wait(LIMIT)
    assert (job.state, job.result, pieces.n_done, pieces.n_calls) == ("done", "all", 5, 3)


@pytest.mark.parametrize(
    ("failure", "problem", "is_stopped"),
    [
        (ValueError("no values\nat all"), "no values", False),
        (ZeroDivisionError("a fault"), None, True),
        (SystemExit("a fault"), None, False),
    ],
)
def test_a_failure_is_told_even_of_a_stopped_job_and_makes_room(
    failure: BaseException, problem: str | None, is_stopped: bool
) -> None:
    turns, gate = Turns(1), threading.Event()
    failing, after = Job[str](turns), Job[str](turns)

    def work(handle: Handle) -> None:
        assert gate.wait(LIMIT)
        raise failure

    failing.start(work)
    after.start(lambda handle: "made")
    assert runs(failing)
    if is_stopped:
        failing.stop()
    gate.set()
    after.wait(LIMIT)
    assert after.result == "made"
    failing.start(work)
    assert failing.state == "failed"
    if problem is not None:
        assert failing.status().problem == problem
        return
    with pytest.raises(type(failure), match="a fault"):
        failing.status()


def test_a_new_stage_begins_without_the_progress_of_the_one_before() -> None:
    job, gate = Job[None](Turns(1)), threading.Event()

    def work(handle: Handle) -> None:
        handle.report("fitting", 3, 4)
        handle.report("grading")
        assert gate.wait(LIMIT)

    job.start(work)
    job.wait_for(lambda: job.status().stage == "grading", LIMIT)
    assert (job.status().stage, job.status().done, job.status().share) == ("grading", 0, None)
    gate.set()
    job.wait(LIMIT)
