"""What the bench says of the crystals on it: sites, powder patterns, properties, comparison, files."""

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from matgen_core.data.structure_export import distinct_names
from matgen_core.materials import diffraction
from matgen_core.materials.levels import CRYSTAL
from matgen_core.tasks import prediction
from matgen_core.views import charts
from matgen_core.views.crystals.bench import Entry
from pages._parts.shared import bench_crystals, plain_text, widgets
from pages._parts.shared.bench_crystals import Crystal
from pages._parts.shared.plain_text import plain

NUMBER = st.column_config.NumberColumn


def deviation(crystal: Crystal) -> float | None:
    """How far a decoded crystal lies from the one that the model was given, if that is here and they match."""
    if not bench_crystals.has_original(crystal.entry):
        return None
    known = bench_crystals.find(Entry(crystal.entry.source, crystal.entry.key, True))
    table = bench_crystals.comparison(known, [crystal])
    return table["RMSD (Å)"].iloc[0]


def save(
    table: pd.DataFrame,
    file_name: str,
    crystals: Sequence[Crystal],
    models: Sequence[str] = (),
    **settings: Any,
) -> None:
    """Offer a table that says in each row what it is about, what made it and with which settings."""
    sources = [each.entry.source for each in crystals if not each.is_foreign]
    about = {each.label: bench_crystals.origin(each) for each in crystals}
    made_by = list(dict.fromkeys([*sources, *models]))
    widgets.download(table, file_name, models=made_by, settings={"structures": about, **settings})


def by_label(crystals: Sequence[Crystal]) -> dict[str, object]:
    """Return structures by the name that is shown."""
    return {each.label: each.structure for each in crystals}


def symprec() -> float:
    """The tolerance of symmetry that the visitor chose, in Å."""
    return float(st.session_state.get("symprec", 0.1))


def one_of(crystals: Sequence[Crystal], label: str, key: str) -> Crystal:
    """Let the visitor choose one of the crystals, if there are several."""
    if len(crystals) == 1:
        return crystals[0]
    labels = [each.label for each in crystals]
    if st.session_state.get(key) not in labels:
        st.session_state.pop(key, None)
    with st.container(width=340):
        chosen = st.selectbox(label, labels, key=key)
    return crystals[labels.index(chosen)]


