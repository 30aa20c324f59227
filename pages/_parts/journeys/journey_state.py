"""Journeys as the pages share them: waypoints, what is asked for, and the steps that arrive in the background."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Literal

import streamlit as st

from matgen_core.data.structure_export import cif_archive
from matgen_core.materials.levels import PHASE_FIELD
from matgen_core.materials.properties import Column
from matgen_core.tasks import journeys
from matgen_core.views.crystals import picture
from matgen_core.views.crystals.scene import drawable_scene
from matgen_core.views.maps.journey import Overlay, journey_overlay, steps_outside
from pages._parts.components.film_strip import Frame
from pages._parts.shared import latent_maps, plain_text, widgets
from pages._parts.shared.folder_caches import all_present, by_folder
from pages._parts.shared.plain_text import plain

if TYPE_CHECKING:  # it brings torch
    from matgen_core.checkpoint import Checkpoint

Mode = Literal["Path", "Arithmetic", "Axis", "Samples"]
AxisKind = Literal["principal", "coordinate"]
Around = Literal["waypoints", "lasso", "prior"]
MOST_WAYPOINTS: dict[Mode, int] = {"Path": 8, "Arithmetic": 3, "Axis": 1, "Samples": 8}
PICTURE = 120  # px
NO_POINT = "It has no latent point, since this model cannot encode. Choose a generated formula."
_PATIENCE = 1.0  # s that a page waits for the first step before it is drawn without


@dataclass(frozen=True)
class Journey:
    """What a visitor asks for; what its mode does not use is at its default, so that equal journeys are equal."""

    model: str
    mode: Mode
    keys: tuple[str, ...]
    n_steps: int = 0
    kind: journeys.PathKind = "straight"
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


def _of_journey(journey: Journey) -> list[str]:
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
        return journeys.path(space, places, journey.n_steps, journey.kind)
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
    """Return the waypoints that can be found; the route says what is wrong with the others."""
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


@by_folder(
    st.cache_resource,
    about=all_present,
    scope="session",
    max_entries=8,
    on_release=journeys.Recording.stop,
    show_spinner=False,
)
def recording(journey: Journey) -> journeys.Recording:
    """Return the steps of a journey, which arrive in the background once it is started.

    Raises:
        ValueError: If the search line or the condition does not suit the model.
    """
    steps = journeys.walk(
        latent_maps.load_map(journey.model),
        route(journey),
        properties=_property_models(journey.model),
        elements=journey.elements,
    )
    return journeys.Recording(_drawn(steps), len(route(journey)))


def _drawn(steps: Iterator[journeys.Step]) -> Iterator[journeys.Step]:
    """Find out what is drawn of each step where nobody waits for it."""
    for step in steps:
        yield replace(step, scene=drawable_scene(step.material))


def _property_models(name: str) -> list["Checkpoint"]:
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
    steps = _drawn(journeys.walk(space, journeys.path(space, places, 2), _property_models(name)))
    journeys.Recording(islice(steps, 1), 1).start()


def under_way(journey: Journey) -> journeys.Recording:
    """Return the steps of a journey and see that they arrive, unless the visitor has stopped this one."""
    current = recording(journey)
    before = st.session_state.get("recorded")
    if before is not None and before is not current:
        before.stop()
    st.session_state["recorded"] = current
    if st.session_state.get("halted") != journey:
        current.start()
        current.wait_for_first(_PATIENCE)
    else:
        current.stop()  # it may have been made anew
    return current


@widgets.while_it_is_there
def halt(journey: Journey) -> None:
    """Stop a journey; what has arrived stays."""
    st.session_state["halted"] = journey
    recording(journey).stop()


def go_on() -> None:
    """Let a stopped journey go on."""
    st.session_state["halted"] = None


# What is shown


def frames(steps: Sequence[journeys.Step]) -> list[Frame]:
    """Return the steps as frames of the film strip."""
    return [
        Frame(
            title=step.formula,
            tag=step.label,
            picture=picture.picture(step.scene, PICTURE) if step.scene else "",
            lights=[(light.answer, light.word) for light in step.lights],
            note="\n".join(f"{journeys.LIGHTS[light.name]}: {light.reason}" for light in step.lights),
            faded=not step.kept,
        )
        for step in steps
    ]


_COLORS = {"yes": "green", "undecided": "orange", "no": "red"}
_MARKS = {"yes": "✓", "undecided": "?", "no": "✕"}


def lights(step: journeys.Step) -> None:
    """Say for each light what it says and why."""
    lines = []
    for light in step.lights:
        badge = f":{_COLORS[light.answer]}-badge[{_MARKS[light.answer]} {plain(light.word)}]"
        lines.append(f"**{journeys.LIGHTS[light.name]}** {badge} :small[{plain(light.reason)}]")
    st.markdown("  \n".join(lines))


def tally(steps: Sequence[journeys.Step], n_steps: int, noun: str) -> str:
    """Say in one line how the steps so far were judged, with all of them in every count."""
    parts = []
    for row in journeys.tally(steps).itertuples(index=False):
        other = "not known" if row.light == "known" else "undecided"
        undecided = f" ({row.undecided} {other})" if row.undecided else ""
        parts.append(f"{_COUNTED[row.light]} **{row.yes}**{undecided}")
    so_far = f"{len(steps)} of {n_steps}" if len(steps) < n_steps else f"{n_steps}"
    return f"Of **{so_far}** {noun}: " + " · ".join(parts)


_COUNTED = {
    "decodes": "decode",
    "distances": "sound distances",
    "neutral": "neutral",
    "charge": "charge-balanced",
    "known": "known",
    "data": "in the data",
    "returns": "return",
    "elements": "as asked",
}


def save_crystals(steps: Sequence[journeys.Step], file_name: str) -> None:
    """Offer the decoded crystals as an archive of CIF files."""
    crystals = journeys.structures_of(steps)
    if crystals:
        st.download_button(
            f"Save {len(crystals)} CIF",
            partial(cif_archive, crystals),
            file_name,
            "application/zip",
            on_click="ignore",
            icon=":material/download:",
        )


def table(steps: Sequence[journeys.Step]) -> None:
    """List the steps with units."""
    shown = journeys.table(steps)
    columns: list[Column] = journeys.titles(list(shown))
    st.dataframe(
        shown,
        hide_index=True,
        height=min(38 + 35 * len(shown), 500),
        column_config={
            each.name: (
                st.column_config.TextColumn(each.title)
                if each.is_category
                else st.column_config.NumberColumn(each.title, format="%.4g")
            )
            for each in columns
        },
        alt=f"Table of {len(shown)} steps",
    )


def same_in_python(journey: Journey, example: tuple[str, str]) -> str:
    """Return the Python that goes this journey; the example's where no waypoint has been chosen."""
    keys = journey.keys or example
    places = f"[journeys.waypoint(space, key) for key in {list(keys)!r}]"
    if journey.mode == "Path":
        way = f"journeys.path(space, {places}, n_steps={journey.n_steps}, kind={journey.kind!r})"
        if len(keys) < 2:
            way = way.replace(f"{list(keys)!r}", f"{list(example)!r}")
    elif journey.mode == "Arithmetic":
        three = [*keys, *example, *example][:3]
        places = f"*(journeys.waypoint(space, key) for key in {three!r})"
        way = f"journeys.arithmetic(space, {places}, n_steps={journey.n_steps})"
    elif journey.mode == "Axis":
        way = (
            f"journeys.axis(\n    space, journeys.waypoint(space, {keys[-1]!r}), number={journey.axis},"
            f" n_steps={journey.n_steps}, reach={journey.reach}, kind={journey.axis_kind!r}\n)"
        )
    else:
        centers = {
            "waypoints": f"space.z[[journeys.waypoint(space, key).row for key in {list(keys)!r}]]",
            "lasso": f"space.z[{list(journey.rows)!r}]",
            "prior": "None",
        }[journey.around]
        way = (
            f"journeys.samples(\n    space, {centers},\n    n_samples={journey.n_steps}, width={journey.width},"
            f" seed={journey.seed}, wanted={dict(journey.wanted)!r},\n)"
        )
    models = [each.name for each in _property_models(journey.model)]
    return f"""
from matgen_core import checkpoint
from matgen_core.latent import LatentMap
from matgen_core.tasks import journeys

space = LatentMap(checkpoint.load({journey.model!r}))
route = {way}
properties = [checkpoint.load(name) for name in {models!r}]
steps = journeys.walk(space, route, properties, elements={journey.elements!r})
print(journeys.table(list(steps)).to_string())
"""
