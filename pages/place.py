"""Place my structures: where a person's own crystals lie among those that a model knows."""

from collections.abc import Sequence
from typing import Any, Literal

import pandas as pd
import streamlit as st

from matgen_core import checkpoint
from matgen_core.data import StructureFile
from matgen_core.data.uploads import LIMITS
from matgen_core.materials.formulas import subscripted
from matgen_core.materials.levels import CRYSTAL
from matgen_core.tasks import placement
from matgen_core.tasks.placement import Placement
from matgen_core.views.crystals import bench, uploaded
from matgen_core.views.crystals.bench import Entry
from matgen_core.views.maps.events import MapEvents
from matgen_core.views.maps.scene import MapMarker, MapScene
from pages._parts.components.crystal_viewer import crystal_viewer
from pages._parts.shared import bench_crystals, latent_maps, login, plain_text, widgets
from pages._parts.shared.plain_text import code, plain
from pages._parts.words import glossary

login.require()

A_STEP = 8  # crystals between two movements of the progress bar
Color = Literal["blue", "gray", "green", "orange"]
EXAMPLES = "examples"
FAR = 95  # percent
NOVELTY: dict[bool | None, tuple[str, Color]] = {
    True: ("new", "blue"),
    False: ("known", "gray"),
    None: ("new or not: undecided", "gray"),
}
NUMBER, TEXT = st.column_config.NumberColumn, st.column_config.TextColumn


def key_of(file: StructureFile) -> str:
    """Tell a file from others of the same name by what is in it."""
    return bench.digest(file.name, file.structure) if file.structure is not None else f"{file.name}: {file.problem}"


def look_at(file: str) -> None:
    """Show the card of a file."""
    st.session_state["place_at"] = file


def set_stopped(stopped: bool) -> None:
    """Stop placing, or go on."""
    st.session_state["place_stopped"] = stopped


def take(files: Sequence[StructureFile]) -> None:
    """Take up files in place of those that were there."""
    st.session_state["place_files"] = list(files)
    set_stopped(False)
    look_at("")  # the first that gets a place


def forget() -> None:
    """Take away all that was handed over, and what came of it."""
    take([])
    st.session_state["placed"] = {}
    st.session_state["place_uploads"] = (
        st.session_state.get("place_uploads", 0) + 1
    )  # an uploader of a new key is empty


def wait_for(what: str) -> None:
    """Have the page read the examples, or the files of an uploader that are its value, with a sign that it does."""
    st.session_state["place_pending"] = what


@widgets.while_it_is_there
def take_examples(model: str) -> None:
    """Place crystals that the model was not trained on, to see what this page does."""
    files = []
    for row in bench.examples(latent_maps.map_table(model)).itertuples():
        found = [bench_crystals.find(Entry(model, row.key, original)) for original in (True, False)]
        structure = next((each.structure for each in found if not each.problem), None)
        if structure is not None:
            files.append(StructureFile(f"{row.name}.cif", row.name, structure))
    take(files)


def place(files: Sequence[StructureFile]) -> tuple[list[Placement], pd.DataFrame]:
    """Place what has not been placed yet, and return all that has been with its predicted properties."""
    done: dict[Any, tuple[Placement, pd.DataFrame]] = st.session_state.setdefault("placed", {})
    by = name, checkpoint.fingerprint(name)
    todo = [file for file in files if (by, key_of(file)) not in done]
    if todo and not st.session_state.get("place_stopped"):
        with st.container(horizontal=True, vertical_alignment="center"):
            bar = st.progress(0.0, f"Placing {len(todo)} files …")
            st.button("Stop", on_click=set_stopped, args=(True,))
        known = placement.known_crystals(widgets.read(name), todo)
        networks = widgets.readable(widgets.names_with("predict", CRYSTAL))
        for start in range(0, len(todo), A_STEP):
            part = todo[start : start + A_STEP]
            structures = {file.name: file.structure for file in part if file.structure is not None}
            predicted = bench_crystals.properties(networks, [key_of(file) for file in part], structures)
            made = placement.place(space, part, known, judge=uploaded.novelty_apart)
            for file, placed in zip(part, made, strict=True):
                done[by, key_of(file)] = placed, predicted[predicted["structure"] == file.name]
            bar.progress((start + len(part)) / len(todo), f"Placed {start + len(part)} of {len(todo)} files")
        st.rerun()
    found = [done[by, key_of(file)] for file in files if (by, key_of(file)) in done]
    properties = [table for _, table in found if len(table)]
    nothing = bench_crystals.properties([], [], {})
    return [placed for placed, _ in found], pd.concat(properties, ignore_index=True) if properties else nothing


