"""Latent spaces on the command line: encode, decode, reconstruct, generate."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from matgen_core import checkpoint as checkpoints
from matgen_core import funnel, screening
from matgen_core.checkpoint import Checkpoint
from matgen_core.cli import compositions
from matgen_core.cli._tables import (
    Counter,
    MixedValence,
    check_number,
    new_folder,
    read_fields,
    read_points,
    report_problems,
    write_csv,
    write_parquet,
    write_structures,
)
from matgen_core.data import read_structures
from matgen_core.latent import Decoded, LatentMap, LatentSpace, Z
from matgen_core.reconstruction import reconstruct as reconstruct_files
from matgen_core.representations import write_phase_field

MAX_WIDTH = 10.0  # standard deviations of the prior; farther out no model has learned anything
CHECKS = (*screening.STRUCTURE_CHECKS, *screening.COMPOSITION_CHECKS)

Name = Annotated[str, typer.Argument(help="Name of a checkpoint; see: matgen models")]
Structures = Annotated[list[Path], typer.Argument(help="CIF, POSCAR or extended XYZ files, or folders of them")]
Folder = Annotated[Path, typer.Option("--out", help="Folder to write; new or empty")]


def encode(
    name: Name,
    files: Annotated[
        list[Path],
        typer.Argument(help="CIF, POSCAR or extended XYZ files, or folders; for phase fields CSV with phase_field"),
    ],
    out: Annotated[Path, typer.Option("--out", help="Parquet file to write")],
    mixed_valence: MixedValence = False,
) -> None:
    """Give the latent point of each input: one row each with input, z, and the problem where it has none."""
    checkpoint = checkpoints.load(name)
    space = LatentMap(checkpoint)
    if _is_structural(checkpoint):
        read = read_structures(files)
        encoded = iter(space.encode([file.structure for file in read if file.structure is not None]))
        points = [None if file.structure is None else next(encoded) for file in read]
        rows: list[dict[str, Any]] = [
            {"input": file.name, "z": point and point.z, "problem": file.problem or (point and point.problem)}
            for file, point in zip(read, points, strict=True)
        ]
    else:
        fields = [field for file in files for field in read_fields(file, mixed_valence)["field"]]
        rows = [
            {"input": write_phase_field(each.material), "z": each.z, "problem": each.problem}
            for each in space.encode(fields)
        ]
    report_problems([row["input"] for row in rows], [row["problem"] for row in rows])
    write_parquet(pd.DataFrame(rows, columns=["input", "z", "problem"]), out)


def decode(
    name: Name,
    points: Annotated[Path, typer.Argument(metavar="Z.npy", help="Latent points (n, latent_dim), by numpy.save")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write for structures, CSV file for phase fields")],
) -> None:
    """Decode latent points: a folder of CIF with table.csv, or a CSV of phase fields; one row a point."""
    checkpoint, space = _decoder(name)
    structural = _is_structural(checkpoint)
    if structural:
        new_folder(out)
    z = read_points(points, space.latent_dim)
    decoded = space.decode(z, progress=Counter(len(z), "points decoded"))
    if not structural:
        write_csv(_fields_table(decoded), out)
        return
    _write_samples(decoded, screening.screen(decoded, ())[["formula", "problem"]], out)


def reconstruct(name: Name, files: Structures, out: Folder) -> None:
    """Encode and decode crystals: a CIF for each that decoded, and table.csv with a row for every input.

    Columns match, rmsd (in units of (V/N)^(1/3)), length_error (Å), angle_error (degrees), volume_error
    (relative), and the reason where there is no match.
    """
    checkpoint, _ = _decoder(name)
    _require_structural(checkpoint)
    space = LatentMap(checkpoint)
    new_folder(out)
    read = read_structures(files)
    made = reconstruct_files(space, read, progress=Counter(len(read), "crystals decoded"))
    report_problems(made.table["input"], made.table["reason"].where(~made.table["decoded"], ""))
    write_structures(out, [file.stem for file in read], made.structures, made.table)


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
    volume: compositions.Volume = None,
    energy: compositions.Energy = None,
    must: compositions.Must = "",
    may: compositions.May = "",
    never: compositions.Never = "",
    elements: compositions.NElements = "",
    atoms: compositions.NAtoms = "",
    unique: compositions.Unique = False,
) -> None:
    """Draw materials from the prior, or round a known crystal; a row for every sample, failed decodes included.

    Models of compositions screen what they write; the counts of each stage go to standard error.
    """
    checkpoint = checkpoints.load(name)
    if _level(checkpoint) == "composition":
        if near is not None or width is not None:
            raise ValueError(f"--near and --width are not for {name}, which draws formulas from its prior")
        properties = {
            "formation_energy_per_atom": formation_energy,
            "volume_per_atom": volume,
            "energy_per_atom": energy,
        }
        request = funnel.Request(
            n_samples,
            seed,
            compositions.wanted(must, may, never, elements, atoms),
            {key: value for key, value in properties.items() if value is not None},
        )
        compositions.generate(checkpoint, request, out, unique)
        return
    if must or may or never or elements or atoms or unique or volume is not None or energy is not None:
        raise ValueError(f"{name} writes no formulas; only such models take options of compositions")
    check_number(n_samples, "samples")
    width = width if width is not None else 0.2 if near else 1.0
    if not 0 < width <= MAX_WIDTH:
        raise ValueError(f"--width {width}; expected more than 0 and at most {MAX_WIDTH:g}")
    if seed < 0:
        raise ValueError(f"--seed {seed}; expected 0 or more")
    checkpoint, space = _decoder(name)
    if _is_structural(checkpoint):
        new_folder(out)
    center = None if near is None else _point_of(checkpoint, near)
    condition = None if formation_energy is None else space.condition_of(formation_energy, n_samples)
    drawn, decoded_under = (condition, None) if space.has_learned_prior else (None, condition)
    z = space.sample(n_samples, seed, center, width, drawn)
    decoded = space.decode(z, decoded_under, Counter(n_samples, "samples decoded"))
    typer.echo(f"seed {seed}, width {width:g}", err=True)
    if _is_structural(checkpoint):
        checked = screening.screen(decoded, CHECKS, Counter(n_samples, "samples checked"))
        _write_samples(decoded, checked, out)
    else:
        write_csv(_fields_table(decoded), out)


def _level(checkpoint: Checkpoint) -> str:
    return checkpoint.provenance["level"]


def _is_structural(checkpoint: Checkpoint) -> bool:
    return _level(checkpoint) == "structure"


def _require_structural(checkpoint: Checkpoint) -> None:
    if not _is_structural(checkpoint):
        raise ValueError(f"{checkpoint.name} works on {checkpoint.provenance['level']}s, not on structures")


def _decoder(name: str) -> tuple[Checkpoint, LatentSpace]:
    checkpoint = checkpoints.load(name)
    if not hasattr(checkpoint.model, "decode"):
        able = [row["name"] for row in map(checkpoints.summary, checkpoints.names()) if "decode" in row["capabilities"]]
        raise ValueError(f"{name} has no decoder; these checkpoints have one: {', '.join(able) or 'none'}")
    return checkpoint, LatentSpace(checkpoint)


def _point_of(checkpoint: Checkpoint, path: Path) -> Z:
    """Latent point of the one crystal in a file."""
    _require_structural(checkpoint)
    read = read_structures([path])
    if len(read) > 1:
        raise ValueError(f"{path}: {len(read)} crystals; --near takes a file with one")
    if read[0].structure is None:
        raise ValueError(f"{path}: {read[0].problem}")
    point = LatentMap(checkpoint).encode([read[0].structure])[0]
    if point.z is None:
        raise ValueError(f"{path}: {point.problem}")
    return point.z


def _fields_table(decoded: Sequence[Decoded]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "sample": range(1, len(decoded) + 1),
            "phase_field": ["" if item.problem else write_phase_field(item.material) for item in decoded],
            "problem": [item.problem or "" for item in decoded],
        }
    )


def _write_samples(decoded: Sequence[Decoded], described: pd.DataFrame, out: Path) -> None:
    numbers = range(1, len(decoded) + 1)
    table = described.copy()
    table.insert(0, "sample", list(numbers))
    table.insert(1, "decoded", [item.material is not None for item in decoded])
    table.insert(3, "file", "")
    write_structures(out, [f"sample-{number:05d}" for number in numbers], [item.material for item in decoded], table)
