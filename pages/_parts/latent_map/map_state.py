"""What the visitor has chosen on the latent map: it outlives the page and a reload, and fits in a link."""

import streamlit as st

from matgen_core.latent import projection, ranges, selection
from matgen_core.latent.selection import Selection
from matgen_core.materials import query
from matgen_core.materials.elements import every_element
from matgen_core.materials.formulas import Formulas
from matgen_core.materials.levels import COMPOSITION
from matgen_core.views.maps import link as view_link
from matgen_core.views.maps.events import MapEvents
from matgen_core.views.maps.framing import Camera
from matgen_core.views.maps.link import View
from pages._parts.components.copy_button import copy_button
from pages._parts.components.periodic_table import periodic_table
from pages._parts.shared import latent_maps, plain_text, widgets
from pages._parts.shared.plain_text import plain
from pages._parts.words import old_names

_WIDGETS = {"map": "model", "projection": "projection", "color": "color", "element": "element", "find": "search"}


# The card, the view and the selection


def look_at(key: str) -> None:
    """Show the card of a material; an empty key closes it."""
    st.session_state["at"] = key


def forget_material() -> None:
    """Close the card."""
    look_at("")


def forget_model() -> None:
    """Close the card and drop the ranges of values: those of one model mean nothing to another."""
    forget_material()
    st.session_state["ranges"] = ""


def own_formula(text: str) -> str:
    """Return the reduced formula that a search line is, "" if it is none; a symbol alone searches for the element."""
    try:
        found = str(Formulas.of_text(text).reduced().texts()[0])
    except ValueError:
        return ""
    return "" if text in every_element() else found


def is_placed(name: str, text: str | None) -> bool:
    """Tell whether a search line names the formula whose card is shown and which is not on the map."""
    at = st.session_state.get("at", "")
    own = latent_maps.level(name) is COMPOSITION and latent_maps.row_of(name, at) is None
    return bool(at) and own and own_formula((text or "").strip()) == at


def selected(name: str) -> Selection | None:
    """Return what outlines have chosen on maps of a model; after a reload, from the address."""
    of_model, chosen = st.session_state.get("selection", ("", None))
    if of_model == name and chosen is not None and len(chosen.mask) != len(latent_maps.map_table(name)):
        chosen = None  # another folder has taken the place of the model's: its outlines are replayed
    text = widgets.remembered("outlines")
    if chosen is None and text:
        try:
            view = view_link.decode(text)
            chosen = view_link.replay(view.outlines, _stored_positions(name)) if view.model == name else None
        except ValueError as error:
            plain_text.error(error)
            st.session_state["outlines"] = ""
        else:
            of_model = view.model
            st.session_state["selection"] = (of_model, chosen)
    return chosen if of_model == name else None


def extend_selection(name: str, key: str, lasso: selection.Lasso) -> None:
    """Apply an outline that was drawn on a map; one that leaves nothing is said, and what was selected stays."""
    chosen = selection.extend(selected(name), latent_maps.positions(name, key), lasso, key)
    if chosen is None and lasso.op != "clear":
        st.session_state["empty_outline"] = (
            f"No {latent_maps.level(name).noun} lies in that outline, so nothing changed."
            if lasso.op in ("new", "add")
            else f"That would leave no {latent_maps.level(name).noun}, so nothing changed."
        )
        return
    set_selection(name, chosen)


def set_selection(name: str, chosen: Selection | None) -> None:
    """Replace the selection, here and in the address."""
    st.session_state["selection"] = (name, chosen)
    try:
        st.session_state["outlines"] = view_link.encode(View(name, outlines=_portable(name, chosen))) if chosen else ""
    except ValueError:  # the link says so when it is asked for; the selection itself is good
        st.session_state["outlines"] = ""


def _portable(name: str, chosen: Selection | None) -> tuple[tuple[str, selection.Lasso], ...]:
    """The outlines of a selection.

    Raises:
        ValueError: If one was drawn on a map of this session.
    """
    steps = () if chosen is None else chosen.steps
    if any(key in latent_maps.own_maps(name) for key, _ in steps):
        raise ValueError(
            "the selection was drawn on a map that you made, which ends with this session; draw it on a map of the"
            " model to get a link to it"
        )
    return steps


def _stored_positions(name: str) -> dict[str, object]:
    if problem := latent_maps.map_problem(name):
        raise ValueError(problem)
    space = latent_maps.load_map(name)
    return {key: space.positions(key) for key in space.projections}


def take_view(name: str, key: str, events: MapEvents) -> None:
    """Remember the part of the map that is in view."""
    if events.camera is not None and events.camera != st.session_state.get("camera_reported"):
        st.session_state["camera_reported"] = view = events.camera
        ask_for(name, key, view)


def ask_for(name: str, key: str, view: Camera) -> None:
    """Ask for a part of a map."""
    st.session_state["camera"] = f"{name},{key},{view.x:.8g},{view.y:.8g},{view.span:.8g}"


