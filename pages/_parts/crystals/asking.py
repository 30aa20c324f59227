"""What is asked of a generator of crystals: how many, under which condition, from which seed.

The address holds what is shown, so that a link opens the same crystals; the inputs hold what would be made next.
"""

import streamlit as st

from matgen_core.latent.space import LatentSpace
from matgen_core.materials.properties import property_named
from matgen_core.tasks.crystals import sampling
from matgen_core.tasks.crystals.sampling import Asked, Class
from pages._parts.shared import plain_text, widgets
from pages._parts.shared.plain_text import plain
from pages._parts.words import glossary

SHOWN, SAMPLE = "crystals", "sample"  # in the address: what is shown, and which of its samples is looked at
HALTED = "crystals_halted"  # what the visitor has stopped
_GENERATOR, _SAMPLES, _SEED = "crystal_model", "crystal_samples", "crystal_seed"
_FILLED = "crystals_filled"  # what the inputs were last filled with
_CELL, _ANY = "crystal_cell", "any"


def shown(names: list[str]) -> Asked | None:
    """Return what is shown, None for nothing yet, and fill the inputs with it when it comes from elsewhere.

    Args:
        names: The generators that are here.

    Raises:
        ValueError: If the address asks for what cannot be; CheckpointError if the generator cannot be used.
    """
    text = widgets.remembered(SHOWN)
    if not text or not names:
        return None
    asked = Asked.read(text)
    if asked.model not in names:
        raise ValueError(f"{asked.model[:80]!r} makes no crystals here; these do: {', '.join(names)}")
    asked = sampling.settled(LatentSpace.of(widgets.read(asked.model)), asked)
    if st.session_state.get(_FILLED) != text or _SAMPLES not in st.session_state:
        st.session_state[_FILLED] = text
        st.session_state[_GENERATOR], st.session_state[_SAMPLES] = asked.model, asked.n
        st.session_state[_SEED] = asked.seed
        st.session_state[_CELL] = asked.composition or _ANY
        for name, value in asked.wanted:
            st.session_state[_key(name)] = value
    return asked


def ask(names: list[str]) -> tuple[Asked, str]:
    """Ask for a generator and for what it allows; return it, and why it cannot be made, "" if it can."""
    name = widgets.choose_checkpoint("Generator", names, key=_GENERATOR, recipe="icsg3d", width=200)
    space = LatentSpace.of(widgets.load(name))
    wanted = [(each, value) for each in space.condition_properties if (value := _wish(space, each)) is not None]
    cell = _cell(space) if space.takes_composition else ""
    st.session_state.setdefault(_SAMPLES, sampling.EXAMPLE)
    st.session_state.setdefault(_SEED, 0)
    n = int(st.number_input("Samples", 1, sampling.MOST, key=_SAMPLES, width=110))
    seed = int(st.number_input("Seed", 0, sampling.MOST_SEED - 1, key=_SEED, width=130))
    asked, problem = Asked(name, n, seed, tuple(wanted), cell), ""
    try:
        asked = sampling.settled(space, asked)
    except ValueError as error:
        problem = str(error)
    st.button(
        "Generate",
        icon=":material/play_arrow:",
        type="primary",
        disabled=bool(problem),
        on_click=generate,
        args=(asked,),
    )
    return asked, problem


def _key(name: str) -> str:
    return f"crystal_{name}"


def _wish(space: LatentSpace, name: str) -> float | None:
    """Ask for a value of a property, or for one of its classes where the model tells only these apart."""
    key, title = _key(name), plain(property_named(name).column.title)
    help_text = glossary.help_on("condition", "formation_energy")
    classes = sampling.classes(space, name)
    if not classes:
        return st.number_input(title, value=None, key=key, width=215, placeholder=_ANY, help=help_text)
    titles: dict[float | str, str] = {_ANY: _ANY, **{each.value: _title(each) for each in classes}}
    chosen = st.selectbox(title, list(titles), format_func=titles.__getitem__, key=key, width=190, help=help_text)
    return chosen if isinstance(chosen, float) else None


def _cell(space: LatentSpace) -> str:
    """Ask for the atoms of a cell: one that the model has learned, or any other that it holds."""
    options = [_ANY, *sampling.learned_compositions(space)]
    if (typed := st.session_state.get(_CELL)) and typed not in options:
        options.append(typed)
    chosen = st.selectbox(
        "Composition",
        options,
        key=_CELL,
        width=210,
        accept_new_options=True,
        help=f"One that it has learned, or type any other of {', '.join(space.representation.elements)} that its slots"
        f" hold. With atoms that have a common divisor it is the cell itself. “{_ANY}” draws among those learned.",
    )
    return "" if chosen in (None, _ANY) else str(chosen)


def _title(each: Class) -> str:
    low, high = (None if edge is None else f"{edge:.2f}".replace("-", "\u2212") for edge in (each.low, each.high))
    if low is None:
        return f"below {high}"
    return f"above {low}" if high is None else f"{low} to {high}"


def generate(asked: Asked) -> None:
    """Show what is asked for from now on."""
    st.session_state[SHOWN] = st.session_state[_FILLED] = str(asked)
    st.session_state[SAMPLE], st.session_state[HALTED] = "", None


def warnings(asked: Asked) -> None:
    """Say of what is asked for that the model has hardly seen the like, where that is so."""
    for line in LatentSpace.of(widgets.load(asked.model)).far_from_training(dict(asked.wanted)):
        plain_text.warning(f"{line.replace('_', ' ')}: it is asked for, and the model has hardly seen the like.")


def same_in_python(asked: Asked) -> str:
    """Return the Python that does the same."""
    return f"""
from matgen_core import checkpoint
from matgen_core.tasks.crystals import sampling

asked = sampling.{asked!r}
made = list(sampling.samples(checkpoint.load(asked.model), asked))
print(sampling.table(made, asked).to_string())
"""
