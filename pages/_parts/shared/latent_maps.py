"""What pages with a latent map share: its tables, what is drawn on it, true neighbors, decoded crystals."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from matgen_core import checkpoint as checkpoints
from matgen_core import data
from matgen_core.checkpoint import CheckpointError
from matgen_core.latent import clusters, projection
from matgen_core.latent.index import elements_of, known_columns, known_materials
from matgen_core.latent.map import LatentMap
from matgen_core.latent.projection import SubsetMap
from matgen_core.latent.space import Decoded, fitting
from matgen_core.latent.worker import ProjectionWorker
from matgen_core.materials import query
from matgen_core.materials.elements import every_element
from matgen_core.materials.formulas import subscripted
from matgen_core.materials.levels import COMPOSITION, CRYSTAL, PHASE_FIELD, Level
from matgen_core.materials.properties import Column
from matgen_core.tasks import ranking
from matgen_core.views.maps import columns as map_columns
from matgen_core.views.maps import scene as map_scene
from matgen_core.views.maps.events import MapEvents
from matgen_core.views.maps.scene import MapScene
from pages._parts.components.latent_map import latent_map
from pages._parts.shared import plain_text, widgets
from pages._parts.shared.folder_caches import by_folder
from pages._parts.shared.plain_text import code, plain

ELEMENT, CLUSTER, FAITHFULNESS, STABILITY = "element", "cluster", "faithfulness", "stability"
MOST_CANDIDATES = 1_000  # each is drawn as a mark of its own, and sent at every run


# Materials


@by_folder(st.cache_resource, max_entries=4, show_spinner="Reading the map …")
def _load_map(name: str) -> LatentMap:
    model = widgets.read(name)
    with checkpoints.blamed(name):
        return LatentMap(model)


@by_folder(st.cache_resource, max_entries=4, show_spinner=False)
def map_table(name: str) -> pd.DataFrame:
    """Return the known materials of a map as `map_columns.known_materials` lays them out; not to be changed."""
    model = widgets.read(name)
    with checkpoints.blamed(name):
        return known_materials(model)


def map_table_columns(name: str) -> list[Column]:
    """Return what is known of each material of a map."""
    return known_columns(map_table(name), widgets.read(name))


def numbers_of(name: str) -> list[str]:
    """Return the columns of a map's materials that are numbers."""
    return [column.name for column in map_table_columns(name) if not column.is_category]


def level(name: str) -> Level:
    """Return what the materials of a map are."""
    return widgets.read(name).level


def noun(name: str) -> str:
    """Return what the materials of a map are called."""
    return level(name).plural


def everyone_in_words(name: str) -> str:
    """Return what all points of a map are called."""
    return f"known {noun(name)}" if _load_map(name).encodes else f"known and generated {noun(name)}"


def without_encoder(name: str) -> str:
    """Say what a map shows whose model cannot encode; "" for the others."""
    space = _load_map(name)
    if space.encodes:
        return ""
    bank, plural, noun = widgets.read(name).metrics["bank"], space.level.plural, space.level.noun
    anyone = "" if space.level.parse is None else f"; there any {noun} has a place"
    return (
        f"**{plain(name)} has no encoder**:"
        f" it writes {plural} from random numbers and finds no latent point of one that"
        " is given to it. This map lays out the features by which its critic tells real from generated"
        f" {plural}{anyone}. Here are {int(space.known.sum()):,} known {plural} beside"
        f" {int(space.has_point.sum()):,} of a fixed bank of {bank['n_samples']:,} samples (seed {bank['seed']}). Only"
        " the generated ones have latent points."
    )


def map_problem(name: str) -> str:
    """Say why a map cannot be used, "" if it can."""
    try:
        map_table(name)
        _load_map(name)
    except (CheckpointError, ValueError) as error:
        return str(error)
    return ""


def load_map(name: str) -> LatentMap:
    """Return a latent map, or show why there is none and end the page."""
    if problem := map_problem(name):
        plain_text.error(problem)
        st.stop()
    return _load_map(name)


@by_folder(st.cache_resource, max_entries=4, show_spinner=False)
def _rows(name: str) -> dict[str, int]:
    return {key: row for row, key in enumerate(map_table(name)["key"])}


def row_of(name: str, key: str) -> int | None:
    """Return the row of a known material in `map_table`, or None if it is not known."""
    return _rows(name).get(key)


@by_folder(st.cache_resource, max_entries=4, show_spinner=False)
def labels(name: str) -> dict[str, str]:
    """Return what a list shows for the key of each known material; not to be changed."""
    table = map_table(name)
    if level(name) is PHASE_FIELD:
        return {key: PHASE_FIELD.display(key) for key in table["key"]}
    return {key: f"{formula} · {key}" for key, formula in zip(table["key"], table["name"], strict=True)}


