"""Compositions as the page shows them: what is asked for, the run of this session, verdicts, and what was chosen."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from matgen_core import funnel, generation, prediction, screening
from matgen_core.checkpoint import Checkpoint
from matgen_core.formulas import Formulas, subscripted
from matgen_core.generation import Generation, Snapshot
from matgen_core.latent import LatentSpace
from pages import _widgets

MANY_ELEMENTS, MANY_ATOMS = 20, 500  # the number that stands for "or more"
MOST_BYTES = 100_000_000  # of an archive that a browser gets
MEANINGS = {
    "generated": "Samples drawn from the model, every one of them.",
    "formula": "Those that decode to a formula at all.",
    "wanted": "With the elements and the numbers of elements and atoms that you asked for.",
    "unique": "Each formula counts once, as it is written.",
    "neutral": "Some choice of SMACT's oxidation states adds up to zero. Weak evidence: one choice is enough.",
    "balanced": "In such a choice every anion is more electronegative than any cation. Weak evidence, too.",
    "novel": "Not in the data set that this model learned from, in any multiple. That is not “unexplored”.",
    "predicted": "Every chosen predictor gave its values.",
}
_VERDICTS = {
    "charge_neutral": "Neutral",
    "electronegativity_balanced": "Balanced",
    "smact_valid": "SMACT",
}
_WORDS = {True: "✓ yes", False: "✕ no", None: "? open"}
_MARKS = {True: "✓", False: "✕", None: "?"}
_BADGES = {True: "green", False: "red", None: "orange"}
_TITLES = {"probability": "Probability of 2D"}
_SHORT = {  # over narrow columns
    "formation_energy_per_atom": "E form.",
    "volume_per_atom": "Volume",
    "energy_per_atom": "Energy",
    "band_gap": "Gap",
    "probability": "P(2D)",
}


@dataclass(frozen=True)
class Asked:
    """All that makes a run."""

    model: str
    request: funnel.Request
    predictors: tuple[str, ...]


# What is asked for


def elements(known: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the elements that must and that may be there, from the address: may all but a few, or a few.

    Raises:
        ValueError: If the address names something that is no element.
    """
    must, may, never = (
        [symbol for symbol in _widgets.remembered(name).split(",") if symbol] for name in ("has", "only", "never")
    )
    funnel.Wanted(must=tuple(must), never=tuple(never))  # refuses strange symbols, and both at once
    funnel.Wanted(may=tuple(may))
    allowed = [symbol for symbol in known if (symbol in may if may else symbol not in never)]
    return [symbol for symbol in must if symbol in known], [symbol for symbol in allowed if symbol not in must]


def set_elements(known: Sequence[str], must: Sequence[str], may: Sequence[str]) -> None:
    """Remember which elements must and may be there, by whichever list is shorter."""
    allowed = {*must, *may}
    never = [symbol for symbol in known if symbol not in allowed]
    by_never = not allowed or len(never) <= len(allowed)
    st.session_state["has"] = ",".join(must)
    st.session_state["never"] = ",".join(never) if by_never else ""
    st.session_state["only"] = "" if by_never else ",".join(symbol for symbol in known if symbol in allowed)


def ask_for(symbols: Sequence[str]) -> None:
    """Remember that these elements must be there and that any other may, but for those that never do already."""
    st.session_state["has"] = ",".join(symbols)
    never = st.session_state.get("never", "").split(",")
    st.session_state["never"] = ",".join(each for each in never if each not in symbols)
    st.session_state["only"] = ""


