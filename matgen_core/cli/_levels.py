"""What the commands of latent spaces read and write at each level: structures, compositions, phase fields."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
from pymatgen.core import Structure

from matgen_core import checks
from matgen_core.checkpoint import Checkpoint
from matgen_core.cli._options import new_folder
from matgen_core.cli._tables import Input, read_csv, read_fields, write_csv, write_structures
from matgen_core.data import read_structures
from matgen_core.latent.space import Decoded
from matgen_core.materials.formulas import Formulas
from matgen_core.materials.levels import COMPOSITION, CRYSTAL, PHASE_FIELD
from matgen_core.materials.notation import note_on
from matgen_core.tasks.remarks import remark_on


@dataclass(frozen=True)
class LevelFiles:
    """Input and output of the materials of one level."""

    read: Callable[[Sequence[Path], bool], list[Input]]  # files, and whether fields may repeat an element
    write: Callable[[Sequence[Decoded], Path], None]  # one row a sample, failed ones too
    prepare: Callable[[Path], Any] = lambda out: None  # refuses an output that cannot be written


def files_of(checkpoint: Checkpoint) -> LevelFiles:
    """Return how the materials of a checkpoint are read and written."""
    return FILES[checkpoint.level]


def _read_structures(files: Sequence[Path], mixed_valence: bool) -> list[Input]:
    return [Input(file.name, file.structure, file.problem, remark_on(file)) for file in read_structures(list(files))]


def _read_fields(files: Sequence[Path], mixed_valence: bool) -> list[Input]:
    inputs = [each for file in files for each in read_fields(file, mixed_valence)[1]]
    return [each if each.material is None else replace(each, name=each.material.write()) for each in inputs]


def _read_formulas(files: Sequence[Path], mixed_valence: bool) -> list[Input]:
    inputs = []
    for file in files:
        table = read_csv(file, COMPOSITION.column, "Fe2O3")
        texts = table.rows[COMPOSITION.column]
        formulas, unread = Formulas.of_texts(texts)
        made = zip(texts, formulas.compositions(), table.problems, unread, table.lines, strict=True)
        for text, composition, lost, wrong, line in made:
            problem, place = lost or wrong or None, f"{file}, line {line}"
            inputs.append(Input(text, None if problem else composition, problem, note_on(text), place))
    return inputs


def _write_structures(decoded: Sequence[Decoded], out: Path) -> None:
    described = checks.screen(decoded, ())[["formula", "problem"]]
    write_samples([item.material for item in decoded], described, out)


def write_samples(structures: Sequence[Structure | None], described: pd.DataFrame, out: Path) -> None:
    """Write a CIF for each sample that there is, and table.csv with a row for every sample."""
    numbers = range(1, len(structures) + 1)
    table = described.copy()
    table.insert(0, "sample", list(numbers))
    table.insert(1, "decoded", [each is not None for each in structures])
    table.insert(3, "file", "")
    write_structures(out, [f"sample-{number:05d}" for number in numbers], structures, table)


def _write_fields(decoded: Sequence[Decoded], out: Path) -> None:
    names = ["" if item.material is None else item.material.write() for item in decoded]
    write_csv(_table(PHASE_FIELD.column, names, decoded), out)


def _write_formulas(decoded: Sequence[Decoded], out: Path) -> None:
    made = Formulas.of_compositions([item.material for item in decoded if item.material is not None])
    texts = iter(made.texts())
    names = ["" if item.material is None else next(texts) for item in decoded]
    write_csv(_table(COMPOSITION.column, names, decoded), out)


def _table(column: str, names: list[str], decoded: Sequence[Decoded]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "sample": range(1, len(decoded) + 1),
            column: names,
            "problem": [item.problem or "" for item in decoded],
        }
    )


FILES = {
    CRYSTAL: LevelFiles(_read_structures, _write_structures, new_folder),
    COMPOSITION: LevelFiles(_read_formulas, _write_formulas),
    PHASE_FIELD: LevelFiles(_read_fields, _write_fields),
}