@by_folder(st.cache_data, max_entries=4, show_spinner=False)
def elements_in(name: str) -> list[str]:
    """Return the elements of the known materials of a map, the commonest first."""
    return elements_of(map_table(name))


@by_folder(st.cache_data, max_entries=4, show_spinner=False)
def absent_elements(name: str) -> dict[str, str]:
    """Return the elements that no known material of a map holds, each with the reason."""
    known = set(elements_in(name))
    return {symbol: f"in none of the materials of {name}" for symbol in every_element() if symbol not in known}


@by_folder(st.cache_data, max_entries=16, show_spinner=False)
def keeping_to(name: str, search: str) -> list[bool]:
    """Tell which known materials keep to a search line.

    Raises:
        ValueError: If it cannot be understood.
    """
    return query.find(search, map_table(name)["name"])


# Maps of this session


@st.cache_resource(show_spinner=False, on_release=ProjectionWorker.close)
def worker() -> ProjectionWorker:
    """Return the one process of this app that makes maps."""
    return ProjectionWorker()


def own_maps(name: str) -> dict[str, SubsetMap]:
    """Return the maps that this visitor has made of a model, by their keys."""
    made: dict[Any, dict[str, SubsetMap]] = st.session_state.setdefault("own_maps", {})
    return made.setdefault((name, checkpoints.fingerprint(name)), {})  # another folder has other materials


def keep_own_map(name: str, made: SubsetMap) -> str:
    """Keep a map for as long as the session lasts and return its key."""
    own = own_maps(name)
    key = f"own-{len(own) + 1}"
    own[key] = made
    return key


def projections(name: str) -> list[str]:
    """Return the keys of all maps of a model: those that it came with, then those of this visitor."""
    return [*_load_map(name).projections, *own_maps(name)]


def projection_title(name: str, key: str) -> str:
    """Return what a map is called."""
    if key not in own_maps(name):
        return widgets.PROJECTIONS.get(key, key)
    own = own_maps(name)[key]
    return f"{widgets.PROJECTIONS[own.made.settings.method]}, mine {key.removeprefix('own-')}"


def positions(name: str, key: str) -> Any:
    """Return where the known materials lie on a map, (n_materials, 2)."""
    own = own_maps(name)
    return own[key].positions if key in own else _load_map(name).positions(key)


def everyone(name: str) -> Any:
    """Return a mask of all known materials of a model."""
    return map_table(name)["key"].notna().to_numpy()


def faithfulness(name: str, key: str) -> Any:
    """Return for each material how much of its true neighborhood a map keeps; NaN where it did not shape the map."""
    own = own_maps(name)
    return own[key].faithfulness if key in own else map_table(name)[f"{key}_faithfulness"].to_numpy()


def grades_in_words(name: str, key: str) -> str:
    """Say how far a map can be trusted."""
    title, own = projection_title(name, key), own_maps(name).get(key)
    mean = pd.Series(faithfulness(name, key)).mean()
    sentence = f"A point keeps on average {mean:.0%} of its 15 true neighbors on this map"
    if own:
        made = own.made
        whole = made.trustworthiness, made.continuity
        settings = settings_in_words(made.settings)
        sentence = f"{title}: {settings}, of {int(own.member.sum()):,} points; the others are gray. {sentence}"
    else:
        grades = widgets.read(name).metrics.get("maps", {}).get("maps", {}).get(key, {})
        whole = grades.get("trustworthiness"), grades.get("continuity")
        if "stability" in grades:
            sentence += f", and {grades['stability']:.0%} of its neighbors here would be there with another seed"
    if whole[0] is not None:
        sentence += (
            f". The whole map, 1 being perfect: trustworthiness {whole[0]:.2f} (what lies near here is near in truth),"
            f" continuity {whole[1]:.2f} (what is near in truth lies near here)"
        )
    return (
        f"{sentence}. Distances and empty space on a map mean little; the lines to true neighbors and the lists are"
        " exact."
    )


def settings_in_words(settings: projection.ProjectionSettings) -> str:
    """Say with what settings a map was made."""
    own = {
        "umap": f"{settings.n_neighbors} neighbors, least distance {settings.min_dist:g}, {settings.metric}, ",
        "tsne": f"perplexity {settings.perplexity:g}, {settings.metric}, ",
    }
    return f"{own.get(settings.method, '')}seed {settings.seed}"


# Neighbors


@by_folder(st.cache_data, max_entries=16, show_spinner=False)
def placed(name: str, key: str, others: tuple[str, ...]) -> pd.DataFrame:
    """Place what is not on a map by its true neighbors.

    Args:
        name: A model with a map of phase fields or of formulas.
        key: A map that the model came with.
        others: Fields or formulas.

    Returns:
        Columns x, y, name; one that does not fit is left out.
    """
    space = _load_map(name)
    located = space.locate([_material(name, other) for other in others])
    there = [other for other, each in zip(others, located, strict=True) if each.problem is None]
    places = space.place(fitting(located)[1], key) if there else None
    return pd.DataFrame(places, columns=["x", "y"]).assign(name=there)