def map_with_pins(placed: Sequence[Placement], chosen: Placement | None) -> None:
    """The map as it is, with a pin for each crystal that was placed."""
    spots = placement.positions(space, placed, projection)
    names = [each.file.name for each in placed]
    at = placed.index(chosen) if chosen in placed else None

    def on_event(events: MapEvents) -> None:
        if events.marker is not None:
            look_at(names[events.marker])

    column = next((each for each in columns if each.name == color), columns[0])
    latent_maps.map_chart(
        MapScene(
            latent_maps.point_cloud(name, projection),
            coloring=latent_maps.coloring(name, column, ""),
            hover=latent_maps.hover(name),
            marker_links=[] if at is None else [(at, row) for row in placed[at].rows],
            markers=[
                MapMarker(x, y, label.rpartition("/")[2][:28], "pin" if k == at else "sample")
                for k, (label, (x, y)) in enumerate(zip(names, spots, strict=True))
            ],
            axis_labels=latent_maps.axis_labels(name, projection),
            title=f"{widgets.PROJECTIONS.get(projection, projection)} map of {name}",
            noun="crystals",
        ),
        key="place_map",
        on_event=on_event,
    )
    st.caption(
        f"{len(placed)} of your crystals on the map of {len(table):,} known ones, each at the weighted mean of its 15"
        " true neighbors. The map itself does not change; lines join the chosen crystal to its nearest known ones."
    )


def card(each: Placement, properties: pd.DataFrame) -> None:
    """What the model makes of one crystal."""
    structure = each.file.structure
    formula = f"{subscripted(structure.composition.reduced_formula)} · " if structure is not None else ""
    st.markdown(f"**{plain(formula + each.file.name)}**")
    if each.file.structure is None or each.problem:
        plain_text.error(each.problem or each.file.problem)
        return
    bench_crystals.show_remarks(each.file.structure, each.file.notes)
    shown, captions = [each.drawn], ["as the model draws it"]
    if each.decoded is not None:
        shown.append(each.decoded)
        captions.append("as it comes back")
    key = key_of(each.file)
    with bench_crystals.told():
        scenes = [
            bench_crystals.scene(f"{name} {key} {caption}", structure, is_foreign=True)
            for structure, caption in zip(shown, captions, strict=True)
        ]
        crystal_viewer(scenes, key="place_crystals", captions=captions, height=330)
    with st.container(horizontal=True, gap="xsmall"):
        st.badge(NOVELTY[each.novel.passed][0], color=NOVELTY[each.novel.passed][1])
        if each.percentile > FAR:
            st.badge("farther out than most of the training data", color="orange", help=UNUSUAL)
        else:
            st.badge("as near as the training data", color="gray", help=UNUSUAL)
        if each.comes_back:
            st.badge("comes back", color="green")
        else:
            st.badge("does not come back", color="orange")
    st.markdown(
        f"{plain(each.novel.reason[:1].upper() + each.novel.reason[1:])}. {each.percentile:.0f} % of the training"
        f" crystals on the map have nearer neighbors than it has. Through the model and back it "
        + (f"moves by **{each.deviation:.3f} Å** a site." if each.comes_back else f"fails: {plain(each.reason)}.")
    )
    near = table.iloc[list(each.rows)].assign(distance=each.distances)
    near = near.assign(formula=list(map(subscripted, near["formula"])))
    bench_crystals.open_on_bench([Entry(name, near["key"].iloc[0])], "place_bench", [each.file])
    nearest, predicted = st.tabs(["Nearest known", "Predicted properties"])
    nearest.dataframe(
        near[[column for column in ("formula", "id", "distance", "space_group") if column in near]],
        hide_index=True,
        height="content",
        column_config={
            "formula": "Formula",
            "id": "Material",
            "distance": NUMBER("Latent distance", format="%.2f", help=glossary.help_on("latent")),
            "space_group": "Space group",
        },
        alt="Nearest known crystals",
    )
    if properties.empty:
        predicted.caption("No checkpoint here predicts properties of crystals.")
        return
    predicted.dataframe(
        bench_crystals.written(properties),
        hide_index=True,
        height="content",
        column_config={
            "property": "Property",
            "predicted": TEXT("Predicted", help="± one calibrated standard deviation"),
            "unit": TEXT("Unit", width="small"),
            "mae": NUMBER(
                "Mean error", format="%.3f", help=f"of the model over its test crystals.  \n{glossary.help_on('mae')}"
            ),
        },
        alt="Predicted properties",
    )


