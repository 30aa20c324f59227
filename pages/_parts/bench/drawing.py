"""How the bench draws: cells along each axis, the longest bond, and the offer to reduce a supercell."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import streamlit as st

from matgen_core.views.crystals.bench import MAX_CELLS, Entry
from pages._parts.shared import bench_crystals, plain_text, widgets
from pages._parts.shared.bench_crystals import Crystal, FigureError

Cells = tuple[int, int, int]
AUTOMATIC = "automatic"
LENGTHS = (AUTOMATIC, *(f"{tenths / 10:.1f}" for tenths in range(10, 51)))  # Å
AXES = {"na": "a", "nb": "b", "nc": "c"}


def reset() -> None:
    """Draw one cell, with the bonds that are found by themselves."""
    st.session_state.update(dict.fromkeys(AXES, 1), longest=AUTOMATIC)


def controls() -> tuple[Cells, float | None]:
    """Ask how many cells are drawn and how long a bond may be; both stand in the address.

    Returns:
        Cells along a, b and c, and the longest bond in Å, None where bonds are found by themselves.
    """
    with st.popover("Cells and bonds", icon=":material/grid_view:"):
        with st.container(horizontal=True):
            a, b, c = (
                widgets.whole_number(f"Cells along {axis}", 1, MAX_CELLS, 1, key, width=110)
                for key, axis in AXES.items()
            )
        longest = st.select_slider(
            "Longest bond (Å)",
            LENGTHS,
            value=AUTOMATIC,
            key="longest",
            bind="query-params",
            help="Automatic: by CrystalNN, or by distances where a cell is large or sites are shared. A length bonds"
            " whatever is that near; like elements only where they are nearest neighbors.",
        )
        st.button("Reset", icon=":material/restart_alt:", on_click=reset)
    return (a, b, c), None if longest == AUTOMATIC else float(longest)


def offer_primitive(
    crystals: Sequence[Crystal], on_it: Sequence[Entry], lay_out: Callable[[list[Entry]], None]
) -> None:
    """Offer to lay the primitive cell of a supercell in its place."""
    for crystal in crystals:
        try:
            cell = bench_crystals.primitive(crystal)
        except FigureError:
            continue  # it is only an offer
        if cell is None:
            continue

        def reduce(crystal: Crystal = crystal, cell: Any = cell) -> None:
            note = f"reduced from {len(crystal.structure)} sites to its primitive cell"
            file = bench_crystals.uploads()[crystal.entry.key]
            made = replace(file, name=f"{file.name}, primitive", structure=cell, notes=(*file.notes, note))
            (entry,) = bench_crystals.keep([made])
            lay_out([entry if each == crystal.entry else each for each in on_it])

        with st.container(horizontal=True, vertical_alignment="center"):
            n_sites = len(crystal.structure)
            words = f"{crystal.label} is a supercell of {n_sites:,} sites; its primitive cell has {len(cell)}."
            st.markdown(plain_text.plain(words), width="content")
            st.button("Reduce to its primitive cell", key=f"reduce_{crystal.entry.key}", on_click=reduce)
