"""Maps that a visitor asks for, made in a process of their own while the page stays as it is."""

from typing import Any

import streamlit as st

from matgen_core import checkpoint as checkpoints
from matgen_core.latent import projection
from matgen_core.latent.projection import METRICS, ProjectionSettings
from matgen_core.latent.worker import MAX_POINTS, seconds
from pages._parts.shared import job_words, latent_maps, plain_text, widgets
from pages._parts.shared.plain_text import plain


def button(name: str, shown: Any) -> None:
    """Show the settings of a new map behind a button.

    Args:
        name: The model.
        shown: Which materials are found and selected, (n_materials,); None for all.
    """
    n_all = len(latent_maps.map_table(name))
    n_shown = n_all if shown is None else int(shown.sum())
    with st.popover("New map", icon=":material/add_chart:", disabled="map_job" in st.session_state):
        st.markdown("**A map of your own**, made beside this page; it becomes one more projection here.", width=440)
        of = st.radio(
            "Made of",
            ["shown", "all"],
            format_func=lambda each: f"what is selected ({n_shown:,})" if each == "shown" else f"all ({n_all:,})",
            horizontal=True,
            key="new_of",
            disabled=shown is None,
        )
        method = st.segmented_control(
            "Method",
            projection.METHODS,
            default="umap",
            required=True,
            format_func=widgets.PROJECTIONS.__getitem__,
            key="new_method",
        )
        settings = _settings(method or "umap")
        n_points = n_shown if shown is not None and of == "shown" else n_all
        st.caption(
            f"Takes about {job_words.about_seconds(*seconds(n_points, settings))}, the page stays usable meanwhile."
        )
        if st.button("Make the map", type="primary"):
            member = shown if shown is not None and of == "shown" else latent_maps.everyone(name)
            try:
                job = latent_maps.worker().submit(latent_maps.load_map(name).features[member], settings)
            except ValueError as error:
                plain_text.error(error)
            else:
                st.session_state["map_job"] = (name, checkpoints.fingerprint(name), job, member, settings.method)
                st.rerun(scope="app")
        st.caption(f"At most {MAX_POINTS:,} points. The others are drawn in gray, placed by their true neighbors.")


def _settings(method: str) -> ProjectionSettings:
    """Ask for the settings that a method reads."""
    fresh = ProjectionSettings()
    left, right = st.columns(2)
    seed = int(left.number_input("Seed", 0, 2**31 - 1, 0, key="new_seed"))
    if method == "pca":
        return ProjectionSettings("pca", seed)
    metric = right.selectbox("Metric", METRICS, key="new_metric")
    if method == "tsne":
        label, reach = "Perplexity: about how many neighbors count", fresh.perplexity
        perplexity = st.slider(label, 5.0, 100.0, reach, 1.0, key="new_perplexity")
        return ProjectionSettings("tsne", seed, metric=metric, perplexity=perplexity)
    n_neighbors = left.slider("Neighbors kept", 2, 100, fresh.n_neighbors, key="new_neighbors")
    min_dist = right.slider("Least distance", 0.0, 0.99, fresh.min_dist, key="new_min_dist")
    return ProjectionSettings("umap", seed, n_neighbors, min_dist, metric)


def show_job() -> None:
    """Show how the map that was asked for gets on, as long as there is one."""
    if "map_job" in st.session_state:
        _follow()


@st.fragment(run_every=1.0)
def _follow() -> None:
    name, of_folder, job, member, method = st.session_state["map_job"]
    if checkpoints.fingerprint(name) != of_folder:
        job.stop()
        del st.session_state["map_job"]
        plain_text.warning(f"No map was made: {name} has been replaced or removed meanwhile.")
        return
    status = job.status()
    if job.result is not None:
        del st.session_state["map_job"]
        made = projection.subset_map(latent_maps.load_map(name).features, member, job.result)
        key = latent_maps.keep_own_map(name, made)
        if st.session_state.get("map") == name:
            st.session_state["next_projection"] = key
        st.rerun(scope="app")
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        if status.is_over:
            st.markdown(f"No map was made: {plain(job_words.line(status))}.", width="stretch")
            if st.button("Close"):
                del st.session_state["map_job"]
                st.rerun(scope="app")
            return
        with st.container(width="stretch"):
            n_points = int(member.sum())
            takes = job_words.about_seconds(*seconds(n_points, projection.ProjectionSettings(method)))
            of = f"{widgets.PROJECTIONS[method]} of {n_points:,} points, about {takes} in all"
            st.progress(status.share or 0.0, plain(f"{of}: {job_words.line(status, job_words.stage(status))}"))
        if st.button("Cancel", icon=":material/close:"):
            job.stop()
            del st.session_state["map_job"]
            st.rerun(scope="app")
