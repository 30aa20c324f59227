"""A histogram on which a range of values is drawn: with the pointer, or with two handles and the arrow keys."""

from collections.abc import Callable

import streamlit as st

from matgen_core.latent.ranges import Histogram
from matgen_core.latent.selection import is_coordinate
from pages._parts.components.registration import registered


def value_brush(
    drawn: Histogram,
    chosen: tuple[float, float] | None,
    *,
    title: str,
    unit: str,
    key: str,
    on_choose: Callable[[tuple[float, float] | None], None],
) -> None:
    """Show a histogram and report the range that the visitor draws on it.

    Args:
        drawn: The histogram.
        chosen: The range that is kept, None for all.
        title: What the values are.
        unit: Their unit, "" for none.
        key: Names the histogram on its page.
        on_choose: Called with the range, None for all, before the page runs again.
    """

    def handler() -> None:
        found = st.session_state[key]["range"]
        if isinstance(found, dict) and found.get("all") is True:
            on_choose(None)
            return
        ends = [found.get(end) for end in ("low", "high")] if isinstance(found, dict) else []
        low, high = map(float, ends) if ends and all(map(is_coordinate, ends)) else (1.0, 0.0)  # type: ignore[arg-type]
        if low <= high:
            on_choose((low, high))

    registered("value_brush", '<div class="vb"></div>')(
        key=key,
        data={
            "edges": drawn.edges.tolist(),
            "counts": drawn.counts.tolist(),
            "whole": drawn.whole,
            "chosen": None if chosen is None else list(chosen),
            "title": title,
            "unit": unit,
        },
        on_range_change=handler,
    )
