"""The sites that a block of a CIF lists, one row each: element, occupancy, place; and their images under symmetry."""

import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Composition, Element, Lattice, Species, Structure

from matgen_core.data.structure_files.cif_text import Block, Value
from matgen_core.data.structure_files.elements import element_of
from matgen_core.data.structure_files.limits import MAX_COORDINATE
from matgen_core.data.structure_files.reading import count, decimals, listed, read_number, shown
from matgen_core.data.structure_files.space_groups import Operations

_ALIKE = 1e-4  # of a cell edge: nearer, two places are one, as in pymatgen
_FEW_DIGITS = (2, 3)  # decimals with which 1/3 misses its special position by more than that
_SPECIAL = 0.25  # Å; no two whole atoms come so near, so such images are one atom beside its special position
_NOTHING = 1e-6  # of an atom; pymatgen drops what is less
_WHOLE = 0.95
_LITTLE = 1.05  # what rounding makes of 1
_FRACTIONS = ("_atom_site_fract_x", "_atom_site_fract_y", "_atom_site_fract_z")


@dataclass(frozen=True)
class SiteRow:
    """One row: what stands where, and how much of it."""

    label: str
    line: int
    species: Element | Species
    occupancy: float
    place: NDArray[np.float64]  # (3,), fractional
    decimals: tuple[int, ...]  # that each coordinate is written with

    @property
    def name(self) -> str:
        """How a message names it."""
        return f"{self.label} (line {self.line})"


@dataclass
class Notes:
    """What was done or guessed, each said once, with the sites that it was done to."""

    lines: list[str] = field(default_factory=list)
    sites: dict[str, list[str]] = field(default_factory=dict)

    def add(self, line: str) -> None:
        """Take a line, once."""
        if line and line not in self.lines:
            self.lines.append(line)

    def add_site(self, what: str, name: str) -> None:
        """Take a site to which something was done."""
        self.sites.setdefault(what, []).append(name)

    def take(self, other: "Notes") -> None:
        """Take every line of others."""
        for line in other.lines:
            self.add(line)
        for what, names in other.sites.items():
            self.sites.setdefault(what, []).extend(names)

    @property
    def all(self) -> tuple[str, ...]:
        """Every line."""
        return (*self.lines, *(f"{listed(names)}: {what}" for what, names in self.sites.items()))


def read_rows(block: Block, formula: Collection[str] | None, notes: Notes, most: int) -> list[SiteRow]:
    """Read the rows of sites, unless there are more than so many.

    Raises:
        ValueError: If there are none, or a value cannot be used; with its line and site.
    """
    columns = [block.column(tag) for tag in _FRACTIONS]
    if not all(columns):
        if block.begins("_atom_site_cartn_x"):
            raise ValueError("its sites have Cartesian coordinates only; export it with fractional ones")
        raise ValueError("it lists no sites (_atom_site_fract_x, _y, _z)")
    n = len(columns[0])
    if n > most:
        raise ValueError(f"{n} rows of sites; at most {most} are read")
    if {len(column) for column in columns} != {n}:
        raise ValueError("its coordinates stand in different loops")
    labels, types, occupancies, flags = (
        _column(block, tag, n)
        for tag in ("_atom_site_label", "_atom_site_type_symbol", "_atom_site_occupancy", "_atom_site_calc_flag")
    )
    if not labels and not types:
        raise ValueError("its sites have neither _atom_site_label nor _atom_site_type_symbol")
    states = _oxidation_states(block)
    rows = []
    empty: list[tuple[str, str]] = []
    for i in range(n):
        named = labels[i] if labels else types[i]
        name = f"{shown(named.text, 20)[1:-1]} (line {named.line})"
        if flags and flags[i].text.lower() in ("dum", "dummy"):
            notes.add_site("dummy sites, left out", name)
            continue
        typed = types[i] if types and types[i].known else None
        symbol, said = _element(typed, named, formula)
        notes.add(said)
        place = _place([column[i] for column in columns], name, symbol, notes)
        occupancy = _occupancy(occupancies[i], name, notes) if occupancies else 1.0
        if occupancy < _NOTHING:
            empty.append((name, symbol))
            notes.add_site("occupancy 0, left out", name)
        if place is None or occupancy < _NOTHING:
            continue
        species: Element | Species = Element(symbol)
        if states is not None:
            state = states.get(typed.text if typed else symbol, states.get(symbol, 0.0))
            species = Species(symbol, state)
        digits = tuple(decimals(column[i].text) for column in columns)
        rows.append(SiteRow(named.text[:40], named.line, species, occupancy, place, digits))
    there = {row.species.symbol for row in rows}
    for name, symbol in empty:
        if formula is not None and symbol in formula and symbol not in there:
            raise ValueError(f"{name} has occupancy 0, but the file's formula holds {symbol}; give its occupancy")
    if not rows:
        raise ValueError("none of its sites can be used" + (f" ({notes.all[0]})" if notes.all else ""))
    return rows


