"""Files that several commands read or write."""

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

import numpy as np
import pandas as pd
import typer
from pymatgen.core import Structure

from matgen_core.data.tables import TextTable, titles
from matgen_core.data.tables import read_csv as parse_table
from matgen_core.jobs import csv_cells
from matgen_core.jobs.outputs import UNFINISHED, claimed, whole_folder
from matgen_core.jobs.tables import save_csv, save_parquet
from matgen_core.materials.fields import read_field
from matgen_core.materials.levels import PHASE_FIELD

_Command = TypeVar("_Command", bound=Callable[..., None])
_REPORTED = 20
MAX_POINTS = 10_000  # decoded in one run; each is held in memory with its crystal
Out = Annotated[Path | None, typer.Option("--out", help="File to write; standard output if not given")]
MixedValence = Annotated[
    bool, typer.Option(help="Accept a repeated element (a mixed-valence field, as in the published table)")
]


@dataclass(frozen=True)
class Input:
    """One material that was read, or why it could not be."""

    name: str
    material: Any = None
    problem: str | None = None
    note: str = ""  # what was done or guessed to read it
    place: str = ""  # the file and the line of a row of a table


def read_fields(path: Path, mixed_valence: bool) -> tuple[TextTable, list[Input]]:
    """Read a CSV file and its column phase_field, one input a row; a bad one keeps its place with the reason."""
    table = read_csv(path, PHASE_FIELD.column, "Li-Sn-S-Cl")
    inputs = []
    for text, problem, line in zip(table.rows[PHASE_FIELD.column], table.problems, table.lines, strict=True):
        place = f"{path}, line {line}"
        try:
            if problem:
                raise ValueError(problem)
            field, note = read_field(text, mixed_valence)
            inputs.append(Input(text, field, note=note, place=place))
        except ValueError as error:
            hint = "; --mixed-valence accepts it" if "repeats" in str(error) else ""
            inputs.append(Input(text, problem=f"{error}{hint}", place=place))
    return table, inputs


def read_csv(path: Path, column: str, example: str) -> TextTable:
    """Read a CSV file as text; it needs one column and a row. What was done to read it goes to standard error."""
    table = parse_table(path, (column,))
    if column not in table.rows:
        columns = titles(table.rows)
        raise ValueError(f"{path} has no column {column}; its columns are: {columns}")
    if table.rows.empty:
        raise ValueError(f"{path} has a column {column} but no rows; put one such as {example} in each")
    for note in table.notes:
        typer.echo(f"{path}: {note}", err=True)
    return table


def report_rows(table: TextTable, problems: Sequence[str | None]) -> None:
    """Say on standard error what is wrong with which row of a file: the first twenty, and how many more."""
    wrong = [(line, problem) for line, problem in zip(table.lines, problems, strict=True) if problem]
    for line, problem in wrong[:_REPORTED]:
        typer.echo(f"{table.name}, line {line}: {problem.removeprefix(f'line {line} ')}", err=True)
    if len(wrong) > _REPORTED:
        typer.echo(f"{table.name}: and {len(wrong) - _REPORTED:,} more rows; their column problem says why", err=True)


def read_points(path: Path, latent_dim: int) -> Any:
    """Read latent points, (n, latent_dim) float32, of a .npy file; no pickle is opened.

    Raises:
        ValueError: If the file is no array, or one of another shape or kind, or of too many points.
    """
    expected = f"expected float numbers of shape (n, {latent_dim}), as numpy.save writes them"
    try:
        points = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path}: no readable .npy file; {expected}") from error
    if not isinstance(points, np.ndarray):
        raise ValueError(f"{path}: an archive of arrays; {expected}")
    if points.ndim != 2 or points.shape[1] != latent_dim or not len(points) or points.dtype.kind != "f":
        raise ValueError(f"{path}: {points.dtype} of shape {points.shape}; {expected}")
    check_number(len(points), "points")
    points = np.array(points, np.float32)
    if not np.isfinite(points).all():
        row = int(np.argmin(np.isfinite(points).all(axis=1)))
        raise ValueError(f"{path}: point {row + 1} holds a number that is not finite")
    return points


def check_number(n: int, what: str) -> None:
    """Refuse to decode nothing, or more than one run may."""
    if not 1 <= n <= MAX_POINTS:
        raise ValueError(f"{n} {what}; one run takes 1 to {MAX_POINTS:,}")


def new_folder(out: Path) -> Path:
    """Refuse a folder with something in it: old files would pass for new ones, or be lost."""
    if out.exists() and (not out.is_dir() or any(not each.name.startswith(UNFINISHED) for each in out.iterdir())):
        raise ValueError(f"{out} exists and is not an empty folder; choose another --out")
    return out


def write_structures(
    out: Path, stems: Sequence[str], structures: Sequence[Structure | None], table: pd.DataFrame
) -> None:
    """Write a CIF for each structure that there is, and table.csv with their names in a column file."""
    from matgen_core.data.structure_export import cif, distinct_names  # a second to import

    files = []
    with whole_folder(out) as folder:
        for stem, structure in zip(distinct_names(stems), structures, strict=True):
            files.append("" if structure is None else f"{stem}.cif")
            if structure is not None:
                (folder / files[-1]).write_text(cif(structure), encoding="utf-8")
        save_csv(table.assign(file=files), folder / "table.csv")
    typer.echo(f"wrote {sum(map(bool, files)):,} CIF files and {len(table):,} rows of table.csv to {out}", err=True)


def write_csv(table: pd.DataFrame, out: Path | None) -> None:
    """Write CSV to a file, or to standard output."""
    if out is None:
        print_out(csv_cells.csv_text(table))
    else:
        save_csv(table, out)
        typer.echo(f"wrote {len(table):,} rows to {out}", err=True)


def write_parquet(table: pd.DataFrame, out: Path) -> None:
    """Write parquet to a file."""
    save_parquet(table, out)
    typer.echo(f"wrote {len(table):,} rows to {out}", err=True)


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

    def __init__(self, n: int, what: str) -> None:
        self._n, self._what, self._said = n, what, 0

    def __call__(self, done: int) -> None:
        """Say how much is done, now and then."""
        if self._n > 500 and done * 10 // self._n > self._said:
            self._said = done * 10 // self._n
            typer.echo(f"{done:,} of {self._n:,} {self._what}", err=True)
