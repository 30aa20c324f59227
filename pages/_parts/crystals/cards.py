"""Crystals as small cards: a still picture, a formula, lights. A failed one has its card, too."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from matgen_core.materials.formulas import subscripted
from matgen_core.tasks.validation import columns
from pages._parts.shared import widgets
from pages._parts.shared.plain_text import plain
from pages._parts.shared.verdict_words import MARKS

PICTURE, HEIGHT = 104, 660  # px
A_PAGE = 10
N_FIRST = 2  # lights that every card shows
_ALL = "All"
_COLORS = {True: "green", False: "red", None: "gray"}


@dataclass(frozen=True)
class Card:
    """One crystal.

    Attributes:
        place: Its number among all, from 0.
        name: What it is called.
        row: Its verdicts, with formula and problem; "" where there is none.
        line: What is said of it under its name, as Markdown.
        draw: Shows its picture, PICTURE wide.
    """

    place: int
    name: str
    row: Mapping[str, Any]
    line: str
    draw: Callable[[], None]


def answer(value: Any) -> bool | None:
    """Read a verdict of a table: true, false, or None where it was not reached."""
    return None if value is None or pd.isna(value) else bool(value)


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


def grid(
    shown: Sequence[Card],
    checks: Sequence[str],
    n_columns: int,
    looked_at: int | None = None,
    on_look: Callable[[int], None] | None = None,
    min_width: int = 230,
) -> None:
    """Show crystals small.

    Args:
        shown: The crystals.
        checks: Columns that are lights.
        n_columns: How many stand side by side where there is room.
        looked_at: The place of the one that is looked at.
        on_look: Called with the place of the one that is clicked; None where none can be.
        min_width: px; fewer stand side by side where there is not that much for each.
    """
    with st.grid(n_columns, min_column_width=min_width, gap="small"):
        for each in shown:
            look = "on" if each.place == looked_at else "off"
            with st.container(
                border=True, horizontal=True, height="stretch", gap="small", key=f"vcard_{look}_{each.place}"
            ):
                with st.container(width=PICTURE):
                    each.draw()
                with st.container(gap="xsmall", width="stretch"):
                    _words(each, checks, on_look)


def _words(card: Card, checks: Sequence[str], on_look: Callable[[int], None] | None) -> None:
    formula = plain(subscripted(card.row["formula"])) if card.row["formula"] else "no crystal"
    if on_look is None:
        st.markdown(f"**{formula}**")
    else:
        st.button(f"**{formula}**", key=f"closer_{card.place}", type="tertiary", on_click=on_look, args=(card.place,))
    st.markdown(f":small[:gray[{plain(card.name)}]]  \n{card.line}")
    if card.row["problem"]:
        st.caption(plain(str(card.row["problem"]), 160))
    else:
        st.markdown(f":small[{lights(card.row, checks)}]")


def chosen(table: pd.DataFrame, checks: Sequence[str], failed: str, orders: Mapping[str, str], key: str) -> list[int]:
    """Ask which crystals are shown and in which order, and return their places.

    Args:
        table: A row each: formula, problem, verdicts.
        checks: Columns with verdicts.
        failed: What those with a problem are called.
        orders: What each order is called, by its column; "" for the one that they stand in.
        key: What the keys of the inputs begin with.
    """
    with st.container(horizontal=True, vertical_alignment="bottom"):
        bad = [failed] if table["problem"].astype(bool).any() else []
        options = [_ALL, *checks, *(f"not {each}" for each in checks), *bad]
        wanted = st.selectbox(
            "Show",
            options,
            format_func=lambda each: each if each in (_ALL, failed) else _filter_title(each),
            key=f"{key}_show",
            width=190,
        )
        order = st.selectbox("Order", list(orders), format_func=orders.__getitem__, key=f"{key}_order", width=175)
        with st.container(width="stretch"):
            kept = _searched(table, f"{key}_search")
    if wanted == failed:
        kept = kept[kept["problem"].astype(bool)]
    elif wanted != _ALL:
        check = wanted.removeprefix("not ")
        kept = kept[kept[check].map(answer).eq(check == wanted)]
    if order:
        kept = kept.sort_values(order, kind="stable", na_position="last")
    return [int(place) for place in kept.index]


def _searched(table: pd.DataFrame, key: str) -> pd.DataFrame:
    """Ask for elements or formulas; a crystal that could not be read is found where nothing is asked."""
    has_formula = table["formula"].fillna("").astype(bool)
    found = iter(widgets.search("Search", key, table["formula"][has_formula].tolist()))
    is_asked = bool(st.session_state.get(key))
    return table[[next(found) if there else not is_asked for there in has_formula]]


def _filter_title(key: str) -> str:
    check = key.removeprefix("not ")
    title = columns.column(check).title
    return title if check == key else f"Not: {title}"


def paged(places: Sequence[int], key: str, draw: Callable[[Sequence[int]], None]) -> None:
    """Show crystals page by page.

    Args:
        places: All that are shown.
        key: Of the pages.
        draw: Shows some of them.
    """
    if not places:
        st.info("No crystal is like that. Choose another filter above.")
        return
    n_pages = math.ceil(len(places) / A_PAGE)
    page = min(st.session_state.get(key, 1), n_pages) if n_pages > 1 else 1
    with st.container(height=HEIGHT, border=False):  # so that what is looked at stays beside it
        draw(places[(page - 1) * A_PAGE : page * A_PAGE])
    if n_pages > 1:
        st.pagination(n_pages, key=key)
