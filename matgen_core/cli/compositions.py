"""Formulas in bulk on the command line: `matgen generate` for models of compositions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from matgen_core import checkpoint as checkpoints

if TYPE_CHECKING:
    from matgen_core.checkpoint import Checkpoint
    from matgen_core.tasks import funnel
    from matgen_core.tasks.funnel.answers import Answer

Must = Annotated[str, typer.Option(help="Compositions: elements that must occur, Li,O")]
May = Annotated[str, typer.Option(help="Compositions: elements that may occur beside those; any if not given")]
Never = Annotated[str, typer.Option(help="Compositions: elements that must not occur, Pb,Hg,Cd")]
NElements = Annotated[str, typer.Option("--elements", help="Compositions: number of elements, 3 or 2-4")]
NAtoms = Annotated[str, typer.Option("--atoms", help="Compositions: number of atoms in the formula, 5 or 2-20")]
Unique = Annotated[bool, typer.Option(help="Compositions: only the first sample of each formula")]
KeepUndecided = Annotated[bool, typer.Option(help="Compositions: keep what neutrality or balance leaves open, too")]
Volume = Annotated[float | None, typer.Option(help="Compositions: ask for this volume, Å^3/atom")]
Energy = Annotated[float | None, typer.Option(help="Compositions: ask for this energy, eV/atom")]
Predict = Annotated[
    list[str] | None,
    typer.Option(help="Compositions: predict what passed every stage with this checkpoint; may be given twice"),
]
Within = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE",
        help="Compositions: keep what is predicted this near to what is asked for, formation-energy=0.1; may be given"
        " for volume and energy too, and needs --predict",
    ),
]


def conditions() -> dict[str, str]:
    """Return the properties that can be asked for, by the option that asks."""
    from matgen_core.networks.models.parts.formula_predictor import TOLERANCE
    from matgen_core.tasks.funnel.answers import option

    return {option(name): name for name in TOLERANCE}


def wanted(must: str, may: str, never: str, n_elements: str, n_atoms: str) -> funnel.Wanted:
    """Read what is wanted from the options as they were typed."""
    from matgen_core.tasks import funnel

    defaults = funnel.Wanted()
    return funnel.Wanted(
        must=_symbols(must),
        may=_symbols(may),
        never=_symbols(never),
        n_elements=_span("--elements", n_elements) or defaults.n_elements,
        n_atoms=_span("--atoms", n_atoms) or defaults.n_atoms,
    )


def tolerances(within: Sequence[str], condition: Mapping[str, float]) -> dict[str, float]:
    """Read tolerances by property from the options as they were typed."""
    from matgen_core.materials.notation import shown

    properties = conditions()
    read: dict[str, float] = {}
    for text in within:
        name, _, value = text.partition("=")
        try:
            tolerance = float(value)
        except ValueError:
            tolerance = None
        if name not in properties or tolerance is None:
            raise ValueError(f"--within {shown(text)[1:-1]}; write NAME=VALUE with a NAME of {', '.join(properties)}")
        if properties[name] in read:
            raise ValueError(f"--within {name} is given twice; give it once")
        if properties[name] not in condition:
            raise ValueError(f"--within {shown(text)[1:-1]}, but no {name} is asked for; add --{name}")
        read[properties[name]] = tolerance
    return read


def generate(
    checkpoint: Checkpoint, request: funnel.Request, out: Path, unique: bool, predictors: Sequence[str] = ()
) -> None:
    """Write a row for every sample, or for the first of each formula, to CSV or to a folder of parquet files."""
    from matgen_core.jobs.files.tables import growing
    from matgen_core.latent.space import LatentSpace
    from matgen_core.tasks import funnel
    from matgen_core.tasks.funnel.answers import answers_to

    if out.suffix not in (".csv", ".parquet"):
        raise ValueError(f"{out}: name it .csv, or .parquet for a folder of parquet files")
    for line in LatentSpace.of(checkpoint).far_from_training(request.condition):
        typer.echo(line, err=True)
    chunks = funnel.run(checkpoint, request, [_predictor(name) for name in predictors])
    chunk = next(chunks)  # what cannot be generated is refused before anything is written
    answers = answers_to(request)
    try:
        with growing(out) as table:
            while True:
                table.write(chunk.rows[chunk.rows["first"]] if unique else chunk.rows)
                answers = [answer.after(chunk.rows) for answer in answers]
                typer.echo(f"{chunk.counts['generated']:,} of {request.n_samples:,} samples", err=True)
                if (following := next(chunks, None)) is None:
                    break
                chunk = following
    except KeyboardInterrupt as stop:
        kept = getattr(stop, "__notes__", ["nothing was written"])
        typer.echo("; ".join(["stopped", *kept]), err=True)
        raise typer.Exit(130) from None
    for stage, n in chunk.counts.items():
        is_open = chunk.undecided.get(stage, 0)
        typer.echo(f"{n:>12,} {stage}" + (f" ({is_open:,} left open)" if is_open else ""), err=True)
    for answer in answers:
        if answer.n:
            typer.echo(_line(answer), err=True)
    typer.echo(f"seed {request.seed}; wrote {table.n_rows:,} rows to {out}", err=True)


def _line(answer: Answer) -> str:
    line = f"{answer.name}: {answer.asked:g} asked for, {answer.median:.2f} predicted (median of {answer.n:,})"
    if answer.tolerance is None:
        return line
    return f"{line}, {answer.n_near / answer.n:.1%} within {answer.tolerance:g}"


def _predictor(name: str) -> funnel.Predictor:
    from matgen_core.tasks import prediction

    checkpoint = checkpoints.load(name)
    if not prediction.predicts_formulas(checkpoint):
        raise ValueError(f"{name} predicts nothing of a formula; see: matgen models")
    return partial(prediction.predict_formulas, checkpoint)


def _symbols(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, re.split(r"[,\s-]+", text))))


def _span(option: str, text: str) -> tuple[int, int] | None:
    from matgen_core.materials.notation import shown

    if not text:
        return None
    match = re.fullmatch(r"([0-9]{1,6})(?:-([0-9]{1,6}))?", text.strip())
    if not match:
        raise ValueError(f"{option} {shown(text)[1:-1]}; write one number, or two as 2-4")
    return int(match[1]), int(match[2] or match[1])
