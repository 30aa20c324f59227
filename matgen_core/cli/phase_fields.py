"""Phase fields on the command line: enumerate them, rank them."""

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from matgen_core import checkpoint as checkpoints
from matgen_core.cli._tables import MixedValence, Out, holds_out, read_fields, write_csv
from matgen_core.materials.fields import ANIONS
from matgen_core.tasks import ranking

Model = Annotated[str, typer.Option("--model", help="Name of a checkpoint; see: matgen models")]


@holds_out(is_folder=False)
def enumerate_command(
    must: Annotated[str, typer.Option(help="Elements in every field, as in Li or Li,O")] = "",
    cations: Annotated[str, typer.Option(help="Elements for the other cation places, as in Mg,Al,Si")] = "",
    anions: Annotated[str, typer.Option(help="Elements for the anion places")] = ",".join(ANIONS),
    n_elements: Annotated[int, typer.Option(help="Elements in a field")] = 4,
    n_anions: Annotated[int, typer.Option(help="How many of them are anions")] = 2,
    unexplored: Annotated[
        str, typer.Option(help="Leave out the training fields of this checkpoint", metavar="NAME")
    ] = "",
    out: Out = None,
) -> None:
    """List every phase field that can be made of some elements."""
    known = ranking.known_fields(checkpoints.load(unexplored)) if unexplored else set()
    fields = ranking.enumerate_fields(_symbols(must), _symbols(cations), _symbols(anions), n_elements, n_anions, known)
    write_csv(pd.DataFrame({"phase_field": [field.write() for field in fields]}), out)


@holds_out(is_folder=False)
def rank(
    fields: Annotated[Path, typer.Argument(help="CSV file with a column phase_field")],
    model: Model,
    out: Out = None,
    mixed_valence: MixedValence = False,
) -> None:
    """Rank phase fields; rank 1 is most like the fields that the model was trained on.

    Every row of the input is in the output, spelled as it came and with its other columns.
    """
    checkpoint = checkpoints.load(model)
    given = read_fields(fields, mixed_valence)
    ranked = ranking.rank(checkpoint, given["field"].to_list()).rename(columns={"phase_field": "key"})
    given["key"] = [field.write() for field in given.pop("field")]
    new = [column for column in given if column not in ranked or column == "key"]
    table = ranked.merge(given[new], on="key", how="left", sort=False).drop(columns="key")
    table.insert(0, "phase_field", table.pop("phase_field"))
    write_csv(table, out)


def _symbols(text: str) -> list[str]:
    return [part for part in text.replace(",", " ").split() if part]
