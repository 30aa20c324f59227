"""Structure bench: up to four crystals under one camera, with what can be measured and computed of them."""

from collections.abc import Sequence
from functools import partial

import streamlit as st

from matgen_core.data.structure_export import distinct_names
from matgen_core.data.uploads import LIMITS
from matgen_core.latent.index import SPLITS, TEST
from matgen_core.materials import diffraction
from matgen_core.materials.levels import CRYSTAL
from matgen_core.tasks import prediction
from matgen_core.views import charts
from matgen_core.views.crystals import bench
from matgen_core.views.crystals.bench import Entry
from pages._parts.components.crystal_viewer import crystal_viewer
from pages._parts.shared import bench_crystals, latent_maps, login, plain_text, widgets
from pages._parts.shared.bench_crystals import Crystal
from pages._parts.shared.plain_text import plain

login.require()

FAMILIES = {"heusler": "Heusler", "abx3": "ABX₃", "perov5": "perovskite", "binary": "binary"}
NUMBER = st.column_config.NumberColumn


def lay_out(entries: Sequence[Entry]) -> None:
    """Put crystals on the bench."""
    st.session_state["bench"] = bench.write_entries(entries[: bench.MAX_ENTRIES])


def add(new: Sequence[Entry]) -> None:
    """Add crystals, each original beside its reconstruction while there is room."""
    on_it, _ = bench.read_entries(st.session_state.get("bench", ""))
    wanted: list[Entry] = []
    for entry in new:
        beside = [Entry(entry.source, entry.key, True)] if bench_crystals.has_original(entry) else []
        wanted += [*beside, entry] if len(on_it) + len(wanted) + 2 <= bench.MAX_ENTRIES else [entry]
    lay_out(list(dict.fromkeys([*on_it, *wanted])))


def on_chosen() -> None:
    """Take up what was added to or removed from the list."""
    chosen = [bench.read_entry(text) for text in st.session_state["bench_chosen"]]
    on_it, _ = bench.read_entries(st.session_state.get("bench", ""))
    lay_out([entry for entry in on_it if entry in chosen])
    add([entry for entry in chosen if entry not in on_it])


def on_upload(key: str) -> None:
    """Read the files that were just handed over, and empty the uploader."""
    read = bench_crystals.read_uploaded(st.session_state[key])
    st.session_state["bench_problems"] = [f"{each.name}: {each.problem}" for each in read if each.problem]
    kept = bench_crystals.keep(read)
    on_it, _ = bench.read_entries(st.session_state.get("bench", ""))
    if len(on_it) + len(kept) > bench.MAX_ENTRIES:
        st.session_state["bench_problems"].append(
            f"{len(kept)} crystals read; the bench holds {bench.MAX_ENTRIES}, so remove some to see the others:"
            " they are in the list below"
        )
    lay_out([*on_it, *kept])
    st.session_state["bench_uploaded"] = st.session_state.get("bench_uploaded", 0) + 1


def forget() -> None:
    """Take away the files of this session."""
    bench_crystals.uploads().clear()
    on_it, _ = bench.read_entries(st.session_state["bench"])
    lay_out([entry for entry in on_it if not entry.is_upload])


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


def choose() -> None:
    """The line on which crystals are chosen."""
    models = bench_crystals.crystal_models()
    bench_crystals.tell_of_broken_models()
    on_it, problems = bench.read_entries(widgets.remembered("bench"))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        known: list[Entry] = []
        if models:
            with st.container(width=210):
                model = widgets.choose_checkpoint("Crystals known to", models, key="bench_model")
            known = [Entry(model, key) for key in latent_maps.map_table(model)["key"]]
        mine = [Entry(bench.UPLOAD, digest) for digest in bench_crystals.uploads()]
        st.session_state["bench_chosen"] = [str(entry) for entry in on_it]
        titles = bench_crystals.titles(list(dict.fromkeys([*on_it, *mine, *known])))
        with st.container(width="stretch"):
            st.multiselect(
                f"On the bench, up to {bench.MAX_ENTRIES}",
                list(titles),
                format_func=titles.__getitem__,
                key="bench_chosen",
                max_selections=bench.MAX_ENTRIES,
                placeholder="Type a formula or an id",
                on_change=on_chosen,
            )
        with st.popover("Add files", icon=":material/upload_file:"):
            key = f"bench_files_{st.session_state.get('bench_uploaded', 0)}"
            st.file_uploader(
                "CIF, POSCAR, extended XYZ, or a zip of them",
                accept_multiple_files=True,
                key=key,
                on_change=partial(on_upload, key),
            )
            st.caption(f"{LIMITS[0].upper()}{LIMITS[1:]}. Files stay in this session and are written nowhere.")
            if mine:
                st.button(f"Forget my {len(mine)} crystals", on_click=forget, icon=":material/delete:")
    if not models:
        st.info("No model of crystals is present, so only files can be shown. Make one with: `matgen train icsg3d`")
    for line in [*problems, *st.session_state.pop("bench_problems", [])]:
        plain_text.error(line)