def _column(block: Block, tag: str, n: int) -> list[Value]:
    column = block.column(tag)
    if column and len(column) != n:
        raise ValueError(f"{tag} has {len(column)} values for {n} sites")
    return column


def _element(typed: Value | None, named: Value, formula: Collection[str] | None) -> tuple[str, str]:
    value, what = (typed, "type symbol") if typed else (named, "label")
    try:
        return element_of(value.text, what, formula, is_label=typed is None)
    except ValueError as error:
        raise ValueError(f"line {value.line}: {error}") from error


def _place(values: Sequence[Value], name: str, symbol: str, notes: Notes) -> NDArray[np.float64] | None:
    if symbol == "H" and not any(value.known for value in values):
        notes.add_site("hydrogen without coordinates, left out", name)
        return None
    place = []
    for axis, value in zip("xyz", values, strict=True):
        if not value.known:
            raise ValueError(f"{name} has the coordinate {axis} {shown(value.text)}; give a number")
        try:
            number, how = read_number(value.text.strip())
        except ValueError as error:
            raise ValueError(f"{name}: the coordinate {axis} {error}") from error
        if abs(number) > MAX_COORDINATE:
            raise ValueError(f"{name}: the coordinate {axis} {shown(value.text)} is far outside; check its point")
        if how:
            notes.add(f"{name}: the coordinate {axis} {shown(value.text)} {how}")
        third = next((i / 3 for i in (1, 2) if abs(number / (i / 3) - 1) <= _ALIKE), number)
        place.append(third)  # 0.3333 is a third, as in pymatgen: images under a threefold axis would miss it
    return np.array(place)


def _occupancy(value: Value, name: str, notes: Notes) -> float:
    if not value.known:
        notes.add_site(f"occupancy {shown(value.text)} taken as 1", name)
        return 1.0
    text = value.text.strip()
    try:
        number, how = read_number(text.removesuffix("%"))
    except ValueError as error:
        raise ValueError(f"{name}: the occupancy {error}; a number from 0 to 1 is expected") from error
    if text.endswith("%"):
        number, how = number / 100, f"read as {number / 100:g}"
    if not 0 <= number <= 100:
        raise ValueError(f"{name}: the occupancy {shown(text)} is not between 0 and 1")
    if how:
        notes.add(f"{name}: the occupancy {shown(text)} {how}")
    return number


def _oxidation_states(block: Block) -> dict[str, float] | None:
    symbols, numbers = block.column("_atom_type_symbol"), block.column("_atom_type_oxidation_number")
    if not symbols or len(symbols) != len(numbers):
        return None
    states = {}
    for symbol, number in zip(symbols, numbers, strict=True):
        try:
            state = read_number(number.text)[0]
            bare = element_of(symbol.text, "type symbol")[0]
        except ValueError:
            return None  # no crystal needs them
        states[symbol.text] = states[bare] = state
    return states


@dataclass(frozen=True)
class Place:
    """What stands at one place of the cell and at its images."""

    rows: tuple[SiteRow, ...]
    species: Composition
    images: NDArray[np.float64]  # (n, 3)


