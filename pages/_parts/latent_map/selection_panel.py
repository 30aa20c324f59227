"""What is found and selected on the latent map: its table, how it differs from the rest, its files."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd
import streamlit as st

from matgen_core.latent import groups
from matgen_core.latent.selection import Selection
from matgen_core.materials.levels import CRYSTAL, PHASE_FIELD
from matgen_core.tasks.crystals.export import MOST_CRYSTALS, cif_zip
from matgen_core.tasks.origin import origin
from matgen_core.views import charts
from pages._parts.latent_map import map_state
from pages._parts.shared import latent_maps, widgets
from pages._parts.shared.plain_text import plain

MOST = 2_000  # rows of the table of a selection
DRAWN = 6  # columns that are drawn: those that differ most
VIEWS = ("Table", "Compared with the rest")


def panel(name: str, projection: str, shown: Any, chosen: Selection | None) -> None:
    """Show what is found and selected.

    Args:
        name: The model.
        projection: The map that is shown.
        shown: Which materials are found and selected, (n_materials,).
        chosen: What outlines have chosen; None if nothing but the search did.
    """
    table = latent_maps.map_table(name)
    rows, level, noun = table[shown], latent_maps.level(name), latent_maps.noun(name)
    head = st.container(horizontal=True, vertical_alignment="center")
    head.subheader(f"{'Found' if chosen is None else 'Selected by lasso'}: {len(rows):,} {noun}", width="stretch")
    with head:
        view = st.segmented_control(
            "View", VIEWS, default=VIEWS[0], required=True, key="selection_view", label_visibility="collapsed"
        )
        if chosen is not None:
            st.button("Clear selection", on_click=map_state.set_selection, args=(name, None))
    if chosen is not None:
        st.caption(
            f"{map_state.outside_share(name, chosen):.0%} of the 15 true neighbors of the points in your outlines lie"
            " outside them: near 0% you have cut out a group of its own, near 100% you have cut through one."
        )
    if view == VIEWS[1]:
        compare(name, shown)
        return
    grades = [f"{projection}_{grade}" for grade in ("faithfulness", "stability")]
    columns = latent_maps.map_table_columns(name)
    wanted = ["name"] if level is PHASE_FIELD else ["id", "formula"]
    wanted += [column.name for column in columns] + [grade for grade in grades if grade in rows]
    listed = rows[wanted]
    widgets.field_table(listed.head(MOST), "selected_rows", map_state.look_at, 320, columns)
    with st.container(horizontal=True, vertical_alignment="center"):
        settings = made_with(name, projection)
        about = outlines_json(origin([name], settings), rows, chosen)
        widgets.download(listed, "selection.csv", models=[name], settings=settings)
        widgets.download_text(about, "selection.json", "Save outlines and filters")
        if level is CRYSTAL:
            crystals(name, [row for row, each in enumerate(shown) if each], about)
        if len(listed) > MOST:
            st.caption(f"The table shows the first {MOST:,} of {len(listed):,}; the file has them all.")


def made_with(name: str, projection: str) -> dict[str, Any]:
    """Return what this selection was made with: the map, the search and the filters, as far as they say something."""
    state, own = st.session_state, latent_maps.own_maps(name).get(projection)
    said = {
        "projection": "" if own else projection,
        "own_map": asdict(own.made.settings) if own else None,
        "search": state.get("find"),
        "must_hold": state.get("holds"),
        "must_not_hold": state.get("never"),
        "ranges": state.get("ranges"),
    }
    return {key: value for key, value in said.items() if value}


def outlines_json(made_by: Mapping[str, str], rows: pd.DataFrame, chosen: Selection | None) -> str:
    """Write down what was drawn and searched to choose these materials."""
    about = {**made_by, "shown": list(rows["key"])}
    return (chosen or Selection(rows["key"].isna().to_numpy())).as_json(**about)


def compare(name: str, shown: Any) -> None:
    """Draw the columns in which the shown materials differ most from the others."""
    found = groups.differences(latent_maps.map_table(name), latent_maps.map_table_columns(name), shown)
    st.markdown(
        ":small[:orange[■] selected · :gray[■] the rest, each as a share of its own number. Ordered by effect size,"
        " from −1 to 1: for numbers Cliff's δ, the chance that a selected material has the higher value less the chance"  # noqa: RUF001
        " that it has the lower one; for classes and elements the largest difference of shares.]"
    )
    for start in range(0, min(DRAWN, len(found)), 3):
        for place, each in zip(st.columns(3, gap="medium"), found[start : start + 3], strict=False):
            with place:
                st.markdown(f"**{plain(each.column.title)}**  \n:small[{plain(each.sentence)}]")
                widgets.chart(
                    charts.difference(each),
                    f"difference_{each.column.name}",
                    f"{each.column.title}, selected and rest: {each.sentence}",
                )
    if len(found) > DRAWN:
        others = ", ".join(f"{each.column.label} {abs(each.effect):.2f}" for each in found[DRAWN:])
        st.caption(f"They differ less in: {plain(others)}.")


def crystals(name: str, rows: Sequence[int], about: str) -> None:
    """Decode the crystals of a selection on request and offer them as one file."""
    asked = (name, about)
    too_many = len(rows) > MOST_CRYSTALS
    place = st.empty()  # the button that asks gives way to the one that saves
    if st.session_state.get("cif_zip", (None, b""))[0] != asked:
        wanted = place.button(
            "Decode to CIF files",
            icon=":material/deployed_code:",
            disabled=too_many,
            help=f"at most {MOST_CRYSTALS:,} at once; select fewer" if too_many else "a zip, with a row for each",
        )
        if not wanted:
            return
        bar = place.progress(0.0, f"Decoding {len(rows):,} crystals …")

        def tell(done: int) -> None:
            bar.progress(done / len(rows), f"Decoded {done:,} of {len(rows):,} crystals")

        packed = cif_zip(latent_maps.load_map(name), latent_maps.map_table(name), rows, about, tell)
        st.session_state["cif_zip"] = (asked, packed)
    place.download_button(
        f"Save {len(rows):,} crystals (zip)",
        st.session_state["cif_zip"][1],
        f"{name}_selection.zip",
        "application/zip",
        on_click="ignore",
        icon=":material/download:",
        type="primary",
    )
