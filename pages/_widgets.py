"""Inputs that several pages share, state that outlives a page, and the only Streamlit caches."""

from collections.abc import Callable, Collection, Sequence
from functools import partial
from importlib.metadata import version
from typing import Any, Literal

import pandas as pd
import streamlit as st
from streamlit.elements import plotly_chart as _  # noqa: F401 puts Streamlit's template in force before any figure

from matgen_core import checkpoint as checkpoints
from matgen_core import data, figures, map_columns, map_scene, query, ranking
from matgen_core.checkpoint import Checkpoint, CheckpointError
from matgen_core.latent import Decoded, LatentMap, fitting
from matgen_core.map_events import MapEvents
from matgen_core.map_scene import MapScene
from matgen_core.representations import parse_phase_field
from pages._components.latent_map import latent_map

PROJECTIONS = {"umap": "UMAP", "tsne": "t-SNE", "pca": "PCA"}
MOST_CANDIDATES = 1_000  # each is drawn as a mark of its own, and sent at every run


# Models and tables


@st.cache_resource(max_entries=6, show_spinner="Reading the model …")
def _load(name: str) -> Checkpoint:
    return checkpoints.load(name)


@st.cache_resource(max_entries=4, show_spinner="Reading the map …")
def _load_map(name: str) -> LatentMap:
    return LatentMap(checkpoints.load(name))


@st.cache_resource(max_entries=4, show_spinner=False)
def map_table(name: str) -> pd.DataFrame:
    """Return the known materials of a map as `map_columns.materials` lays them out; not to be changed."""
    return map_columns.materials(_load(name))


def map_table_columns(name: str) -> list[map_columns.Column]:
    """Return what is known of each material of a map."""
    return map_columns.columns(map_table(name), _load(name))


@st.cache_data(max_entries=16, show_spinner="Ranking …")
def ranked(name: str, choice: ranking.Choice) -> pd.DataFrame:
    """Rank the fields of a choice that are not known to the model."""
    model = _load(name)
    return ranking.rank(model, choice.fields(ranking.known_fields(model)))


@st.cache_data(max_entries=16, show_spinner=False)
def placed(name: str, projection: str, fields: tuple[str, ...]) -> pd.DataFrame:
    """Place fields on a map by their true neighbors: columns name, x, y; one that does not fit is left out."""
    space = _load_map(name)
    found, z = fitting(space.encode([tuple(field.split("-")) for field in fields]))
    names = ["-".join(field) for field in found]
    return pd.DataFrame(space.place(z, projection) if names else None, columns=["x", "y"]).assign(name=names)


@st.cache_data(max_entries=64, show_spinner=False)
def neighbors(name: str, key: str, k: int = 6) -> pd.DataFrame:
    """Return the known materials nearest to one in the latent space itself, nearest first.

    Args:
        name: A model with an encoder.
        key: A known material's key, or a phase field that is not known.
        k: How many.

    Returns:
        Rows of `map_table`, with their numbers, and a column distance.

    Raises:
        ValueError: If the field does not fit the model, or the crystal is not known to it.
    """
    space, table = _load_map(name), map_table(name)
    row = row_of(name, key)
    if row is None and "phase_field" not in table:
        raise ValueError(f"{key} is not among the crystals of {name}; click a point or search for a formula")
    if row is None:
        encoded = space.encode([tuple(key.split("-"))])
        if encoded[0].problem:
            raise ValueError(encoded[0].problem)
        z = fitting(encoded)[1]
    else:
        z = space.z[[row]]
    distances, rows = space.neighbors(z, k + 1)
    near = table.iloc[rows[0]].assign(distance=distances[0])
    return near[near["key"] != key].head(k)


@st.cache_resource(max_entries=4, show_spinner=False)
def _rows(name: str) -> dict[str, int]:
    return {key: row for row, key in enumerate(map_table(name)["key"])}


def row_of(name: str, key: str) -> int | None:
    """Return the row of a known material in `map_table`, or None if it is not known."""
    return _rows(name).get(key)


def summaries() -> tuple[list[dict[str, Any]], list[str]]:
    """Return what can be said of each checkpoint, and one line for each that cannot be used."""
    good, broken = [], []
    for name in checkpoints.names():
        try:
            good.append(checkpoints.summary(name))
        except CheckpointError as error:
            broken.append(str(error))
    return good, broken


