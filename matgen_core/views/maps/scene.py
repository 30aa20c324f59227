"""What the map component is given: points, their colors, hover texts and what is drawn over them.

Everything as long as the points is packed into a byte buffer with a hash, so that the browser fetches each
once and a change of color moves one byte a point; the rest is a small dictionary.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from matgen_core.views import palettes
from matgen_core.views.maps.framing import Camera, home

Axis = Literal["linear", "log", "quantile"]

MISSING = 255
OTHER = 254
N_LEVELS = 254  # codes 0 to 253 carry a value; the two above are spoken for
ROWS_PER_BLOCK = 128  # a hover fetches one block, a few kB


@dataclass(frozen=True, eq=False)
class Buffer:
    """Bytes that the browser fetches once."""

    data: bytes

    @cached_property
    def digest(self) -> str:
        """Hash of all the bytes; equal buffers share it."""
        return hashlib.sha256(self.data).hexdigest()[:32]


@dataclass(frozen=True, eq=False)
class PointCloud:
    """Positions as the browser gets them: float32 pairs, shifted by `center` and divided by `half_span`."""

    buffer: Buffer
    n_points: int
    center: tuple[float, float]
    half_span: float
    home: tuple[float, float, float, float]  # what the map opens with: low x, low y, high x, high y, as positions
    n_outside: int  # points that it leaves out


@dataclass(frozen=True)
class LegendEntry:
    """One row of a categorical legend."""

    name: str
    code: int
    count: int


@dataclass(frozen=True, eq=False)
class Coloring:
    """One code a point, and the tables and legend that turn codes into colors."""

    buffer: Buffer
    n_points: int
    label: str
    unit: str
    light: NDArray[np.uint8]  # (n_colors, 3)
    dark: NDArray[np.uint8]
    entries: tuple[LegendEntry, ...] = ()  # empty for a continuous scale
    ticks: tuple[tuple[float, str], ...] = ()  # place on the bar from 0 to 1, and text
    clipped: tuple[bool, bool] = (False, False)  # whether values lie below or above the bar's ends
    n_missing: int = 0


@dataclass(frozen=True, eq=False)
class HoverText:
    """Texts of every point in blocks of rows, so that one hover fetches a few kB.

    The buffer is `n_blocks + 1` little-endian uint32 offsets, then the blocks: UTF-8, rows apart by a
    newline, fields by a tab.
    """

    buffer: Buffer
    n_points: int
    n_blocks: int
    labels: tuple[str, ...]
    units: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class MapPath:
    """A line with a mark at each step, as an interpolation between materials."""

    xy: NDArray[np.float64] | Sequence[tuple[float, float]]  # (n_steps, 2)
    label: str = ""
    off_data: Sequence[int] = ()  # steps that lie away from the data; drawn hollow
    current: int | None = None  # the step shown elsewhere on the page


@dataclass(frozen=True)
class MapMarker:
    """A pin on the map that is not one of its points, as a placed upload or a sample.

    Attributes:
        x: On the map.
        y: Likewise.
        label: What stands beside it.
        kind: A pin, or a diamond.
        standing: Of a diamond that is ranked, 0 for the first to 1 for the last, which fades.
    """

    x: float
    y: float
    label: str = ""
    kind: Literal["pin", "sample"] = "pin"
    standing: float | None = None


@dataclass(frozen=True)
class MapLabel:
    """Text on the map, as the name of a cluster."""

    x: float
    y: float
    text: str
    kind: Literal["note", "island"] = "note"  # names of islands can be turned off


@dataclass(frozen=True, eq=False)
class MapScene:
    """All that one map shows."""

    points: PointCloud
    coloring: Coloring | None = None
    hover: HoverText | None = None
    selected: NDArray[np.bool_] | None = None  # None: nothing selected, all points in color
    focus: int | None = None  # the point whose card is open
    links: Sequence[tuple[int, int]] = ()  # pairs of points joined by a line, as true neighbors
    marker_links: Sequence[tuple[int, int]] = ()  # a marker and a point joined by a line
    paths: Sequence[MapPath] = ()
    markers: Sequence[MapMarker] = ()
    labels: Sequence[MapLabel] = ()
    outlines: Sequence[ArrayLike] = ()  # polygons (n_vertices, 2) kept in view, as those of a restored view
    camera: Camera | None = None  # where to look; a new value moves the map, None leaves it to the reader
    axis_labels: tuple[str, str] = ("", "")
    title: str = "Map"
    noun: str = field(default="points")  # what a point is: materials, phase fields

    def __post_init__(self) -> None:
        n = self.points.n_points
        selected = None if self.selected is None else len(self.selected)
        sizes = {
            "coloring": self.coloring and self.coloring.n_points,
            "hover": self.hover and self.hover.n_points,
        }
        for name, size in {**sizes, "selected": selected}.items():
            if size is not None and size != n:
                raise ValueError(f"{name} is for {size} points, but the map has {n}; make both from the same table")
        for index in (
            *(i for pair in self.links for i in pair),
            *(i for _, i in self.marker_links),
            *([] if self.focus is None else [self.focus]),
        ):
            if not 0 <= index < n:
                raise ValueError(f"point {index}: the map has points 0 to {n - 1}")
        for marker, _ in self.marker_links:
            if not 0 <= marker < len(self.markers):
                raise ValueError(f"a line starts at marker {marker}, but the map has {len(self.markers)} markers")

    def payload(self, url: Callable[[Buffer], str]) -> dict[str, Any]:
        """Describe the scene in plain values for the component.

        Args:
            url: Gives the address under which the browser can fetch a buffer.

        Returns:
            A dictionary that JSON can hold; no key grows with the number of points.
        """
        points = self.points
        return {
            "points": {
                "url": url(points.buffer),
                "n": points.n_points,
                "center": list(points.center),
                "halfSpan": points.half_span,
                "home": list(points.home),
                "outside": points.n_outside,
            },
            "coloring": None if self.coloring is None else _coloring_payload(self.coloring, url),
            "hover": None if self.hover is None else _hover_payload(self.hover, url),
            "selected": None if self.selected is None else _selected_payload(self.selected, url),
            "focus": self.focus,
            "links": [list(pair) for pair in self.links],
            "markerLinks": [list(pair) for pair in self.marker_links],
            "paths": [
                {"xy": _pairs(p.xy), "label": p.label, "offData": list(p.off_data), "current": p.current}
                for p in self.paths
            ],
            "markers": [
                {"x": m.x, "y": m.y, "label": m.label, "kind": m.kind, "standing": m.standing} for m in self.markers
            ],
            "labels": [{"x": each.x, "y": each.y, "text": each.text, "kind": each.kind} for each in self.labels],
            "outlines": [_pairs(polygon) for polygon in self.outlines],
            "camera": self.camera and {"x": self.camera.x, "y": self.camera.y, "span": self.camera.span},
            "axisLabels": list(self.axis_labels),
            "title": self.title,
            "noun": self.noun,
        }


def point_cloud(xy: ArrayLike) -> PointCloud:
    """Pack positions for the browser.

    Args:
        xy: Positions, shape (n, 2), in map coordinates. They are shifted and scaled before they become
            float32, so a small map far from the origin keeps its detail.

    Raises:
        ValueError: If the shape is wrong, there is no point, or a position is not finite.
    """
    positions = np.asarray(xy, dtype=float)
    if positions.ndim != 2 or positions.shape[1] != 2 or not len(positions):
        raise ValueError(f"positions of shape {positions.shape}: expected (n, 2) with n of at least 1")
    bad = int((~np.isfinite(positions)).any(axis=1).sum())
    if bad:
        raise ValueError(f"{bad} of {len(positions)} positions are not finite; leave those rows out of the map")
    low, high = positions.min(axis=0), positions.max(axis=0)
    center = (low + high) / 2
    half_span = float((high - low).max() / 2) or 1.0  # one point, or all in one place: any scale will do
    packed = ((positions - center) / half_span).astype("<f4")
    box, n_outside = home(packed)
    middle = (float(center[0]), float(center[1]))
    return PointCloud(Buffer(packed.tobytes()), len(positions), middle, half_span, box, n_outside)


def color_by_value(
    values: ArrayLike,
    *,
    label: str,
    unit: str = "",
    axis: Axis = "linear",
    limits: tuple[float, float] | None = None,
    scale: palettes.Scale = "viridis",
) -> Coloring:
    """Color points by a number.

    Args:
        values: Shape (n,); NaN and infinite values are drawn gray and counted as missing.
        label: What the number is.
        unit: Its unit, shown at the bar.
        axis: "linear" spreads the colors evenly between the limits, "log" by ratio (values up to 0 count as
            missing), "quantile" gives each color the same number of points.
        limits: Values at the two ends of the bar; None takes the 1st and 99th percentile, so that one outlier
            does not take the colors from all others. The legend says when values lie beyond.
        scale: Which colors.

    Raises:
        ValueError: If the values are not one-dimensional, or the limits are not in order or not on the axis.
    """
    numbers = np.asarray(values, dtype=float)
    if numbers.ndim != 1:
        raise ValueError(f"values of shape {numbers.shape}: expected one number a point")
    known = np.isfinite(numbers) & (numbers > 0) if axis == "log" else np.isfinite(numbers)
    kept = numbers[known]
    codes = np.full(len(numbers), MISSING, dtype=np.uint8)
    ticks: tuple[tuple[float, str], ...] = ()
    clipped = (False, False)
    if axis == "quantile" and len(kept):
        edges = np.quantile(kept, np.linspace(0, 1, N_LEVELS + 1))
        # The mean of both sides puts equal values in one color, in the middle of the share they take.
        places = (np.searchsorted(edges, kept, "left") + np.searchsorted(edges, kept, "right") - 1) / 2
        codes[known] = np.clip(places, 0, N_LEVELS - 1).astype(np.uint8)
        ticks = tuple((at, _number(float(np.quantile(kept, at)))) for at in (0.0, 0.25, 0.5, 0.75, 1.0))
    elif len(kept):
        low, high = _limits(kept, limits, axis)
        warp = np.log10 if axis == "log" else np.asarray
        start, end = float(warp(low)), float(warp(high))
        place = np.full(len(kept), 0.5) if end == start else (warp(kept) - start) / (end - start)
        codes[known] = np.clip(place * N_LEVELS, 0, N_LEVELS - 1).astype(np.uint8)
        clipped = (bool((kept < low).any()), bool((kept > high).any()))
        marks = [(0.5, low)] if end == start else _ticks(low, high, axis)
        ticks = tuple((at, _number(value)) for at, value in marks)
    return Coloring(
        buffer=Buffer(codes.tobytes()),
        n_points=len(numbers),
        label=label,
        unit=unit,
        light=palettes.scale(scale, N_LEVELS, "light"),
        dark=palettes.scale(scale, N_LEVELS, "dark"),
        ticks=ticks,
        clipped=clipped,
        n_missing=int((~known).sum()),
    )


def color_by_category(values: Sequence[object] | NDArray[Any], *, label: str, order: Sequence[str] = ()) -> Coloring:
    """Color points by a class.

    Args:
        values: One a point, compared as text; None, NaN and "" are drawn gray and counted as missing.
        label: What the classes are.
        order: Classes that have a natural order, first to last; each keeps its color whatever points are
            shown. Classes not named here follow, the most frequent first.

    Returns:
        At most `palettes.MAX_CATEGORIES` classes with a color of their own; the rest are one gray "other".
    """
    names = np.array(["" if v is None or v != v else str(v) for v in values], dtype=object).astype(str)
    found, inverse, counts = np.unique(names, return_inverse=True, return_counts=True)
    number_of = dict(zip(found.tolist(), counts.tolist(), strict=True))
    n_missing = number_of.pop("", 0)
    ranked = [*order, *sorted(set(number_of) - set(order), key=lambda name: (-number_of[name], name))]
    own, rest = ranked[: palettes.MAX_CATEGORIES], ranked[palettes.MAX_CATEGORIES :]
    code_of = {name: code for code, name in enumerate(own)} | {"": MISSING}
    codes = np.array([code_of.get(name, OTHER) for name in found.tolist()], dtype=np.uint8)[inverse.ravel()]
    entries = [LegendEntry(name, code, number_of.get(name, 0)) for code, name in enumerate(own)]
    if n_other := sum(number_of.get(name, 0) for name in rest):
        entries.append(LegendEntry(f"other ({len(rest)})", OTHER, n_other))
    return Coloring(
        buffer=Buffer(codes.tobytes()),
        n_points=len(names),
        label=label,
        unit="",
        light=palettes.categories(len(own), "light"),
        dark=palettes.categories(len(own), "dark"),
        entries=tuple(entry for entry in entries if entry.count),
        n_missing=n_missing,
    )


def hover_text(
    fields: Mapping[str, Sequence[object] | NDArray[Any]], units: Mapping[str, str] | None = None
) -> HoverText:
    """Pack what is shown when the pointer rests on a point.

    Args:
        fields: Name of each line to its values, one a point; the first is the heading (a formula). Floats are
            given four significant digits; None and NaN are left out.
        units: Units of the fields that have one.

    Raises:
        ValueError: If there is no field, or the fields differ in length.
    """
    lengths = {name: len(values) for name, values in fields.items()}
    if len(set(lengths.values())) != 1:
        raise ValueError(f"hover fields of lengths {lengths}: expected at least one, and all of one length")
    n_points = next(iter(lengths.values()))
    rows = ["\t".join(row) for row in zip(*(map(_text, values) for values in fields.values()), strict=True)]
    blocks = ["\n".join(rows[i : i + ROWS_PER_BLOCK]).encode() for i in range(0, n_points, ROWS_PER_BLOCK)]
    offsets = np.cumsum([4 * (len(blocks) + 1), *map(len, blocks)], dtype="<u4")
    buffer = Buffer(offsets.tobytes() + b"".join(blocks))
    known = units or {}
    return HoverText(buffer, n_points, len(blocks), tuple(fields), tuple(known.get(name, "") for name in fields))


def _limits(kept: NDArray[np.float64], limits: tuple[float, float] | None, axis: Axis) -> tuple[float, float]:
    if limits is None:
        low, high = (float(value) for value in np.quantile(kept, (0.01, 0.99)))
        # Most values alike (a gap of zero, say): the percentiles coincide, so show the whole range.
        return (low, high) if low < high else (float(kept.min()), float(kept.max()))
    low, high = limits
    if not low < high or (axis == "log" and low <= 0):
        above = " above 0" if axis == "log" else ""
        raise ValueError(f"limits {low:g} to {high:g}: expected a lower and a higher value{above}")
    return low, high


def _ticks(low: float, high: float, axis: Axis) -> list[tuple[float, float]]:
    """Both ends and round values between them, each with its place from 0 to 1."""
    if axis == "log":
        start, end = np.log10(low), np.log10(high)
        powers = np.arange(np.ceil(start), np.floor(end) + 1)
        marks = 10.0 ** powers[:: max(1, -(-len(powers) // 5))]
        places = (np.log10(marks) - start) / (end - start)
    else:
        raw = (high - low) / 5
        decade = 10.0 ** np.floor(np.log10(raw))
        step = decade * next(m for m in (1, 2, 2.5, 5, 10) if m * decade >= raw * 0.999)
        marks = np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step
        places = (marks - low) / (high - low)
    clear = (places > 0.08) & (places < 0.92)  # of the texts at the ends
    inner = zip(places[clear].tolist(), marks[clear].tolist(), strict=True)
    return [(0.0, low), *inner, (1.0, high)]


def _number(value: float) -> str:
    return f"{value:.4g}".replace("-", "−")  # noqa: RUF001 a minus is as wide as a digit, a hyphen is not


def _text(value: object) -> str:
    if value is None or value != value:
        return ""
    if isinstance(value, float | np.floating):
        return _number(float(value))
    return " ".join(str(value).split())  # tabs and newlines part fields and rows


def _pairs(xy: ArrayLike) -> list[list[float]]:
    pairs: list[list[float]] = np.asarray(xy, dtype=float).reshape(-1, 2).tolist()
    return pairs


def _coloring_payload(coloring: Coloring, url: Callable[[Buffer], str]) -> dict[str, Any]:
    return {
        "url": url(coloring.buffer),
        "label": coloring.label,
        "unit": coloring.unit,
        "light": coloring.light.tobytes().hex(),
        "dark": coloring.dark.tobytes().hex(),
        "entries": [{"name": e.name, "code": e.code, "count": e.count} for e in coloring.entries],
        "ticks": [{"at": at, "text": text} for at, text in coloring.ticks],
        "clipped": list(coloring.clipped),
        "missing": coloring.n_missing,
    }


def _hover_payload(hover: HoverText, url: Callable[[Buffer], str]) -> dict[str, Any]:
    return {
        "url": url(hover.buffer),
        "blocks": hover.n_blocks,
        "rowsPerBlock": ROWS_PER_BLOCK,
        "fields": [{"label": label, "unit": unit} for label, unit in zip(hover.labels, hover.units, strict=True)],
    }


def _selected_payload(selected: NDArray[np.bool_], url: Callable[[Buffer], str]) -> dict[str, Any]:
    bits = Buffer(np.packbits(selected, bitorder="little").tobytes())
    return {"url": url(bits), "count": int(np.count_nonzero(selected))}
