"""What a visitor did on a map, read from what the browser sent.

A browser may send anything, so every value is checked before a page uses it as an index.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from matgen_core.latent.selection import Lasso
from matgen_core.views.maps.framing import Camera
from matgen_core.views.maps.scene import MapScene


@dataclass(frozen=True)
class MapEvents:
    """The visitor's deeds; each is None unless it happened just before this run, `camera` excepted."""

    clicked: int | None = None  # a point
    marker: int | None = None  # one of the scene's markers
    step: tuple[int, int] | None = None  # path, and step on it
    lasso: Lasso | None = None
    camera: Camera | None = None  # the view as last reported, half a second after it came to rest

    @classmethod
    def from_component(cls, result: Mapping[str, Any], scene: MapScene) -> "MapEvents":
        """Read the component's values.

        Args:
            result: Values by event name; a name that is absent or None did not happen.
            scene: What the map shows.

        Raises:
            ValueError: If a value is not of its form, or points outside the scene.
        """
        clicked, marker, step = result.get("clicked"), result.get("marker"), result.get("step")
        lasso, camera = result.get("lasso"), result.get("camera")
        if step is not None:
            path = _index(_entry(step, "path"), len(scene.paths), "path")
            step = path, _index(_entry(step, "step"), len(scene.paths[path].xy), "step")
        return cls(
            clicked=None if clicked is None else _index(clicked, scene.points.n_points, "point"),
            marker=None if marker is None else _index(marker, len(scene.markers), "marker"),
            step=step,
            lasso=None if lasso is None else Lasso.from_event(lasso),
            camera=None if camera is None else _camera(camera),
        )


def _entry(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else None


def _index(value: Any, n: int, what: str) -> int:
    if not isinstance(value, int) or not 0 <= value < n:
        raise ValueError(f"{what} {value!r} is not on this map, which has {n}; reload the page")
    return value


def _camera(value: Any) -> Camera:
    try:
        return Camera.of(*(_entry(value, name) for name in ("x", "y", "span")))
    except ValueError as error:
        raise ValueError(f"camera: {error}; reload the page") from error
