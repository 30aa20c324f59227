"""A journey as it lies on a map: the line, its ends, its samples, and where it leaves the data."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from matgen_core.latent.map import LatentMap
from matgen_core.latent.space import Z
from matgen_core.tasks.journeys.routes import Route, Waypoint
from matgen_core.tasks.journeys.steps import EDGE
from matgen_core.views.maps.scene import MapLabel, MapMarker, MapPath

_MOST_PINS = 8
_SKETCHED = 1_500  # points are enough to know the cloud again


@dataclass(frozen=True)
class Overlay:
    """What is drawn over a map.

    Attributes:
        paths: The line that is walked, hollow where a step lies outside the data; none for samples.
        markers: Pins on named places, or the samples.
        marker_steps: The step that each marker stands for; empty before there are steps.
        labels: A word where the line first leaves the data.
    """

    paths: tuple[MapPath, ...] = ()
    markers: tuple[MapMarker, ...] = ()
    marker_steps: tuple[int, ...] = ()
    labels: tuple[MapLabel, ...] = ()


def waypoint_pins(space: LatentMap, waypoints: Sequence[Waypoint], projection: str) -> Overlay:
    """Draw waypoints alone, before there is a journey."""
    if not waypoints:
        return Overlay()
    xy = _places(space, np.stack([each.z for each in waypoints]), projection)
    return Overlay(markers=tuple(MapMarker(x, y, each.name) for each, (x, y) in zip(waypoints, xy, strict=True)))


def steps_outside(space: LatentMap, route: Route) -> list[int]:
    """Return the steps that lie farther from the data than the edge of the data."""
    steps: list[int] = np.flatnonzero(space.distance_percentile(space.features_of(route.z), k=1) > EDGE).tolist()
    return steps


def journey_overlay(
    space: LatentMap, route: Route, projection: str, off_data: Sequence[int], current: int | None = None
) -> Overlay:
    """Draw a journey on a stored projection; places between known materials follow their true neighbors.

    Args:
        space: The latent space.
        route: The journey.
        projection: Of the map.
        off_data: Steps outside the data, as `steps_outside` finds them.
        current: The step that is looked at.
    """
    xy, start = _places(space, route.z, projection), route.walked_from
    if start is None:
        samples = [
            MapMarker(x, y, f"{i}", "pin" if i - 1 == current else "sample") for i, (x, y) in enumerate(xy, start=1)
        ]
        return Overlay(markers=tuple(samples), marker_steps=tuple(range(len(route))))
    left = [step - start for step in off_data if step >= start]
    here = current - start if current is not None and current >= start else None
    standing = [i for i, row in enumerate(route.rows) if row is not None]
    ends = {*range(start), start, len(route) - 1}
    # On a way from material to material a pin on each would hide the line.
    pins = sorted(ends.union(standing) if len(standing) <= _MOST_PINS else ends)
    labels = []
    if left:
        x, y = xy[start + left[0]]
        text = "leaves the data" if left[0] else "outside the data"
        labels.append(MapLabel(x, y + 0.04 * float(np.ptp(space.positions(projection)[:, 1])), text))
    return Overlay(
        paths=(MapPath(xy[start:], off_data=left, current=here),),
        markers=tuple(MapMarker(xy[i][0], xy[i][1], route.labels[i]) for i in pins),
        marker_steps=tuple(pins),
        labels=tuple(labels),
    )


def sketch(space: LatentMap, route: Route, projection: str, off_data: Sequence[int]) -> dict[str, Any]:
    """Describe a journey on a map in few numbers, for a small picture beside something else.

    Args:
        space: The latent space.
        route: The journey.
        projection: Of the map.
        off_data: Steps outside the data, as `steps_outside` finds them.

    Returns:
        What json can write: `points` (every n-th known material) and `steps`, each (x, y) from 0 to 1 on both axes
        with the proportions of the map kept; `outside`, steps; `line_from`, the first step that is joined to the next,
        None where none is.
    """
    cloud = space.positions(projection)
    steps = np.array(_places(space, route.z, projection), np.float64).reshape(-1, 2)
    every = np.concatenate([cloud, steps])
    low, high = every.min(axis=0), every.max(axis=0)
    side = max(float((high - low).max()), 1e-9)
    corner = (low + high - side) / 2
    some = cloud[:: -(-len(cloud) // _SKETCHED)]
    return {
        "points": np.round((some - corner) / side, 3).astype(float).tolist(),
        "steps": np.round((steps - corner) / side, 3).tolist(),
        "outside": list(off_data),
        "line_from": route.walked_from,
    }


def _places(space: LatentMap, z: Z, projection: str) -> list[tuple[float, float]]:
    return [(x, y) for x, y in space.place(space.features_of(z), projection).astype(float).tolist()]
