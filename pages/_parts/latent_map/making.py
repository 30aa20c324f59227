"""How a map was made, one click away: method, settings, seed, points, grades."""

import streamlit as st

from matgen_core.latent.projection import N_SEEDS, ProjectionSettings
from pages._parts.shared import latent_maps, widgets
from pages._parts.shared.plain_text import plain


def button(name: str, projection: str) -> None:
    """Show behind a button how a map was made and how far it can be trusted."""
    how = [f"**{plain(title)}** {plain(text)}" for title, text in facts(name, projection)]
    with st.popover("How made", icon=":material/info:", help="Method, settings, seed, points and grades of this map"):
        for each in how:
            st.markdown(each, width=460)
        st.caption(latent_maps.grades_in_words(name, projection))


def facts(name: str, key: str) -> list[tuple[str, str]]:
    """Say how a map was made, a title and its words each."""
    own, model = latent_maps.own_maps(name).get(key), widgets.read(name)
    n_all = len(latent_maps.map_table(name))
    told = model.provenance
    settings = own.made.settings if own else ProjectionSettings(key, int(told.get("seed", 0)))
    of_points = [
        ("Method", widgets.PROJECTIONS.get(settings.method, settings.method)),
        ("Settings", latent_maps.settings_in_words(settings)),
        ("Made of", f"{latent_maps.load_map(name).features.shape[1]} coordinates in the"
         f" {latent_maps.load_map(name).measured_in} of {name}"),
    ]  # fmt: skip
    if own:
        return [
            *of_points,
            ("Points", f"{int(own.member.sum()):,} shaped it; the others were placed by their neighbors"),
        ]
    rows = sum(told.get("rows", {}).values()) if isinstance(told.get("rows"), dict) else 0
    why = (
        f", drawn at random with seed {told.get('seed', 0)} of {rows:,} rows of data: a map has a place for every point"
        " to be seen, and the grades compare every pair of points"
        if rows > n_all
        else ""
    )
    return [
        *of_points,
        ("Points", f"{n_all:,}{why}"),
        ("Stability", f"over {N_SEEDS} further seeds"),
        (
            "Checkpoint",
            f"{name}, commit {told.get('commit', 'unknown')}, trained {told.get('trained', 'on an unknown day')}",
        ),
    ]
