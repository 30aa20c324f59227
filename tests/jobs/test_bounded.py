"""Work in a process apart: answers come back whole, what takes too much is ended and costs nobody else anything."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from matgen_core.jobs.bounded import Bounded, BoundedError, BusyError, Limits
from tests.support.serving import ROOT
from tests.support.waiting import until

WORK = "tests.support.bounded_work"
needs_proc = pytest.mark.skipif(not os.path.isdir("/proc"), reason="reads the state of processes from /proc")


@pytest.fixture(scope="module")
def patient() -> Iterator[Bounded]:
    """One process; nothing that answers comes near its limits."""
    made = Bounded(WORK, limits=Limits(seconds=120, megabytes=300))
    yield made
    made.close()


@pytest.fixture(scope="module")
def strict() -> Iterator[Bounded]:
    """One process that is ended soon."""
    made = Bounded(WORK, limits=Limits(seconds=1, megabytes=300))
    yield made
    made.close()


def is_gone(pid: int) -> bool:
    """Whether a process has ended, if perhaps nobody has looked at its end yet."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_what_is_asked_comes_back_as_json_keeps_it(patient: Bounded) -> None:
    for value in (None, True, 0.1 + 0.2, "é\u2028\ud7ff", [1, [2.5, None]], {"a": {"b": []}}, float("inf")):
        assert patient.call("echo", value) == value
    assert patient.call("echo", (1, "two")) == [1, "two"]
    assert patient.call("numbers", 200_000) == [k / 7 for k in range(200_000)]
    assert patient.call("chatter") is None


def test_one_process_answers_many_calls_and_errors_do_not_end_it(patient: Bounded) -> None:
    pid = patient.call("pid")
    assert pid != os.getpid()
    with pytest.raises(ValueError, match=r"^line 3: no number$"):
        patient.call("refuse", "line 3: no number\nand more")
    for name in ("fault", "no_json", "nothing"):
        with pytest.raises(RuntimeError, match=r"KeyError|JSON"):
            patient.call(name)
    assert patient.call("pid") == pid


def test_what_takes_too_much_or_breaks_is_ended_in_one_line_and_the_next_is_answered(
    patient: Bounded, strict: Bounded
) -> None:
    for bounded, name, line in (
        (strict, "endless", "it takes more than 1 seconds, and was ended"),
        (strict, "half", "it takes more than 1 seconds, and was ended"),
        (patient, "memory", "it takes more than 300 MB of memory, and was ended"),
        (patient, "break", "it broke the process that it was read in"),
    ):
        before = bounded.call("pid")
        with pytest.raises(BoundedError) as error:
            bounded.call(name)
        assert str(error.value) == line
        after = bounded.call("pid")
        assert after != before
        assert until(partial(is_gone, before))


def test_a_call_that_never_ends_leaves_the_other_process_to_others(tmp_path: Path) -> None:
    both = Bounded(WORK, n_at_once=2, limits=Limits(seconds=600))
    begun, ended = tmp_path / "begun", []

    def hang() -> None:
        with pytest.raises(BoundedError):
            both.call("endless", str(begun))
        ended.append(True)

    one = threading.Thread(target=hang)
    one.start()
    try:
        assert until(begun.exists)
        assert [both.call("echo", k) for k in range(50)] == list(range(50))
        assert not ended
    finally:
        both.close()
        one.join(60)
    assert ended == [True]


def test_a_crowd_is_refused(tmp_path: Path) -> None:
    crowded = Bounded(WORK, limits=Limits(seconds=600))
    begun, refused, done = tmp_path / "begun", [], []

    def ask(name: str, *arguments: str) -> None:
        try:
            done.append(crowded.call(name, *arguments))
        except BusyError as error:
            refused.append(str(error))
        except ValueError:
            done.append("ended")

    threads = [threading.Thread(target=ask, args=("endless", str(begun)))]
    threads[0].start()
    assert until(begun.exists)
    threads += [threading.Thread(target=ask, args=("echo", "mine")) for _ in range(20)]
    try:
        for thread in threads[1:]:
            thread.start()
        assert until(lambda: len(refused) == 4)
        assert not done
    finally:
        os.kill(int(begun.read_text()), 9)
        for thread in threads:
            thread.join(60)
        crowded.close()
    assert set(refused) == {"too many others wait; try again in a minute"}
    assert sorted(done) == ["ended", *["mine"] * 16]


@needs_proc
def test_a_process_in_a_loop_of_c_ends_with_the_one_that_asked(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    asking = f"""
from matgen_core.jobs.bounded import Bounded, Limits
Bounded({WORK!r}, limits=Limits(seconds=600)).call("endless", {str(begun)!r})
"""
    parent = subprocess.Popen([sys.executable, "-c", asking], cwd=ROOT)
    assert until(lambda: begun.exists() and begun.read_text() != "")
    child = int(begun.read_text())
    assert not is_gone(child)
    parent.kill()
    parent.wait()
    assert until(lambda: is_gone(child))
