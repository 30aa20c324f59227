"""Works beside a page: one line, one owner each, nothing lost with a server and nothing computed twice."""

import threading
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from pymatgen.core import Lattice, Structure

from matgen_core.data import StructureFile
from matgen_core.jobs import store as stores
from matgen_core.jobs.store import FullError, Store
from matgen_core.tasks import validation
from matgen_core.tasks.validation import beside, inputs, judging, runs
from matgen_core.tasks.validation.beside import Validations
from tests.support.crystals import rock_salt
from tests.support.judged_here import Here, pairs_named
from tests.support.waiting import until

PROTOCOL = validation.Protocol(second="", max_steps=2, frames=3)
ANNA, BERT = "browser:anna", "browser:bert"


@pytest.fixture(autouse=True)
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "potential_named", pairs_named)
    monkeypatch.setenv("MATGEN_WORK", str(tmp_path / "work"))


def candidates(*edges: float) -> list[inputs.Candidate]:
    """Crystals of low symmetry, whose point groups take no time."""
    cells = [Lattice.from_parameters(edge, 4.1, 4.4, 80, 85, 95) for edge in edges]
    salts = [Structure(cell, ["Na", "Cl"], [[0, 0, 0], [0.5, 0.52, 0.47]]) for cell in cells]
    return inputs.of_structures([f"salt {edge}" for edge in edges], salts)


