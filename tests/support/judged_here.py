"""Pieces of long work computed in this process, by a potential that anyone can follow."""

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from matgen_core.tasks.validation import judging
from tests.support.potentials import Pairs


class Here:
    """Workers without processes; they note what they were asked."""

    n, seconds = 1, 900.0

    def __init__(self, most: int = 1_000) -> None:
        """Take after how many pieces the power fails."""
        self.asked: list[str] = []
        self._most = most

    def submit(self, content: str, settings: Mapping[str, Any]) -> "Future[Any]":
        """Compute a piece at once."""
        if len(self.asked) == self._most:
            raise KeyboardInterrupt
        self.asked.append(content)
        done: Future[Any] = Future()
        try:
            done.set_result(judging.piece(content, settings))
        except Exception as problem:
            done.set_exception(problem)
        return done

    def close(self) -> None:
        """Let go of nothing."""


def pairs_named(name: str, broken: int = -1, each_atom: float = 0.0) -> Pairs:
    """The pairs under the name of a potential whose reference energies there are."""
    potential = Pairs(broken=broken, each_atom=each_atom)
    potential.name = name
    return potential
