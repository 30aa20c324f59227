"""Filters by a range of numbers, and the histogram that a range is drawn on."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

N_BINS = 40
MOST_RANGES = 20
_MOST_WHOLE = 60  # whole numbers that get a bar each


@dataclass(frozen=True)
class Range:
    """A column of a table and the values that are kept, both ends among them."""

    column: str
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Histogram:
    """How many values lie in each of some equal bins.

    Attributes:
        edges: Of the bins, (n_bins + 1,).
        counts: (n_bins,); the last bin holds its upper edge.
        n_missing: Rows without a value.
        whole: Whether the values are whole numbers with a bin each, from half a number below to half a number above.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    n_missing: int
    whole: bool = False


def write(ranges: Iterable[Range]) -> str:
    """Write ranges as a text for an address: "band_gap:0.5:2;edge:5:6"."""
    return ";".join(f"{each.column}:{each.low:.8g}:{each.high:.8g}" for each in ranges)


def read(text: str, columns: Sequence[str]) -> tuple[Range, ...]:
    """Read ranges.

    Args:
        text: As `write` gives it; it may come from anywhere.
        columns: Those that can be asked for.

    Raises:
        ValueError: If it is of another form, or names another column.
    """
    found: dict[str, Range] = {}
    parts = text.split(";") if text else []
    if len(parts) > MOST_RANGES:
        raise ValueError(f"{len(parts)} ranges of values; at most {MOST_RANGES} are read, so leave some out")
    for part in parts:
        column, _, rest = part.partition(":")
        if column not in columns:
            raise ValueError(f"no values of {column[:60]!r} here; those are {', '.join(columns) or 'none'}")
        try:
            low, high = map(float, rest.split(":"))
        except ValueError:
            low = high = math.nan
        if not (math.isfinite(low) and math.isfinite(high) and low <= high):
            raise ValueError(f"{part[:60]!r} is no range; write the lower value first, as in {column}:0:1")
        found[column] = Range(column, low, high)
    return tuple(found.values())


def within(table: pd.DataFrame, ranges: Iterable[Range]) -> NDArray[np.bool_]:
    """Tell which rows keep to every range, (n_rows,); one without a value keeps to none."""
    kept = np.ones(len(table), bool)
    for each in ranges:
        # An end was rounded when it was written: what lies on it is kept.
        slack = 1e-7 * max(abs(each.low), abs(each.high))
        kept &= table[each.column].between(each.low - slack, each.high + slack).to_numpy(bool)
    return kept


def histogram(values: ArrayLike, n_bins: int = N_BINS) -> Histogram:
    """Count values in equal bins over all of their range.

    Raises:
        ValueError: If no value is a finite number.
    """
    numbers = np.asarray(values, float)
    kept = numbers[np.isfinite(numbers)]
    if not len(kept):
        raise ValueError("no value is known, so there is nothing to draw a range on; choose another column")
    low, high = float(kept.min()), float(kept.max())
    whole = high - low < _MOST_WHOLE and bool((kept == np.round(kept)).all())
    if whole:
        counts, edges = np.histogram(kept, np.arange(low - 0.5, high + 1.5))
    else:
        counts, edges = np.histogram(kept, n_bins, (low, high) if low < high else (low - 0.5, high + 0.5))
    return Histogram(edges, counts, len(numbers) - len(kept), whole)
