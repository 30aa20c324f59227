"""Crystals from POSCAR, as VASP reads it, and as people write it (https://www.vasp.at/wiki/index.php/POSCAR)."""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Lattice, Structure

from matgen_core.data.structure_files.elements import SYMBOLS, element_of
from matgen_core.data.structure_files.limits import MAX_COORDINATE, MAX_SITES
from matgen_core.data.structure_files.reading import Reading, count, one_line, read_number, shown

_COUNT = re.compile(r"\+?(\d{1,12})(?:\.0*)?", re.ASCII)
_FLAGS = ("T", "F", ".T.", ".F.", ".TRUE.", ".FALSE.", "TRUE", "FALSE")
_COMMENT = ("!", "#")


def read_poscar(text: str, max_sites: int = MAX_SITES) -> Reading:
    """Read a POSCAR that names its elements.

    Args:
        text: All of it.
        max_sites: Above which a crystal is refused.

    Returns:
        The crystal, sites in the order of the file, or the reason why there is none.
    """
    reader = _Reader(text, max_sites)
    try:
        return Reading(reader.read(), "", tuple(dict.fromkeys(reader.notes)))
    except ValueError as error:
        return Reading(None, f"no readable POSCAR: {one_line(error)}", tuple(dict.fromkeys(reader.notes)))


