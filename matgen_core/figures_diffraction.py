"""Figures of powder patterns: tables in, a plotly figure out."""

import pandas as pd
import plotly.graph_objects as go

ANGLE, INTENSITY = "2 theta (degrees)", "Intensity"
# Blue, vermilion, green, purple of Okabe and Ito: apart for color-blind eyes, in print and on a projector.
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
_HOVER = "%{customdata[0]}<br>2θ %{x:.2f}°, d %{customdata[1]:.4f} Å, %{customdata[2]:.1f} %<extra></extra>"
_MEASURED = "#7a828e"


def powder_pattern(
    profiles: dict[str, pd.DataFrame],
    reflections: dict[str, pd.DataFrame],
    measured: pd.DataFrame | None = None,
    offset: float = 0.0,
) -> go.Figure:
    """Draw one or more calculated patterns, their reflections as ticks below, and a measured one behind them.

    Args:
        profiles: By name, what `diffraction.profile` returns.
        reflections: By the same names, what `diffraction.reflections` returns; shown under the mouse with hkl and d.
        measured: What `diffraction.scaled` returns.
        offset: Distance by which each further pattern is lifted (the strongest peak is 100).

    Returns:
        The figure; intensities are relative, so the axis has no unit.
    """
    figure = go.Figure()
    if measured is not None:
        figure.add_scatter(
            x=measured[ANGLE],
            y=measured[INTENSITY],
            name="measured",
            mode="lines",
            line={"color": _MEASURED, "width": 1.5},
        )
    for row, (name, table) in enumerate(profiles.items()):
        color = _COLORS[row % len(_COLORS)]
        figure.add_scatter(
            x=table[ANGLE],
            y=table[INTENSITY] + row * offset,
            name=name,
            legendgroup=name,
            mode="lines",
            line={"color": color, "width": 2},
            hoverinfo="skip",
        )
        peaks = reflections[name]
        figure.add_scatter(
            x=peaks[ANGLE],
            y=[-6.0 - 5.0 * row] * len(peaks),
            name=f"{name}: reflections",
            legendgroup=name,
            showlegend=False,
            mode="markers",
            marker={"symbol": "line-ns", "size": 10, "line": {"width": 1.5, "color": color}},
            customdata=peaks[["hkl", "d (Å)", INTENSITY]],
            hovertemplate=_HOVER,
        )
    figure.update_layout(
        xaxis_title="2θ (degrees)",
        yaxis_title="Intensity (strongest = 100)",
        hovermode="closest",
        legend={"orientation": "h", "y": 1.08},
        margin={"l": 60, "r": 20, "t": 30, "b": 50},
    )
    return figure