def results(files: Sequence[StructureFile], placed: Sequence[Placement], properties: pd.DataFrame) -> None:
    """A row for every crystal that was placed, and one for every file that was not, with the reason."""
    full = placement.placement_table(placed, table)
    good = [each for each in placed if not each.problem]
    with st.container(
        horizontal=True, vertical_alignment="center"
    ):  # at the left: the tools of a table appear at its right
        st.subheader(f"Placed: {len(good)} of {len(files)}", width="content")
        widgets.download(
            placement.with_properties(full, properties),
            "placed.csv",
            models=(name, *(each for each in widgets.names_with("predict", CRYSTAL) if len(properties))),
            settings={"neighbors": placement.N_NEIGHBORS},
        )
        bench_crystals.send_to_validate(files, "Place my structures", "place_validate")
    shown = placement.with_properties(full, properties, as_text=True)
    shown = shown.assign(**{each: list(map(subscripted, shown[each])) for each in ("formula", "nearest")})
    there = shown[full["problem"].eq("") | full["comes_back"].notna()]
    names = list(there["file"])

    def choose() -> None:
        cells = st.session_state["place_rows"]["selection"]["cells"]
        if cells:
            look_at(names[cells[0][0]])

    if names:
        st.dataframe(
            there.drop(
                columns=["n_sites", "novel", "comes_back", *(c for c in ("problem", "note") if not there[c].any())]
            ),
            key="place_rows",
            hide_index=True,
            height="content" if len(there) <= 10 else 400,
            on_select=choose,
            selection_mode="single-cell",
            column_config={
                "file": TEXT("File", width=170, pinned=True),
                "formula": TEXT("Formula", width=90),
                "nearest": TEXT("Nearest known", width=110),
                "nearest_id": TEXT("Material", width=100),
                "distance": NUMBER("Latent distance", format="%.2f", width=110),
                "percentile": NUMBER("Unusual (%)", format="%.0f", width=95, help=UNUSUAL),
                "novel_reason": TEXT("Known?", width=240),
                "deviation": NUMBER("Comes back (Å)", format="%.3f", width=115, help=DEVIATION),
                "problem": TEXT("Why it does not come back", width=220),
                "note": TEXT("How it was read", width=240),
            },
            alt=f"{len(there)} crystals placed",
        )
    left_out = full[~full["file"].isin(names)]
    if len(left_out):
        st.markdown(f"**Not placed: {len(left_out)}**")
        st.dataframe(
            left_out[["file", "formula", "problem"]],
            hide_index=True,
            height="content" if len(left_out) <= 10 else 400,
            column_config={
                "file": TEXT("File", width=190),
                "formula": TEXT("Formula", width=80),
                "problem": TEXT("Why", width=830),
            },
            alt=f"{len(left_out)} files that were not placed",
        )


