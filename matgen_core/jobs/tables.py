"""Tables that grow part by part on the disk, and stay readable when the work stops or the disk is full."""

import os
from pathlib import Path
from typing import Protocol

import pandas as pd

from matgen_core.jobs.csv_cells import write_csv


class GrowingTable(Protocol):
    """A table on the disk that takes more rows."""

    n_rows: int  # written so far

    def write(self, rows: pd.DataFrame) -> None:
        """Add rows.

        Raises:
            OSError: If they cannot be written; the message says what stands there.
        """
        ...


class ParquetFolder:
    """A folder of parquet files, part-00000.parquet and so on; `pandas.read_parquet` reads it as one table.

    A part gets its name when it is whole.
    """

    def __init__(self, folder: Path) -> None:
        """Make the folder.

        Raises:
            ValueError: If there is something at that place.
        """
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
        self.path, self.n_rows = path, 0

    def write(self, rows: pd.DataFrame) -> None:
        """Add rows; see `GrowingTable`."""
        size = self.path.stat().st_size
        try:
            with self.path.open("a", newline="") as file:
                write_csv(rows, file, header=not self.n_rows)
        except BaseException as error:
            os.truncate(self.path, size)  # half a line would pass for a whole one
            if isinstance(error, OSError):
                raise _stopped(error, self.path, self.n_rows, "whole lines") from error
            raise
        self.n_rows += len(rows)


def _stopped(error: OSError, path: Path, n_rows: int, what: str) -> OSError:
    why = os.strerror(error.errno) if error.errno else str(error)  # that of pyarrow is longer
    return OSError(error.errno, f"{why}; the {n_rows:,} rows before stand there, in {what}", str(path))
