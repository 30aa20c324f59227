"""A film strip: the steps of a journey as still pictures with lights, one of them chosen.

A click, the arrow keys, Home and End choose a frame. Frames that are still to come keep their place.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import streamlit as st

from pages._parts.components.registration import registered


@dataclass(frozen=True)
class Frame:
    """One frame.

    Attributes:
        title: What the step decodes to, "" for nothing.
        tag: What the step is, as the name of a waypoint.
        picture: A stand-alone SVG, or "" where there is nothing to draw.
        lights: Answer ("yes", "undecided", "no") and the word that says it, one a light.
        note: Read out and shown under the pointer, as the reasons in full.
        faded: Whether it was rejected.
    """

    title: str
    tag: str
    picture: str
    lights: Sequence[tuple[str, str]]
    note: str
    faded: bool = False


def film_strip(
    frames: Sequence[Frame], n_frames: int, chosen: int | None, *, key: str, on_choose: Callable[[int], None]
) -> None:
    """Show the frames so far and report which one the visitor chooses.

    Args:
        frames: The first of `n_frames` frames.
        n_frames: How many there will be.
        chosen: The frame that is looked at.
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
            "frames": [
                {
                    "title": frame.title,
                    "tag": frame.tag,
                    "picture": frame.picture,
                    "lights": [list(light) for light in frame.lights],
                    "note": frame.note,
                    "faded": frame.faded,
                }
                for frame in frames
            ],
            "total": n_frames,
            "chosen": chosen,
        },
        on_chosen_change=handler,
    )
