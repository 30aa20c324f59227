"""A periodic table in which every element must, may, or must never be in what is asked for.

A click, Space or Enter goes from never to may to must and round again; the arrow keys move; the keys m, a and n
set must, may (allow) and never.
"""

from collections.abc import Callable, Iterable, Mapping

import streamlit as st

from pages._parts.components.registration import registered


def periodic_table(
    must: Iterable[str],
    may: Iterable[str],
    *,
    key: str,
    on_change: Callable[[tuple[str, ...], tuple[str, ...]], None],
    unavailable: Mapping[str, str] | None = None,
    notes: Mapping[str, str] | None = None,
    values: Mapping[str, float] | None = None,
    values_label: str = "",
) -> None:
    """Show the table and report each change of it.

    Args:
        must: Elements that must be there.
        may: Elements that may be there; all others are set to never.
        key: Names the table on its page.
        on_change: Called with the new `must` and `may`, in the order of atomic numbers, before the page runs again.
        unavailable: Elements that cannot be chosen, each with the reason.
        notes: A line for the tooltip of an element.
        values: Numbers that color a bar under elements, the lowest darkest; not every element needs one.
        values_label: What the numbers are, with their unit.
    """

    def handler() -> None:
        chosen = st.session_state[key]["choice"]
        on_change(tuple(chosen["must"]), tuple(chosen["may"]))

    last = (st.session_state.get(key) or {}).get("choice") or {}
    registered("periodic_table", '<div class="pt"></div>')(
        key=key,
        data={
            "must": list(must),
            "may": list(may),
            "unavailable": dict(unavailable or {}),
            "notes": dict(notes or {}),
            "values": dict(values or {}),
            "valuesLabel": values_label,
            "seen": last.get("change", 0),
        },
        on_choice_change=handler,
    )
