"""Options that several commands have, and what they say and hold while they run; nothing here computes."""

import os
import sys
from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

import typer

from matgen_core import checkpoint as checkpoints
from matgen_core.checkpoint import renamed
from matgen_core.jobs.files.outputs import UNFINISHED, claimed

_Command = TypeVar("_Command", bound=Callable[..., None])
MAX_POINTS = 10_000  # decoded in one run; each is held in memory with its crystal
Out = Annotated[Path | None, typer.Option("--out", help="File to write; standard output if not given")]
MixedValence = Annotated[
    bool, typer.Option(help="Accept a repeated element (a mixed-valence field, as in the published table)")
]


def current_name(name: str) -> str:
    """Return what a checkpoint is called now; where the name has changed hands, a line says so."""
    now, line = renamed.found(name, checkpoints.names())
    if line:
        typer.echo(line, err=True)
    return now


def check_number(n: int, what: str) -> None:
    """Refuse to decode nothing, or more than one run may."""
    if not 1 <= n <= MAX_POINTS:
        raise ValueError(f"{n} {what}; one run takes 1 to {MAX_POINTS:,}")


def check_seed(seed: int) -> None:
    """Refuse a seed that no generator of random numbers takes."""
    if seed < 0:
        raise ValueError(f"--seed {seed}; expected 0 or more")


def new_folder(out: Path) -> Path:
    """Refuse a folder with something in it: old files would pass for new ones, or be lost."""
    if out.exists() and (not out.is_dir() or any(not each.name.startswith(UNFINISHED) for each in out.iterdir())):
        raise ValueError(f"{out} exists and is not an empty folder; choose another --out")
    return out


def print_out(text: str) -> None:
    """Write to standard output.

    Raises:
        ValueError: If it takes no more, as a full disk or a pipe whose reader has gone.
    """
    try:
        sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
        sys.stdout.flush()
    except OSError as error:
        # What is left in the buffer would be tried again, and fail again, when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        # No OSError: the command line's library ends without a word at a closed pipe.
        raise ValueError(f"standard output: {error.strerror}") from error


def holds_out(is_folder: bool | None = None) -> Callable[[_Command], _Command]:
    """Let a command hold what its option --out names from the first moment: what cannot be written is told at once.

    Args:
        is_folder: Whether that is a folder or a file; None if it may be either.
    """

    def holding(command: _Command) -> _Command:
        @wraps(command)
        def held(*arguments: Any, **options: Any) -> None:
            with claimed(options["out"], is_folder):
                command(*arguments, **options)

        return cast(_Command, held)

    return holding


def report_problems(names: Iterable[str], problems: Iterable[str | None]) -> None:
    """Say on standard error what is wrong with which input, a line each."""
    for name, problem in zip(names, problems, strict=True):
        if problem:
            typer.echo(f"{name}: {problem}", err=True)


class Counter:
    """Progress on standard error: a line at every tenth of the work, if it is long."""

    def __init__(self, n: int, what: str, most_in_silence: int = 500) -> None:
        self._n, self._what, self._said = n, what, 0
        self._most_in_silence = most_in_silence

    def __call__(self, done: int) -> None:
        """Say how much is done, now and then."""
        if self._n > self._most_in_silence and done * 10 // self._n > self._said:
            self._said = done * 10 // self._n
            typer.echo(f"{done:,} of {self._n:,} {self._what}", err=True)
