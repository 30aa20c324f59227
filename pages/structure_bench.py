"""Structure bench: up to four crystals under one camera, with what can be measured and computed of them."""

from collections.abc import Sequence
from functools import partial

import streamlit as st

from matgen_core.data import StructureFile
from matgen_core.data.uploads import LIMITS
from matgen_core.latent.index import SPLITS, TEST
from matgen_core.views.crystals import bench
from matgen_core.views.crystals.bench import Entry
from pages._parts.bench import drawing, figures
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


def choose() -> tuple[drawing.Cells, float | None]:
    """The line on which crystals are chosen, and how they are drawn."""
    drawn: tuple[drawing.Cells, float | None] = (1, 1, 1), None
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
        if on_it:
            drawn = drawing.controls()
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
    return drawn


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
    drawing.offer_primitive(crystals, entries, lay_out)
    crystal_viewer(
        [bench_crystals.scene(each.key, each.structure, each.is_foreign, cells, longest) for each in crystals],
        key="bench_viewer",
        captions=[each.label if each.entry.is_upload else each.source for each in crystals],
        height=430,
        origin=". ".join(map(bench_crystals.origin, crystals)),
    )
    for each in crystals:
        bench_crystals.show_remarks(each.structure, each.notes, each.label)
    table = bench_crystals.summary(crystals, figures.symprec())
    deviations = [figures.deviation(each) for each in crystals]
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


st.title("Structure bench")
cells, longest = choose()
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
    with st.container(horizontal=True, vertical_alignment="center"):
        view = st.segmented_control(
            "Show",
            list(figures.VIEWS),
            default="Sites",
            key="bench_view",
            label_visibility="collapsed",
            bind="query-params",
        )
        files = [StructureFile(each.label, each.label, each.structure, notes=each.notes) for each in crystals]
        bench_crystals.send_to_validate(files, "Structure bench", "bench_validate")
    with bench_crystals.told():
        figures.VIEWS[view or "Sites"](crystals)
same_in_python(crystals)