def examples() -> None:
    """What to do with an empty bench: three crystals, one click away."""
    st.markdown(
        "Lay up to four crystals side by side and turn them together: what a model decodes beside the crystal that it"
        " was given, or your own files. Sites, symmetry, powder patterns, predicted properties and files follow below."
    )
    models = bench_crystals.crystal_models()
    if not models:
        return
    model = st.session_state["bench_model"]
    table = bench.examples(latent_maps.map_table(model))
    for column, row in zip(st.columns(3, gap="medium"), table.itertuples(), strict=False):
        entry = Entry(model, row.key)
        crystal = bench_crystals.find(entry)
        with column.container(border=True, height="stretch", horizontal_alignment="center"):
            if crystal.problem:
                st.caption(plain(crystal.problem))
            else:
                st.image(bench_crystals.still(crystal, 200), width=200, alt=crystal.label)
            family = FAMILIES.get(getattr(row, "family", ""), "")
            seen = ", not trained on" if getattr(row, "split", "") == SPLITS[TEST] else ""
            st.markdown(f"**{plain(row.name)}** {family}  \n:small[{plain(row.key)}{seen}]", text_alignment="center")
            st.button("Lay on the bench", key=f"example_{row.key}", on_click=add, args=([entry],))


def overview(crystals: Sequence[Crystal]) -> None:
    """All crystals under one camera, and what tells them apart."""
    crystal_viewer(
        [bench_crystals.scene(each.key, each.structure, each.is_foreign) for each in crystals],
        key="bench_viewer",
        captions=[each.label if each.entry.is_upload else each.source for each in crystals],
        height=430,
    )
    for each in crystals:
        bench_crystals.show_remarks(each.structure, each.notes, each.label)
    table = bench_crystals.summary(crystals, symprec())
    deviations = [deviation(each) for each in crystals]
    table.insert(1, "RMSD (Å)", ["" if each is None else f"{each:.3f}" for each in deviations])
    st.dataframe(
        table,
        hide_index=True,
        height="content",
        column_config={
            "Structure": st.column_config.TextColumn(width=180),
            "RMSD (Å)": st.column_config.TextColumn(
                width=90, alignment="right", help="from what a model decodes to the crystal that it was given"
            ),
            "Space group": st.column_config.TextColumn(width=195),
            "Sites": NUMBER(width=55),
            **{f"{axis} (Å)": NUMBER(format="%.3f", width=70) for axis in "abc"},
            **{
                f"{name} (°)": NUMBER(f"{symbol} (°)", format="%.1f", width=62)
                for name, symbol in bench_crystals.ANGLES.items()
            },
            "Volume (Å³)": NUMBER(format="%.1f"),
            "Density (g/cm³)": NUMBER(format="%.3f"),
        },
        alt=f"Symmetry and cell of {len(crystals)} structures",
    )


def deviation(crystal: Crystal) -> float | None:
    """How far a decoded crystal lies from the one that the model was given, if that is here and they match."""
    if not bench_crystals.has_original(crystal.entry):
        return None
    known = bench_crystals.find(Entry(crystal.entry.source, crystal.entry.key, True))
    table = bench_crystals.comparison(known, [crystal])
    return table["RMSD (Å)"].iloc[0]


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
    widgets.download(table, "sites.csv")


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
        widgets.download(peaks[crystal.label], "reflections.csv")


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
    widgets.download(table, "properties.csv")


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
    widgets.download(table, "comparison.csv")


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


def same_in_python(crystals: Sequence[Crystal]) -> None:
    """Show the Python that does what the page shows."""
    models = bench_crystals.crystal_models()
    example = Entry(models[0], bench.examples(latent_maps.map_table(models[0]))["key"].iloc[0]) if models else None
    entry = next((each.entry for each in crystals if not each.entry.is_original), example)
    if entry is None or entry.is_upload:
        name = next((each.label for each in crystals), "mine.cif")
        first = f"structure = data.read_structures([Path({name!r})])[0].structure"
        head = "from pathlib import Path\n\nfrom matgen_core import checkpoint, data"
    else:
        head = "from matgen_core import checkpoint"
        first = f"""from matgen_core.latent import LatentMap, known_materials

model = checkpoint.load({entry.source!r})
row = list(known_materials(model)["key"]).index({entry.key!r})
structure = LatentMap(model).reconstruct([row])[0].material"""
    widgets.same_in_python(
        f"""
{head}
from matgen_core.data import structure_export
from matgen_core.materials import diffraction, report
from matgen_core.tasks import prediction
{first}

print(report.summary_table({{"mine": structure}}).T)
print(report.site_table(structure))
print(diffraction.reflections(structure, "CuKa", (10, 90)).head())
networks = [checkpoint.load(name) for name in checkpoint.names() if name.startswith("cgcnn")]
print(prediction.property_table(networks, {{"mine": structure}}))
print(structure_export.cif(structure))
"""
    )


VIEWS = {
    "Sites": show_sites,
    "Diffraction": show_diffraction,
    "Properties": show_properties,
    "Comparison": show_comparison,
    "Export": show_export,
}

st.title("Structure bench")
choose()
entries, _ = bench.read_entries(st.session_state["bench"])
found = bench_crystals.find_all(entries)
for each in found:
    if each.problem:
        plain_text.error(f"{each.label}: {each.problem}")
crystals = [each for each in found if not each.problem]
if not entries:
    examples()
elif crystals:
    with bench_crystals.told():
        overview(crystals)
    view = st.segmented_control(
        "Show", list(VIEWS), default="Sites", key="bench_view", label_visibility="collapsed", bind="query-params"
    )
    with bench_crystals.told():
        VIEWS[view or "Sites"](crystals)
same_in_python(crystals)
