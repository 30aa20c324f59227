"""A film strip: the steps of a journey as still pictures with lights, one of them chosen.

A click, the arrow keys, Home and End choose a frame; Space plays the frames one after the other. Frames that are still
to come keep their place. The browser keeps the position and the page follows it. "Present" shows the same frames one a
screen, for a projector: without a run of the page, and without anything that is fetched.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import streamlit as st

from pages._parts.components.registration import registered


@dataclass(frozen=True)
class Frame:
    """One frame.

    Attributes:
        title: What the step decodes to, "" for nothing.
        tag: What the step is, as the name of a waypoint.
        picture: A stand-alone SVG, or "" where there is nothing to draw.
        lights: What a light is about, its answer ("yes", "undecided", "no"), the word that says it, the
            reason, and the word as it stands beside what the light is about.
        verdict: A sentence on all lights.
        about: A line on the material, such as its space group.
        faded: Whether it was rejected.
    """

    title: str
    tag: str
    picture: str
    lights: Sequence[tuple[str, str, str, str, str]]
    verdict: str = ""
    about: str = ""
    faded: bool = False


@dataclass(frozen=True)
class Talk:
    """What a presentation says before and after the frames.

    Attributes:
        title: Of the journey.
        lead: What the frames are, in a sentence.
        summary: Lines on all steps, as far as they are there.
        closing: What must not be concluded.
        sketch: Where the steps lie, as `views.maps.journey.sketch` gives it.
    """

    title: str
    lead: str
    summary: Sequence[str]
    closing: str
    sketch: Mapping[str, Any]


def film_strip(
    frames: Sequence[Frame],
    n_frames: int,
    chosen: int,
    talk: Talk,
    *,
    walk: str,
    key: str,
    on_choose: Callable[[int], None],
) -> None:
    """Show the frames so far and report which one the visitor chooses.

    Args:
        frames: The first of `n_frames` frames.
        n_frames: How many there will be.
        chosen: The frame that is looked at.
        talk: What a presentation adds.
        walk: Names the journey: another one begins at the frame that is given, whatever the browser had.
        key: Names the strip on its page.
        on_choose: Called with the number of a frame, before the page runs again.
    """

    def handler() -> None:
        number = st.session_state[key]["chosen"]
        if isinstance(number, int) and 0 <= number < n_frames:
            on_choose(number)

    registered("film_strip", '<div class="fs"></div>')(
        key=key,
        data={
            "frames": [asdict(frame) for frame in frames],
            "total": n_frames,
            "chosen": chosen,
            "talk": asdict(talk),
            "walk": walk,
        },
        on_chosen_change=handler,
    )
