"""Cards of checkpoints on the command line."""

from pathlib import Path
from typing import Annotated

import typer

from matgen_core import checkpoint as checkpoints
from matgen_core.cli._options import current_name
from matgen_core.jobs.files.outputs import write_text


def card(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME...", help="Names of checkpoints")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All checkpoints present")] = False,
    figures: Annotated[
        Path | None,
        typer.Option("--figures", help="Write the figures of all checkpoints to this file, docs/figures.md"),
    ] = None,
) -> None:
    """Write cards anew from config.json and metrics.json; nothing is trained, and no weights or data are needed."""
    from matgen_core.recipes.shared import card as cards

    if (everything and names) or not (everything or names or figures):
        raise ValueError("name the checkpoints whose cards are to be written, or give --all")
    for name in checkpoints.names() if everything else map(current_name, names or ()):
        cards.rewrite(name)
        typer.echo(f"wrote {checkpoints.root() / name / 'card.md'}", err=True)
    if figures:
        write_text(figures, cards.figures())
        typer.echo(f"wrote {figures}", err=True)
