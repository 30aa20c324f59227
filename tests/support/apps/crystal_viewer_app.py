"""A page with the crystal viewer alone, for tests: structures to choose, the picks shown as JSON."""

import json
from dataclasses import asdict
from typing import Any

import streamlit as st
from pymatgen.core import Lattice, Structure

from matgen_core.views.crystals.scene import scene
from pages._parts.components.crystal_viewer import crystal_viewer
from tests.support.crystals import of_group


@st.cache_resource
def structures() -> dict[str, Structure]:
    return {
        "rutile": of_group("P4_2/mnm", Lattice.tetragonal(4.594, 2.959), ["Ti", "O"], [[0, 0, 0], [0.305, 0.305, 0]]),
        "perovskite": of_group(
            "Pm-3m", Lattice.cubic(3.905), ["Sr", "Ti", "O"], [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0]]
        ),
        "heusler": of_group(
            "Fm-3m", Lattice.cubic(5.654), ["Co", "Mn", "Si"], [[0.25, 0.25, 0.25], [0, 0, 0], [0.5, 0.5, 0.5]]
        ),
        "rock salt": of_group("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
    }


@st.cache_data
def drawn(name: str, cells: int) -> dict[str, Any]:
    return scene(structures()[name], (cells, 1, 1))


def bench() -> None:
    names = st.multiselect("Structures", list(structures()), ["rutile"], key="names", max_selections=4)
    cells = st.number_input("Cells along a", 1, 4, 1, key="cells")
    st.session_state["runs"] = st.session_state.get("runs", 0) + 1
    events = crystal_viewer(
        [drawn(name, int(cells)) for name in names], key="bench", captions=names, height=440, report_view=True
    )
    st.text("EVENTS " + json.dumps(asdict(events)))
    st.text(f"RUNS {st.session_state['runs']}")


def elsewhere() -> None:
    st.text("ELSEWHERE")


st.set_page_config(layout="wide")
st.navigation([st.Page(bench, default=True), st.Page(elsewhere)]).run()
