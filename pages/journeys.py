"""Journeys: walk through a latent space, and see at each step what it decodes to and how far it can be trusted."""

from dataclasses import replace
from functools import partial

import streamlit as st

from matgen_core.jobs.job import Status
from matgen_core.latent.index import faithfulness_column
from matgen_core.materials.levels import COMPOSITION, CRYSTAL, PHASE_FIELD
from matgen_core.tasks import journeys
from matgen_core.views import charts
from matgen_core.views.maps.events import MapEvents
from matgen_core.views.maps.journey import Overlay, waypoint_pins
from matgen_core.views.maps.scene import MapScene
from pages._parts.components.crystal_viewer import crystal_viewer
from pages._parts.components.film_strip import film_strip
from pages._parts.journeys import journey_state, telling
from pages._parts.journeys.journey_state import Around, AxisKind, Journey, Mode
from pages._parts.latent_map import map_state
from pages._parts.shared import job_words, latent_maps, login, plain_text, widgets
from pages._parts.shared.plain_text import plain

login.require()

AXES: dict[AxisKind, str] = {"principal": "Principal axis", "coordinate": "Coordinate"}
FILM, DETAILS = "film", "details"  # fragments
LOW, HIGH = 300, 600  # px; a low map and crystal share a small screen with the strip
POLL = 0.4  # s between two looks at a journey under way
WANTED: dict[Mode, str] = {
    "Path": "Waypoints, in order",
    "Arithmetic": "A, B and C of A − B + C",  # noqa: RUF001
    "Axis": "Around",
    "Samples": "Around",
}
NEEDED: dict[Mode, int] = {"Path": 2, "Arithmetic": 3, "Axis": 1, "Samples": 1}


@widgets.while_it_is_there
def forget_strangers() -> None:
    """Drop waypoints that the model that was just chosen does not know."""
    journey_state.forget_unknown(st.session_state["journey"])


def choose_waypoints() -> None:
    """Take over what stands in the list of waypoints, or was typed there."""
    journey_state.set_waypoints([journey_state.key_of(name, text) for text in st.session_state["waypoints"]])


def look_at(number: int) -> None:
    """Look at a step everywhere."""
    st.session_state["step"] = str(number + 1)
    st.rerun([FILM, DETAILS])


def lasso_rows() -> tuple[int, ...]:
    """Return the materials with a latent point that a lasso on a map of this model has chosen."""
    chosen = map_state.selected(name)
    return () if chosen is None else tuple((chosen.mask & space.has_point).nonzero()[0].tolist())


@widgets.while_it_is_there
def on_event(events: MapEvents, marker_steps: tuple[int, ...], first: int) -> None:
    """Take up what the visitor did on the map."""
    if events.lasso is not None:
        map_state.extend_selection(name, projection, events.lasso)
        st.rerun()
    if events.step is not None:
        look_at(first + events.step[1])
    if events.marker is not None and marker_steps:
        look_at(marker_steps[events.marker])
    if events.clicked is not None and not latent_maps.has_point(name, events.clicked):
        st.session_state["refused"] = f"{table['name'].iloc[events.clicked]}: {journey_state.NO_POINT}"
        st.rerun()
    if events.clicked is not None:
        journey_state.add_waypoint(name, table["key"].iloc[events.clicked], journey_state.MOST_WAYPOINTS[mode])
        st.rerun()


def options() -> Journey:
    """Show what can be chosen for this mode beside the waypoints, and return what is asked for."""
    begun = Journey(name, mode, tuple(via[-journey_state.MOST_WAYPOINTS[mode] :]))
    asked = {"Path": way, "Arithmetic": lambda each: each, "Axis": along_axis, "Samples": sampled}[mode](begun)
    if asked.kind == "known":
        return asked
    title = "Samples" if mode == "Samples" else "Steps"
    n_steps = widgets.whole_number(title, 2, 60, 12, f"n_{mode.lower()}", width=95)
    return replace(asked, n_steps=n_steps)


def way(journey: Journey) -> Journey:
    """Ask for the kind of a path."""
    kind = widgets.one_of(
        "Way",
        list(journeys.PATHS),
        "straight",
        "way",
        format_func=lambda each: f"{whose.capitalize()} {noun}" if each == "known" else journeys.PATHS[each],
        help=f"Along neighbors: the shortest way over {whose} {noun}, from each to one of those nearest to it in the"
        f" {space.measured_in}, in equal steps. {whose.capitalize()} {noun}: the stops of that way themselves.",
    )
    return replace(journey, kind=kind)


