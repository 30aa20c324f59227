"""What is told of a journey: frames, lights, counts, a presentation, files, and the same in Python."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import streamlit as st

from matgen_core.data import StructureFile
from matgen_core.data.structure_export import cif_archive
from matgen_core.materials.formulas import subscripted
from matgen_core.materials.properties import Column
from matgen_core.tasks import journeys
from matgen_core.tasks.origin import checkpoint_version
from pages._parts.components.film_strip import Frame, Talk
from pages._parts.journeys import journey_state
from pages._parts.journeys.journey_state import Journey
from pages._parts.shared import bench_crystals, latent_maps
from pages._parts.shared.plain_text import plain

NO_PROOF = "No light says that a material is stable or can be made."


def frames(steps: Sequence[journeys.Step]) -> list[Frame]:
    """Return the steps as frames of the film strip."""
    return [
        Frame(
            title=step.formula,
            tag=with_subscripts(step.label),
            picture=step.picture,
            lights=[
                (journeys.LIGHTS[light.name], light.answer, light.word, light.reason, light.beside_title)
                for light in step.lights
            ],
            verdict=journeys.verdict(step),
            about=step.space_group,
            faded=not step.kept,
        )
        for step in steps
    ]


def with_subscripts(text: str) -> str:
    """Write the formulas in a text with their numbers below the line; other numbers stay."""
    return re.sub(r"(?<=[A-Za-z)])\d+", lambda number: subscripted(number[0]), text)


def talk(journey: Journey, steps: Sequence[journeys.Step], projection: str) -> Talk:
    """Return what a presentation of a journey says before and after its steps."""
    n_steps, noun = len(journey_state.route(journey)), "samples" if journey.mode == "Samples" else "steps"
    counted = [(_COUNTED[row.light], row.yes) for row in journeys.tally(steps).itertuples(index=False)]
    return Talk(
        title=_title(journey),
        lead=f"{n_steps} {noun} through the latent space of {journey.model}. Each is a point that the model decodes.",
        summary=[f"{yes} of {len(steps)} {words}" for words, yes in counted],
        closing=NO_PROOF,
        sketch=journey_state.sketched(journey, projection),
    )


def _waypoints(journey: Journey) -> list[journeys.Waypoint]:
    space = latent_maps.load_map(journey.model)
    return [journeys.waypoint(space, key) for key in journey.keys]


def _title(journey: Journey) -> str:
    names = [with_subscripts(pin.name) for pin in _waypoints(journey)]
    if journey.mode == "Path":
        spread = f", spread {journey.spread:g}" if journey.spread else ""
        return f"{names[0]} to {names[-1]}{spread}"
    if journey.mode == "Arithmetic":
        return "{} − {} + {}".format(*names)  # noqa: RUF001
    if journey.mode == "Axis":
        return f"Along {journey.axis_kind} axis {journey.axis + 1} through {names[0]}".replace(
            "coordinate axis", "axis"
        )
    around = {"waypoints": ", ".join(names), "lasso": f"{len(journey.rows)} known materials", "prior": "the prior"}
    return f"Samples around {around[journey.around]}"


_COLORS = {"yes": "green", "undecided": "orange", "no": "red"}
_MARKS = {"yes": "✓", "undecided": "?", "no": "✕"}


def lights(step: journeys.Step) -> None:
    """Say for each light what it says and why."""
    lines = []
    for light in step.lights:
        badge = f":{_COLORS[light.answer]}-badge[{_MARKS[light.answer]} {plain(light.beside_title)}".rstrip() + "]"
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
    "ends": "elements of the ends",
    "volume": "volume fits",
    "neutral": "neutral",
    "charge": "charge-balanced",
    "known": "known",
    "data": "near the data",
    "returns": "return",
    "elements": "as asked",
}


def settings(journey: Journey) -> dict[str, Any]:
    """Return all that was asked for, as a file holds it."""
    return {name: value for name, value in asdict(journey).items() if name != "model" and value not in ((), "")}


def origin(journey: Journey) -> str:
    """Say in a line what made the crystals of a journey, for whoever is given a file of one."""
    return f"{checkpoint_version(journey.model)}; {json.dumps(settings(journey), ensure_ascii=False)}"


def save_crystals(journey: Journey, steps: Sequence[journeys.Step], file_name: str) -> None:
    """Offer the decoded crystals as an archive of CIF files, and to Validate."""
    crystals = journeys.structures_of(steps)
    if crystals:
        st.download_button(
            f"Save {len(crystals)} CIF",
            partial(cif_archive, crystals, origin(journey)),
            file_name,
            "application/zip",
            on_click="ignore",
            icon=":material/download:",
        )
        files = [StructureFile(name, name, structure) for name, structure in crystals]
        bench_crystals.send_to_validate(files, f"Journeys: {_title(journey)}", "journeys_validate")


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
        spread = f", spread={journey.spread}, seed={journey.seed}" if journey.spread else ""
        way = f"journeys.path(space, {places}, n_steps={journey.n_steps}, kind={journey.kind!r}{spread})"
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
    models = [each.name for each in journey_state.property_models(journey.model)]
    return f"""
from matgen_core import checkpoint
from matgen_core.latent import LatentMap
from matgen_core.tasks import journeys
from matgen_core.tasks.origin import checkpoint_version

space = LatentMap(checkpoint.load({journey.model!r}))
route = {way}
properties = [checkpoint.load(name) for name in {models!r}]
steps = journeys.walk(space, route, properties, elements={journey.elements!r})
print(journeys.table(list(steps)).to_string())
"""
