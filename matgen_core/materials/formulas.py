"""Many formulas as two small arrays, for what must be done to millions of them at once.

A formula has whole counts. Its elements stand from the least to the most electronegative, as they are written.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pymatgen.core import Composition

from matgen_core.materials import notation
from matgen_core.materials.elements import element_table, writing_order

MAX_COUNT = 255
_BITS = 36  # kept of a key of a known formula
_KEY_COLUMN = "key"


@dataclass(frozen=True, eq=False)
class Formulas:
    """Formulas with whole counts.

    Attributes:
        numbers: (N, n_slots) uint8, atomic numbers in writing order; the empty slots behind them hold 0.
        counts: (N, n_slots) uint8, how many of each; 0 in an empty slot.
    """

    numbers: NDArray[np.uint8]
    counts: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, rows: NDArray[np.bool_] | NDArray[np.integer] | slice) -> "Formulas":
        return Formulas(self.numbers[rows], self.counts[rows])

    @classmethod
    def of_table(cls, counts: NDArray[np.integer], elements: Sequence[str]) -> "Formulas":
        """Make formulas of counts (N, n_elements), one column an element.

        Raises:
            ValueError: If an element is not in the table of elements.
        """
        unknown = [symbol for symbol in elements if symbol not in element_table()]
        if unknown:
            raise ValueError(f"nothing known of {', '.join(unknown)}")
        order = np.array(sorted(range(len(elements)), key=lambda i: writing_order(elements[i])), int)
        numbers = np.array([element_table()[elements[i]].number for i in order], np.uint8)
        rows, columns = np.nonzero(counts[:, order])
        n_present = np.bincount(rows, minlength=len(counts))
        slots = np.arange(len(rows)) - np.repeat(np.cumsum(n_present) - n_present, n_present)
        shape = (len(counts), max(1, int(n_present.max(initial=0))))
        made = cls(np.zeros(shape, np.uint8), np.zeros(shape, np.uint8))
        made.numbers[rows, slots] = numbers[columns]
        made.counts[rows, slots] = counts[rows, order[columns]]
        return made

    @classmethod
    def of_compositions(cls, compositions: Iterable[Composition]) -> "Formulas":
        """Make formulas of pymatgen's compositions.

        Raises:
            ValueError: If an element is not in the table of elements or a count is not whole.
        """
        return cls._of_parts([_parts_of(composition) for composition in compositions])

    @classmethod
    def of_texts(cls, texts: Iterable[str]) -> tuple["Formulas", list[str]]:
        """Read formulas.

        Args:
            texts: As `notation.read` takes them.

        Returns:
            A formula a text, without elements where it is none, and what is wrong with each ("" if nothing).
        """
        parts, problems = [], []
        for text in texts:
            try:
                parts.append(_read(text))
                problems.append("")
            except ValueError as error:
                parts.append(())
                problems.append(str(error))
        return cls._of_parts(parts), problems

    @classmethod
    def of_text(cls, text: str) -> "Formulas":
        """Read one formula.

        Raises:
            ValueError: If the text is none.
        """
        return cls._of_parts([_read(text)])

    @classmethod
    def _of_parts(cls, parts: Sequence[tuple[tuple[int, int], ...]]) -> "Formulas":
        width = max((len(part) for part in parts), default=1) or 1
        table = np.array([part + ((0, 0),) * (width - len(part)) for part in parts], np.uint8).reshape(-1, width, 2)
        return cls(np.ascontiguousarray(table[..., 0]), np.ascontiguousarray(table[..., 1]))

    @classmethod
    def concatenate(cls, parts: Sequence["Formulas"]) -> "Formulas":
        """Put formulas behind one another."""
        width = max((part.numbers.shape[1] for part in parts), default=1)
        wide = [part._widened(width) for part in parts] or [cls(*np.zeros((2, 0, width), np.uint8))]
        return cls(np.concatenate([part.numbers for part in wide]), np.concatenate([part.counts for part in wide]))

    @property
    def n_elements(self) -> NDArray[np.int64]:
        """How many elements each formula has, (N,)."""
        return np.asarray((self.numbers > 0).sum(1))

    @property
    def n_atoms(self) -> NDArray[np.int64]:
        """How many atoms each formula has, (N,)."""
        return self.counts.sum(1, dtype=np.int64)

    def table(self, elements: Sequence[str]) -> NDArray[np.uint8]:
        """Counts of some elements, (N, n_elements); what the formulas have of others is left out."""
        place = np.full(256, len(elements))
        place[[element_table()[symbol].number for symbol in elements]] = np.arange(len(elements))
        counts = np.zeros((len(self), len(elements) + 1), np.uint8)
        np.put_along_axis(counts, place[self.numbers], self.counts, 1)
        return counts[:, :-1]

    def fit(self, elements: Sequence[str], max_count: int) -> NDArray[np.bool_]:
        """Whether each formula has no other elements and no larger count, and has any element at all, (N,)."""
        known = np.zeros(256, bool)
        known[[0, *(element_table()[symbol].number for symbol in elements)]] = True
        return known[self.numbers].all(1) & (self.counts <= max_count).all(1) & (self.numbers[:, 0] > 0)

    def misfits(self, elements: Sequence[str], max_count: int) -> list[str]:
        """Say what of each formula does not fit, "" if all does."""
        symbols = {element_table()[symbol].number: symbol for symbol in elements}
        found = [""] * len(self)
        for row in np.flatnonzero(~self.fit(elements, max_count)):
            text = self[row : row + 1].texts()[0] or "an empty formula"
            strangers = [_symbol(number) for number in self.numbers[row] if number and number not in symbols]
            large = [
                f"{n} {_symbol(i)}" for i, n in zip(self.numbers[row], self.counts[row], strict=True) if n > max_count
            ]
            if strangers:
                found[row] = f"{text}: no {', '.join(strangers)} among the {len(elements)} elements"
            elif large:
                found[row] = f"{text}: {', '.join(large)}; counts must be whole, 1 to {max_count}"
            else:
                found[row] = text
        return found

    def reduced(self) -> "Formulas":
        """Divide the counts of each formula by their greatest common divisor."""
        divisor = np.gcd.reduce(self.counts, axis=1, keepdims=True)
        return Formulas(self.numbers, self.counts // np.maximum(divisor, 1))

    def keys(self) -> NDArray[np.uint64]:
        """A number that stands for each formula as it is written, (N,); the empty formula has 0.

        The sum of a random number for each pair of element and count: of ten million different formulas two have
        the same key with a chance of 3 in a million.
        """
        return _key_parts()[self.numbers, self.counts].sum(1, dtype=np.uint64)

    def texts(self) -> NDArray[np.object_]:
        """Write the formulas: "SrTiO3"; "" for one without elements."""
        places = self.numbers.astype(np.int32) * (MAX_COUNT + 1) + self.counts
        columns = [_written().take(pa.array(column)) for column in places.T]
        return np.asarray(pc.binary_join_element_wise(*columns, "").to_numpy(zero_copy_only=False))

    def compositions(self) -> list[Composition]:
        """Return the formulas as pymatgen's compositions; one without elements is empty."""
        symbols = {facts.number: symbol for symbol, facts in element_table().items()}
        return [
            Composition({symbols[i]: int(n) for i, n in zip(row, counts, strict=True) if n})
            for row, counts in zip(self.numbers.tolist(), self.counts.tolist(), strict=True)
        ]

    def _widened(self, width: int) -> "Formulas":
        missing = ((0, 0), (0, width - self.numbers.shape[1]))
        return Formulas(np.pad(self.numbers, missing), np.pad(self.counts, missing))