def spread_out(journey: Journey) -> Journey:
    """Ask how far the steps of a path are moved off it."""
    if journey.mode != "Path" or journey.kind == "known":
        return journey
    with st.popover("Spread", icon=":material/scatter_plot:"):
        spread = st.number_input(
            "Spread",
            0.0,
            2.0,
            0.0,
            0.05,
            key="spread",
            help="A standard deviation in each latent coordinate; the prior has about 1.",
            bind="query-params",
        )
        seed = widgets.whole_number("Seed", 0, 2**31 - 1, 0, "path_seed") if spread else 0
        st.caption(
            "Moves each step between waypoints off the way at random; 0 stays on it. Spherical with a spread is how"
            " Hoffmann et al. (2019) sampled between known compounds."
        )
    return replace(journey, spread=spread, seed=seed)


def along_axis(journey: Journey) -> Journey:
    """Ask for an axis and how far to follow it."""
    shares = journey_state.axis_shares(name)
    kind = widgets.one_of(
        "Axis",
        list(AXES),
        "principal",
        "axis",
        format_func=AXES.__getitem__,
        help=f"The first principal axis holds {shares[0]:.0%} of the variance of the {whose} {noun}, the second"
        f" {shares[1]:.0%}.",
    )
    number = widgets.whole_number("Number", 1, space.latent_dim, 1, "axis_number", width=120)
    reach = st.number_input(
        "Reach (±, in spreads)",
        0.5,
        10.0,
        2.0,
        0.5,
        key="reach",
        width=180,
        help=f"A spread is one standard deviation of the {whose} {noun} along the axis.",
        bind="query-params",
    )
    return replace(journey, axis_kind=kind, axis=number - 1, reach=reach)


def sampled(journey: Journey) -> Journey:
    """Ask for samples: around what, how wide, which elements, under which condition."""
    rows = lasso_rows()
    places: dict[Around, str] = {"waypoints": "Waypoints", "lasso": f"Lasso ({len(rows):,})", "prior": "Prior"}
    around = widgets.one_of(
        "Around",
        list(places),
        "waypoints",
        "around",
        format_func=places.__getitem__,
        help="The chosen materials, those in the lasso on the map, or anywhere as the model's prior has it.",
    )
    if around != "prior":
        width = st.number_input(
            "Width",
            0.01,
            2.0,
            0.2,
            0.05,
            key="width",
            width=120,
            help="Standard deviation in each latent coordinate; the prior has about 1.",
            bind="query-params",
        )
        journey = replace(journey, width=width)
    seed = widgets.whole_number("Seed", 0, 2**31 - 1, 0, "seed", width=120)
    elements = st.text_input(
        "Elements",
        key="elements",
        width=200,
        placeholder="has:O not:Pb",
        help="A sample that does not keep to this line is rejected, shown faded and counted.",
        bind="query-params",
    )
    return replace(
        journey,
        wanted=wishes(),
        keys=journey.keys if around == "waypoints" else (),
        rows=rows if around == "lasso" else (),
        around=around,
        seed=seed,
        elements=elements or "",
    )


def wishes() -> tuple[tuple[str, float], ...]:
    """Ask for the properties of samples, of a model that takes such wishes."""
    found = []
    for each in space.condition_properties:
        limits = space.condition_ranges.get(each)
        value = st.number_input(
            plain(journeys.property_title(each).title),
            value=None,
            step=1.0 if each == "volume_per_atom" else 0.1,
            key=each,
            width=215,
            placeholder="any",
            help=f"99 % of the training {noun} lie between {limits[1]:.3g} and {limits[2]:.3g}." if limits else None,
            bind="query-params",
        )
        if value is not None:
            found.append((each, value))
    return tuple(found)


def ways_to_begin() -> None:
    """Say what is missing, and offer an example."""
    missing = NEEDED[mode] - len(via)
    many = "one more place" if missing == 1 and via else "a place" if missing == 1 else f"{missing} places"
    way = "click on the map" if space.encodes else f"click on a {whose} point of the map"
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.markdown(f"**Choose {many}**: {way}, or search by name above.", width="content")
        if not via:
            example = journeys.example(space)
            names = " to ".join(journey_state.labels_of(name)(key).split(" · ")[0] for key in example)
            st.button(
                f"Try {plain(names)}", icon=":material/route:", on_click=journey_state.set_waypoints, args=(example,)
            )


controls = st.container(horizontal=True, vertical_alignment="bottom")
with controls:
    st.title("Journeys", width="content")
    with st.container(width=150):
        name = widgets.choose_checkpoint("Model", widgets.names_with_map(), key="journey", on_change=forget_strangers)
    mode: Mode = widgets.one_of(
        "Journey", list(NEEDED), "Path", "mode", width="content", on_change=journey_state.change_kind
    )
space = latent_maps.load_map(name)
table = latent_maps.map_table(name)
keys, noun, level = tuple(table["key"][space.has_point]), latent_maps.noun(name), latent_maps.level(name)
whose = "known" if space.encodes else "generated"
projection = space.projections[0]
via = journey_state.waypoints()
journey_state.begin_kind(mode)
with controls:
    asked = options()
