"""Long work in a store: nothing finished is lost or done twice, whoever is killed; nobody takes all the room."""

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from matgen_core.jobs.bounded import Limits
from matgen_core.jobs.pieces import ClusterWorkers, ProcessWorkers, work_through
from matgen_core.jobs.store import MAX_OPEN_EACH, FullError, Piece, Store
from tests.support.serving import ROOT

_PATIENCE = 120  # seconds; who waits longer waits for ever

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


class Held:
    """A piece that waits: it tells the process that it is in, and goes on when it is let."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        for name in ("told", "gate"):
            os.mkfifo(folder / name)
        self.folder, self.content = folder, f"held {folder}"

    def process(self) -> int:
        """Return the process that waits now, when it does."""
        pipe = os.open(self.folder / "told", os.O_RDONLY | os.O_NONBLOCK)
        text = b""
        while not text or select.select([pipe], [], [], 0)[0]:
            assert select.select([pipe], [], [], _PATIENCE)[0], "nobody waits"
            read = os.read(pipe, 100)
            text += read
            if text and not read:
                break
        os.close(pipe)
        return int(text)

    def go_on(self) -> None:
        writer = threading.Thread(target=(self.folder / "gate").write_text, args=("",), daemon=True)
        writer.start()
        writer.join(_PATIENCE)
        assert not writer.is_alive(), "nobody waits"


@pytest.fixture
def held(tmp_path: Path) -> Held:
    return Held(tmp_path / "held")


def beside(work: Callable[[], Any]) -> Callable[[], Any]:
    """Begin a call in a thread, and return what waits for its result."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(work()), daemon=True)
    thread.start()

    def result() -> Any:
        thread.join(_PATIENCE)
        return found[0]

    return result


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


def test_work_that_is_stopped_goes_on_where_it_was(store: Store, workers: ProcessWorkers, held: Held) -> None:
    work = store.add("double", "", {}, [("a", "1"), ("w", held.content)])
    one_is_done = threading.Event()
    first = beside(
        lambda: work_through(store, work.id, workers, failed, lambda done, n: done == 1 and one_is_done.set())
    )
    held.process()
    assert one_is_done.wait(_PATIENCE)
    assert store.work(work.id).progress == "running"
    with store.working_on(work.id) as is_ours:
        assert not is_ours
    with pytest.raises(ValueError, match="somebody else works on this already"):
        work_through(store, work.id, workers, failed)
    store.stop(work.id)
    assert first() is False
    assert store.work(work.id).progress == "stopped"
    second = beside(lambda: work_through(store, work.id, workers, failed))
    held.process()
    held.go_on()
    assert second() is True
    assert numbers(store, work.id) == [2, 0]


KILLED = """
import sys
from pathlib import Path
from matgen_core.jobs.bounded import Limits
from matgen_core.jobs.pieces import ProcessWorkers, work_through
from matgen_core.jobs.store import Store
folder, work = sys.argv[1:]
workers = ProcessWorkers("tests.support.pieces", 2, Limits(120, 2_000))
work_through(Store(Path(folder)), work, workers, lambda *_: {}, lambda done, n: print(done, flush=True))
"""


def test_a_killed_process_loses_no_finished_piece(
    store: Store, workers: ProcessWorkers, held: Held, tmp_path: Path
) -> None:
    calls = tmp_path / "calls"
    pieces = [*((str(n), str(n)) for n in range(6)), ("w", held.content)]
    work = store.add("double", "", {"calls": str(calls)}, pieces)
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(store.folder), work.id], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert "6" in (line.strip() for line in process.stdout), "it ended before"
    held.process()
    assert store.work(work.id).progress == "running"
    os.kill(process.pid, signal.SIGKILL)
    process.wait(_PATIENCE)
    process.stdout.close()
    assert store.work(work.id).progress == "interrupted"
    assert numbers(store, work.id) == [0, 2, 4, 6, 8, 10, None]
    goes_on = beside(lambda: work_through(store, work.id, workers, failed))
    held.process()
    held.go_on()
    assert goes_on() is True
    assert numbers(store, work.id)[-1] == 0
    assert calls.read_text().splitlines().count("5") == 1