def _material(name: str, key: str) -> Any:
    """Return the phase field or the formula that a key stands for, as its model takes it.

    Raises:
        ValueError: If it stands for neither.
    """
    parse = level(name).parse
    if parse is None:
        raise ValueError(not_here(name, key))
    try:
        return parse(key)
    except ValueError as error:
        raise ValueError(f"{not_here(name, key)} ({error})") from error


@by_folder(st.cache_data, max_entries=64, show_spinner=False)
def misfit(name: str, key: str) -> str:
    """Say why something that is not on a map has no place there, "" if it has one."""
    try:
        return _load_map(name).locate([_material(name, key)])[0].problem or ""
    except ValueError as error:
        return str(error)


@by_folder(st.cache_data, max_entries=64, show_spinner=False)
def neighbors(name: str, key: str, k: int = 6) -> pd.DataFrame:
    """Return the materials of a map that are nearest to one in truth, nearest first.

    Args:
        name: A model with a map.
        key: A material's key, or a phase field or a formula that is not on the map.
        k: How many.

    Returns:
        Rows of `map_table`, with their numbers, and a column distance.

    Raises:
        ValueError: If it does not fit the model, or the crystal is not on the map.
    """
    space, table = _load_map(name), map_table(name)
    row = row_of(name, key)
    if row is None:
        located = space.locate([_material(name, key)])
        if located[0].problem:
            raise ValueError(located[0].problem)
        features = fitting(located)[1]
    else:
        features = space.features[[row]]
    distances, rows = space.neighbors(features, k + 1)
    near = table.iloc[rows[0]].assign(distance=distances[0])
    return near[near["key"] != key].head(k)


def not_here(name: str, key: str) -> str:
    """Say that a material is not on a map."""
    return f"{key} is not among the {noun(name)} of {name}; click a point or search for a formula"


@by_folder(st.cache_resource, max_entries=4, show_spinner=False)
def true_neighbors(name: str) -> Any:
    """Return the rows of the true neighbors of every material, (n_materials, 15)."""
    return projection.nearest(_load_map(name).features)


def neighbor_rows(name: str, key: str) -> list[int]:
    """Return the rows of the true neighbors of a material; none where it has no place in the model."""
    try:
        return [int(row) for row in neighbors(name, key).index] if key else []
    except ValueError:  # the card says why
        return []


def nearest_known(maps: Sequence[str], key_of: str, key: str, on_choose: Callable[[str], None]) -> None:
    """List the materials nearest to one, by true distance in the space of the first of some maps."""
    if not maps:
        st.info("No checkpoint with an encoder is present, so there is no latent space to measure in.")
        return
    try:
        near = neighbors(maps[0], key_of)
    except (ValueError, CheckpointError) as error:
        plain_text.error(error)
        return
    space = _load_map(maps[0])
    head = f"Nearest {'known ' if space.encodes else ''}{noun(maps[0])}"
    st.markdown(f"**{head}** :small[by distance in the {space.measured_in} of {code(maps[0])}]")
    wanted = ["name", "distance", "reconstruction_error"]
    if level(maps[0]) is not PHASE_FIELD:
        told = "split" if not space.encodes else "formation_energy_per_atom"
        wanted = ["formula", "id", "distance", "space_group" if level(maps[0]) is CRYSTAL else told]
    shown = near[[each for each in wanted if each in near]]
    widgets.field_table(shown, key, on_choose, "content", map_table_columns(maps[0]))


# Drawing


@by_folder(st.cache_resource, max_entries=12, show_spinner="Naming the islands …")
def island_labels(name: str, key: str) -> list[map_scene.MapLabel]:
    """Return the names of the islands of a map that a model came with."""
    return map_columns.island_labels(map_table(name), _load_map(name).positions(key))


def map_chart(scene: MapScene, key: str, on_event: Callable[[MapEvents], None], height: int = 600) -> None:
    """Show a map, so many pixels high; what the visitor does on it is handed on before the page runs again."""
    latent_map(scene, key=key, height=height, on_event=on_event)


@by_folder(st.cache_resource, max_entries=12, show_spinner=False)
def _stored_cloud(name: str, key: str) -> map_scene.PointCloud:
    return map_scene.point_cloud(_load_map(name).positions(key))


def point_cloud(name: str, key: str) -> map_scene.PointCloud:
    """Return the places of the known materials on a map, packed for the browser."""
    own = own_maps(name)
    if key not in own:
        return _stored_cloud(name, key)
    clouds: dict[Any, map_scene.PointCloud] = st.session_state.setdefault("own_clouds", {})
    which = (name, key, checkpoints.fingerprint(name))
    if which not in clouds:
        clouds[which] = map_scene.point_cloud(own[key].positions)
    return clouds[which]


