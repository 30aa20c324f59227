"""The gallery: a still picture of each crystal with its distance to the hull and its lights; filters and order."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from matgen_core.tasks.validation import columns
from matgen_core.tasks.validation.inputs import Candidate
from matgen_core.views.crystals import bench
from matgen_core.views.crystals.bench import Entry
from pages._parts.crystals.cards import PICTURE, Card, chosen, grid, paged
from pages._parts.shared import bench_crystals
from pages._parts.shared.bench_crystals import Crystal, FigureError
from pages._parts.shared.plain_text import plain
from pages._parts.validate import running

_BAD = "Not judged"
_ORDERS = {"energy_above_hull": "Nearest to the hull", "": "As given"}


def crystal_of(candidate: Candidate, structure: Any, what: str) -> Crystal:
    """Name a crystal so that its figures are kept as those of a file."""
    entry = Entry(bench.UPLOAD, bench.digest(f"{candidate.name} {what}", structure))
    return Crystal(entry, candidate.name, "validated", structure)


def distance_line(row: Mapping[str, Any]) -> str:
    """Write how far a crystal lies from the hull, or why that is not known."""
    distance = row["energy_above_hull"]
    if distance is None or pd.isna(distance):
        return ":gray[not judged]" if row["problem"] else ":gray[not checked]"
    return ":small[hull] " + f"**{round(distance, 3) + 0.0:+.3f}**".replace("-", "\u2212") + " :small[eV/atom]"


def chosen_rows(table: pd.DataFrame) -> list[int]:
    """Ask which crystals are shown and in which order, and return their places."""
    checks = [each for each in columns.checks(table) if table[each].notna().any()]
    return chosen(table, checks, _BAD, _ORDERS, "validate")


def show(candidates: Sequence[Candidate], table: pd.DataFrame, places: Sequence[int], looked_at: int) -> None:
    """Show a page of crystals; a click on one looks closer."""
    paged(places, "validate_page", lambda here: cards(candidates, table.iloc[list(here)], 2, looked_at))


def cards(candidates: Sequence[Candidate], table: pd.DataFrame, n_columns: int, looked_at: int | None = None) -> None:
    """Show crystals small; `looked_at` is the one that is looked at, None if none can be."""
    checks = [each for each in columns.lights(table) if table[each].notna().any()]
    shown = [
        Card(int(place), candidates[place].name, row, distance_line(row), partial(picture, candidates[place]))
        for place, row in zip(table.index, table.to_dict("records"), strict=True)
    ]
    grid(shown, checks, n_columns, looked_at, None if looked_at is None else running.look_closer)


def picture(candidate: Candidate) -> None:
    """Show a still picture of a crystal as it was given, or that there is none."""
    if candidate.structure is None:
        st.caption("no crystal to draw")
        return
    try:
        drawn = bench_crystals.still(crystal_of(candidate, candidate.structure, "given"), PICTURE)
    except FigureError as error:
        st.caption(plain(f"not drawn: {error}"))
        return
    st.image(drawn, width=PICTURE, alt=f"{candidate.name}, as it was given")
