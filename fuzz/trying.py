"""One input at a door, and what is said of it."""

import re
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Literal

MOST_LETTERS = 1_000  # of what a door says; a screen of text is no line
_HERE = Path(__file__).parent
_WORD = re.compile(r"\b[a-z]{2,12}\b")

Kind = Literal["traceback", "more than a line", "a line too long", "time", "memory", "crash"]


@dataclass(frozen=True)
class Said:
    """What a door said of an input: whether anything of it was read, and each line about what was not."""

    read: bool
    lines: Sequence[str] = ()


@dataclass(frozen=True)
class Door:
    """A way in.

    Attributes:
        name: As the command takes it.
        what: What comes in.
        make: From chance to an input.
        knock: Hands an input over, with a folder that it may write to. ValueError and `errors` refuse it.
        errors: Further errors that may refuse an input.
        suffix: Of the file in which a failing input is kept.
    """

    name: str
    what: str
    make: Callable[[Random], bytes]
    knock: Callable[[bytes, Path], Said]
    errors: tuple[type[Exception], ...] = ()
    suffix: str = ".txt"

    def input(self, seed: int, number: int) -> bytes:
        """The input of a number: the same on every machine."""
        return self.make(Random(f"{seed}/{self.name}/{number}"))


@dataclass(frozen=True)
class Failure:
    """An input that was neither read nor refused in one line.

    Attributes:
        number: Of the input.
        kind: What went wrong.
        where: Error and line of code, or what was said.
        details: The traceback, if there is one.
        content: The input, made small where that is cheap.
    """

    number: int
    kind: Kind
    where: str
    details: str = ""
    content: bytes = b""


def tried(door: Door, content: bytes, folder: Path) -> bool | Failure:
    """Hand an input over: whether it was read, or what went wrong."""
    where = ""
    try:
        said = door.knock(content, folder)
    except MemoryError as error:
        return Failure(-1, "memory", _place(error), traceback.format_exc())
    except (ValueError, *door.errors) as error:
        said, where = Said(False, [str(error)]), _place(error)
    except Exception as error:
        return Failure(-1, "traceback", _place(error), traceback.format_exc())
    for line in said.lines:
        wrong: Kind | None = "more than a line" if len(line.splitlines()) != 1 else None
        wrong = wrong or ("a line too long" if len(line) > MOST_LETTERS else None)
        if wrong:
            return Failure(-1, wrong, where or " ".join(_WORD.findall(line)[-5:]), line)
    return said.read


def smallest(door: Door, content: bytes, folder: Path, failure: Failure, tries: int = 80) -> bytes:
    """Leave parts of a failing input out, as long as it fails in the same way."""
    size = len(content) // 2
    while size and tries > 0:
        at = 0
        while at < len(content) and tries > 0:
            shorter, tries = content[:at] + content[at + size :], tries - 1
            found = tried(door, shorter, folder)
            if isinstance(found, Failure) and (found.kind, found.where) == (failure.kind, failure.where):
                content = shorter
            else:
                at += size
        size = min(size, len(content)) // 2
    return content


def _place(error: BaseException) -> str:
    """The error and the innermost line of ours that it came through."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [
        frame
        for frame in frames
        if Path(frame.filename).is_relative_to(_HERE.parent) and "/.venv/" not in frame.filename
    ]
    frame = (ours or frames)[-1]
    return f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"
