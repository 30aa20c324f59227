"""Elements that must, may or must never be there, by the set: what pages with a periodic table share."""

from collections.abc import Callable, Collection, Sequence

import streamlit as st

from matgen_core.tasks import ranking

SetElements = Callable[[Sequence[str], Sequence[str]], None]  # takes must and may


def element_sets(must: Sequence[str], may: Sequence[str], known: Sequence[str], on_change: SetElements) -> None:
    """Show the sets of elements; one is on where all of its members are allowed, or all are excluded.

    Args:
        must: Elements that must be there.
        may: Elements that may be there.
        known: Elements that can be chosen at all.
        on_change: Takes the new elements.
    """
    allowed = {*must, *may}
    for label, sets, exclude in (("Allow", ranking.ELEMENT_SETS, False), ("Never", ranking.EXCLUSIONS, True)):
        key = f"sets_{label.lower()}"
        on = [
            name
            for name, chosen in sets.items()
            if all((symbol in allowed) != exclude for symbol in chosen.elements if symbol in known)
        ]
        st.session_state[key] = on
        st.pills(
            label,
            list(sets),
            selection_mode="multi",
            format_func=lambda each: {**ranking.ELEMENT_SETS, **ranking.EXCLUSIONS}[each].title,
            key=key,
            on_change=_toggle,
            wrap=True,
            args=(key, exclude, on, must, may, known, on_change),
            help="  \n".join(f"**{each.title}** {' '.join(each.elements)}: {each.why}" for each in sets.values()),
        )


def _toggle(
    key: str,
    exclude: bool,
    was_on: Sequence[str],
    must: Sequence[str],
    may: Sequence[str],
    known: Collection[str],
    on_change: SetElements,
) -> None:
    """Allow or exclude the elements of the sets that were just switched."""
    sets = ranking.EXCLUSIONS if exclude else ranking.ELEMENT_SETS
    needed, allowed = list(must), list(may)
    for name in set(st.session_state[key]) ^ set(was_on):
        members = [symbol for symbol in sets[name].elements if symbol in known]
        allowed = [symbol for symbol in allowed if symbol not in members]
        if (name in st.session_state[key]) != exclude:
            allowed += [symbol for symbol in members if symbol not in needed]
        else:
            needed = [symbol for symbol in needed if symbol not in members]
    on_change(needed, allowed)