journey_state.keep_settings(mode, space.condition_properties)

if asked.around == "waypoints":
    st.session_state["waypoints"] = via[-journey_state.MOST_WAYPOINTS[mode] :]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.multiselect(
            WANTED[mode],
            [*keys, *(key for key in via if latent_maps.row_of(name, key) is None)],
            format_func=journey_state.labels_of(name),
            key="waypoints",
            on_change=choose_waypoints,
            max_selections=journey_state.MOST_WAYPOINTS[mode],
            accept_new_options=True,
            filter_mode="contains",
            placeholder=f"{WANTED[mode]}: type a formula, in any order, or an id; {len(keys):,} {whose} {noun}",
            label_visibility="collapsed",
        )
        st.button(
            "Reverse",
            icon=":material/swap_horiz:",
            on_click=journey_state.set_waypoints,
            args=(via[::-1],),
            disabled=len(via) < 2 or mode == "Axis",
        )
        asked = spread_out(asked)

if about := latent_maps.without_encoder(name):
    jumps = " A small step in them can change the whole formula." if level is COMPOSITION else ""
    kept = " A walk keeps the composition of its start." if space.takes_composition else ""
    st.info(f"{about}{jumps}{kept}", icon=":material/info:")
if refused := st.session_state.pop("refused", ""):
    plain_text.toast(refused)
for line in space.far_from_training(dict(asked.wanted)):
    plain_text.warning(f"{line.replace('_', ' ')}: it is asked for, and the model has hardly seen the like.")
route, pins = None, journey_state.pins(asked)
if len(pins) < len(asked.keys):
    pass  # a line says which of them are not here
elif asked.around != "waypoints" or len(pins) >= NEEDED[mode]:
    try:
        with st.spinner("Reading the model and laying out the journey …"):
            journey_state.recording(asked)
            route = journey_state.route(asked)
    except ValueError as error:
        plain_text.error(error)
else:
    ways_to_begin()
    journey_state.warm(name)


def film() -> None:
    """The steps as they arrive, and how they were judged; while they do, this alone is drawn again and again."""
    if route is None:
        return
    walk = journey_state.under_way(asked)
    standing, steps = walk.job.status(), walk.steps
    if was_under_way and standing.is_over:
        st.rerun()  # the whole page once more, and then no more looks
    if st.session_state.get("awaited_step", len(steps)) < len(steps):
        del st.session_state["awaited_step"]
        st.rerun()  # the details beside the film wait for this step
    film_strip(
        telling.frames(steps),
        len(route),
        journey_state.looked_at(asked, len(route)),
        telling.talk(asked, steps, projection),
        walk=journey_state.name_of(asked),
        key="strip",
        on_choose=look_at,
    )
    if standing.state != "done":
        status(steps, standing, len(route))


@st.fragment(key=DETAILS)
def details() -> None:
    """The map, what is said of the step that is looked at, and what comes of them all."""
    if route is None:
        left, right = st.columns([6, 5], gap="medium")
        with left:
            draw_map(waypoint_pins(space, pins, projection), 0)
        with right, st.container(border=True):
            about_lights()
        return
    walk = journey_state.under_way(asked)
    steps, current = walk.steps, journey_state.looked_at(asked, len(route))
    drawn = level is CRYSTAL
    places = st.columns([4, 4, 3] if drawn else [3, 2], gap="small")
    with places[0]:
        draw_map(journey_state.overlay(asked, projection, current), route.walked_from or 0)
    if current >= len(steps):
        st.session_state["awaited_step"] = current
        places[-1].caption(f"Step {current + 1} is on its way.")
    else:
        if (scene := steps[current].scene) is not None:
            with places[1]:
                crystal_viewer([scene], key="journey_crystal", height=LOW, origin=telling.origin(asked))
        with places[-1]:
            step_card(steps[current])
    if not walk.job.is_over:
        st.caption("The curve, the table and the files follow with the last step.")
    elif steps:
        if walk.job.state == "done":
            st.markdown(telling.tally(steps, len(route), counted()))
        curve(steps, route, current)
        results(steps)


ABOUT = {
    PHASE_FIELD: [],
    COMPOSITION: [
        "- **Neutrality**: whether oxidation states can add up to zero; undecided for metals",
        "- **Charge balance**: whether they also can with every anion more electronegative than any cation",
        "- **Known formula**: whether the model learned from it; a new one is no discovery yet",
    ],
    CRYSTAL: [
        "- **Distances**: the shortest distance between atoms, in Å",
        "- **Charge balance**: whether oxidation states can balance; undecided for metals",
    ],
}


ABOUT_ENDS = [
    "- **Elements**: whether it has elements of neither end of its way",
    "- **Volume**: how far the volume of an atom is off the line between the ends",
]


