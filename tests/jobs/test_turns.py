"""The line before work that few may do at a time."""

import threading
import time

from matgen_core.jobs.turns import Turn, Turns
from tests.support.waiting import until


def begin(turn: Turn, began: list[Turn]) -> None:
    """Wait for a turn in a thread of its own and note it."""

    def run() -> None:
        if turn.wait():
            began.append(turn)

    threading.Thread(target=run, daemon=True).start()


def test_two_work_and_the_others_begin_in_the_order_in_which_they_came() -> None:
    turns, began = Turns(2), list[Turn]()
    line = [turns.join() for _ in range(5)]
    assert [turn.ahead for turn in line] == [0, 0, 1, 2, 3]
    for turn in reversed(line):  # who asks first whether it may begin does not matter
        begin(turn, began)
    assert until(lambda: len(began) == 2)
    time.sleep(0.05)
    assert set(began) == set(line[:2])
    line[1].leave()
    assert until(lambda: began[2:] == [line[2]])
    assert [turn.ahead for turn in line] == [0, 0, 0, 1, 2]
    line[0].leave()
    line[0].leave()
    assert until(lambda: began[3:] == [line[3]])
    time.sleep(0.05)
    assert line[4] not in began


def test_who_leaves_the_line_never_begins_and_lets_the_others_move_up() -> None:
    turns, began = Turns(1), list[Turn]()
    first, second, third = (turns.join() for _ in range(3))
    ended = threading.Event()

    def run() -> None:
        assert not second.wait()
        ended.set()

    threading.Thread(target=run, daemon=True).start()
    begin(third, began)
    second.leave()
    assert ended.wait(10)
    assert third.ahead == 1
    assert not began
    first.leave()
    assert until(lambda: began == [third])
