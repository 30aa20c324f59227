"""The search line of the latent map: what it finds, where that lies, what hides it, and the way from hit to hit."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from matgen_core.latent.index import find_formula, structures_of
from matgen_core.materials import query
from matgen_core.materials.levels import COMPOSITION, PHASE_FIELD
from matgen_core.materials.query.structures import Structures
from matgen_core.views.maps import framing
from pages._parts.latent_map import map_state
from pages._parts.shared import latent_maps, plain_text, widgets
from pages._parts.shared.folder_caches import by_folder
from pages._parts.shared.plain_text import plain


def line(name: str, projection: str) -> list[bool]:
    """Show the search line and tell which materials it finds; all if it is empty or cannot be understood."""
    is_fields = latent_maps.level(name) is PHASE_FIELD
    label = "Find a field or search" if is_fields else "Find a formula or search"
    known = _structures(name)
    on_structures = f" {query.HELP_ON_STRUCTURES}" if known != query.NO_STRUCTURES else ""
    text = st.text_input(
        label,
        key="find",
        bind="query-params",
        placeholder=f"{label}: Li-*-S-*   has:Li not:Pb{'   perovskite   Fm-3m' if on_structures else ''}",
        help=plain(f"{query.HELP}{on_structures}"),
        on_change=go,
        args=(name, projection),
    ).strip()
    if map_state.is_placed(name, text):
        return [True] * len(latent_maps.map_table(name))  # a mark of its own, and the map stays as it is
    try:
        found = _found(name, text)
    except ValueError as error:
        plain_text.error(error)
        _suggest(name, projection, query.suggestions(text, known))
        return [True] * len(latent_maps.map_table(name))
    for note in query.notes(text):
        st.text(note)
    return found


@by_folder(st.cache_resource, max_entries=4, show_spinner=False)
def _structures(name: str) -> Structures:
    return structures_of(latent_maps.map_table(name))


@by_folder(st.cache_data, max_entries=16, show_spinner="Searching …")
def _found(name: str, text: str) -> list[bool]:
    table = latent_maps.map_table(name)
    ids = () if latent_maps.level(name) is PHASE_FIELD else tuple(table["key"])
    return query.find(text, table["name"], ids, _structures(name))


def _suggest(name: str, projection: str, lines: Sequence[str]) -> None:
    with st.container(horizontal=True, gap="small"):
        for each in lines[:3]:
            st.button(plain(f"Search {each}"), key=f"suggested_{each}", on_click=_take, args=(name, projection, each))


def _take(name: str, projection: str, text: str) -> None:
    st.session_state["find"] = text
    go(name, projection)


# To the hits


@widgets.while_it_is_there
def go(name: str, projection: str) -> None:
    """Go to what the search line finds: open the first hit, or what it names itself, and look at all hits."""
    text = (st.session_state["find"] or "").strip()
    if not text:
        return
    keys = list(latent_maps.map_table(name)["key"])
    if latent_maps.row_of(name, text) is not None:
        map_state.look_at(text)
        show_rows(name, projection, [keys.index(text)])
        return
    try:
        rows = _rows(_found(name, text))
    except ValueError:  # the line says so itself
        rows = []
    named = _named(name, text)
    if named and latent_maps.row_of(name, named) is None:
        map_state.look_at(named)
        _show_placed(name, projection, named)
    elif rows:
        map_state.look_at(named or keys[rows[0]])
        show_rows(name, projection, rows)


def _named(name: str, text: str) -> str:
    """The formula or the field that a search line is, "" if it is a search."""
    if latent_maps.level(name) is COMPOSITION:
        return find_formula(latent_maps.map_table(name), text) or map_state.own_formula(text)
    if latent_maps.level(name) is PHASE_FIELD and text.count("-") and "*" not in text:
        try:
            return widgets.known_or_parsed(text, tuple(latent_maps.map_table(name)["key"]))
        except ValueError:  # the line is a search; its own message stands beside it
            return ""
    return ""


def _rows(mask: Sequence[bool]) -> list[int]:
    return [row for row, each in enumerate(mask) if each]


def show_rows(name: str, projection: str, rows: Sequence[int]) -> None:
    """Move the map so that some materials fill the view."""
    positions = latent_maps.positions(name, projection)
    if 0 < len(rows) < len(positions):
        map_state.ask_for(name, projection, framing.around(positions[list(rows)], positions))


def _show_placed(name: str, projection: str, key: str) -> None:
    if projection in latent_maps.own_maps(name) or latent_maps.misfit(name, key):
        return
    where = latent_maps.placed(name, projection, (key,))
    if len(where):
        positions = latent_maps.positions(name, projection)
        map_state.ask_for(name, projection, framing.around(where[["x", "y"]], positions))


@widgets.while_it_is_there
def _step(name: str, projection: str, rows: Sequence[int], place: int) -> None:
    row = rows[place % len(rows)]
    map_state.look_at(str(latent_maps.map_table(name)["key"].iloc[row]))
    show_rows(name, projection, [row])


# What is said of it


def report(
    name: str, projection: str, found: Sequence[bool], filters: Mapping[str, tuple[Any, Callable[[], None]]]
) -> None:
    """Say what a search has found, which hit is open and what hides hits.

    Args:
        name: The model.
        projection: The map that is shown.
        found: Which materials the search line finds, (n_materials,).
        filters: What else leaves materials out, by its name: which it keeps, (n_materials,), and what drops it.
    """
    text, rows = (st.session_state.get("find") or "").strip(), _rows(found)
    n_all = len(found)
    if not text or len(rows) == n_all:
        return
    at = latent_maps.row_of(name, st.session_state.get("at", ""))
    place = rows.index(at) if at in rows else None
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(_in_words(name, text, rows, place, n_all), width="content")
        if len(rows) > 1:
            for words, icon, keys, to in (
                ("Previous", "chevron_left", "Shift + Enter", -1 if place is None else place - 1),
                ("Next", "chevron_right", "Enter", 0 if place is None else place + 1),
            ):
                st.button(
                    words,
                    icon=f":material/{icon}:",
                    help=f"{keys} on the map",
                    on_click=_step,
                    args=(name, projection, rows, to),
                )
        if rows:
            st.button("Show all" if len(rows) > 1 else "Show", on_click=show_rows, args=(name, projection, rows))
    if not rows:
        st.caption(f"No {latent_maps.level(name).noun} on this map keeps to the line.")
    for label, (kept, drop) in filters.items():
        hidden = sum(not kept[row] for row in rows)
        if hidden:
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                of = "the hit" if len(rows) == 1 else f"{hidden:,} of {len(rows):,} hits"
                st.markdown(
                    f":orange[:material/filter_alt:] {label[:1].upper()}{label[1:]} hides {of} of **{plain(text)}**."
                )
                if st.button(f"Drop {label}", key=f"drop_{label}"):
                    drop()
                    st.rerun(scope="app")


def _in_words(name: str, text: str, rows: Sequence[int], place: int | None, n_all: int) -> str:
    said = f"**{plain(text)}**: {len(rows):,} of {n_all:,} {latent_maps.noun(name)}"
    if place is None:
        return said
    key = plain(latent_maps.map_table(name)["key"].iloc[rows[place]])
    return f"{said}, {key}; card opened" if len(rows) == 1 else f"{said}; hit {place + 1:,} is open, {key}"
