"""Crystals from extended XYZ, frame by frame (https://github.com/libAtoms/extxyz), and from plain arrays."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from pymatgen.core import Element, Lattice, Structure

from matgen_core.data.structure_files.elements import SYMBOLS, element_of
from matgen_core.data.structure_files.limits import MAX_SITES, cell_problem
from matgen_core.data.structure_files.reading import Reading, count, one_line, read_number, shown

_COUNT = re.compile(r"\+?(\d{1,12})", re.ASCII)
_MAX_COMMENT = 20_000  # characters; its reader goes through them one by one
_MAX_COLUMNS = 100
_MAX_LINE = 5_000
_KEY = r"(?:^|(?<=\s)){key}\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|\{{([^}}]*)\}}|\[([^\]]*)\]|(\S+))"
_LATTICE, _PBC, _PROPERTIES = (
    re.compile(_KEY.format(key=key), re.IGNORECASE) for key in ("lattice", "pbc", "properties")
)
_COLUMN = re.compile(r"([^:\s]{1,60}):([SRILsril]):(\d{1,2})", re.ASCII)
_OURS = ("lattice", "pbc", "properties")


def read_frames(lines: Iterable[str], max_sites: int = MAX_SITES) -> Iterator[Reading]:
    """Read the frames of an extended XYZ file, one after the other; blank lines may stand between them.

    Args:
        lines: Of the file, with or without their ends.
        max_sites: Above which a frame is refused.

    Yields:
        One for each frame, failed ones too, with its further values as `extra`. Where a frame's end cannot be told,
        the last one says so.
    """
    source = _Lines(lines)
    while True:
        first = source.skip_blank()
        if first is None:
            return
        at, n = source.number, _COUNT.fullmatch(first.strip())
        if n is None:
            said = f"line {at}: {shown(first.strip())} is no number of atoms; from there on nothing was read"
            yield Reading(problem=f"no readable extended XYZ: {said}")
            return
        frame = source.take(int(n[1]), max_sites)
        if isinstance(frame, str):
            yield Reading(problem=f"no readable extended XYZ: {frame}")
            continue
        notes: list[str] = []
        try:
            structure, extra = _frame(frame, at, notes)
            yield Reading(structure, "", tuple(dict.fromkeys(notes)), extra)
        except ValueError as error:
            yield Reading(None, f"no readable extended XYZ: {one_line(error)}", tuple(dict.fromkeys(notes)))


class _Lines:
    """Lines one after the other, of which one can be given back."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.source = iter(lines)
        self.number = 0
        self.back: list[str] = []

    def next(self) -> str | None:
        line = self.back.pop() if self.back else next(self.source, None)
        self.number += line is not None
        return None if line is None else line.rstrip("\r\n")

    def give_back(self, line: str) -> None:
        self.back.append(line)
        self.number -= 1

    def skip_blank(self) -> str | None:
        line = self.next()
        while line is not None and not line.strip():
            line = self.next()
        return line

    def take(self, n: int, max_sites: int) -> list[str] | str:
        """The comment and the lines of n atoms, or what is wrong with them."""
        at = self.number
        comment = self.next()
        if comment is None:
            return f"line {at} announces {count(n, 'atom')}, and the file ends there"
        atoms: list[str] = []
        found = 0
        while found < n:
            line = self.next()
            if line is None or not line.strip() or _COUNT.fullmatch(line.strip()):
                if line is not None:
                    self.give_back(line)
                end = "the file ends before" if line is None else f"line {self.number + 1} is none"
                return f"line {at} announces {count(n, 'atom')}, but {end} after {found}"
            found += 1
            if found <= max_sites:
                atoms.append(line)
        if n > max_sites:
            return f"{n} sites, more than {max_sites}"
        if n == 0:
            return f"line {at} announces no atoms"
        return [comment, *atoms]


def _frame(lines: Sequence[str], at: int, notes: list[str]) -> tuple[Structure, dict[str, Any]]:
    comment, atoms = lines[0], lines[1:]
    if len(comment) > _MAX_COMMENT:
        raise ValueError(f"line {at + 1} has {len(comment)} characters; at most {_MAX_COMMENT} are read")
    cell = _cell(comment, at + 1)
    species_at, place_at, width = _columns(comment, at + 1)
    symbols, places = [], []
    for number, line in enumerate(atoms, at + 2):
        words = line.split() if len(line) <= _MAX_LINE else []
        if len(words) < width:
            raise ValueError(f"line {number}: {count(len(words), 'value')}, but {width} are expected")
        symbols.append(_symbol(words[species_at], number, notes))
        places.append([_coordinate(word, number, notes) for word in words[place_at : place_at + 3]])
    pbc = _PBC.search(comment)
    if pbc is not None:
        words = re.split(r"[\s,]+", _text(pbc).strip())
        if len(words) > 3:
            raise ValueError(f"pbc has {len(words)} values, but a cell has three directions")
        said = periodicity([word.upper() in ("T", "TRUE", "1") for word in words])
        notes += [said] if said else []
    structure = Structure(Lattice(cell), symbols, places, coords_are_cartesian=True)
    return structure, _extra(comment)


