"""Crystals judged by physics on the command line: relaxed, held against the hull of known phases, counted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from matgen_core.cli._options import Counter, holds_out, new_folder, report_problems

if TYPE_CHECKING:
    pass


@holds_out(is_folder=True)
def validate(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="CIF, POSCAR or extended XYZ files, or folders; of a folder that matgen generate wrote, the failed"
            " samples count, too",
        ),
    ],
    out: Annotated[Path | None, typer.Option("--out", help="Folder to write; new or empty")] = None,
    potential: Annotated[
        str, typer.Option(help="What relaxes: 7net-0, or 7net-l3i5, which takes three times as long")
    ] = "7net-0",
    max_steps: Annotated[int, typer.Option(help="End of a relaxation that does not come to rest")] = 300,
    processes: Annotated[int, typer.Option(help="Processes of this machine; its cores if not given")] = 0,
    scheduler: Annotated[
        str, typer.Option(help="Address of a Dask scheduler, tcp://host:8786, in place of these")
    ] = "",
    scoreboard: Annotated[str, typer.Option(metavar="NAME", help="Keep the shares under this name, for Trust")] = "",
    prepare: Annotated[
        Path | None, typer.Option(help="Write the crystals to this file, to be relaxed on another machine")
    ] = None,
    relaxed: Annotated[
        Path | None, typer.Option("--from", help="Relax nothing; judge what that machine wrote to this file")
    ] = None,
) -> None:
    """Relax crystals, hold them against the hull of known phases, tell which are new, and count: a row for every input.

    What is done is kept as it is done: the same crystals again, after whatever ended the command, begin where it was.
    """
    from matgen_core.tasks import validation
    from matgen_core.tasks.validation import inputs, runs, scoreboards

    if (prepare is None) == (out is None) or (prepare and relaxed):
        raise ValueError(
            "give --out FOLDER for the results, or --prepare FILE for crystals that another machine relaxes"
        )
    protocol = validation.Protocol(potential=potential, max_steps=max_steps)
    candidates = inputs.candidates_of(files)
    report_problems([each.name for each in candidates], [each.problem for each in candidates])
    if prepare:
        inputs.save_cells(candidates, prepare)
        typer.echo(f"wrote {prepare}", err=True)
        return
    assert out is not None
    new_folder(out)
    if relaxed:
        rows, rests = runs.judged_from(candidates, relaxed)
    else:
        rows, rests = runs.judged(
            candidates, protocol, _workers(processes, scheduler), Counter(len(candidates), "crystals judged", every=1)
        )
    table = validation.table_of(candidates, rows)
    score = validation.score(table)
    runs.write(candidates, table, rests, out)
    typer.echo(scoreboards.lines(score), err=True)
    if scoreboard:
        scoreboards.keep(scoreboard, score)
