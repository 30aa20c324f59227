"""Tables as files: whole ones, and tables that grow part by part and stay readable when the work stops.

A table that grows does so beside its place, under a name that says that it is a part: `out.part.csv` of `out.csv`. It
takes the place when it is whole; of work that was stopped, the part stays, and the old table too.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

import pandas as pd

from matgen_core.jobs.files.csv_cells import write_csv
from matgen_core.jobs.files.outputs import claimed, whole_file, whole_folder


def save_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a CSV file without the numbers of the rows, whole or not at all; see `outputs.whole_file`."""
    with whole_file(path) as beside:
        write_csv(table, beside)


def save_parquet(table: pd.DataFrame, path: Path) -> None:
    """Write a parquet file, whole or not at all; see `outputs.whole_file`."""
    with whole_file(path) as beside:
        table.to_parquet(beside, index=False, compression="zstd")


class GrowingTable(Protocol):
    """A table on the disk that takes more rows."""

    n_rows: int  # written so far

    def write(self, rows: pd.DataFrame) -> None:
        """Add rows.

        Raises:
            OSError: If they cannot be written; the message says what stands there.
        """
        ...


@contextmanager
def growing(out: Path) -> Iterator[GrowingTable]:
    """Give a table that takes the place of `out` if the block ends well; else its rows stay beside as a part.

    Args:
        out: A .csv file, or a folder of parquet files that is new or empty. A part of earlier work is replaced.

    Yields:
        A table to write to. Whatever ends the block early gets a note that says where the rows are, and how many.

    Raises:
        ValueError: If there is something at the place of a folder.
        OSError: If nothing can be written there, or another command is writing it.
    """
    is_folder = out.suffix == ".parquet"
    if is_folder and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} exists and is not an empty folder; choose another")
    if not is_folder and out.exists() and not out.is_file() and not out.is_dir():  # a pipe holds no part
        with whole_file(out) as straight:
            yield CSVFile(straight)
        return
    part = part_of(out)
    with claimed(out, is_folder), claimed(part, is_folder):
        table: GrowingTable = ParquetFolder(part, anew=True) if is_folder else CSVFile(part)
        try:
            yield table
            if is_folder:
                with whole_folder(out) as beside:
                    for each in part.iterdir():
                        shutil.move(each, beside)  # which may be another file system
                part.rmdir()
            else:
                with whole_file(out) as beside:
                    part.rename(beside)
        except BaseException as error:
            if not table.n_rows:
                shutil.rmtree(part) if is_folder else part.unlink(missing_ok=True)
            elif not isinstance(error, OSError):  # which says it itself
                error.add_note(f"{part} holds {table.n_rows:,} rows, all whole")
            raise


def part_of(out: Path) -> Path:
    """Return where the rows of a growing table stand until it is whole."""
    return out.with_name(f"{out.stem}.part{out.suffix}")


class ParquetFolder:
    """A folder of parquet files, part-00000.parquet and so on; `pandas.read_parquet` reads it as one table.

    A part gets its name when it is whole.
    """

    def __init__(self, folder: Path, anew: bool = False) -> None:
        """Make the folder.

        Args:
            folder: Where.
            anew: Whether files of earlier work are removed.

        Raises:
            ValueError: If there is something at that place.
        """
        if anew and folder.is_dir():
            for each in (*folder.glob("part-*.parquet"), *folder.glob(".part-*.writing")):
                each.unlink()
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ValueError(f"{folder} exists and is not an empty folder; choose another")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.n_rows, self.n_parts = folder, 0, 0

    def write(self, rows: pd.DataFrame) -> None:
        """Add rows as one more file; see `GrowingTable`."""
        # Readers of parquet folders pass over names that begin with a point.
        unfinished = self.folder / f".part-{self.n_parts:05d}.writing"
        try:
            rows.to_parquet(unfinished, index=False, compression="zstd")
            unfinished.rename(self.folder / f"part-{self.n_parts:05d}.parquet")
        except BaseException as error:
            unfinished.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise _stopped(error, self.folder, self.n_rows, f"{self.n_parts} whole files") from error
            raise
        self.n_parts += 1
        self.n_rows += len(rows)


class CSVFile:
    """A CSV file that is longer with every part."""

    def __init__(self, path: Path) -> None:
        """Begin an empty file; one that stands there is replaced."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
        self.path, self.n_rows, self._has_header = path, 0, False

    def write(self, rows: pd.DataFrame) -> None:
        """Add rows; see `GrowingTable`."""
        size = self.path.stat().st_size
        try:
            with self.path.open("a", newline="") as file:
                write_csv(rows, file, header=not self._has_header)
        except BaseException as error:
            with suppress(OSError):  # a pipe cannot be cut
                os.truncate(self.path, size)  # half a line would pass for a whole one
            if isinstance(error, OSError):
                raise _stopped(error, self.path, self.n_rows, "whole lines") from error
            raise
        self._has_header = True
        self.n_rows += len(rows)


def _stopped(error: OSError, path: Path, n_rows: int, what: str) -> OSError:
    why = os.strerror(error.errno) if error.errno else str(error)  # that of pyarrow is longer
    return OSError(error.errno, f"{why}; the {n_rows:,} rows before stand there, in {what}", str(path))
