"""Latent map: known materials where a model puts them, with what lies near to each."""

from functools import partial

import pandas as pd
import streamlit as st

from matgen_core import bench, crystal_scene, map_columns, ranking, selection, structure_report
from matgen_core.map_events import MapEvents
from matgen_core.map_scene import Camera, MapScene
from pages import _maps, _structures, _widgets
from pages._components.crystal_viewer import crystal_viewer

ELEMENT, FAITHFULNESS = "element", "faithfulness"
MOST = 2_000  # rows of the table of a selection


def look_at(key: str) -> None:
    """Show the card of a material."""
    st.session_state["at"] = key


def find_material() -> None:
    """Go to the one material that a search line names outright."""
    text = (st.session_state["find"] or "").strip()
    if _maps.row_of(name, text) is not None:
        look_at(text)
    elif is_fields and text.count("-") and "*" not in text:
        try:
            look_at(_widgets.known_or_parsed(text, keys))
        except ValueError:  # the line is a search; its own message stands beside it
            look_at("")


def clear_selection() -> None:
    """Forget what the lasso has chosen."""
    st.session_state.pop("selection", None)


def selected_here() -> selection.Selection | None:
    """Return what the lasso has chosen on maps of this model."""
    of_model, chosen = st.session_state.get("selection", ("", None))
    return chosen if of_model == name else None


def forget_material() -> None:
    """Close the card: the material of one model means nothing to another."""
    look_at("")


def on_event(events: MapEvents, placed: list[str]) -> None:
    """Take up what the visitor did on the map; `placed` are its markers."""
    if events.clicked is not None:
        look_at(keys[events.clicked])
    if events.marker is not None:
        look_at(placed[events.marker])
    if events.lasso is not None:
        chosen = selection.extend(selected_here(), space.positions(projection), events.lasso, projection)
        st.session_state["selection"] = (name, chosen)
    if events.camera is not None and events.camera != st.session_state.get("camera_reported"):
        st.session_state["camera_reported"] = view = events.camera
        st.session_state["camera"] = f"{name},{projection},{view.x},{view.y},{view.span}"


def asked_camera() -> Camera | None:
    """Return the view that the address asks for, if it is one of this map."""
    of_model, _, rest = _widgets.remembered("camera").partition(",")
    of_projection, _, numbers = rest.partition(",")
    if (of_model, of_projection) != (name, projection):
        return None
    try:
        x, y, span = map(float, numbers.split(","))
    except ValueError:
        return None
    return Camera(x, y, span) if span > 0 else None


def field_card(field: str) -> None:
    """Show one phase field: its score and what lies near."""
    st.subheader(ranking.chemists_order(field))
    row = _maps.row_of(name, field)
    if row is not None:
        known = table.iloc[row]
        st.badge("known: in the training data", color="gray")
        kept = known[f"{projection}_faithfulness"]
        st.markdown(
            f"Score **{known['reconstruction_error']:.2f}**. The map keeps {kept:.0%} of its 15 true neighbors."
        )
    else:
        try:
            score = float(ranking.score(_widgets.load(name), [tuple(field.split("-"))]).mean())
        except ValueError as error:
            st.error(str(error))
            return
        st.badge("not in the training data", color="orange")
        st.markdown(f"Score **{score:.2f}**. Placed on the map by its true neighbors.")
    _maps.nearest_known([name], field, "near", look_at)


def crystal_card(key: str) -> None:
    """Show one crystal: what the model decodes of it, its values and what lies near."""
    row = _maps.row_of(name, key)
    if row is None:
        st.error(f"{key} is not among the crystals of {name}; click a point or search for a formula")
        return
    known = table.iloc[row]
    st.subheader(known["name"])
    st.caption(f"{key}. The map keeps {known[f'{projection}_faithfulness']:.0%} of its 15 true neighbors.")
    show_decoded(row)
    _structures.open_on_bench([bench.Entry(name, key)], "open_on_bench")
    _widgets.values(known, _maps.map_table_columns(name))
    _maps.nearest_known([name], key, "near", look_at)


def show_decoded(row: int) -> None:
    """Show the decoded crystal, beside the original where its data set is installed."""
    decoded = _maps.decoded(name, row)
    shown, captions, missing = [], [], ""
    try:
        original = _maps.original(name, row)
        shown.append(crystal_scene.scene(original))
        captions.append("original")
    except ValueError as error:
        original, missing = None, str(error)
    if decoded.problem is None:
        shown.append(crystal_scene.scene(decoded.material))
        captions.append("decoded from its latent point")
    if shown:
        crystal_viewer(shown, key="crystals", captions=captions, height=340)
    if decoded.problem is not None:
        st.error(f"The latent point does not decode: {decoded.problem}")
    elif original is not None:
        difference = structure_report.compare(original, decoded.material)
        st.markdown(
            f"Comes back with RMSD **{difference.rmsd_angstrom:.3f} Å**."
            if difference.rmsd_angstrom is not None
            else f"Does not come back: {difference.problem}."
        )
    if missing:
        st.caption(f"The original is not shown: {missing}.")


st.title("Latent map")
controls = st.container(horizontal=True, vertical_alignment="bottom")
with controls:
    with st.container(width=250):
        name = _widgets.choose_checkpoint(
            "Model", _widgets.names_with("encode", None), key="map", on_change=forget_material
        )
