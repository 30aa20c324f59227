"""Crystals: let a generator make crystals, see them small, look at one, and send them on to be judged."""

import streamlit as st

from matgen_core.checkpoint import CheckpointError
from matgen_core.materials.levels import CRYSTAL
from matgen_core.tasks.crystals.sampling import Asked
from pages._parts.crystals import asking, making, results
from pages._parts.shared import job_words, login, plain_text, widgets
from pages._parts.shared.plain_text import plain
from pages._parts.words import glossary

login.require()

POLL = 0.4  # s between two looks at samples under way
FEW = 8  # samples shown while they arrive


def status(shown: Asked) -> None:
    """How far it is, and what has arrived; while it goes on, this alone is drawn again and again."""
    work = making.under_way(shown)
    standing, made = work.job.status(), work.steps
    if was_under_way and standing.is_over:
        st.rerun()  # the whole page once more, and then no more looks
    if standing.state == "failed":
        plain_text.error(job_words.line(standing))
    if standing.state == "stopped":
        with st.container(horizontal=True, vertical_alignment="center"):
            st.badge(plain(job_words.line(standing)), color="orange")
            st.button("Go on", icon=":material/play_arrow:", on_click=making.go_on)
    if standing.is_over:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        with st.container(width="stretch"):
            words = job_words.line(standing, f"{len(made)} of {shown.n} samples of {shown.model}")
            st.progress(len(made) / shown.n, plain(words))
        st.button("Cancel", icon=":material/stop:", on_click=making.halt, args=(shown,))
    if made:
        results.counts(made, shown)
        results.gallery(made[-FEW:], 4)


def nothing_yet(asked: Asked, is_refused: bool) -> None:
    """Say what the page does, and offer an example."""
    with st.container(border=True):
        st.markdown("**What you get**")
        st.markdown(
            "- **Every sample**, small: those that are no crystal keep their place, and count\n"
            "- **Lights**: distances, volume, charges, and whether a known crystal is the same\n"
            "- **One of them whole**: the crystal in 3D, cell, space group, density, each check with its reason\n"
            "- **On from there**: to the bench, to Validate, to Journeys, as files",
            help=glossary.help_on("sample", "novel", "neutral"),
        )
        st.button(
            f"Try with {asked.n} samples",
            icon=":material/science:",
            key="crystals_try",
            on_click=asking.generate,
            args=(asked,),
            disabled=is_refused,
        )


names = widgets.names_with("decode", CRYSTAL)
shown = problem = None
try:
    shown = asking.shown(names)
except (ValueError, CheckpointError) as error:
    problem = error
with st.container(horizontal=True, vertical_alignment="bottom"):
    st.title("Crystals", width="stretch")
    asked, refused = asking.ask(names)
widgets.about_model(asked.model)
asking.warnings(asked)
if problem is not None:
    plain_text.error(f"The address of this page cannot be used: {problem}")
if refused:
    plain_text.error(refused)
was_under_way = False
if shown is None:
    nothing_yet(asked, bool(refused))
else:
    if shown != asked:
        st.caption(f":material/info: What follows is of {plain(shown.title)}. Settings have changed: generate anew.")
    try:
        with st.spinner("Making the first samples …"):
            work = making.under_way(shown)
    except CheckpointError as error:
        plain_text.error(error)
        st.stop()
    was_under_way = not work.job.is_over
    st.fragment(status, run_every=POLL if was_under_way else None)(shown)
    if not was_under_way and (made := work.steps):
        results.show(made, shown)
widgets.same_in_python(
    f"""
from matgen_core import checkpoint
from matgen_core.tasks.crystals import sampling

asked = sampling.{(shown or asked)!r}
made = list(sampling.samples(checkpoint.load(asked.model), asked))
print(sampling.table(made, asked).to_string())
"""
)