def test_a_piece_whose_process_is_killed_is_tried_once_more(
    store: Store, workers: ProcessWorkers, held: Held, tmp_path: Path
) -> None:
    calls = tmp_path / "calls"
    pieces = [("w", held.content), ("a", "1"), ("o", f"die-once {tmp_path / 'once'}"), ("d", "die")]
    work = store.add("double", "", {"calls": str(calls)}, pieces)
    whole = beside(lambda: work_through(store, work.id, workers, failed))
    first = held.process()
    os.kill(first, signal.SIGKILL)
    assert held.process() != first
    held.go_on()
    assert whole() is True
    assert numbers(store, work.id) == [0, 2, 0, None]
    assert store.rows(work.id)[3] == {"number": None, "problem": "it broke the process that it was read in"}
    assert calls.read_text().splitlines().count("die") == 2, "not for ever"


def test_what_took_too_long_is_tried_again_with_more_time(store: Store, workers: ProcessWorkers, held: Held) -> None:
    work = store.add("double", "", {}, [("w", held.content), ("again", held.content)])
    hasty = ProcessWorkers(PIECES, 1, Limits(0.05, 2_000))
    told: list[tuple[int, int]] = []
    assert work_through(store, work.id, hasty, failed, lambda done, n: told.append((done, n)))
    problem = store.rows(work.id)[0]["problem"]
    assert problem == "it takes more than 0.05 seconds, and was ended"
    assert (store.work(work.id).n_done, told[-1]) == (2, (2, 2)), "it has its row"
    assert store.missing(work.id, 0.05) == [], "no more time, so no other result"
    told.clear()
    second = beside(lambda: work_through(store, work.id, workers, failed, lambda done, n: told.append((done, n))))
    held.process()
    held.go_on()
    assert second() is True
    assert numbers(store, work.id) == [0, 0]
    assert (told[0], told[-1]) == ((0, 2), (2, 2))
    assert store.missing(work.id, 1e9) == []
    hasty.close()


def test_what_took_too_long_is_tried_again_when_somebody_asks(store: Store) -> None:
    work = store.add("double", "", {}, [("a", "1"), ("b", "fail")])
    (first, second) = store.missing(work.id)
    store.keep(first.key, {"number": None}, {}, late=60.0)
    store.keep(second.key, {"number": None})
    workers = ProcessWorkers(PIECES, 1, Limits(60, 2_000))
    assert work_through(store, work.id, workers, failed)
    assert numbers(store, work.id) == [None, None]
    assert work_through(store, work.id, workers, failed, again=True)
    assert numbers(store, work.id) == [2, None], "what failed by itself stays"
    workers.close()


def test_a_worker_that_is_killed_loses_nothing(store: Store, held: Held) -> None:
    """Dask tries what the killed worker had in hand on another one."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
    ) as cluster:
        workers = ClusterWorkers(PIECES, cluster.scheduler_address)
        assert workers.n == 2
        work = store.add("double", "", {}, [("a", "1"), ("w", held.content), ("b", "2"), ("f", "fail"), ("c", "3")])
        whole = beside(lambda: work_through(store, work.id, workers, failed))
        first = held.process()
        os.kill(first, signal.SIGKILL)
        assert held.process() != first
        held.go_on()
        assert whole() is True
        workers.close()
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


FULL = """
import resource, sys
from pathlib import Path
from matgen_core.jobs.bounded import Limits
from matgen_core.jobs.pieces import ProcessWorkers, work_through
from matgen_core.jobs.store import Store
folder, work = sys.argv[1:]
store, workers = Store(Path(folder)), ProcessWorkers("tests.support.pieces", 1, Limits(120, 2_000))
largest = max(path.stat().st_size for path in store.folder.rglob("*") if path.is_file())
resource.setrlimit(resource.RLIMIT_FSIZE, (largest + 250_000,) * 2)
try:
    work_through(store, work, workers, lambda *_: {})
except OSError as error:
    print(error)
workers.close()
"""


def test_a_disk_that_is_full_costs_the_piece_under_way(store: Store, workers: ProcessWorkers) -> None:
    """Files may not grow beyond a bound, as on a disk without room: what SQLite meets is real."""
    work = store.add("double", "", {}, [(str(n), f"large {n}") for n in range(12)])
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(store.folder), work.id], cwd=ROOT, capture_output=True, text=True, check=True
    )
    (line,) = done.stdout.splitlines()
    assert line.startswith(f"{store.folder / 'work.sqlite'}: "), line
    assert line.endswith(("disk I/O error", "database or disk is full")), line
    kept = store.work(work.id)
    assert kept.progress == "interrupted"
    assert 1 <= kept.n_done < 12
    assert work_through(store, work.id, workers, failed)
    assert numbers(store, work.id) == [1] * 12
    assert store.rest(work.id, 0) == {"much": "x" * 50_000}
