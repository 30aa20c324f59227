"""The `matgen` command: every task of the app for scripts and clusters.

Tables go to --out or standard output, progress to standard error. Bad input ends with one line and exit 2.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from matgen_core import checkpoint as checkpoints
from matgen_core import data, ranking
from matgen_core.checkpoint import CheckpointError
from matgen_core.latent import LatentMap
from matgen_core.representations import PhaseField, parse_phase_field, write_phase_field

app = typer.Typer(
    help="Look inside generative models of inorganic materials.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)
data_app = typer.Typer(help="Data sets: what is known, what is installed, from where.", no_args_is_help=True)
app.add_typer(data_app, name="data")

Model = Annotated[str, typer.Option("--model", help="Name of a checkpoint; see: matgen models")]
Out = Annotated[Path | None, typer.Option("--out", help="File to write; standard output if not given")]
MixedValence = Annotated[
    bool, typer.Option(help="Accept a repeated element (a mixed-valence field, as in the published table)")
]


def main() -> None:
    """Run the command line; input that cannot be used ends with one line on standard error and exit 2."""
    try:
        app()
    except (ValueError, CheckpointError, OSError) as error:
        line = str(error)
        if isinstance(error, OSError) and error.filename:
            line = f"{error.filename}: {error.strerror}"
        sys.stderr.write(f"matgen: {line}\n")
        raise SystemExit(2) from error


@app.command()
def models(as_json: Annotated[bool, typer.Option("--json", help="Print JSON")] = False) -> None:
    """List the checkpoints present: name, system, level, what each can do, its headline figure."""
    rows = [checkpoints.summary(name) for name in checkpoints.names()]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
    else:
        typer.echo(pd.DataFrame([row | {"capabilities": " ".join(row["capabilities"])} for row in rows]).to_string())


@app.command("enumerate")
def enumerate_command(
    must: Annotated[str, typer.Option(help="Elements in every field, as in Li or Li,O")] = "",
    cations: Annotated[str, typer.Option(help="Elements for the other cation places, as in Mg,Al,Si")] = "",
    anions: Annotated[str, typer.Option(help="Elements for the anion places")] = ",".join(ranking.ANIONS),
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
    _write(pd.DataFrame({"phase_field": [write_phase_field(field) for field in fields]}), out)


@app.command()
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
    given = _read_fields(fields, mixed_valence)
    ranked = ranking.rank(checkpoint, given["field"].to_list()).rename(columns={"phase_field": "key"})
    given["key"] = [write_phase_field(field) for field in given.pop("field")]
    new = [column for column in given if column not in ranked or column == "key"]
    table = ranked.merge(given[new], on="key", how="left", sort=False).drop(columns="key")
    table.insert(0, "phase_field", table.pop("phase_field"))
    _write(table, out)


@app.command()
def encode(
    name: Annotated[str, typer.Argument(help="Name of a checkpoint with an encoder")],
    files: Annotated[list[Path], typer.Argument(help="CSV files with a column phase_field")],
    out: Annotated[Path, typer.Option("--out", help="Parquet file to write")],
    mixed_valence: MixedValence = False,
) -> None:
    """Give the latent point of each input: one row each with input, z, and the reason where it has none."""
    space = LatentMap(checkpoints.load(name))
    fields = [field for file in files for field in _read_fields(file, mixed_valence)["field"]]
    rows = space.encode(fields)
    _write_parquet(
        pd.DataFrame(
            {
                "input": [write_phase_field(row.material) for row in rows],
                "z": [row.z for row in rows],
                "problem": [row.problem for row in rows],
            }
        ),
        out,
    )


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe; it is the name of the checkpoint too")],
    data_dir: Annotated[Path | None, typer.Option("--data", help="Folder of the data sets")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda")] = "cpu",
) -> None:
    """Train a checkpoint, judge it, and write its folder."""
    from matgen_core.train import recipe_named

    _use_data(data_dir)
    made = recipe_named(recipe).run(device)
    checkpoints.save(made, checkpoints.root() / made.name)
    typer.echo(f"wrote {checkpoints.root() / made.name}", err=True)


@app.command()
def evaluate(
    name: Annotated[str, typer.Argument(help="Name of a checkpoint")],
    data_dir: Annotated[Path | None, typer.Option("--data", help="Folder of the data sets")] = None,
) -> None:
    """Recompute the figures of a checkpoint's card from its weights and the data; print them as JSON."""
    from matgen_core.train import recipe_named

    _use_data(data_dir)
    typer.echo(json.dumps(recipe_named(name).evaluate(checkpoints.load(name)), indent=2))


@app.command("app")
def app_command() -> None:
    """Open the app in a browser; it listens on this machine only."""
    script = Path(__file__).parent.parent / "app.py"
    if not script.is_file():
        raise ValueError(f"{script} is not there; run matgen app from a checkout of the project")
    raise SystemExit(subprocess.call([sys.executable, "-m", "streamlit", "run", str(script)], cwd=script.parent))


@data_app.command("list")
def data_list(as_json: Annotated[bool, typer.Option("--json", help="Print JSON")] = False) -> None:
    """List the data sets: what each is, whether it is installed, licence and source."""
    table = data.overview()
    typer.echo(table.to_json(orient="records", indent=2) if as_json else table.to_string(index=False))


@data_app.command("import")
def data_import(
    name: Annotated[str, typer.Argument(help="Name to give the data set")],
    path: Annotated[Path, typer.Argument(help="CSV, parquet, extended XYZ or ASE database, or a folder of CIF files")],
) -> None:
    """Read your own data and install them under a name."""
    typer.echo(data.import_file(name, path).summary(), err=True)


@data_app.command("fetch")
def data_fetch(
    name: Annotated[str, typer.Argument(help="Name of a data set; see: matgen data list")],
) -> None:
    """Get a public data set from its publisher, check it, and install it."""
    typer.echo(f"{len(data.fetch(name))} rows of {name} are in {data.path_of(name)}", err=True)


def _symbols(text: str) -> list[str]:
    return [part for part in text.replace(",", " ").split() if part]


def _read_fields(path: Path, mixed_valence: bool) -> pd.DataFrame:
    """Read a CSV file and parse its column phase_field into a column field; the first bad row ends it."""
    try:
        table = pd.read_csv(path, keep_default_na=False, dtype=str)
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no CSV table ({error}); it needs a column phase_field") from error
    if "phase_field" not in table:
        columns = ", ".join(map(str, table.columns))
        raise ValueError(f"{path} has no column phase_field; its columns are: {columns}")
    if table.empty:
        raise ValueError(f"{path} has a column phase_field but no rows; put a field such as Li-Sn-S-Cl in each")
    fields: list[PhaseField] = []
    for line, text in enumerate(table["phase_field"], start=2):
        try:
            fields.append(parse_phase_field(text, mixed_valence))
        except ValueError as error:
            hint = "; --mixed-valence accepts it" if "repeats" in str(error) else ""
            raise ValueError(f"{path}, line {line}: {error}{hint}") from error
    return table.assign(field=fields)


def _write(table: pd.DataFrame, out: Path | None) -> None:
    if out is None:
        table.to_csv(sys.stdout, index=False)
    else:
        out.parent.mkdir(parents=True, exist_ok=True)
        table.to_csv(out, index=False)
        typer.echo(f"wrote {len(table):,} rows to {out}", err=True)


def _write_parquet(table: pd.DataFrame, out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    table.to_parquet(out, index=False)
    typer.echo(f"wrote {len(table):,} rows to {out}", err=True)


def _use_data(folder: Path | None) -> None:
    if folder:
        os.environ["MATGEN_DATA"] = str(folder)
