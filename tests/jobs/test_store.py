"""Long work in a store: nothing finished is lost or done twice, whoever is killed; nobody takes all the room."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from matgen_core.jobs.bounded import Limits
from matgen_core.jobs.pieces import ClusterWorkers, ProcessWorkers, work_through
from matgen_core.jobs.store import MAX_OPEN_EACH, FullError, Piece, Store
from tests.support.serving import ROOT
from tests.support.waiting import until

PIECES = "tests.support.pieces"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "work")


@pytest.fixture
def workers():
    made = ProcessWorkers(PIECES, 2, Limits(60, 2_000))
    yield made
    made.close()


def failed(piece: Piece, problem: str) -> dict[str, object]:
    return {"number": None, "problem": problem}


def numbers(store: Store, work: str) -> list[object]:
    return [None if row is None else row["number"] for row in store.rows(work)]


def test_pieces_are_computed_once_whoever_asks(store: Store, workers: ProcessWorkers, tmp_path: Path) -> None:
    settings = {"calls": str(tmp_path / "calls")}
    first = store.add("double", "One", settings, [("a", "1"), ("b", "2"), ("again", "1")])
    assert (first.n, first.n_done, first.progress) == (3, 0, "waiting")
    told: list[tuple[int, int]] = []
    assert work_through(store, first.id, workers, failed, lambda done, n: told.append((done, n)))
    assert numbers(store, first.id) == [2, 4, 2]
    assert told[0] == (0, 3)
    assert told[-1] == (3, 3)
    assert store.rest(first.id, 1) == {"half": 1.0}
    second = store.add("double", "Two", settings, [("b", "2"), ("c", "3")])
    assert (second.n_done, [each.name for each in store.missing(second.id)]) == (1, ["c"])
    assert work_through(store, second.id, workers, failed)
    assert store.add("double", "Two", settings, [("b", "2"), ("c", "3")]).id == second.id
    other = store.add("double", "Other settings", {**settings, "more": 1}, [("b", "2")])
    assert other.n_done == 0
    assert sorted((tmp_path / "calls").read_text().split()) == ["1", "2", "3"]
    assert [each.title for each in store.works()] == ["Other settings", "Two", "One"]


def test_a_piece_that_fails_costs_its_own_row(store: Store, workers: ProcessWorkers) -> None:
    work = store.add("double", "", {}, [("a", "1"), ("b", "fail"), ("c", "fault"), ("d", "die"), ("e", "4")])
    assert work_through(store, work.id, workers, failed)
    assert numbers(store, work.id) == [2, None, None, None, 8]
    problems = [row["problem"] for row in store.rows(work.id)]
    assert problems[1] == "it"
    assert problems[2] == "a fault of this program: TypeError: a bug"
    assert problems[3] == "it broke the process that it was read in"
    assert store.work(work.id).progress == "done"


def test_work_that_is_stopped_goes_on_where_it_was(store: Store, workers: ProcessWorkers, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    work = store.add("double", "", {}, [("a", "1"), ("w", f"wait {gate}")])
    done: list[bool] = []
    thread = threading.Thread(target=lambda: done.append(work_through(store, work.id, workers, failed)))
    thread.start()
    assert until(lambda: store.work(work.id).n_done == 1, 60)
    assert store.work(work.id).progress == "running"
    with store.working_on(work.id) as is_ours:
        assert not is_ours
    with pytest.raises(ValueError, match="somebody else works on this already"):
        work_through(store, work.id, workers, failed)
    store.stop(work.id)
    thread.join(60)
    assert done == [False]
    assert store.work(work.id).progress == "stopped"
    gate.touch()
    assert work_through(store, work.id, workers, failed)
    assert numbers(store, work.id) == [2, 0]


KILLED = """
import sys
from pathlib import Path
from matgen_core.jobs.bounded import Limits
from matgen_core.jobs.pieces import ProcessWorkers, work_through
from matgen_core.jobs.store import Store
folder, work = sys.argv[1:]
work_through(Store(Path(folder)), work, ProcessWorkers("tests.support.pieces", 2, Limits(60, 2_000)), lambda *_: {})
"""


def test_a_killed_process_loses_no_finished_piece(store: Store, workers: ProcessWorkers, tmp_path: Path) -> None:
    gate, calls = tmp_path / "gate", tmp_path / "calls"
    work = store.add(
        "double", "", {"calls": str(calls)}, [*((str(n), str(n)) for n in range(6)), ("w", f"wait {gate}")]
    )
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(store.folder), work.id], cwd=ROOT)
    assert until(lambda: store.work(work.id).n_done == 6, 60)
    assert store.work(work.id).progress == "running"
    os.kill(process.pid, signal.SIGKILL)
    process.wait(60)
    assert until(lambda: store.work(work.id).progress == "interrupted", 60)
    assert numbers(store, work.id) == [0, 2, 4, 6, 8, 10, None]
    gate.touch()
    assert work_through(store, work.id, workers, failed)
    assert numbers(store, work.id)[-1] == 0
    assert calls.read_text().splitlines().count("5") == 1


def test_a_worker_that_is_killed_loses_nothing(store: Store, tmp_path: Path) -> None:
    """Dask tries what the killed worker had in hand on another one."""
    distributed = pytest.importorskip("distributed")
    gate = tmp_path / "gate"
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
    ) as cluster:
        workers = ClusterWorkers(PIECES, cluster.scheduler_address)
        assert workers.n == 2
        work = store.add("double", "", {}, [("a", "1"), ("w", f"wait {gate}"), ("b", "2"), ("f", "fail"), ("c", "3")])
        done: list[bool] = []
        thread = threading.Thread(target=lambda: done.append(work_through(store, work.id, workers, failed)))
        thread.start()
        assert until(lambda: store.work(work.id).n_done == 4, 60)
        for nanny in cluster.workers.values():  # one of them waits
            os.kill(nanny.pid, signal.SIGKILL)
        gate.touch()
        thread.join(120)
        workers.close()
    assert done == [True]
    assert numbers(store, work.id) == [2, 0, 4, None, 6]


def test_a_cluster_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match="no Dask scheduler answers at 'nowhere'; write it as tcp://host:8786"):
        ClusterWorkers(PIECES, "nowhere")


def test_nobody_takes_all_the_room(store: Store) -> None:
    for number in range(MAX_OPEN_EACH):
        store.add("double", "", {}, [("a", str(number))], owner="one")
    with pytest.raises(FullError, match=f"{MAX_OPEN_EACH} works of yours wait or run"):
        store.add("double", "", {}, [("a", "9")], owner="one")
    store.add("double", "", {}, [("a", "9")], owner="other")
    store.remove(store.works("one")[0].id)
    store.add("double", "", {}, [("a", "9")], owner="one")
    with pytest.raises(ValueError, match="0 pieces of work"):
        store.add("double", "", {}, [])
    with pytest.raises(KeyError):
        store.work("none")


def test_what_no_work_has_any_more_is_forgotten(store: Store, workers: ProcessWorkers) -> None:
    one = store.add("double", "", {}, [("a", "1"), ("b", "2")])
    two = store.add("double", "", {}, [("b", "2")])
    work_through(store, one.id, workers, failed)
    store.remove(one.id)
    assert numbers(store, two.id) == [4]
    assert store.add("double", "", {}, [("a", "1")]).n_done == 0


def test_a_file_that_is_no_store_is_named(tmp_path: Path) -> None:
    (tmp_path / "work.sqlite").write_text("nothing of the kind" * 100)
    with pytest.raises(OSError, match=r"work\.sqlite: it is no store of works .*; move it away to begin anew"):
        Store(tmp_path)
    assert (tmp_path / "work.sqlite").read_text().startswith("nothing of the kind")


def test_a_disk_that_is_full_costs_the_piece_under_way(store: Store, workers, monkeypatch) -> None:
    work = store.add("double", "", {}, [("a", "1"), ("b", "2"), ("c", "3")])
    keep, kept = store.keep, []

    def full(key: str, *values: object) -> None:
        if kept:
            raise OSError("work.sqlite: database or disk is full")
        kept.append(key)
        keep(key, *values)

    monkeypatch.setattr(store, "keep", full)
    with pytest.raises(OSError, match="full"):
        work_through(store, work.id, workers, failed)
    assert store.work(work.id).progress == "interrupted"
    assert store.work(work.id).n_done == 1
