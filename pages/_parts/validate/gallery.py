"""The gallery: a still picture of each crystal with its distance to the hull and its lights; filters and order."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from matgen_core.materials.formulas import subscripted
from matgen_core.tasks.validation import columns
from matgen_core.tasks.validation.inputs import Candidate
from matgen_core.views.crystals import bench
from matgen_core.views.crystals.bench import Entry
from pages._parts.shared import bench_crystals, widgets
from pages._parts.shared.bench_crystals import Crystal, FigureError
from pages._parts.shared.plain_text import plain
from pages._parts.shared.verdict_words import MARKS
from pages._parts.validate import running

A_PAGE = 10
N_FIRST = 2  # lights that every card shows
_PICTURE, _HEIGHT = 104, 660  # px
_COLORS = {True: "green", False: "red", None: "gray"}
_ALL, _BAD = "All", "Not judged"
_ORDERS = {"energy_above_hull": "Nearest to the hull", "": "As given"}


def answer(value: Any) -> bool | None:
    """Read a verdict of a table: true, false, or None where it was not reached."""
    return None if value is None or pd.isna(value) else bool(value)


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


def lights(row: Mapping[str, Any], checks: Sequence[str]) -> str:
    """Write the lights of a crystal, a mark and a word each: the first, those that do not pass, how many others do."""
    answers = {check: answer(row[check]) for check in checks}
    first = checks[:N_FIRST]
    shown = [each for each in checks if each in first or answers[each] is not True]
    written = [
        f":{_COLORS[answers[each]]}-badge[{MARKS[answers[each]]} {plain(columns.column(each).title)}]" for each in shown
    ]
    if left := len(checks) - len(shown):
        written.append(f":green-badge[{MARKS[True]} {left} more]")
    return " ".join(written)


def chosen_rows(table: pd.DataFrame) -> list[int]:
    """Ask which crystals are shown and in which order, and return their places."""
    checks = [each for each in columns.checks(table) if table[each].notna().any()]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        wanted = st.selectbox(
            "Show",
            [
                _ALL,
                *checks,
                *(f"not {each}" for each in checks),
                *([_BAD] if table["problem"].astype(bool).any() else []),
            ],
            format_func=_filter_title,
            key="validate_show",
            width=190,
        )
        order = st.selectbox("Order", list(_ORDERS), format_func=_ORDERS.__getitem__, key="validate_order", width=175)
        with st.container(width="stretch"):
            kept = _searched(table)
    if wanted == _BAD:
        kept = kept[kept["problem"].astype(bool)]
    elif wanted != _ALL:
        check = wanted.removeprefix("not ")
        kept = kept[kept[check].map(answer).eq(check == wanted)]
    if order:
        kept = kept.sort_values(order, kind="stable", na_position="last")
    return [int(place) for place in kept.index]


def _searched(table: pd.DataFrame) -> pd.DataFrame:
    """Ask for elements or formulas; a crystal that could not be read is found where nothing is asked."""
    has_formula = table["formula"].fillna("").astype(bool)
    found = iter(widgets.search("Search", "validate_search", table["formula"][has_formula].tolist()))
    is_asked = bool(st.session_state.get("validate_search"))
    return table[[next(found) if there else not is_asked for there in has_formula]]


def _filter_title(key: str) -> str:
    if key in (_ALL, _BAD):
        return key
    check = key.removeprefix("not ")
    title = columns.column(check).title
    return title if check == key else f"Not: {title}"


def show(candidates: Sequence[Candidate], table: pd.DataFrame, places: Sequence[int], looked_at: int) -> None:
    """Show a page of crystals; a click on one looks closer."""
    if not places:
        st.info("No crystal is like that. Choose another filter above.")
        return
    n_pages = math.ceil(len(places) / A_PAGE)
    page = min(st.session_state.get("validate_page", 1), n_pages) if n_pages > 1 else 1
    shown = table.iloc[list(places[(page - 1) * A_PAGE : page * A_PAGE])]
    with st.container(height=_HEIGHT, border=False):  # so that what is looked at stays beside it
        cards(candidates, shown, 2, looked_at)
    if n_pages > 1:
        st.pagination(n_pages, key="validate_page")


def cards(candidates: Sequence[Candidate], table: pd.DataFrame, n_columns: int, looked_at: int | None = None) -> None:
    """Show crystals small; `looked_at` is the one that is looked at, None if none can be."""
    checks = [each for each in columns.lights(table) if table[each].notna().any()]
    with st.grid(n_columns, min_column_width=230, gap="small"):
        for place, row in zip(table.index, table.to_dict("records"), strict=True):
            _card(candidates[place], row, int(place), checks, looked_at)


def _card(
    candidate: Candidate, row: Mapping[str, Any], place: int, checks: Sequence[str], looked_at: int | None
) -> None:
    look = "on" if place == looked_at else "off"
    with st.container(border=True, horizontal=True, height="stretch", gap="small", key=f"vcard_{look}_{place}"):
        with st.container(width=_PICTURE):
            picture(candidate)
        with st.container(gap="xsmall", width="stretch"):
            formula = plain(subscripted(row["formula"])) if row["formula"] else "no crystal"
            if looked_at is None:
                st.markdown(f"**{formula}**")
            else:
                st.button(
                    f"**{formula}**",
                    key=f"closer_{place}",
                    type="tertiary",
                    on_click=running.look_closer,
                    args=(place,),
                )
            st.markdown(f":small[:gray[{plain(candidate.name)}]]  \n{distance_line(row)}")
            if row["problem"]:
                st.caption(plain(str(row["problem"]), 160))
            else:
                st.markdown(f":small[{lights(row, checks)}]")


def picture(candidate: Candidate) -> None:
    """Show a still picture of a crystal as it was given, or that there is none."""
    if candidate.structure is None:
        st.caption("no crystal to draw")
        return
    try:
        drawn = bench_crystals.still(crystal_of(candidate, candidate.structure, "given"), _PICTURE)
    except FigureError as error:
        st.caption(plain(f"not drawn: {error}"))
        return
    st.image(drawn, width=_PICTURE, alt=f"{candidate.name}, as it was given")
