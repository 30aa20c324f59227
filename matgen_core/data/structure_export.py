"""Structures as files: CIF, POSCAR, extended XYZ, a zip of them, chemiscope's JSON."""

import io
import json
import re
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np
from pymatgen.core import Structure
from pymatgen.io.cif import CifWriter
from pymatgen.io.vasp import Poscar


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


def _require_ordered(structure: Structure, what: str) -> None:
    if not structure.is_ordered:
        raise ValueError(f"{what} cannot hold partially occupied sites; export CIF instead")
