"""Crystals from CIF: what each block says, compared with what came of it."""

import re
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Lattice, Structure

from matgen_core.data.structure_files.cif_sites import Notes, SiteRow, expand, read_rows
from matgen_core.data.structure_files.cif_text import Block, read_blocks, where
from matgen_core.data.structure_files.elements import SYMBOLS
from matgen_core.data.structure_files.limits import MAX_EDGE, MAX_SITES, cell_problem
from matgen_core.data.structure_files.reading import Reading, count, listed, one_line, read_number, shown
from matgen_core.data.structure_files.space_groups import (
    IDENTITY,
    Named,
    Operations,
    as_known,
    n_operations,
    named,
    settings,
)
from matgen_core.data.structure_files.space_groups import listed as listed_operations

_MAX_EXPANDED = 5_000  # sites times operations; 2 s
_CELL = ("_cell_length_a", "_cell_length_b", "_cell_length_c")
_ANGLES = ("_cell_angle_alpha", "_cell_angle_beta", "_cell_angle_gamma")
_CLOSE = 0.6  # Å; no two atoms of a crystal come nearer
_MOSTLY = 0.6  # of an atom; where less stands, one place or the one beside it is meant
_FORMULA = re.compile(r"([A-Z][a-z]?)\s*(\d*\.?\d*)")


def read_cif(text: str, max_sites: int = MAX_SITES) -> list[Reading]:
    """Read every crystal of a CIF, in the cell as written.

    Args:
        text: All of it.
        max_sites: Above which a crystal is refused.

    Returns:
        One for each block that holds a cell or sites, failed ones too, in the order of the file.

    Raises:
        ValueError: If it is no CIF, or none of its blocks holds a crystal.
    """
    try:
        blocks = read_blocks(text)
    except ValueError as error:
        raise ValueError(f"no readable CIF: {one_line(error)}") from error
    crystals = [block for block in blocks if block.begins("_cell_", "_atom_site_")]
    if not crystals:
        fault = next((block.fault for block in blocks if block.fault), "")
        raise ValueError(f"no readable CIF: {fault or 'none of its blocks holds a cell and sites'}")
    passed = [block.name[:40] or "without a name" for block in blocks if block not in crystals]
    found = [_read_block(block, max_sites) for block in crystals]
    if passed:
        note = f"blocks without a cell and sites passed over: {listed(passed)}"
        first = found[0]
        found[0] = Reading(first.structure, first.problem, (*first.notes, note), first.extra)
    names = [block.name for block in crystals]
    for i, block in enumerate(crystals):
        if block.name in names[:i]:
            note = f"a second block is called {shown(block.name)}"
            found[i] = Reading(found[i].structure, found[i].problem, (*found[i].notes, note), found[i].extra)
    return found


def _read_block(block: Block, max_sites: int) -> Reading:
    notes = Notes()
    try:
        return Reading(_structure(block, notes, max_sites), "", notes.all)
    except ValueError as error:
        reason = block.fault or one_line(error)
        return Reading(None, f"no readable CIF: block {shown(block.name)}: {reason}", notes.all)


def _structure(block: Block, notes: Notes, max_sites: int) -> Structure:
    formula = _formula(block)
    matrix = _cell(block)
    for tag in block.twice:
        if tag.startswith(("_cell_", "_atom_site_fract", "_symmetry_", "_space_group")):
            notes.add(f"{tag[:60]} comes twice; the first was taken")
    rows = read_rows(block, None if formula is None else formula.keys(), notes, 2 * max_sites)
    structure = _with_symmetry(block, rows, matrix, formula, notes)
    if len(structure) > max_sites:
        raise ValueError(f"{len(structure)} sites, more than {max_sites}")
    _say_what_was_left_out(block, notes)
    if formula is not None:
        _compare(formula, _z(block), structure, notes)
    return structure


# --- The cell and the formula ----------------------------------------------------------------------------------


