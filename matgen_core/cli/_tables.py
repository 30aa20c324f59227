"""Files that several commands read or write."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import typer
from pymatgen.core import Structure

from matgen_core.cli._options import check_number, print_out
from matgen_core.data.tables import TextTable, titles
from matgen_core.data.tables import read_csv as parse_table
from matgen_core.jobs.files import csv_cells
from matgen_core.jobs.files.outputs import whole_folder
from matgen_core.jobs.files.tables import save_csv, save_parquet
from matgen_core.materials.fields import read_field
from matgen_core.materials.levels import PHASE_FIELD

_REPORTED = 20


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
