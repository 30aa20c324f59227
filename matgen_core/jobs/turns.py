"""A line before work that few may do at a time: first come, first served, and whoever leaves makes room."""

import threading


class Turns:
    """The line; every method of it and of its `Turn`s may be called from any thread."""

    def __init__(self, n_at_once: int) -> None:
        """Open the line.

        Args:
            n_at_once: How many may work at a time.
        """
        self._n_at_once = n_at_once
        self._line: list[Turn] = []  # the first `n_at_once` work, the others wait
        self._changed = threading.Condition()

    def join(self) -> "Turn":
        """Stand at the end of the line."""
        turn = Turn(self)
        with self._changed:
            self._line.append(turn)
        return turn

    def _ahead(self, turn: "Turn") -> int | None:
        return max(0, self._line.index(turn) + 1 - self._n_at_once) if turn in self._line else None


class Turn:
    """One place in the line; `Turns.join` makes it."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns

    @property
    def ahead(self) -> int:
        """How many have to leave before it may work; 0 while it does, and when it has left."""
        with self._turns._changed:
            return self._turns._ahead(self) or 0

    def wait(self) -> bool:
        """Return True when it may work, or False when it has left the line instead."""
        with self._turns._changed:
            self._turns._changed.wait_for(lambda: not self._turns._ahead(self))
            return self._turns._ahead(self) is not None

    def leave(self) -> None:
        """Leave the line, from wherever in it; leaving again changes nothing."""
        with self._turns._changed:
            if self in self._turns._line:
                self._turns._line.remove(self)
                self._turns._changed.notify_all()