def wanted(
    known: Sequence[str],
    must: Sequence[str],
    may: Sequence[str],
    n_elements: tuple[int, int],
    n_atoms: tuple[int, int],
) -> funnel.Wanted:
    """Return what passes the stage "as asked for".

    Raises:
        ValueError: If nothing can pass.
    """
    if not must and not may:
        raise ValueError("no element is allowed; choose some in the periodic table, or press Every element")
    never = tuple(symbol for symbol in known if symbol not in must and symbol not in may)
    allowed = () if len(never) <= len(known) // 2 else tuple(may) or tuple(must)
    plain = funnel.Wanted()
    return funnel.Wanted(
        must=tuple(must),
        may=allowed,
        never=() if allowed else never,
        n_elements=(n_elements[0], plain.n_elements[1] if n_elements[1] == MANY_ELEMENTS else n_elements[1]),
        n_atoms=(n_atoms[0], plain.n_atoms[1] if n_atoms[1] == MANY_ATOMS else n_atoms[1]),
    )


def condition(space: LatentSpace) -> dict[str, float]:
    """Ask for properties, for a model that takes them; the range of its training formulas stands below each."""
    if not space.condition_properties:
        return {}
    asked: dict[str, float] = {}
    ranges = space.condition_ranges
    for column, name in zip(st.columns(len(space.condition_properties)), space.condition_properties, strict=True):
        low, usual_low, usual_high, high = ranges[name]
        step = 0.5 if name.startswith("volume") else 0.05
        unit = prediction.UNITS[name].replace("^3", "³")
        room = 0.25 * (high - low)
        bounds = [round(value / step) * step for value in (low - room, high + room)]
        bounds[0] = max(bounds[0], step) if name.startswith("volume") else bounds[0]
        with column:
            on = st.toggle(plain_title(name), key=f"ask_{name}", bind="query-params")
            value = st.slider(
                title_of(name),
                round(bounds[0], 2),
                round(bounds[1], 2),
                round(round((usual_low + usual_high) / 2 / step) * step, 2),
                step,
                key=f"want_{name}",
                disabled=not on,
                label_visibility="collapsed",
                bind="query-params",
            )
            st.caption(
                f"{unit}; training **{usual_low:.3g}** to **{usual_high:.3g}** (middle 99 %),"
                f" {low:.3g} to {high:.3g} (all)"
            )
            if on:
                asked[name] = value
    for line in space.far_from_training(asked):
        name = line.split(" ", 1)[0]
        st.warning(f"{line.replace(name, plain_title(name), 1)}. You can ask; the model has hardly seen such formulas.")
    return asked


# The run


def _stop(runs: list[Generation]) -> None:
    for run in runs:
        run.stop()


@st.cache_resource(scope="session", show_spinner=False, on_release=_stop)
def _runs() -> list[Generation]:
    """Hold the run of this session, so that it ends with it."""
    return []


def start(asked: Asked) -> None:
    """Begin a run; the one before is stopped and forgotten."""
    _stop(_runs())
    predictors = [partial(prediction.predict_formulas, _widgets.read(name)) for name in asked.predictors]
    made = Generation(_widgets.read(asked.model), asked.request, predictors)
    _runs()[:] = [made]
    st.session_state["generated"] = (asked, made)
    st.session_state.pop("generated_map", None)
    st.session_state["formula"] = ""
    made.wait(0.5)  # a small run is over before the page is drawn


def current() -> tuple[Asked, Generation] | None:
    """Return the run whose results are shown."""
    return st.session_state.get("generated")


def progress_line(seen: Snapshot, n_samples: int) -> str:
    """Write how far a run is: samples, rate, time left; or how many come first."""
    if seen.state == "waiting":
        return f"{n_samples:,} samples: waiting, {seen.ahead} ahead"
    done = seen.counts["generated"]
    line = f"{done:,} of {n_samples:,} samples"
    if not done:
        return f"{line} · starting"
    left = (n_samples - done) / seen.rate
    return f"{line} · {seen.rate:,.0f} per second · {_duration(left)} left"


def meaning(stage: str, model: Checkpoint) -> str:
    """Say what a stage of the funnel means for a model."""
    if stage == "novel" and model.known is None:
        return f"Open: {model.name} keeps no list of the formulas of its data set, so every formula goes on."
    return MEANINGS[stage]


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


# What is shown


