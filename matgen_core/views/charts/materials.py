"""Figures of phase fields, crystals, maps and journeys."""

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from matgen_core.materials.levels import PHASE_FIELD
from matgen_core.views.charts._colors import ACCENT, CANDIDATE, KNOWN, MUTED

if TYPE_CHECKING:  # it brings scipy.stats, which pages without groups need not wait for
    from matgen_core.latent.groups import Difference

ANGLE, INTENSITY = "2 theta (degrees)", "Intensity"
_PATTERNS = (KNOWN, ACCENT, "#009E73", CANDIDATE)  # at most four structures lie on the bench
_HOVER = "%{customdata[0]}<br>2θ %{x:.2f}°, d %{customdata[1]:.4f} Å, %{customdata[2]:.1f} %<extra></extra>"

_NAMES = 0.3  # share of the width of that chart that the names of the fields take
_ROW_HEIGHT = 22  # px of one row of a chart with a row a field


def _title(projection: str) -> str:
    return {"umap": "UMAP", "tsne": "t-SNE", "pca": "PCA"}.get(projection, projection)


def ranking(table: pd.DataFrame, selected: str | None = None, unit: str = "no unit") -> go.Figure:
    """Draw the score of each field as a dot with the spread of the ensemble, most familiar on top.

    Args:
        table: As `ranking.rank` gives it; as many rows as are to be drawn.
        selected: The field to stress.
        unit: Unit of the score.
    """
    fields = list(table["phase_field"])
    shades = [ACCENT if field == selected else KNOWN for field in fields]
    labels = [PHASE_FIELD.display(field) for field in fields]
    has_members = "score_std" in table
    ranks = [f"{row.rank_low} to {row.rank_high}" for row in table.itertuples()] if has_members else table["rank"]
    told = pd.DataFrame({"field": table["phase_field"], "ranks": ranks}).to_numpy()
    figure = go.Figure(
        go.Scatter(
            x=table["score"],
            y=labels,
            mode="markers",
            marker={"color": shades, "size": 8},
            error_x={"array": table["score_std"], "color": MUTED, "thickness": 1.5, "width": 3}
            if has_members
            else None,
            customdata=told,
            hovertemplate="<b>%{y}</b><br>score %{x:.3f}<br>rank %{customdata[1]}<extra></extra>",
            selected={"marker": {"opacity": 1}},
            unselected={"marker": {"opacity": 1}},
        )
    )
    unseen = {"marker": {"opacity": 0}}
    figure.add_bar(  # under the names, which are the labels of the axis: these cannot be clicked, unlike a bar
        x=[1] * len(table),
        y=labels,
        orientation="h",
        xaxis="x2",
        width=1,
        customdata=told,
        hovertemplate="<b>%{y}</b><br>rank %{customdata[1]}<extra></extra>",
        marker={"opacity": 0, "color": MUTED},
        selected=unseen,
        unselected=unseen,
    )
    if has_members:
        beside = {"xref": "paper", "x": 1.01, "xanchor": "left", "showarrow": False, "font": {"size": 11}}
        head = {"yref": "paper", "y": 1, "yanchor": "bottom", "yshift": 20, "text": "rank, 90 %", **beside}
        rows = [{"y": label, "text": text, **beside} for label, text in zip(labels, ranks, strict=True)]
        figure.update_layout(annotations=[head, *rows])
    figure.update_layout(
        xaxis={"title": f"score ({unit}); low is familiar", "side": "top", "domain": [_NAMES, 1]},
        xaxis2={"domain": [0, _NAMES - 0.02], "range": [0, 1], "visible": False},
        yaxis={
            "range": [len(table) - 0.4, -0.6],
            "type": "category",
            "tickfont": {"size": 12},
            "tickvals": labels,
            "ticktext": [
                f"<b>{label}</b>" if field == selected else label for field, label in zip(fields, labels, strict=True)
            ],
        },
        margin={"l": 0, "r": 80 if has_members else 20, "t": 60, "b": 10},
        height=90 + _ROW_HEIGHT * len(table),
        showlegend=False,
    )
    return figure


