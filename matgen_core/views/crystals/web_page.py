"""A structure as a file: CIF, POSCAR, extended XYZ, a stand-alone web page, chemiscope's JSON."""

from html import escape
from pathlib import Path
from typing import Any

import py3Dmol
from pymatgen.core import Structure

from matgen_core.views.crystals.scene import COMPLETING, Scene, scene

VIEWER_LIBRARY = Path(__file__).parents[3] / "static" / "vendor" / "3dmol"


def viewer_problem() -> str | None:
    """Say in one line why structures cannot turn in 3D here; None if the browser library is in place."""
    missing = [name for name in ("3Dmol.es6-min.js", "3Dmol-min.js") if not (VIEWER_LIBRARY / name).is_file()]
    if not missing:
        return None
    return f"{VIEWER_LIBRARY / missing[0]} is missing, so structures are shown as still pictures; run: make install"


def html_page(structure: Structure, source: str = "", title: str | None = None) -> str:
    """Write a page that shows the structure in 3D by itself: 3Dmol.js inside, nothing fetched, works offline.

    Args:
        structure: Any structure.
        source: Where it comes from and how it was made, for who reads the page's source.
        title: Instead of the formula.

    Raises:
        ValueError: If 3Dmol.js is not installed; the message says how to install it.
    """
    problem = viewer_problem()
    if problem:
        raise ValueError(problem)
    drawn = scene(structure)
    heading = escape(title or drawn["formula"])
    script = (VIEWER_LIBRARY / "3Dmol-min.js").read_text()
    body = notebook_view(drawn, "100%", "100vh", library_url="").write_html()
    # The view would load the library from an address; here it stands above, so the promise is already kept.
    start = body.index("var loadScriptAsync")
    end = body.index("var viewer_", start)
    body = f"{body[:start]}var $3Dmolpromise = Promise.resolve();\n{body[end:]}"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{heading}</title>'
        f'<meta name="description" content="{escape(source)}">'
        "<style>body{margin:0;font:16px system-ui,sans-serif}h1{position:absolute;z-index:1;margin:1rem;"
        f"font-size:1.25rem}}</style><script>{script}</script></head>"
        f"<body><h1>{heading}</h1>\n{body}\n</body></html>\n"
    )


def notebook_view(drawn: Scene, width: str = "560px", height: str = "440px", library_url: str | None = None) -> Any:
    """Return a `py3Dmol.view` of a scene, for notebooks; `library_url` replaces py3Dmol's address of 3Dmol.js."""
    options = {} if library_url is None else {"js": library_url}
    view = py3Dmol.view(width=width, height=height, **options)
    rows = [row for row, atom in enumerate(drawn["atoms"]) if atom[1] != COMPLETING]
    serial = {row: k for k, row in enumerate(rows)}
    atoms = []
    for row in rows:
        site, _, _, _, _, x, y, z = drawn["atoms"][row]
        entry = drawn["elements"][drawn["sites"][site]["element"]]
        style = {
            "sphere": {"radius": entry["ball"], "color": entry["color"]},
            "stick": {"radius": 0.11, "color": entry["color"]},
        }
        element = drawn["sites"][site]["element"]
        atoms.append({"elem": element, "x": x, "y": y, "z": z, "bonds": [], "bondOrder": [], "style": style})
    for a, b in drawn["bonds"]:
        if a in serial and b in serial:
            for one, other in ((serial[a], serial[b]), (serial[b], serial[a])):
                atoms[one]["bonds"].append(other)
                atoms[one]["bondOrder"].append(1)
    for k, atom in enumerate(atoms):
        atom |= {"serial": k, "index": k}
    view.addModel()
    view.getModel().addAtoms(atoms)
    for start, end in drawn["cell"]:
        ends = {"start": dict(zip("xyz", start, strict=True)), "end": dict(zip("xyz", end, strict=True))}
        view.addCylinder(ends | {"radius": 0.03, "color": "#6b7280"})
    view.zoomTo()
    view.rotate(-78, "x")
    view.rotate(-22, "z")
    return view