def names_with(capability: str, level: str | None = "phase field") -> list[str]:
    """Return the checkpoints of a level (None: of any) that can do something, those that can do most first."""
    able = [each for each in summaries()[0] if level in (None, each["level"]) and capability in each["capabilities"]]
    return [summary["name"] for summary in sorted(able, key=lambda each: -len(each["capabilities"]))]


def load(name: str) -> Checkpoint:
    """Return a checkpoint, or show why it cannot be used and end the page."""
    try:
        return _load(name)
    except CheckpointError as error:
        st.error(str(error))
        st.stop()


def load_map(name: str) -> LatentMap:
    """Return a latent map, or show why there is none and end the page."""
    try:
        map_table(name)
        return _load_map(name)
    except (CheckpointError, ValueError) as error:
        st.error(str(error))
        st.stop()


def choose_checkpoint(
    label: str, names: Sequence[str], key: str, on_change: Callable[[], None] | Literal["rerun"] = "rerun"
) -> str:
    """Let the visitor choose one of some checkpoints, or say that there is none and end the page."""
    if not names:
        st.info("No checkpoint here can do this. Make one with: `matgen train phase_field_vae`")
        for line in summaries()[1]:
            st.error(line)
        st.stop()
    return st.selectbox(label, names, key=key, bind="query-params", on_change=on_change)


# State


def remembered(name: str, default: str = "") -> str:
    """Return a value that outlives the page and stands in the address, so that a reload or a link reopens the view.

    Set it with `st.session_state[name] = ...` in a callback. A link to the page with another value wins.
    """
    ours = f"{name}@address"
    in_address = st.query_params.get(name)
    if in_address is not None and in_address != st.session_state.get(ours):
        st.session_state[name] = in_address
    value: str = st.session_state.setdefault(name, default)
    if value == default:
        st.query_params.pop(name, None)
        st.session_state[ours] = None
    elif in_address != value:
        st.query_params[name] = value
    if value != default:
        st.session_state[ours] = value
    return value


def element_choice(anions: Sequence[str], n_elements: int, n_anions: int) -> ranking.Choice:
    """Return what the visitor asks for; the elements are those of the published study if no others were asked for.

    Args:
        anions: Elements that stand in anion places.
        n_elements: Elements in a field.
        n_anions: How many of them are anions.

    Raises:
        ValueError: If the address names something that is no element.
    """
    study = ranking.STUDY
    must, may = (
        tuple(ranking.check_elements(filter(None, remembered(name, ",".join(default)).split(","))))
        for name, default in (("must", study.must), ("may", study.may))
    )
    return ranking.Choice(must, may, tuple(anions), n_elements, n_anions)


def set_elements(must: Sequence[str], may: Sequence[str]) -> None:
    """Remember which elements must and may be there."""
    st.session_state["must"], st.session_state["may"] = ",".join(must), ",".join(may)


# Inputs


def search(
    label: str,
    key: str,
    names: Sequence[str],
    on_change: Callable[[], None] | None = None,
    label_visibility: Literal["visible", "collapsed"] = "visible",
    ids: Sequence[str] = (),
) -> list[bool]:
    """Show a search line and tell which names it finds; all of them if it is empty or cannot be understood."""
    text = st.text_input(
        label,
        key=key,
        bind="query-params",
        placeholder=f"{label}: Li-*-S-*   has:Li not:Pb",
        label_visibility=label_visibility,
        help=query.HELP,
        on_change=on_change or "rerun",
    )
    try:
        return query.find(text or "", names, ids)
    except ValueError as error:
        st.error(str(error))
        return [True] * len(names)