def show_sites(crystals: Sequence[Crystal]) -> None:
    """The sites of one crystal."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        crystal = one_of(crystals, "Structure", "sites_of")
        with st.container(width=260):
            st.select_slider(
                "Tolerance of symmetry (Å)",
                (0.001, 0.01, 0.05, 0.1, 0.2, 0.3),
                value=0.1,
                key="symprec",
                help="How far an atom may lie from its symmetric place; 0.1 suits relaxed and decoded cells",
            )
    table, found = bench_crystals.sites(crystal, symprec()), bench_crystals.symmetry(crystal, symprec())
    about = f", point group {found.point_group}" if found.point_group else ""
    st.markdown(plain(f"{crystal.label}: {found.summary}{about}"))
    st.dataframe(
        table,
        hide_index=True,
        height="content" if len(table) <= 12 else 460,
        column_config={name: NUMBER(format="%.4f") for name in ("x", "y", "z")}
        | {f"{name} (Å)": NUMBER(format="%.3f") for name in ("X", "Y", "Z", "Nearest neighbor")},
        alt=f"{len(table)} sites of {crystal.label}",
    )
    save(table, "sites.csv", [crystal], symprec=symprec())


def on_pattern(key: str) -> None:
    """Read the measured pattern that was just handed over."""
    file = st.session_state[key]
    if file is None:
        st.session_state.pop("measured", None)
        return
    try:
        st.session_state["measured"] = file.name, bench_crystals.read_pattern(file)
        st.session_state.pop("measured_problem", None)
    except ValueError as error:
        st.session_state["measured_problem"] = str(error)


def show_diffraction(crystals: Sequence[Crystal]) -> None:
    """Powder patterns, with a measured one behind them."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        with st.container(width=170):
            radiation = st.selectbox(
                "Radiation",
                diffraction.RADIATIONS,
                format_func=bench_crystals.radiation_title,
                key="radiation",
                bind="query-params",
            )
        with st.container(width=330):
            two_theta = st.slider("2θ (degrees)", 2, 150, (10, 90), key="two_theta")
        with st.container(width=160):
            width = st.number_input("Peak width (degrees)", 0.02, 2.0, 0.15, 0.05, key="fwhm", help="at half maximum")
        stacked = len(crystals) > 1 and st.toggle("Stacked", value=True, key="stacked")
        with st.popover("Measured pattern", icon=":material/upload_file:"):
            st.file_uploader(
                "Columns 2θ (degrees) and intensity, or a file of Bruker, Rigaku, Malvern Panalytical, GSAS",
                key="measured_file",
                on_change=on_pattern,
                args=("measured_file",),
            )
            st.caption(
                "It is laid over the structure that it is most like: a flat background is taken off, then it is scaled."
            )
    limits = (float(two_theta[0]), float(two_theta[1]))
    if problem := st.session_state.get("measured_problem"):
        plain_text.error(problem)
    peaks, profiles = {}, {}
    for each in crystals:
        try:
            peaks[each.label] = bench_crystals.reflections(each, radiation, limits)
        except ValueError as error:
            plain_text.error(f"{each.label}: {error}")
            continue
        profiles[each.label] = diffraction.profile(peaks[each.label], width, limits)
    if not profiles:
        return
    overlay, over = None, ""
    if "measured" in st.session_state:
        name, measured = st.session_state["measured"]
        try:
            over, overlay, correlations = diffraction.best_overlay(measured, profiles)
            listed = ", ".join(f"{plain(label)} **{value:.3f}**" for label, value in correlations.items())
            st.markdown(
                f"Correlation of {plain(name)} with {listed}"
                " :small[(1 is the same shape; it says nothing of what a refinement would find)]"
            )
        except ValueError as error:
            plain_text.error(f"{name}: {error}")
    widgets.chart(
        charts.powder_pattern(profiles, peaks, overlay, 110.0 if stacked else 0.0, over),
        "pattern",
        f"Powder patterns of {', '.join(profiles)}",
    )
    st.caption(
        "Kinematic intensities: structure factors with Lorentz and polarization factors, no absorption, texture or"
        " thermal motion. Ticks are reflections; rest the pointer on one for hkl and d."
    )
    with st.expander("Reflections", icon=":material/table:"):
        crystal = one_of([each for each in crystals if each.label in peaks], "Structure", "reflections_of")
        st.dataframe(
            peaks[crystal.label],
            hide_index=True,
            height=300,
            column_config={
                "2 theta (degrees)": NUMBER("2θ (degrees)", format="%.3f"),
                "Intensity": NUMBER("Intensity (strongest 100)", format="%.2f"),
                "d (Å)": NUMBER(format="%.4f"),
            },
            alt=f"Reflections of {crystal.label}",
        )
        save(peaks[crystal.label], "reflections.csv", [crystal], radiation=radiation, two_theta=limits)


def show_properties(crystals: Sequence[Crystal]) -> None:
    """Predicted properties with uncertainty."""
    models = widgets.readable(widgets.names_with("predict", CRYSTAL))
    if not models:
        st.info("No checkpoint here predicts properties of crystals. Make one with: `matgen train cgcnn_energy`")
        return
    notes = {each.label: each.notes for each in crystals}
    table = bench_crystals.properties(models, [each.key for each in crystals], by_label(crystals), notes)
    for problem in dict.fromkeys(f"{row.structure}: {row.problem}" for row in table.itertuples() if row.problem):
        plain_text.error(problem)
    if len(crystals) == 1:
        st.dataframe(
            table.drop(columns=["structure", "problem", *(() if table["note"].any() else ("note",))]),
            hide_index=True,
            height="content",
            column_config={
                "property": "Property",
                "value": NUMBER("Predicted", format="%.3f"),
                "std": NUMBER("± (1 sigma)", format="%.3f", help="calibrated standard deviation of five networks"),
                "unit": st.column_config.TextColumn("Unit", width="small"),
                "mae": NUMBER("Model's mean error", format="%.3f", help="mean absolute error over its test crystals"),
                "n_test": NUMBER("Test crystals", format="localized"),
                "model": "Model",
                "note": "Remarks",
            },
            alt="Predicted properties",
        )
    else:
        st.dataframe(
            prediction.side_by_side(table),
            hide_index=True,
            height="content",
            column_config={
                "property": "Property",
                "unit": st.column_config.TextColumn("Unit", width="small"),
                "mae": NUMBER("Model's mean error", format="%.3f", help="mean absolute error over its test crystals"),
            },
            alt="Predicted properties side by side",
        )
    st.caption(
        "± is a calibrated standard deviation (two of three lie inside); the mean error is measured on chemical systems"
        " that the model never saw. Dielectric figures mean nothing for a metal, where the predicted gap is near 0."
        " What a model decodes is not relaxed, and its properties are predicted as it stands."
    )
    save(table, "properties.csv", crystals, models)


