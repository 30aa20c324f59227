"""Cards of checkpoints on the command line."""

from typing import Annotated

import typer

from matgen_core import checkpoint as checkpoints


def card(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME...", help="Names of checkpoints")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All checkpoints present")] = False,
) -> None:
    """Write cards anew from config.json and metrics.json; nothing is trained, and no weights or data are needed."""
    from matgen_core.recipes.shared.card import rewrite

    if everything == bool(names):
        raise ValueError("name the checkpoints whose cards are to be written, or give --all")
    for name in names or checkpoints.names():
        rewrite(name)
        typer.echo(f"wrote {checkpoints.root() / name / 'card.md'}", err=True)