def about_lights() -> None:
    """Say what will be told of each step."""
    st.markdown("**What each step will tell**")
    st.markdown(
        "\n".join(
            [
                "- **Decodes**: whether the latent point is a material at all",
                *ABOUT[level],
                *(ABOUT_ENDS if level is CRYSTAL and mode == "Path" else []),
                f"- **Distance to the data**: in the {space.measured_in}, beside the data's own distances",
                *(["- **Round trip**: whether it comes back when it is encoded and decoded again"] * space.encodes),
            ]
        )
    )
    st.caption(telling.NO_PROOF)


def counted() -> str:
    """Name what is counted."""
    return "samples" if mode == "Samples" else "steps"


def status(steps: list[journeys.Step], standing: Status, n_steps: int) -> None:
    """Say how far the journey is and how its steps were judged."""
    with st.container(horizontal=True, vertical_alignment="center"):
        none = "" if standing.state == "failed" else "Decoding the first …"
        with st.container(width="stretch"):  # so that a long line leaves room beside it
            st.markdown(telling.tally(steps, n_steps, counted()) if steps else none)
        words = job_words.line(standing, f"decoding {len(steps) + 1} of {n_steps}")
        if not standing.is_over:
            st.badge(plain(words), icon=":material/progress_activity:", color="blue")
            st.button("Stop", icon=":material/stop:", on_click=journey_state.halt, args=(asked,))
        elif standing.state == "stopped":
            st.badge(plain(words), color="orange")
            st.button("Go on", icon=":material/play_arrow:", on_click=journey_state.go_on)
    if standing.state == "failed":
        plain_text.error(words)


def draw_map(drawn: Overlay, first: int) -> None:
    """Draw the journey on the map; a click on a known material takes it along."""
    columns = {column.name: column for column in latent_maps.map_table_columns(name)}
    color = columns.get(latent_maps.telling_column(name, ""), faithfulness_column(projection))
    latent_maps.map_chart(
        MapScene(
            latent_maps.point_cloud(name, projection),
            coloring=latent_maps.coloring(name, color, ""),
            hover=latent_maps.hover(name),
            paths=drawn.paths,
            markers=drawn.markers,
            labels=drawn.labels,
            axis_labels=latent_maps.axis_labels(name, projection),
            title=f"Journey through {name}",
            noun=noun,
        ),
        key=f"journey_map_{name}",
        height=HIGH if route is None else LOW,
        on_event=partial(on_event, marker_steps=drawn.marker_steps, first=first),
    )
    st.caption(
        f"A click on one of the {len(keys):,} {whose} {noun} takes it along. Steps between them are placed by their"
        " true neighbors; a hollow step lies farther from the data than 95 % of the data from each other."
    )


def step_card(step: journeys.Step) -> None:
    """Show one step: the crystal in 3D, its lights with reasons, what is predicted."""
    st.subheader(f"{step.number + 1} · {plain(telling.with_subscripts(step.formula)) or 'no material'}")
    nearest = telling.with_subscripts(step.nearest)
    about = [telling.with_subscripts(step.label), step.space_group, f"nearest known: {nearest}"]
    st.caption(" · ".join(plain(text) for text in about if text))
    telling.lights(step)
    lines = journeys.property_lines(step)
    if lines:
        st.markdown(" · ".join(f"{plain(label)} **{value}** {plain(unit)}".strip() for label, value, unit in lines))


def curve(steps: list[journeys.Step], route: journeys.Route, current: int) -> None:
    """Draw a predicted property along the journey over the distance to the data."""
    properties = {column.name: column for column in journeys.properties_of(steps)}
    shown = None
    if properties:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            chosen = st.selectbox(
                "Property",
                list(properties),
                format_func=lambda each: properties[each].title,
                key="property",
                width=330,
                disabled=len(properties) == 1,
            )
        shown = (chosen, properties[chosen].title)
    widgets.chart(
        charts.journey(journeys.table(steps), shown, len(route), journeys.EDGE, route.walked_from, current),
        "curve",
        "Predicted property and distance to the data over the steps",
    )


def results(steps: list[journeys.Step]) -> None:
    """Offer the steps as a table and as files."""
    with st.container(horizontal=True, vertical_alignment="center"):
        models = [name, *(each.name for each in journey_state.property_models(name) if each.name != name)]
        widgets.download(journeys.table(steps), "journey.csv", models=models, settings=telling.settings(asked))
        telling.save_crystals(asked, steps, "journey.zip")
    with st.expander(f"All {len(steps)} steps as a table", icon=":material/table:"):
        telling.table(steps)


was_under_way = False
if route is not None:
    with st.spinner("Decoding the first step …"):
        was_under_way = not journey_state.under_way(asked).job.is_over
st.fragment(film, key=FILM, run_every=POLL if was_under_way else None)()
details()
widgets.same_in_python(telling.same_in_python(asked, journeys.example(space)))