def predicted(table: pd.DataFrame) -> list[str]:
    """Return the predicted properties of a table."""
    return [name.removesuffix("_std") for name in table if name.endswith("_std")]


def predictor_label(name: str) -> str:
    """Say what a checkpoint predicts, and which it is."""
    model = _widgets.read(name).model
    if not isinstance(model, prediction.FormulaPredictor):
        return name
    titles = [plain_title(each) for each in model.properties]
    return f"{', '.join([titles[0], *(title[0].lower() + title[1:] for title in titles[1:])])} · {name}"


def title_of(name: str) -> str:
    """Return what a predicted column is called, with its unit."""
    return _with_unit(plain_title(name), name)


def _with_unit(title: str, name: str) -> str:
    unit = prediction.UNITS.get(name, "").replace("^3", "³")
    return f"{title} ({unit})" if unit else title


def plain_title(name: str) -> str:
    """Return what a predicted column is called."""
    label = _TITLES.get(name) or prediction.LABELS.get(name, name.replace("_", " "))
    return label[0].upper() + label[1:]


def written(table: pd.DataFrame) -> pd.DataFrame:
    """Write formulas as chemists do, and verdicts as marks: yes, no, open."""
    verdicts = [name for name in (*_VERDICTS, "novel") if name in table]
    return table.assign(
        formula=[subscripted(text) for text in table["formula"]],
        **{name: table[name].astype(object).where(table[name].notna(), None).map(_MARKS) for name in verdicts},
    )


def columns(table: pd.DataFrame) -> dict[str, Any]:
    """Return titles, units and formats of a table as `written` gives it."""
    marks = "✓ yes, ✕ no, ? open; a click on the row tells why"
    shown: dict[str, Any] = {
        "formula": st.column_config.TextColumn("Formula", pinned=True, width=104),
        "sample": st.column_config.NumberColumn("Sample", format="%d", help="its place among all samples of the seed"),
        "n_elements": st.column_config.NumberColumn("Elements", format="%d"),
        "stopped_at": st.column_config.TextColumn("Stopped at"),
        "novel": st.column_config.TextColumn("Novel", width=58, help=f"not in the data set of this model; {marks}"),
        "problem": st.column_config.TextColumn("Problem"),
        **{name: st.column_config.TextColumn(title, width=72, help=marks) for name, title in _VERDICTS.items()},
    }
    for name in predicted(table):
        digits = "%.2f" if name in ("probability", "volume_per_atom", "band_gap") else "%.3f"
        shown[name] = st.column_config.NumberColumn(
            _with_unit(_SHORT.get(name, plain_title(name)), name), format=digits, help=plain_title(name)
        )
        shown[f"{name}_std"] = st.column_config.NumberColumn(
            "±", format=digits, width=56, help="one standard deviation"
        )
    return shown


def order(table: pd.DataFrame, properties: Sequence[str] | None = None) -> list[str]:
    """Return the columns worth showing, in reading order; None shows every property."""
    chosen = predicted(table) if properties is None else [name for name in predicted(table) if name in properties]
    values = [column for name in chosen for column in (name, f"{name}_std")]
    names = ["formula", "stopped_at", *_VERDICTS, "novel", *values, "n_elements", "sample", "problem"]
    if "problem" in table and not table["problem"].ne("").any():
        names.remove("problem")
    return [name for name in names if name in table]


@st.cache_data(max_entries=256, show_spinner=False)
def reasons(formula: str) -> list[tuple[str, bool | None, str]]:
    """Return the verdicts on a formula: title, answer, reason.

    Raises:
        ValueError: If it is no formula.
    """
    row = screening.screen_texts([formula], screening.COMPOSITION_RULES).iloc[0]
    if row["problem"]:
        raise ValueError(row["problem"])
    return [
        (title, None if pd.isna(row[name]) else bool(row[name]), str(row[f"{name}_reason"]))
        for name, title in _VERDICTS.items()
    ]


