"""Which points of a map lie inside a drawn outline, and how one selection joins another.

The browser sends the outline alone; the points are found here, so a selection costs the same few hundred
bytes for a thousand points and for a million.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

SelectionOp = Literal["new", "add", "subtract", "intersect", "clear"]

MAX_VERTICES = 1000
LARGEST = 1e9  # of a coordinate of a map; sums and products of such are still finite


@dataclass(frozen=True, eq=False)
class Lasso:
    """An outline drawn on a map and what to do with the points in it."""

    polygon: NDArray[np.float64]  # (n_vertices, 2) in map coordinates, not closed; (0, 2) for "clear"
    op: SelectionOp

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> "Lasso":
        """Read what the map component sends.

        Args:
            event: `op`, and `polygon` with `origin` (x, y of the first vertex), `step` (map units a count)
                and `path` (dx, dy, dx, dy, ... in whole counts from one vertex to the next).

        Raises:
            ValueError: If it is not of that form; events come from a browser and may be anything.
        """
        op = event.get("op")
        if op not in get_args(SelectionOp):
            raise ValueError(f"lasso op {op!r}: expected one of {', '.join(get_args(SelectionOp))}")
        if op == "clear":
            return cls(np.empty((0, 2)), "clear")
        return cls(_decode_path(event.get("polygon")), cast(SelectionOp, op))


@dataclass(frozen=True, eq=False)
class Selection:
    """Points that outlines have chosen, and those outlines: what it takes to choose them again."""

    mask: NDArray[np.bool_]  # (n,)
    steps: tuple[tuple[str, Lasso], ...] = ()  # the projection that each outline was drawn on, and the outline

    def as_json(self, **about: Any) -> str:
        """Write the outlines down, beside whatever else says what they were drawn on."""
        outlines = [
            {"projection": projection, "op": lasso.op, "polygon": lasso.polygon.tolist()}
            for projection, lasso in self.steps
        ]
        return json.dumps({**about, "n_selected": int(self.mask.sum()), "outlines": outlines}, indent=1)


def is_coordinate(value: Any) -> bool:
    """Tell whether a value from a browser or an address is a number that can be a coordinate of a map."""
    return type(value) in (int, float) and -LARGEST <= value <= LARGEST  # NaN is neither, and no int is too long


def extend(selection: Selection | None, xy: ArrayLike, lasso: Lasso, projection: str) -> Selection | None:
    """Apply a lasso to a selection; None where no point is left.

    Args:
        selection: What was selected; None for nothing.
        xy: Points on the projection, shape (n, 2).
        lasso: The outline and what to do with it.
        projection: What the outline was drawn on; the selection outlives it.
    """
    mask = select(xy, None if selection is None else selection.mask, lasso)
    before = () if selection is None or lasso.op == "new" else selection.steps
    return Selection(mask, (*before, (projection, lasso))) if mask.any() else None


def in_all(*found: Sequence[bool]) -> NDArray[np.bool_]:
    """Return the points that every one of several searches has found."""
    return np.logical_and.reduce([np.asarray(each, dtype=bool) for each in found])


def in_both(found: Sequence[bool] | NDArray[np.bool_], selection: Selection | None) -> NDArray[np.bool_] | None:
    """Return the points that a search has found and outlines have chosen; None where neither leaves one out."""
    mask = np.asarray(found, dtype=bool)
    if selection is not None:
        mask = mask & selection.mask
    return None if mask.all() else mask


def points_in_polygon(xy: ArrayLike, polygon: ArrayLike) -> NDArray[np.bool_]:
    """Find the points inside a polygon by the nonzero winding rule.

    The rule counts a loop that crosses itself as inside all over, as a hand-drawn outline that overlaps its
    own start is meant. Polygons that share an edge share no point and leave none out.

    Args:
        xy: Points, shape (n, 2).
        polygon: Vertices in order, shape (n_vertices, 2); closed if it is not. Under three hold nothing.

    Returns:
        Mask of shape (n,).

    Raises:
        ValueError: If a shape is wrong or a vertex is not finite.
    """
    points, vertices = np.asarray(xy), np.asarray(polygon, dtype=float)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"points of shape {points.shape}: expected (n, 2)")
    if vertices.ndim != 2 or vertices.shape[1] != 2:
        raise ValueError(f"polygon of shape {vertices.shape}: expected (n_vertices, 2)")
    if not np.isfinite(vertices).all():
        raise ValueError("polygon has a vertex that is not finite; draw it again")
    inside = np.zeros(len(points), dtype=bool)
    if len(vertices) < 3:
        return inside
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    candidates = np.flatnonzero(
        (points[:, 0] >= low[0]) & (points[:, 0] <= high[0]) & (points[:, 1] >= low[1]) & (points[:, 1] <= high[1])
    )
    # In order of y each edge meets one run of points, so the work is that of two or three edges, not of all.
    candidates = candidates[np.argsort(points[candidates, 1])]
    x, y = points[candidates, 0].astype(float), points[candidates, 1].astype(float)
    winding = np.zeros(len(candidates), dtype=np.int16)
    for (x0, y0), (x1, y1) in zip(vertices, np.roll(vertices, -1, axis=0), strict=True):
        if y0 == y1:
            continue
        turn = 1 if y1 > y0 else -1
        if turn < 0:  # both directions see the same numbers, so a shared edge is cut the same way twice
            x0, y0, x1, y1 = x1, y1, x0, y0
        run = slice(*np.searchsorted(y, (y0, y1)))
        winding[run] += turn * (x[run] < x0 + (y[run] - y0) * ((x1 - x0) / (y1 - y0)))
    inside[candidates[winding != 0]] = True
    return inside


def combine(current: NDArray[np.bool_], inside: NDArray[np.bool_], op: SelectionOp) -> NDArray[np.bool_]:
    """Join a new outline's points to what was selected.

    Args:
        current: What was selected, shape (n,).
        inside: The points in the new outline, shape (n,).
        op: "new" replaces, "add" joins, "subtract" takes away, "intersect" keeps the common points and
            "clear" leaves nothing.

    Returns:
        A new mask of shape (n,).

    Raises:
        ValueError: If the two masks do not belong to the same points.
    """
    if current.shape != inside.shape:
        raise ValueError(f"a selection of {current.size} points cannot join one of {inside.size}")
    if op == "clear":
        return np.zeros_like(inside)
    if op == "add":
        return current | inside
    if op == "subtract":
        return current & ~inside
    if op == "intersect":
        return current & inside
    return inside.copy()


def select(xy: ArrayLike, current: NDArray[np.bool_] | None, lasso: Lasso) -> NDArray[np.bool_]:
    """Apply a lasso to the points of a map.

    Args:
        xy: Points, shape (n, 2).
        current: What was selected, shape (n,); None for nothing.
        lasso: The outline and what to do with it.

    Returns:
        The new selection, shape (n,).
    """
    inside = points_in_polygon(xy, lasso.polygon)
    return combine(np.zeros_like(inside) if current is None else current, inside, lasso.op)


def _decode_path(polygon: Any) -> NDArray[np.float64]:
    try:
        x, y = (float(value) for value in polygon["origin"])
        step = float(polygon["step"])
        counts = [int(value) for value in polygon["path"]]
    except (TypeError, KeyError, ValueError, OverflowError) as error:
        raise ValueError("lasso polygon: expected origin, step and path as numbers; draw it again") from error
    if not (all(map(is_coordinate, (x, y, step))) and step > 0):
        raise ValueError("lasso polygon: origin or step is not finite; draw it again")
    if not all(map(is_coordinate, counts)):
        raise ValueError(f"lasso polygon: a count is beyond {LARGEST:.0e}; draw it again")
    if len(counts) % 2 or not 2 <= len(counts) // 2 < MAX_VERTICES:
        raise ValueError(f"lasso polygon of {len(counts)} counts: expected dx, dy for 3 to {MAX_VERTICES} vertices")
    steps = np.cumsum(np.array([[0, 0], *zip(counts[::2], counts[1::2], strict=True)], dtype=float), axis=0)
    return np.array([x, y]) + step * steps
