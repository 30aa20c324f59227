"""Phase fields: choose elements, rank the fields that follow, and see why one ranks as it does."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from matgen_core.latent.errors import error_kind
from matgen_core.materials.fields import ANIONS, PhaseField
from matgen_core.tasks import ranking
from matgen_core.views import charts
from pages._parts.components.periodic_table import periodic_table
from pages._parts.shared import element_choice, latent_maps, login, plain_text, rankings, widgets

login.require()

MOST = 100_000  # fields that are ranked while one waits
DRAWN = 20  # rows of the chart: what fits on a page


def choose_field(name: str) -> None:
    """Remember the field that the visitor looks at."""
    st.session_state["field"] = name


def start_from(must: Sequence[str], may: Sequence[str]) -> None:
    """Replace the elements that are asked for."""
    rankings.set_elements(must, [symbol for symbol in may if symbol not in must])


def funnel_line(steps: pd.DataFrame) -> str:
    """Write what each exclusion takes away in one line."""
    first, *others = steps.itertuples()
    taken = [f"−{row.removed:,} {row.step[0].lower()}{row.step[1:]}" for row in others]  # noqa: RUF001 a minus
    return f":small[**{first.left:,}** of {first.step}, {', '.join(taken)}: **{others[-1].left:,}** left]"


def field_detail(ranker: str, field: str, table: pd.DataFrame) -> None:
    """Show why a field scores as it does, and the known fields nearest to it."""
    try:
        asked = PhaseField.parse(field, mixed_valence=True)
        model = widgets.load(ranker)
        parts = ranking.contributions(model, asked)
        score = float(ranking.score(model, [asked]).mean())
    except ValueError as error:
        plain_text.error(error)
        return
    field = asked.write()
    row = table[table["phase_field"] == field]
    rank = f"rank {row['rank'].iloc[0]:,} of {len(table):,}" if len(row) else "not among the fields ranked here"
    maps = widgets.names_with("encode")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(asked.chemists_order(), width="stretch")
        if maps and st.button("Show on latent map", icon=":material/scatter_plot:"):
            st.switch_page("pages/latent_map.py", query_params={"map": maps[0], "at": field})
    meaning = error_kind(model.index)
    st.markdown(f"Score **{score:.3f}** ({meaning.unit}), {rank}")
    if len(row) and row["unseen_elements"].iloc[0]:
        plain_text.warning(
            f"No training field holds {row['unseen_elements'].iloc[0]}: the score rests on its features alone."
        )
    st.markdown(f"**What each element adds** :small[to the {meaning.parts}]")
    widgets.chart(
        charts.contributions(parts, meaning.unit), "contributions", f"What each element adds to the score of {field}"
    )
    latent_maps.nearest_known(maps, field, "nearest", choose_field)
    st.markdown("**Where it stands**")
    known_scores = [] if model.index is None else model.index["error"]
    widgets.chart(
        charts.scores(known_scores, table["score"], score, meaning.unit),
        "scores",
        "Scores of known fields and candidates",
    )


with st.container(horizontal=True, vertical_alignment="bottom"):
    st.title("Phase fields", width="stretch")
    with st.container(width=250):
        name = widgets.choose_checkpoint("Ranker", widgets.names_with("score"), key="ranker")
    n_elements = widgets.whole_number("Elements", 2, 8, ranking.STUDY.n_elements, "n_elements", width=130)
    n_anions = widgets.whole_number("of them anions", 0, 8, ranking.STUDY.n_anions, "n_anions", width=130)

model = widgets.load(name)
rankings.what_the_score_means(model)
unit = error_kind(model.index).unit

left, middle, right = st.columns([11, 10, 9], gap="medium")
with left:
    top = st.container(gap="xsmall")
    anions = st.multiselect(
        "Elements that stand in anion places; all others stand in cation places",
        [*ANIONS, "H", "C"],
        list(ranking.STUDY.anions),
        key="anions",
        bind="query-params",
    )

elements = ranking.scorer(model)[1].elements
known = ranking.known_fields(model)
table = None
problem = ""
try:
    choice = rankings.element_choice(anions, n_elements, n_anions)
except ValueError as error:
    plain_text.error(f"The address of this page cannot be used: {error}")
    st.stop()
try:
    if choice.n_fields() <= MOST:
        table = rankings.ranked(name, choice)
    else:
        problem = (
            f"{choice.n_fields():,} fields; this page ranks up to {MOST:,} at once. Allow fewer elements,"
            " or use the command line: `matgen enumerate`, then `matgen rank`."
        )
except ValueError as error:
    problem = str(error)
st.session_state["choice"] = choice

with top:
    by_element = None if table is None else ranking.by_element(table)
    periodic_table(
        choice.must,
        choice.may,
        key="elements",
        on_change=rankings.set_elements,
        unavailable=rankings.elements_without_features(elements),
        values={} if by_element is None else dict(zip(by_element["element"], by_element["mean_score"], strict=True)),
        values_label="mean score of the fields with it",
    )
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption("Start from", width="content")
        st.button("Published study", on_click=start_from, args=(ranking.STUDY.must, ranking.STUDY.may))
        st.button("Every element", on_click=start_from, args=(choice.must, elements))
        st.button("Nothing", on_click=start_from, args=((), ()))
    element_choice.element_sets(choice.must, choice.may, elements, rankings.set_elements)
    if not problem:
        st.markdown(funnel_line(ranking.funnel(choice, elements, known)))

if table is None:
    plain_text.error(problem, middle)
    st.stop()

field = widgets.remembered("field", str(table["phase_field"].iloc[0]))
with middle:
    with st.container(horizontal=True, vertical_alignment="center"):
        with st.container(width="stretch"):
            found = widgets.search("Filter", "filter", table["phase_field"], label_visibility="collapsed")
        view = widgets.one_of("View", ["Chart", "Table"], "Chart", "view", label_visibility="collapsed")
    kept = table[found]
    passing = f", {len(kept):,} of them pass the filter" if len(kept) < len(table) else ""
    st.markdown(f"**{len(table):,} fields**, none in the training data{passing}. Rank 1 is most like known chemistry.")
    if kept.empty:
        st.info("No field passes the filter; empty it to see all.")
    elif view == "Table":
        shown = rankings.with_ranks(kept)
        columns = ["rank", "ranks", "phase_field", "score", "score_std", "unseen_elements"]
        if not shown["unseen_elements"].any():
            columns.remove("unseen_elements")
        widgets.field_table(shown[[each for each in columns if each in shown]], "ranking", choose_field, 500)
    else:
        rankings.ranking_chart(kept.head(DRAWN), field, unit, key="ranking_chart", on_click=choose_field)
    with st.container(horizontal=True, vertical_alignment="center"):
        widgets.download(kept, "phase_fields_ranked.csv")
        if view == "Chart" and len(kept) > DRAWN:
            st.caption(f"The {DRAWN} most familiar of {len(kept):,}; the table has all.")

with right, st.container(border=True):
    field_detail(name, field, table)

widgets.same_in_python(
    f"""
from matgen_core import checkpoint
from matgen_core.materials.fields import PhaseField
from matgen_core.tasks import ranking

model = checkpoint.load({name!r})
choice = ranking.Choice(
    must={choice.must!r},
    may={choice.may!r},
    anions={choice.anions!r},
    n_elements={n_elements},
    n_anions={n_anions},
)
table = ranking.rank(model, choice.fields(known=ranking.known_fields(model)))
print(table.head(10).to_string())
print(ranking.contributions(model, PhaseField.parse({field!r}, mixed_valence=True)).to_string())
"""
)
