"""The card of one phase field: how each ranker places it, why, what is known near it, and from which compounds."""

from collections.abc import Callable, Sequence

import pandas as pd
import streamlit as st

from matgen_core import data
from matgen_core.checkpoint import Checkpoint, CheckpointError
from matgen_core.latent.errors import error_kind
from matgen_core.materials.fields import PhaseField
from matgen_core.materials.formulas import subscripted
from matgen_core.tasks import ranking
from matgen_core.views import charts
from pages._parts.shared import latent_maps, plain_text, rankings, widgets
from pages._parts.shared.plain_text import plain
from pages._parts.words import glossary

FEW = 8  # formulas of a field that are written out


def show(ranker: str, field: str, table: pd.DataFrame, on_choose: Callable[[str], None]) -> None:
    """Show why a field scores as it does, and the known fields nearest to it.

    Args:
        ranker: Name of the ranker that gives the order.
        field: The field.
        table: As `ranking.compare` gives it.
        on_choose: Called with a field that is clicked.
    """
    try:
        asked = PhaseField.parse(field, mixed_valence=True)
        model = widgets.load(ranker)
        parts = ranking.contributions(model, asked)
        score = float(ranking.score(model, [asked]).mean())
    except ValueError as error:
        plain_text.error(error)
        return
    field = asked.write()
    maps = widgets.names_with("encode")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(asked.chemists_order(), width="stretch")
        if maps and st.button("Show on latent map", icon=":material/scatter_plot:"):
            st.switch_page("pages/latent_map.py", query_params={"map": maps[0], "at": field})
    meaning = error_kind(model.index)
    standings = ranking.standings(table, field, ranker)
    if standings:
        st.markdown(
            f"Score **{score:.3f}** ({meaning.unit}), {standings[0].in_words()}",
            help=glossary.help_on("score", "interval", *(["nats"] if meaning.unit == "nats" else [])),
        )
        others = [f"{plain(ranking.ranker_title(each.ranker))}: **{each.in_words()}**" for each in standings[1:]]
        st.markdown("  \n".join(f":small[{line}]" for line in others))
    else:
        is_known = asked in ranking.known_fields(model)
        if is_known:
            st.badge("known: in the training data", color="gray")
        told = "Known fields are not ranked" if is_known else "Not among the fields ranked here: it has other elements"
        st.markdown(f"Score **{score:.3f}** ({meaning.unit}). {told}.")
    if asked == ranking.MADE:
        st.markdown(
            ":small[:orange-badge[made] Here the study went on to make a new compound."
            f" {plain(rankings.why_they_differ(ranker))}]"
        )
    row = table[table["phase_field"] == field]
    if len(row) and row["unseen_elements"].iloc[0]:
        plain_text.warning(
            f"No training field holds {row['unseen_elements'].iloc[0]}: the score rests on its features alone."
        )
    st.markdown(f"**What each element adds** :small[to the {meaning.parts}]")
    widgets.chart(
        charts.contributions(parts, meaning.unit), "contributions", f"What each element adds to the score of {field}"
    )
    latent_maps.nearest_known(maps, field, "nearest", on_choose)
    _compounds(maps, field)
    st.markdown("**Where it stands**")
    known_scores = [] if model.index is None else model.index["error"]
    widgets.chart(
        charts.scores(known_scores, table["score"], score, meaning.unit),
        "scores",
        "Scores of known fields and candidates",
    )


def _compounds(maps: Sequence[str], field: str) -> None:
    """List the compounds of a field and of the known fields nearest to it, as far as the data here have any."""
    try:
        near = list(latent_maps.neighbors(maps[0], field)["name"]) if maps else []
    except (ValueError, CheckpointError):  # said above
        near = []
    lines = [f"**{PhaseField.read(each).chemists_order()}**: {_formulas(each)}" for each in (field, *near)]
    with st.expander("Compounds of this field and of its neighbors", icon=":material/science:"):
        st.markdown("\n".join(f"- :small[{line}]" for line in lines))
        st.caption(
            "The list of ICSD that made a field known names its elements, not its compounds. These are from the data"
            " sets installed here; ✓ is reported in ICSD or measured, the others may be calculated only."
        )


def _formulas(field: str) -> str:
    found = found_compounds(tuple(dict.fromkeys(PhaseField.read(field))))
    if found.empty:
        return "none in the data here"
    written = [f"{plain(subscripted(row.formula))}{' ✓' if row.is_reported else ''}" for row in found.itertuples()]
    return ", ".join(written[:FEW]) + (f" and {len(written) - FEW} more" if len(written) > FEW else "")


@st.cache_data(max_entries=256, ttl=3600, show_spinner="Looking for its compounds …")
def found_compounds(symbols: tuple[str, ...]) -> pd.DataFrame:
    """Return the compounds of some elements in the installed data sets."""
    return data.compounds_of(symbols)


def what_the_score_means(model: Checkpoint) -> None:
    """Say what a ranking means and how far it can be trusted; this stands above every ranking."""
    meaning, reconstruction = error_kind(model.index), model.metrics["reconstruction"]
    active = plain(reconstruction["active_dimensions"])
    of_all = f" of {plain(reconstruction['latent_dim'])}" if "latent_dim" in reconstruction else ""
    measured_on = f" of {plain(reconstruction['measured_on'])}" if "measured_on" in reconstruction else ""
    words = ["score", "auc", *(["nats"] if meaning.unit == "nats" else [])]
    with st.container(border=True, gap="xsmall"):
        st.markdown(
            f":small[**Score: {meaning.text} ({meaning.unit}). Low means alike to known chemistry; it does not mean"
            " stable.** The model saw fields that hold a compound and never one that holds none. “Not in our database”"
            " is not “unexplored”.]",
            help=glossary.help_on(*words),
        )
        with st.expander("How far to trust this ranking", icon=":material/verified:"):
            st.markdown(
                f":small[**Held-out evidence.** {ranking.verdict(model.metrics)}"
                f" {rankings.aucs(ranking.evidence_frame(model.name, model.metrics))}]",
                help=glossary.help_on("auc", "held_out"),
            )
            st.markdown(
                f":small[**Has the network learnt?** Explained variance{measured_on}"
                f" **{reconstruction['explained_variance']:.0%}**, decoder spread"
                f" **{reconstruction['decoder_spread']:.2f}**, active latent dimensions **{active}{of_all}**;"
                " all 0 is a collapse.]",
                help=glossary.help_on("explained_variance", "decoder_spread", "active_dimensions"),
            )
            st.markdown(f":small[{plain(rankings.why_they_differ(model.name))}]")
