"""Samples that arrive beside the page: each is computed once, for all visitors, and drawn where nobody waits."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import streamlit as st

from matgen_core.jobs.recording import Recording, SharedSteps, follow
from matgen_core.jobs.turns import Turns
from matgen_core.tasks.crystals import sampling, translated
from matgen_core.tasks.crystals.sampling import Asked, Sample
from matgen_core.tasks.crystals.translated import Pair
from matgen_core.views.crystals import picture
from matgen_core.views.crystals.scene import drawable_scene
from pages._parts.crystals.asking import HALTED
from pages._parts.crystals.cards import PICTURE
from pages._parts.shared import widgets
from pages._parts.shared.folder_caches import by_folder

_PATIENCE = 1.0  # s that a page waits for the first sample before it is drawn without


def _of_model(asked: Asked | Pair, *rest: Any) -> list[str]:
    return [asked.model]


@by_folder(st.cache_resource, about=_of_model, max_entries=16, show_spinner=False)
def _shared(asked: Asked | Pair, _given: tuple[Any, ...]) -> SharedSteps[Sample]:
    """Return the samples, for all visitors: who asks first computes them."""
    model = widgets.read(asked.model)
    found = sampling.samples(model, asked) if isinstance(asked, Asked) else translated.samples(model, asked, *_given)
    return SharedSteps(map(drawn, found), asked.n)


@by_folder(
    st.cache_resource,
    about=_of_model,
    scope="session",
    max_entries=4,
    on_release=Recording.stop,
    show_spinner=False,
)
def _recording(asked: Asked | Pair, _given: tuple[Any, ...]) -> Recording[Sample]:
    shared = _shared(asked, _given)
    # What another visitor has computed waits in no line.
    return Recording(shared, asked.n, Turns(1)) if shared.is_whole else Recording(shared, asked.n)


def drawn(sample: Sample) -> Sample:
    """Return a sample with its picture."""
    scene = drawable_scene(sample.structure)
    return replace(sample, picture=picture.picture(scene, PICTURE) if scene else "")


def under_way(asked: Asked | Pair, *given: Any) -> Recording[Sample]:
    """Return the samples and see that they arrive, unless the visitor has stopped them.

    Args:
        asked: What is asked for.
        given: The crystals that it is about, of a translation.
    """
    current = _recording(asked, given)
    before, st.session_state["crystals_recorded"] = st.session_state.get("crystals_recorded"), current
    follow(current, before, st.session_state.get(HALTED) == asked, _PATIENCE)
    return current


def halt(asked: Asked | Pair) -> None:
    """Let what is asked for stop at the next look; what has arrived stays."""
    st.session_state[HALTED] = asked


def go_on() -> None:
    """Let what was stopped go on."""
    st.session_state[HALTED] = None


@by_folder(st.cache_resource, about=_of_model, max_entries=16, show_spinner="Walking from one to the other …")
def way(asked: Pair, _first: Any, _second: Any) -> list[tuple[str, Sample]]:
    """Return the crystals on the way between two hydrides, each with what it is; errors as in `translated.way`."""
    steps: Iterator[tuple[str, Sample]] = iter(translated.way(widgets.read(asked.model), asked, _first, _second))
    return [(told, drawn(each)) for told, each in steps]