def _cell(block: Block) -> NDArray[np.float64]:
    numbers = []
    for tag in (*_CELL, *_ANGLES):
        column = block.column(tag)
        unit = "Å" if tag in _CELL else "degrees"
        if not column:
            raise ValueError(f"it has no {tag}")
        try:
            number, _ = read_number(column[0].text.strip())
        except ValueError as error:
            raise ValueError(f"{where(column[0], tag)}; a number in {unit} is expected") from error
        if not 0 < number < (MAX_EDGE if tag in _CELL else 180):
            raise ValueError(f"{where(column[0], tag)} {unit} is no {'edge' if tag in _CELL else 'angle'} of a cell")
        numbers.append(number)
    cosines = np.cos(np.radians(numbers[3:]))
    if 1 + 2 * cosines.prod() - (cosines**2).sum() < 1e-6:
        raise ValueError(f"the angles {', '.join(f'{angle:g}' for angle in numbers[3:])} close no cell")
    matrix = Lattice.from_parameters(*numbers).matrix
    problem = cell_problem(matrix)
    if problem:
        raise ValueError(problem)
    return matrix


def _formula(block: Block) -> dict[str, float] | None:
    """The elements of the file's formula with their counts; None if there is none that can be read."""
    value = block.value("_chemical_formula_sum")
    if value is None:
        return None
    counts: dict[str, float] = {}
    parts = value.text.replace(",", " ").split()
    for part in parts if len(parts) <= len(SYMBOLS) else []:
        if re.fullmatch(r"\d*[+-]", part):
            continue  # the charge
        end = 0
        for match in _FORMULA.finditer(part):
            if match.start() != end or match[1] not in (*SYMBOLS, "D", "T"):
                return None
            end = match.end()
            symbol = "H" if match[1] in ("D", "T") else match[1]
            counts[symbol] = counts.get(symbol, 0.0) + (float(match[2]) if match[2] not in ("", ".") else 1.0)
        if end != len(part):
            return None
    return counts if counts and min(counts.values()) >= 0 and max(counts.values()) > 0 else None


def _z(block: Block) -> float | None:
    value = block.value("_cell_formula_units_z")
    try:
        return read_number(value.text)[0] if value is not None else None
    except ValueError:
        return None


# --- Symmetry ----------------------------------------------------------------------------------------------------


def _with_symmetry(
    block: Block, rows: list[SiteRow], matrix: NDArray[np.float64], formula: dict[str, float] | None, notes: Notes
) -> Structure:
    operations, name = listed_operations(block), named(block)
    if operations is not None:
        _check_expansion(rows, operations)
        if not operations.fits(matrix):
            raise ValueError(f"its {len(operations)} symmetry operations do not fit its cell; check edges and angles")
        return _with_listed(operations, name, rows, matrix, formula, _z(block), notes)
    if block.begins("_space_group_symop_ssg_operation"):
        raise ValueError("a modulated structure; only crystals with three-dimensional symmetry are read")
    if not name:
        structure = expand(rows, IDENTITY, matrix, notes)
        _check_less_than_a_formula(formula, structure, "without symmetry operations and space group, in P 1")
        notes.add("neither symmetry operations nor a space group in the file: read as P 1")
        return structure
    known, said = as_known(name)
    notes.add(said)
    try:
        return _named_group(known, rows, matrix, formula, _z(block), notes)
    except _UnknownGroup as error:
        lone = expand(rows, IDENTITY, matrix, Notes())
        said = f", but the file says {_written(formula)}" if formula else ""
        raise ValueError(
            f"no symmetry operations, and {one_line(error)}; in P 1 the sites would be {lone.composition.formula}{said}"
        ) from error


def _with_listed(
    operations: Operations,
    name: Named,
    rows: list[SiteRow],
    matrix: NDArray[np.float64],
    formula: dict[str, float] | None,
    z: float | None,
    notes: Notes,
) -> Structure:
    """Apply the operations that a file lists; those of the group that it names, if only these give its formula."""
    expected = n_operations(name)
    own = Notes()
    structure = expand(rows, operations, matrix, own)
    if expected in (0, len(operations)):
        notes.take(own)
        return structure
    differ = f"{name.text} has {count(expected, 'symmetry operation')}, but the file lists {len(operations)}"
    if expected > len(operations) and formula is not None and not _agrees(structure, formula, z):
        try:
            applied = _named_group(name, rows, matrix, formula, z, Notes())
        except ValueError:
            pass
        else:
            notes.add(f"{differ}: the group was applied, which gives the file's formula")
            return applied
    _check_less_than_a_formula(formula, structure, f"with the {count(len(operations), 'operation')} that it lists")
    notes.add(f"{differ}: these were used")
    notes.take(own)
    return structure