def field_table(
    table: pd.DataFrame,
    key: str,
    on_choose: Callable[[str], None],
    height: int | Literal["content"],
    titles: Sequence[map_columns.Column] = (),
) -> None:
    """Show a table of phase fields (`name` or `phase_field`) or of crystals (`id`); a click on a row chooses one."""
    column = next(each for each in ("id", "phase_field", "name") if each in table)
    names = tuple(table[column])

    units = {
        each.name: (st.column_config.TextColumn if each.is_category else st.column_config.NumberColumn)(each.title)
        for each in titles
    }

    def choose() -> None:
        cells = st.session_state[key]["selection"]["cells"]
        if cells:
            on_choose(names[cells[0][0]])

    st.dataframe(
        table if column == "id" else table.assign(**{column: [ranking.chemists_order(name) for name in names]}),
        key=key,
        hide_index=True,
        height=height,
        on_select=choose,
        selection_mode="single-cell",
        column_config={
            **units,
            column: st.column_config.TextColumn("Material" if column == "id" else "Phase field"),
            "formula": st.column_config.TextColumn("Formula"),
            "score": st.column_config.NumberColumn("Score", format="%.3f", help="low is familiar"),
            "score_std": st.column_config.NumberColumn(
                "± members", format="%.3f", help="standard deviation over the ensemble"
            ),
            "rank": st.column_config.NumberColumn("Rank", format="%d", help="1 is most like known chemistry"),
            "ranks": st.column_config.TextColumn(
                "Rank, 90 %", help="5 to 95 % range of the ranks that the members give"
            ),
            "known": st.column_config.CheckboxColumn("Known"),
            "unseen_elements": st.column_config.TextColumn("Never seen", help="elements that are in no training field"),
            "distance": st.column_config.NumberColumn("Latent distance", format="%.2f", help="no unit"),
            "anions": st.column_config.TextColumn("Anions"),
            "reconstruction_error": st.column_config.NumberColumn("Score", format="%.2f"),
            "split": st.column_config.TextColumn("Split"),
            **{
                f"{projection}_faithfulness": st.column_config.NumberColumn(
                    f"True neighbors kept, {title}", format="percent"
                )
                for projection, title in PROJECTIONS.items()
            },
        },
        alt=f"Table of {len(table)} {'crystals' if column == 'id' else 'phase fields'}",
    )


def with_ranks(table: pd.DataFrame) -> pd.DataFrame:
    """Write the 90 % interval of the rank as a text, where there are members to give one."""
    if "rank_low" not in table:
        return table
    ranks = [f"{low} to {high}" for low, high in zip(table["rank_low"], table["rank_high"], strict=True)]
    return table.assign(ranks=ranks)


def ranking_chart(table: pd.DataFrame, field: str, unit: str, *, key: str, on_click: Callable[[str], None]) -> None:
    """Show the top of a ranking as dots with whiskers; a click chooses a field."""

    def select() -> None:
        points = st.session_state[key]["selection"]["points"]
        if points:
            on_click(points[0]["customdata"][0])

    st.plotly_chart(
        figures.ranking(table, field, unit),
        key=key,
        on_select=select,
        selection_mode="points",
        config={"displayModeBar": False},
        alt=f"Scores of {len(table)} phase fields with their spread",
    )


def map_chart(scene: MapScene, key: str, on_event: Callable[[MapEvents], None]) -> None:
    """Show a map; what the visitor does on it is handed on before the page runs again."""
    latent_map(scene, key=key, height=600, on_event=on_event)


# Output


def chart(figure: Any, key: str, alt: str) -> None:
    """Show a figure that is looked at only."""
    st.plotly_chart(figure, key=key, config={"displayModeBar": False}, alt=alt)


def download(table: pd.DataFrame, file_name: str, label: str = "Save as CSV") -> None:
    """Offer a table as a CSV file, in full precision and with the columns' own names."""
    st.download_button(
        label, partial(table.to_csv, index=False), file_name, "text/csv", on_click="ignore", icon=":material/download:"
    )


def download_text(text: str, file_name: str, label: str) -> None:
    """Offer a text as a file."""
    st.download_button(label, text, file_name, "application/json", on_click="ignore", icon=":material/download:")


def values(material: pd.Series, shown: Sequence[map_columns.Column]) -> None:
    """List what is known of one material, with units."""
    lines = [
        f"{column.label} **{value if column.is_category else format(value, '.4g')}** {column.unit}".strip()
        for column in shown
        if not pd.isna(value := material[column.name])
    ]
    st.markdown(" · ".join(lines))


def same_in_python(code: str) -> None:
    """Show the Python that does what the page shows."""
    with st.expander("The same in Python", icon=":material/code:"):
        st.code(code.strip(), language="python")


def known_or_parsed(text: str, names: Collection[str]) -> str:
    """Return a field's own name, in alphabetical order, whether it is known or not.

    Raises:
        ValueError: If the text is no phase field.
    """
    return text if text in names else "-".join(parse_phase_field(text))