@st.fragment
def explorer(files: Sequence[StructureFile], placed: Sequence[Placement], properties: pd.DataFrame) -> None:
    """The map, the card and the tables; what is done there runs this alone."""
    good = [each for each in placed if not each.problem]
    at = st.session_state.get("place_at")
    chosen = next((each for each in placed if each.file.name == at), good[0] if good else None)
    left, right = st.columns([6, 5], gap="medium")
    with left:
        map_with_pins(good, chosen)
    with right, st.container(border=True):
        if chosen is None:
            st.markdown("**Nothing could be placed**")
            st.caption("The table below says why, file by file.")
        else:
            card(chosen, properties[properties["structure"] == chosen.file.name])
    results(files, placed, properties)


DEVIATION = f"of what its latent point decodes to; empty: no match.  \n{glossary.help_on('rmsd', 'comes_back')}"
UNUSUAL = glossary.help_on("training_percentile")

st.title("Place my structures")
models = bench_crystals.crystal_models()
bench_crystals.tell_of_broken_models()
if not models:
    st.info("No model of crystals is present. Make one with: `matgen train icsg3d`")
    st.stop()
with st.container(horizontal=True, vertical_alignment="bottom"):
    with st.container(width=230):
        name = widgets.choose_checkpoint("Model", models, key="place_model")
    space, table = latent_maps.load_map(name), latent_maps.map_table(name)
    columns = latent_maps.map_table_columns(name)
    with st.container(width=130):
        projection = st.selectbox(
            "Projection",
            space.projections,
            format_func=lambda key: widgets.PROJECTIONS.get(key, key),
            key="place_projection",
            bind="query-params",
        )
    titles = {each.name: each.label for each in columns}
    with st.container(width=200):
        color = st.selectbox(
            "Color",
            sorted(titles, key=lambda key: key != "family"),
            format_func=titles.__getitem__,
            key="place_color",
            bind="query-params",
        )
if st.query_params.pop("example", "") and not st.session_state.get("place_files"):
    wait_for(EXAMPLES)
if pending := st.session_state.pop("place_pending", ""):
    with st.spinner("Reading the files …"):
        if pending == EXAMPLES:
            take_examples(name)
        else:
            take(bench_crystals.read_uploaded(st.session_state.get(pending) or []))
given: list[StructureFile] = st.session_state.get("place_files", [])
with st.expander("Files", icon=":material/upload_file:", expanded=not given):
    upload_key = f"place_upload_{st.session_state.get('place_uploads', 0)}"
    st.file_uploader(
        "CIF, POSCAR, extended XYZ, or a zip of them",
        accept_multiple_files=True,
        key=upload_key,
        on_change=wait_for,
        args=(upload_key,),
    )
    if given:
        st.button("Forget them all", on_click=forget, icon=":material/delete:")
    st.caption(f"{code(name)} reads {space.representation.accepts}.")
    st.caption(f"{LIMITS[0].upper()}{LIMITS[1:]}. Nothing is written to disk, and all of it is gone with this session.")
if not given:
    st.markdown(
        "Drop in crystals of your own to see where they lie on the map of a model, what they are nearest to, whether"
        " they are new to the data that it learned from, how unusual they are, and whether the model can draw them."
    )
    st.button("Try it with crystals that the model was not trained on", on_click=wait_for, args=(EXAMPLES,))
else:
    placed, properties = place(given)
    if len(placed) < len(given):
        plain_text.warning(f"Stopped: {len(placed)} of {len(given)} files are done.")
        st.button("Go on", on_click=set_stopped, args=(False,))
    explorer(given, placed, properties)
widgets.same_in_python(
    f"""
from matgen_core import checkpoint, data
from matgen_core.latent import LatentMap, known_materials
from matgen_core.materials.formulas import subscripted
from matgen_core.materials.levels import CRYSTAL
from matgen_core.tasks import placement

model = checkpoint.load({name!r})
space, table = LatentMap(model), known_materials(model)
some = [data.StructureFile("again.cif", "again", space.reconstruct([0])[0].material)]
# or your own: some = data.read_structures([Path("folder/of/cif")])
placed = placement.place(space, some, placement.known_crystals(model, some))
print(placement.placement_table(placed, table).T)
print(placement.positions(space, placed, {projection!r}))
"""
)
