"""A view of the latent map as a short text that fits in an address, and back.

The text is JSON, compressed and in the letters of an address. It comes from anywhere, so reading it checks every
value and stops at a size before anything is unpacked.
"""

import base64
import binascii
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from matgen_core.checkpoint.renamed import RENAMED
from matgen_core.latent.selection import MAX_VERTICES, Lasso, Selection, extend
from matgen_core.materials.notation import shown
from matgen_core.views.maps.framing import Camera

VERSION = 2
_BEFORE_RENAMING = 1  # in such a link some checkpoints have their old names
MAX_LENGTH = 6_000  # letters; browsers and mail programs pass on addresses of 8,000
_MAX_JSON = 200_000  # bytes, unpacked
_MAX_OUTLINES = 50
_GRID = 1 << 14  # steps along the longer side of an outline; finer than any screen
_BROKEN = "this link to a view cannot be read ({}); ask for it again, or open the page without it"


@dataclass(frozen=True)
class View:
    """What it takes to open a view again; an empty text means the page's own choice."""

    model: str
    projection: str = ""
    color: str = ""
    element: str = ""
    search: str = ""
    must: tuple[str, ...] = ()  # elements
    never: tuple[str, ...] = ()
    ranges: str = ""  # filters by a value, as `latent.ranges.write` gives them
    at: str = ""  # the material whose card is open
    camera: Camera | None = None
    outlines: tuple[tuple[str, Lasso], ...] = field(default=(), compare=False)  # projection, and what was drawn on it
    was: str = field(default="", compare=False)  # the old name by which the link asked for the model


_TEXTS = ("model", "projection", "color", "element", "search", "ranges", "at")
_SYMBOLS = ("must", "never")


def encode(view: View) -> str:
    """Write a view as a text of letters, digits, - and _.

    Raises:
        ValueError: If it comes out longer than `MAX_LENGTH`.
    """
    values: dict[str, Any] = {"v": VERSION}
    values |= {name: getattr(view, name) for name in _TEXTS if getattr(view, name)}
    values |= {name: list(getattr(view, name)) for name in _SYMBOLS if getattr(view, name)}
    if view.camera:
        values["camera"] = [_rounded(value) for value in (view.camera.x, view.camera.y, view.camera.span)]
    if view.outlines:
        values["outlines"] = [[projection, lasso.op, *_packed(lasso)] for projection, lasso in view.outlines]
    packed = zlib.compress(json.dumps(values, separators=(",", ":"), ensure_ascii=False).encode(), 9)
    text = base64.urlsafe_b64encode(packed).decode().rstrip("=")
    if len(text) > MAX_LENGTH:
        raise ValueError(
            f"this view needs a link of {len(text):,} letters, and at most {MAX_LENGTH:,} pass everywhere; draw the"
            " selection with fewer outlines"
        )
    return text


def decode(text: str) -> View:
    """Read a view.

    Raises:
        ValueError: If the text is none that `encode` of this or the first version wrote.
    """
    if len(text) > MAX_LENGTH:
        raise ValueError(_BROKEN.format(f"{len(text):,} letters, at most {MAX_LENGTH:,}"))
    try:
        packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        unpacking = zlib.decompressobj()
        unpacked = unpacking.decompress(packed, _MAX_JSON)
        if unpacking.unconsumed_tail or not unpacking.eof:
            raise ValueError("incomplete or too large")
        values = json.loads(unpacked)
    except (binascii.Error, zlib.error, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise ValueError(_BROKEN.format("it is damaged")) from error
    if not isinstance(values, dict) or values.get("v") not in (_BEFORE_RENAMING, VERSION):
        found = values.get("v") if isinstance(values, dict) else None
        raise ValueError(_BROKEN.format(f"version {shown(str(found)[:20])[1:-1]}, this app reads versions 1 and 2"))
    if set(values) - {"v", *_TEXTS, *_SYMBOLS, "camera", "outlines"}:
        raise ValueError(_BROKEN.format("it asks for what this app does not know"))
    texts = {name: values.get(name, "") for name in _TEXTS}
    symbols = {name: values.get(name, []) for name in _SYMBOLS}
    if not all(isinstance(value, str) for value in texts.values()) or not texts["model"]:
        raise ValueError(_BROKEN.format("a name is no text"))
    if not all(isinstance(each, list) and all(isinstance(name, str) for name in each) for each in symbols.values()):
        raise ValueError(_BROKEN.format("its elements are no list of symbols"))
    was = ""
    if values["v"] == _BEFORE_RENAMING and texts["model"] in RENAMED:
        was, texts["model"] = texts["model"], RENAMED[texts["model"]]
    return View(
        **texts,
        must=tuple(symbols["must"]),
        never=tuple(symbols["never"]),
        camera=_camera(values.get("camera")),
        outlines=_outlines(values.get("outlines", [])),
        was=was,
    )


def replay(outlines: Sequence[tuple[str, Lasso]], positions: dict[str, Any]) -> Selection | None:
    """Select again what outlines selected.

    Args:
        outlines: As a view holds them.
        positions: Places of all points by projection, (n_points, 2) each.

    Raises:
        ValueError: If an outline was drawn on a projection that is not here.
    """
    selection = None
    for projection, lasso in outlines:
        if projection not in positions:
            raise ValueError(
                f"an outline of this link was drawn on the map {projection!r}, which is not here; here are"
                f" {', '.join(positions)}"
            )
        selection = extend(selection, positions[projection], lasso, projection)
    return selection


def _packed(lasso: Lasso) -> tuple[list[float], float, list[int]]:
    """Origin, step and whole steps from vertex to vertex, as the map component sends an outline."""
    if not len(lasso.polygon):
        return [0, 0], 1, []
    origin = np.array([_rounded(value) for value in lasso.polygon[0]])
    step = _rounded(float(np.ptp(lasso.polygon, axis=0).max()) / _GRID) or 1.0
    places = np.round((lasso.polygon - origin) / step).astype(int)
    return origin.tolist(), step, np.diff(places, axis=0, prepend=[[0, 0]])[1:].ravel().tolist()


def _outlines(values: Any) -> tuple[tuple[str, Lasso], ...]:
    if not isinstance(values, list) or len(values) > _MAX_OUTLINES:
        raise ValueError(_BROKEN.format(f"its outlines are no list of at most {_MAX_OUTLINES}"))
    found = []
    for value in values:
        if not isinstance(value, list) or len(value) != 5 or not isinstance(value[0], str):
            raise ValueError(_BROKEN.format("an outline is not of its form"))
        projection, op, origin, step, path = value
        if not isinstance(path, list) or len(path) > 2 * MAX_VERTICES:
            raise ValueError(_BROKEN.format("an outline is not of its form"))
        try:
            found.append(
                (projection, Lasso.from_event({"op": op, "polygon": {"origin": origin, "step": step, "path": path}}))
            )
        except ValueError as error:
            raise ValueError(_BROKEN.format(str(error).partition(";")[0][:200])) from error
    return tuple(found)


def _camera(value: Any) -> Camera | None:
    if value is None:
        return None
    try:
        return Camera.of(*value)
    except (TypeError, ValueError) as error:
        raise ValueError(_BROKEN.format("its camera is no x, y and span")) from error


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")
