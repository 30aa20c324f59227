"""Crystals judged by physics on the command line: relaxed, held against the hull of known phases, counted."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from matgen_core.cli._options import Counter, holds_out, new_folder, report_problems
from matgen_core.jobs.files.outputs import claimed


@holds_out(is_folder=True)
def validate(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="CIF, POSCAR or extended XYZ files, or folders; of a folder that matgen generate wrote, the samples"
            " that failed count, too",
        ),
    ],
    out: Annotated[Path | None, typer.Option("--out", help="Folder to write; new or empty")] = None,
    potential: Annotated[
        str, typer.Option(help="What relaxes: 7net-0, 7net-l3i5, which takes three times as long, or chgnet")
    ] = "7net-0",
    second: Annotated[
        str,
        typer.Option(
            help="What is asked of crystals that lie impossibly low: 7net-0, 7net-l3i5, or chgnet, which is of another"
            " family; another than what relaxes if not given"
        ),
    ] = "",
    max_steps: Annotated[int, typer.Option(help="End of a relaxation that does not come to rest")] = 300,
    processes: Annotated[int, typer.Option(help="Processes of this machine; one a core if not given")] = 0,
    minutes: Annotated[
        float, typer.Option(help="What a crystal may take; those that took longer are tried again when it is raised")
    ] = 15,
    again: Annotated[bool, typer.Option("--again", help="Try again whatever took too long")] = False,
    scheduler: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Dask scheduler in place of these, as tcp://host:8786")
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

    What is done is kept as it is done: the same crystals again, after whatever ended the command, go on where it was.
    Where the GPU is on a machine without the data: --prepare FILE here, python -m matgen_core.networks.potentials
    there, --from FILE here.
    """
    if (prepare is None) == (out is None) or (prepare and relaxed):
        raise ValueError("give --out FOLDER for results, or --prepare FILE for crystals that another machine relaxes")
    if out is not None:
        new_folder(out)

    from matgen_core.tasks import validation
    from matgen_core.tasks.validation import inputs, runs, scoreboards

    if scoreboard:
        scoreboards.check_name(scoreboard)
    protocol = validation.protocol_with(potential, max_steps, second)
    candidates = inputs.candidates_of(files)
    report_problems([each.name for each in candidates], [each.problem for each in candidates])
    if prepare is not None:
        with claimed(prepare, is_folder=False):
            n = inputs.save_cells(candidates, prepare)
        typer.echo(f"wrote {n:,} of {len(candidates):,} crystals to {prepare}", err=True)
        return
    assert out is not None
    if relaxed is not None:
        made = runs.judged_from(candidates, relaxed)
    else:
        with closing(runs.workers_of(processes, scheduler, minutes)) as workers:
            made = runs.judged(
                candidates, protocol, workers, Counter(len(candidates), "crystals judged", 9), again=again
            )
    table = validation.table_of(candidates, made.rows, made.rests)
    could_be_read = [not each.problem for each in candidates]
    report_problems(table["name"][could_be_read], table["problem"][could_be_read])
    runs.write(candidates, table, made.rests, out)
    typer.echo(f"wrote {len(table):,} rows of table.csv and the relaxed crystals to {out}", err=True)
    score = validation.score(table, made.protocol)
    typer.echo(scoreboards.lines(score), err=True)
    if scoreboard:
        scoreboards.keep(scoreboard, score)