class Gate(Here):
    """Workers that compute nothing before the gate is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.is_open = threading.Event()

    def submit(self, content: str, settings: Mapping[str, Any]) -> "Future[Any]":
        """Note what is asked; the answer comes when the gate is open."""
        done: Future[Any] = Future()

        def answer() -> None:
            self.is_open.wait(60)
            if done.set_running_or_notify_cancel():
                done.set_result(judging.piece(content, settings))

        self.asked.append(content)
        threading.Thread(target=answer, daemon=True).start()
        return done


def is_done(line: Validations, work: str, owner: str = ANNA) -> bool:
    return until(lambda: line.look(work, owner).state == "done", 60)


def test_a_work_is_judged_beside_and_belongs_to_who_asked() -> None:
    line = Validations(workers=Here)
    work = line.begin(candidates(5.5, 5.6), PROTOCOL, "salts", ANNA, {"from": "files"})
    assert is_done(line, work)
    found, source = line.asked(work, ANNA)
    rows, rests = line.gathered(work, ANNA, found)
    assert [each.name for each in found] == ["salt 5.5", "salt 5.6"]
    assert source == {"from": "files"}
    assert all(row["energy_above_hull"] is not None for row in rows)
    assert all(rest["relaxed"] for rest in rests)
    assert [each.work.id for each in line.works(ANNA)] == [work]
    assert line.works(BERT) == []
    for ask in (
        lambda: line.look(work, BERT),
        lambda: line.asked(work, BERT),
        lambda: line.rows(work, BERT, found),
        lambda: line.gathered(work, BERT, found),
        lambda: line.go_on(work, BERT),
        lambda: line.stop(work, BERT),
        lambda: line.remove(work, BERT),
        lambda: line.look("../../etc", ANNA),
    ):
        with pytest.raises(LookupError):
            ask()
    assert line.begin(candidates(5.5, 5.6), PROTOCOL, "salts", ANNA, {"from": "files"}) == work
    other = line.begin(candidates(5.5, 5.6), PROTOCOL, "salts", BERT, {"from": "files"})
    assert other != work
    assert line.look(other, BERT).state == "done", "equal crystals are judged once, whoever asks"
    line.remove(work, ANNA)
    assert line.works(ANNA) == []
    assert line.look(other, BERT).work.n_done == 2, "what another work has stays"


def test_what_cannot_be_judged_keeps_its_place() -> None:
    partial = Structure(Lattice.cubic(4), [{"Na": 0.5, "K": 0.5}, "Cl"], [[0, 0, 0], [0.5] * 3])
    strange = Structure(Lattice.cubic(4), ["X", "Cl"], [[0, 0, 0], [0.5] * 3])
    salt = rock_salt().get_primitive_structure()
    files = [
        StructureFile("bad.cif", "bad", problem="no readable CIF"),
        StructureFile("half.cif", "half", partial, notes=("sites are shared",)),
        StructureFile("salt.cif", "salt", salt, notes=("read twice", "and again")),
        StructureFile("x.cif", "x", strange),
    ]
    line = Validations(workers=Here)
    given = inputs.of_files(files)
    work = line.begin(given, PROTOCOL, "four", ANNA)
    assert is_done(line, work)
    kept, _ = line.asked(work, ANNA)
    assert [(each.name, each.problem, each.note) for each in kept] == [
        (each.name, each.problem, each.note) for each in given
    ]
    assert kept[1].structure == partial
    assert judging.content_of(kept[2].structure) == judging.content_of(salt)
    rows = line.rows(work, ANNA, kept)
    assert [row["problem"] for row in rows] == [each.problem for each in given]
    assert [bool(row["problem"]) for row in rows] == [True, True, False, True]
    assert rows[2]["energy_per_atom"] is not None
    with pytest.raises(ValueError, match="no crystal here can be relaxed"):
        line.begin(given[:2], PROTOCOL, "nothing", ANNA)
    with pytest.raises(ValueError, match="201 crystals; a page takes 200 at a time, `matgen validate` any number"):
        line.begin(candidates(5.6) * 201, PROTOCOL, "many", ANNA)


def test_one_work_at_a_time_and_others_see_their_place() -> None:
    gate = Gate()
    line = Validations(workers=lambda: gate)
    works = [
        line.begin(candidates(edge), PROTOCOL, "one", who) for edge, who in ((5.4, ANNA), (5.5, BERT), (5.6, ANNA))
    ]
    assert until(lambda: bool(gate.asked))
    first, second, third = (line.look(work, who) for work, who in zip(works, (ANNA, BERT, ANNA), strict=True))
    assert (first.state, second.state, third.state) == ("running", "waiting", "waiting")
    assert (first.ahead, second.ahead, third.ahead) == (0, 1, 2)
    line.stop(works[1], BERT)
    assert line.look(works[1], BERT).state == "stopped"
    assert line.look(works[2], ANNA).ahead == 1
    assert first.seconds_left is None, "nothing was measured yet"
    gate.is_open.set()
    assert is_done(line, works[0])
    assert is_done(line, works[2])
    assert line.look(works[1], BERT).work.n_done == 0
    line.go_on(works[1], BERT)
    assert is_done(line, works[1], BERT)
    assert len(gate.asked) == 3


def test_a_rate_is_measured_and_not_guessed() -> None:
    work = stores.Work("a", "validate", "", {}, "", 0.0, 8, 4, "running")
    assert beside.Standing(work, "running", seconds=10.0, n_here=2).seconds_left == pytest.approx(20)
    assert beside.Standing(work, "running", seconds=10.0, n_here=0).seconds_left is None


def test_a_stopped_work_goes_on_where_it_was() -> None:
    gate = Gate()
    line = Validations(workers=lambda: gate)
    work = line.begin(candidates(5.4, 5.5), PROTOCOL, "two", ANNA)
    assert until(lambda: len(gate.asked) == 2)
    line.stop(work, ANNA)
    assert line.look(work, ANNA).state == "stopped"
    gate.is_open.set()
    line.go_on(work, ANNA)
    assert is_done(line, work)


def test_what_a_server_left_is_interrupted_and_goes_on_without_a_piece_twice() -> None:
    """The power fails after three pieces of five; a work that stood in line is not counted as open for ever."""
    given = candidates(5.3, 5.4, 5.5, 5.6, 5.7)
    store = Store()
    begun = runs.begin(store, given, PROTOCOL, "five", ANNA)
    with pytest.raises(KeyboardInterrupt):
        runs.work_through(store, begun.id, Here(most=3), judging.failed)
    in_line = runs.begin(store, candidates(6.0), PROTOCOL, "in line", ANNA)
    n_kept = store.work(begun.id).n_done
    workers = Here()
    line = Validations(workers=lambda: workers)
    assert {each.work.title: each.state for each in line.works(ANNA)} == {"five": "interrupted", "in line": "stopped"}
    line.go_on(begun.id, ANNA)
    assert is_done(line, begun.id)
    assert n_kept >= 1
    assert len(workers.asked) == 5 - n_kept
    line.go_on(in_line.id, ANNA)
    assert is_done(line, in_line.id)


def test_what_cannot_be_kept_is_told_and_goes_on_later(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: Any) -> None:
        raise OSError("work.sqlite: database or disk is full")

    line = Validations(workers=Here)
    with monkeypatch.context() as patch:
        patch.setattr(Store, "keep", full)
        work = line.begin(candidates(5.5), PROTOCOL, "full", ANNA)
        assert until(lambda: line.look(work, ANNA).state == "failed", 60)
    assert line.look(work, ANNA).problem == "work.sqlite: database or disk is full"
    line.go_on(work, ANNA)
    assert is_done(line, work)


def test_nobody_has_more_than_a_few_works_open(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()
    line = Validations(workers=lambda: gate)
    works = [line.begin(candidates(5.0 + 0.1 * k), PROTOCOL, "one", ANNA) for k in range(stores.MAX_OPEN_EACH)]
    with pytest.raises(FullError, match="3 works of yours wait or run"):
        line.begin(candidates(6.0), PROTOCOL, "one", ANNA)
    other = line.begin(candidates(6.0), PROTOCOL, "one", BERT)
    monkeypatch.setattr(stores, "MAX_OPEN", stores.MAX_OPEN_EACH + 1)
    with pytest.raises(FullError, match="4 works wait or run here, and at most 4 may"):
        line.begin(candidates(6.1), PROTOCOL, "one", "browser:carl")
    line.remove(works[-1], ANNA)
    gate.is_open.set()
    assert is_done(line, other, BERT)