@by_folder(st.cache_resource, max_entries=32, show_spinner=False)
def coloring(name: str, column: Column | None, element: str) -> map_scene.Coloring:
    """Return the colors of the known materials by a column, or without one by whether they hold an element."""
    if column is None:
        return map_columns.color_by_element(map_table(name), element)
    return map_columns.coloring(map_table(name), column)


@by_folder(st.cache_resource, max_entries=4, show_spinner="Looking for clusters …")
def cluster_coloring(name: str) -> map_scene.Coloring:
    """Return the colors of the known materials by their clusters in the latent space itself."""
    return map_columns.color_by_cluster(map_table(name), clusters.find(_load_map(name).features))


@by_folder(st.cache_resource, max_entries=4, show_spinner=False)
def hover(name: str) -> map_scene.HoverText:
    """Return what is shown where the pointer rests on a known material."""
    return map_columns.hover(map_table(name), map_table_columns(name))


def color_titles(name: str, key: str) -> dict[str, str]:
    """Return what the points of a map can be colored by, each with its title, the telling ones first."""
    titles = {column.name: column.label for column in map_table_columns(name)}
    space = _load_map(name)
    titles |= {
        ELEMENT: "One element",
        CLUSTER: "Cluster in latent space" if space.encodes else "Cluster of features",
        FAITHFULNESS: "Faithfulness of the map",
    }
    if f"{key}_stability" in map_table(name):
        titles[STABILITY] = "Stability over seeds"
    first = telling_column(name, ELEMENT)
    return {each: titles[each] for each in sorted(titles, key=lambda each: each != first)}


def telling_column(name: str, otherwise: str) -> str:
    """Return the column that says most of the materials of a map, or another where there is none like that."""
    telling = ["anions", "family", "origin", "split"] if _load_map(name).encodes else ["split"]
    if level(name) is COMPOSITION:
        telling = ["formation_energy_per_atom", *telling]
    return next((each for each in telling if each in map_table(name)), otherwise)


def markers(name: str, where: pd.DataFrame, at: str, ranks: Mapping[str, float]) -> list[map_scene.MapMarker]:
    """Return the marks of what `placed` has placed; a pin for the one that the visitor looks at.

    Args:
        name: A model with a map.
        where: As `placed` gives it.
        at: What is looked at.
        ranks: Of those that are ranked, from 1.
    """
    written, most = level(name).display, max(1.0, *ranks.values()) if ranks else 1.0
    return [
        map_scene.MapMarker(
            row.x,
            row.y,
            subscripted(written(row.name)),
            "pin" if row.name == at else "sample",
            (ranks[row.name] - 1) / max(most - 1, 1.0) if row.name in ranks else None,
        )
        for row in where.itertuples(index=False)
    ]


def axis_labels(name: str, key: str) -> tuple[str, str]:
    """Return the names of both axes of a map."""
    title = projection_title(name, key).partition(",")[0]
    return f"{title} 1", f"{title} 2"


@by_folder(st.cache_data, max_entries=16, show_spinner=False)
def candidates(name: str, choice: ranking.Choice) -> tuple[str, ...]:
    """Return the fields of a choice that are not known to a model."""
    return tuple(field.write() for field in choice.fields(ranking.known_fields(widgets.read(name))))


# Materials decoded


def has_point(name: str, row: int) -> bool:
    """Tell whether a material of a map has a latent point."""
    return bool(_load_map(name).has_point[row])


@by_folder(st.cache_resource, max_entries=64, show_spinner="Decoding …")
def decoded(name: str, row: int) -> Decoded:
    """Decode the latent point of a material of a map."""
    return _load_map(name).reconstruct([row])[0]


@by_folder(st.cache_resource, max_entries=64, show_spinner="Decoding …")
def decoded_again(name: str, formula: str) -> Decoded | None:
    """Encode a formula and decode its latent point; None for a model that cannot encode."""
    space = _load_map(name)
    return space.decode(fitting(space.encode([_material(name, formula)]))[1])[0] if space.encodes else None


@by_folder(st.cache_resource, max_entries=64, show_spinner=False)
def original(name: str, row: int) -> Any:
    """Return a known crystal as the model was given it; in the cell of the data where the model has no encoder.

    Raises:
        ValueError: If the data set that the model learned from is not installed.
    """
    data_set = next(iter(widgets.read(name).provenance.get("datasets", {})), "").split("/")[0]
    crystal = data.load_crystal(data_set, map_table(name)["key"].iloc[row])
    space = _load_map(name)
    return space.representation.standardize(crystal) if space.encodes else crystal
