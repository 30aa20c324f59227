"""Journeys as the pages share them: waypoints, what is asked for, and the steps that arrive in the background."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

import streamlit as st

from matgen_core.jobs.recording import Recording, SharedSteps, follow
from matgen_core.jobs.turns import Turns
from matgen_core.latent.index import find_formula
from matgen_core.materials.fields import PhaseField
from matgen_core.materials.levels import COMPOSITION, PHASE_FIELD
from matgen_core.tasks import journeys
from matgen_core.views.crystals import picture
from matgen_core.views.crystals.scene import drawable_scene
from matgen_core.views.maps.journey import Overlay, journey_overlay, sketch, steps_outside
from pages._parts.shared import latent_maps, plain_text, widgets
from pages._parts.shared.folder_caches import all_present, by_folder

if TYPE_CHECKING:  # it brings torch
    from matgen_core.checkpoint import Checkpoint

Mode = Literal["Path", "Arithmetic", "Axis", "Samples"]
AxisKind = Literal["principal", "coordinate"]
Around = Literal["waypoints", "lasso", "prior"]
MOST_WAYPOINTS: dict[Mode, int] = {"Path": 8, "Arithmetic": 3, "Axis": 1, "Samples": 8}
_SETTINGS: dict[Mode, tuple[str, ...]] = {
    "Path": ("way", "spread", "path_seed", "n_path"),
    "Arithmetic": ("n_arithmetic",),
    "Axis": ("axis", "axis_number", "reach", "n_axis"),
    "Samples": ("around", "width", "seed", "elements", "n_samples"),
}
PICTURE = 300  # px; the strip shows it smaller, a presentation larger
NO_POINT = "It has no latent point, since this model cannot encode. Choose a generated one."
_PATIENCE = 1.0  # s that a page waits for the first step before it is drawn without


@dataclass(frozen=True)
class Journey:
    """What a visitor asks for; what its mode does not use is at its default, so that equal journeys are equal."""

    model: str
    mode: Mode
    keys: tuple[str, ...]
    n_steps: int = 0
    kind: journeys.PathKind = "straight"
    spread: float = 0.0
    axis: int = 0
    axis_kind: AxisKind = "principal"
    reach: float = 2.0
    around: Around = "waypoints"
    rows: tuple[int, ...] = ()  # of the lasso
    width: float = 0.2
    seed: int = 0
    wanted: tuple[tuple[str, float], ...] = ()  # properties asked for
    elements: str = ""


# Waypoints


def waypoints() -> list[str]:
    """Return the keys of the waypoints, which outlive the page and stand in the address."""
    return [key for key in widgets.remembered("via").split(",") if key]


def _taken() -> list[str]:
    """The same on any page, whose address is its own."""
    return [key for key in st.session_state.get("via", "").split(",") if key]


def set_waypoints(keys: Sequence[str]) -> None:
    """Remember the waypoints."""
    st.session_state["via"] = ",".join(keys)


def change_kind() -> None:
    """Give each kind of journey the waypoints that it had; one that has none of its own takes those of the other."""
    before, now = st.session_state.get("kind", "Path"), st.session_state["mode"]
    if st.session_state.get("via", "") != st.session_state.get("via_at_first"):
        st.session_state[f"via@{before}"] = st.session_state.get("via", "")
    st.session_state["via"] = st.session_state.get(f"via@{now}", st.session_state.get("via", ""))
    begin_kind(now)


def begin_kind(mode: Mode) -> None:
    """Remember which kind of journey is chosen, and what its waypoints were when it was."""
    if st.session_state.get("kind") != mode:
        st.session_state["kind"] = mode
        st.session_state["via_at_first"] = (
            st.session_state.get("via", "") if f"via@{mode}" not in st.session_state else None
        )


def forget_unknown(name: str) -> None:
    """Drop the waypoints, of every kind, that a model does not know."""
    for each in ["via", *(f"via@{mode}" for mode in MOST_WAYPOINTS)]:
        if each in st.session_state:
            keys = [key for key in st.session_state[each].split(",") if latent_maps.row_of(name, key) is not None]
            st.session_state[each] = ",".join(keys)


def keep_settings(mode: Mode, of_samples: Sequence[str]) -> None:
    """Keep what was set for the kinds of journey that are not shown: Streamlit forgets an input that is not drawn.

    Args:
        mode: The kind that is shown.
        of_samples: What else can be set for samples of this model.
    """
    for other, keys in (_SETTINGS | {"Samples": (*_SETTINGS["Samples"], *of_samples)}).items():
        for key in keys if other != mode else ():
            if key in st.session_state:
                st.session_state[key] = st.session_state[key]


def key_of(name: str, text: str) -> str:
    """Return what a typed text is called in a model: its elements may stand in any order.

    A text that names nothing stays as it is; the journey then says so.
    """
    text = text.replace(",", " ").strip()
    if latent_maps.row_of(name, text) is not None:
        return text
    if latent_maps.level(name) is PHASE_FIELD:
        try:
            return PhaseField.parse(text).write()
        except ValueError:
            return text
    if latent_maps.level(name) is COMPOSITION and latent_maps.load_map(name).encodes:
        return text  # any formula has a place
    return find_formula(latent_maps.map_table(name), text) or text


def add_waypoint(name: str, key: str, most: int = 8) -> None:
    """Put a material at the end of the journey; one too many pushes the first out."""
    before = _taken() if st.session_state.get("journey", name) == name else []
    st.session_state["journey"] = name
    if before[-1:] != [key]:
        set_waypoints([*before, key][-most:])


def button_to_add(name: str, key: str) -> None:
    """Offer to take a material along, and the way to the journey."""
    row, encodes = latent_maps.row_of(name, key), latent_maps.load_map(name).encodes
    cannot = (
        not latent_maps.has_point(name, row) if row is not None else not encodes or bool(latent_maps.misfit(name, key))
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Add to journey",
            icon=":material/add_location:",
            on_click=add_waypoint,
            args=(name, key),
            disabled=cannot,
            help=NO_POINT if cannot and not encodes else None,
        )
        taken = _taken() if st.session_state.get("journey") == name else []
        if taken and st.button(f"Journey of {len(taken)}", icon=":material/route:", type="tertiary"):
            st.switch_page("pages/journeys.py", query_params={"journey": name, "via": ",".join(taken)})


def labels_of(name: str) -> Callable[[str], str]:
    """Return what names a waypoint in a list."""
    known, level = latent_maps.labels(name), latent_maps.level(name)

    def label(key: str) -> str:
        if key in known or level is not PHASE_FIELD:
            return known.get(key, key)
        try:
            return PHASE_FIELD.display(key)
        except ValueError:  # an address may name anything; a line beside it says what is wrong
            return key

    return label


# Routes and steps


def name_of(journey: Journey) -> str:
    """Name a journey by what was asked for, as an address may hold it."""
    return hashlib.sha256(repr(journey).encode()).hexdigest()[:16]


def _of_journey(journey: Journey, *rest: Any) -> list[str]:
    return [journey.model]


@by_folder(st.cache_resource, about=_of_journey, max_entries=64, show_spinner=False)
def route(journey: Journey) -> journeys.Route:
    """Return where a journey goes.

    Raises:
        ValueError: If it cannot be gone; the line says why.
    """
    space = latent_maps.load_map(journey.model)
    places = [journeys.waypoint(space, key) for key in journey.keys]
    if journey.mode == "Path":
        return journeys.path(space, places, journey.n_steps, journey.kind, journey.spread, journey.seed)
    if journey.mode == "Arithmetic":
        a, b, c = places
        return journeys.arithmetic(space, a, b, c, journey.n_steps)
    if journey.mode == "Axis":
        return journeys.axis(space, places[0], journey.axis, journey.n_steps, journey.reach, journey.axis_kind)
    points = {"waypoints": [place.z for place in places], "lasso": list(space.z[list(journey.rows)]), "prior": None}
    return journeys.samples(
        space, points[journey.around], journey.n_steps, journey.width, journey.seed, dict(journey.wanted)
    )


def pins(journey: Journey) -> list[journeys.Waypoint]:
    """Return the waypoints that can be found, and show what is wrong with the others."""
    found = []
    for key in journey.keys:
        try:
            found.append(journeys.waypoint(latent_maps.load_map(journey.model), key))
        except ValueError as error:
            plain_text.error(error)
    return found


@by_folder(st.cache_data, max_entries=4, show_spinner=False)
def axis_shares(name: str) -> list[float]:
    """Return the share of the variance of the latent points along each principal axis."""
    return journeys.axis_shares(latent_maps.load_map(name)).tolist()


@by_folder(st.cache_data, about=_of_journey, max_entries=64, show_spinner=False)
def _outside(journey: Journey) -> list[int]:
    return steps_outside(latent_maps.load_map(journey.model), route(journey))


def overlay(journey: Journey, projection: str, current: int) -> Overlay:
    """Return a journey as it lies on a map."""
    return journey_overlay(latent_maps.load_map(journey.model), route(journey), projection, _outside(journey), current)


@by_folder(st.cache_data, about=_of_journey, max_entries=64, show_spinner=False)
def sketched(journey: Journey, projection: str) -> dict[str, Any]:
    return sketch(latent_maps.load_map(journey.model), route(journey), projection, _outside(journey))


def looked_at(journey: Journey, n_steps: int) -> int:
    """Return the step that is looked at: the first of a new journey, and where the address names none that is there."""
    before = st.session_state.get("journey_before")
    if before is not None and before != journey:
        st.session_state["step"] = "1"
    st.session_state["journey_before"] = journey
    text = widgets.remembered("step", "1")
    return int(text) - 1 if text.isdecimal() and 1 <= int(text) <= n_steps else 0


@by_folder(st.cache_resource, about=all_present, max_entries=16, show_spinner=False)
def _shared(journey: Journey) -> SharedSteps[journeys.Step]:
    """Return the steps of a journey, for all visitors: who goes it first computes them."""
    steps = journeys.walk(
        latent_maps.load_map(journey.model),
        route(journey),
        properties=property_models(journey.model),
        elements=journey.elements,
    )
    return SharedSteps(_drawn(steps), len(route(journey)))


@by_folder(
    st.cache_resource,
    about=all_present,
    scope="session",
    max_entries=8,
    on_release=Recording.stop,
    show_spinner=False,
)
def recording(journey: Journey) -> Recording[journeys.Step]:
    """Return the steps of a journey as they arrive for this visitor once it is started.

    Raises:
        ValueError: If the search line or the condition does not suit the model.
    """
    shared, n_steps = _shared(journey), len(route(journey))
    # What another visitor has computed waits in no line.
    return Recording(shared, n_steps, Turns(1)) if shared.is_whole else Recording(shared, n_steps)


def _drawn(steps: Iterator[journeys.Step]) -> Iterator[journeys.Step]:
    """Draw each step where nobody waits for it."""
    for step in steps:
        scene = drawable_scene(step.material)
        yield replace(step, scene=scene, picture=picture.picture(scene, PICTURE) if scene else "")


def property_models(name: str) -> list["Checkpoint"]:
    """Return what predicts properties of the materials of a model."""
    level = latent_maps.level(name)
    if level is PHASE_FIELD:
        return [widgets.read(each) for each in widgets.names_with("score") if each == name]
    return [widgets.read(each) for each in widgets.readable(widgets.names_with("predict", level))]


@by_folder(st.cache_resource, show_spinner=False)
def warm(name: str) -> None:
    """Take the first step of the example while the visitor looks round: the first takes twice as long as the next."""
    space = latent_maps.load_map(name)
    places = [journeys.waypoint(space, key) for key in journeys.example(space)]
    steps = _drawn(journeys.walk(space, journeys.path(space, places, 2), property_models(name)))
    Recording(islice(steps, 1), 1).start()


def under_way(journey: Journey) -> Recording[journeys.Step]:
    """Return the steps of a journey and see that they arrive, unless the visitor has stopped this one."""
    current = recording(journey)
    before, st.session_state["recorded"] = st.session_state.get("recorded"), current
    follow(current, before, st.session_state.get("halted") == journey, _PATIENCE)
    return current


@widgets.while_it_is_there
def halt(journey: Journey) -> None:
    """Stop a journey; what has arrived stays."""
    st.session_state["halted"] = journey
    recording(journey).stop()


def go_on() -> None:
    """Let a stopped journey go on."""
    st.session_state["halted"] = None
