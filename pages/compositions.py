"""Compositions: draw millions of formulas from a generator, keep the likely ones, and see why each was kept."""

from functools import partial

import pandas as pd
import streamlit as st

from matgen_core import checkpoint
from matgen_core.latent.projection import ProjectionSettings
from matgen_core.latent.space import LatentSpace
from matgen_core.materials.elements import every_element
from matgen_core.materials.formulas import subscripted
from matgen_core.materials.levels import COMPOSITION
from matgen_core.tasks import origin
from matgen_core.tasks.funnel import session
from matgen_core.tasks.funnel.session import Generation, Snapshot
from matgen_core.tasks.funnel.stages import STAGES
from matgen_core.views import charts
from pages._parts.components.periodic_table import periodic_table
from pages._parts.compositions import running, wishes
from pages._parts.compositions.wishes import Asked
from pages._parts.shared import (
    element_choice,
    job_words,
    latent_maps,
    login,
    plain_text,
    property_columns,
    verdict_words,
    widgets,
)
from pages._parts.shared.plain_text import code, plain

login.require()

POLL = 0.5  # s between two looks at a run under way
USUAL = ("formation_energy_per_atom", "volume_per_atom", "probability")  # columns shown if no others are chosen
FEW = 12  # rows shown while it goes on
SHARES: dict[charts.ShareColumn, str] = {
    "generated": "Generated",
    "kept": "Kept",
    "training": "Training",
    "ratio": "Generated ÷ training",
}


def look_at(formula: str) -> None:
    """Look at a formula."""
    st.session_state["formula"] = formula


def about_model() -> None:
    """Say what the model is, what it saw, and its headline figure beside the paper's."""
    summary = checkpoint.summary(name)
    headline = summary["headline"]
    data_sets = ", ".join(model.provenance.get("datasets", {})) or "data that its card names"
    n_known = f" ({len(model.known):,} formulas)" if model.known is not None else ""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            f"**{plain(summary['title'])}**"
            f" :small[{plain(summary['system'])}, learned from {plain(data_sets)}{n_known}.]  \n"
            f"**{plain(headline['ours'])}** :small[{plain(headline['figure'])}]"
            f" :small[:gray[paper: {plain(headline['paper'])}]]",
            width="stretch",
        )
        if st.button("Card", icon=":material/verified:", help="All that was measured of this model"):
            st.switch_page("pages/trust.py", query_params={"checkpoint": name})


def choose_elements() -> None:
    """Show the periodic table and the sets of elements."""
    change = partial(wishes.set_elements, known)
    periodic_table(
        must,
        may,
        key="composition_elements",
        on_change=change,
        unavailable={each: f"{name} writes no {each}" for each in every_element() if each not in known},
    )
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption("Start from", width="content")
        st.button("Every element", on_click=change, args=((), known))
        st.button("Nothing", on_click=change, args=((), ()))
        st.caption(
            f"{len(must)} must, {len(may)} may, {len(known) - len(must) - len(may)} never occur", width="content"
        )
    element_choice.element_sets(must, may, known, change)


def meanings(seen: Snapshot, run: Generation) -> None:
    """Say what each stage of the funnel means."""
    lines = [f"- :small[**{STAGES[key].title}**: {running.meaning(key, run.checkpoint)}]" for key in seen.counts]
    st.markdown("\n".join(lines))


def answers(seen: Snapshot, run: Generation) -> None:
    """Show what is predicted of each property that was asked for."""
    ranges = LatentSpace.of(run.checkpoint).condition_ranges
    titles = {answer.name: property_columns.title_of(answer.name) for answer in seen.answers}
    alt = "Histogram of what is predicted, with what was asked for and the training range"
    widgets.chart(charts.answers(seen.answers, ranges, titles), "answers", alt)


