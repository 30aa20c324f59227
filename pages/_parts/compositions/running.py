"""Compositions as the page shows them: the run of this session, what became of it, verdicts, and what was chosen."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from matgen_core.materials.formulas import Formulas, subscripted
from matgen_core.tasks import prediction
from matgen_core.tasks.funnel import Wanted, session
from matgen_core.tasks.funnel.answers import Answer
from matgen_core.tasks.funnel.session import Generation, Snapshot
from matgen_core.tasks.funnel.stages import STAGES
from pages._parts.compositions.wishes import Asked
from pages._parts.shared import job_words, verdict_words, widgets
from pages._parts.shared.folder_caches import by_folder
from pages._parts.shared.plain_text import code, plain
from pages._parts.shared.property_columns import plain_title, predicted_by, short_title, title_of, unit

if TYPE_CHECKING:  # it brings torch
    from matgen_core.checkpoint import Checkpoint

_RETURN = 180.0  # s; a visitor who is away for more than 120 finds a new session
MOST_BYTES = 100_000_000  # of an archive that a browser gets


# The run


def _leave(runs: list[Generation]) -> None:
    for run in runs:
        run.leave(_RETURN)


# Streamlit calls this when the browser is gone, and keeps what a session holds for whoever comes back.
@st.cache_resource(scope="session", show_spinner=False, on_release=_leave)
def _runs() -> list[Generation]:
    """Hold the run of this session, so that it ends with it."""
    return []


@widgets.while_it_is_there
def start(asked: Asked) -> None:
    """Begin a run; the one before is stopped and forgotten."""
    for run in _runs():
        run.job.stop()
    predictors = [partial(prediction.predict_formulas, widgets.read(name)) for name in asked.predictors]
    made = Generation(widgets.read(asked.model), asked.request, predictors)
    _runs()[:] = [made]
    st.session_state["generated"] = (asked, made)
    st.session_state.pop("generated_map", None)
    st.session_state["formula"] = ""
    made.job.wait(0.5)  # a small run is over before the page is drawn


def current() -> tuple[Asked, Generation] | None:
    """Return the run whose results are shown."""
    found: tuple[Asked, Generation] | None = st.session_state.get("generated")
    if found is not None and found[1] not in _runs():  # the browser was away for a moment
        found[1].stay()
        _runs()[:] = [found[1]]
    return found


def progress_line(seen: Snapshot, n_samples: int) -> str:
    """Write how far a run is: samples, rate, time left; or how many come first."""
    if seen.status.state == "waiting":
        return f"{n_samples:,} samples: {plain(job_words.line(seen.status))}"
    done = seen.counts["generated"]
    line = f"{done:,} of {n_samples:,} samples"
    if not done:
        return f"{line} · starting"
    left = (n_samples - done) / seen.rate
    return f"{line} · {seen.rate:,.0f} per second · {_duration(left)} left"


def meaning(stage: str, model: "Checkpoint") -> str:
    """Say what a stage of the funnel means for a model."""
    if stage == "novel" and model.known is None:
        return f"Open: {plain(model.name)} keeps no list of the formulas of its data set, so every formula goes on."
    return STAGES[stage].meaning


def settings_of(asked: Asked) -> dict[str, Any]:
    """Return all that made a run, the seed among it, as files hold it."""
    return {**asdict(asked.request), "predictors": list(asked.predictors)}


def asked_line(seen: Snapshot, run: Generation) -> str:
    """Say what share of the samples is as asked for, beside what is like that without asking; "" if all is wanted."""
    if run.request.wanted == Wanted() or not seen.counts["formula"]:
        return ""
    of_samples = seen.counts["wanted"] / seen.counts["generated"]
    of_training = run.training_share()
    beside = f"; of the training formulas **{of_training:.1%}** are like that" if of_training is not None else ""
    return (
        f"As asked for: **{of_samples:.1%}** of the samples{beside}. The model is not told which elements you want:"
        " it writes freely, and the others are thrown away."
    )


def answer_lines(answers: Sequence[Answer], asked: Asked, run: Generation) -> str:
    """Say how what is predicted lies to what was asked for, a line a property, and who predicts it."""
    lines = []
    for answer in answers:
        line = (
            f"Asked for {plain(_lower(plain_title(answer.name)))} **{answer.asked:g}** {plain(unit(answer.name))}:"
            f" predicted **{answer.median:.2f}** (median of {answer.n:,})"
        )
        near = f", **{answer.n_near / answer.n:.1%}** within ±{answer.tolerance:g}" if answer.tolerance else ""
        unasked = run.training_share_near(answer.name)
        near += f"; of the training formulas, by their own values, **{unasked:.1%}**" if unasked is not None else ""
        lines.append(line + near)
    # Of two that predict a property the later counts.
    used = {
        next(each for each in reversed(asked.predictors) if answer.name in predicted_by(each)) for answer in answers
    }
    others = ", ".join(code(each) for each in sorted(used - {asked.model}))
    own = "the same model's predictor; its card has the independent judge's figures" if asked.model in used else ""
    return "  \n".join(lines) + f" :small[:gray[predicted by {', '.join(filter(None, [others, own]))}]]"


def why_nothing(seen: Snapshot) -> str:
    """Say which stage took the last samples, and what to do."""
    if not seen.counts["generated"]:
        return "Nothing was generated before the run ended. Generate anew."
    keys = list(seen.counts)
    stage = STAGES[next(key for key in keys if not seen.counts[key])]
    n_before = seen.counts[keys[keys.index(stage.key) - 1]]
    line = f"No formula passed every stage: “{stage.title}” took the last {n_before:,}. {stage.advice}"
    if stage.key == "near":
        parts = [f"{plain(_lower(plain_title(answer.name)))} {answer.nearest:.2f}" for answer in seen.answers]
        line += f" The nearest predictions: {', '.join(parts)}{', in one formula or another' if parts[1:] else ''}."
    return line


def _lower(title: str) -> str:
    return title[0].lower() + title[1:]


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


# What is shown


def predicted(table: pd.DataFrame) -> list[str]:
    """Return the predicted properties of a table."""
    return [name.removesuffix("_std") for name in table if name.endswith("_std")]


def written(table: pd.DataFrame) -> pd.DataFrame:
    """Write formulas as chemists do, and verdicts as marks: yes, no, open."""
    verdicts = [name for name in (*verdict_words.SHORT, "novel") if name in table]
    return table.assign(
        formula=[subscripted(text) for text in table["formula"]],
        **{
            name: table[name].astype(object).where(table[name].notna(), None).map(verdict_words.MARKS)
            for name in verdicts
        },
    )


def columns(table: pd.DataFrame) -> dict[str, Any]:
    """Return titles, units and formats of a table as `written` gives it."""
    marks = "✓ yes, ✕ no, ? undecided; a click on the row tells why"
    shown: dict[str, Any] = {
        "formula": st.column_config.TextColumn("Formula", pinned=True, width=104),
        "sample": st.column_config.NumberColumn("Sample", format="%d", help="its place among all samples of the seed"),
        "n_elements": st.column_config.NumberColumn("Elements", format="%d"),
        "stopped_at": st.column_config.TextColumn("Stopped at"),
        "novel": st.column_config.TextColumn("Novel", width=58, help=f"not in the data set of this model; {marks}"),
        "off_by": st.column_config.NumberColumn(
            "Off by",
            format="%.2f",
            width=64,
            help="how many limits (keep within ±) the predictions lie from what was asked for, the largest of them;"
            " at most 1 is near",
        ),
        "problem": st.column_config.TextColumn("Problem"),
        **{
            name: st.column_config.TextColumn(title, width=66, help=marks)
            for name, title in verdict_words.SHORT.items()
        },
    }
    shown["usual_states"] = st.column_config.TextColumn(
        verdict_words.SHORT["usual_states"],
        width=58,
        help=f"neutral without oxidation states that are hardly ever seen; {marks}",
    )
    for name in predicted(table):
        digits = "%.2f" if name in ("probability", "volume_per_atom", "band_gap") else "%.3f"
        shown[name] = st.column_config.NumberColumn(short_title(name), format=digits, help=plain(plain_title(name)))
        shown[f"{name}_std"] = st.column_config.NumberColumn(
            "±", format=digits, width=56, help="one standard deviation"
        )
    return shown


def order(table: pd.DataFrame, properties: Sequence[str] | None = None) -> list[str]:
    """Return the columns worth showing, in reading order; None shows every property."""
    chosen = predicted(table) if properties is None else [name for name in predicted(table) if name in properties]
    values = [column for name in chosen for column in (name, f"{name}_std")]
    names = [
        "formula",
        "stopped_at",
        *verdict_words.SHORT,
        "novel",
        *values,
        "off_by",
        "n_elements",
        "sample",
        "problem",
    ]
    if "problem" in table and not table["problem"].ne("").any():
        names.remove("problem")
    return [name for name in names if name in table]


@by_folder(st.cache_data, about=lambda formula, predictors: predictors, max_entries=256, show_spinner=False)
def values_of(formula: str, predictors: tuple[str, ...]) -> list[tuple[str, str, str]]:
    """Return what is predicted of a formula: title with unit, value, who says so; the problem where there is none."""
    lines = []
    for name in predictors:
        row = prediction.predict_texts(widgets.read(name), [formula]).iloc[0]
        properties = [each.removesuffix("_std") for each in row.index if each.endswith("_std")]
        lines += [
            (
                title_of(each),
                row["problem"] or prediction.with_deviation(row[each], row[f"{each}_std"]),
                name,
            )
            for each in properties
        ]
    return lines


@by_folder(st.cache_data, about=lambda formula, name: [name], max_entries=256, show_spinner=False)
def known_2d(formula: str, name: str) -> tuple[str, float, bool] | None:
    """Return the known 2D material most like a formula, how far it is, and whether it is the same; None if unknown."""
    try:
        found = prediction.nearest_known(widgets.read(name), Formulas.of_texts([formula])[0]).iloc[0]
    except ValueError:  # no index of known ones, or an element outside the features
        return None
    return str(found["nearest_known"]), float(found["distance"]), bool(found["is_known"])


def about_training(model: "Checkpoint", formula: str) -> list[str]:
    """Say how a formula stands to what a generator was trained on."""
    is_novel = session.novel(model, formula)
    lines = [
        verdict_words.line(
            "Novel",
            is_novel,
            {
                True: f"none of the {len(model.known or ()):,} formulas of the data set of {model.name}",
                False: f"among the formulas of the data set of {model.name}",
                None: f"{model.name} keeps no list of the formulas of its data set",
            }[is_novel],
        )
    ]
    if (alike := session.most_alike(model, formula)) is not None:
        lines.append(
            f"**Most alike in training** {plain(subscripted(alike[0]))} :small[{alike[1]:.0%} of the atoms would be"
            " others; among those on the model's map]"
        )
    return lines


# The selection of this session


def shortlist() -> list[dict[str, Any]]:
    """Return what the visitor has chosen to keep, as long as this session lasts."""
    rows: list[dict[str, Any]] = st.session_state.setdefault("shortlist", [])
    return rows


def shorten(asked: Asked, rows: pd.DataFrame) -> None:
    """Put formulas on the list, each once."""
    there = {(row["model"], row["formula"]) for row in shortlist()}
    for row in rows.to_dict("records"):
        if (asked.model, row["formula"]) not in there:
            values = {name: row[name] for name in rows if name.removesuffix("_std") in predicted(rows)}
            shortlist().append({"formula": row["formula"], "model": asked.model, "seed": asked.request.seed, **values})


def clear_shortlist() -> None:
    """Forget the list."""
    st.session_state["shortlist"] = []
