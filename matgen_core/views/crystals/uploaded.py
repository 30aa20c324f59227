"""What a visitor's files are read and drawn with: in processes apart, within limits of time and memory.

The same figures as everywhere; `here` computes one in this process, for crystals that are known, and `apart` in another
one, for whatever came from outside.
"""

import atexit
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
from pymatgen.core import Structure

from matgen_core.checks import Verdict
from matgen_core.data import patterns, structure_export
from matgen_core.data.structure_files import StructureFile, file_of, plain_file, read_content
from matgen_core.data.structure_files.plain import plain_structure, structure_of
from matgen_core.data.uploads import Upload, read_uploads
from matgen_core.jobs.bounded import Bounded
from matgen_core.materials import diffraction, report
from matgen_core.tasks.placement import KnownCrystals, novelty
from matgen_core.views.crystals import picture, web_page
from matgen_core.views.crystals.scene import film, scene

MAX_SECONDS = 60.0  # of everything that is handed over at a time
_AT_ONCE = 2  # so that one hard file leaves a process for the others


@dataclass(frozen=True)
class Figure:
    """A figure, and how what it gives is written as plain values and read back."""

    compute: Callable[..., Any]
    plain: Callable[[Any], Any] = lambda value: value
    back: Callable[[Any], Any] = lambda plain: plain


def _plain_table(table: pd.DataFrame) -> list[Any]:
    return [[str(name), str(column.dtype), column.tolist()] for name, column in table.items()]


def _table(plain: list[Any]) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(values, dtype=dtype) for name, dtype, values in plain})


def _still(structure: Structure, size: int) -> str:
    return picture.picture(scene(structure), size)


def _chemiscope(structures: dict[str, Structure], source: str) -> str:
    return structure_export.chemiscope_json(structures, source=source)


def _files(plain: list[Any]) -> list[StructureFile]:
    return [file_of(each) for each in plain]


def _plain_crystal(structure: Structure | None) -> Any:
    return None if structure is None else plain_structure(structure)


def _crystal(plain: Any) -> Structure | None:
    return None if plain is None else structure_of(plain)


def _symmetry(plain: dict[str, Any]) -> report.Symmetry:
    wyckoff = plain["wyckoff"]
    return report.Symmetry(**plain | {"wyckoff": None if wyckoff is None else tuple(wyckoff)})


def _pattern(plain: list[list[float]]) -> diffraction.Measured:
    return diffraction.Measured(*(np.array(values, float) for values in plain))


FIGURES = {
    "read": Figure(read_content, lambda files: [plain_file(file) for file in files], _files),
    "scene": Figure(scene),
    "film": Figure(film),
    "primitive": Figure(report.primitive, _plain_crystal, _crystal),
    "still": Figure(_still),
    "summary": Figure(report.summary_table, _plain_table, _table),
    "sites": Figure(report.site_table, _plain_table, _table),
    "symmetry": Figure(report.symmetry, asdict, _symmetry),
    "comparison": Figure(report.comparison_table, _plain_table, _table),
    "reflections": Figure(diffraction.reflections, _plain_table, _table),
    "pattern": Figure(
        patterns.read_pattern,
        lambda measured: [measured.two_theta.tolist(), measured.intensity.tolist()],
        _pattern,
    ),
    "cif": Figure(structure_export.cif),
    "poscar": Figure(structure_export.poscar),
    "extended_xyz": Figure(structure_export.extended_xyz),
    "web_page": Figure(web_page.html_page),
    "chemiscope": Figure(_chemiscope),
    "novelty": Figure(
        novelty, lambda verdict: [verdict.passed, verdict.reason], lambda plain: Verdict(plain[0], plain[1])
    ),
}


def _as_plain(figure: Figure) -> Callable[..., Any]:
    return lambda *arguments: figure.plain(figure.compute(*arguments))


FUNCTIONS = {name: _as_plain(figure) for name, figure in FIGURES.items()}
_WORKERS = Bounded(__name__, _AT_ONCE)
atexit.register(_WORKERS.close)


def warm() -> None:
    """Start a process in the background, so that the first file does not wait for it."""
    _WORKERS.warm()


def here(name: str, *arguments: Any) -> Any:
    """Compute a figure in this process."""
    return FIGURES[name].compute(*arguments)


def apart(name: str, *arguments: Any) -> Any:
    """Compute a figure in a process apart.

    Raises:
        ValueError: As the figure itself, and if it takes too long or too much memory (`BoundedError`).
        BusyError: If it was not tried.
    """
    return FIGURES[name].back(_WORKERS.call(name, *arguments))


def read_apart(uploads: Sequence[Upload], seconds: float = MAX_SECONDS) -> list[StructureFile]:
    """Read structure files and archives of them as `read_uploads` does, each file in a process apart.

    Args:
        uploads: As they were handed over.
        seconds: After which no further file is begun; the rest has that as its reason.
    """
    end = time.monotonic() + seconds

    def read(name: str, file_name: str, content: bytes) -> list[StructureFile]:
        problem = f"not read: this upload has taken {seconds:g} seconds; give the rest in a second go"
        if time.monotonic() < end:
            try:
                return list(apart("read", name, file_name, content))
            except ValueError as error:
                problem = f"not read: {error}"
        return [StructureFile(name, PurePosixPath(file_name).stem, problem=problem)]

    return read_uploads(uploads, read)


def novelty_apart(structure: Structure, known: KnownCrystals, notes: Sequence[str]) -> Verdict:
    """Say whether a crystal is new as `novelty` does, undecided where that takes too long."""
    try:
        verdict: Verdict = apart("novelty", structure, known, tuple(notes))
    except ValueError as error:
        verdict = Verdict(None, f"not compared with what is known: {error}")
    return verdict
