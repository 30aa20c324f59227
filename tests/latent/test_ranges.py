"""Filters by a range of numbers, and the histogram they are drawn on."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matgen_core.latent import ranges
from matgen_core.latent.ranges import Range
from tests.support.rows import each_row

numbers = st.floats(-1e6, 1e6).map(lambda value: float(f"{value:.8g}"))


@given(st.lists(st.tuples(st.sampled_from(["gap", "edge", "n"]), numbers, numbers), unique_by=lambda each: each[0]))
def test_ranges_come_back(asked: list[tuple[str, float, float]]) -> None:
    written = tuple(Range(name, min(a, b), max(a, b)) for name, a, b in asked)
    assert ranges.read(ranges.write(written), ["gap", "edge", "n"]) == written


@each_row(
    ("text", "named"),
    [
        ("gap", "'gap' is no range"),
        ("gap:1", "'gap:1' is no range"),
        ("gap:1:2:3", "is no range"),
        ("gap:2:1", "'gap:2:1' is no range"),
        ("gap:nan:1", "is no range"),
        ("gap:0:inf", "is no range"),
        ("gap:a:b", "is no range"),
        ("taste:0:1", "no values of 'taste' here; those are gap"),
        (":0:1", "no values of '' here"),
        (";", "no values of '' here"),
        (";".join(["gap:0:1"] * 21), "21 ranges of values; at most 20"),
    ],
)
def test_what_is_no_range_is_named(text: str, named: str) -> None:
    with pytest.raises(ValueError, match="; ") as error:
        ranges.read(text, ["gap"])
    assert named in str(error.value)


def test_a_range_keeps_its_ends_and_leaves_out_what_has_no_value() -> None:
    third = 1 / 3
    table = pd.DataFrame({"gap": [0.0, third, 0.5, np.nan, 2.0], "n": [1, 2, 3, 4, 5]})
    asked = ranges.read(ranges.write([Range("gap", third, 0.5)]), ["gap"])  # rounded on the way
    assert ranges.within(table, asked).tolist() == [False, True, True, False, False]
    both = (Range("gap", 0, 2), Range("n", 3, 5))
    assert ranges.within(table, both).tolist() == [False, False, True, False, True]
    assert ranges.within(table, ()).all()


@given(st.lists(st.floats(-1e6, 1e6) | st.just(float("nan")), min_size=1))
def test_every_value_is_in_one_bin(values: list[float]) -> None:
    known = [value for value in values if value == value]
    if not known:
        with pytest.raises(ValueError, match="no value is known"):
            ranges.histogram(values)
        return
    drawn = ranges.histogram(values)
    assert drawn.counts.sum() == len(known)
    assert drawn.n_missing == len(values) - len(known)
    assert drawn.edges[0] <= min(known)
    assert drawn.edges[-1] >= max(known)


def test_whole_numbers_get_a_bar_each() -> None:
    drawn = ranges.histogram([2, 3, 3, 5])
    assert drawn.whole
    assert drawn.counts.tolist() == [1, 2, 0, 1]
    assert not ranges.histogram([2, 3.5]).whole
