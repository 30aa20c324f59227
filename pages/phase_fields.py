"""Phase fields: choose elements, rank the fields that follow, and see why one ranks as it does."""

from collections.abc import Sequence
from dataclasses import asdict

import pandas as pd
import streamlit as st

from matgen_core.checkpoint import Checkpoint
from matgen_core.latent.errors import error_kind
from matgen_core.materials.fields import ANIONS
from matgen_core.tasks import ranking
from pages._parts.components.periodic_table import periodic_table
from pages._parts.phase_fields import field_card
from pages._parts.shared import element_choice, login, plain_text, rankings, widgets
from pages._parts.shared.plain_text import plain

login.require()

DRAWN = 20  # rows of the chart: what fits on a page
FEW_KNOWN = 0.01  # share of the known fields below which a ranker has hardly seen the like


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


def mend(elements: Sequence[str], choice: ranking.Choice) -> None:
    """Let the visitor mend a choice that no field follows from, where the ranking would stand."""

    def change() -> None:
        rankings.set_elements(choice.must, [each for each in st.session_state["mend"] if each not in choice.must])

    st.session_state["mend"] = [each for each in choice.may if each in elements]
    st.multiselect(
        "Elements that may be there",
        elements,
        key="mend",
        on_change=change,
        placeholder="Type or choose elements",
        help="The same as in the periodic table.",
    )
    st.button(
        "Start from the published study",
        icon=":material/replay:",
        key="mend_all",
        on_click=start_from,
        args=(ranking.STUDY.must, ranking.STUDY.may),
    )


def tell_of_anions(model: Checkpoint, choice: ranking.Choice) -> None:
    """Warn where the ranker has hardly seen fields with as many anions as are asked for."""
    alike, n_known = ranking.known_alike(model, choice)
    if alike < FEW_KNOWN * n_known:
        what = "no anions: alloys and compounds of metals" if not choice.n_anions else f"{choice.n_anions} anions"
        plain_text.warning(
            f"You ask for fields with {what}. Of the {n_known:,} known fields of {model.name} {alike:,} are like that,"
            " so these scores go beyond what it has learned, and the ranking says little."
        )


with st.container(horizontal=True, vertical_alignment="bottom"):
    st.title("Phase fields", width="stretch")
    with st.container(width=250):
        name = widgets.choose_checkpoint("Ranker", widgets.names_with("score"), key="ranker")
    model = widgets.load(name)
    n_elements = ranking.scorer(model)[1].n_slots
    st.number_input(
        "Elements",
        n_elements,
        n_elements,
        n_elements,
        disabled=True,
        width=130,
        help=f"{plain(name)} was trained on fields of {n_elements} elements and ranks no others.",
    )
    n_anions = widgets.whole_number(
        "of them anions", 0, n_elements, min(ranking.STUDY.n_anions, n_elements), "n_anions", width=130
    )
asked_for = st.query_params.pop("n_elements", str(n_elements))
if asked_for != str(n_elements):
    plain_text.warning(
        f"The address asks for fields of {asked_for} elements; {name} ranks fields of {n_elements}, so these are shown."
    )
field_card.what_the_score_means(model)
unit = error_kind(model.index).unit
names = rankings.rankers(name)

with st.container(key="room_phase_fields"):
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
    if choice.n_fields() <= rankings.MOST:
        table = rankings.ranked(names, choice)
    else:
        problem = (
            f"{choice.n_fields():,} fields; this page ranks up to {rankings.MOST:,} at once. Allow fewer elements,"
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
        tell_of_anions(model, choice)

if table is None:
    with middle:
        if not choice.must and not choice.may:
            problem = "No element is chosen, so there are no fields. Choose some in the periodic table, or here."
        plain_text.error(problem)
        mend(elements, choice)
    st.stop()

field = widgets.remembered("field", str(table["phase_field"].iloc[0]))
with middle:
    with st.container(horizontal=True, vertical_alignment="center"):
        with st.container(width="stretch"):
            found = widgets.search("Filter", "filter", table["phase_field"], label_visibility="collapsed")
        view = widgets.one_of("View", ["Chart", "Table"], "Chart", "view", label_visibility="collapsed")
    kept = table[found]
    if len(kept) and field in set(table["phase_field"]) and field not in set(kept["phase_field"]):
        field = str(kept["phase_field"].iloc[0])  # the card follows the filter; without it the field is there again
    passes = "passes" if len(kept) == 1 else "pass"
    passing = f", {len(kept):,} of them {passes} the filter" if len(kept) < len(table) else ""
    st.markdown(f"**{len(table):,} fields**, none in the training data{passing}. Rank 1 is most like known chemistry.")
    if kept.empty:
        st.info("No field passes the filter; empty it to see all.")
    elif view == "Table":
        shown = rankings.with_ranks(kept)
        others = rankings.ranker_columns(shown)
        columns = ["phase_field", "rank", "ranks", *(each for each in others if each.endswith("_rank"))]
        columns += ["score", "score_std", *(each for each in others if each.endswith("_score"))]
        if shown["unseen_elements"].any():
            columns.append("unseen_elements")
        chosen = shown[[each for each in columns if each in shown]]
        widgets.field_table(chosen, "ranking", choose_field, 500, more=others)
    else:
        rankings.ranking_chart(kept.head(DRAWN), field, unit, key="ranking_chart", on_click=choose_field)
    with st.container(horizontal=True, vertical_alignment="center"):
        widgets.download(
            rankings.for_a_file(kept),
            "phase_fields_ranked.csv",
            models=names,
            settings={**asdict(choice), "filter": st.session_state.get("filter") or ""},
        )
        if view == "Chart" and len(kept) > DRAWN:
            st.caption(f"The {DRAWN} most familiar of {len(kept):,}; the table has all, by every ranker.")

with right, st.container(border=True):
    field_card.show(name, field, table, choose_field)

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
others = [checkpoint.load(name) for name in {list(names[1:])!r}]
table = ranking.compare([model, *others], choice.fields(known=ranking.known_fields(model)))
print(table.head(10).to_string())
print(ranking.contributions(model, PhaseField.parse({field!r}, mixed_valence=True)).to_string())
"""
)
