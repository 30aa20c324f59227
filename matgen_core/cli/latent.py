"""Latent spaces on the command line: encode, decode, reconstruct, generate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from matgen_core import checkpoint as checkpoints
from matgen_core import checks
from matgen_core.cli import compositions, crystals
from matgen_core.cli._options import (
    Counter,
    MixedValence,
    check_number,
    check_seed,
    current_name,
    holds_out,
    new_folder,
    report_problems,
)
from matgen_core.materials.levels import COMPOSITION, CRYSTAL

if TYPE_CHECKING:
    from matgen_core.checkpoint import Checkpoint
    from matgen_core.latent.space import LatentSpace, Z

MAX_WIDTH = 10.0  # standard deviations of the prior; farther out no model has learned anything

Name = Annotated[str, typer.Argument(help="Name of a checkpoint; see: matgen models", callback=current_name)]
Structures = Annotated[list[Path], typer.Argument(help="CIF, POSCAR or extended XYZ files, or folders of them")]
Folder = Annotated[Path, typer.Option("--out", help="Folder to write; new or empty")]


@holds_out(is_folder=False)
def encode(
    name: Name,
    files: Annotated[
        list[Path],
        typer.Argument(help="CIF, POSCAR or extended XYZ files, or folders; CSV with formula, or with phase_field"),
    ],
    out: Annotated[Path, typer.Option("--out", help="Parquet file to write")],
    mixed_valence: MixedValence = False,
) -> None:
    """Give the latent point of each input: one row each with input, z, the problem where it has none, and notes."""
    import pandas as pd

    from matgen_core.cli._levels import files_of
    from matgen_core.cli._tables import write_parquet
    from matgen_core.latent.space import LatentSpace

    checkpoint = checkpoints.load(name)
    space = LatentSpace.of(checkpoint)
    inputs = files_of(checkpoint).read(files, mixed_valence)
    encoded = iter(space.encode([each.material for each in inputs if each.material is not None]))
    rows: list[dict[str, Any]] = []
    for each in inputs:
        point = None if each.material is None else next(encoded)
        problem = each.problem or (point and point.problem)
        rows.append({"input": each.name, "z": point and point.z, "problem": problem, "note": each.note})
    report_problems([each.place or each.name for each in inputs], [row["problem"] for row in rows])
    write_parquet(pd.DataFrame(rows, columns=["input", "z", "problem", "note"]), out)


@holds_out()
def decode(
    name: Name,
    points: Annotated[Path, typer.Argument(metavar="Z.npy", help="Latent points (n, latent_dim), by numpy.save")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write for structures, else a CSV file")],
) -> None:
    """Decode latent points: a folder of CIF with table.csv, or a CSV of formulas or phase fields; one row a point."""
    from matgen_core.cli._levels import files_of
    from matgen_core.cli._tables import read_points

    checkpoint, space = _decoder(name)
    files = files_of(checkpoint)
    files.prepare(out)
    z = read_points(points, space.latent_dim)
    files.write(space.decode(z, progress=Counter(len(z), "points decoded")), out)


@holds_out(is_folder=True)
def reconstruct(name: Name, files: Structures, out: Folder) -> None:
    """Encode and decode crystals: a CIF for each that decoded, and table.csv with a row for every input.

    Columns match, rmsd (in units of (V/N)^(1/3)), length_error (Å), angle_error (degrees), volume_error
    (relative), and the reason where there is no match.
    """
    from matgen_core.cli._tables import write_structures
    from matgen_core.data import read_structures
    from matgen_core.latent.map import LatentMap
    from matgen_core.tasks.reconstruction import reconstruct as reconstruct_files
    from matgen_core.tasks.remarks import remark_on

    checkpoint, _ = _decoder(name)
    _require_crystals(checkpoint)
    space = LatentMap(checkpoint)
    new_folder(out)
    read = read_structures(files)
    made = reconstruct_files(space, read, progress=Counter(len(read), "crystals decoded"))
    report_problems(made.table["input"], made.table["reason"].where(~made.table["decoded"], ""))
    table = made.table.assign(note=list(map(remark_on, read)))
    write_structures(out, [file.stem for file in read], made.structures, table)


@holds_out()
def generate(
    name: Name,
    n_samples: Annotated[int, typer.Option("-n", "--n-samples", help="How many")],
    out: Annotated[
        Path,
        typer.Option(
            "--out", help="Folder to write for structures, .csv file for all else; .parquet for many compositions"
        ),
    ],
    seed: Annotated[int, typer.Option(help="The same seed draws the same samples")] = 0,
    near: Annotated[Path | None, typer.Option(help="Draw round this crystal, a structure file")] = None,
    width: Annotated[
        float | None, typer.Option(help="Standard deviation of each latent coordinate; 1, or 0.2 with --near")
    ] = None,
    formation_energy: Annotated[float | None, typer.Option(help="Ask for this formation energy, eV/atom")] = None,
    composition: Annotated[
        str | None,
        typer.Option(help="Ask for crystals of this composition: Mg2MnO4, or, for cells of that size, Mg4Mn2O8"),
    ] = None,
    volume: compositions.Volume = None,
    energy: compositions.Energy = None,
    must: compositions.Must = "",
    may: compositions.May = "",
    never: compositions.Never = "",
    elements: compositions.NElements = "",
    atoms: compositions.NAtoms = "",
    unique: compositions.Unique = False,
    keep_undecided: compositions.KeepUndecided = False,
    predict: compositions.Predict = None,
    within: compositions.Within = None,
) -> None:
    """Draw materials from the prior, or round a known crystal; a row for every sample, failed decodes included.

    Models of compositions screen what they write; the counts of each stage go to standard error.
    """
    from matgen_core.cli._levels import files_of, write_samples
    from matgen_core.tasks import exchange, funnel

    formula_options = (must, may, never, elements, atoms, unique, keep_undecided, predict, within)
    other_values = (near, width, formation_energy, composition, volume, energy)
    if name in exchange.GENERATORS:
        if any(formula_options) or any(each is not None for each in other_values):
            raise ValueError(f"{name} takes -n, --seed and --out alone")
        crystals.exchange(name, n_samples, seed, out)
        return
    checkpoint = checkpoints.load(name)
    if checkpoint.level is COMPOSITION:
        if near is not None or width is not None:
            raise ValueError(f"--near and --width are not for {name}, which draws formulas from its prior")
        if composition is not None:
            raise ValueError(
                f"{name} writes formulas and takes no --composition; --must, --may and --elements guide it"
            )
        values = zip(compositions.conditions().values(), (formation_energy, volume, energy), strict=True)
        properties = {key: value for key, value in values if value is not None}
        request = funnel.Request(
            n_samples,
            seed,
            compositions.wanted(must, may, never, elements, atoms),
            properties,
            keep_undecided,
            compositions.tolerances(within or (), properties),
        )
        compositions.generate(checkpoint, request, out, unique, predict or ())
        return
    if any(formula_options) or volume is not None or energy is not None:
        raise ValueError(f"{name} writes no formulas; only such models take options of compositions")
    check_number(n_samples, "samples")
    width = width if width is not None else 0.2 if near else 1.0
    if not 0 < width <= MAX_WIDTH:
        raise ValueError(f"--width {width}; expected more than 0 and at most {MAX_WIDTH:g}")
    check_seed(seed)
    checkpoint, space = _decoder(name)
    files_of(checkpoint).prepare(out)
    center = None if near is None else _point_of(checkpoint, near)
    if composition is not None and not space.takes_composition:
        able = [row["name"] for row in checkpoints.summaries()[0] if "compose" in row["capabilities"]]
        raise ValueError(f"{name} takes no --composition; these checkpoints do: {', '.join(able) or 'none'}")
    if composition is not None and not composition.strip():
        raise ValueError("--composition is empty; expected a formula such as Mg2MnO4")
    wanted = {} if formation_energy is None else {"formation_energy_per_atom": formation_energy}
    drawn, decoded_under = space.conditions(wanted, n_samples, composition or "", seed)
    z = space.sample(n_samples, seed, center, width, drawn)
    decoded = space.decode(z, decoded_under, Counter(n_samples, "samples decoded"))
    typer.echo(f"seed {seed}, width {width:g}", err=True)
    if checkpoint.level is CRYSTAL:
        every = (*checks.STRUCTURE_CHECKS, *checks.COMPOSITION_CHECKS)
        checked = checks.screen(decoded, every, Counter(n_samples, "samples checked"))
        write_samples([each.material for each in decoded], checked, out)
    else:
        files_of(checkpoint).write(decoded, out)


def _require_crystals(checkpoint: Checkpoint) -> None:
    if checkpoint.level is not CRYSTAL:
        raise ValueError(f"{checkpoint.name} works on {checkpoint.level.key}s, not on {CRYSTAL.key}s")


def _decoder(name: str) -> tuple[Checkpoint, LatentSpace]:
    from matgen_core.latent.space import LatentSpace
    from matgen_core.networks.models.capabilities import Decoder

    checkpoint = checkpoints.load(name)
    if not isinstance(checkpoint.model, Decoder):
        able = [row["name"] for row in checkpoints.summaries()[0] if "decode" in row["capabilities"]]
        raise ValueError(f"{name} has no decoder; these checkpoints have one: {', '.join(able) or 'none'}")
    return checkpoint, LatentSpace.of(checkpoint)


def _point_of(checkpoint: Checkpoint, path: Path) -> Z:
    """Latent point of the one crystal in a file."""
    from matgen_core.data import read_structures
    from matgen_core.latent.space import LatentSpace
    from matgen_core.tasks.remarks import remarks

    _require_crystals(checkpoint)
    read = read_structures([path])
    if len(read) > 1:
        raise ValueError(f"{path}: {len(read)} crystals; --near takes a file with one")
    if read[0].structure is None:
        raise ValueError(f"{path}: {read[0].problem}")
    for line in remarks(read[0].structure, read[0].notes):
        typer.echo(f"{path}: {line}", err=True)
    point = LatentSpace.of(checkpoint).encode([read[0].structure])[0]
    if point.z is None:
        raise ValueError(f"{path}: {point.problem}")
    return point.z
