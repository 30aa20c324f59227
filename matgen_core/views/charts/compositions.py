"""Figures of generated formulas: the funnel, the elements in them, and where they lie among real ones."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots
from pymatgen.core import Element

from matgen_core.materials.elements import element_table
from matgen_core.tasks.funnel.answers import Answer
from matgen_core.tasks.funnel.stages import STAGES
from matgen_core.views.charts._colors import ACCENT, KNOWN, MUTED

ShareColumn = Literal["generated", "kept", "training", "ratio"]
_KINDS = {"real": ("training formulas", MUTED), "generated": ("generated", KNOWN), "kept": ("kept", ACCENT)}
_ROW = 34  # px of a bar
_N_BARS = 60
_REQUEST = "rgba(213,94,0,0.22)"  # ACCENT, thin: bars show through
_TRAINING = "rgba(138,148,158,0.16)"  # MUTED, thin


def funnel(counts: Mapping[str, int], undecided: Mapping[str, int], goes_on: Collection[str] = ()) -> go.Figure:
    """Draw how many samples each stage of the funnel keeps, and what it leaves open.

    Args:
        counts: By stage, as in `funnel.Chunk`.
        undecided: By stage, as in `funnel.Chunk`.
        goes_on: Stages at which what is undecided is among the counts.
    """
    stages = list(counts)
    values = [counts[stage] for stage in stages]
    before = [values[0], *values[:-1]]
    is_open = [undecided.get(stage, 0) for stage in stages]
    decided = [
        value - (left if stage in goes_on else 0) for stage, value, left in zip(stages, values, is_open, strict=True)
    ]
    texts = []
    for row, (stage, value, former, left) in enumerate(zip(stages, values, before, is_open, strict=True)):
        text = f"<b>{value:,}</b>"
        if row and former:
            text += f"  {value / former:.1%}"
        if left:
            text += f"  ({left:,} {'of them ' if stage in goes_on else ''}undecided)"
        texts.append(text)
    labels = [STAGES[stage].title for stage in stages]
    figure = go.Figure()
    common: dict[str, Any] = {"y": labels, "orientation": "h", "hoverinfo": "skip", "showlegend": False}
    figure.add_bar(x=decided, marker={"color": KNOWN}, **common)
    figure.add_bar(
        x=is_open,
        marker={
            "color": "rgba(138,148,158,0.35)",
            "line": {"color": MUTED, "width": [1 if left else 0 for left in is_open]},
            "pattern": {"shape": "/"},
        },
        text=texts,
        textposition="outside",
        textfont={"size": 13},
        cliponaxis=False,
        **common,
    )
    figure.update_layout(
        barmode="stack",
        xaxis={"visible": False, "range": [0, max(1, values[0]) * 1.6]},
        yaxis={"type": "category", "autorange": "reversed", "automargin": True, "tickfont": {"size": 13}},
        margin={"l": 10, "r": 10, "t": 6, "b": 6},
        height=30 + _ROW * len(stages),
        bargap=0.3,
    )
    return figure


def answers(given: Sequence[Answer], ranges: Mapping[str, Sequence[float]], titles: Mapping[str, str]) -> go.Figure:
    """Draw what is predicted of each property that was asked for, beside the request and the training range.

    Args:
        given: Those with predictions, one or more.
        ranges: Of each property the least, 0.5 %, 99.5 % and largest value in training, as `LatentSpace` gives them.
        titles: Of each property, with its unit.
    """
    figure = make_subplots(rows=len(given), vertical_spacing=min(0.25, 0.6 / len(given)))
    for row, answer in enumerate(given, start=1):
        edges, counts = answer.histogram(_N_BARS)
        _, low, high, _ = ranges[answer.name]
        reach = answer.tolerance or 0.0
        figure.add_bar(
            x=(edges[:-1] + edges[1:]) / 2,
            y=counts,
            width=np.diff(edges),
            marker={"color": KNOWN, "line": {"width": 0}},
            customdata=np.stack([edges[:-1], edges[1:]], 1),
            hovertemplate="%{customdata[0]:.3g} to %{customdata[1]:.3g}: %{y:,} formulas<extra></extra>",
            row=row,
            col=1,
        )
        figure.add_vrect(low, high, fillcolor=_TRAINING, line_width=0, layer="below", row=row, col=1)
        if reach:
            figure.add_vrect(
                answer.asked - reach, answer.asked + reach, fillcolor=_REQUEST, line_width=0, row=row, col=1
            )
        figure.add_vline(answer.asked, line={"color": ACCENT, "width": 2}, row=row, col=1)
        common: dict[str, Any] = {"yref": "y domain", "showarrow": False, "row": row, "col": 1}
        figure.add_annotation(
            x=answer.asked,
            y=1.0,
            yanchor="bottom",
            text=f"<b>asked for {answer.asked:g}</b>".replace("-", "\u2212") + (f" ± {reach:g}" if reach else ""),
            font={"size": 12, "color": ACCENT},
            **common,
        )
        is_right = answer.asked < (low + high) / 2  # away from the request
        figure.add_annotation(
            x=high if is_right else low,
            y=1.0,
            xanchor="right" if is_right else "left",
            yanchor="top",
            text="training: middle 99 %",
            font={"size": 11},
            **common,
        )
        ends = [edges[0], edges[-1], low, high, answer.asked - reach, answer.asked + reach]
        room = 0.03 * (max(ends) - min(ends))
        figure.update_xaxes(
            title={"text": f"{titles[answer.name]}, predicted", "standoff": 4, "font": {"size": 12}},
            range=[min(ends) - room, max(ends) + room],
            zeroline=False,
            showgrid=False,
            row=row,
            col=1,
        )
        figure.update_yaxes(
            title={"text": "formulas", "font": {"size": 12}}, range=[0, 1.2 * counts.max()], nticks=4, row=row, col=1
        )
    figure.update_layout(
        showlegend=False,
        bargap=0,
        margin={"l": 10, "r": 10, "t": 24, "b": 10},
        height=max(300, 60 + 115 * len(given)),
    )
    return figure


def element_shares(table: pd.DataFrame, shown: ShareColumn, logarithmic: bool = False) -> go.Figure:
    """Draw a periodic table colored by how often each element occurs.

    Args:
        table: As `Generation.element_shares` gives it.
        shown: A column, or "ratio": generated over training.
        logarithmic: Color by the logarithm; a ratio always is.
    """
    cells = np.full((10, 18), np.nan)
    symbols, hover = np.full((2, 10, 18), "", object)
    by_element = table.set_index("element")
    values = by_element["generated"] / by_element["training"] if shown == "ratio" else by_element[shown]
    for symbol in element_table():
        row, column = _place(symbol)
        symbols[row, column] = symbol
        hover[row, column] = f"<b>{symbol}</b>: in none"
        if symbol not in by_element.index:
            continue
        cells[row, column] = values[symbol]
        parts = [f"{name} {by_element.at[symbol, name]:.2f} %" for name in ("generated", "kept", "training")]
        hover[row, column] = f"<b>{symbol}</b><br>" + "<br>".join(part for part in parts if "nan" not in part)
    drawn, bar = _colored(cells, shown, logarithmic)
    figure = go.Figure()
    figure.add_heatmap(
        z=np.where(symbols == "", np.nan, 0.0),
        colorscale=[(0, "rgba(138,148,158,0.14)"), (1, "rgba(138,148,158,0.14)")],
        showscale=False,
        hoverinfo="skip",
        xgap=2,
        ygap=2,
    )
    figure.add_heatmap(
        z=drawn,
        colorscale="RdBu_r" if shown == "ratio" else "Viridis",
        colorbar={"thickness": 12, "outlinewidth": 0, **bar},
        zmid=0 if shown == "ratio" else None,
        zmin=0 if shown != "ratio" and not logarithmic else None,
        hoverinfo="skip",
        xgap=2,
        ygap=2,
    )
    figure.add_heatmap(  # carries symbols and hover texts of all elements, those that do not occur too
        z=np.where(symbols == "", np.nan, 0.0),
        colorscale=[(0, "rgba(0,0,0,0)"), (1, "rgba(0,0,0,0)")],
        showscale=False,
        customdata=hover,
        hovertemplate="%{customdata}<extra></extra>",
    )
    light = _is_light(drawn, shown)
    places = list(zip(*np.nonzero(symbols != ""), strict=True))
    shades = [(("#10151B" if light[at] else "#FFFFFF") if np.isfinite(drawn[at]) else MUTED) for at in places]
    figure.update_layout(
        annotations=[  # all at once: each one that is added alone is checked together with all before it
            {"x": at[1], "y": at[0], "text": symbols[at], "showarrow": False, "font": {"size": 13, "color": shade}}
            for at, shade in zip(places, shades, strict=True)
        ],
        xaxis={"visible": False, "range": [-0.5, 17.5], "fixedrange": True},
        yaxis={"visible": False, "range": [9.5, -0.5], "fixedrange": True},
        margin={"l": 4, "r": 4, "t": 4, "b": 4},
        height=380,
        plot_bgcolor="rgba(0,0,0,0)",
    )
    return figure


def generated_map(places: NDArray[np.floating], points: pd.DataFrame) -> go.Figure:
    """Draw generated formulas among real ones.

    Args:
        places: (n_points, 2), of a projection.
        points: As `Generation.comparison` gives it.
    """
    figure = go.Figure()
    for kind, (label, shade) in _KINDS.items():
        of_kind = (points["kind"] == kind).to_numpy()
        if not of_kind.any():
            continue
        figure.add_scattergl(
            x=places[of_kind, 0],
            y=places[of_kind, 1],
            name=f"{label}, {of_kind.sum():,}",
            mode="markers",
            marker={"size": 5, "color": shade, "opacity": 0.7},
            text=points["formula"][of_kind],
            hovertemplate="%{text}<extra>" + label + "</extra>",
        )
    axis = {"showticklabels": False, "showgrid": False, "zeroline": False}
    figure.update_layout(
        xaxis={"title": "t-SNE 1 (no unit)", **axis},
        yaxis={"title": "t-SNE 2 (no unit)", **axis},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "itemsizing": "constant"},
        margin={"l": 10, "r": 10, "t": 30, "b": 10},
        height=480,
    )
    return figure


def _place(symbol: str) -> tuple[int, int]:
    """Row and column of an element, from 0; lanthanides and actinides stand below the others."""
    number = element_table()[symbol].number
    for first, row in ((58, 8), (90, 9)):
        if first <= number < first + 14:
            return row, number - first + 3
    element = Element(symbol)
    return element.row - 1, element.group - 1


def _colored(
    values: NDArray[np.floating], shown: ShareColumn, logarithmic: bool
) -> tuple[NDArray[np.floating], dict[str, Any]]:
    """Values as they are colored, and the scale beside them."""
    positive = np.where(values > 0, values, np.nan)
    if shown == "ratio":
        bounded = np.clip(np.log2(np.where(np.isfinite(positive), positive, np.nan)), -3, 3)
        ticks = [-3, -2, -1, 0, 1, 2, 3]
        texts = ["1/8 or less", "1/4", "1/2", "as often", "2", "4", "8 or more"]
        return bounded, {"title": {"text": "generated<br>÷ training"}, "tickvals": ticks, "ticktext": texts}
    title = {"text": f"% of the<br>formulas<br>({shown})"}
    if not logarithmic:
        return positive, {"title": title}
    powers = np.arange(-4, 3)
    logs = np.log10(positive)
    return logs, {"title": title, "tickvals": powers, "ticktext": [f"{10.0**power:g}" for power in powers]}


def _is_light(drawn: NDArray[np.floating], shown: ShareColumn) -> NDArray[np.bool_]:
    """Whether dark letters can be read on each cell."""
    if shown == "ratio":
        return np.abs(drawn) < 1.8
    finite = drawn[np.isfinite(drawn)]
    if not len(finite):
        return np.zeros(drawn.shape, bool)
    low = min(finite.min(), 0.0) if (finite >= 0).all() else finite.min()
    return (drawn - low) > 0.55 * (finite.max() - low)
