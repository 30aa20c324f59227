"""Properties and checks of a person's own materials on the command line."""

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from matgen_core import checkpoint as checkpoints
from matgen_core import prediction, screening
from matgen_core.cli._tables import Counter, Out, read_csv, report_problems, write_csv
from matgen_core.data import StructureFile, read_structures


def predict(
    name: Annotated[str, typer.Argument(help="Name of a checkpoint that predicts; see: matgen models")],
    inputs: Annotated[
        list[Path], typer.Argument(metavar="INPUT...", help="CIF, POSCAR or extended XYZ files, or folders of them")
    ],
    out: Out = None,
) -> None:
    """Predict properties: a row a crystal with its file, each property with _std beside it, and the problem."""
    checkpoint = checkpoints.load(name)
    read = read_structures(inputs)
    there = {row: file.structure for row, file in enumerate(read) if file.structure is not None}
    predicted = prediction.predict(checkpoint, list(there.values()))
    table = predicted.set_index(pd.Index(list(there))).reindex(range(len(read)))
    table["problem"] = table["problem"].astype(object).fillna(pd.Series([file.problem for file in read]))
    table.insert(0, "file", [file.name for file in read])
    report_problems(table["file"], table["problem"])
    write_csv(table, out)


def check(
    inputs: Annotated[
        list[Path],
        typer.Argument(metavar="INPUT...", help="CSV with a column formula, or structure files, or folders of them"),
    ],
    out: Out = None,
) -> None:
    """Check compositions and structures: a row each with every check's verdict and, beside it, the reason.

    A verdict is True, False, or empty where the check cannot tell.
    """
    tables = [path for path in inputs if path.suffix.lower() == ".csv"]
    if tables and len(inputs) > 1:
        raise ValueError("give one CSV file, or structure files, not both and not several CSV files")
    if tables:
        given = read_csv(tables[0], "formula", "Fe2O3")["formula"].to_list()
        table = screening.screen_texts(given, screening.COMPOSITION_RULES)
    else:
        read = read_structures(inputs)
        checks = (*screening.STRUCTURE_CHECKS, *screening.COMPOSITION_CHECKS)
        table = screening.screen(map(_material, read), checks, Counter(len(read), "structures checked"))
        table.insert(0, "file", [file.name for file in read])
        report_problems(table["file"], table["problem"])
    write_csv(table, out)


def _material(file: StructureFile) -> object:
    return ValueError(file.problem) if file.structure is None else file.structure