def _text(match: re.Match[str]) -> str:
    return next((group for group in match.groups() if group is not None), "")


def _cell(comment: str, line: int) -> Any:
    match = _LATTICE.search(comment)
    if match is None:
        raise ValueError(f'line {line} has no Lattice="...", so there is no cell; a molecule is not imported')
    words = re.split(r"[\s,]+", _text(match).strip())
    try:
        numbers = [read_number(word)[0] for word in words[:10]]
    except ValueError as error:
        raise ValueError(f"line {line}: in Lattice {error}") from error
    if len(words) != 9:
        raise ValueError(f"line {line}: Lattice has {count(len(words), 'number')}, but three vectors are 9")
    cell = np.array(numbers).reshape(3, 3)
    problem = cell_problem(cell)
    if problem:
        raise ValueError(problem)
    return cell


def _columns(comment: str, line: int) -> tuple[int, int, int]:
    """Where the species and the place begin, and how many columns there are."""
    match = _PROPERTIES.search(comment)
    if match is None:
        return 0, 1, 4
    columns = _COLUMN.findall(_text(match)[:_MAX_LINE])
    if ":".join(":".join(column) for column in columns) != _text(match):
        raise ValueError(f"line {line}: Properties={shown(_text(match))} cannot be read")
    starts: dict[str, int] = {}
    width = 0
    for name, _, n in columns:
        starts[name.lower()] = width
        width += int(n)
    species = next(
        (starts[name] for name in ("species", "symbols", "symbol", "element", "z", "numbers") if name in starts), None
    )
    place = next((starts[name] for name in ("pos", "positions") if name in starts), None)
    if species is None or place is None or width > _MAX_COLUMNS:
        raise ValueError(f"line {line}: Properties needs species:S:1 and pos:R:3, and at most {_MAX_COLUMNS} columns")
    return species, place, width


def _symbol(word: str, line: int, notes: list[str]) -> str:
    if word.isascii() and word.isdigit():
        if not 0 < int(word[:4]) <= len(SYMBOLS):
            raise ValueError(f"line {line}: {shown(word)} is no atomic number")
        return Element.from_Z(int(word[:4])).symbol
    try:
        symbol, said = element_of(word, "symbol")
    except ValueError as error:
        raise ValueError(f"line {line}: {error}") from error
    if said and said not in notes:
        notes.append(said)
    return symbol


def _coordinate(word: str, line: int, notes: list[str]) -> float:
    try:
        number, how = read_number(word)
    except ValueError as error:
        raise ValueError(f"line {line}: {error}; a coordinate in Å is expected") from error
    if abs(number) > 1e6:
        raise ValueError(f"line {line}: the coordinate {shown(word)} is far outside; check its decimal point")
    if how:
        notes.append(f"line {line}: {shown(word)} {how}")
    return number


def _extra(comment: str) -> dict[str, Any]:
    from ase.io.extxyz import key_val_str_to_dict  # slow to import

    try:
        values = key_val_str_to_dict(comment)
    except Exception:  # the crystal is read all the same, and only imports ask for the other values
        return {}
    return {key: value for key, value in values.items() if key.lower() not in _OURS}


def periodicity(pbc: Sequence[bool]) -> str:
    """Say that a crystal periodic in one or two directions is read as one in three.

    Raises:
        ValueError: If it is periodic in none: a molecule.
    """
    if not any(pbc):
        raise ValueError("it is said to be periodic in no direction (pbc); a molecule is not imported")
    if all(pbc):
        return ""
    letters = " ".join("T" if each else "F" for each in pbc)
    return f"said to be periodic in some directions only (pbc {letters}); read as a crystal in three"


def structure_of_atoms(cell: Any, numbers: Any, positions: Any) -> Structure:
    """Make a structure of a cell (3, 3) and Cartesian positions (n, 3), both in Å, and atomic numbers.

    Raises:
        ValueError: If the cell has no volume or a number is no element's.
    """
    vectors = np.asarray(cell, dtype=float)
    problem = cell_problem(vectors)
    if problem:
        raise ValueError(problem)
    try:
        species = [Element.from_Z(int(z)) for z in numbers]
    except (KeyError, ValueError) as error:
        raise ValueError(f"no element has the number {one_line(error)}") from error
    return Structure(Lattice(vectors), species, positions, coords_are_cartesian=True)