space = _maps.load_map(name)
table = _maps.map_table(name)
keys, is_fields = tuple(table["key"]), "phase_field" in table
noun = "fields" if is_fields else "crystals"
with controls:
    with st.container(width=130):
        projection = st.selectbox(
            "Projection",
            space.projections,
            format_func=lambda key: _widgets.PROJECTIONS.get(key, key),
            key="projection",
            bind="query-params",
        )
    columns = {column.name: column for column in _maps.map_table_columns(name)}
    titles = {key: column.label for key, column in columns.items()}
    titles |= {ELEMENT: "One element", FAITHFULNESS: "Faithfulness of the map"}
    first = next((key for key in ("anions", "family") if key in columns), ELEMENT)
    with st.container(width=230):
        color = st.selectbox(
            "Color",
            sorted(titles, key=lambda key: key != first),
            format_func=titles.__getitem__,
            key="color",
            bind="query-params",
        )
    element = ""
    if color == ELEMENT:
        with st.container(width=110):
            element = st.selectbox("Element", _maps.elements_in(name), key="element", bind="query-params")
    with st.container(width="stretch"):
        found = _widgets.search(
            "Find a field or search" if is_fields else "Find a formula or search",
            "find",
            tuple(table["name"]),
            on_change=find_material,
            ids=() if is_fields else keys,
        )
    overlay = is_fields and st.toggle(
        "Candidates", key="candidates", bind="query-params", help="those of the page Phase fields"
    )

candidates = _maps.candidates(name, st.session_state.get("choice", ranking.STUDY)) if overlay else ()


@st.fragment
def explorer() -> None:
    """The map with what depends on it; what is done there runs this alone."""
    at = _widgets.remembered("at")
    row = _maps.row_of(name, at)
    marked = list(candidates[: _maps.MOST_CANDIDATES])
    if at and row is None and is_fields and at not in marked:
        marked.append(at)
    chosen = selected_here()
    shown = selection.in_both(found, chosen)
    n_shown = len(keys) if shown is None else int(shown.sum())
    near = _maps.neighbor_rows(name, at)
    where = _maps.placed(name, projection, tuple(marked))
    placed = list(where["name"])
    left, right = st.columns([7, 3] if is_fields else [6, 5], gap="medium")
    with left:
        _maps.map_chart(
            MapScene(
                _maps.point_cloud(name, projection),
                coloring=_maps.coloring(name, columns.get(color, map_columns.faithfulness(projection)), element),
                hover=_maps.hover(name),
                selected=shown,
                focus=row,
                links=[] if row is None else [(row, each) for each in near],
                marker_links=[(placed.index(at), each) for each in near if at in placed],
                markers=_maps.markers(where, at),
                camera=asked_camera(),
                axis_labels=_maps.axis_labels(projection),
                title=f"{_widgets.PROJECTIONS.get(projection, projection)} map of {name}",
                noun=noun,
            ),
            key="chart",
            on_event=partial(on_event, placed=placed),
        )
        left_out = f", the first {len(marked):,} of them drawn" if len(candidates) > len(marked) else ""
        st.caption(
            f"Showing {n_shown:,} of {len(keys):,} known {noun}"
            + ("" if shown is None else ", the others in gray")
            + (f", {len(candidates):,} not known and placed by their true neighbors{left_out}" if candidates else "")
            + f". A point keeps on average {table[f'{projection}_faithfulness'].mean():.0%} of its 15 true neighbors"
            " on this map: distances and empty space on it mean little, the lines to true neighbors and the lists are"
            " exact."
        )
    with right, st.container(border=True):
        if not at:
            st.markdown("**Click a point**")
            st.caption(f"Its values and its nearest known {noun} appear here.")
        elif is_fields:
            field_card(at)
        else:
            crystal_card(at)
    if shown is None:
        st.caption(f"Draw a lasso on the map or search to list {noun} here.")
    else:
        selection_table(table[shown], chosen)
    same_in_python(keys[0] if row is None else at)


def selection_table(rows: pd.DataFrame, chosen: selection.Selection | None) -> None:
    """List what is found and selected, and offer it as a file."""
    head = st.container(horizontal=True, vertical_alignment="center")
    head.subheader(f"{'Found' if chosen is None else 'Selected by lasso'}: {len(rows):,} {noun}", width="stretch")
    identity = ["name"] if is_fields else ["id", "formula"]
    listed = rows[[*identity, *columns, f"{projection}_faithfulness"]]
    if chosen is not None:
        head.button("Clear selection", on_click=clear_selection)
        outlines = chosen.as_json(checkpoint=name, search=st.session_state["find"] or "", shown=list(rows["key"]))
        with head:
            _widgets.download_text(outlines, "selection.json", "Save outlines")
    with head:
        _widgets.download(listed, "selection.csv")
    _widgets.field_table(listed.head(MOST), "selected_rows", look_at, 320, list(columns.values()))
    if len(listed) > MOST:
        st.caption(f"The first {MOST:,} of {len(listed):,}; the file has them all.")


def same_in_python(key: str) -> None:
    """Show the Python that finds what lies near a material."""
    _widgets.same_in_python(
        f"""
from matgen_core import checkpoint, map_columns
from matgen_core.latent import LatentMap

model = checkpoint.load({name!r})
space, table = LatentMap(model), map_columns.materials(model)
row = list(table["key"]).index({key!r})
distances, rows = space.neighbors(space.z[[row]], 8)
print(table.iloc[rows[0]][["key", "name"]].assign(distance=distances[0]).to_string())
print(space.positions({projection!r})[rows[0]])
print(space.reconstruct([row])[0].material)
"""
    )


explorer()
