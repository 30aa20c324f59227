"""Bringing crystals: files, what another page handed over, or a generator."""

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from matgen_core.checkpoint import CheckpointError
from matgen_core.data import StructureFile
from matgen_core.data.uploads import LIMITS
from matgen_core.materials.levels import CRYSTAL
from matgen_core.tasks.validation import beside, inputs, protocol_with, sources
from matgen_core.tasks.validation.inputs import Candidate
from pages._parts.shared import bench_crystals, plain_text, widgets
from pages._parts.shared.bench_crystals import GIVEN, GIVEN_FROM, GIVEN_SOURCE, OWN
from pages._parts.shared.plain_text import code, plain
from pages._parts.validate import running
from pages._parts.words import glossary

GENERATOR = "A generator"
_PENDING = "validate_pending"
_ABOUT = {
    "ion_exchange": "like elements exchanged in known crystals: what a chemist does by hand",
    "random_elements": "any elements on known skeletons: the baseline",
    "distorted": "known crystals, distorted: the floor, nothing in it is new",
}
_SECONDS = {"7net-0": "the quick one", "7net-l3i5": "more exact, three times as long"}


def generators() -> list[str]:
    """Name what can make crystals here."""
    return [*sources.without_network(), *widgets.names_with("decode", CRYSTAL)]


def choose(whose: str) -> None:
    """Ask for crystals and for how they are relaxed."""
    with st.container(border=True):
        source = widgets.one_of("Crystals of", [OWN, GENERATOR], OWN, "validate_source", label_visibility="collapsed")
        made = _files() if source == OWN else _generator()
        if made is None:
            return
        n, words, title, about, make = made
        with st.container(horizontal=True, vertical_alignment="bottom"):
            names = beside.potentials()
            potential = st.selectbox(
                "Relaxed with",
                names,
                format_func=lambda each: f"{each}, {_SECONDS[each]}" if each in _SECONDS else each,
                key="validate_potential",
                width=280,
                bind="query-params",
                help=glossary.help_on("potential", "relaxation"),
            )
            if st.button(
                f"{words} {n:,} {'crystal' if n == 1 else 'crystals'}",
                icon=":material/play_arrow:",
                type="primary",
                disabled=not n,
            ):
                begin(whose, title, about, make, potential)


def begin(whose: str, title: str, about: dict[str, Any], make: Callable[[], list[Candidate]], potential: str) -> None:
    """Make the crystals, put the work in line and open it, or say why not."""
    try:
        with st.spinner("Making the crystals …" if "generator" in about else "Laying them out …"):
            protocol = protocol_with(potential, 300)
            work = running.line().begin(make(), protocol, title, whose, about)
    except (CheckpointError, ValueError, OSError) as error:
        plain_text.error(error)
        return
    st.session_state.pop(GIVEN, None)
    running.look_at(work)
    st.rerun()


def example(whose: str) -> None:
    """Offer eight crystals of the first generator that is here."""
    names = generators()
    if not names:
        return
    name = names[0]
    is_first = st.session_state.get("validate_source", OWN) == OWN and not st.session_state.get(GIVEN)
    if st.button(
        f"Try with {sources.EXAMPLE} crystals",
        icon=":material/science:",
        type="primary" if is_first else "secondary",  # one thing to do next
        key="validate_try",
    ):
        about = {"generator": name, "n": sources.EXAMPLE, "seed": 0}
        begin(whose, _title(name, sources.EXAMPLE, 0), about, _maker(name, sources.EXAMPLE, 0), beside.potentials()[0])
    st.caption(f"{sources.EXAMPLE} samples of {code(name)}{': ' + _ABOUT[name] if name in _ABOUT else ''}.")


_Made = tuple[int, str, str, dict[str, Any], Callable[[], list[Candidate]]]


def _files() -> _Made | None:
    """Crystals of files, or of another page."""
    if pending := st.session_state.pop(_PENDING, ""):
        with st.spinner("Reading the files …"):
            held = st.session_state.get(pending) or []
            _take(bench_crystals.read_uploaded(held), held[0].name if len(held) == 1 else f"{len(held)} files")
    given: list[StructureFile] = st.session_state.get(GIVEN, [])
    if not given:
        key = f"validate_upload_{st.session_state.get('validate_uploads', 0)}"
        st.file_uploader(
            "CIF, POSCAR, extended XYZ, or a zip of them",
            accept_multiple_files=True,
            key=key,
            on_change=_wait_for,
            args=(key,),
        )
        st.caption(
            f"{LIMITS[0].upper()}{LIMITS[1:]}. Crystals that are judged are kept on this machine until you remove them."
        )
        return None
    origin = str(st.session_state.get(GIVEN_FROM, "files"))
    there = [each for each in inputs.of_files(given) if each.can_be_judged]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{len(there):,} crystals** of {plain(origin)} are ready", width="content")
        if len(there) < len(given):
            st.badge(f"{len(given) - len(there)} cannot be judged", color="orange", icon=":material/warning:")
        st.button("Others instead", icon=":material/close:", on_click=_forget)
    left_out = [each for each in inputs.of_files(given) if not each.can_be_judged]
    for each in left_out[:5]:
        st.caption(f":material/warning: {plain(each.name)}: {plain(each.problem)}")
    if len(left_out) > 5:
        st.caption(f"and {len(left_out) - 5} more; each has its row in the table, with the reason.")
    about = {"from": origin, **st.session_state.get(GIVEN_SOURCE, {})}
    return len(there), "Relax and judge", origin, about, lambda: inputs.of_files(given)


def _generator() -> _Made | None:
    """Samples of a generator."""
    names = generators()
    if not names:
        st.info("No generator of crystals is present. Make one with: `matgen train icsg3d`")
        return None
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox("Generator", names, key="validate_generator", bind="query-params", width=230)
        n = widgets.whole_number("Samples", 1, beside.MAX_CRYSTALS, 20, "n", width=120)
        seed = widgets.whole_number("Seed", 0, 2**31 - 1, 0, "seed", width=120)
    if name in _ABOUT:
        st.caption(f"{_ABOUT[name][0].upper()}{_ABOUT[name][1:]}. No network is in it.")
    else:
        st.caption("A sample that is no crystal counts, too.")
    about = {"generator": name, "n": n, "seed": seed}
    return n, "Make and judge", _title(name, n, seed), about, _maker(name, n, seed)


def _title(name: str, n: int, seed: int) -> str:
    return f"{name}, {n:,} samples, seed {seed}"


def _maker(name: str, n: int, seed: int) -> Callable[[], list[Candidate]]:
    return lambda: sources.of_generator(name, n, seed, widgets.read)


def _wait_for(key: str) -> None:
    st.session_state[_PENDING] = key


def _take(files: Sequence[StructureFile], origin: str) -> None:
    st.session_state[GIVEN], st.session_state[GIVEN_FROM] = list(files), origin
    st.session_state.pop(GIVEN_SOURCE, None)


def _forget() -> None:
    st.session_state.pop(GIVEN, None)
    st.session_state["validate_uploads"] = st.session_state.get("validate_uploads", 0) + 1
