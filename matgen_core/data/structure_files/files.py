"""A person's own structure files: which reader each goes to, and what becomes of each crystal in them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from pymatgen.core import Structure

from matgen_core.data.structure_files.cif import read_cif
from matgen_core.data.structure_files.limits import MAX_BYTES, brought_back, structure_problem
from matgen_core.data.structure_files.poscar import read_poscar
from matgen_core.data.structure_files.reading import Reading, one_line, text_of
from matgen_core.data.structure_files.xyz import read_frames

_CIF = (".cif", ".mcif")
_XYZ = (".xyz", ".extxyz")
_MAX_FRAMES = 1_000
_POSCAR = (".vasp", ".poscar")
_POSCAR_NAMES = ("POSCAR", "CONTCAR")
_NEWLINE = re.compile(r"\r\n|\n|\r")  # alone: other marks that Python takes for ends of lines stand within titles


@dataclass(frozen=True)
class StructureFile:
    """One crystal of a file, or the reason why there is none.

    Attributes:
        name: The file as it was given, without its folder where that is clear; ":2" behind it is its second crystal.
        stem: The file's name without extension, "-2" behind it for its second crystal.
        structure: As written in the file, partial occupancy included.
        problem: "" if there is a structure.
        notes: What was done or guessed to read it, one plain line each.
    """

    name: str
    stem: str
    structure: Structure | None = None
    problem: str = ""
    notes: tuple[str, ...] = ()

    @property
    def note(self) -> str:
        """The notes on one line, as a table's cell holds them."""
        return "; ".join(self.notes)


def read_structures(paths: Sequence[Path]) -> list[StructureFile]:
    """Read structure files; what cannot be read keeps its place, and the others are read all the same.

    Args:
        paths: Files .cif, .mcif, .vasp, .poscar, .xyz, .extxyz or named POSCAR or CONTCAR (anything may follow), and
            folders, from which those files are taken, sorted.

    Returns:
        One for each file, or for each crystal of a file with several.

    Raises:
        ValueError: If a path does not exist, or a folder holds no structure file.
    """
    labelled: list[tuple[str, Path]] = []
    given = [path.name for path in paths]
    for path in paths:
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*") if file.is_file() and _is_structure_file(file))
            if not inside:
                raise ValueError(f"{path}: no structure file in this folder; {_EXPECTED}")
            labelled += [(str(file.relative_to(path)), file) for file in inside]
        elif path.exists():
            labelled.append((path.name if given.count(path.name) == 1 else str(path), path))
        else:
            raise ValueError(f"{path}: no such file or folder")
    return [found for label, path in labelled for found in _read(label, path)]


_EXPECTED = "expected .cif, .mcif, .vasp, .poscar, .xyz, .extxyz, or a file named POSCAR or CONTCAR"


def _is_structure_file(path: Path) -> bool:
    return path.suffix.lower() in (*_CIF, *_XYZ) or _is_poscar(path)


def _is_poscar(path: Path) -> bool:
    return path.suffix.lower() in _POSCAR or path.name.upper().startswith(_POSCAR_NAMES)


def _read(name: str, path: Path) -> list[StructureFile]:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise ValueError(too_large(size))
        content = path.read_bytes()
    except (ValueError, OSError) as error:
        return [StructureFile(name, path.stem, problem=one_line(error))]
    return read_content(name, path.name, content)


def too_large(size: int) -> str:
    """Say that a file of so many bytes is not read."""
    return f"{size / 1e6:.0f} MB, but a structure file may have at most {MAX_BYTES / 1e6:.0f} MB"


def read_content(name: str, file_name: str, content: bytes) -> list[StructureFile]:
    """Read the crystals of one file that is in memory.

    Args:
        name: What the file is called in the result.
        file_name: Without folder; its ending says what it is.
        content: All of it.

    Returns:
        One for each crystal; one with the reason if there is none.
    """
    path = Path(file_name)
    try:
        found = _readings(path, content)
    except ValueError as error:
        return [StructureFile(name, path.stem, problem=one_line(error))]
    if len(found) == 1:
        return [_checked(name, path.stem, found[0])]
    return [_checked(f"{name}:{number}", f"{path.stem}-{number}", each) for number, each in enumerate(found, 1)]


def _checked(name: str, stem: str, found: Reading) -> StructureFile:
    if found.structure is None:
        return StructureFile(name, stem, problem=found.problem, notes=found.notes)
    problem = structure_problem(found.structure)
    if problem:
        return StructureFile(name, stem, problem=problem, notes=found.notes)
    structure, said = brought_back(found.structure)
    return StructureFile(name, stem, structure, notes=(*found.notes, said) if said else found.notes)


def _readings(path: Path, content: bytes) -> list[Reading]:
    """The crystals of a file, or what is wrong with each; ValueError if that goes for the file as a whole."""
    if len(content) > MAX_BYTES:
        raise ValueError(too_large(len(content)))
    if not _is_structure_file(path):
        raise ValueError(f"not the name of a structure file; {_EXPECTED}")
    text = text_of(content)
    if not text.strip():
        raise ValueError("the file is empty")
    if path.suffix.lower() in _XYZ:
        found = list(islice(read_frames(_NEWLINE.split(text.rstrip())), _MAX_FRAMES + 1))
        if len(found) > _MAX_FRAMES:
            found[-1] = Reading(problem=f"more than {_MAX_FRAMES} frames; give the others in a file of their own")
        return found
    if path.suffix.lower() in _CIF:
        return read_cif(text)
    if _CELL_OF_CIF.search(text):
        first, *others = read_cif(text)
        note = f"read as CIF, which its content is, though it is named {path.name[:60]}"
        return [Reading(first.structure, first.problem, (*first.notes, note), first.extra), *others]
    return [read_poscar(text)]


_CELL_OF_CIF = re.compile(r"^\s*_cell[_.]length_a\s", re.MULTILINE | re.IGNORECASE)
