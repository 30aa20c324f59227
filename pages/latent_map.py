"""Latent map: known materials where a model puts them, with what lies near to each."""

import streamlit as st

from matgen_core import ranking
from pages import _widgets

COLORS = {
    "anions": "Anions",
    "element": "One element",
    "reconstruction_error": "Score",
    "faithfulness": "Faithfulness of the map",
    "split": "Split",
}
MOST = 2_000  # rows of the table of a selection


def look_at(name: str) -> None:
    """Show the card of a material."""
    st.session_state["card"] = name


def select(names: list[str]) -> None:
    """Remember the materials inside a lasso or box."""
    st.session_state["selected"] = names


def find_field(names: tuple[str, ...]) -> None:
    """Go to the one material that a search line names outright."""
    text = st.session_state["find"] or ""
    try:
        st.session_state["at"] = _widgets.known_or_parsed(text, names) if text.count("-") and "*" not in text else ""
    except ValueError:  # the line is a search; its own message stands beside it
        st.session_state["at"] = ""
    if st.session_state["at"]:
        look_at(st.session_state["at"])


def show_card(name: str, field: str, projection: str) -> None:
    """Show one material: what is known of it and what lies near."""
    if not field:
        st.markdown("**Click a point**")
        st.caption("Its score and its nearest known fields appear here.")
        return
    table = _widgets.map_table(name)
    row = table[table["name"] == field]
    st.subheader(ranking.chemists_order(field))
    if len(row):
        score, kept = row["reconstruction_error"].iloc[0], row[f"{projection}_faithfulness"].iloc[0]
        st.badge("known: in the training data", color="gray")
        st.markdown(f"Score **{score:.2f}**. The map keeps {kept:.0%} of its 15 true neighbors.")
    else:
        try:
            score = float(ranking.score(_widgets.load(name), [tuple(field.split("-"))]).mean())
        except ValueError as error:
            st.error(str(error))
            return
        st.badge("not in the training data", color="orange")
        st.markdown(f"Score **{score:.2f}**. Placed on the map by its true neighbors.")
    _widgets.nearest_known([name], field, "near", look_at)


st.title("Latent map")
controls = st.container(horizontal=True, vertical_alignment="bottom")
with controls:
    with st.container(width=250):
        name = _widgets.choose_checkpoint("Model", _widgets.names_with("encode"), key="map")
space = _widgets.load_map(name)
table = _widgets.map_table(name)
names = tuple(table["name"])
with controls:
    with st.container(width=130):
        projection = st.selectbox(
            "Projection",
            space.projections,
            format_func=lambda key: _widgets.PROJECTIONS.get(key, key),
            key="projection",
            bind="query-params",
        )
    offered = [key for key in COLORS if key in ("element", "faithfulness") or key in table]
    with st.container(width=230):
        color = st.selectbox("Color", offered, format_func=COLORS.__getitem__, key="color", bind="query-params")
    element = ""
    if color == "element":
        with st.container(width=110):
            element = st.selectbox("Element", _widgets.elements_in(name), key="element", bind="query-params")
    with st.container(width="stretch"):
        found = _widgets.search("Find a field or search", "find", names, on_change=find_field)
    overlay = st.toggle("Candidates", key="candidates", bind="query-params", help="those of the page Phase fields")

at = _widgets.remembered("at")
card = st.session_state.get("card") or at
known = set(names)
choice = st.session_state.get("choice", ranking.STUDY)
candidates = [*_widgets.candidates(name, choice)] if overlay else []
if at and at not in known and at not in candidates:
    candidates.append(at)
points = _widgets.placed(name, projection, tuple(candidates)) if candidates else None

column, label = color, COLORS[color]
if color == "element":
    column, label = "has_element", f"with {element}"
    table = table.assign(has_element=_widgets.having(name, element))
elif color == "reconstruction_error":
    label = f"score ({ranking.score_meaning(_widgets.load(name)).unit})"
elif color == "faithfulness":
    column, label = f"{projection}_faithfulness", "share of true neighbors kept"
marked = [each for each, is_found in zip(names, found, strict=True) if is_found]
is_search = len(marked) < len(names)

left, right = st.columns([7, 3], gap="medium")
with left:
    _widgets.map_chart(
        table,
        projection,
        key="chart",
        on_click=look_at,
        on_lasso=select,
        color=column,
        label=label,
        marked=marked if is_search else (),
        pinned=at or None,
        candidates=points,
    )
    st.caption(
        f"{len(names):,} known fields"
        + (f", {len(marked):,} found" if is_search else "")
        + (f", {len(candidates):,} not known and placed by their true neighbors" if candidates else "")
        + f". A point keeps on average {table[f'{projection}_faithfulness'].mean():.0%} of its 15 true neighbors"
        " on this map: distances and empty space on it mean little, the lists beside it are exact."
        " Click a point for its card; the lasso and box are at the top right of the map."
    )
with right, st.container(border=True):
    show_card(name, card, projection)

selected = [each for each in st.session_state.get("selected", []) if each in known]
rows, title = (selected, "Selected by lasso") if selected else (marked if is_search else [], "Found")
if rows:
    head = st.container(horizontal=True, vertical_alignment="center")
    head.subheader(f"{title}: {len(rows):,} fields", width="stretch")
    if selected:
        head.button("Clear selection", on_click=select, args=([],))
    chosen = table[table["name"].isin(rows)]
    faithful = f"{projection}_faithfulness"
    columns = ["name", *[key for key in ("anions", "reconstruction_error", "split", faithful) if key in table]]
    _widgets.field_table(chosen[columns].head(MOST), "selection", look_at, 320)
    if len(chosen) > MOST:
        st.caption(f"The first {MOST:,} of {len(chosen):,}; the file has them all.")
    with head:
        _widgets.download(chosen[columns], "selection.csv")
else:
    st.caption("Draw a lasso on the map or search to list fields here.")

_widgets.same_in_python(
    f"""
from matgen_core import checkpoint, figures, ranking
from matgen_core.latent import LatentMap, fitting

space = LatentMap(checkpoint.load({name!r}))
table = space.index.assign(name=space.index["phase_field"], anions=space.index["phase_field"].map(ranking.anion_group))
figure = figures.latent_map(table, {projection!r}, "anions")

found, z = fitting(space.encode([{tuple((card or names[0]).split("-"))!r}]))
distances, rows = space.neighbors(z, 8)
print(space.index.iloc[rows[0]][["phase_field"]].assign(distance=distances[0]).to_string())
"""
)