# Parts of the phase-field pages


def elements_without_features(known: Collection[str]) -> dict[str, str]:
    """Return the elements that a model cannot take, each with the reason."""
    return {symbol: "this model has no features for it" for symbol in ranking.every_element() if symbol not in known}


def what_the_score_means(model: Checkpoint) -> None:
    """Say what a ranking means and how far it can be trusted, in figures; this stands beside every ranking."""
    meaning, reconstruction = ranking.score_meaning(model), model.metrics["reconstruction"]
    active = reconstruction["active_dimensions"]
    of_all = f" of {reconstruction['latent_dim']}" if "latent_dim" in reconstruction else ""
    with st.container(border=True):
        what, evidence, network = st.columns([6, 7, 4], gap="medium")
        what.markdown(
            f":small[**Score: {meaning.text} ({meaning.unit}). Low means alike to known chemistry; it does not mean"
            " stable.** The model saw fields that hold a compound and never one that holds none. “Not in our database”"
            " is not “unexplored”.]"
        )
        evidence.markdown(
            f":small[**Held-out evidence.** {ranking.verdict(model.metrics)}"
            f" {_aucs(ranking.evidence_frame(model.name, model.metrics))}]"
        )
        measured_on = f" of {reconstruction['measured_on']}" if "measured_on" in reconstruction else ""
        network.markdown(
            f":small[**Has the network learnt?** Explained variance{measured_on}"
            f" **{reconstruction['explained_variance']:.0%}**, decoder spread"
            f" **{reconstruction['decoder_spread']:.2f}**, active latent dimensions **{active}{of_all}**;"
            " all 0 is a collapse.]"
        )


def _aucs(frame: pd.DataFrame) -> str:
    rows = frame[frame["control"] == ranking.CONTROLS[ranking.HARDEST]]
    parts = [f"{row.ranker} **{row.auc:.2f}** ± {row.auc_std:.2f}" for row in rows.itertuples()]
    against = ranking.CONTROLS[ranking.HARDEST]
    return f"AUC against {against}: {', '.join(parts)}; 0.5 is a coin toss." if parts else ""


def nearest_known(maps: Sequence[str], key_of: str, key: str, on_choose: Callable[[str], None]) -> None:
    """List the known materials nearest to one, by distance in the latent space of the first of some maps."""
    if not maps:
        st.info("No checkpoint with an encoder is present, so there is no latent space to measure in.")
        return
    try:
        near = neighbors(maps[0], key_of)
    except (ValueError, CheckpointError) as error:
        st.error(str(error))
        return
    is_fields = "phase_field" in near
    noun = "fields" if is_fields else "crystals"
    st.markdown(f"**Nearest known {noun}** :small[by distance in the latent space of `{maps[0]}`]")
    wanted = ("name", "distance", "reconstruction_error") if is_fields else ("formula", "id", "distance", "space_group")
    field_table(near[[each for each in wanted if each in near]], key, on_choose, "content")


# Parts of the map page


@st.cache_data(max_entries=16, show_spinner=False)
def candidates(name: str, choice: ranking.Choice) -> tuple[str, ...]:
    """Return the fields of a choice that are not known to a model."""
    return tuple("-".join(field) for field in choice.fields(ranking.known_fields(_load(name))))


@st.cache_resource(max_entries=12, show_spinner=False)
def point_cloud(name: str, projection: str) -> map_scene.PointCloud:
    """Return the places of the known materials on a projection, packed for the browser."""
    return map_scene.point_cloud(_load_map(name).positions(projection))


@st.cache_resource(max_entries=32, show_spinner=False)
def coloring(name: str, column: map_columns.Column, element: str) -> map_scene.Coloring:
    """Return the colors of the known materials by a column, or by whether they hold an element."""
    if element:
        return map_columns.color_by_element(map_table(name), element)
    return map_columns.coloring(map_table(name), column)


def neighbor_rows(name: str, key: str) -> list[int]:
    """Return the rows of the true neighbors of a material; none where it has no place in the model."""
    try:
        return [int(row) for row in neighbors(name, key).index] if key else []
    except ValueError:  # the card says why
        return []