def expand(rows: Sequence[SiteRow], operations: Operations, matrix: NDArray[np.float64], notes: Notes) -> Structure:
    """Put the rows and their images into a cell.

    Rows at one place share it; what they add up to beyond 1 by rounding is scaled. Sites come in pymatgen's order.

    Args:
        rows: At least one.
        operations: Symmetry that makes the other sites of the cell.
        matrix: Vectors of the cell as rows, in Å.
        notes: Takes what was done.

    Raises:
        ValueError: If more than one atom stands at a place.
    """
    rows = [_on_special_position(row, operations, matrix, notes) for row in rows]
    places: list[list[SiteRow]] = []
    firsts = np.empty((len(rows), 3))
    for row in rows:
        images = operations.rotations @ row.place + operations.translations
        away = np.abs(_nearest(images[:, None] - firsts[None, : len(places)])).max(axis=2)
        alike = np.flatnonzero((away <= _ALIKE).any(axis=0))
        if len(alike):
            places[alike[0]].append(row)
        else:
            firsts[len(places)] = row.place
            places.append([row])
    made = [_place_of(shared, operations, notes) for shared in places]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # noble gases have no electronegativity, by which sites are sorted
        made.sort(key=lambda place: place.species)
        return _sorted_structure(made, matrix)


def _sorted_structure(made: Sequence[Place], matrix: NDArray[np.float64]) -> Structure:
    species = [place.species for place in made for _ in place.images]
    labels = [place.rows[-1].label for place in made for _ in place.images]
    coordinates = np.concatenate([place.images for place in made])
    return Structure(Lattice(matrix), species, coordinates, labels=labels).get_sorted_structure()


def _nearest(difference: NDArray[np.float64]) -> NDArray[np.float64]:
    return difference - np.round(difference)


def _on_special_position(row: SiteRow, operations: Operations, matrix: NDArray[np.float64], notes: Notes) -> SiteRow:
    """Move a site whose images lie beside it, since it was rounded, to their middle."""
    written = [n for n in row.decimals if n > 1]
    # Of an atom that is not whole, images beside each other may be meant.
    digits = 0 if not written else min(written) if row.occupancy > _WHOLE else max(written)
    if digits not in _FEW_DIGITS:
        return row
    images = operations.rotations @ row.place + operations.translations
    away = _nearest(images - row.place)
    near = np.abs(away).max(axis=1) <= 1.6 * 10.0**-digits
    distances = np.linalg.norm(away @ matrix, axis=1)
    near &= distances < _SPECIAL
    if distances[near].max(initial=0) == 0 or np.abs(away[near]).max() <= _ALIKE:
        return row
    moved = away[near].mean(axis=0)
    notes.add_site("rounded coordinates, moved onto the special position beside them", row.name)
    return replace(row, place=row.place + moved)


def _place_of(rows: Sequence[SiteRow], operations: Operations, notes: Notes) -> Place:
    rows = _once(rows, notes)
    total = sum(row.occupancy for row in rows)
    hydrogen = [row for row in rows if row.species.symbol == "H"]
    if total > _LITTLE and hydrogen and len(hydrogen) < len(rows):
        for row in hydrogen:
            other = next(each for each in rows if each not in hydrogen)
            notes.add(f"{row.name} stands at the place of {other.label}; this hydrogen was left out")
        rows = [row for row in rows if row not in hydrogen]
        total = sum(row.occupancy for row in rows)
    names = listed([row.name for row in rows])
    if total > _LITTLE:
        raise ValueError(f"{names}: {count(len(rows), 'row')} at one place hold {total:.6g} atoms; at most 1 fits")
    if hydrogen and len(rows) > len(hydrogen):
        notes.add(f"{names} share one place, hydrogen with them")
    species = Composition({})
    for row in rows:
        species += Composition({row.species: row.occupancy})
    if total > 1:
        notes.add(f"{names}: occupancies add up to {total:.6g}, scaled to 1")
        species = species / total
    images = operations.rotations @ rows[0].place + operations.translations
    images = images - np.floor(images)
    kept: list[int] = []
    for i, image in enumerate(images):
        if not kept or np.abs(_nearest(images[kept] - image)).max(axis=1).min() > _ALIKE:
            kept.append(i)
    return Place(tuple(rows), species, images[kept])


def _once(rows: Sequence[SiteRow], notes: Notes) -> list[SiteRow]:
    """Leave out whole atoms that are listed again at a place, themselves or as an image."""
    kept: list[SiteRow] = []
    for row in rows:
        first = next((each for each in kept if each.species == row.species), None)
        if first is not None and min(row.occupancy, first.occupancy) > _WHOLE:
            notes.add_site("listed before, at the same place or as an image; counted once", row.name)
        else:
            kept.append(row)
    return kept
