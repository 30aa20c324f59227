"""What pages with a latent map share: its tables, what is drawn on it, true neighbors, decoded crystals."""

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from matgen_core import data, map_columns, map_scene, ranking
from matgen_core.checkpoint import CheckpointError
from matgen_core.latent import Decoded, LatentMap, fitting
from matgen_core.map_events import MapEvents
from matgen_core.map_scene import MapScene
from pages import _widgets
from pages._components.latent_map import latent_map

MOST_CANDIDATES = 1_000  # each is drawn as a mark of its own, and sent at every run


# Materials


@st.cache_resource(max_entries=4, show_spinner="Reading the map …")
def _load_map(name: str) -> LatentMap:
    return LatentMap(_widgets.read(name))


@st.cache_resource(max_entries=4, show_spinner=False)
def map_table(name: str) -> pd.DataFrame:
    """Return the known materials of a map as `map_columns.materials` lays them out; not to be changed."""
    return map_columns.materials(_widgets.read(name))


def map_table_columns(name: str) -> list[map_columns.Column]:
    """Return what is known of each material of a map."""
    return map_columns.columns(map_table(name), _widgets.read(name))


def load_map(name: str) -> LatentMap:
    """Return a latent map, or show why there is none and end the page."""
    try:
        map_table(name)
        return _load_map(name)
    except (CheckpointError, ValueError) as error:
        st.error(str(error))
        st.stop()


@st.cache_resource(max_entries=4, show_spinner=False)
def _rows(name: str) -> dict[str, int]:
    return {key: row for row, key in enumerate(map_table(name)["key"])}


def row_of(name: str, key: str) -> int | None:
    """Return the row of a known material in `map_table`, or None if it is not known."""
    return _rows(name).get(key)


@st.cache_data(max_entries=4, show_spinner=False)
def elements_in(name: str) -> list[str]:
    """Return the elements of the known materials of a map, the commonest first."""
    return map_columns.elements(map_table(name))


# Neighbors


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


def neighbor_rows(name: str, key: str) -> list[int]:
    """Return the rows of the true neighbors of a material; none where it has no place in the model."""
    try:
        return [int(row) for row in neighbors(name, key).index] if key else []
    except ValueError:  # the card says why
        return []


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
    _widgets.field_table(near[[each for each in wanted if each in near]], key, on_choose, "content")


# Drawing


def map_chart(scene: MapScene, key: str, on_event: Callable[[MapEvents], None]) -> None:
    """Show a map; what the visitor does on it is handed on before the page runs again."""
    latent_map(scene, key=key, height=600, on_event=on_event)


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


@st.cache_resource(max_entries=4, show_spinner=False)
def hover(name: str) -> map_scene.HoverText:
    """Return what is shown where the pointer rests on a known material."""
    return map_columns.hover(map_table(name), map_table_columns(name))


def markers(where: pd.DataFrame, at: str) -> list[map_scene.MapMarker]:
    """Return the marks of fields that `placed` has placed; a pin for the one that the visitor looks at."""
    return [
        map_scene.MapMarker(row.x, row.y, ranking.chemists_order(row.name), "pin" if row.name == at else "sample")
        for row in where.itertuples(index=False)
    ]


def axis_labels(projection: str) -> tuple[str, str]:
    """Return the names of both axes of a projection."""
    title = _widgets.PROJECTIONS.get(projection, projection)
    return f"{title} 1", f"{title} 2"


@st.cache_data(max_entries=16, show_spinner=False)
def candidates(name: str, choice: ranking.Choice) -> tuple[str, ...]:
    """Return the fields of a choice that are not known to a model."""
    return tuple("-".join(field) for field in choice.fields(ranking.known_fields(_widgets.read(name))))


# Crystals


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
    data_set = next(iter(_widgets.read(name).provenance["datasets"])).split("/")[0]
    crystal = data.load_crystal(data_set, map_table(name)["key"].iloc[row])
    return _load_map(name).representation.standardize(crystal)
