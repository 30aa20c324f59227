"""What pages with a ranking of phase fields share: the choice of elements, the chart, and how far to trust it."""

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from matgen_core import checkpoint as checkpoints
from matgen_core.checkpoint import CheckpointError
from matgen_core.latent.errors import error_kind
from matgen_core.materials.elements import check_elements, every_element
from matgen_core.tasks import ranking
from matgen_core.views import charts
from pages._parts.shared import plain_text, widgets
from pages._parts.shared.folder_caches import by_folder
from pages._parts.shared.plain_text import plain

if TYPE_CHECKING:  # it brings torch
    from matgen_core.checkpoint import Checkpoint

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


@by_folder(st.cache_data, max_entries=16, show_spinner="Ranking …")
def ranked(name: str, choice: ranking.Choice) -> pd.DataFrame:
    """Rank the fields of a choice that are not known to the model."""
    model = widgets.read(name)
    return ranking.rank(model, choice.fields(ranking.known_fields(model)))


def with_ranks(table: pd.DataFrame) -> pd.DataFrame:
    """Write the 90 % interval of the rank as a text, where there are members to give one."""
    if "rank_low" not in table:
        return table
    ranks = [f"{low} to {high}" for low, high in zip(table["rank_low"], table["rank_high"], strict=True)]
    return table.assign(ranks=ranks)


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


def what_the_score_means(model: "Checkpoint") -> None:
    """Say what a ranking means and how far it can be trusted, in figures; this stands beside every ranking."""
    meaning, reconstruction = error_kind(model.index), model.metrics["reconstruction"]
    active = plain(reconstruction["active_dimensions"])
    of_all = f" of {plain(reconstruction['latent_dim'])}" if "latent_dim" in reconstruction else ""
    with st.container(border=True):
        what, evidence, network = st.columns([6, 7, 4], gap="medium")
        what.markdown(
            f":small[**Score: {meaning.text} ({meaning.unit}). Low means alike to known chemistry; it does not mean"
            " stable.** The model saw fields that hold a compound and never one that holds none. “Not in our database”"
            " is not “unexplored”.]"
        )
        evidence.markdown(
            f":small[**Held-out evidence.** {ranking.verdict(model.metrics)}"
            f" {_aucs(ranking.evidence_frame(model.name, model.metrics))}]"
        )
        measured_on = f" of {plain(reconstruction['measured_on'])}" if "measured_on" in reconstruction else ""
        network.markdown(
            f":small[**Has the network learnt?** Explained variance{measured_on}"
            f" **{reconstruction['explained_variance']:.0%}**, decoder spread"
            f" **{reconstruction['decoder_spread']:.2f}**, active latent dimensions **{active}{of_all}**;"
            " all 0 is a collapse.]"
        )


def _aucs(frame: pd.DataFrame) -> str:
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
