"""Samples that arrive beside the page: each is computed once, for all visitors, and drawn where nobody waits."""

from collections.abc import Iterator
from dataclasses import replace

import streamlit as st

from matgen_core.jobs.recording import Recording, SharedSteps, follow
from matgen_core.jobs.turns import Turns
from matgen_core.tasks.crystals import sampling
from matgen_core.tasks.crystals.sampling import Asked, Sample
from matgen_core.views.crystals import picture
from matgen_core.views.crystals.scene import drawable_scene
from pages._parts.crystals.asking import HALTED
from pages._parts.crystals.cards import PICTURE
from pages._parts.shared import widgets
from pages._parts.shared.folder_caches import by_folder

_PATIENCE = 1.0  # s that a page waits for the first sample before it is drawn without


def _of_model(asked: Asked) -> list[str]:
    return [asked.model]


@by_folder(st.cache_resource, about=_of_model, max_entries=16, show_spinner=False)
def _shared(asked: Asked) -> SharedSteps[Sample]:
    """Return the samples, for all visitors: who asks first computes them."""
    return SharedSteps(_drawn(sampling.samples(widgets.read(asked.model), asked)), asked.n)


@by_folder(
    st.cache_resource,
    about=_of_model,
    scope="session",
    max_entries=4,
    on_release=Recording.stop,
    show_spinner=False,
)
def recording(asked: Asked) -> Recording[Sample]:
    """Return the samples as they arrive for this visitor once they are asked for."""
    shared = _shared(asked)
    # What another visitor has computed waits in no line.
    return Recording(shared, asked.n, Turns(1)) if shared.is_whole else Recording(shared, asked.n)


def _drawn(samples: Iterator[Sample]) -> Iterator[Sample]:
    for each in samples:
        scene = drawable_scene(each.structure)
        yield replace(each, picture=picture.picture(scene, PICTURE) if scene else "")


def under_way(asked: Asked) -> Recording[Sample]:
    """Return the samples and see that they arrive, unless the visitor has stopped them."""
    current = recording(asked)
    before, st.session_state["crystals_recorded"] = st.session_state.get("crystals_recorded"), current
    follow(current, before, st.session_state.get(HALTED) == asked, _PATIENCE)
    return current


@widgets.while_it_is_there
def halt(asked: Asked) -> None:
    """Stop; what has arrived stays."""
    st.session_state[HALTED] = asked
    recording(asked).stop()


def go_on() -> None:
    """Let what was stopped go on."""
    st.session_state[HALTED] = None