def contributions(table: pd.DataFrame, unit: str = "no unit") -> go.Figure:
    """Draw what each element adds to the score of a field, or to its square.

    Args:
        table: Columns element and contribution.
        unit: Unit of the contributions.
    """
    total = table["contribution"].sum()
    ordered = table.sort_values("contribution")
    figure = go.Figure(
        go.Bar(
            x=ordered["contribution"],
            y=ordered["element"],
            orientation="h",
            marker={"color": KNOWN},
            text=[f"{value:.1f} ({value / total:.0%})" for value in ordered["contribution"]],
            textposition="auto",
            hovertemplate="%{y}: %{x:.2f}<extra></extra>",
        )
    )
    figure.update_layout(
        xaxis={"title": unit},
        yaxis={"type": "category", "tickfont": {"size": 14}},
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        height=70 + 30 * len(table),
        showlegend=False,
    )
    return figure


def scores(
    known: Sequence[float], candidates: Sequence[float], selected: float | None = None, unit: str = "no unit"
) -> go.Figure:
    """Draw how the scores of candidates compare with those of the known fields, each as a share of its own number.

    Args:
        known: Scores of the fields that the model was trained on.
        candidates: Scores of the fields that are ranked.
        selected: Score to mark.
        unit: Unit of the score.
    """
    figure = go.Figure()
    for values, name, shade in ((known, "known (training)", MUTED), (candidates, "candidates", CANDIDATE)):
        figure.add_histogram(
            x=list(values),
            name=f"{name}, {len(values):,}",
            histnorm="percent",
            marker={"color": shade},
            opacity=0.65,
            nbinsx=60,
            bingroup="scores",
            hovertemplate="%{y:.1f} % at %{x}<extra></extra>",
        )
    if selected is not None:
        figure.add_vline(x=selected, line={"color": ACCENT, "width": 2})
    figure.update_layout(
        barmode="overlay",
        xaxis={"title": f"score ({unit})"},
        yaxis={"title": "share of the fields (%)"},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        margin={"l": 10, "r": 10, "t": 30, "b": 10},
        height=240,
    )
    return figure


def evidence(frame: pd.DataFrame) -> go.Figure:
    """Draw the held-out AUC of rankers and baselines, one panel a control, whiskers one standard deviation.

    Args:
        frame: As `ranking.evidence_frame` gives it; several rankers may be joined.
    """
    controls, rankers = list(frame["control"].unique()), list(frame["ranker"].unique())
    titles = [control.replace("random fields", "against random fields<br>") for control in controls]
    figure = make_subplots(
        cols=max(1, len(controls)), shared_yaxes=True, subplot_titles=titles, horizontal_spacing=0.03
    )
    for column, control in enumerate(controls, start=1):
        rows = frame[frame["control"] == control]
        figure.add_scatter(
            x=rows["auc"],
            y=rows["ranker"],
            mode="markers+text",
            text=[f"{value:.2f}" for value in rows["auc"]],
            textposition="top center",
            marker={
                "size": 10,
                "color": [MUTED if baseline else KNOWN for baseline in rows["is_baseline"]],
                "symbol": ["diamond" if baseline else "circle" for baseline in rows["is_baseline"]],
            },
            error_x={"array": rows["auc_std"], "thickness": 1.5, "width": 4, "color": MUTED},
            hovertemplate="%{y}: %{x:.3f}<extra></extra>",
            showlegend=False,
            row=1,
            col=column,
        )
        figure.add_vline(x=0.5, line={"dash": "dot", "color": MUTED, "width": 1}, row=1, col=column)
        figure.update_xaxes(range=[0.4, 1.0], title="AUC, held out", row=1, col=column)
    figure.update_yaxes(
        categoryorder="array", categoryarray=rankers[::-1], range=[-0.5, len(rankers) - 0.3], automargin=True
    )
    figure.update_annotations(font_size=12)
    figure.update_layout(margin={"l": 10, "r": 10, "t": 60, "b": 10}, height=130 + 46 * len(rankers))
    return figure


