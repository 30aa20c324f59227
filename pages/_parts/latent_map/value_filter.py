"""Filters by a value: a histogram of any column beside the map, a range drawn on it, a chip for each range."""

from dataclasses import replace
from typing import Any

import streamlit as st

from matgen_core.latent import ranges
from matgen_core.latent.ranges import Histogram, Range
from matgen_core.materials.properties import Column
from pages._parts.components.value_brush import value_brush
from pages._parts.shared import latent_maps, plain_text, widgets
from pages._parts.shared.folder_caches import by_folder
from pages._parts.shared.plain_text import plain

NAME = "the filter by values"


def asked(name: str) -> tuple[Range, ...]:
    """Return the ranges that are asked for; what the address asks for and cannot be had costs a line."""
    try:
        return ranges.read(widgets.remembered("ranges"), latent_maps.numbers_of(name))
    except ValueError as error:
        plain_text.error(f"The address of this page cannot be used: {error}")
        drop()
        return ()


def drop() -> None:
    """Drop all ranges."""
    st.session_state["ranges"] = ""


def kept(name: str, asked_for: tuple[Range, ...]) -> Any:
    """Tell which materials keep to all ranges, (n_materials,)."""
    return ranges.within(latent_maps.map_table(name), asked_for)


@by_folder(st.cache_resource, max_entries=32, show_spinner=False)
def _histogram(name: str, column: str) -> Histogram:
    return ranges.histogram(latent_maps.map_table(name)[column])


def panel(name: str, asked_for: tuple[Range, ...]) -> None:
    """Show the histogram of a column, on which a range is drawn."""
    columns = {each.name: each for each in latent_maps.map_table_columns(name) if not each.is_category}
    if not columns:
        return
    with st.expander("Filter by a value", icon=":material/tune:", expanded=bool(asked_for), key="value_filter"):
        column = columns[
            st.selectbox(
                "Value",
                list(columns),
                format_func=lambda each: columns[each].title,
                key="filter_column",
                label_visibility="collapsed",
            )
        ]
        try:
            drawn = _histogram(name, column.name)
        except ValueError as error:
            plain_text.error(error)
            return
        chosen = next(((each.low, each.high) for each in asked_for if each.column == column.name), None)
        value_brush(
            drawn,
            chosen,
            title=column.label,
            unit=column.unit,
            key=f"brush_{name}_{column.name}",
            on_choose=lambda found: _choose(name, column.name, found),
        )
        if drawn.n_missing:
            st.caption(f"{drawn.n_missing:,} have no value; a filter leaves them out.")


@widgets.while_it_is_there
def _choose(name: str, column: str, found: tuple[float, float] | None) -> None:
    others = [each for each in asked(name) if each.column != column]
    st.session_state["ranges"] = ranges.write([*others, *([Range(column, *found)] if found else [])])


def chips(name: str, asked_for: tuple[Range, ...]) -> None:
    """Show a chip for each range, which a click removes."""
    if not asked_for:
        return
    columns: dict[str, Column] = {each.name: each for each in latent_maps.map_table_columns(name)}
    with st.container(horizontal=True, gap="small"):
        for each in asked_for:
            column = replace(columns[each.column])
            words = f"{column.label} {each.low:.4g} to {each.high:.4g} {column.unit}".strip()
            st.button(
                plain(words),
                key=f"chip_{each.column}",
                icon=":material/close:",
                help="Remove this filter",
                on_click=_choose,
                args=(name, each.column, None),
            )
