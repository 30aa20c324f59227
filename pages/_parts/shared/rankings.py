"""What pages with a ranking of phase fields share: the choice of elements, the chart, and how far to trust it."""

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Any

import pandas as pd
import streamlit as st

from matgen_core import checkpoint as checkpoints
from matgen_core.checkpoint import CheckpointError
from matgen_core.materials.elements import check_elements, every_element
from matgen_core.materials.levels import PHASE_FIELD
from matgen_core.tasks import ranking
from matgen_core.views import charts
from pages._parts.shared import plain_text, widgets
from pages._parts.shared.folder_caches import by_folder
from pages._parts.shared.plain_text import plain

# The choice


def element_choice(anions: Sequence[str], n_elements: int, n_anions: int) -> ranking.Choice:
    """Return what the visitor asks for; the elements are those of the published study if no others were asked for.

    Args:
        anions: Elements that stand in anion places.
        n_elements: Elements in a field.
        n_anions: How many of them are anions.

    Raises:
        ValueError: If the address names something that is no element.
    """
    study = ranking.STUDY
    must, may = (
        tuple(check_elements(filter(None, widgets.remembered(name, ",".join(default)).split(","))))
        for name, default in (("must", study.must), ("may", study.may))
    )
    return ranking.Choice(must, may, tuple(anions), n_elements, n_anions)


def set_elements(must: Sequence[str], may: Sequence[str]) -> None:
    """Remember which elements must and may be there."""
    st.session_state["must"], st.session_state["may"] = ",".join(must), ",".join(may)


def elements_without_features(known: Collection[str]) -> dict[str, str]:
    """Return the elements that a model cannot take, each with the reason."""
    return {symbol: "this model has no features for it" for symbol in every_element() if symbol not in known}


# The ranking


def rankers(first: str) -> tuple[str, ...]:
    """Return the rankers that can be used, one of them first; Home and Trust say of the others why they cannot."""
    found = [first]
    for name in widgets.names_with("score"):
        with suppress(CheckpointError):
            widgets.read(name)
            found += [name] if name != first else []
    return tuple(found)


MOST = 100_000  # fields that are ranked while one waits


@by_folder(st.cache_data, about=lambda names, choice: names, max_entries=16, show_spinner="Ranking …")
def ranked(names: tuple[str, ...], choice: ranking.Choice) -> pd.DataFrame:
    """Rank the fields of a choice that are not known to the first of some models, by all of them."""
    models = [widgets.read(name) for name in names]
    return ranking.compare(models, choice.fields(ranking.known_fields(models[0])))


def of_choice(name: str, choice: ranking.Choice) -> pd.DataFrame | None:
    """Rank the fields of a choice by a model and the others; None if it ranks none, or there are too many."""
    if name not in widgets.names_with("score") or choice.n_fields() > MOST:
        return None
    try:
        return ranked(rankers(name), choice)
    except ValueError:  # a choice made for another ranker
        return None


def why_they_differ(first: str) -> str:
    """Say why the rankers that are here differ."""
    return ranking.why_they_differ([widgets.read(name) for name in rankers(first)])


def for_a_file(table: pd.DataFrame) -> pd.DataFrame:
    """Return a ranking as a file has it: each field with its elements in the order of the screen."""
    return table.assign(phase_field=list(map(PHASE_FIELD.display, table["phase_field"])))


def with_ranks(table: pd.DataFrame) -> pd.DataFrame:
    """Write the 90 % interval of the rank as a text, where there are members to give one."""
    if "rank_low" not in table:
        return table
    ranks = [f"{low} to {high}" for low, high in zip(table["rank_low"], table["rank_high"], strict=True)]
    return table.assign(ranks=ranks)


def ranker_columns(table: pd.DataFrame) -> dict[str, Any]:
    """Return titles and formats of the columns that other rankers have in a table of `ranking.compare`."""
    shown: dict[str, Any] = {}
    for name in ranking.rankers_of(table):
        title, about = ranking.short_ranker_title(name), plain(ranking.ranker_title(name))
        shown[f"{name}_rank"] = st.column_config.NumberColumn(f"Rank: {title}", format="%d", help=about)
        shown[f"{name}_score"] = st.column_config.NumberColumn(f"Score: {title}", format="%.3f", help=about)
    return shown


def ranking_chart(table: pd.DataFrame, field: str, unit: str, *, key: str, on_click: Callable[[str], None]) -> None:
    """Show the top of a ranking as dots with whiskers; a click chooses a field."""

    def select() -> None:
        points = st.session_state[key]["selection"]["points"]
        if points:
            on_click(points[0]["customdata"][0])

    st.plotly_chart(
        plain_text.figure(charts.ranking(table, field, unit)),
        key=key,
        on_select=select,
        selection_mode="points",
        config={"displayModeBar": False},
        alt=f"Scores of {len(table)} phase fields with their spread",
    )


# How far it can be trusted


def aucs(frame: pd.DataFrame) -> str:
    """Write how a ranker and the baselines do against the hardest control; "" if that is not known."""
    rows = frame[frame["control"] == ranking.CONTROLS[ranking.HARDEST]]
    parts = [f"{plain(row.ranker)} **{row.auc:.2f}** ± {row.auc_std:.2f}" for row in rows.itertuples()]
    against = ranking.CONTROLS[ranking.HARDEST]
    return f"AUC against {against}: {', '.join(parts)}; 0.5 is a coin toss." if parts else ""


def all_evidence() -> pd.DataFrame:
    """Lay out the evidence of every ranker beside the baselines, each baseline once."""
    frames = []
    for name in widgets.names_with("score"):
        try:
            metrics = widgets.read(name).metrics
            with checkpoints.blamed(name):
                frames.append(ranking.evidence_frame(name, metrics))
                ranking.verdict(metrics)
        except CheckpointError as error:
            plain_text.error(error)
    if not frames:
        return ranking.evidence_frame("", {})
    joined = pd.concat(frames, ignore_index=True)
    return joined.drop_duplicates(["ranker", "control"]).sort_values("is_baseline", kind="stable", ignore_index=True)


def verdicts(rankers: Collection[str]) -> dict[str, str]:
    """Return for each of some rankers one sentence on whether it beats pair co-occurrence."""
    return {name: ranking.verdict(widgets.read(name).metrics) for name in rankers}