def faithfulness(index: pd.DataFrame, projections: Sequence[str]) -> go.Figure:
    """Draw how faithful each projection is: the share of a point's true neighbors that are its neighbors there.

    Args:
        index: With a column `<projection>_faithfulness` a projection, from 0 to 1.
        projections: Which to draw.
    """
    figure = go.Figure()
    for projection in projections:
        figure.add_box(
            x=index[f"{projection}_faithfulness"],
            name=_title(projection),
            boxpoints=False,
            boxmean=True,
            hoverinfo="x",
        )
    figure.update_layout(
        xaxis={"title": "share of the 15 true neighbors kept on the map", "range": [0, 1], "tickformat": ".0%"},
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        height=90 + 60 * len(projections),
        showlegend=False,
    )
    return figure


def powder_pattern(
    profiles: dict[str, pd.DataFrame],
    reflections: dict[str, pd.DataFrame],
    measured: pd.DataFrame | None = None,
    offset: float = 0.0,
    measured_over: str = "",
) -> go.Figure:
    """Draw one or more calculated patterns, their reflections as ticks below, and a measured one behind them.

    Args:
        profiles: By name, what `diffraction.profile` returns.
        reflections: By the same names, what `diffraction.reflections` returns; shown under the mouse with hkl and d.
        measured: What `diffraction.scaled` returns.
        offset: Distance by which each further pattern is lifted (the strongest peak is 100).
        measured_over: Name of the pattern with which the measured one is lifted; the first if it is not given.

    Returns:
        The figure; intensities are relative, so the axis has no unit.
    """
    figure = go.Figure()
    span = 100 + offset * (len(profiles) - 1)
    if measured is not None:
        figure.add_scatter(
            x=measured[ANGLE],
            y=measured[INTENSITY] + offset * ([*profiles].index(measured_over) if measured_over else 0),
            name="measured",
            mode="lines",
            line={"color": MUTED, "width": 1.5},
        )
    for row, (name, table) in enumerate(profiles.items()):
        color = _PATTERNS[row % len(_PATTERNS)]
        label = escape(name)  # Plotly takes a name for markup
        figure.add_scatter(
            x=table[ANGLE],
            y=table[INTENSITY] + row * offset,
            name=label,
            legendgroup=label,
            mode="lines",
            line={"color": color, "width": 2},
            hoverinfo="skip",
        )
        peaks = reflections[name]
        figure.add_scatter(
            x=peaks[ANGLE],
            y=[-span * (0.05 + 0.045 * row)] * len(peaks),
            name=f"{label}: reflections",
            legendgroup=label,
            showlegend=False,
            mode="markers",
            marker={"symbol": "line-ns", "size": 10, "line": {"width": 1.5, "color": color}},
            customdata=peaks[["hkl", "d (Å)", INTENSITY]],
            hovertemplate=_HOVER,
        )
    figure.update_layout(
        xaxis_title="2θ (degrees)",
        yaxis={"title": "Intensity (strongest = 100)", "showticklabels": not offset, "showgrid": not offset},
        height=360 + 50 * len(profiles),
        hovermode="closest",
        legend={"orientation": "h", "y": 1.08},
        margin={"l": 60, "r": 20, "t": 30, "b": 50},
    )
    return figure


