"""The map: up to a million points in WebGL, with lasso, hover and pick.

`MapScene` says what is shown; this file hands it to the browser and reads back what the visitor did there.
"""

from collections.abc import Callable

import streamlit as st
from streamlit import runtime

from matgen_core.views.maps.events import MapEvents
from matgen_core.views.maps.scene import Buffer, MapScene
from pages._parts.components.registration import registered


def latent_map(
    scene: MapScene,
    *,
    key: str,
    height: int = 620,
    on_event: Callable[[MapEvents], None] | None = None,
) -> MapEvents:
    """Show a map and return what the visitor did on it.

    Args:
        scene: What to show. Make its parts once and keep them (they do not change): the browser fetches only
            those it has not seen.
        key: Names the map on its page. Zoom, tool and legend choices stay with the key, also when the colors
            or the selection change and when the visitor leaves the page and comes back.
        height: Height in CSS pixels.
        on_event: Called with the events before the page runs again, so that the page can draw the new
            selection in that same run. Events are returned too; act on one of the two.

    Returns:
        The events of this run. Each costs a rerun, and so does a view that came to rest: keep the map and
        what depends on it in a fragment.

    Raises:
        ValueError: If the browser sent what no visitor can do.
    """
    heard = f"{key}@heard"  # a change of it tells the map that its event was answered, even if nothing else changed

    def handler() -> None:
        st.session_state[heard] = st.session_state.get(heard, 0) + 1
        if on_event is not None:
            on_event(MapEvents.from_component(st.session_state[key], scene))

    result = registered("latent_map", '<div class="lm"></div>')(
        key=key,
        data={"id": key, "height": height, "heard": st.session_state.get(heard, 0), **scene.payload(_publisher(key))},
        on_clicked_change=handler,
        on_marker_change=handler,
        on_step_change=handler,
        on_lasso_change=handler,
        on_camera_change=handler,
    )
    return MapEvents.from_component(result, scene)


def _publisher(key: str) -> Callable[[Buffer], str]:
    """Give buffers an address for as long as a session shows them, as `st.image` does for pictures."""

    def url(buffer: Buffer) -> str:
        # Streamlit's own file id samples large files only at three places: our hash, as the name, covers all.
        return runtime.get_instance().media_file_mgr.add(
            buffer.data,
            "application/octet-stream",
            coordinates=f"{key}-{buffer.digest}",
            file_name=buffer.digest,
        )

    return url
