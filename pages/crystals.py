"""Crystals: let a generator make crystals, or translate two into others; see them small, look at one, send them on."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from matgen_core.checkpoint import CheckpointError
from matgen_core.materials.levels import CRYSTAL
from matgen_core.tasks.crystals.sampling import Asked
from matgen_core.tasks.crystals.translated import Pair
from pages._parts.crystals import asking, making, results, translating
from pages._parts.shared import job_words, login, plain_text, widgets
from pages._parts.shared.plain_text import plain
from pages._parts.words import glossary

login.require()

POLL = 0.4  # s between two looks at samples under way
FEW = 8  # samples shown while they arrive
GENERATE, TRANSLATE = "Generate", "Translate"


def status(shown: Asked | Pair, *given: Any) -> None:
    """How far it is, and what has arrived; while it goes on, this alone is drawn again and again."""
    work = making.under_way(shown, *given)
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


def asked_before(read: Callable[[list[str]], Any], names: list[str]) -> tuple[Any, str]:
    """Return what is shown, and why what the address asks for cannot be."""
    try:
        return read(names), ""
    except (ValueError, CheckpointError) as error:
        return None, f"The address of this page cannot be used: {error}"


translators = widgets.names_with("translate", CRYSTAL)
names = sorted(widgets.names_with("decode", CRYSTAL), key=translators.__contains__)  # they draw for one pair alone
given: tuple[Any, ...] = ()
refused = ""
asked: Asked | Pair
with st.container(horizontal=True, vertical_alignment="bottom"):
    st.title("Crystals", width="content" if translators else "stretch")
    way = GENERATE
    if translators:
        usual = TRANSLATE if translating.PAIR in st.query_params else GENERATE
        with st.container(width="stretch"):
            way = widgets.one_of(
                "What to do",
                [GENERATE, TRANSLATE],
                usual,
                "crystals_way",
                label_visibility="collapsed",
                width="content",
            )
    if way == GENERATE:
        shown, problem = asked_before(asking.shown, names)
        asked, refused = asking.ask(names)
    else:
        shown, problem = asked_before(translating.shown, translators)
        asked = translating.ask(translators)
widgets.about_model(asked.model)
if isinstance(asked, Asked):
    asking.warnings(asked)
for line in filter(None, (problem, refused)):
    plain_text.error(line)
was_under_way = False
if shown is None and isinstance(asked, Asked):
    nothing_yet(asked, bool(refused))
elif shown is None:
    translating.about(asked.model)
else:
    if shown != asked:
        st.caption(f":material/info: What follows is of {plain(shown.title)}. Settings have changed: begin anew.")
    try:
        if isinstance(shown, Pair):
            there = translating.hydrides(shown.model)
            translating.way(shown, there)
            given = there[shown.first], there[shown.second]
        with st.spinner("Making the first samples …"):
            work = making.under_way(shown, *given)
    except (ValueError, CheckpointError) as error:
        plain_text.error(error)
        st.stop()
    was_under_way = not work.job.is_over
    st.fragment(status, run_every=POLL if was_under_way else None)(shown, *given)
    if not was_under_way and (made := work.steps):
        results.show(made, shown)
current = shown or asked
widgets.same_in_python(
    asking.same_in_python(current) if isinstance(current, Asked) else translating.same_in_python(current)
)
