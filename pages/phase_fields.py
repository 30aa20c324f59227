"""Phase fields: choose elements, rank the fields that follow, and see why one ranks as it does."""

from collections.abc import Sequence

import streamlit as st

from matgen_core import ranking
from pages import _widgets
from pages._components.periodic_table import periodic_table

MOST = 100_000  # fields that are ranked while one waits
DRAWN = 40  # rows of the chart


def choose_field(name: str) -> None:
    """Remember the field that the visitor looks at."""
    st.session_state["field"] = name


def start_from(must: Sequence[str], may: Sequence[str]) -> None:
    """Replace the elements that are asked for."""
    _widgets.set_elements(must, [symbol for symbol in may if symbol not in must])


def toggle_sets(key: str, exclude: bool, was_on: Sequence[str], choice: ranking.Choice, known: Sequence[str]) -> None:
    """Allow or exclude the elements of the sets that were just switched."""
    sets = ranking.EXCLUSIONS if exclude else ranking.ELEMENT_SETS
    must, may = list(choice.must), list(choice.may)
    for name in set(st.session_state[key]) ^ set(was_on):
        members = [symbol for symbol in sets[name].elements if symbol in known]
        may = [symbol for symbol in may if symbol not in members]
        if (name in st.session_state[key]) != exclude:
            may += [symbol for symbol in members if symbol not in must]
        else:
            must = [symbol for symbol in must if symbol not in members]
    _widgets.set_elements(must, may)


def element_sets(choice: ranking.Choice, known: Sequence[str]) -> None:
    """Show the sets of elements; one is on where all of its members are allowed, or all are excluded."""
    allowed = {*choice.must, *choice.may}
    for label, sets, exclude in (("Allow", ranking.ELEMENT_SETS, False), ("Never", ranking.EXCLUSIONS, True)):
        key = f"sets_{label.lower()}"
        on = [
            name
            for name, chosen in sets.items()
            if all((symbol in allowed) != exclude for symbol in chosen.elements if symbol in known)
        ]
        st.session_state[key] = on
        st.pills(
            label,
            list(sets),
            selection_mode="multi",
            format_func=lambda name, sets=sets: sets[name].title,
            key=key,
            on_change=toggle_sets,
            args=(key, exclude, on, choice, known),
            help="  \n".join(f"**{each.title}** {' '.join(each.elements)}: {each.why}" for each in sets.values()),
        )


head = st.container(horizontal=True, vertical_alignment="bottom")
head.title("Phase fields", width="stretch")
with head:
    with st.container(width=250):
        name = _widgets.choose_checkpoint("Ranker", _widgets.names_with("score"), key="ranker")
    n_elements = st.number_input("Elements", 2, 8, ranking.STUDY.n_elements, key="n_elements", bind="query-params", width=130)
    n_anions = st.number_input("of them anions", 0, 8, ranking.STUDY.n_anions, key="n_anions", bind="query-params", width=130)

model = _widgets.load(name)
_widgets.what_the_score_means(name, model.metrics)

left, right = st.columns([5, 6], gap="medium")
with left:
    top = st.container(gap="xsmall")
    anions = st.multiselect(
        "Elements that stand in anion places; all others stand in cation places",
        [*ranking.ANIONS, "H", "C"],
        list(ranking.STUDY.anions),
        key="anions",
        bind="query-params",
    )
    below = st.container()

elements = model.representation.elements
known = ranking.known_fields(model)
table = problem = None
try:
    choice = _widgets.element_choice(anions, n_elements, n_anions)
except ValueError as error:
    st.error(f"The address of this page cannot be used: {error}")
    st.stop()
try:
    if choice.n_fields() <= MOST:
        table = _widgets.ranked(name, choice)
    else:
        problem = (
            f"{choice.n_fields():,} fields; this page ranks up to {MOST:,} at once. Allow fewer elements,"
            " or use the command line: `matgen enumerate`, then `matgen rank`."
        )
except ValueError as error:
    problem = str(error)
st.session_state["choice"] = choice

with top:
    by_element = ranking.by_element(table) if table is not None else None
    periodic_table(
        choice.must,
        choice.may,
        key="elements",
        on_change=_widgets.set_elements,
        unavailable=_widgets.elements_without_features(elements),
        values={} if by_element is None else dict(zip(by_element["element"], by_element["mean_score"], strict=True)),
        values_label="mean score of the fields with it",
    )
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption("Start from", width="content")
        st.button("The published study", on_click=start_from, args=(ranking.STUDY.must, ranking.STUDY.may))
        st.button("Every element", on_click=start_from, args=(choice.must, elements))
        st.button("Nothing", on_click=start_from, args=((), ()))
    element_sets(choice, elements)

with below:
    if problem is None:
        steps = ranking.funnel(choice, elements, known)
        st.dataframe(
            steps,
            hide_index=True,
            column_config={
                "step": st.column_config.TextColumn("Excluded, one after the other", width="medium"),
                "elements": st.column_config.TextColumn("Elements", width="small"),
                "removed": st.column_config.NumberColumn("Fields removed", format="localized"),
                "left": st.column_config.NumberColumn("left", format="localized"),
            },
            alt="How many fields each exclusion removes",
        )

with right:
    if problem or table is None:
        st.error(problem or "")
        st.stop()
    bar = st.container(horizontal=True, vertical_alignment="bottom")
    with bar:
        kept = table[_widgets.search("Filter", "filter", table["phase_field"])]
        view = st.segmented_control("View", ["Chart", "Table"], default="Chart", key="view", required=True, bind="query-params")
    st.markdown(
        f"**{len(table):,} fields**, none of them in the training data"
        + (f"; {len(kept):,} pass the filter" if len(kept) < len(table) else "")
        + ". Rank 1 is most like known chemistry."
    )
    field = _widgets.remembered("field", str(table["phase_field"].iloc[0]) if len(table) else "")
    shown = _widgets.with_ranks(kept)
    if kept.empty:
        st.info("No field passes the filter; empty it to see all.")
    elif view == "Table":
        _widgets.field_table(
            shown.drop(columns=["known", "rank_low", "rank_high"], errors="ignore"), "ranking", choose_field, height=640
        )
    else:
        _widgets.ranking_chart(kept.head(DRAWN), field, key="ranking_chart", on_click=choose_field)
        if len(kept) > DRAWN:
            st.caption(f"The {DRAWN} most familiar of {len(kept):,}; the table has them all.")
    _widgets.download(kept, "phase_fields_ranked.csv")

st.divider()
_widgets.field_detail(name, field, table)
_widgets.same_in_python(
    f"""
from matgen_core import checkpoint, ranking

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
"""
)