def journey(
    table: pd.DataFrame,
    prop: tuple[str, str] | None,
    n_steps: int,
    edge: float,
    walked_from: int | None = 0,
    current: int | None = None,
) -> go.Figure:
    """Draw a predicted property with its spread over the steps of a journey, and below it the distance to the data.

    Args:
        table: As `journeys.table` gives it; steps that are not there yet leave room.
        prop: Column of the property and its title with unit; None draws the distance to the data alone.
        n_steps: Steps of the whole journey.
        edge: Percentile at which the edge of the data begins.
        walked_from: First step, from 0, that a line joins to the next; None joins none.
        current: The step to mark, from 0.
    """
    rows = 1 if prop is None else 2
    figure = make_subplots(
        rows=rows, shared_xaxes=True, vertical_spacing=0.09, row_heights=[0.62, 0.38] if prop else [1.0]
    )
    apart = table[table["step"] <= walked_from] if walked_from is not None else table
    walked = table.drop(apart.index)
    if prop is not None:
        name, title = prop
        _property_with_band(figure, walked, name, joined=True)
        _property_with_band(figure, apart, name, joined=False)
        figure.update_yaxes(title=title, range=_shown_range(table, name), row=1, col=1)
    for part, mode in ((walked, "lines+markers"), (apart, "markers")):
        if part.empty:
            continue
        figure.add_scatter(
            x=part["step"],
            y=part["percentile"],
            mode=mode,
            line={"color": MUTED, "width": 1.5},
            marker={
                "size": 8,
                "color": [ACCENT if value > edge else KNOWN for value in part["percentile"]],
                "symbol": ["circle-open" if value > edge else "circle" for value in part["percentile"]],
                "line": {"width": 2},
            },
            customdata=part[["formula", "nearest"]].to_numpy(),
            hovertemplate="step %{x}: %{customdata[0]}<br>percentile %{y:.0f}, nearest %{customdata[1]}<extra></extra>",
            row=rows,
            col=1,
        )
    figure.add_hline(
        y=edge,
        line={"dash": "dot", "color": ACCENT, "width": 1.5},
        annotation={"text": "edge of the data", "font": {"size": 11}, "yanchor": "top"},
        annotation_position="bottom left",
        row=rows,
        col=1,
    )
    figure.update_yaxes(title="distance to the data<br>(percentile)", range=[-6, 108], row=rows, col=1)
    figure.update_yaxes(automargin=True)
    if current is not None:
        figure.add_vline(x=current + 1, line={"color": ACCENT, "width": 1.5}, layer="below")
    figure.update_xaxes(range=[0.5, n_steps + 0.5], dtick=max(1, n_steps // 20))
    figure.update_xaxes(title="step", row=rows, col=1)
    figure.update_layout(margin={"l": 10, "r": 10, "t": 10, "b": 10}, height=200 + 180 * (rows - 1), showlegend=False)
    return figure


def _shown_range(table: pd.DataFrame, name: str) -> tuple[float, float] | None:
    """Room for all values and the usual spread: one step with a huge spread must not flatten all others."""
    values, std = table[name].dropna(), table.get(f"{name}_std", table[name] * 0).dropna()
    if values.empty:
        return None
    room = max(2.5 * float(std.median()), 0.12 * float(values.max() - values.min()), 1e-3)
    return float(values.min()) - room, float(values.max()) + room


def _property_with_band(figure: go.Figure, rows: pd.DataFrame, name: str, joined: bool) -> None:
    """One standard deviation either way: a band along a walk, whiskers where steps do not follow one another."""
    if rows.empty:
        return
    std = rows.get(f"{name}_std")
    if joined and std is not None:
        for value, fill in ((rows[name] + std, None), (rows[name] - std, "tonexty")):
            figure.add_scatter(
                x=rows["step"],
                y=value,
                mode="lines",
                line={"width": 0},
                fill=fill,
                fillcolor="rgba(14,134,192,0.22)",
                hoverinfo="skip",
                row=1,
                col=1,
            )
    spread = [""] * len(rows) if std is None else [f" ± {value:.3g}" for value in std]
    figure.add_scatter(
        x=rows["step"],
        y=rows[name],
        mode="lines+markers" if joined else "markers",
        line={"color": KNOWN, "width": 2},
        marker={"size": 8, "color": KNOWN},
        error_y=None if joined or std is None else {"array": std, "color": MUTED, "thickness": 1.5, "width": 4},
        customdata=pd.DataFrame({"formula": rows["formula"], "spread": spread}).to_numpy(),
        hovertemplate="step %{x}: %{customdata[0]}<br>%{y:.3g}%{customdata[1]}<extra></extra>",
        row=1,
        col=1,
    )


def difference(found: "Difference") -> go.Figure:
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
        height=210,
    )
    return figure
