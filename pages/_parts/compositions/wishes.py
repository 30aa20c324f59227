"""What is asked of a generator of formulas: the inputs, the request they make, and the same elsewhere."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from matgen_core.latent.space import LatentSpace
from matgen_core.materials.levels import COMPOSITION
from matgen_core.tasks import funnel
from matgen_core.tasks.funnel import answers
from pages._parts.shared import plain_text, widgets
from pages._parts.shared.plain_text import code, plain
from pages._parts.shared.property_columns import plain_title, predictor_label, title_of, unit, with_predictors_of

MANY_ELEMENTS, MANY_ATOMS = 20, 500  # the number that stands for "or more"
PRESETS = {"10 thousand": 10_000, "100 thousand": 100_000, "2 million": 2_000_000}


@dataclass(frozen=True)
class Asked:
    """All that makes a run."""

    model: str
    request: funnel.Request
    predictors: tuple[str, ...]


def elements(known: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the elements that must and that may be there, from the address: may all but a few, or a few.

    Raises:
        ValueError: If the address names something that is no element.
    """
    must, may, never = (
        [symbol for symbol in widgets.remembered(name).split(",") if symbol] for name in ("has", "only", "never")
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


def condition(space: LatentSpace) -> tuple[dict[str, float], dict[str, float]]:
    """Ask for properties, for a model that takes them; the range of its training formulas stands below each.

    Returns:
        Values by property, and how near to them a prediction has to lie.
    """
    ranges = space.condition_ranges
    if not ranges:
        return {}, {}
    asked: dict[str, float] = {}
    for name, column in zip(ranges, st.columns(len(ranges)), strict=True):
        low, usual_low, usual_high, high = ranges[name]
        step = 0.5 if name.startswith("volume") else 0.05
        room = 0.25 * (high - low)
        bounds = [round(value / step) * step for value in (low - room, high + room)]
        bounds[0] = max(bounds[0], step) if name.startswith("volume") else bounds[0]
        with column:
            on = st.toggle(plain(plain_title(name)), key=f"ask_{name}", bind="query-params")
            value = st.slider(
                plain(title_of(name)),
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
                f"{plain(unit(name))}; training **{usual_low:.3g}** to **{usual_high:.3g}** (middle 99 %),"
                f" {low:.3g} to {high:.3g} (all)"
            )
            if on:
                asked[name] = value
    columns = st.columns(len(ranges))  # apart, so that they stand in line whatever is above
    is_kept_near = st.toggle(
        "Keep only what is predicted near it",
        True,
        key="near",
        disabled=not asked,
        bind="query-params",
        help="Not all that the model writes is what you asked for. One more stage of the funnel keeps the formulas"
        " whose predictions lie within each of these limits. A prediction is no measurement, and a model's own"
        " predictor likes what the model writes: its card has the figures of an independent judge.",
    )
    tolerance: dict[str, float] = {}
    for name, column in zip(ranges, columns, strict=True):
        within = column.number_input(
            f"keep within ± {plain(unit(name))}",
            0.01,
            None,
            answers.usual_tolerance(name),
            answers.usual_tolerance(name) / 10,
            key=f"within_{name}",
            disabled=name not in asked or not is_kept_near,
            bind="query-params",
        )
        if name in asked and is_kept_near:
            tolerance[name] = within
    for line in space.far_from_training(asked):
        name = line.split(" ", 1)[0]
        plain_text.warning(
            f"{line.replace(name, plain_title(name), 1)}. You can ask; the model has hardly seen such formulas."
        )
    return asked, tolerance


def ask(name: str, space: LatentSpace, known: Sequence[str], must: Sequence[str], may: Sequence[str]) -> Asked:
    """Show what can be asked for beside the elements, and return it all.

    Raises:
        ValueError: If no formula can be asked for so.
    """
    top, high = MANY_ELEMENTS, MANY_ATOMS
    with st.container(horizontal=True, vertical_alignment="bottom"):
        n_elements = (
            widgets.whole_number("Elements from", 1, top, 2, "elements_from", width=120),
            widgets.whole_number("to", 1, top, top, "elements_to", f"{top}: any", width=120),
        )
        n_atoms = (
            widgets.whole_number("Atoms from", 1, high, 1, "atoms_from", width=120),
            widgets.whole_number("to", 1, high, high, "atoms_to", f"{high}: any", width=120),
        )
    asked, tolerance = condition(space)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        n_samples = widgets.whole_number(
            "Samples",
            1,
            funnel.MAX_SAMPLES,
            PRESETS["10 thousand"],
            "n",
            f"1 to {funnel.MAX_SAMPLES:,}",
            width=170,
        )
        for label, n in PRESETS.items():
            st.button(label, on_click=_set_number, args=(n,), type="tertiary")
        seed = widgets.whole_number("Seed", 0, 2**31 - 1, 0, "seed", width=130)
    able = widgets.readable(widgets.names_with("predict", COMPOSITION))
    chosen = st.pills(
        "Predict of what is kept",
        able,
        selection_mode="multi",
        default=able,
        format_func=lambda each: plain(predictor_label(each)),
        key="predictors",
        bind="query-params",
        help="Each takes time: see the rate while it runs.",
    )
    keep_undecided = st.toggle(
        "Keep what is undecided",
        key="undecided",
        bind="query-params",
        help="Alloys need no oxidation states, and of some elements none are known: neutrality and balance are open.",
    )
    # The generator's own predictor before others: it knows every element that the generator writes.
    predictors = with_predictors_of(tolerance, chosen, sorted(able, key=lambda each: each != name))
    for each in predictors[len(chosen) :]:
        st.caption(f":material/info: {code(each)} predicts what has to be near, so it is asked, too.")
    formulas = wanted(known, must, may, n_elements, n_atoms)
    return Asked(name, funnel.Request(n_samples, seed, formulas, asked, keep_undecided, tolerance), predictors)


def _set_number(n: int) -> None:
    st.session_state["n"] = n


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
    more += f"\n    tolerance={dict(request.tolerance)!r}," if request.tolerance else ""
    return f"""
from functools import partial

from matgen_core import checkpoint
from matgen_core.materials.levels import COMPOSITION
from matgen_core.tasks import funnel
from matgen_core.tasks.prediction import predict_formulas

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
    for name, value in request.condition.items():
        words += [f"--{answers.option(name)}", f"{value:g}"]
    words += ["--keep-undecided"] if request.keep_undecided else []
    for name, value in request.tolerance.items():
        words += ["--within", f"{answers.option(name)}={value:g}"]
    for name in asked.predictors:
        words += ["--predict", name]
    return shlex.join([*words, "--out", "formulas.csv"])
