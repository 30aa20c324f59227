"""Phase fields on the command line: enumerate them, rank them."""

from pathlib import Path
from typing import Annotated

import typer

from matgen_core import checkpoint as checkpoints
from matgen_core.cli._options import MixedValence, Out, current_name, holds_out
from matgen_core.materials.levels import PHASE_FIELD

Model = Annotated[str, typer.Option("--model", help="Name of a checkpoint; see: matgen models", callback=current_name)]


@holds_out(is_folder=False)
def enumerate_command(
    must: Annotated[str, typer.Option(help="Elements in every field, as in Li or Li,O")] = "",
    cations: Annotated[str, typer.Option(help="Elements for the other cation places, as in Mg,Al,Si")] = "",
    anions: Annotated[
        str | None, typer.Option(help="Elements for the anion places; N,P,As,O,S,Se,Te,F,Cl,Br,I if not given")
    ] = None,
    n_elements: Annotated[int, typer.Option(help="Elements in a field")] = 4,
    n_anions: Annotated[int, typer.Option(help="How many of them are anions")] = 2,
    unexplored: Annotated[
        str, typer.Option(help="Leave out the training fields of this checkpoint", metavar="NAME")
    ] = "",
    out: Out = None,
) -> None:
    """List every phase field that can be made of some elements."""
    import pandas as pd

    from matgen_core.cli._tables import write_csv
    from matgen_core.materials.fields import ANIONS
    from matgen_core.tasks import ranking

    known = ranking.known_fields(checkpoints.load(unexplored)) if unexplored else set()
    for_anions = ANIONS if anions is None else _symbols(anions)
    fields = ranking.enumerate_fields(_symbols(must), _symbols(cations), for_anions, n_elements, n_anions, known)
    write_csv(pd.DataFrame({"phase_field": [field.write() for field in fields]}), out)


@holds_out(is_folder=False)
def rank(
    fields: Annotated[Path, typer.Argument(help="CSV file with a column phase_field")],
    model: Model,
    out: Out = None,
    mixed_valence: MixedValence = False,
) -> None:
    """Rank phase fields; rank 1 is most like the fields that the model was trained on.

    Every row of the input is in the output, spelled as it came and with its other columns; one that is no field of
    this model has no rank and the problem, and stands at the end.
    """
    import pandas as pd

    from matgen_core.cli._tables import read_fields, report_rows, write_csv
    from matgen_core.tasks import ranking

    checkpoint = checkpoints.load(model)
    given, inputs = read_fields(fields, mixed_valence)
    unfit = iter(ranking.misfits(checkpoint, [each.material for each in inputs if each.material is not None]))
    problems = [each.problem or next(unfit) for each in inputs]
    report_rows(given, problems)
    fit = [each.material for each, problem in zip(inputs, problems, strict=True) if not problem]
    nothing = pd.DataFrame(columns=[PHASE_FIELD.column, "score", "rank", "known", "unseen_elements"])
    ranked = (ranking.rank(checkpoint, fit) if fit else nothing).rename(columns={PHASE_FIELD.column: "key"})
    # columns of the file keep their names
    said = [name if name not in given.rows else f"{name} (matgen)" for name in ("problem", "note")]
    rows = given.rows.assign(
        key=[None if problem else each.material.write() for each, problem in zip(inputs, problems, strict=True)],
        **dict(zip(said, (problems, [each.note for each in inputs]), strict=True)),
    )
    new = [column for column in rows if column not in ranked or column == "key"]
    good, bad = rows[rows["key"].notna()], rows[rows["key"].isna()]
    whole = {name: "Int64" for name in ("rank", "rank_low", "rank_high") if name in ranked}
    table = pd.concat(
        [ranked.astype(whole | {"known": "boolean"}).merge(good[new], on="key", how="left", sort=False), bad[new]],
        ignore_index=True,
    ).drop(columns="key")
    for place, column in enumerate((PHASE_FIELD.column, *(each for each in ranked if each != "key"))):
        table.insert(place, column, table.pop(column))
    for column in said:
        table[column] = table.pop(column)
    write_csv(table, out)


def _symbols(text: str) -> list[str]:
    return [part for part in text.replace(",", " ").split() if part]
