"""The columns of a model's index as a map shows them: what each is called, its unit, its colors, its hover text.

A page asks here instead of knowing what an index holds, so phase fields and crystals share one page.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from matgen_core.latent import clusters
from matgen_core.latent.index import SPLITS, structures_of, systems_of
from matgen_core.materials import query
from matgen_core.materials.levels import PHASE_FIELD
from matgen_core.materials.properties import Column
from matgen_core.views.maps import scene as map_scene
from matgen_core.views.maps.scene import Coloring, HoverText, MapLabel


def coloring(table: pd.DataFrame, column: Column) -> Coloring:
    """Color points by a column.

    Raises:
        KeyError: If the table has no such column.
    """
    if column.is_category:
        order = SPLITS.values() if column.name == "split" else ()
        present = set(table[column.name])
        return map_scene.color_by_category(
            table[column.name].to_numpy(), label=column.label, order=[name for name in order if name in present]
        )
    return map_scene.color_by_value(table[column.name], label=column.label, unit=column.unit)


def color_by_element(table: pd.DataFrame, element: str) -> Coloring:
    """Color the materials that hold an element apart from all others."""
    with_it, without = f"with {element}", f"without {element}"
    kinds = [with_it if holds else without for holds in query.find(f"has:{element}", table["name"])]
    return map_scene.color_by_category(kinds, label=f"Holds {element}", order=(with_it, without))


def color_by_cluster(table: pd.DataFrame, labels: NDArray[np.int64]) -> Coloring:
    """Color materials by their cluster in the latent space; those in none are gray and named in the legend."""
    named = pd.Series(clusters.names(labels, systems_of(table)))
    in_none = named == clusters.NOISE_NAME
    order = named[~in_none].groupby(labels[~in_none]).first()
    colored = map_scene.color_by_category(named.mask(in_none, "").to_numpy(), label="Cluster", order=list(order))
    gray = map_scene.LegendEntry(clusters.NOISE_NAME, map_scene.MISSING, int(in_none.sum()))
    return replace(colored, entries=(*colored.entries, *([gray] if gray.count else [])), n_missing=0)


def color_by_grade(values: ArrayLike, column: Column) -> Coloring:
    """Color points by a grade of the map, from 0 to 1 on every map so that maps can be compared."""
    return map_scene.color_by_value(values, label=column.label, unit=column.unit, limits=(0.0, 1.0))


def hover(table: pd.DataFrame, shown: Sequence[Column]) -> HoverText:
    """Pack what is shown where the pointer rests: the material, then its values."""
    fields: dict[str, Sequence[object]] = {}
    if PHASE_FIELD.column in table:
        fields["Phase field"] = list(map(PHASE_FIELD.display, table["name"]))
    else:
        fields |= {"Formula": list(table["name"]), "Material": list(table["key"])}
    fields |= {column.label: table[column.name].to_list() for column in shown}
    return map_scene.hover_text(fields, {column.label: column.unit for column in shown})


def island_labels(table: pd.DataFrame, positions: NDArray[np.float32]) -> list[MapLabel]:
    """Name the islands of a map by what is in them, the largest first, each where its points are thickest."""
    labels = clusters.islands(positions)
    named = clusters.titles(labels, table, systems_of(table), structures_of(table))
    found = []
    for label, text in named.items():
        points = positions[labels == label]
        middle = points[np.square(points - np.median(points, axis=0)).sum(axis=1).argmin()]
        found.append(MapLabel(float(middle[0]), float(middle[1]), text, "island"))
    return found