def markers(where: pd.DataFrame, at: str) -> list[map_scene.MapMarker]:
    """Return the marks of fields that `placed` has placed; a pin for the one that the visitor looks at."""
    return [
        map_scene.MapMarker(row.x, row.y, ranking.chemists_order(row.name), "pin" if row.name == at else "sample")
        for row in where.itertuples(index=False)
    ]


def axis_labels(projection: str) -> tuple[str, str]:
    """Return the names of both axes of a projection."""
    title = PROJECTIONS.get(projection, projection)
    return f"{title} 1", f"{title} 2"


@st.cache_resource(max_entries=4, show_spinner=False)
def hover(name: str) -> map_scene.HoverText:
    """Return what is shown where the pointer rests on a known material."""
    return map_columns.hover(map_table(name), map_table_columns(name))


@st.cache_data(max_entries=4, show_spinner=False)
def elements_in(name: str) -> list[str]:
    """Return the elements of the known materials of a map, the commonest first."""
    return map_columns.elements(map_table(name))


@st.cache_resource(max_entries=64, show_spinner="Decoding …")
def decoded(name: str, row: int) -> Decoded:
    """Decode the stored latent point of a known material."""
    return _load_map(name).reconstruct([row])[0]


@st.cache_resource(max_entries=64, show_spinner=False)
def original(name: str, row: int) -> Any:
    """Return a known crystal as the model was given it.

    Raises:
        ValueError: If the data set that the model learned from is not installed.
    """
    data_set = next(iter(_load(name).provenance["datasets"])).split("/")[0]
    crystal = data.load_crystal(data_set, map_table(name)["key"].iloc[row])
    return _load_map(name).representation.standardize(crystal)


# Parts of Home and Trust


def all_evidence() -> pd.DataFrame:
    """Lay out the evidence of every ranker beside the baselines, each baseline once."""
    frames = [ranking.evidence_frame(name, load(name).metrics) for name in names_with("score")]
    if not frames:
        return ranking.evidence_frame("", {})
    joined = pd.concat(frames, ignore_index=True)
    return joined.drop_duplicates(["ranker", "control"]).sort_values("is_baseline", kind="stable", ignore_index=True)


def verdicts() -> dict[str, str]:
    """Return for every ranker one sentence on whether it beats pair co-occurrence."""
    return {name: ranking.verdict(load(name).metrics) for name in names_with("score")}


def reconstruction_metrics(metrics: dict[str, Any]) -> None:
    """Show how well a model reconstructs what it was trained on, and whether it collapsed."""
    reconstruction = metrics.get("reconstruction", {})
    if "explained_variance" not in reconstruction:
        return
    with st.container(horizontal=True):
        st.metric("explained variance", f"{reconstruction['explained_variance']:.0%}")
        st.metric(
            "decoder spread",
            f"{reconstruction['decoder_spread']:.2f}",
            help="1 is the spread of the data; 0 is a collapse",
        )
        st.metric("active dimensions", reconstruction["active_dimensions"])


def provenance(name: str) -> pd.DataFrame:
    """Return what made a checkpoint: one row a fact."""
    facts = dict(load(name).provenance)
    datasets = facts.pop("datasets", {})
    rows = [*facts.items(), *((f"data: {key}", f"SHA-256 {value}") for key, value in datasets.items())]
    return pd.DataFrame([(key, str(value)) for key, value in rows], columns=["what", "value"])


@st.cache_data(max_entries=1, ttl=300, show_spinner="Looking at the data folder …")
def data_sets() -> pd.DataFrame:
    """Return what is known of each data set and whether it is installed."""
    return data.overview()


@st.cache_data(max_entries=1, show_spinner=False)
def versions() -> pd.DataFrame:
    """Return the versions of what the figures depend on."""
    packages = ("matgen-explorer", "torch", "pymatgen", "numpy", "pandas", "plotly", "streamlit")
    return pd.DataFrame([(package, version(package)) for package in packages], columns=["package", "version"])


def health_line(n_good: int, n_broken: int) -> None:
    """Say in one line which checkpoints and data are there."""
    installed = sum(data.path_of(name).is_file() for name in data.DATASETS)
    broken = f", {n_broken} cannot be used" if n_broken else ""
    st.caption(
        f"{n_good} checkpoints ready{broken} · {installed} of {len(data.DATASETS)} data sets installed"
        " (needed for training only) · works without network: nothing here is fetched from outside this machine"
    )