def asked_camera(name: str, key: str) -> Camera | None:
    """Return the view that the address asks for, if it is one of this map."""
    of_model, _, rest = widgets.remembered("camera").partition(",")
    of_projection, _, numbers = rest.partition(",")
    if (of_model, of_projection) != (name, key):
        return None
    try:
        return Camera.of(*map(float, numbers.split(",")))
    except ValueError:
        return None


# Elements


def element_filter(name: str) -> list[bool]:
    """Show the periodic table behind a button and tell which materials keep to it."""
    must, never = (_symbols(key) for key in ("holds", "never"))
    known = latent_maps.elements_in(name)
    n = len(must) + len(never)
    with st.popover(f"Elements ({n})" if n else "Elements", icon=":material/grid_on:"):
        st.markdown("Which elements **must** be there, **may** be there, or are **never** there.", width=760)
        with st.container(width=760):
            periodic_table(
                must,
                [symbol for symbol in known if symbol not in (*must, *never)],
                key="map_elements",
                on_change=lambda holds, may: set_elements(
                    holds, [symbol for symbol in known if symbol not in (*holds, *may)]
                ),
                unavailable=latent_maps.absent_elements(name),
            )
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(
                plain(f"must: {', '.join(must) or 'none'} · never: {', '.join(never) or 'none'} · all others may"),
                width="stretch",
            )
            st.button("All may", on_click=set_elements, args=((), ()), disabled=not n)
    terms = [f"{word}:{','.join(symbols)}" for word, symbols in (("has", must), ("not", never)) if symbols]
    try:
        return latent_maps.keeping_to(name, " ".join(terms))
    except ValueError as error:
        plain_text.error(f"The address of this page cannot be used: {error}")
        st.stop()


def _symbols(key: str) -> list[str]:
    return [symbol for symbol in widgets.remembered(key).split(",") if symbol]


def set_elements(must: list[str] | tuple[str, ...], never: list[str] | tuple[str, ...]) -> None:
    """Remember which elements must and must never be there."""
    st.session_state["holds"], st.session_state["never"] = ",".join(must), ",".join(never)


# Links


def open_link() -> str:
    """Take up the view that a link asks for, before any widget is made; return what is wrong with it, or ""."""
    text = st.query_params.pop("view", None)
    if text is None:
        return ""
    try:
        view = view_link.decode(text)
        here = widgets.names_with_map()
        if view.model not in here:
            raise ValueError(f"this link shows a map of {view.model!r}, which is not here; here are {', '.join(here)}")
        view_link.replay(view.outlines, _stored_positions(view.model))
        query.find(" ".join(f"has:{symbol}" for symbol in (*view.must, *view.never)), ())
        ranges.read(view.ranges, latent_maps.numbers_of(view.model))
    except ValueError as error:
        return str(error)
    if view.was:
        old_names.tell("latent_map", [view.was])
    written = {
        "projection": {
            key: latent_maps.projection_title(view.model, key) for key in latent_maps.projections(view.model)
        },
        "color": latent_maps.color_titles(view.model, view.projection),
    }
    for key, name in _WIDGETS.items():
        value = getattr(view, name)
        label = written.get(key, {value: value}).get(value)
        if value and label:
            st.session_state[key] = value
            st.query_params[key] = label  # a widget writes what is chosen on it into the address, not what is set here
    look_at(view.at)
    set_elements(view.must, view.never)
    st.session_state["ranges"] = view.ranges
    if view.camera:
        camera = view.camera
        st.session_state["camera"] = f"{view.model},{view.projection},{camera.x},{camera.y},{camera.span}"
    st.session_state.pop("selection", None)
    st.session_state["outlines"] = view_link.encode(View(view.model, outlines=view.outlines)) if view.outlines else ""
    return ""


def link_button(name: str, key: str, color: str, element: str) -> None:
    """Offer a link that opens exactly this view."""
    own = key in latent_maps.own_maps(name)
    text = problem = ""
    try:
        view = View(
            name,
            "" if own else key,
            color,
            element,
            st.session_state.get("find") or "",
            tuple(_symbols("holds")),
            tuple(_symbols("never")),
            st.session_state.get("ranges", ""),
            st.session_state.get("at", ""),
            None if own else asked_camera(name, key),
            _portable(name, selected(name)),
        )
        text = f"?view={view_link.encode(view)}"
    except ValueError as error:
        problem = f"No link: {error}."
    about = (
        "Opens this model, map, colors, search, filters, outlines, part of the map and card, for everyone who can reach"
        " this app." + (" Your own map stays with your session: the link opens the model's." if own else "")
    )
    copy_button("Copy link", text, key="link", about=about, problem=problem)


def outside_share(name: str, chosen: Selection) -> float:
    """Return the share of the true neighbors of selected materials that are not selected."""
    return projection.share_outside(latent_maps.true_neighbors(name), chosen.mask)
