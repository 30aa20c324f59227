"""Figures of judged crystals: hull diagrams, the way of a relaxation, and a generator beside the others."""

from collections.abc import Collection, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from matgen_core.materials.formulas import subscripted
from matgen_core.views.charts._colors import ACCENT, KNOWN, MUTED

if TYPE_CHECKING:  # it brings torch
    from matgen_core.tasks.validation.diagrams import Phases

_HEIGHT = 340  # px of a diagram
_MOST_NAMES = {2: 14, 3: 6}  # stable compounds that have their names, by elements; of more those that matter alone
_ROW = 26  # px of a generator
_LABEL = {"size": 12}


def hull(
    phases: "Phases",
    formula: str,
    share: Mapping[str, float],
    energy: float,
    distance: float,
    named: Collection[str] = (),
) -> go.Figure:
    """Draw the known phases of two or three elements, the hull of the stable ones, and a crystal among them.

    Args:
        phases: From `diagrams.phases_of`.
        formula: Of the crystal.
        share: Of each element in it.
        energy: Its formation energy in eV/atom.
        distance: Above the hull in eV/atom.
        named: Formulas that have their names whatever room there is: those that the crystal is held against.
    """
    told = f"<b>{escape(subscripted(formula))}</b>, yours<br>{energy:+.3f} eV/atom, {distance:+.3f} to the hull"
    drawn = _of_two if len(phases.elements) == 2 else _of_three
    figure = drawn(phases, share, energy, told.replace("-", "\u2212"), named)
    figure.update_layout(
        height=_HEIGHT,
        margin={"l": 10, "r": 10, "t": 8, "b": 10},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "font": _LABEL},
    )
    return figure


def _of_two(
    phases: "Phases", share: Mapping[str, float], energy: float, told: str, named: Collection[str]
) -> go.Figure:
    table, last = phases.table, phases.elements[-1]
    figure = go.Figure()
    for a, b in phases.lines:
        ends = table.iloc[[a, b]]
        _line(figure, ends[last].tolist(), ends["energy"].tolist())
    for is_stable, name in ((False, "known, above the hull"), (True, "known and stable")):
        rows = table[table["is_stable"] == is_stable]
        if len(rows):
            names = _names(rows, phases.elements, named) if is_stable else []
            _phases(figure, rows, rows[last], rows["energy"], name, is_stable, names)
    _yours(figure, share[last], energy, told)
    first = phases.elements[0]
    figure.update_xaxes(
        title={"text": f"share of {last} (of the atoms)", "font": _LABEL},
        range=[-0.06, 1.06],
        tickvals=[0, 0.25, 0.5, 0.75, 1],
        ticktext=[first, "0.25", "0.5", "0.75", last],
        zeroline=False,
    )
    lowest = min(table["energy"].min(), energy)
    highest = max(energy, 0.0, min(table["energy"].max(), abs(lowest)))
    room = 0.12 * max(highest - lowest, 0.1)
    figure.update_yaxes(
        title={"text": "formation energy (eV/atom)", "font": _LABEL},
        range=[lowest - 1.6 * room, highest + room],
        zeroline=True,
    )
    return figure


def _of_three(
    phases: "Phases", share: Mapping[str, float], energy: float, told: str, named: Collection[str]
) -> go.Figure:
    table, elements = phases.table, phases.elements
    shares = table[list(elements)].to_numpy(float)
    places = _corner_places(shares)
    figure = go.Figure()
    for a, b in phases.lines:
        _line(figure, places[[a, b], 0].tolist(), places[[a, b], 1].tolist())
    for is_stable, name in ((False, "known, not stable"), (True, "known and stable")):
        chosen = (table["is_stable"] == is_stable).to_numpy()
        rows = table[chosen]
        if len(rows):
            names = _names(rows, elements, named) if is_stable else []
            _phases(figure, rows, places[chosen, 0], places[chosen, 1], name, is_stable, names)
    [at] = _corner_places(np.array([[share[each] for each in elements]]))
    _yours(figure, float(at[0]), float(at[1]), told)
    for element, (x, y), anchor in zip(
        elements, _corner_places(np.eye(3)), (("right", "top"), ("left", "top"), ("center", "bottom")), strict=True
    ):
        figure.add_annotation(
            x=x,
            y=y,
            text=f"<b>{element}</b>",
            showarrow=False,
            xanchor=anchor[0],
            yanchor=anchor[1],
            font={"size": 14},
            xshift={"right": -6, "left": 6}.get(anchor[0], 0),
            yshift=6 if anchor[1] == "bottom" else 0,
        )
    figure.update_xaxes(visible=False, range=[-0.16, 1.16])
    figure.update_yaxes(visible=False, range=[-0.08, 0.98], scaleanchor="x")
    return figure


