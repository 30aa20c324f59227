"""Validate: any crystals relaxed, held against the hull of known phases, told apart and counted, beside the page."""

import streamlit as st

from matgen_core import checkpoint
from matgen_core.tasks.validation import beside, sources, together
from matgen_core.tasks.validation.beside import Standing
from matgen_core.tasks.validation.scores import REFERENCES
from pages._parts.shared import login, plain_text, widgets
from pages._parts.shared.bench_crystals import VALIDATION
from pages._parts.shared.plain_text import plain
from pages._parts.validate import bringing, gallery, results, running
from pages._parts.words import glossary

login.require()

POLL = 1.0  # s between two looks at a work under way
FEW = 8  # crystals shown while it goes on


def badge(standing: Standing) -> None:
    """Say in a word how a work stands."""
    word, color, icon = running.BADGES[standing.state]
    st.badge(word, color=color, icon=f":material/{icon}:")


def what_comes_out() -> None:
    """Say what the page tells of each crystal, and offer an example."""
    with st.container(border=True):
        st.markdown("**What you get**")
        st.markdown(
            "- **Stable?** Each crystal is relaxed and held against the hull of known phases, with how often such a"
            " prediction is true\n"
            "- **New?** Compared with the known crystals and with each other\n"
            "- **Sound?** Distances, volume, symmetry, charges, each with a reason\n"
            "- **How good is the generator?** Its S.U.N. beside all others here",
            help=glossary.help_on("sun", "hull", "potential", "relaxation"),
        )
        bringing.example(whose)


def works() -> None:
    """List the works of this visitor."""
    there = running.line().works(whose)
    if not there:
        return
    st.subheader("Your works")
    for standing in there:
        work = standing.work
        with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"work_{work.id}"):
            st.markdown(
                f"**{plain(work.title)}**  \n:small[:gray[{work.n_done:,} of {work.n:,} judged with"
                f" {plain(work.settings['potential'])}, asked for {beside.when(work)}]]",
                width="stretch",
            )
            badge(standing)
            if standing.state in ("interrupted", "stopped", "failed"):
                st.button(
                    "Go on",
                    key=f"go_on_{work.id}",
                    icon=":material/play_arrow:",
                    type="primary",
                    on_click=running.go_on,
                    args=(work.id, whose),
                )
            st.button("Open", key=f"open_{work.id}", on_click=running.look_at, args=(work.id,))
            st.button(
                "Remove",
                key=f"remove_{work.id}",
                icon=":material/delete:",
                on_click=running.remove,
                args=(work.id, whose),
                help="Forget it and what came of it",
            )
    st.caption(
        "They are kept on this machine, for this browser alone or, where one logs in, for you; nobody else sees them."
    )


def status() -> None:
    """How far the work is; while it goes on, this alone is drawn again and again."""
    now = running.line().look(opened, whose)
    if was_under_way and not now.is_under_way:
        st.rerun()  # the whole page once more, and then no more looks
    if now.state == "done":
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        if now.is_under_way:
            with st.container(width="stretch"):
                st.progress(now.work.n_done / now.work.n, plain(running.progress_line(now)))
            st.button("Cancel", icon=":material/stop:", on_click=running.stop, args=(opened, whose))
        else:
            st.markdown(f":material/info: {plain(running.left_over(now))}", width="stretch")
            st.button(
                "Go on",
                icon=":material/play_arrow:",
                type="primary",
                on_click=running.go_on,
                args=(opened, whose),
            )
    if now.state == "waiting":
        st.caption(f"{beside.AT_ONCE} work runs at a time here, for all visitors; this one begins in its turn.")
    elif now.is_under_way:
        st.caption("You may leave this page, or close it: the work goes on, and waits for you here.")
    so_far()


def so_far() -> None:
    """The crystals that are judged already, those nearest to the hull first."""
    table = together.table_alone(asked, running.line().rows(opened, whose, asked))
    judged = table[table["energy_above_hull"].notna()].sort_values("energy_above_hull")
    if judged.empty:
        return
    st.markdown(f"**Judged so far: {len(judged):,}** :small[the nearest to the hull first]")
    gallery.cards(asked, judged.head(FEW), 4)


top = st.container(horizontal=True, vertical_alignment="center")
top.title("Validate", width="content")
try:
    running.line()
except OSError as error:
    plain_text.error(f"Works cannot be kept here: {error}")
    st.stop()
whose = running.owner()
opened = widgets.remembered(VALIDATION)
first = None
if opened:
    try:
        first = running.line().look(opened, whose)
    except LookupError:
        plain_text.warning("This work is not here: it was removed, or it is somebody else's. Yours are listed below.")
        running.look_at("")
was_under_way = first is not None and first.is_under_way
if first is None:
    st.markdown(
        "Which crystals are stable, new and sound? Bring your own, or the samples of a generator: each is relaxed, and"
        " held against the known phases of its elements."
    )
    if REFERENCES not in checkpoint.names():
        st.info("The reference energies are not present. Make them with: `matgen train formation_references`")
    left, right = st.columns([7, 5], gap="medium")
    with left:
        bringing.choose(whose)
    with right:
        what_comes_out()
    works()
else:
    with top:
        st.markdown(f"**{plain(first.work.title)}**", width="content")
        badge(first)
        st.button("Other works", icon=":material/arrow_back:", on_click=running.look_at, args=("",))
    asked, made_of = running.line().asked(opened, whose)
    st.fragment(status, run_every=POLL if was_under_way else None)()
    if first.state == "done":
        rows, rests = running.line().gathered(opened, whose, asked)
        table, problem = running.table(opened, first.work.n_done, asked, rows, rests)
        number = widgets.remembered(running.CRYSTAL)
        chosen = int(number) - 1 if number.isdecimal() and 0 < int(number) <= len(asked) else None
        judged = results.Judged(first, asked, rests, table, made_of, problem)
        with top:
            results.save(judged)
        results.show(judged, chosen)
widgets.same_in_python(
    f"""
from contextlib import closing
from matgen_core.tasks import validation
from matgen_core.tasks.validation import runs, sources

candidates = sources.of_generator({(bringing.generators() or ["icsg3d"])[0]!r}, {sources.EXAMPLE}, seed=0)
# or your own: inputs.candidates_of([Path("folder/of/cif")])
with closing(runs.workers_of()) as workers:
    made = runs.judged(candidates, validation.Protocol(), workers, print)
table = validation.table_of(candidates, made.rows, made.rests)
print(table[["formula", "energy_above_hull", "unique", "novel", "msun"]])
print(validation.score(table, made.protocol))
"""
)