def status() -> None:
    """How far the run is, and the funnel; while it goes on, this alone is drawn again and again."""
    if shown is None:
        return
    asked_then, run = shown
    seen = run.look()
    request = asked_then.request
    is_running = not seen.status.is_over
    if was_running and not is_running:
        st.rerun()  # the whole page once more, and then no more looks
    n_done = seen.counts["generated"]
    with st.container(horizontal=True, vertical_alignment="center"):
        if is_running:
            with st.container(width="stretch"):
                st.progress(n_done / request.n_samples, running.progress_line(seen, request.n_samples))
            st.button("Cancel", icon=":material/stop:", on_click=run.job.stop)
        else:
            words = f"**{n_done:,} samples** of {code(asked_then.model)}, seed {request.seed}"
            took = f", in {seen.status.seconds:.1f} s :small[({seen.rate:,.0f} per second)]"
            st.markdown(words + took, width="content")
            if seen.status.state == "stopped":
                st.badge(plain(job_words.line(seen.status)), color="orange")
    if seen.status.state == "waiting":
        st.caption(f"{session.AT_ONCE} runs work at a time here, for all visitors; this one begins in its turn.")
        return
    if seen.status.state == "failed":
        plain_text.error(job_words.line(seen.status))
    if seen.answers and not is_running:
        st.markdown(running.answer_lines(seen.answers, asked_then, run))
    if not is_running and (told := running.asked_line(seen, run)):
        st.markdown(f":small[{told}]")
    left, right = st.columns([6, 5], gap="medium")
    with left:
        is_open = dict(seen.undecided)
        if run.checkpoint.known is None:
            is_open["novel"] = seen.counts["novel"]
        goes_on = [key for key, stage in STAGES.items() if stage.lets_open_pass(request.keep_undecided)]
        chart = charts.funnel(seen.counts, is_open, goes_on)
        widgets.chart(chart, "funnel", "How many samples each stage keeps")
        if seen.undecided:
            st.caption(
                "Shares are of the stage before. Undecided: metals alone, or elements of which no oxidation states are"
                f" known; {'they go on' if request.keep_undecided else 'left out here'}."
            )
    with right:
        if seen.answers:
            heard, explained = st.tabs(["Predicted, beside what you asked for", "What the stages mean"])
            with heard:
                answers(seen, run)
            with explained:
                meanings(seen, run)
        else:
            meanings(seen, run)
    if is_running and len(seen.kept):
        table = seen.kept.head(FEW)
        st.dataframe(
            running.written(table),
            column_order=running.order(table),
            column_config=running.columns(table),
            hide_index=True,
            height="content",
            alt="The first formulas that were kept",
        )


