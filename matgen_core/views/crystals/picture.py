"""A still picture of a crystal as SVG, for galleries: shaded balls and sticks, far ones first.

It draws the same scene as the viewer, without a browser and without WebGL.
"""

from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from matgen_core.views.crystals.scene import COMPLETING, Scene

# Looking along -a, a little from the right and from above, with c upward: rows are right, up, toward the eye.
_EMPTY, _LEAST = "#d7dbe0", 0.005  # color of the empty share of a site, and the smallest share that is drawn
_TURN, _TILT = np.radians(-68.0), np.radians(12.0)


def picture(scene: Scene, size: int = 220, label: str | None = None) -> str:
    """Draw a scene as a stand-alone SVG on a transparent ground.

    Args:
        scene: What `crystal_scene.scene` returns.
        size: Width and height in pixels.
        label: Text for people who cannot see it; the formula if it is not given.

    Returns:
        The SVG; whatever a file called its sites or its formula is escaped.
    """
    atoms = [row for row in scene["atoms"] if row[1] != COMPLETING]
    kept = {row: new for new, row in enumerate(i for i, r in enumerate(scene["atoms"]) if r[1] != COMPLETING)}
    bonds = [(kept[a], kept[b]) for a, b in scene["bonds"] if a in kept and b in kept]
    elements = [scene["sites"][row[0]]["element"] for row in atoms]
    radii = np.array([scene["elements"][element]["ball"] for element in elements])
    view = _view()
    points = np.array([row[5:8] for row in atoms]) @ view.T
    cell = np.array(scene["cell"]) @ view.T  # (n_edges, 2, 3)
    corners = np.concatenate([points + radii[:, None], points - radii[:, None], cell.reshape(-1, 3)])
    low, high = corners.min(axis=0), corners.max(axis=0)
    scale = (size - 8) / max(high[0] - low[0], high[1] - low[1])
    middle = (low + high) / 2

    def place(xyz: NDArray[np.float64]) -> tuple[float, float]:
        return size / 2 + scale * (xyz[0] - middle[0]), size / 2 - scale * (xyz[1] - middle[1])

    drawn: list[tuple[float, str]] = []  # depth, shape
    for start, end in cell:
        edge = _line(place(start), place(end), "#8a8f98", 1.0, ' vector-effect="non-scaling-stroke"')
        drawn.append((min(start[2], end[2]), edge))
    for a, b in bonds:
        halfway = (points[a] + points[b]) / 2
        for end in (a, b):
            color = scene["elements"][elements[end]]["color"]
            along = (halfway - points[end]) / max(float(np.linalg.norm(halfway - points[end])), 1e-9)
            start = points[end] + 0.85 * radii[end] * along  # from the surface: a stick toward the eye hides no ball
            shape = _line(place(start), place(halfway), _darker(color), max(1.2, 0.22 * scale))
            drawn.append(((start[2] + halfway[2]) / 2, shape))
    for row, point, element, radius in zip(atoms, points, elements, radii, strict=True):
        x, y = place(point)
        shape = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius * scale:.1f}" fill="url(#{_name(element)})"/>'
        shares = scene["sites"][row[0]].get("shares")
        if shares:
            colors = [(scene["elements"][symbol]["color"], share) for symbol, share in shares]
            shape += _sectors(x, y, radius * scale, colors)
        drawn.append((point[2], shape))
    drawn.sort(key=lambda item: item[0])
    shades = "".join(_shade(symbol, entry["color"]) for symbol, entry in scene["elements"].items())
    title = escape(label if label is not None else scene["formula"])
    box = f'width="{size}" height="{size}" viewBox="0 0 {size} {size}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {box} role="img">'
        f"<title>{title}</title><defs>{shades}</defs>{''.join(shape for _, shape in drawn)}</svg>"
    )


def _sectors(x: float, y: float, radius: float, shares: Sequence[tuple[str, float]]) -> str:
    """The shares of a site clockwise from above; the first is the ball that lies below, the rest is empty."""
    shapes, start = [], shares[0][1]
    for color, share in [*shares[1:], (_EMPTY, 1 - sum(share for _, share in shares))]:
        if share <= _LEAST:
            continue
        first, last = 2 * np.pi * start, 2 * np.pi * (start + share)
        ends = [f"{x + radius * np.sin(angle):.1f} {y - radius * np.cos(angle):.1f}" for angle in (first, last)]
        arc = f"A{radius:.1f} {radius:.1f} 0 {int(share > 0.5)} 1 {ends[1]}"
        shapes.append(f'<path d="M{x:.1f} {y:.1f}L{ends[0]}{arc}Z" fill="{color}"/>')
        start += share
    return "".join(shapes)


def _view() -> NDArray[np.float64]:
    turn = np.array([[-np.sin(_TURN), np.cos(_TURN), 0.0], [0.0, 0.0, 1.0], [np.cos(_TURN), np.sin(_TURN), 0.0]])
    tilt = np.array([[1.0, 0.0, 0.0], [0.0, np.cos(_TILT), -np.sin(_TILT)], [0.0, np.sin(_TILT), np.cos(_TILT)]])
    return tilt @ turn


def _line(start: tuple[float, float], end: tuple[float, float], color: str, width: float, more: str = "") -> str:
    (x1, y1), (x2, y2) = start, end
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
        f' stroke="{color}" stroke-width="{width:.1f}" stroke-linecap="round"{more}/>'
    )


def _shade(symbol: str, color: str) -> str:
    return (
        f'<radialGradient id="{_name(symbol)}" cx="0.35" cy="0.3" r="0.75"><stop offset="0" stop-color="#fff"/>'
        f'<stop offset="0.35" stop-color="{color}"/><stop offset="1" stop-color="{_darker(color)}"/></radialGradient>'
    )


def _name(symbol: str) -> str:
    """A name that no other picture on the page gives to another color: the element itself."""
    return "ball-" + "".join(character for character in symbol if character.isalnum())


def _darker(color: str) -> str:
    return "#" + "".join(f"{int(int(color[k : k + 2], 16) * 0.62):02x}" for k in (1, 3, 5))
