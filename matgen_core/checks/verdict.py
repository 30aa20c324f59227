"""The three answers of a check, apart so that all checks may import them."""

from collections.abc import Callable
from dataclasses import dataclass

from pymatgen.core import Composition, Structure


@dataclass(frozen=True)
class Verdict:
    """What a check says of one material; `passed` is None where it cannot tell."""

    passed: bool | None
    reason: str


@dataclass(frozen=True)
class Check:
    """A named function material -> Verdict.

    Attributes:
        name: Column of the verdict in a screening table; `<name>_reason` is beside it.
        judge: The function. It is given a structure or a composition and answers for both.
        decides: Whether it has a say in the summary `valid` of a table; one that does not is reported beside it.
    """

    name: str
    judge: Callable[[Structure | Composition], Verdict]
    decides: bool = True

    def __call__(self, material: Structure | Composition) -> Verdict:
        """Judge one material."""
        return self.judge(material)