class _Reader:
    """Goes through the lines, once."""

    def __init__(self, text: str, max_sites: int) -> None:
        self.lines = re.split(r"\r\n|\n|\r", text.rstrip())
        self.max_sites = max_sites
        self.notes: list[str] = []
        self.at = 0  # of the line that comes next

    def read(self) -> Structure:
        title = self.lines[0]
        self.at = 1
        factors = self._factors()
        vectors = np.array([self._numbers(self._words("a vector of the cell"), 3, "a vector") for _ in range(3)])
        scale = _scale(factors, vectors)
        symbols, counts = self._symbols_and_counts()
        selective = self._is_selective()
        cartesian = self._is_cartesian()
        places, trailing = self._sites(sum(counts), selective)
        if not symbols:
            symbols = self._symbols_elsewhere(title, trailing, counts)
        species = [symbol for symbol, n in zip(symbols, counts, strict=True) for _ in range(n)]
        self._check_trailing(species, trailing)
        if cartesian:
            places = places * scale
        lattice = Lattice(vectors * scale)
        return Structure(lattice, species, places, coords_are_cartesian=cartesian)

    # Lines

    def _words(self, what: str) -> list[str]:
        """The words of the next line, without its comment."""
        if self.at >= len(self.lines):
            raise ValueError(f"it ends after line {len(self.lines)}, where {what} is expected")
        self.at += 1
        words = self.lines[self.at - 1].split()
        end = next((i for i, word in enumerate(words) if word.startswith(_COMMENT)), len(words))
        return words[:end]

    def _skip_blank(self, what: str) -> None:
        first = self.at
        while self.at < len(self.lines) and not self.lines[self.at].strip():
            self.at += 1
        if first < self.at < len(self.lines):
            self.notes.append(f"line {first + 1} is blank, where {what} is expected: passed over")

    def _numbers(self, words: Sequence[str], n: int, what: str) -> list[float]:
        if len(words) < n:
            raise ValueError(f"line {self.at}: {count(len(words), 'number')}, but {what} has {n}")
        numbers = []
        for word in words[:n]:
            try:
                number, how = read_number(word)
            except ValueError as error:
                raise ValueError(f"line {self.at}: {error}; {what} is expected") from error
            if abs(number) > 1e6:
                raise ValueError(f"line {self.at}: {shown(word)} is too large for {what}; check its decimal point")
            if how:
                self.notes.append(f"line {self.at}: {shown(word)} {how}")
            numbers.append(number)
        return numbers

    # Parts

    def _factors(self) -> list[float]:
        words = self._words("the scale")
        found: list[float] = []
        for word in words:
            try:
                found.append(read_number(word)[0])
            except ValueError:
                break  # a remark behind the numbers
        if len(found) not in (1, 3):
            raise ValueError(f"line 2: {shown(self.lines[1].strip())} is no scale; one number or three are expected")
        if 0 in found or (len(found) == 3 and min(found) < 0) or max(map(abs, found)) > 1e9:
            raise ValueError(f"line 2: {shown(self.lines[1].strip())} cannot scale a cell")
        return found

    def _symbols_and_counts(self) -> tuple[list[str], list[int]]:
        self._skip_blank("a line of symbols")
        symbols: list[str] = []
        words = self._words("a line of symbols or counts")
        first = self.at
        while words and not words[0][0].isdigit() and words[0][0] not in "+-.":
            if len(symbols) + len(words) > self.max_sites:
                raise ValueError(f"line {first} names more than {self.max_sites} elements")
            symbols += [self._symbol(word) for word in words]
            self._skip_blank("a line of counts")
            words = self._words("a line of counts")
        counts = self._counts(words)
        while symbols and len(counts) < len(symbols) and self._next_is_counts():
            counts += self._counts(self._words("a line of counts"))
        if symbols and len(symbols) != len(counts):
            raise ValueError(
                f"line {first} names {count(len(symbols), 'element')}, but line {self.at} has"
                f" {count(len(counts), 'count')}"
            )
        if not 0 < sum(counts):
            raise ValueError(f"line {self.at} announces no sites")
        if sum(counts) > self.max_sites:
            raise ValueError(f"{sum(counts)} sites are announced, more than {self.max_sites}")
        return symbols, counts

    def _symbol(self, word: str) -> str:
        try:
            symbol, said = element_of(re.split(r"[_/]", word)[0], "symbol")
        except ValueError as error:
            raise ValueError(f"line {self.at}: {error}") from error
        if said and said not in self.notes:
            self.notes.append(said)
        return symbol

    def _next_is_counts(self) -> bool:
        words = self.lines[self.at].split() if self.at < len(self.lines) else []
        return bool(words) and all(_COUNT.fullmatch(word) for word in words)

    def _counts(self, words: Sequence[str]) -> list[int]:
        counts = []
        for word in words:
            match = _COUNT.fullmatch(word)
            if match is None:
                raise ValueError(f"line {self.at}: {shown(word)} is no number of sites")
            if "." in word:
                self.notes.append(f"line {self.at}: {shown(word)} read as {match[1]} sites")
            counts.append(int(match[1]))
        if not counts:
            raise ValueError(f"line {self.at} is blank, where numbers of sites are expected")
        return counts

    def _is_selective(self) -> bool:
        self._skip_blank("Direct or Cartesian")
        selective = self.at < len(self.lines) and self.lines[self.at].strip()[:1].lower() == "s"
        if selective:
            self.at += 1
            self._skip_blank("Direct or Cartesian")
        return selective

    def _is_cartesian(self) -> bool:
        words = self._words("Direct or Cartesian")
        letter = words[0][0].lower() if words else ""
        if letter in ("c", "k"):
            return True
        if letter not in ("d", "f"):
            raise ValueError(f"line {self.at} says {shown(' '.join(words))}, where Direct or Cartesian is expected")
        return False

    def _sites(self, n: int, selective: bool) -> tuple[NDArray[np.float64], list[str]]:
        """The coordinates (n, 3), and what symbol stands behind each."""
        places: list[list[float]] = []
        trailing: list[str] = []
        flags = 0
        while len(places) < n:
            self._pass_blank()
            if self.at >= len(self.lines) or not _is_number(self.lines[self.at].split()[0]):
                raise ValueError(f"{count(len(places), 'coordinate line')}, but {n} sites are announced")
            words = self._words("coordinates")
            place = self._numbers(words, 3, "a site's place")
            if max(map(abs, place)) > MAX_COORDINATE:
                raise ValueError(
                    f"line {self.at}: {shown(' '.join(words))} is far outside of the cell; check its points"
                )
            places.append(place)
            behind = words[3:]
            if len(behind) > 2 and all(word.upper() in _FLAGS for word in behind[:3]):
                flags += not selective
                behind = behind[3:]
            trailing.append(behind[0] if behind else "")
        if flags:
            self.notes.append(
                f"flags T and F behind {count(flags, 'site')} without a line 'Selective dynamics': passed over"
            )
        self._check_end(n)
        return np.array(places), trailing

    def _pass_blank(self) -> None:
        while self.at < len(self.lines) and not self.lines[self.at].strip():
            self.at += 1

    def _check_end(self, n: int) -> None:
        """Refuse further coordinates; what stands behind a blank line are velocities."""
        further = 0
        for line in self.lines[self.at :]:
            words = line.split()
            if len(words) < 3 or not all(map(_is_number, words[:3])):
                break
            further += 1
        if further:
            raise ValueError(f"{n + further} coordinate lines, but {n} sites are announced")
        if any(line.strip() for line in self.lines[self.at :]):
            self.notes.append("what follows the coordinates (velocities and the like) was left out")

    # Symbols that stand elsewhere

    def _symbols_elsewhere(self, title: str, trailing: Sequence[str], counts: Sequence[int]) -> list[str]:
        ends = np.cumsum(counts)
        behind = [set(trailing[end - n : end]) for end, n in zip(ends, counts, strict=True)]
        if all(len(names) == 1 and "" not in names for names in behind):
            symbols = [self._symbol(next(iter(names))) for names in behind]
            self.notes.append("elements taken from the symbols behind the coordinates")
            return symbols
        words = title.split()
        if len(words) == len(counts) and all(word in SYMBOLS for word in words):
            self.notes.append("elements taken from the first line, since none stand above the counts")
            return words
        raise ValueError("it does not name its elements; write their symbols on the line above the counts")

    def _check_trailing(self, species: Sequence[str], trailing: Sequence[str]) -> None:
        for number, (symbol, behind) in enumerate(zip(species, trailing, strict=True), 1):
            if behind in SYMBOLS and behind != symbol:
                raise ValueError(f"site {number} has {behind} behind its coordinates, but the counts make it {symbol}")


def _is_number(word: str) -> bool:
    try:
        read_number(word)
    except ValueError:
        return False
    return True


def _scale(factors: Sequence[float], vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """What vectors and Cartesian coordinates are multiplied by, (3,); a negative factor is the cell's volume in Å³."""
    if factors[0] > 0:
        return np.broadcast_to(np.array(factors), 3)
    volume = abs(float(np.linalg.det(vectors)))
    if volume == 0:
        raise ValueError("a cell without volume, which cannot be scaled to one")
    return np.full(3, (-factors[0] / volume) ** (1 / 3))
