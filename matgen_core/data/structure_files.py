"""Crystals from files: CIF, POSCAR and extended XYZ, one reader each.

`read_structures` is for a person's own files: what cannot be read keeps its place with the reason. Importing
data sets uses the same readers. A file may come from anybody, so what a parser would multiply is counted first.
"""

import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pymatgen.core import Element, Lattice, Structure

_MAX_EXPANDED = 5_000  # sites times operations; 2 s
_MAX_BLOCKS = 1_000
_MAX_QUOTES = 100  # in a line; the parser's time grows with their number times the line's length

MAX_BYTES = 10 * 1024**2  # of one file; a CIF of 1,000 sites has a hundredth of it
MAX_SITES = 1_000
_LEAST_VOLUME = 1.0  # Å³ a site; compressed hydrogen takes 2, and a search for neighbors in less never ends
_LEAST_SPACING = 0.5  # Å between the planes of a cell, for the same reason
_XYZ = (".xyz", ".extxyz")
_POSCAR = (".vasp", ".poscar")
_POSCAR_NAMES = ("POSCAR", "CONTCAR")
_COUNTS = re.compile(r"\s*\d{1,15}(\s+\d{1,15})*\s*")


@dataclass(frozen=True)
class StructureFile:
    """One crystal of a file, or the reason why there is none.

    Attributes:
        name: The file as it was given, without its folder where that is clear; ":2" behind it is its second crystal.
        stem: The file's name without extension, "-2" behind it for its second crystal.
        structure: As written in the file, partial occupancy included.
        problem: "" if there is a structure.
    """

    name: str
    stem: str
    structure: Structure | None = None
    problem: str = ""


def read_structures(paths: Sequence[Path]) -> list[StructureFile]:
    """Read structure files; what cannot be read keeps its place, and the others are read all the same.

    Args:
        paths: Files .cif, .vasp, .poscar, .xyz, .extxyz or named POSCAR or CONTCAR (anything may follow), and
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


def parse_cif(text: str) -> list[Structure]:
    """Read every structure of a CIF.

    Raises:
        ValueError: If it is no CIF, whatever the parser stumbled over.
    """
    try:
        return structures_from_cif(text)
    except Exception as error:  # a broken CIF can raise nearly anything in the parser
        raise ValueError(f"no readable CIF ({one_line(error)})") from error


def parse_poscar(text: str) -> Structure:
    """Read a POSCAR that names its elements.

    Raises:
        ValueError: If it is none, or does not name its elements.
    """
    from pymatgen.io.vasp import Poscar  # slow to import

    announced = max(
        (sum(map(int, line.split())) for line in text.splitlines()[5:7] if _COUNTS.fullmatch(line)), default=0
    )
    if announced > MAX_SITES:  # the parser would make a list of as many before it looks for their coordinates
        raise ValueError(f"{announced} sites are announced, more than {MAX_SITES}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what matters is asked for below
            poscar = Poscar.from_str(text, read_velocities=False)
    except Exception as error:  # as with CIF
        raise ValueError(f"no readable POSCAR ({one_line(error)})") from error
    if not poscar.true_names:
        raise ValueError("this POSCAR does not name its elements; write their symbols on the line above the counts")
    return poscar.structure


def iterate_xyz(file: Path | io.StringIO) -> Iterator[Any]:
    """Yield the frames of an extended XYZ file, or of its text, as ASE atoms.

    Raises:
        ValueError: At the first frame that cannot be read; the reader cannot go on behind it.
    """
    from ase.io import iread  # slow to import

    frames = iread(file, index=":", format="extxyz")
    while True:
        try:
            atoms = next(frames)
        except StopIteration:
            return
        except Exception as error:  # as with CIF
            raise ValueError(f"no readable extended XYZ ({one_line(error)})") from error
        yield atoms


def structure_of_atoms(cell: Any, numbers: Any, positions: Any) -> Structure:
    """Make a structure of a cell (3, 3) and Cartesian positions (n, 3), both in Å, and atomic numbers.

    Raises:
        ValueError: If the cell has no volume or a number is no element's.
    """
    vectors = np.asarray(cell, dtype=float)
    if abs(np.linalg.det(vectors)) < 1e-3:
        raise ValueError("no cell of finite volume; a molecule is not imported")
    try:
        species = [Element.from_Z(int(z)) for z in numbers]
    except KeyError as error:
        raise ValueError(one_line(error)) from error
    return Structure(Lattice(vectors), species, positions, coords_are_cartesian=True)


def structure_problem(crystal: Structure, max_sites: int = MAX_SITES) -> str:
    """Say why nothing can be done with a crystal that was read; "" if something can."""
    strange = sorted({symbol for symbol in crystal.symbol_set if not Element.is_valid_symbol(symbol)})
    if strange:
        return f"a site holds no element ({', '.join(strange)[:60]})"
    if len(crystal) > max_sites:
        return f"{len(crystal)} sites, more than {max_sites}"
    if not np.isfinite(crystal.lattice.matrix).all() or crystal.volume < 1e-3:
        return "no cell of finite volume; a molecule is not imported"
    if not np.isfinite(crystal.frac_coords).all():
        return "coordinates that are no numbers"
    volume = crystal.volume / max(len(crystal), 1)
    if volume < _LEAST_VOLUME:
        return f"{volume:.2g} Å³ a site; no crystal has less than {_LEAST_VOLUME:g}, so check the unit of the cell"
    spacing = 1 / max(crystal.lattice.reciprocal_lattice_crystallographic.abc)
    if spacing < _LEAST_SPACING:
        return f"a cell with faces {spacing:.2g} Å apart; at least {_LEAST_SPACING:g} Å is expected"
    return ""


def one_line(error: Exception) -> str:
    """Return the first line of an error."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


