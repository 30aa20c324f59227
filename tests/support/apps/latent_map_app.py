"""A page for the browser tests: made points with a cluster apart from the rest, colored two ways."""

import numpy as np
import streamlit as st

from matgen_core.latent import selection
from matgen_core.views.maps import framing
from matgen_core.views.maps import scene as map_scene
from matgen_core.views.maps.events import MapEvents
from pages._parts.components.latent_map import latent_map

st.set_page_config(layout="wide")
n = st.session_state.setdefault("n", int(st.query_params.get("n", "100000")))  # a page switch drops the query


@st.cache_resource
def made_points(n: int) -> dict[str, object]:
    """Nine tenths in blobs, one tenth (every tenth point) in a square far to the lower right."""
    rng = np.random.default_rng(7)
    centers = rng.uniform(-6, 6, (24, 2))
    cluster = rng.integers(0, 24, n)
    spread = rng.uniform(0.25, 1.1, 24)
    xy = centers[cluster] + rng.normal(size=(n, 2)) * spread[cluster, None]
    apart = np.arange(n) % 10 == 0
    xy[apart] = rng.uniform((9, -9), (11, -7), (apart.sum(), 2))
    kinds = np.array(["cubic", "tetragonal", "orthorhombic", "hexagonal", "trigonal", "monoclinic", "triclinic"])
    kind = kinds[np.where(apart, 0, cluster % 7)]
    gap = np.abs(xy[:, 0]) + rng.exponential(0.4, n)
    gap[::50] = np.nan
    some = np.array([f"Li{i % 9 + 1}Sn{i % 4 + 1}O{i % 12 + 1}" for i in range(36)])
    formulas = some[np.arange(n) % 36]
    return {
        "xy": xy,
        "apart": apart,
        "formulas": formulas,
        "points": map_scene.point_cloud(xy),
        "Crystal system": map_scene.color_by_category(kind, label="Crystal system", order=kinds.tolist()),
        "Band gap": map_scene.color_by_value(gap, label="Band gap", unit="eV"),
        "hover": map_scene.hover_text(
            {"Formula": formulas, "Row": np.arange(n), "Space group": kind, "Band gap": gap},
            {"Band gap": "eV"},
        ),
    }


def map_page() -> None:
    """Show the map and, in words, what came up from it."""
    made = made_points(n)
    state = st.session_state
    st.session_state.runs = state.get("runs", 0) + 1

    def on_event(events: MapEvents) -> None:
        if events.lasso is not None:
            chosen = selection.select(made["xy"], state.get("selected"), events.lasso)
            state.selected = chosen if chosen.any() else None
            state.vertices = len(events.lasso.polygon)
        if events.clicked is not None:
            state.clicked = events.clicked
        if events.step is not None:
            state.step = events.step
        if events.camera is not None:
            state.camera = events.camera

    color = st.selectbox("Color", ["Crystal system", "Band gap"])
    if st.button("Look at the square"):
        state.look = framing.Camera(10, -8, 3)
    extras = {}
    if st.query_params.get("extras"):
        xy = made["xy"]
        line = np.linspace(xy[1], (10, -8), 9)
        extras = {
            "paths": [map_scene.MapPath(line, label="A to B", off_data=(5, 6), current=3)],
            "markers": [
                map_scene.MapMarker(-2, 6, "my.cif"),
                map_scene.MapMarker(4, -6, "sample", kind="sample"),
            ],
            "labels": [map_scene.MapLabel(10, -6.6, "Perovskites"), map_scene.MapLabel(0, 0, "Spinels")],
            "links": [(3, j) for j in (11, 21, 33, 47, 58)],
        }
    scene = map_scene.MapScene(
        points=made["points"],
        coloring=made[color],
        hover=made["hover"],
        selected=state.get("selected"),
        camera=state.get("look"),
        axis_labels=("UMAP 1", "UMAP 2"),
        title="Latent map",
        noun="materials",
        **extras,
    )
    latent_map(scene, key="map", on_event=on_event)
    chosen = state.get("selected")
    st.text(f"selected={0 if chosen is None else int(chosen.sum())}")
    if chosen is not None:
        st.text(f"right={int((chosen & made['apart']).sum())} truth={int(made['apart'].sum())}")
    if chosen is not None and st.query_params.get("table"):
        st.dataframe(made["formulas"][chosen.nonzero()[0][:2_000]])
    st.text(f"clicked={state.get('clicked')} step={state.get('step')}")
    st.text(f"look={state.get('look')}")
    st.text(f"camera={state.get('camera')}")
    st.text(f"runs={state.runs} vertices={state.get('vertices')}")


def other_page() -> None:
    """Nothing of the map."""
    st.text("another page")


st.navigation([st.Page(map_page, title="Map", default=True), st.Page(other_page, title="Other")]).run()