@dataclass(frozen=True, eq=False)
class KnownFormulas:
    """Formulas by parts of the keys of their reduced forms.

    A formula that is not among them passes for known with a chance of n / 2^36: of two million new formulas against
    319,000 known ones, nine are expected to be taken for known.

    Attributes:
        keys: (n,) uint64, sorted, each once.
    """

    keys: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.keys)

    @classmethod
    def of(cls, formulas: Formulas) -> "KnownFormulas":
        """Remember formulas; multiples of one formula are the same."""
        return cls(np.unique(_known_parts(formulas)))

    def contains(self, formulas: Formulas) -> NDArray[np.bool_]:
        """Whether each formula is known, (N,)."""
        parts = _known_parts(formulas)
        places = np.minimum(np.searchsorted(self.keys, parts), max(len(self.keys) - 1, 0))
        return self.keys[places] == parts if len(self.keys) else np.zeros(len(parts), bool)

    def write(self, path: Path) -> None:
        """Write parquet; sorted numbers are stored as their small differences."""
        table = pa.table({_KEY_COLUMN: self.keys.astype(np.int64)})
        pq.write_table(
            table, path, compression="zstd", use_dictionary=False, column_encoding={_KEY_COLUMN: "DELTA_BINARY_PACKED"}
        )

    @classmethod
    def read(cls, path: Path) -> "KnownFormulas":
        """Read what `write` wrote.

        Raises:
            ValueError: If the file holds something else.
        """
        table = pq.read_table(path)
        if table.column_names != [_KEY_COLUMN]:
            raise ValueError(f"columns {', '.join(table.column_names)}; expected {_KEY_COLUMN}")
        return cls(table[_KEY_COLUMN].to_numpy().astype(np.uint64))