def badge_line(title: str, answer: bool | None, reason: str) -> str:
    """Write a verdict with its reason."""
    return f"**{title}** :{_BADGES[answer]}-badge[{_WORDS[answer]}] :small[{reason}]"


@st.cache_data(max_entries=256, show_spinner=False)
def values_of(formula: str, predictors: tuple[str, ...]) -> list[tuple[str, str, str]]:
    """Return what is predicted of a formula: title with unit, value, who says so; the problem where there is none."""
    lines = []
    for name in predictors:
        row = prediction.predict_texts(_widgets.read(name), [formula]).iloc[0]
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


@st.cache_data(max_entries=256, show_spinner=False)
def known_2d(formula: str, name: str) -> tuple[str, float, bool] | None:
    """Return the known 2D material most like a formula, how far it is, and whether it is the same; None if unknown."""
    try:
        found = prediction.nearest_known(_widgets.read(name), Formulas.of_texts([formula])[0]).iloc[0]
    except ValueError:  # no index of known ones, or an element outside the features
        return None
    return str(found["nearest_known"]), float(found["distance"]), bool(found["is_known"])


def about_training(model: Checkpoint, formula: str) -> list[str]:
    """Say how a formula stands to what a generator was trained on."""
    is_novel = generation.novel(model, formula)
    lines = [
        badge_line(
            "Novel",
            is_novel,
            {
                True: f"none of the {len(model.known or ()):,} formulas of the data set of {model.name}",
                False: f"among the formulas of the data set of {model.name}",
                None: f"{model.name} keeps no list of the formulas of its data set",
            }[is_novel],
        )
    ]
    if (alike := generation.most_alike(model, formula)) is not None:
        lines.append(
            f"**Most alike in training** {subscripted(alike[0])} :small[{alike[1]:.0%} of the atoms would be"
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


# The same elsewhere


def same_in_python(asked: Asked) -> str:
    """Return the Python that makes the run."""
    request, plain = asked.request, funnel.Wanted()
    parts = [
        f"{name}={getattr(request.wanted, name)!r}"
        for name in ("must", "may", "never", "n_elements", "n_atoms")
        if getattr(request.wanted, name) != getattr(plain, name)
    ]
    more = f"\n    condition={dict(request.condition)!r}," if request.condition else ""
    more += "\n    keep_undecided=True," if request.keep_undecided else ""
    return f"""
from functools import partial

from matgen_core import checkpoint, funnel
from matgen_core.prediction import predict_formulas

request = funnel.Request(
    n_samples={request.n_samples},
    seed={request.seed},
    wanted=funnel.Wanted({", ".join(parts)}),{more}
)
predictors = [partial(predict_formulas, checkpoint.load(name)) for name in {list(asked.predictors)!r}]
for chunk in funnel.run(checkpoint.load({asked.model!r}), request, predictors):
    print(chunk.counts)
    print(chunk.rows[chunk.rows["kept"]].head(10).to_string())
"""


def same_on_the_command_line(asked: Asked) -> str:
    """Return the command that draws and judges the same samples."""
    request, plain = asked.request, funnel.Wanted()
    words = ["matgen", "generate", asked.model, "-n", str(request.n_samples), "--seed", str(request.seed)]
    for option in ("must", "may", "never"):
        if chosen := getattr(request.wanted, option):
            words += [f"--{option}", ",".join(chosen)]
    for option, name in (("--elements", "n_elements"), ("--atoms", "n_atoms")):
        if getattr(request.wanted, name) != getattr(plain, name):
            words += [option, "-".join(map(str, getattr(request.wanted, name)))]
    options = {
        "formation_energy_per_atom": "--formation-energy",
        "volume_per_atom": "--volume",
        "energy_per_atom": "--energy",
    }
    for name, value in request.condition.items():
        words += [options[name], f"{value:g}"]
    lines = [shlex.join([*words, "--out", "formulas.csv"])]
    lines += [f"matgen predict {name} formulas.csv --out {name}.csv" for name in asked.predictors]
    return "\n".join(lines)
