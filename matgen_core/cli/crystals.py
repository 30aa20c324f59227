"""Properties and checks of a person's own materials on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from matgen_core import checkpoint as checkpoints
from matgen_core import checks
from matgen_core.cli._options import (
    Counter,
    Out,
    check_number,
    check_seed,
    current_name,
    holds_out,
    new_folder,
    report_problems,
)
from matgen_core.materials.levels import COMPOSITION

if TYPE_CHECKING:
    from matgen_core.data import StructureFile


@holds_out(is_folder=False)
def predict(
    name: Annotated[
        str, typer.Argument(help="Name of a checkpoint that predicts; see: matgen models", callback=current_name)
    ],
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUT...",
            help="CIF, POSCAR or extended XYZ files, or folders of them; for a model of compositions also a CSV with"
            " a column formula",
        ),
    ],
    out: Out = None,
) -> None:
    """Predict properties: a row a crystal or formula, each property with _std beside it, and the problem.

    A model of compositions takes structure files too, and predicts from their formulas.
    """
    import pandas as pd

    from matgen_core.cli._tables import read_csv, report_rows, write_csv
    from matgen_core.data import read_structures
    from matgen_core.materials.notation import note_on
    from matgen_core.tasks import prediction
    from matgen_core.tasks.remarks import remark_on

    checkpoint = checkpoints.load(name)
    tables = _tables_alone(inputs)
    if prediction.predicts_formulas(checkpoint) and tables:
        given = read_csv(tables[0], COMPOSITION.column, "Fe2O3")
        texts = given.rows[COMPOSITION.column].to_list()
        table = prediction.predict_texts(checkpoint, texts, Counter(len(texts), "formulas predicted"), given.problems)
        table["note"] = list(map(note_on, texts))
        report_rows(given, table["problem"].to_list())
    elif tables:
        raise ValueError(
            f"{tables[0]} is a table, but {name} predicts no properties of formulas; give it structure files, or take"
            f" one of: {', '.join(_formula_models()) or 'none is here'}"
        )
    else:
        read = read_structures(inputs)
        there = {row: file.structure for row, file in enumerate(read) if file.structure is not None}
        if prediction.predicts_formulas(checkpoint):
            texts = [structure.composition.reduced_formula for structure in there.values()]
            predicted = prediction.predict_texts(checkpoint, texts)
        else:
            predicted = prediction.predict(checkpoint, list(there.values()))
        table = predicted.set_index(pd.Index(list(there))).reindex(range(len(read)))
        table["problem"] = table["problem"].astype(object).fillna(pd.Series([file.problem for file in read]))
        table.insert(0, "file", [file.name for file in read])
        table["note"] = list(map(remark_on, read))
        report_problems(table["file"], table["problem"])
    write_csv(table, out)


@holds_out(is_folder=False)
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
    from matgen_core.cli._tables import read_csv, report_rows, write_csv
    from matgen_core.data import read_structures
    from matgen_core.materials.notation import note_on
    from matgen_core.tasks.remarks import remark_on

    tables = _tables_alone(inputs)
    if tables:
        given = read_csv(tables[0], COMPOSITION.column, "Fe2O3")
        texts = given.rows[COMPOSITION.column].to_list()
        table = checks.screen_texts(texts, checks.COMPOSITION_RULES, given.problems)
        table.insert(table.columns.get_loc("problem") + 1, "note", list(map(note_on, texts)))
        report_rows(given, table["problem"].to_list())
    else:
        read = read_structures(inputs)
        every = (*checks.STRUCTURE_CHECKS, *checks.COMPOSITION_CHECKS)
        table = checks.screen(map(_material, read), every, Counter(len(read), "structures checked"))
        table.insert(0, "file", [file.name for file in read])
        table.insert(table.columns.get_loc("problem") + 1, "note", list(map(remark_on, read)))
        report_problems(table["file"], table["problem"])
    write_csv(table, out)


@holds_out(is_folder=True)
def translate(
    name: Annotated[str, typer.Argument(help="Name of a checkpoint that translates; see: matgen models")],
    first: Annotated[Path, typer.Argument(metavar="A", help="A binary hydride: a CIF, POSCAR or extended XYZ file")],
    second: Annotated[Path, typer.Argument(metavar="B", help="A binary hydride of another metal")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write; new or empty")],
    n_samples: Annotated[int, typer.Option("-n", "--n-samples", help="How many tries")] = 70,
    seed: Annotated[int, typer.Option(help="The same seed makes the same crystals")] = 0,
    share: Annotated[
        float | None, typer.Option(help="Of the metal atoms that become B's, between 0 and 1; drawn if not given")
    ] = None,
) -> None:
    """Translate two binary hydrides to ternary ones: a CIF for each try, and table.csv with its verdicts.

    Column kept_as numbers the crystals that pass everything, each once, the one that the critic finds most real first.
    """
    from matgen_core.cli._tables import write_structures
    from matgen_core.data import read_structures
    from matgen_core.tasks import translation

    checkpoint = checkpoints.load(name)
    check_seed(seed)
    new_folder(out)
    given = []
    for path in (first, second):
        read = read_structures([path])
        if len(read) != 1:
            raise ValueError(f"{path} holds {len(read)} crystals; give a file with one")
        if read[0].structure is None:
            raise ValueError(f"{path}: {read[0].problem}")
        given.append(read[0].structure)
    said = Counter(n_samples, "tries made")
    made = translation.translate(checkpoint, given[0], given[1], n_samples, seed, share, said)
    table = translation.with_provenance(translation.table(made), checkpoint, made)
    stems = [f"try-{number:05d}" for number in table["try"]]
    typer.echo(
        f"seed {seed}; {table['good'].sum()} of {n_samples} pass everything, {len(made.kept)} of them different",
        err=True,
    )
    write_structures(out, stems, [each.structure for each in made.tries], table)


def exchange(name: str, n_samples: int, seed: int, out: Path) -> None:
    """Make crystals of known ones without a network, and write them as samples of a generator are written."""
    from matgen_core.cli._levels import write_samples
    from matgen_core.tasks import exchange as exchanging

    check_number(n_samples, "samples")
    check_seed(seed)
    new_folder(out)
    made = exchanging.GENERATORS[name](exchanging.Skeletons.installed(), n_samples, seed)
    every = (*checks.STRUCTURE_CHECKS, *checks.COMPOSITION_CHECKS)
    structures = [each.structure for each in made]
    table = checks.screen(structures, every, Counter(n_samples, "samples checked"))
    table["parent"] = [each.parent for each in made]
    table["swaps"] = [", ".join(f"{old} to {new}" for old, new in each.swaps) for each in made]
    typer.echo(f"seed {seed}", err=True)
    write_samples(structures, table, out)


def _tables_alone(inputs: list[Path]) -> list[Path]:
    """The CSV file among some inputs, if there is one; it must be the only input."""
    tables = [path for path in inputs if path.suffix.lower() == ".csv"]
    if tables and len(inputs) > 1:
        raise ValueError("give one CSV file, or structure files, not both and not several CSV files")
    return tables


def _formula_models() -> list[str]:
    """Checkpoints that predict properties of formulas."""
    return [
        row["name"]
        for row in checkpoints.summaries()[0]
        if row["level"] == COMPOSITION.key and "predict" in row["capabilities"]
    ]


def _material(file: StructureFile) -> object:
    return ValueError(file.problem) if file.structure is None else file.structure
