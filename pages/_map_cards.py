"""The card of the material that the visitor looks at on the latent map."""

import streamlit as st

from matgen_core import bench, crystal_scene, ranking, structure_report
from pages import _maps, _structures, _widgets
from pages._components.crystal_viewer import crystal_viewer
from pages._map_state import look_at


def field_card(name: str, projection: str, field: str) -> None:
    """Show one phase field: its score and what lies near."""
    try:
        st.subheader(ranking.chemists_order(field))
    except ValueError as error:
        st.error(f"{field} is no phase field: {error}; click a point or search for one")
        return
    row = _maps.row_of(name, field)
    if row is not None:
        known = _maps.map_table(name).iloc[row]
        st.badge("known: in the training data", color="gray")
        st.markdown(f"Score **{known['reconstruction_error']:.2f}**. {_kept(name, projection, row)}")
    else:
        try:
            score = float(ranking.score(_widgets.load(name), [tuple(field.split("-"))]).mean())
        except ValueError as error:
            st.error(str(error))
            return
        st.badge("not in the training data", color="orange")
        st.markdown(f"Score **{score:.2f}**. Placed on the map by its true neighbors.")
    _maps.nearest_known([name], field, "near", look_at)


def crystal_card(name: str, projection: str, key: str) -> None:
    """Show one crystal: what the model decodes of it, its values and what lies near."""
    row = _maps.row_of(name, key)
    if row is None:
        st.error(f"{key} is not among the crystals of {name}; click a point or search for a formula")
        return
    known = _maps.map_table(name).iloc[row]
    st.subheader(known["name"])
    st.caption(f"{key}. {_kept(name, projection, row)}")
    show_decoded(name, row)
    _structures.open_on_bench([bench.Entry(name, key)], "open_on_bench")
    _widgets.values(known, _maps.map_table_columns(name))
    _maps.nearest_known([name], key, "near", look_at)


def _kept(name: str, projection: str, row: int) -> str:
    """Say how faithful the map is to one point."""
    kept = _maps.faithfulness(name, projection)[row]
    if kept != kept:
        return "It did not shape this map and was placed on it by its true neighbors."
    of = " of the map's points" if projection in _maps.own_maps(name) else ""
    return f"The map keeps {kept:.0%} of its 15 true neighbors{of}."


def show_decoded(name: str, row: int) -> None:
    """Show the decoded crystal, beside the original where its data set is installed."""
    decoded = _maps.decoded(name, row)
    shown, captions, missing = [], [], ""
    try:
        original = _maps.original(name, row)
        shown.append(crystal_scene.scene(original))
        captions.append("original")
    except ValueError as error:
        original, missing = None, str(error)
    if decoded.problem is None:
        shown.append(crystal_scene.scene(decoded.material))
        captions.append("decoded from its latent point")
    if shown:
        crystal_viewer(shown, key="crystals", captions=captions, height=340)
    if decoded.problem is not None:
        st.error(f"The latent point does not decode: {decoded.problem}")
    elif original is not None:
        difference = structure_report.compare(original, decoded.material)
        st.markdown(
            f"Comes back with RMSD **{difference.rmsd_angstrom:.3f} Å**."
            if difference.rmsd_angstrom is not None
            else f"Does not come back: {difference.problem}."
        )
    if missing:
        st.caption(f"The original is not shown: {missing}.")