_EXPECTED = "expected .cif, .vasp, .poscar, .xyz, .extxyz, or a file named POSCAR or CONTCAR"


def _is_structure_file(path: Path) -> bool:
    return path.suffix.lower() in (".cif", *_XYZ) or _is_poscar(path)


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
        crystals = _crystals(path, content)
    except ValueError as error:
        return [StructureFile(name, path.stem, problem=one_line(error))]
    if len(crystals) == 1:
        return [_checked(name, path.stem, crystals[0])]
    return [
        _checked(f"{name}:{number}", f"{path.stem}-{number}", crystal) for number, crystal in enumerate(crystals, 1)
    ]


def _checked(name: str, stem: str, crystal: Structure | str) -> StructureFile:
    if isinstance(crystal, str):
        return StructureFile(name, stem, problem=crystal)
    problem = structure_problem(crystal)
    return StructureFile(name, stem, None if problem else crystal, problem)


def _crystals(path: Path, content: bytes) -> list[Structure | str]:
    """The crystals of a file, or what is wrong with each; ValueError if that goes for the file as a whole."""
    if len(content) > MAX_BYTES:
        raise ValueError(too_large(len(content)))
    if not _is_structure_file(path):
        raise ValueError(f"not the name of a structure file; {_EXPECTED}")
    text = _text(content)
    if not text.strip():
        raise ValueError("the file is empty")
    if path.suffix.lower() in _XYZ:
        crystals = _frames(text)
    else:
        crystals = [parse_poscar(text)] if _is_poscar(path) else list(parse_cif(text))
    if not crystals:
        raise ValueError("no structure in this file")
    return crystals


def _text(content: bytes) -> str:
    """Decode a text in UTF-8, UTF-16 with its mark, or, as older programs write, Latin-1."""
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", errors="replace")
    if b"\0" in content:
        raise ValueError("no text but binary data; export the structure as CIF")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _frames(text: str) -> list[Structure | str]:
    crystals: list[Structure | str] = []
    _check_counts(text)
    try:
        for atoms in iterate_xyz(io.StringIO(text)):
            try:
                crystals.append(structure_of_atoms(atoms.cell[:], atoms.numbers, atoms.positions))
            except ValueError as error:
                crystals.append(one_line(error))
    except ValueError as error:
        crystals.append(one_line(error))
    return crystals


def _check_counts(text: str) -> None:
    """Refuse a frame that claims more atoms than there are lines: the reader would wait for each of them."""
    lines = text.splitlines()
    at = 0
    while at < len(lines) and lines[at].strip():
        first = lines[at].strip()
        if not first.isdecimal():
            return  # the reader says what is wrong with it, after the frames before
        at += int(first) + 2
        if at > len(lines):
            raise ValueError(f"no readable extended XYZ ({first} atoms are announced, and the file ends before)")
        while at < len(lines) and lines[at].lstrip().startswith("VEC"):
            at += 1


def structures_from_cif(text: str) -> list[Structure]:
    """Read every structure of a CIF, in the cell as written.

    Raises:
        ValueError: If there is none, or if it would take too long: many sites under many symmetry operations, very
            many blocks, or lines full of quotation marks.
    """
    from pymatgen.io.cif import CifParser  # a third of a second, and only imports need it

    if any(line.count("'") + line.count('"') > _MAX_QUOTES for line in text.splitlines()):
        raise ValueError(f"a line with more than {_MAX_QUOTES} quotation marks")
    if text.count("data_") > _MAX_BLOCKS:
        raise ValueError(f"more than {_MAX_BLOCKS} blocks of data; give it in parts")
    with warnings.catch_warnings():
        # The parser warns of each rounded coordinate; what matters to us comes back as structures or errors.
        warnings.simplefilter("ignore")
        parser = CifParser.from_str(text)
        for block in parser.as_dict().values():
            _check_expansion(block)
        return parser.parse_structures(primitive=False)


def _check_expansion(block: Mapping[str, Any]) -> None:
    """Refuse a block whose sites, each under each operation, are too many: the parser's time grows with the square."""
    loops = {name: len(value) for name, value in block.items() if isinstance(value, list)}
    n_sites = max((n for name, n in loops.items() if name.startswith("_atom_site_")), default=0)
    n_operations = max((n for name, n in loops.items() if "_xyz" in name or "_operation" in name), default=1)
    if n_sites * n_operations > max(_MAX_EXPANDED, n_sites):
        raise ValueError(
            f"{n_sites} sites under {n_operations} symmetry operations; at most {_MAX_EXPANDED} images are worked"
            " out, so export the whole cell in P1"
        )
