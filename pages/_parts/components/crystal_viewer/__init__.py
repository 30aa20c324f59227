"""The crystal viewer: one to four structures in 3D under one camera, in one WebGL context, with no network.

Styles, images, elements, labels, measuring and pictures work in the browser without a run of the page. What a page
hears of is which atoms are picked and, if it asks, the view (for a link that reopens it).
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import streamlit as st

from matgen_core import __version__
from matgen_core.views.crystals.picture import picture
from matgen_core.views.crystals.scene import AtomReference, Scene, describe
from matgen_core.views.crystals.web_page import viewer_problem
from pages._parts.components.registration import registered
from pages._parts.shared.plain_text import plain

Style = Literal["ball_and_stick", "space_filling", "stick", "polyhedra"]
MAX_PANELS = 4


@dataclass(frozen=True)
class ViewerEvents:
    """What has happened in the viewer.

    `picks` are the atoms that are picked now, of the structure at `panel`; `view` is the camera and the look, ready
    to be kept as JSON and given back as `view=`; None until somebody moves, or if it was not asked for.
    """

    picks: tuple[AtomReference, ...] = ()
    panel: int | None = None
    view: dict[str, Any] | None = field(default=None)


@dataclass(frozen=True)
class Film:
    """Frames of one of the pictures, which the browser plays.

    Attributes:
        panel: Which picture.
        frames: Of each frame its scene, the line under the formula, and what is told of it beside the slider.
        about: What the slider goes along.
    """

    panel: int
    frames: Sequence[tuple[Scene, str, str]]
    about: str


def crystal_viewer(
    scenes: Sequence[Scene],
    key: str,
    captions: Sequence[str] = (),
    style: Style = "ball_and_stick",
    height: int = 520,
    view: dict[str, Any] | None = None,
    report_view: bool = False,
    on_pick: Callable[[], None] | None = None,
    origin: str = "",
    film: Film | None = None,
) -> ViewerEvents:
    """Show structures side by side; the camera stays when they change.

    Args:
        scenes: One to four results of `crystal_scene.scene`.
        key: Streamlit's key; it also keeps camera and look when the visitor leaves the page and comes back.
        captions: A line under each formula; may be left out.
        style: What it looks like at first; the visitor changes it in the viewer.
        height: Of the whole component in pixels.
        view: A view to open with, as `ViewerEvents.view` gave it.
        report_view: Whether each new view is reported; it costs a run of the page after every movement.
        on_pick: Called before the run that a pick causes.
        origin: What made the structures; it is written into a picture that is saved.
        film: Frames of one of the pictures; it opens on the last one.

    Raises:
        ValueError: If there is no scene or more than four.
    """
    if not 1 <= len(scenes) <= MAX_PANELS:
        raise ValueError(f"{len(scenes)} structures; the viewer shows one to {MAX_PANELS} side by side")
    for note in dict.fromkeys(note for scene in scenes for note in scene["notes"]):
        st.caption(plain(note[:1].upper() + note[1:] + "."))
    captions = [*captions, *[""] * (len(scenes) - len(captions))]
    problem = viewer_problem() or st.session_state.get(key, {}).get("problem")
    if problem:
        _still_pictures(scenes, captions, problem)
        return ViewerEvents()
    panels = [
        {"id": _fingerprint(k, scene), "caption": caption, "scene": scene}
        for k, (scene, caption) in enumerate(zip(scenes, captions, strict=True))
    ]
    data = {
        "library": f"{st.get_option('server.baseUrlPath').rstrip('/')}/app/static/vendor/3dmol/3Dmol.es6-min.js",
        "panels": panels,
        "height": height,
        "style": style,
        "view": view,
        "report_view": report_view,
        "memory": key,
        "origin": f"MatGen Explorer {__version__}" + (f"; {origin}" if origin else ""),
        "film": film and _film(film),
        "text": " ".join(describe(scene) for scene in scenes),
    }
    result = registered("crystal_viewer", '<div class="crystal-viewer"></div>')(
        data=data,
        key=key,
        height=height,
        on_picks_change=on_pick or _nothing,
        on_view_change=_nothing,
        on_problem_change=_nothing,
    )
    return _events(result.get("picks"), result.get("view"), panels)


def _events(picks: Any, view: Any, panels: list[dict[str, Any]]) -> ViewerEvents:
    """Read what the browser sent; picks in a structure that is no longer shown are forgotten."""
    shown = {panel["id"]: k for k, panel in enumerate(panels)}
    if not picks or picks["panel"] not in shown:
        return ViewerEvents(view=view)
    atoms = tuple(AtomReference(int(atom["site"]), _image(atom["image"])) for atom in picks["atoms"])
    return ViewerEvents(atoms, shown[picks["panel"]], view)


def _image(values: Sequence[Any]) -> tuple[int, int, int]:
    a, b, c = map(int, values)
    return a, b, c


def _fingerprint(position: int, scene: Scene) -> str:
    return f"{position}-{hashlib.sha1(json.dumps(scene, sort_keys=True).encode()).hexdigest()[:12]}"


def _film(film: Film) -> dict[str, Any]:
    frames = [{"scene": scene, "caption": caption, "told": told} for scene, caption, told in film.frames]
    digest = hashlib.sha1(json.dumps(frames, sort_keys=True).encode()).hexdigest()[:12]
    return {"id": digest, "panel": film.panel, "frames": frames, "about": film.about}


def _still_pictures(scenes: Sequence[Scene], captions: Sequence[str], problem: str) -> None:
    st.info(plain(problem))
    for column, scene, caption in zip(st.columns(len(scenes)), scenes, captions, strict=True):
        column.image(picture(scene, 320), caption=plain(caption or scene["formula"]), alt=describe(scene))


def _nothing() -> None:
    """Streamlit keeps a value from the browser only where a callback is named."""