def _corner_places(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Places in an upright triangle of edge 1: the first element at its left, the second at its right, one on top."""
    corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(0.75)]])
    placed: NDArray[np.float64] = shares @ corners
    return placed


def _names(rows: pd.DataFrame, elements: Sequence[str], named: Collection[str]) -> list[str]:
    """Formulas as they are written; elements have theirs at the axes, and of many compounds only some have one."""
    is_element = rows[list(elements)].max(axis=1) > 1 - 1e-6
    few = (~is_element).sum() <= _MOST_NAMES[len(elements)]
    return [
        subscripted(formula) if not pure and (few or formula in named) else ""
        for formula, pure in zip(rows["formula"], is_element, strict=True)
    ]


def _line(figure: go.Figure, x: Sequence[float], y: Sequence[float]) -> None:
    figure.add_scatter(x=x, y=y, mode="lines", line={"color": KNOWN, "width": 1.5}, hoverinfo="skip", showlegend=False)


def _phases(
    figure: go.Figure,
    rows: pd.DataFrame,
    x: "Sequence[float] | pd.Series | NDArray[np.float64]",
    y: "Sequence[float] | pd.Series | NDArray[np.float64]",
    name: str,
    is_stable: bool,
    names: Sequence[str],
) -> None:
    figure.add_scatter(
        x=list(x),
        y=list(y),
        name=name,
        mode="markers+text" if names else "markers",
        text=list(names) or None,
        textposition="bottom center",
        textfont={"size": 11},
        marker={"size": 9, "color": KNOWN}
        if is_stable
        else {"size": 7, "color": "rgba(0,0,0,0)", "line": {"color": MUTED, "width": 1.5}},
        customdata=[
            [subscripted(row.formula), f"{row.energy:+.3f}".replace("-", "\u2212")] for row in rows.itertuples()
        ],
        hovertemplate="%{customdata[0]}: %{customdata[1]} eV/atom<extra>" + name + "</extra>",
    )


def _yours(figure: go.Figure, x: float, y: float, told: str) -> None:
    figure.add_scatter(
        x=[x],
        y=[y],
        name="yours",
        mode="markers",
        marker={"size": 15, "symbol": "star", "color": ACCENT},
        hovertemplate=told + "<extra></extra>",
    )


def relaxation(steps: Sequence[int], energies: Sequence[float]) -> go.Figure:
    """Draw the energy along a relaxation, above where it ended.

    Args:
        steps: Of each frame that was kept.
        energies: eV/atom there.
    """
    end = energies[-1]
    above = [1_000 * (each - end) for each in energies]
    figure = go.Figure(
        go.Scatter(
            x=list(steps),
            y=above,
            mode="lines+markers",
            line={"color": KNOWN, "width": 2},
            marker={"size": 6, "color": KNOWN},
            hovertemplate="step %{x}: %{y:.1f} meV/atom above the end<extra></extra>",
        )
    )
    figure.update_xaxes(title={"text": "step", "font": _LABEL}, rangemode="tozero", zeroline=False)
    figure.update_yaxes(title={"text": "meV/atom above the end", "font": _LABEL}, rangemode="tozero")
    figure.update_layout(height=230, margin={"l": 10, "r": 10, "t": 8, "b": 10}, showlegend=False)
    return figure


def generators(board: pd.DataFrame, measure: str, title: str, own: str) -> go.Figure:
    """Draw a share of each generator with its 95 % interval, one of them stressed.

    Args:
        board: name, kind, and a share in per cent as `measure`, with `measure`_low and _high.
        measure: Column.
        title: Of the axis.
        own: Name of the one to stress.
    """
    rows = board[board[measure].notna()].sort_values(measure)
    shades = [
        ACCENT if row.name == own else MUTED if row.kind == "no network" else KNOWN
        for row in rows.itertuples(index=False)
    ]
    labels = [f"<b>{escape(name)}</b>" if name == own else escape(name) for name in rows["name"]]
    figure = go.Figure(
        go.Scatter(
            x=rows[measure],
            y=labels,
            mode="markers",
            marker={
                "size": 11,
                "color": shades,
                "symbol": ["star" if each == own else "circle" for each in rows["name"]],
            },
            error_x={
                "array": rows[f"{measure}_high"] - rows[measure],
                "arrayminus": rows[measure] - rows[f"{measure}_low"],
                "color": MUTED,
                "thickness": 1.5,
                "width": 4,
            },
            customdata=rows[[f"{measure}_low", f"{measure}_high", "n"]].to_numpy(),
            hovertemplate="%{y}: %{x:.1f} % (%{customdata[0]:.1f} to %{customdata[1]:.1f}) of %{customdata[2]:,}"
            "<extra></extra>",
        )
    )
    figure.update_xaxes(title={"text": title, "font": _LABEL}, range=[-2, 102], ticksuffix=" %", zeroline=False)
    figure.update_yaxes(type="category", automargin=True, tickfont={"size": 13})
    figure.update_layout(height=70 + _ROW * len(rows), margin={"l": 10, "r": 10, "t": 6, "b": 10}, showlegend=False)
    return figure
