"""The `matgen` command: every task of the app for scripts and clusters.

Tables go to --out or standard output, progress to standard error. Bad input ends with one line and exit 2.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core

from matgen_core import checkpoint as checkpoints
from matgen_core import data
from matgen_core.checkpoint import CheckpointError
from matgen_core.cli import cards, crystals, latent, phase_fields, validate
from matgen_core.cli._options import current_name, print_out
from matgen_core.jobs import guard
from matgen_core.jobs.files.outputs import claimed
from matgen_core.jobs.processes import compute_on_one_thread

_ENDING = (signal.SIGINT, signal.SIGTERM)
_LONGEST = 900  # letters of a line that says what is wrong
_LONG = {"train", "regrade", "evaluate"}  # they fit maps, minutes in compiled code that hears no signal


class Stopped(KeyboardInterrupt):
    """SIGINT or SIGTERM asked the command to end: whatever tidies up after an interrupt does so after both."""


class Commands(typer.core.TyperGroup):
    """The commands; one that is stopped and does not say itself what it leaves ends with one line."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        if _LONG.intersection(sys.argv[1:]):
            guard.end_within_seconds()
        try:
            return super().invoke(ctx)
        except Stopped as stopped:
            sys.stderr.write(f"matgen: {'; '.join([str(stopped), *getattr(stopped, '__notes__', ())])}\n")
            raise typer.Exit(1) from None
        finally:
            guard.let_go()