class _UnknownGroup(ValueError):
    """The space group that a file names cannot be applied."""


def _check_expansion(rows: list[SiteRow], operations: Operations) -> None:
    """Refuse sites that, each under each operation, are too many: the time grows with the square."""
    if len(rows) * len(operations) > max(_MAX_EXPANDED, len(rows)):
        raise ValueError(
            f"{len(rows)} sites under {len(operations)} symmetry operations; at most {_MAX_EXPANDED} images are worked"
            " out, so export the whole cell in P1"
        )


def _check_less_than_a_formula(formula: dict[str, float] | None, structure: Structure, how: str) -> None:
    ratio = None if formula is None else _units(formula, structure)
    if formula is not None and ratio is not None and ratio < 0.98:
        raise ValueError(
            f"{how} the sites are {structure.composition.formula}, but the file says {_written(formula)};"
            " export it with its symmetry operations"
        )


def _named_group(
    name: Named,
    rows: list[SiteRow],
    matrix: NDArray[np.float64],
    formula: dict[str, float] | None,
    z: float | None,
    notes: Notes,
) -> Structure:
    """Apply the group that a file names, in the setting that gives what else the file says."""
    try:
        tiers = settings(name, matrix)
    except ValueError as error:
        raise _UnknownGroup(one_line(error)) from error
    _check_expansion(rows, tiers[0][0])
    kept: list[tuple[Operations, Structure, Notes]] = []
    problems = []
    for tier in tiers:
        for operations in tier:
            own = Notes()
            try:
                structure = expand(rows, operations, matrix, own)
            except ValueError as error:
                problems.append(one_line(error))
                continue
            if _agrees(structure, formula, z):
                kept.append((operations, structure, own))
            else:
                problems.append(f"as {operations.name} the sites are {structure.composition.formula}")
        kept = _different(kept)
        if len(kept) > 1:
            ways = listed([f"{each.name} gives {made.composition.formula}" for each, made, _ in kept])
            raise ValueError(
                f"no symmetry operations, and {name.text} can mean several settings: {ways}; list the operations"
            )
        if kept:
            operations, structure, own = kept[0]
            if operations.number != 1:
                notes.add(f"no symmetry operations in the file: {operations.name} applied, from {name.text}")
            notes.take(own)
            return structure
    said = f", but the file says {_written(formula)}" + (f" with Z = {z:g}" if z else "") if formula else ""
    raise ValueError(f"no symmetry operations, and {problems[0]}{said or f', some nearer than {_CLOSE} Å'}")


def _different(kept: list[tuple[Operations, Structure, Notes]]) -> list[tuple[Operations, Structure, Notes]]:
    """Leave out settings that put the same sites into the cell."""
    seen: set[tuple[object, ...]] = set()
    different = []
    for each in kept:
        sites = sorted((site.species_string, *(np.round(site.frac_coords, 3) % 1 + 0.0).tolist()) for site in each[1])
        key = tuple(sites)
        if key not in seen:
            seen.add(key)
            different.append(each)
    return different


def _agrees(structure: Structure, formula: dict[str, float] | None, z: float | None) -> bool:
    """Whether a structure holds what its file says, and no two atoms lie upon each other."""
    if len(structure) <= _MAX_EXPANDED // 4:
        whole = [i for i, site in enumerate(structure) if site.species.num_atoms > _MOSTLY]
        distances = structure.lattice.get_all_distances(*[structure.frac_coords[whole]] * 2)
        if distances[np.triu_indices(len(whole), 1)].min(initial=_CLOSE) < _CLOSE:
            return False
    if formula is None:
        return True
    units = _units(formula, structure)
    if units is None:
        return True  # other elements than the formula's: said as a note, whatever the setting
    if z:
        return _is_z(formula, units, z)
    return units >= 0.98