def rows_to_show(run: Generation, seen: Snapshot) -> pd.DataFrame:
    """Let the visitor choose which rows to see, and return them."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        side = st.segmented_control(
            "Rows",
            ["kept", "left"],
            default="kept",
            required=True,
            format_func={"kept": f"Kept ({run.n_kept:,})", "left": "Not kept"}.__getitem__,
            key="rows",
            label_visibility="collapsed",
        )
        if side == "left":
            st.caption(f"The first {len(seen.left):,} samples that were not kept, and the stage that each stopped at.")
            return seen.left
        by = {"": "As they came, radioactive ones last"}
        if "off_by" in seen.kept:
            by["off_by"] = "Nearest to what was asked for"
        for each in running.predicted(seen.kept):
            title = property_columns.title_of(each)
            by |= {f"-{each}": f"Highest {title[0].lower()}{title[1:]}"} if each == "probability" else {}
            by |= {each: f"Lowest {title[0].lower()}{title[1:]}"} if each != "probability" else {}
        first = st.selectbox("First", list(by), format_func=by.__getitem__, key="first", width=330)
        properties = running.predicted(seen.kept)
        if properties:
            st.pills(
                "Columns",
                properties,
                selection_mode="multi",
                default=[each for each in properties if each in USUAL],
                format_func=lambda each: plain(property_columns.plain_title(each)),
                key="shown_properties",
            )
        if first:
            table = run.best(first.lstrip("-"), not first.startswith("-"))
        else:
            table, n_last = session.radioactive_last(seen.kept) if len(seen.kept) else (seen.kept, 0)
            if n_last:
                st.caption(f"{n_last:,} hold an element without a stable isotope (Tc, Pm, U …): they come last.")
        if run.n_kept > len(table):
            st.caption(f"{len(table):,} of {run.n_kept:,} are shown; the archive has all.")
    return table


def results(asked_then: Asked, run: Generation, seen: Snapshot) -> None:
    """Show the formulas, the reasons for one of them, and what can be done with them."""
    left, right = st.columns([9, 4], gap="medium")
    with left:
        table = rows_to_show(run, seen)
        if table.empty:
            st.info("Every sample was kept." if table is seen.left else running.why_nothing(seen))
        else:
            formula_table(table, asked_then)
        downloads(table, asked_then, run)
    with right, st.container(border=True):
        formula = st.session_state.get("formula") or (str(table["formula"].iloc[0]) if len(table) else "")
        if formula:
            card(formula, asked_then)
        else:
            st.caption("A click on a formula shows here why it was kept or not.")


def formula_table(table: pd.DataFrame, asked_then: Asked) -> None:
    """Show rows; a click on one opens its reasons, ticks choose rows for the shortlist."""
    key = f"formulas_{st.session_state.get('rows')}_{st.session_state.get('first')}"

    def choose() -> None:
        cells = st.session_state[key]["selection"]["cells"]
        if cells:
            look_at(str(table["formula"].iloc[cells[0][0]]))

    state = st.dataframe(
        running.written(table),
        key=key,
        column_order=running.order(table, st.session_state.get("shown_properties", USUAL)),
        column_config=running.columns(table),
        hide_index=True,
        height=430,
        on_select=choose,
        selection_mode=["multi-row", "single-cell"],
        alt=f"Table of {len(table)} formulas",
    )
    ticked = state["selection"]["rows"]
    st.button(
        f"Put {len(ticked)} ticked on the shortlist" if ticked else "Tick rows to put them on the shortlist",
        icon=":material/bookmark_add:",
        disabled=not ticked,
        on_click=running.shorten,
        args=(asked_then, table.iloc[ticked]),
    )


def downloads(table: pd.DataFrame, asked_then: Asked, run: Generation) -> None:
    """Offer the table, and all that was kept."""
    if table.empty:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        models, settings = (asked_then.model, *asked_then.predictors), running.settings_of(asked_then)
        label = f"Save {len(table):,} as CSV"
        widgets.download(table, "formulas.csv", label, models=list(dict.fromkeys(models)), settings=settings)
        if run.n_kept and run.n_bytes() <= running.MOST_BYTES:
            st.download_button(
                f"Save all {run.n_kept:,} kept as parquet",
                lambda: run.archive(origin.origin(list(dict.fromkeys(models)), settings)),
                "formulas.zip",
                "application/zip",
                on_click="ignore",
                icon=":material/folder_zip:",
            )
        elif run.n_kept:
            st.caption("All that was kept is too large for a browser; the command below writes it to a folder.")


def card(formula: str, asked_then: Asked) -> None:
    """Say of one formula what is known, found and predicted."""
    try:
        verdicts = verdict_words.lines(formula)
        about = running.about_training(widgets.load(asked_then.model), formula)
    except ValueError as error:
        plain_text.error(error)
        return
    st.subheader(plain(subscripted(formula)))
    st.markdown("  \n".join([*verdicts, *about]))
    able = tuple(widgets.readable(widgets.names_with("predict", COMPOSITION)))
    lines = [
        f"**{plain(title)}** {plain(value)} :small[:gray[{plain(who)}]]"
        for title, value, who in running.values_of(formula, able)
    ]
    if lines:
        st.markdown("**Predicted** :small[± one standard deviation]  \n" + "  \n".join(lines))
    for each in able:
        if (nearest := running.known_2d(formula, each)) is not None:
            like, distance, is_known = nearest
            if is_known:
                st.markdown(f":blue-badge[a known 2D material] :small[in the data of {plain(each)}]")
            else:
                st.markdown(
                    f"**Nearest known 2D material** {plain(subscripted(like))}"
                    f" :small[{distance:.2f} standard deviations of the Magpie features away, root mean square]"
                )
    st.caption(
        "No line here says that a compound is stable or can be made. Validate relaxes crystals, and a formula has none:"
        " bring a structure of it, or let a generator of crystals write one."
    )


def elements_tab(run: Generation) -> None:
    """Show how often each element occurs, generated and in training."""
    table = run.element_shares()
    options = [each for each in SHARES if each == "generated" or each == "kept" or table["training"].notna().any()]
    with st.container(horizontal=True, vertical_alignment="center"):
        column = st.segmented_control(
            "Share",
            options,
            default="generated",
            required=True,
            format_func=SHARES.__getitem__,
            key="share",
            label_visibility="collapsed",
        )
        is_log = st.toggle("Logarithmic", key="share_log", disabled=column == "ratio")
    widgets.chart(charts.element_shares(table, column, is_log), "element_shares", "How often each element occurs")
    note = "Percent of the formulas that hold the element; generated: all samples, before any stage."
    if len(options) == len(SHARES):
        n_real = len(session.real_formulas(run.checkpoint))
        note += f" Training: the {n_real:,} real formulas that the checkpoint names, a sample."
    st.caption(note)


def map_tab(run: Generation, seen: Snapshot) -> None:
    """Show generated formulas among real ones on a map made on demand."""
    what = session.features_in_words(run.checkpoint)
    made = st.session_state.get("generated_map")
    if made is None:
        st.markdown(
            f"t-SNE of up to {session.ON_A_MAP:,} generated and as many real formulas, as in the paper of MatGAN."
            f" What is compared: {what}. It takes about a minute, beside this page."
        )
        if st.button("Make the map", icon=":material/scatter_plot:"):
            features, points = run.comparison()
            try:
                job = latent_maps.worker().submit(features, ProjectionSettings("tsne"))
            except ValueError as error:
                plain_text.error(error)
            else:
                st.session_state["generated_map"] = (job, points)
                st.rerun()
        return
    job, points = made
    if job.result is None:
        follow_map()
        return
    widgets.chart(
        charts.generated_map(job.result.positions, points), "generated_map_chart", "Generated among real formulas"
    )
    st.caption(
        f"Compared by {what}. t-SNE keeps neighborhoods; distances between groups and sizes of groups mean nothing."
        " Real formulas that no generated one lies near are what the model misses."
    )


@st.fragment(run_every=1.0)
def follow_map() -> None:
    """Show how the map gets on."""
    job, points = st.session_state["generated_map"]
    status = job.status()
    if job.result is not None:
        st.rerun(scope="app")
    if status.is_over:
        st.session_state.pop("generated_map")
        plain_text.error(f"No map was made: {job_words.line(status)}.")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        with st.container(width="stretch"):
            words = job_words.line(status, job_words.stage(status))
            st.progress(status.share or 0.0, f"{len(points):,} points: {plain(words)}")
        if st.button("Cancel", icon=":material/close:", key="cancel_map"):
            job.stop()
            st.session_state.pop("generated_map")
            st.rerun(scope="app")


def shortlist() -> None:
    """Show what the visitor has chosen to keep."""
    chosen = running.shortlist()
    if not chosen:
        return
    with st.expander(f"Shortlist of this session: {len(chosen)}", icon=":material/bookmark:"):
        table = pd.DataFrame(chosen)
        st.dataframe(
            running.written(table),
            hide_index=True,
            column_config={"model": "Model", "seed": "Seed", **running.columns(table)},
            alt=f"Shortlist of {len(table)} formulas",
        )
        with st.container(horizontal=True, vertical_alignment="center"):
            widgets.download(table, "shortlist.csv", models=list(dict.fromkeys(table["model"])), settings={})
            st.button("Clear", icon=":material/delete:", on_click=running.clear_shortlist)
            st.caption("It lasts as long as this session: save it before you close the page.")


with st.container(horizontal=True, vertical_alignment="bottom"):
    st.title("Compositions", width="stretch")
    with st.container(width=260):
        name = widgets.choose_checkpoint(
            "Generator", widgets.names_with("decode", COMPOSITION), key="generator", recipe="formula_lm_oqmd"
        )
model = widgets.load(name)
space = LatentSpace.of(model)
known = tuple(each for each in every_element() if each in space.representation.elements)
about_model()
try:
    must, may = wishes.elements(known)
except ValueError as error:
    plain_text.error(f"The address of this page cannot be used: {error}")
    st.stop()

with st.container(key="room_compositions"):
    left, right = st.columns([11, 10], gap="medium")
with left:
    choose_elements()
with right, st.container(border=True):
    asked, problem = None, ""
    try:
        asked = wishes.ask(name, space, known, must, may)
    except ValueError as error:
        problem = str(error)
    if problem:
        plain_text.error(problem)
    st.button(
        "Generate",
        icon=":material/play_arrow:",
        type="primary",
        disabled=asked is None,
        on_click=running.start,
        args=(asked,),
    )

shown = running.current()
was_running = False
if shown is None:
    st.info(
        "Nothing is generated yet. Generate draws formulas from the model and passes each through a funnel: is it"
        " a formula, is it what you asked for, is it unique, neutral, balanced, novel? What is left is predicted."
    )
else:
    was_running = not shown[1].look().status.is_over
    if asked is not None and shown[0] != asked:
        st.caption(":material/info: Settings have changed since; what follows is of the run before. Generate anew.")
st.fragment(status, run_every=POLL if was_running else None)()
if shown is not None and not was_running:
    finished = shown[1].look()
    results(shown[0], shown[1], finished)
    by_element, on_a_map = st.tabs(["Elements", "Generated among real formulas"])
    with by_element:
        elements_tab(shown[1])
    with on_a_map:
        map_tab(shown[1], finished)
shortlist()
if asked is not None:
    widgets.same_in_python(wishes.same_in_python(asked))
    with st.expander("The same on the command line", icon=":material/terminal:"):
        st.code(wishes.same_on_the_command_line(asked), language="bash")
