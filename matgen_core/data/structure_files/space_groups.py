"""Symmetry operations of a CIF: those it lists, or those of the space group that it names, in the setting that fits.

Settings, old and short spellings and Hall symbols are gemmi's (Wojdyr, J. Open Source Softw. 7, 4200 (2022)).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymatgen.core.operations import SymmOp

from matgen_core.data.structure_files.cif_text import Block, Value, rows_of_text, where
from matgen_core.data.structure_files.reading import shown

_LISTED = (
    "_space_group_symop_operation_xyz",
    "_symmetry_equiv_pos_as_xyz",
    "_space_group_symop_magn_operation_xyz",
    "_symmetry_equiv_pos_as_xyz_",
)
_CENTERINGS = ("_space_group_symop_magn_centering_xyz",)
_SYMBOL = (
    "_space_group_name_h-m_alt",
    "_symmetry_space_group_name_h-m",
    "_space_group_name_h-m",
    "_space_group_name_h-m_full",
    "_space_group_name_h-m_ref",
    "_symmetry_space_group_name_h-m_alt",
)
_HALL = ("_space_group_name_hall", "_symmetry_space_group_name_hall")
_NUMBER = ("_space_group_it_number", "_symmetry_int_tables_number", "_symmetry_space_group_it_number")
_TERM = r"[+-]?(?:\d*\.?\d+(?:/[1-9]\d*)?\*?)?[xyz]|[+-]?(?:\d+/[1-9]\d*|\d*\.\d+|\d+\.?)"
_TRIPLET = re.compile(rf"(?:{_TERM})(?:[+-](?:{_TERM.replace('[+-]?', '')}))*", re.ASCII)
_MISFIT = 0.03  # of a metric under an operation that should keep it; half a degree is 0.009


@dataclass(frozen=True)
class Operations:
    """Symmetry operations x' = R x + t on fractional coordinates, and how they are called.

    Attributes:
        rotations: (n, 3, 3).
        translations: (n, 3).
        name: "F m -3 m (No. 225)"; "" where the file lists operations.
        number: 1 to 230, 0 where it is not known.
    """

    rotations: NDArray[np.float64]
    translations: NDArray[np.float64]
    name: str = ""
    number: int = 0

    def __len__(self) -> int:
        return len(self.rotations)

    def fits(self, matrix: NDArray[np.float64]) -> bool:
        """Whether every operation keeps the lengths and angles of a cell (rows are vectors)."""
        metric = matrix @ matrix.T
        kept = np.einsum("nki,kl,nlj->nij", self.rotations, metric, self.rotations)
        lengths = np.sqrt(np.diag(metric))
        return bool((np.abs(kept - metric) <= _MISFIT * np.outer(lengths, lengths)).all())


IDENTITY = Operations(np.eye(3)[None], np.zeros((1, 3)), "P 1 (No. 1)", 1)


@dataclass(frozen=True)
class Named:
    """What a block says of its symmetry beside a list of operations."""

    symbol: str
    hall: str
    number: int

    @property
    def text(self) -> str:
        """As it stands in the file."""
        if self.symbol:
            return f"the symbol {shown(self.symbol)}"
        return f"the Hall symbol {shown(self.hall)}" if self.hall else f"the number {self.number}"

    def __bool__(self) -> bool:
        return bool(self.symbol or self.hall or self.number)


def named(block: Block) -> Named:
    """Read the symbol, Hall symbol and number of a block."""
    symbol, hall, number = (block.value(*tags) for tags in (_SYMBOL, _HALL, _NUMBER))
    digits = number.text.strip() if number else ""
    return Named(
        symbol.text.strip() if symbol else "",
        hall.text.strip() if hall else "",
        int(digits) if digits.isascii() and digits.isdigit() and 0 < int(digits[:4]) <= 230 else 0,
    )


def listed(block: Block) -> Operations | None:
    """Return the operations that a block lists; None if it lists none.

    Raises:
        ValueError: If one cannot be read, with its line.
    """
    rows = [row for row in rows_of_text(block, _LISTED) if row.known]
    if not rows:
        return None
    centerings = [row for row in rows_of_text(block, _CENTERINGS) if row.known]
    if len(rows) * max(len(centerings), 1) > _MAX_OPERATIONS:
        raise ValueError(f"{len(rows)} symmetry operations; at most {_MAX_OPERATIONS} are read")
    operations = [_operation(row) for row in rows]
    rotations = np.array([operation.rotation_matrix for operation in operations])
    translations = np.array([operation.translation_vector for operation in operations])
    if centerings:
        shifts = np.array([_operation(row).translation_vector for row in centerings])
        translations = (translations[None] + shifts[:, None]).reshape(-1, 3)
        rotations = np.concatenate([rotations] * len(shifts))
    return Operations(rotations, translations)


_MAX_OPERATIONS = 2_000


def _operation(row: Value) -> SymmOp:
    parts = row.text.replace(" ", "").replace("\t", "").lower().translate(_PLAIN).split(",")
    if len(parts) == 4 and parts[3] in ("+1", "-1", "1"):  # of a magnetic group; whether time is turned back
        parts.pop()
    if len(parts) != 3 or not all(len(part) < 60 and _TRIPLET.fullmatch(part) for part in parts):
        raise ValueError(f"{where(row, 'symmetry operation')} cannot be read; expected 'x,y,z' and the like")
    operation = SymmOp.from_xyz_str(",".join(parts))
    if abs(abs(np.linalg.det(operation.rotation_matrix)) - 1) > 1e-6:
        raise ValueError(f"{where(row, 'symmetry operation')} keeps no volume; check its signs and letters")
    return operation


_PLAIN = str.maketrans({"'": None, '"': None, "\u2212": "-"})


def settings(name: Named, matrix: NDArray[np.float64]) -> list[list[Operations]]:
    """Return the settings that a space group can be meant in and that fit a cell, most likely first.

    Args:
        name: A symbol, a Hall symbol or a number.
        matrix: Vectors of the cell as rows, in Å.

    Returns:
        Lists of settings between which only the crystal itself can decide, origin choices for instance; a list
        comes before those that are less usual.

    Raises:
        ValueError: If the group is not known, symbol and number contradict each other, or no setting fits the cell.
    """
    if name.hall and (from_hall := _from_hall(name.hall)) is not None:
        found = [[from_hall]]
    elif name.symbol:
        found = _by_symbol(name.symbol)
    else:
        found = _by_number(name.number) if name.number else []
    if not found:
        raise ValueError(f"space group {shown(name.symbol or name.hall)} is unknown")
    number = found[0][0].number
    by_symbol = _by_symbol(name.symbol) if name.hall and name.symbol else []
    if by_symbol and number and by_symbol[0][0].number != number:
        raise ValueError(f"the Hall symbol {shown(name.hall)} is not that of {shown(name.symbol)}")
    if name.number and number and number != name.number:
        raise ValueError(f"{name.text} means No. {number}, but the file also says No. {name.number}")
    fitting = [kept for tier in found if (kept := [each for each in tier if each.fits(matrix)])]
    if not fitting:
        raise ValueError(f"the cell does not fit space group {found[0][0].name}, which the file names")
    return fitting


def as_known(name: Named) -> tuple[Named, str]:
    """Leave out a symbol that is unknown where the number tells the group, and say so."""
    if name.symbol and name.number and not name.hall and not _by_symbol(name.symbol):
        return Named(
            "", "", name.number
        ), f"the space-group symbol {shown(name.symbol)} is unknown, its number was taken"
    return name, ""


def n_operations(name: Named) -> int:
    """Return how many operations a named group has in the setting that its symbol suggests; 0 if it is unknown."""
    tiers = _by_symbol(name.symbol) if name.symbol else _by_number(name.number) if name.number else []
    return max((len(each) for tier in tiers[:1] for each in tier), default=0)


def _from_hall(symbol: str) -> Operations | None:
    import gemmi

    try:
        operations = gemmi.symops_from_hall(symbol.replace("_", " ")[:40])
    except (RuntimeError, ValueError):
        return None
    group = gemmi.find_spacegroup_by_ops(operations)
    return _operations(operations, group)


def _operations(operations: Any, group: Any) -> Operations:
    import gemmi

    every = list(operations)
    name = f"{group.xhm()} (No. {group.number})" if group else "of the Hall symbol"
    return Operations(
        np.array([operation.rot for operation in every], float) / gemmi.Op.DEN,
        np.array([operation.tran for operation in every], float) / gemmi.Op.DEN,
        name,
        group.number if group else 0,
    )


@cache
def _table() -> list[Any]:
    import gemmi

    return list(gemmi.spacegroup_table())


@cache
def _of(place: int) -> Operations:
    group = _table()[place]
    return _operations(group.operations(), group)


def _tier(places: Sequence[int]) -> list[Operations]:
    return [_of(place) for place in places]


def _by_number(number: int) -> list[list[Operations]]:
    """The standard setting, with its origin choices or both kinds of axes, and each other setting after it."""
    places = [place for place, group in enumerate(_table()) if group.number == number]
    standard = next((p for p in places if _table()[p].is_reference_setting()), places[0])
    first = [p for p in places if _table()[p].hm == _table()[standard].hm]
    others = [p for p in places if p not in first]
    return [_tier(first), *([_tier(others)] if others else [])]


_EXTENSION = re.compile(
    r"^(?P<base>.*?)\s*(?::\s*(?P<colon>[12HRhr]|[abc-]+\d?)|\(?\s*origin\s*(?:choice\s*)?(?P<origin>[12])\s*\)?"
    r"|\s+\(?(?P<letter>[12SZHRszhr]|O[12])\)?)\s*$",
    re.ASCII | re.IGNORECASE,
)


def _by_symbol(symbol: str) -> list[list[Operations]]:
    whole = _find(symbol)
    base, extension = _split(symbol)
    if whole is not None and _table()[whole].ext != extension:  # the 1 of P 31 2 1 is no origin choice
        base, extension = symbol, ""
    found = _find(base)
    if found is None and symbol[-1:].upper() in ("S", "Z", "H", "R"):  # Fd-3mZ
        base, extension = _split(f"{symbol[:-1]} {symbol[-1]}")
        found = _find(base)
    if found is None:
        return []
    group = _table()[found]
    alike = [place for place, each in enumerate(_table()) if each.hm == group.hm]
    if extension:
        said = [place for place in alike if extension in (_table()[place].ext, _table()[place].qualifier)]
        alike = said or alike
        if said and extension in "HR":  # axes are what the cell shows; a letter that does not fit it is corrected
            alike = [*said, *(place for place in range(len(_table())) if _table()[place].hm == group.hm)]
            return [_tier([place]) for place in dict.fromkeys(alike)]
    short = _short(group.hm)
    others = [
        place
        for place, each in enumerate(_table())
        if each.number == group.number and each.hm != group.hm and _short(each.hm) == short and " 1" not in base.strip()
    ]
    return [_tier(alike), *([_tier(others)] if others else [])]


def _split(symbol: str) -> tuple[str, str]:
    match = _EXTENSION.match(symbol)
    if not match or not match["base"]:
        return symbol, ""
    said = match["colon"] or match["origin"] or match["letter"]
    said = {"S": "1", "Z": "2", "O1": "1", "O2": "2"}.get(said.upper(), said)
    return match["base"], said.upper() if said.upper() in ("H", "R") else said.lower()


def _short(hm: str) -> str:
    """A symbol without the 1 that mark axes: "P 1 21/c 1" is "p21/c"."""
    return "".join(part for part in hm.split() if part != "1").lower()


def _key(symbol: str) -> str:
    plain = re.sub(r"(\d)\((\d)\)", r"\1\2", symbol.translate(_BARS))  # P2(1)/c
    return re.sub(r"[\s_'\"{}]", "", plain).lower()


_BARS = str.maketrans({"\u2212": "-", "\u2013": "-", "\u0304": "-"})


def _shortened(symbol: str) -> str:
    """Write a full symbol, "F 4/m -3 2/m", as the short one; others stay as they are."""
    lattice, *parts = symbol.split() or [""]
    if len(parts) < 2 or "1" in parts:
        return symbol
    first = re.sub(r"^\d+/", "", parts[0]) if parts[1] == "-3" or _TWOFOLD.match(parts[0]) else parts[0]
    return " ".join([lattice, first, *(_TWOFOLD.sub("", part) for part in parts[1:])])


_TWOFOLD = re.compile(r"^2_?1?/")


def _find(symbol: str) -> int | None:
    """Find a symbol in the table, whatever its spaces, capitals and age."""
    import gemmi

    key = _key(_shortened(symbol))
    if not 1 < len(key) <= 30:
        return None
    for spelled in (key, re.sub(r"(?<=[a-z])(?=43[mncd]$)", "-", key)):  # F 4 3 m of before 1935
        group = gemmi.find_spacegroup_by_name(spelled[0].upper() + spelled[1:])
        if group is not None and not spelled.startswith("h"):
            return next(place for place, each in enumerate(_table()) if each.xhm() == group.xhm())
    return next((place for place, each in enumerate(_table()) if _short(each.hm) == key), None)
