"""Translate: two binary hydrides are chosen, and become ternary ones, with the way between them."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import streamlit as st

from matgen_core.materials.formulas import subscripted
from matgen_core.tasks.crystals import sampling, translated
from matgen_core.tasks.crystals.translated import Pair
from matgen_core.views.crystals.bench import UPLOAD
from pages._parts.crystals import cards, making, results
from pages._parts.crystals.asking import HALTED, SAMPLE
from pages._parts.crystals.cards import Card
from pages._parts.shared import bench_crystals, plain_text, widgets
from pages._parts.shared.folder_caches import by_folder
from pages._parts.shared.plain_text import plain
from pages._parts.words import glossary

PAIR = "translated"  # in the address: what is shown
_MODEL, _FIRST, _SECOND, _N, _SEED = "translator", "first_hydride", "second_hydride", "tries", "translation_seed"
_OF_THE_WAY = ("strict_distances", "volume_per_atom_in_range")  # its ends are known, and metals alone have no charges
_FILLED, _UPLOADS = "translated_filled", "hydride_uploads"


@by_folder(st.cache_resource, max_entries=2, show_spinner="Reading the known hydrides …")
def _binaries(name: str) -> dict[str, Any]:
    return translated.binaries(widgets.read(name))


def hydrides(name: str) -> dict[str, Any]:
    """Return the crystals to choose from, by what a link calls them: the known ones, and the visitor's own files."""
    own = {f"{UPLOAD}:{digest}": file.structure for digest, file in bench_crystals.uploads().items()}
    return {**_binaries(name), **own}


def _label(key: str) -> str:
    if key.startswith(f"{UPLOAD}:"):
        file = bench_crystals.uploads().get(key.partition(":")[2])
        return file.name if file else "a file of another session"
    if key.startswith("ideal-"):
        return f"{subscripted(key.removeprefix('ideal-'))} · ideal"
    formula, _, name = key.partition("-")
    return f"{subscripted(formula)} · {name}"


def shown(names: list[str]) -> Pair | None:
    """Return what is shown, None for nothing yet, and fill the inputs with it when it comes from elsewhere.

    Raises:
        ValueError: If the address asks for what cannot be.
    """
    text = widgets.remembered(PAIR)
    if not text:
        return None
    asked = Pair.read(text)
    if asked.model not in names:
        raise ValueError(f"{asked.model[:80]!r} translates nothing here; these do: {', '.join(names)}")
    there = hydrides(asked.model)
    for key in (asked.first, asked.second):
        if key not in there:
            raise ValueError(f"{key[:80]!r} is no hydride here; choose another, or hand over the file again")
    if st.session_state.get(_FILLED) != text or _N not in st.session_state:
        st.session_state[_FILLED], st.session_state[_MODEL] = text, asked.model
        st.session_state[_FIRST], st.session_state[_SECOND] = asked.first, asked.second
        st.session_state[_N], st.session_state[_SEED] = asked.n, asked.seed
    return asked


def ask(names: list[str]) -> Pair:
    """Ask for two hydrides, and return what would be translated."""
    name = names[0]
    if len(names) > 1:
        name = widgets.choose_checkpoint("Translator", names, key=_MODEL, recipe="crystalgan_hydride", width=170)
    there = hydrides(name)
    first, second, *_ = there
    st.session_state.setdefault(_FIRST, first)
    st.session_state.setdefault(_SECOND, second)
    for key, usual in ((_FIRST, first), (_SECOND, second)):
        if st.session_state[key] not in there:
            st.session_state[key] = usual
    help_text = glossary.help_on("translation")
    labels = {key: _label(key) for key in there}
    one = st.selectbox(
        "First hydride", list(labels), format_func=labels.__getitem__, key=_FIRST, width=165, help=help_text
    )
    other = st.selectbox("Second hydride", list(labels), format_func=labels.__getitem__, key=_SECOND, width=165)
    st.session_state.setdefault(_N, translated.EXAMPLE)
    st.session_state.setdefault(_SEED, 0)
    n = int(st.number_input("Tries", 1, sampling.MOST, key=_N, width=90))
    seed = int(st.number_input("Seed", 0, sampling.MOST_SEED - 1, key=_SEED, width=90))
    asked = Pair(name, one, other, n, seed)
    with st.popover("Files", icon=":material/upload_file:"):
        key = f"{_UPLOADS}_{st.session_state.get(_UPLOADS, 0)}"
        st.file_uploader(
            "Hydrides as CIF, POSCAR or extended XYZ",
            accept_multiple_files=True,
            key=key,
            on_change=partial(_take, key),
        )
        st.caption("Each joins both lists. Files stay in this session and are written nowhere.")
    st.button("Translate", icon=":material/play_arrow:", type="primary", on_click=translate, args=(asked,))
    for line in st.session_state.pop("hydride_problems", []):
        plain_text.error(line)
    return asked


def _take(key: str) -> None:
    """Read the files that were just handed over, and empty the uploader."""
    read = bench_crystals.read_uploaded(st.session_state[key])
    st.session_state["hydride_problems"] = [f"{each.name}: {each.problem}" for each in read if each.problem]
    kept = bench_crystals.keep(read)
    for place, entry in zip((_FIRST, _SECOND), kept, strict=False):
        st.session_state[place] = str(entry)
    st.session_state[_UPLOADS] = st.session_state.get(_UPLOADS, 0) + 1


def translate(asked: Pair) -> None:
    """Show what is asked for from now on."""
    st.session_state[PAIR] = st.session_state[_FILLED] = str(asked)
    st.session_state[SAMPLE], st.session_state[HALTED] = "", None


def way(asked: Pair, there: Mapping[str, Any]) -> None:
    """Show the crystals from the first hydride to its translation, and the second."""
    steps = making.way(asked, there[asked.first], there[asked.second])
    st.markdown("**From one to the other** :small[one metal atom more of the second at each step]")
    shown = [
        Card(-1 - place, told, each.row, "", partial(results.picture, each)) for place, (told, each) in enumerate(steps)
    ]
    cards.grid(shown, _OF_THE_WAY, len(shown), min_width=175)


def same_in_python(asked: Pair) -> str:
    """Return the Python that does the same."""
    return f"""
from matgen_core import checkpoint
from matgen_core.materials.formulas import subscripted
from matgen_core.tasks.crystals import sampling, translated

asked = translated.{asked!r}
model = checkpoint.load(asked.model)
there = translated.binaries(model)  # or your own, as pymatgen reads them
made = list(translated.samples(model, asked, there[asked.first], there[asked.second]))
print(sampling.table(made, asked).to_string())
"""


def about(name: str) -> None:
    """Say what comes out, where nothing was translated yet."""
    with st.container(border=True):
        st.markdown("**What you get**")
        st.markdown(
            "- **Ternary hydrides** of both metals, small: those that failed keep their place, and count\n"
            "- **The way** from one hydride to the other, one metal atom more at each step\n"
            "- **Lights**: distances between metals as the paper counts them, all distances, volume, known or not\n"
            "- **On from there**: to the bench, to Validate, as files",
            help=glossary.help_on("translation", "sample", "novel"),
        )
        st.caption(plain(f"{name} takes hydrides of one metal alone, and two different metals."))
