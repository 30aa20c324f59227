"""Which part of a map to look at: round some points, or most of all."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from matgen_core.latent.selection import LARGEST, is_coordinate

MARGIN = 1.3  # of the view over the points in it
LEAST = 0.06  # of the map that a view shows: one hit is seen among its neighbors
MOST = 0.98  # of the points that the first view of a map holds at least, along each axis
WORTH = 0.85  # of a side of the whole map: a view that leaves points out shows less than this, or leaves none out


@dataclass(frozen=True)
class Camera:
    """What part of the map is in view, in map coordinates; independent of the window's size."""

    x: float
    y: float
    span: float  # map units along the shorter side of the view

    @classmethod
    def of(cls, *values: Any) -> "Camera":
        """Take x, y and span as they come from a browser or an address.

        Raises:
            ValueError: If they are not three numbers, each a coordinate and the span above 0.
        """
        if len(values) != 3 or not all(map(is_coordinate, values)) or values[2] <= 0:
            raise ValueError(f"expected x, y and span of a view, within ±{LARGEST:.0e} and span above 0")
        return cls(*map(float, values))


def around(xy: ArrayLike, whole: ArrayLike) -> Camera:
    """Return a view of some points.

    Args:
        xy: The points, (n, 2), one at least.
        whole: All points of the map, (n_all, 2).

    Raises:
        ValueError: If there is no point.
    """
    points, every = np.asarray(xy, float), np.asarray(whole, float)
    if not len(points):
        raise ValueError("no points to look at")
    low, high = points.min(axis=0), points.max(axis=0)
    least = LEAST * float(np.ptp(every, axis=0).max()) or 1.0
    x, y = (low + high) / 2
    return Camera(float(x), float(y), max(MARGIN * float((high - low).max()), least))


def home(xy: ArrayLike) -> tuple[tuple[float, float, float, float], int]:
    """Return the box that a map opens with: without outliers, where they would take much of it.

    Args:
        xy: All points, (n, 2).

    Returns:
        Lowest x, lowest y, highest x, highest y, and the number of points outside.
    """
    points = np.asarray(xy, float)
    low, high = points.min(axis=0), points.max(axis=0)
    inner_low, inner_high = np.quantile(points, ((1 - MOST) / 2, (1 + MOST) / 2), axis=0)
    room = 0.04 * (inner_high - inner_low)
    inner_low, inner_high = np.maximum(low, inner_low - room), np.minimum(high, inner_high + room)
    for axis in (0, 1):
        if inner_high[axis] - inner_low[axis] >= WORTH * (high[axis] - low[axis]):
            inner_low[axis], inner_high[axis] = low[axis], high[axis]
    outside = int(((points < inner_low) | (points > inner_high)).any(axis=1).sum())
    return (float(inner_low[0]), float(inner_low[1]), float(inner_high[0]), float(inner_high[1])), outside
