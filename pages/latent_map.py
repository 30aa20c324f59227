"""Latent map: known materials where a model puts them, with what lies near to each."""

from collections.abc import Callable
from functools import partial
from typing import Any

import streamlit as st

from matgen_core.latent import selection
from matgen_core.latent.index import faithfulness_column, stability_column
from matgen_core.materials.levels import PHASE_FIELD
from matgen_core.tasks import ranking
from matgen_core.views.maps import columns as map_columns
from matgen_core.views.maps.events import MapEvents
from matgen_core.views.maps.scene import Coloring, MapScene
from pages._parts.journeys import journey_state
from pages._parts.latent_map import cards, finding, making, map_state, recompute, selection_panel, value_filter
from pages._parts.shared import latent_maps, login, plain_text, rankings, widgets

login.require()


@widgets.while_it_is_there
def on_event(events: MapEvents, placed: list[str]) -> None:
    """Take up what the visitor did on the map; `placed` are its markers."""
    if events.clicked is not None:
        map_state.look_at(keys[events.clicked])
    if events.marker is not None:
        map_state.look_at(placed[events.marker])
    if events.lasso is not None:
        map_state.extend_selection(name, projection, events.lasso)
    map_state.take_view(name, projection, events)


broken_link = map_state.open_link()
st.title("Latent map")
if broken_link:
    plain_text.error(broken_link)
controls = st.container(horizontal=True, vertical_alignment="bottom")
with controls:
    with st.container(width=210):
        name = widgets.choose_checkpoint("Model", widgets.names_with_map(), key="map", on_change=map_state.forget_model)
space = latent_maps.load_map(name)
table = latent_maps.map_table(name)
keys, noun, is_fields = tuple(table["key"]), latent_maps.noun(name), latent_maps.level(name) is PHASE_FIELD
with controls:
    with st.container(width=140):
        if "next_projection" in st.session_state:
            st.session_state["projection"] = st.session_state.pop("next_projection")
        projections = {key: latent_maps.projection_title(name, key) for key in latent_maps.projections(name)}
        projection = st.selectbox(
            "Projection",
            list(projections),
            format_func=projections.__getitem__,
            key="projection",
            bind="query-params",
        )
    columns = {column.name: column for column in latent_maps.map_table_columns(name)}
    titles = latent_maps.color_titles(name, projection)
    with st.container(width=200):
        color = st.selectbox("Color", list(titles), format_func=titles.__getitem__, key="color", bind="query-params")
    element = ""
    if color == latent_maps.ELEMENT:
        with st.container(width=100):
            element = st.selectbox("Element", latent_maps.elements_in(name), key="element", bind="query-params")
    with st.container(width="stretch"):
        searched = finding.line(name, projection)
    filtered = map_state.element_filter(name)
    overlay = is_fields and st.toggle(
        "Candidates", key="candidates", bind="query-params", help="those of the page Phase fields"
    )
choice = st.session_state.get("choice", ranking.STUDY)
candidates = latent_maps.candidates(name, choice) if overlay else ()
ranked = rankings.of_choice(name, choice) if overlay else None
ranks = {} if ranked is None else dict(zip(ranked["phase_field"], ranked["rank"], strict=True))
if about := latent_maps.without_encoder(name):
    st.info(about, icon=":material/info:")
stored = projection if projection in space.projections else space.projections[0]
recompute.show_job()


def controls_now() -> tuple[Any, ...]:
    """What the controls over the map say; a change of them may come with a click that runs the map alone."""
    return tuple(st.session_state.get(key) for key in ("map", "projection", "color", "element", "find", "candidates"))


controls_as_read = controls_now()