def _units(formula: Mapping[str, float], structure: Structure) -> float | None:
    """How many times a cell holds a formula, hydrogen aside; None if it is no multiple of it."""
    held = _held(structure)
    heavy = {symbol: n for symbol, n in formula.items() if n > 0 and (symbol != "H" or len(formula) == 1)}
    if not heavy or set(heavy) != {symbol for symbol in held if symbol != "H" or symbol in heavy}:
        return None
    ratios = np.array([held[symbol] / n for symbol, n in heavy.items()])
    units = sum(held[symbol] for symbol in heavy) / sum(heavy.values())
    if not (units > 0 and np.isfinite(units)):  # counts in the formula such as 1e308
        return None
    return float(units) if np.abs(ratios / units - 1).max() <= 0.03 else None


def _is_z(formula: Mapping[str, float], units: float, z: float) -> bool:
    """Whether a cell with so many formulas holds z of them; the formula may be that of the whole cell."""
    whole = [round(n) for n in formula.values()]
    common = np.gcd.reduce(whole) if all(abs(n - w) < 1e-6 for n, w in zip(formula.values(), whole, strict=True)) else 1
    return any(abs(units * each / z - 1) < 0.03 for each in (1, int(common)))


def _held(structure: Structure) -> dict[str, float]:
    held: dict[str, float] = {}
    for site in structure:
        for species, amount in site.species.items():
            held[species.symbol] = held.get(species.symbol, 0.0) + amount
    return held


# --- What the file says, beside what came of it ---------------------------------------------------------------------


def _say_what_was_left_out(block: Block, notes: Notes) -> None:
    if block.begins("_atom_site_moment"):
        notes.add("magnetic moments were left out")
    attached = [value for value in block.column("_atom_site_attached_hydrogens") if value.known]
    n = sum(int(value.text) for value in attached if value.text.isascii() and value.text[:4].isdigit())
    if n:
        notes.add(f"{count(n, 'hydrogen atom')} said to be attached to other sites, without a site: left out")
    groups = {value.text for value in block.column("_atom_site_disorder_group") if value.known}
    if groups:
        notes.add(f"alternatives of a disordered part ({listed(sorted(shown(g, 8) for g in groups))}) were all read")


def _compare(formula: Mapping[str, float], z: float | None, structure: Structure, notes: Notes) -> None:
    """Note where the sites give another formula than the file."""
    held = _held(structure)
    read = _written(_reduced(held)).replace(" ", "")
    units = _units(formula, structure)
    if formula.get("H", 0) > 0 and len(formula) > 1:
        if "H" not in held:
            notes.add(f"H of the formula ({_written(formula)}) has no site: read as {read}")
        elif units is not None and abs(held["H"] / units / formula["H"] - 1) > 0.03:
            notes.add(f"the file's formula has {formula['H'] * units:g} H for {held['H']:g} of the sites")
    if units is None:
        notes.add(f"the file's formula is {_written(formula)}, but its sites give {structure.composition.formula}")
    elif z and not _is_z(formula, units, z):
        notes.add(f"the file says {z:g} times {_written(formula)}, but its sites give {structure.composition.formula}")
    elif not z and units < 0.98:
        notes.add(f"the file's formula is {_written(formula)}, but the cell holds {structure.composition.formula}")


def _reduced(held: Mapping[str, float]) -> dict[str, float]:
    """Counts divided by what they have in common; as they are where one is no whole number."""
    whole = [round(n) for n in held.values()]
    if any(abs(n - w) > 1e-3 for n, w in zip(held.values(), whole, strict=True)):
        return dict(held)
    common = int(np.gcd.reduce(whole))
    return {symbol: w / common for symbol, w in zip(held, whole, strict=True)}


def _written(formula: Mapping[str, float] | None) -> str:
    return " ".join(f"{symbol}{n:g}" if n != 1 else symbol for symbol, n in (formula or {}).items())
