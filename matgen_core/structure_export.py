"""A structure as a file: CIF, POSCAR, extended XYZ, a stand-alone web page, chemiscope's JSON."""

import io
import json
import re
import zipfile
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import py3Dmol
from pymatgen.core import Structure
from pymatgen.io.cif import CifWriter
from pymatgen.io.vasp import Poscar

from matgen_core.crystal_scene import COMPLETING, Scene, scene

VIEWER_LIBRARY = Path(__file__).parent.parent / "static" / "vendor" / "3dmol"


def library_problem() -> str | None:
    """Say in one line why structures cannot turn in 3D here; None if the browser library is in place."""
    missing = [name for name in ("3Dmol.es6-min.js", "3Dmol-min.js") if not (VIEWER_LIBRARY / name).is_file()]
    if not missing:
        return None
    return f"{VIEWER_LIBRARY / missing[0]} is missing, so structures are shown as still pictures; run: make install"


def cif(structure: Structure) -> str:
    """Write CIF in P1: every site as it is, nothing symmetrized."""
    return str(CifWriter(structure, significant_figures=8))


def poscar(structure: Structure) -> str:
    """Write POSCAR in direct coordinates, sites grouped by species.

    Raises:
        ValueError: If a site is partially occupied, which POSCAR cannot say.
    """
    _require_ordered(structure, "POSCAR")
    return Poscar(structure, sort_structure=True).get_str(significant_figures=12)


def extended_xyz(structure: Structure) -> str:
    """Write extended XYZ with the lattice on the comment line and Cartesian coordinates in Å.

    Raises:
        ValueError: If a site is partially occupied, which XYZ cannot say.
    """
    _require_ordered(structure, "extended XYZ")
    lattice = " ".join(f"{x:.10f}" for x in structure.lattice.matrix.ravel())
    rows = [
        f"{site.specie.symbol:<3}" + "".join(f" {x:16.10f}" for x in site.coords)
        for site in structure  # the columns are declared on the second line
    ]
    return "\n".join(
        [str(len(structure)), f'Lattice="{lattice}" Properties=species:S:1:pos:R:3 pbc="T T T"', *rows, ""]
    )


def distinct_names(stems: Sequence[str]) -> list[str]:
    """Make names of files, without extension: no folders, nothing hidden, no two alike on any system.

    Args:
        stems: What the files should be called; where two would be alike, a number is put behind the later one.
    """
    taken: set[str] = set()
    names = []
    for stem in stems:
        plain = re.sub(r"[^\w .,+=@()#-]", "_", stem).strip(". ")[:100] or "structure"
        name, number = plain, 1
        while name.casefold() in taken:
            number += 1
            name = f"{plain}-{number}"
        taken.add(name.casefold())
        names.append(name)
    return names


def cif_archive(structures: Sequence[tuple[str, Structure]]) -> bytes:
    """Write a zip archive of CIF files.

    Args:
        structures: What each should be called, without extension, and the structure.
    """
    archive = io.BytesIO()
    names = distinct_names([name for name, _ in structures])
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for name, (_, structure) in zip(names, structures, strict=True):
            file.writestr(f"{name}.cif", cif(structure))
    return archive.getvalue()


def chemiscope_json(structures: dict[str, Structure], properties: dict[str, list[float]] | None = None) -> str:
    """Write the input of chemiscope.org: structures by name, with properties of each if there are any.

    Args:
        structures: Ordered structures by the name that is shown.
        properties: Columns with one number a structure; the unit belongs in the name, "Band gap (eV)".

    Raises:
        ValueError: If a site is partially occupied, or a column has another length than `structures`.
    """
    columns = properties or {}
    for name, values in columns.items():
        if len(values) != len(structures):
            raise ValueError(f"{name}: {len(values)} values for {len(structures)} structures; give one value each")
    entries = []
    for name, structure in structures.items():
        _require_ordered(structure, f"{name}: chemiscope")
        x, y, z = np.round(structure.cart_coords, 8).T.tolist()
        names = [site.specie.symbol for site in structure]
        cell = np.round(structure.lattice.matrix, 8).ravel().tolist()
        entries.append({"size": len(structure), "names": names, "x": x, "y": y, "z": z, "cell": cell})
    table: dict[str, dict[str, Any]] = {"name": {"target": "structure", "values": list(structures)}}
    table |= {name: {"target": "structure", "values": values} for name, values in columns.items()}
    meta = {"name": ", ".join(structures), "description": "Written by MatGen Explorer"}
    settings = {"structure": [{"unitCell": True, "bonds": True, "axes": "abc"}]}
    return json.dumps({"meta": meta, "structures": entries, "properties": table, "settings": settings}, allow_nan=False)


def html_page(structure: Structure, title: str | None = None) -> str:
    """Write a page that shows the structure in 3D by itself: 3Dmol.js inside, nothing fetched, works offline.

    Raises:
        ValueError: If 3Dmol.js is not installed; the message says how to install it.
    """
    problem = library_problem()
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


def _require_ordered(structure: Structure, what: str) -> None:
    if not structure.is_ordered:
        raise ValueError(f"{what} cannot hold partially occupied sites; export CIF instead")