app = typer.Typer(
    cls=Commands,
    help="Look inside generative models of inorganic materials.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)
data_app = typer.Typer(help="Data sets: what is known, what is installed, from where.", no_args_is_help=True)
app.add_typer(data_app, name="data")
app.command("enumerate")(phase_fields.enumerate_command)
app.command()(phase_fields.rank)
app.command()(latent.encode)
app.command()(latent.decode)
app.command()(latent.reconstruct)
app.command()(latent.generate)
app.command()(crystals.translate)
app.command()(crystals.predict)
app.command()(crystals.check)
app.command()(validate.validate)
app.command("card")(cards.card)


def main() -> None:
    """Run the command line; input that cannot be used ends with one line on standard error and exit 2.

    SIGINT and SIGTERM end it with one line too, and exit 130 or 143, as shells expect.
    """
    compute_on_one_thread()
    received: list[int] = []

    def stop(number: int, frame: object) -> None:
        received.append(number)
        for each in _ENDING:  # a second signal must not interrupt the tidying up after the first
            signal.signal(each, signal.SIG_IGN)
        raise Stopped(f"stopped by {signal.Signals(number).name}")

    # Python leaves an interrupt ignored where the command was started in the background; it shall stop all the same.
    before = {number: signal.signal(number, stop) for number in _ENDING}
    try:
        app()
    except (ValueError, CheckpointError, OSError) as error:
        line = str(error)
        if isinstance(error, OSError) and error.filename:
            line = f"{error.filename}: {error.strerror}"
        line = "; ".join([line, *getattr(error, "__notes__", ())])
        line = " ".join(line.split())  # names of files may hold line breaks
        sys.stderr.write(f"matgen: {line if len(line) <= _LONGEST else f'{line[:_LONGEST]} …'}\n")
        raise SystemExit(2) from error
    except SystemExit:
        if received:
            raise SystemExit(128 + received[0]) from None
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@app.command()
def models(as_json: Annotated[bool, typer.Option("--json", help="Print JSON")] = False) -> None:
    """List the checkpoints present: name, system, level, what each can do, its headline figure."""
    rows, broken = checkpoints.summaries()
    for line in [*broken, *(f"{row['name']}: {note}" for row in rows for note in row["notes"])]:
        typer.echo(line, err=True)
    if as_json:
        print_out(json.dumps(rows, indent=2))
    else:
        columns = ("name", "title", "system", "level", "capabilities", "headline")
        lines = [columns] + [tuple(_in_a_line(row[column]) for column in columns) for row in rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        print_out("\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines))


def _in_a_line(value: Any) -> str:
    """Write what a list of checkpoints holds; a headline is the figure, ours and the paper's."""
    if isinstance(value, dict):
        return f"{value['figure']}: {value['ours']} (paper: {value['paper']})"
    return " ".join(value) if isinstance(value, list) else str(value)


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe; it is the name of the checkpoint too")],
    data_dir: Annotated[Path | None, typer.Option("--data", help="Folder of the data sets")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda")] = "cpu",
    arrays: Annotated[
        Path | None, typer.Option("--prepare", help="Write what learning needs to this file, for another machine")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--from", help="Learn nothing; judge what a run left in this folder")
    ] = None,
    minutes: Annotated[float | None, typer.Option(help="Limit of learning, in place of the recipe's own")] = None,
) -> None:
    """Train a checkpoint, judge it, and write its folder.

    Where the GPU is on a machine without the data: --prepare FILE here, python -m matgen_core.networks.learning there,
    --from FOLDER here.
    """
    from matgen_core.recipes import make, recipe_named

    _use_data(data_dir)
    chosen = recipe_named(recipe)
    if (arrays or folder) and (minutes is not None or (arrays and folder)):
        raise ValueError("--prepare, --from and --minutes do not go together: the first two learn nothing")
    if arrays:
        if not arrays.parent.is_dir():
            raise ValueError(f"{arrays.parent} is no folder to write {arrays.name} to")
        with claimed(arrays, is_folder=False):
            chosen.prepare(arrays)
        typer.echo(f"wrote {arrays}", err=True)
        return
    with claimed(checkpoints.root() / chosen.name, is_folder=True):
        made = chosen.describe(folder) if folder else make(chosen, device, minutes)
        checkpoints.save(made, checkpoints.root() / made.name)
    typer.echo(f"wrote {checkpoints.root() / made.name}", err=True)


@app.command()
def regrade(name: Annotated[str, typer.Argument(help="Name of a checkpoint with maps", callback=current_name)]) -> None:
    """Grade the maps of a checkpoint anew, without training: faithfulness, stability, trustworthiness, continuity."""
    from matgen_core.recipes import regrade as grade

    print_out(json.dumps(grade(name), indent=2))


@app.command()
def measure(
    name: Annotated[str, typer.Argument(help="Name of a checkpoint", callback=current_name)],
    figures: Annotated[list[str] | None, typer.Argument(help="Names of figures; all if none is given")] = None,
    data_dir: Annotated[Path | None, typer.Option("--data", help="Folder of the data sets")] = None,
) -> None:
    """Measure baselines and limits of a checkpoint anew, without training; store them and write its card."""
    from matgen_core.recipes import measure as measured

    _use_data(data_dir)
    typer.echo(json.dumps(measured(name, figures or ()), indent=2))


@app.command()
def evaluate(
    name: Annotated[str, typer.Argument(help="Name of a checkpoint", callback=current_name)],
    data_dir: Annotated[Path | None, typer.Option("--data", help="Folder of the data sets")] = None,
) -> None:
    """Recompute the figures of a checkpoint's card from its weights and the data; print them as JSON."""
    from matgen_core.recipes import recipe_named

    _use_data(data_dir)
    print_out(json.dumps(recipe_named(name).evaluate(checkpoints.load(name)), indent=2))


@app.command("app")
def app_command() -> None:
    """Open the app in a browser; it listens on this machine only."""
    script = Path(__file__).parents[2] / "app.py"
    if not script.is_file():
        raise ValueError(f"{script} is not there; run matgen app from a checkout of the project")
    os.chdir(script.parent)
    sys.stderr.flush()
    # In place of this process: a server that is its child would outlive it, and keep the port.
    os.execv(sys.executable, [sys.executable, "-m", "streamlit", "run", str(script)])


@data_app.command("list")
def data_list(as_json: Annotated[bool, typer.Option("--json", help="Print JSON")] = False) -> None:
    """List the data sets: what each is, whether it is installed, licence and source."""
    table = data.overview()
    print_out(table.to_json(orient="records", indent=2) if as_json else table.to_string(index=False))


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


def _use_data(folder: Path | None) -> None:
    if folder:
        os.environ["MATGEN_DATA"] = str(folder)
