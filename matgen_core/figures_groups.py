"""Figures of a selection beside the rest."""

import plotly.graph_objects as go

from matgen_core.figures import ACCENT, MUTED
from matgen_core.groups import Difference

_HEIGHT = 210


def difference(found: Difference) -> go.Figure:
    """Draw a column of the selection beside the rest, each as a share of its own number."""
    figure = go.Figure()
    groups = (("rest", found.rest, MUTED), ("selected", found.selected, ACCENT))
    for name, values, shade in groups:
        if found.column.is_category:
            figure.add_bar(
                x=100 * values,
                y=[str(label) or "not given" for label in values.index],
                orientation="h",
                name=name,
                marker={"color": shade},
                hovertemplate="%{y}: %{x:.1f} %<extra>" + name + "</extra>",
            )
        else:
            figure.add_histogram(
                x=values,
                name=name,
                histnorm="percent",
                marker={"color": shade},
                opacity=0.65,
                nbinsx=30,
                bingroup="values",
                hovertemplate="%{y:.1f} % at %{x}<extra>" + name + "</extra>",
            )
    share = {"title": {"text": "share (%)", "font": {"size": 11}}}
    if found.column.is_category:
        axes = {"xaxis": share, "yaxis": {"type": "category", "autorange": "reversed", "automargin": True}}
    else:
        axes = {"xaxis": {"title": {"text": found.column.unit, "font": {"size": 11}}}, "yaxis": share}
    figure.update_layout(
        **axes,
        barmode="group" if found.column.is_category else "overlay",
        showlegend=False,
        margin={"l": 10, "r": 10, "t": 6, "b": 10},
        height=_HEIGHT,
    )
    return figure