def show_comparison(crystals: Sequence[Crystal]) -> None:
    """All crystals against one of them."""
    if len(crystals) < 2:
        st.info("Add a second structure to compare with.")
        return
    reference = one_of(crystals, "Compare with", "compare_with")
    others = [each for each in crystals if each is not reference]
    table = bench_crystals.comparison(reference, others)
    st.dataframe(
        table,
        hide_index=True,
        height="content",
        column_config={
            "RMSD (Å)": NUMBER(format="%.4f", width=80),
            "Largest displacement (Å)": NUMBER("Largest shift (Å)", format="%.4f", width=110),
            **{f"Δ{axis} (%)": NUMBER(format="%+.2f", width=65) for axis in "abc"},
            **{
                f"Δ{name} (°)": NUMBER(f"Δ{symbol} (°)", format="%+.2f", width=62)
                for name, symbol in bench_crystals.ANGLES.items()
            },
            "Δ volume per site (%)": NUMBER("ΔV per site (%)", format="%+.2f", width=105),
            "Match": st.column_config.CheckboxColumn(width=55),
            "Structure": st.column_config.TextColumn(width=150),
            "Remark": st.column_config.TextColumn(width=250),
        },
        alt=f"Structures compared with {reference.label}",
    )
    st.caption(
        "Cells are reduced (Niggli) before they are compared; where the numbers of sites differ, primitive cells are."
        " Sites are matched within half of (volume per site)^(1/3), lengths within 30 %, angles within 10°; both cells"
        " keep their volume."
    )
    save(table, "comparison.csv", [reference, *others])


def show_export(crystals: Sequence[Crystal]) -> None:
    """Files of the structures."""
    crystal = one_of(crystals, "Structure", "export_of")
    stem = distinct_names([crystal.label])[0]
    with st.container(horizontal=True):
        for label, written, ending, kind in (
            ("CIF", "cif", ".cif", "chemical/x-cif"),
            ("POSCAR", "poscar", ".vasp", "text/plain"),
            ("Extended XYZ", "extended_xyz", ".xyz", "chemical/x-xyz"),
            ("Web page (3D, works offline)", "web_page", ".html", "text/html"),
        ):
            try:
                content = bench_crystals.written_as(crystal, written)
            except ValueError as error:
                st.button(label, disabled=True, help=plain(error), key=f"no_{ending}")
                continue
            st.download_button(
                label,
                content,
                f"{stem}{ending}",
                kind,
                on_click="ignore",
                icon=":material/download:",
                key=f"as_{ending}",
            )
    try:
        chemiscope = bench_crystals.chemiscope(crystals)
    except ValueError as error:
        st.caption(plain(str(error)))
    else:
        widgets.download_text(chemiscope, "bench.chemiscope.json", f"Chemiscope, all {len(crystals)} on the bench")
    st.caption("A picture (PNG) is saved with the camera button of the viewer, as it stands there.")
    st.code(bench_crystals.written_as(crystal, "cif"), language="text", height=260)


VIEWS: dict[str, Callable[[Sequence[Crystal]], None]] = {
    "Sites": show_sites,
    "Diffraction": show_diffraction,
    "Properties": show_properties,
    "Comparison": show_comparison,
    "Export": show_export,
}
