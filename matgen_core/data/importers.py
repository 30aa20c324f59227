"""Bring a person's own materials into the data folder.

Reads CSV, parquet, a CIF or a folder of them, extended XYZ, and ASE databases (SQLite or JSON). No format
that can run code is read: pickles, ASE trajectories and numpy object arrays are refused by never being
opened.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pandas import DataFrame

from matgen_core.data.registry import DATASETS, Source, check_name, path_of, root
from matgen_core.data.rows import STRUCTURE_COLUMNS, structure, structure_row
from matgen_core.data.store import read_table, sha256_of, write_table
from matgen_core.data.structure_files import (
    MAX_BYTES,
    MAX_SITES,
    Reading,
    one_line,
    periodicity,
    read_cif,
    read_frames,
    structure_of_atoms,
    structure_problem,
    text_of,
)
from matgen_core.data.tables import read_csv, titles
from matgen_core.jobs.files.outputs import whole_file
from matgen_core.materials.fields import read_field
from matgen_core.materials.levels import COMPOSITION, CRYSTAL, PHASE_FIELD
from matgen_core.materials.notation import read as read_formula

_CELL = ("a", "b", "c", "alpha", "beta", "gamma")
_COLUMNS = ("formula", "phase_field", "cif", "material_id", "lattice", "numbers", "frac_coords", *_CELL)
_LISTS = ("lattice", "numbers", "frac_coords")
_CIF = ("*.[cC][iI][fF]", "*.[mM][cC][iI][fF]")
_SQLITE = b"SQLite format 3\x00"

# A row, or why there is none, and what was done to read it: (name of the input, values, reason, notes). With neither
# values nor a reason the notes are on the file.
_Outcome = tuple[str, dict[str, Any] | None, str, tuple[str, ...]]


@dataclass(frozen=True)
class ImportLimits:
    """What one import may hold; more is refused before it is read."""

    max_bytes: int = 2 * 1024**3
    max_cif_bytes: int = MAX_BYTES
    max_rows: int = 1_000_000
    max_sites: int = MAX_SITES


@dataclass(frozen=True)
class ImportReport:
    """What an import read.

    Attributes:
        name: Name of the data set.
        path: The file written.
        n_read: Rows written.
        skipped: Input and reason of each that was not.
        notes: Input and line for each thing that was done or guessed to read a row that was written.
    """

    name: str
    path: Path
    n_read: int
    skipped: tuple[tuple[str, str], ...]
    notes: tuple[tuple[str, str], ...] = ()

    def summary(self) -> str:
        """Say how many came and where they are, then a line for each of the first twenty that did not, and notes."""
        lines = [f"{self.name}: {self.n_read} read, {len(self.skipped)} skipped; in {self.path}"]
        lines += [f"  skipped {label}: {reason}" for label, reason in self.skipped[:20]]
        if len(self.skipped) > 20:
            lines.append(f"  and {len(self.skipped) - 20} more")
        lines += [f"  note on {label}: {note}" for label, note in self.notes[:20]]
        if len(self.notes) > 20:
            lines.append(f"  and {len(self.notes) - 20} more notes")
        return "\n".join(lines)


def import_file(
    name: str, path: Path | str, *, replace: bool = False, limits: ImportLimits | None = None
) -> ImportReport:
    """Read materials and install them as a data set of the given name.

    Structures get the columns material_id, formula, lattice, numbers, frac_coords; all other columns are
    kept under their own names. A table without coordinates needs a column formula or phase_field. A material
    that cannot be read is skipped and reported, never guessed.

    Under the name of a registered data set only that data set is accepted: the registered file, or a table
    that has its columns.

    Args:
        name: Lower-case letters, digits and underscores.
        path: A file .csv, .parquet, .cif, .mcif, .xyz, .extxyz, .db or .json (both ASE), or a folder of CIFs.
        replace: Whether an installed data set of that name may be replaced.
        limits: Sizes above which the input is refused.

    Returns:
        How many rows were written, and what was skipped and why.

    Raises:
        ValueError: In one line: a bad name, a missing, unknown, oversized or unreadable file, a name that is
            taken, or no material at all. Nothing is written then.
    """
    check_name(name)
    path, limits = Path(path), limits or ImportLimits()
    target = path_of(name)
    if target.exists() and not replace:
        raise ValueError(f"{name} is installed already ({target}); choose another name, or delete that file")
    if not path.exists():
        raise ValueError(f"{path}: no such file or folder")
    _check_size(path, limits)
    if name in DATASETS:
        return _import_registered(name, path, target)
    reader = _reader(path)
    rows: list[dict[str, Any]] = []
    skipped: list[tuple[str, str]] = []
    notes: list[tuple[str, str]] = []
    try:
        for label, row, reason, said in reader(path, limits):
            if row is None and reason:
                skipped.append((label, reason))
                continue
            notes += [(label, note) for note in said]
            if row is not None:
                rows.append(row)
            if len(rows) > limits.max_rows:
                raise ValueError(f"{path}: more than {limits.max_rows} materials; import it in parts")
    except (OSError, UnicodeDecodeError, KeyError, pa.ArrowException) as error:
        raise ValueError(f"{path}: cannot be read ({type(error).__name__}: {one_line(error)})") from error
    if not rows:
        why = f"; the first was skipped because: {skipped[0][0]}: {skipped[0][1]}" if skipped else ""
        raise ValueError(f"{path}: no material could be read, nothing was written{why}")
    table = DataFrame(rows)
    write_table(table, target, _source(name, target, path, table))
    return ImportReport(name, target, len(table), tuple(skipped), tuple(notes))


def _check_size(path: Path, limits: ImportLimits) -> None:
    size = path.stat().st_size if path.is_file() else sum(f.stat().st_size for f in _cifs(path))
    if size > limits.max_bytes:
        raise ValueError(
            f"{path}: {size / 1e6:.0f} MB, but an import holds at most {limits.max_bytes / 1e6:.0f} MB; "
            "import it in parts"
        )


def _import_registered(name: str, path: Path, target: Path) -> ImportReport:
    """Install a copy of a registered data set: the very file, or a table with its columns."""
    source = DATASETS[name]
    if path.is_file() and sha256_of(path) == source.sha256:
        with whole_file(target) as beside:
            shutil.copyfile(path, beside)
        return ImportReport(name, target, source.rows or 0, ())
    if path.suffix not in (".csv", ".parquet"):
        raise ValueError(f"{path}: {name} is a registered data set and comes as CSV or parquet")
    try:
        table = read_table(path)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise ValueError(f"{path}: cannot be read ({type(error).__name__}: {one_line(error)})") from error
    missing = [column for column in source.columns if column not in table]
    if missing or table.empty:
        raise ValueError(
            f"{path}: not the registered data set {name}, it lacks {', '.join(missing) or 'rows'}; "
            "import it under another name"
        )
    if target.is_file() and sha256_of(target) == source.sha256:
        raise ValueError(f"{target} is the registered file of {name}; it is not replaced by another copy")
    write_table(table, target, source)
    return ImportReport(name, target, len(table), ())


def _reader(path: Path) -> Callable[[Path, ImportLimits], Iterator[_Outcome]]:
    if path.is_dir():
        return _read_cifs
    suffix = path.suffix.lower()
    if suffix not in _READERS:
        raise ValueError(
            f"{path}: cannot import {suffix or 'a file without extension'}; expected a folder of CIFs, or "
            f"{', '.join(_READERS)}"
        )
    return _READERS[suffix]


# --- One reader per format -------------------------------------------------------------------------------


def _cifs(folder: Path) -> list[Path]:
    return sorted(file for pattern in _CIF for file in folder.rglob(pattern))


def _read_cifs(path: Path, limits: ImportLimits) -> Iterator[_Outcome]:
    files = _cifs(path) if path.is_dir() else [path]
    if not files:
        raise ValueError(f"{path}: no file *.cif in this folder")
    for file in files:
        label = str((file.relative_to(path) if path.is_dir() else Path(file.name)).with_suffix(""))
        if file.stat().st_size > limits.max_cif_bytes:
            yield label + file.suffix, None, f"larger than {limits.max_cif_bytes / 1e6:.0f} MB", ()
            continue
        try:
            text = text_of(file.read_bytes())
        except ValueError as error:
            yield label, None, str(error), ()
            continue
        yield from _from_cif(label, text, limits, {})


def _from_cif(label: str, text: str, limits: ImportLimits, extra: Mapping[str, Any]) -> Iterator[_Outcome]:
    try:
        found = read_cif(text, limits.max_sites)
    except ValueError as error:
        yield label, None, str(error), ()
        return
    for number, each in enumerate(found, 1):
        yield _outcome(label if len(found) == 1 else f"{label}-{number}", each, limits, extra)


def _outcome(label: str, found: Reading, limits: ImportLimits, extra: Mapping[str, Any]) -> _Outcome:
    if found.structure is None:
        return label, None, found.problem, found.notes
    problem = structure_problem(found.structure, limits.max_sites)
    if problem:
        return label, None, problem, found.notes
    try:
        row = structure_row(label, found.structure)
    except ValueError as error:
        return label, None, str(error), found.notes
    return label, row | {key: value for key, value in extra.items() if key not in row}, "", found.notes


def _read_csv(path: Path, limits: ImportLimits) -> Iterator[_Outcome]:
    found = read_csv(path, _COLUMNS)
    yield path.name, None, "", found.notes
    for number, problem in enumerate(found.problems, 1):
        if problem:
            yield f"row {number}", None, problem, ()
    numbers = [number for number, problem in enumerate(found.problems, 1) if not problem]
    yield from _from_table(path, found.readable(), limits, numbers)


def _read_parquet(path: Path, limits: ImportLimits) -> Iterator[_Outcome]:
    # The footer tells the size before anything is unpacked.
    n_rows = pq.read_metadata(path).num_rows
    if n_rows > limits.max_rows:
        raise ValueError(f"{path}: {n_rows} rows, more than {limits.max_rows}; import it in parts")
    yield from _from_table(path, pd.read_parquet(path), limits, range(1, n_rows + 1))


def _from_table(path: Path, table: DataFrame, limits: ImportLimits, numbers: Sequence[int]) -> Iterator[_Outcome]:
    """Rows of a table by what it holds: coordinates, a column cif, formulas or phase fields; `numbers` count them."""
    columns = set(table.columns)
    has_cell = "lattice" in columns or columns.issuperset(_CELL)
    for number, record in zip(numbers, table.to_dict("records"), strict=True):
        label = str(record.get("material_id", f"row {number}"))
        if has_cell and columns.issuperset(("numbers", "frac_coords")):
            try:
                crystal = structure({key: _list(record[key]) if key in _LISTS else record[key] for key in record})
            except (ValueError, TypeError, ArithmeticError, RecursionError) as error:
                yield label, None, one_line(error), ()
                continue
            # Lengths and angles repeat the lattice that the row is given.
            extra = {key: value for key, value in record.items() if key not in (*_CELL, *STRUCTURE_COLUMNS)}
            yield _outcome(label, Reading(crystal), limits, extra)
        elif "cif" in columns:
            extra = {key: value for key, value in record.items() if key != "cif"}
            yield from _from_cif(label, str(record["cif"]), limits, extra)
        elif "formula" in columns or "phase_field" in columns:
            column = "formula" if "formula" in columns else "phase_field"
            text = "" if _is_missing(record[column]) else str(record[column])
            try:
                written, note = (text, read_formula(text).note) if column == "formula" else _written_field(text)
            except ValueError as error:
                yield label, None, one_line(error), ()
            else:
                values = {str(key): value for key, value in record.items()} | {column: written}
                yield label, values, "", (note,) if note else ()
        else:
            raise ValueError(
                f"{path}: expected a column formula, phase_field or cif, or numbers and frac_coords "
                f"with a cell; it has {titles(table)}"
            )


def _is_missing(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value))


def _written_field(text: str) -> tuple[str, str]:
    """A phase field as every table here holds it, joined by hyphens; as it came where it is."""
    field, note = read_field(text, mixed_valence=True)
    if sorted(text.split("-")) == list(field):
        return text, note
    written = field.chemists_order()
    return written, note or f"{text} written as {written}"


def _list(value: Any) -> Any:
    """A list column as numbers: an array from parquet, JSON text from CSV."""
    return json.loads(value) if isinstance(value, str) else value


def _read_xyz(path: Path, limits: ImportLimits) -> Iterator[_Outcome]:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        for position, found in enumerate(read_frames(file, limits.max_sites), 1):
            if found.structure is None:
                yield f"{path.stem}-{position}", None, found.problem, found.notes
                continue
            extra = {key: value for key, value in found.extra.items() if _is_plain(value)}
            yield _outcome(str(extra.get("material_id", f"{path.stem}-{position}")), found, limits, extra)


def _read_ase(path: Path, limits: ImportLimits) -> Iterator[_Outcome]:
    from ase.db import connect

    # The kind is given, so that the name of a file can never open a connection to a server.
    with path.open("rb") as file:
        kind = "db" if file.read(len(_SQLITE)) == _SQLITE else "json"
    if (kind == "db") != (path.suffix.lower() == ".db"):
        raise ValueError(f"{path}: no ASE database (.db is SQLite, .json is JSON)")
    try:
        rows = connect(path, type=kind, use_lock_file=False).select()
        for row in rows:
            extra = {key: value for key, value in row.key_value_pairs.items() if _is_plain(value)}
            if "energy" in row:
                extra["energy"] = float(row.energy)
            label = str(extra.get("material_id", f"{path.stem}-{row.id}"))
            try:
                said = periodicity(row.pbc)
                found = Reading(structure_of_atoms(row.cell, row.numbers, row.positions), "", (said,) if said else ())
            except ValueError as error:
                found = Reading(None, one_line(error))
            yield _outcome(label, found, limits, extra)
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: no readable ASE database ({one_line(error)})") from error


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | bool | int | float | np.number | np.bool_)


_READERS: dict[str, Callable[[Path, ImportLimits], Iterator[_Outcome]]] = {
    ".csv": _read_csv,
    ".parquet": _read_parquet,
    ".cif": _read_cifs,
    ".mcif": _read_cifs,
    ".xyz": _read_xyz,
    ".extxyz": _read_xyz,
    ".db": _read_ase,
    ".json": _read_ase,
}


def _source(name: str, target: Path, path: Path, table: DataFrame) -> Source:
    level = CRYSTAL if "frac_coords" in table else COMPOSITION if "formula" in table else PHASE_FIELD
    return Source(
        name=name,
        file=str(target.relative_to(root())),
        title=f"Imported from {path.name}",
        level=level.key,
        rows=len(table),
        columns={str(column): "as in the imported file" for column in table.columns},
        composition_column=level.column,
        text=f"your file {path.name}",
        licence="not stated",
        url="",
        sha256=None,
    )