def _known_parts(formulas: Formulas) -> NDArray[np.uint64]:
    return formulas.reduced().keys() >> np.uint64(64 - _BITS)


@lru_cache(maxsize=100_000)
def _read(text: str) -> tuple[tuple[int, int], ...]:
    """Atomic numbers and counts of a formula, in writing order."""
    return _parts(notation.shown(text)[1:-1], notation.read(text).amounts)


def _parts_of(composition: Composition) -> tuple[tuple[int, int], ...]:
    amounts = {element.symbol: float(amount) for element, amount in composition.items()}
    return _parts("".join(f"{symbol}{amount:g}" for symbol, amount in amounts.items()), amounts)


def _parts(text: str, amounts: Mapping[str, float]) -> tuple[tuple[int, int], ...]:
    unknown = [symbol for symbol in amounts if symbol not in element_table()]
    if unknown:
        raise ValueError(f"{text}: no element {', '.join(unknown)} known here (H to Lr)")
    for symbol, amount in amounts.items():
        if amount != round(amount) or not 1 <= amount <= MAX_COUNT:
            raise ValueError(f"{text}: {amount:g} {symbol}; counts must be whole, 1 to {MAX_COUNT}")
    if not amounts:
        raise ValueError("an empty formula")
    return tuple(
        (element_table()[symbol].number, round(amounts[symbol])) for symbol in sorted(amounts, key=writing_order)
    )


def subscripted(formula: str) -> str:
    """Write a formula with its numbers below the line."""
    return formula.translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))


def _symbol(number: int) -> str:
    return next(symbol for symbol, facts in element_table().items() if facts.number == number)


@cache
def _key_parts() -> NDArray[np.uint64]:
    """A random number for each atomic number and count, (256, MAX_COUNT + 1); nothing of anything has 0."""
    parts = np.random.default_rng(20260823).integers(0, 2**64, (256, MAX_COUNT + 1), np.uint64)
    parts[0], parts[:, 0] = 0, 0
    return parts


@cache
def _written() -> pa.Array:
    """Symbol and count of each pair, in one row."""
    symbols = {facts.number: symbol for symbol, facts in element_table().items()}
    return pa.array(
        [
            "" if number not in symbols or not count else symbols[number] + (str(count) if count > 1 else "")
            for number in range(256)
            for count in range(MAX_COUNT + 1)
        ]
    )