@st.fragment
def explorer() -> None:
    """The map with what depends on it; what is done there runs this alone."""
    if controls_as_read != controls_now():
        st.rerun(scope="app")
    at = widgets.remembered("at")
    row = latent_maps.row_of(name, at)
    own = latent_maps.own_maps(name).get(projection)
    marked = [] if own else list(candidates[: latent_maps.MOST_CANDIDATES])
    if at and row is None and not own and at not in marked and not latent_maps.misfit(name, at):
        marked.append(at)
    chosen, wanted = map_state.selected(name), value_filter.asked(name)
    in_ranges = value_filter.kept(name, wanted)
    shown = selection.in_both(selection.in_all(searched, filtered, in_ranges), chosen)
    n_shown = len(keys) if shown is None else int(shown.sum())
    near = latent_maps.neighbor_rows(name, at)
    where = latent_maps.placed(name, projection, tuple(marked))
    placed = list(where["name"])
    left, right = st.columns([7, 3] if is_fields else [6, 5], gap="medium")
    with left:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            left_out = f", the first {len(marked):,} of them drawn" if len(candidates) > len(marked) else ""
            st.caption(
                f"Showing {n_shown:,} of {len(keys):,} {latent_maps.everyone_in_words(name)}"
                + (
                    f", {len(candidates):,} not known and placed by their true neighbors{left_out}"
                    if candidates
                    else ""
                ),
                width="stretch",
            )
            if ranks and not own:
                st.caption(f":orange[◆] rank 1 to :gray[◆] rank {len(ranks):,}", width="content")
            making.button(name, projection)
            recompute.button(name, shown)
            map_state.link_button(name, projection, color, element)
        filters: dict[str, tuple[Any, Callable[[], None]]] = {
            "the element filter": (filtered, lambda: map_state.set_elements((), ()))
        }
        filters[value_filter.NAME] = (in_ranges, value_filter.drop)
        if chosen is not None:
            filters["the lasso"] = (chosen.mask, lambda: map_state.set_selection(name, None))
        finding.report(name, projection, searched, filters)
        value_filter.chips(name, wanted)
        if note := st.session_state.pop("empty_outline", ""):
            plain_text.warning(note)
        latent_maps.map_chart(
            MapScene(
                latent_maps.point_cloud(name, projection),
                coloring=coloring(),
                hover=latent_maps.hover(name),
                selected=selection.in_both(own.member, None) if own and shown is None else shown,
                focus=row,
                links=[] if row is None else [(row, each) for each in near],
                marker_links=[(placed.index(at), each) for each in near if at in placed],
                markers=latent_maps.markers(name, where, at, ranks),
                outlines=[] if chosen is None else [each.polygon for key, each in chosen.steps if key == projection],
                labels=[] if own else latent_maps.island_labels(name, projection),
                camera=map_state.asked_camera(name, projection),
                axis_labels=latent_maps.axis_labels(name, projection),
                title=f"{latent_maps.projection_title(name, projection)} map of {name}",
                noun=noun,
            ),
            key="chart",
            on_event=partial(on_event, placed=placed),
        )
    with right:
        value_filter.panel(name, wanted)
    with right, st.container(border=True):
        if row is not None and shown is not None and not shown[row]:
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(":orange[:material/filter_alt_off:] Not among what is shown: the filters leave it out.")
                st.button("Close the card", on_click=map_state.forget_material)
        if at:
            journey_state.button_to_add(name, at)
        if not at:
            st.markdown("**Click a point**")
            st.caption(f"Its values and the {noun} nearest to it appear here.")
        else:
            cards.CARDS[latent_maps.level(name)](name, projection, at)
    if shown is None:
        st.caption(f"Draw a lasso on the map or search to list {noun} here.")
    else:
        selection_panel.panel(name, projection, shown, chosen)
    if at and row is None and not latent_maps.misfit(name, at):
        place_in_python(at)
    else:
        same_in_python(keys[0] if row is None else at)


def coloring() -> Coloring:
    """Return the colors of the points."""
    if color == latent_maps.CLUSTER:
        return latent_maps.cluster_coloring(name)
    if color == latent_maps.FAITHFULNESS:
        grades = latent_maps.faithfulness(name, projection)
        return map_columns.color_by_grade(grades, faithfulness_column(projection))
    if color == latent_maps.STABILITY:
        return map_columns.color_by_grade(table[f"{projection}_stability"], stability_column(projection))
    return latent_maps.coloring(name, columns.get(color), element)


def same_in_python(key: str) -> None:
    """Show the Python that finds what lies near a material of the map."""
    widgets.same_in_python(
        f"""
from matgen_core import checkpoint
from matgen_core.latent import LatentMap, known_materials
from matgen_core.latent.projection import ProjectionSettings, projected

model = checkpoint.load({name!r})
space, table = LatentMap(model), known_materials(model)
row = list(table["key"]).index({key!r})
distances, rows = space.neighbors(space.features[[row]], 8)
print(table.iloc[rows[0]][["key", "name"]].assign(distance=distances[0]).to_string())
print(space.positions({stored!r})[rows[0]])
print(space.reconstruct([row])[0].material)
mine = projected(space.features, ProjectionSettings("pca"))  # or "umap", "tsne", with their own settings
print(mine.trustworthiness, mine.continuity)
"""
    )


def place_in_python(key: str) -> None:
    """Show the Python that places a field or a formula that is not on the map."""
    material = f"tuple({key!r}.split('-'))" if is_fields else f"Composition({key!r})"
    widgets.same_in_python(
        f"""
from pymatgen.core import Composition

from matgen_core import checkpoint
from matgen_core.latent import LatentMap, known_materials

model = checkpoint.load({name!r})
space, table = LatentMap(model), known_materials(model)
(here,) = space.locate([{material}])
distances, rows = space.neighbors(here.z[None], 6)
print(table.iloc[rows[0]][["key", "name"]].assign(distance=distances[0]).to_string())
print(space.place(here.z[None], {stored!r}))
"""
    )


explorer()
