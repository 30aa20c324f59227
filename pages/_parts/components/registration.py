"""How the components reach the browser: as one file each, or as the ES modules that this file is made of.

`make install` has esbuild join `NAME/browser/index.js` and all that it imports into `bundle.js`. Where there is none
(an app that was installed without npm) or it is older than a module, the modules are served as they are and import one
another in the browser: the map then opens with fifteen requests in place of one, 0.2 to 0.4 s later on two busy
cores. Nobody has to build before a changed line is seen, and nothing built is committed.

Both come over Streamlit's own route for the files of components. Files under `static/` would need none of what
follows, but browsers keep those for a tenth of their age: the first visits after an update would mix old and new.
That route is meant for installed packages, which declare their folders in pyproject.toml. This app also runs from
`pip install -r requirements.txt && streamlit run app.py`, so it declares its folders itself, with what Streamlit does
at start: `register_from_manifest`, no part of the documented API and one more reason why Streamlit is pinned.
"""

from functools import cache
from pathlib import Path
from threading import Lock

import streamlit as st
from streamlit.components.v2.get_bidi_component_manager import get_bidi_component_manager
from streamlit.components.v2.manifest_scanner import ComponentConfig, ComponentManifest
from streamlit.components.v2.types import ComponentRenderer

_HERE = Path(__file__).parent
_DISTRIBUTION = "matgen"
_declaring = Lock()


def registered(name: str, html: str) -> ComponentRenderer:
    """Return the component whose browser side lies in `NAME/browser/`.

    Call it where the component is shown: a registration belongs to the running server, and at import there is none.

    Args:
        name: A folder beside this file.
        html: What the component finds in the page when its script is called.
    """
    full_name = f"{_DISTRIBUTION}.{name}"
    manager = get_bidi_component_manager()
    with _declaring:  # declared anew, it would be without content for a moment, while others show it
        if manager.get_component_asset_root(full_name) is None:
            folder = ComponentConfig(name, asset_dir=f"{name}/browser")
            manager.register_from_manifest(ComponentManifest(_DISTRIBUTION, "", [folder]), _HERE)
    styles, script = _sources(name)
    return st.components.v2.component(full_name, html=html, css=styles, js=script)


def entry(folder: Path) -> str:
    """Name the script of a `browser` folder that is served: the bundle, unless there is none or a module is newer."""
    bundle = folder / "bundle.js"
    modules = [path for path in folder.rglob("*.js") if path != bundle]
    fresh = bundle.is_file() and bundle.stat().st_mtime >= max(path.stat().st_mtime for path in modules)
    return "bundle.js" if fresh else "index.js"


@cache
def _sources(name: str) -> tuple[str, str]:
    folder = _HERE / name / "browser"
    # Styles travel as text: as a file they would arrive after the script, which measures what it has built.
    return (folder / "index.css").read_text(encoding="utf-8"), entry(folder)
