"""What is drawn of a crystal: atoms with their periodic images, bonds, coordination polyhedra, cell.

A scene is a plain dictionary that the viewer, the static picture and the stand-alone page all draw, so that
what is seen is what pymatgen holds. Every drawn atom is a site of the structure and an image of it.

Reference for the bonds: Pan et al., Inorg. Chem. 60, 1590 (2021), doi:10.1021/acs.inorgchem.0c02996 (CrystalNN)
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import numpy as np
from monty.serialization import loadfn
from numpy.typing import NDArray
from pymatgen.core import Element, PeriodicSite, Structure
from scipy.spatial import ConvexHull, QhullError

from matgen_core.checks import lattice_problem
from matgen_core.materials.bonds import (
    Bond,
    Bonding,
    Image,
    as_image,
    bonding,
    electronegativity_of,
    main_elements,
    site_labels,
)

Scene = dict[str, Any]

IN_CELL, BOUNDARY, COMPLETING = range(3)  # what an atom is drawn for
MAX_ATOMS = 2_000
_ON_BOUNDARY = 0.1  # Å; an atom nearer than this to a face of the cell is repeated on the opposite face
_UNKNOWN_COLOR, _UNKNOWN_RADIUS = "#9aa0a6", 1.35


@dataclass(frozen=True)
class AtomReference:
    """An atom as drawn: a site of the structure, and the lattice translation of that image."""

    site: int
    image: Image = (0, 0, 0)


@dataclass(frozen=True)
class Measurement:
    """A distance (Å), an angle or a dihedral (degrees) between drawn atoms."""

    kind: Literal["distance", "angle", "dihedral"]
    value: float
    unit: Literal["Å", "°"]


def scene(
    structure: Structure,
    supercell: Image = (1, 1, 1),
    longest: float | None = None,
    max_atoms: int = MAX_ATOMS,
    found: Bonding | None = None,
) -> Scene:
    """Describe everything that a viewer draws of a structure; plain lists and numbers, coordinates in Å.

    Args:
        structure: Any structure; a partially occupied site has the shares of its species, and a note says so.
        supercell: Cells drawn along a, b and c, each at least 1.
        longest: Longest bond in Å, as `materials.bonds.bonding` takes it.
        max_atoms: Most atoms drawn. A supercell that needs more is drawn as one cell, with a note.
        found: Bonds of another structure of the same sites, to be drawn in place of its own.

    Returns:
        A dictionary that json can write. `atoms` holds rows (site, kind, ia, ib, ic, x, y, z), where kind is IN_CELL,
        BOUNDARY (an image on the opposite face, edge or corner) or COMPLETING (outside, completes a polyhedron);
        `bonds` pairs of rows; `polyhedra` shapes around the origin, and instances (row of the center, shape, rows of
        the vertices); `cell` line segments.

    Raises:
        ValueError: If the structure is empty, larger than `max_atoms`, or the supercell is not positive.
    """
    if len(structure) == 0:
        raise ValueError("a structure without atoms cannot be drawn; choose another")
    if len(supercell) != 3 or min(supercell) < 1:
        raise ValueError(f"supercell {supercell}: expected three whole numbers, each at least 1")
    if len(structure) > max_atoms:
        raise ValueError(f"{len(structure)} sites in one cell, but at most {max_atoms} are drawn; use a smaller cell")
    notes = []
    if len(structure) * int(np.prod(supercell)) > max_atoms:
        drawn = " x ".join(map(str, supercell))
        notes.append(f"one cell is drawn: {drawn} cells have more than {max_atoms} atoms")
        supercell = (1, 1, 1)
    if not structure.is_ordered:
        notes.append("partially occupied sites are drawn in the shares of their species, what is empty in gray")
    found = found or bonding(structure, longest)
    if found.note:
        notes.append(found.note)
    shapes = _polyhedron_shapes(structure, found)
    atoms = _drawn_atoms(structure, supercell)
    full = _with_completing(atoms, {site: found.shells[site] for site in shapes})
    if len(full) > max_atoms:
        notes.append(f"atoms outside the cell are left out: more than {max_atoms} atoms")
        full = {atom: kind for atom, kind in (full if len(atoms) <= max_atoms else atoms).items() if kind == IN_CELL}
    return _assemble(structure, supercell, found, shapes, full, notes)


def film(structures: Sequence[Structure]) -> list[Scene]:
    """Describe the steps of one crystal, all with the bonds of the last: they are found once, and none of them blinks.

    Args:
        structures: The same sites in the same order, none moved to another image on the way.
    """
    found = bonding(structures[-1])
    return [scene(each, found=found) for each in structures]


def drawable_scene(material: Any) -> Scene | None:
    """Describe what is drawn of a decoded material; None where it is no crystal that can be drawn."""
    if not isinstance(material, Structure) or lattice_problem(material):
        return None
    return scene(material)


def _assemble(
    structure: Structure,
    supercell: Image,
    found: Bonding,
    shapes: dict[int, dict[str, Any]],
    atoms: dict[AtomReference, int],
    notes: list[str],
) -> Scene:
    rows = {atom: row for row, atom in enumerate(atoms)}
    sites = np.array([atom.site for atom in atoms])
    images = np.array([atom.image for atom in atoms])
    coords = (structure.frac_coords[sites] + images) @ structure.lattice.matrix
    shape_rows = {site: row for row, site in enumerate(shapes)}
    symbols = main_elements(structure)
    return {
        "formula": structure.composition.reduced_formula if structure.is_ordered else structure.composition.formula,
        "lattice": _rounded(structure.lattice.matrix),
        "lengths": _rounded(structure.lattice.abc),
        "angles": _rounded(structure.lattice.angles, 2),
        "supercell": list(supercell),
        "sites": [
            {"label": label, "element": symbol, "species": site.species_string} | _shares(site)
            for label, symbol, site in zip(site_labels(structure), symbols, structure, strict=True)
        ],
        "elements": {
            symbol: _element(symbol) | {"count": symbols.count(symbol)} for symbol in _every(structure, symbols)
        },
        "atoms": [
            [atom.site, kind, *atom.image, *xyz]
            for (atom, kind), xyz in zip(atoms.items(), _rounded(coords), strict=True)
        ],
        "bonds": _drawn_bonds(found.bonds, rows),
        "polyhedra": {
            "shapes": list(shapes.values()),
            "instances": [
                [row, shape_rows[atom.site], [rows[vertex] for vertex in _neighbors(atom, found.shells[atom.site])]]
                for atom, row in rows.items()
                if atom.site in shapes and atoms[atom] != COMPLETING and _is_complete(atom, found, rows)
            ],
        },
        "cell": _cell_edges(structure.lattice.matrix, supercell),
        "bond_rule": found.rule,
        "notes": notes,
    }


def _shares(site: PeriodicSite) -> dict[str, Any]:
    """The share of each species of a partially occupied site, the largest first; nothing for any other."""
    if site.is_ordered:
        return {}
    shares = sorted(site.species.items(), key=lambda item: -item[1])
    return {"shares": [[species.symbol, round(float(share), 4)] for species, share in shares]}


def _every(structure: Structure, symbols: Sequence[str]) -> list[str]:
    """The main elements of the sites, then those that only share a site."""
    shared = (species.symbol for site in structure if not site.is_ordered for species in site.species)
    return list(dict.fromkeys([*symbols, *shared]))


def _drawn_atoms(structure: Structure, supercell: Image) -> dict[AtomReference, int]:
    """Every atom of the cells, then the images of those on a face, edge or corner."""
    heights = np.array(structure.lattice.volume) / np.linalg.norm(
        np.cross(np.roll(structure.lattice.matrix, -1, axis=0), np.roll(structure.lattice.matrix, -2, axis=0)), axis=1
    )
    tolerance = np.minimum(_ON_BOUNDARY / heights, 0.05)
    home = -np.floor(structure.frac_coords + tolerance).astype(int)  # moves each site into the cell; 0.999 is 0
    inside = structure.frac_coords + home
    atoms: dict[AtomReference, int] = {}
    for cell in itertools.product(*map(range, supercell)):
        for site, shift in enumerate(home):
            atoms[AtomReference(site, as_image(shift + cell))] = IN_CELL
    for site, (shift, frac) in enumerate(zip(home, inside, strict=True)):
        repeats = [
            range(n + 1) if abs(x) <= t else range(n) for n, x, t in zip(supercell, frac, tolerance, strict=True)
        ]
        for cell in itertools.product(*repeats):
            atoms.setdefault(AtomReference(site, as_image(shift + cell)), BOUNDARY)
    return atoms


def _with_completing(
    atoms: dict[AtomReference, int], shells: dict[int, tuple[tuple[int, Image], ...]]
) -> dict[AtomReference, int]:
    completed = dict(atoms)
    for atom in atoms:
        for neighbor in _neighbors(atom, shells.get(atom.site, ())):
            completed.setdefault(neighbor, COMPLETING)
    return completed


def _neighbors(atom: AtomReference, shell: Sequence[tuple[int, Image]]) -> list[AtomReference]:
    return [AtomReference(site, as_image(np.add(atom.image, image))) for site, image in shell]


def _is_complete(atom: AtomReference, found: Bonding, rows: dict[AtomReference, int]) -> bool:
    return all(neighbor in rows for neighbor in _neighbors(atom, found.shells[atom.site]))


def _drawn_bonds(bonds: Sequence[Bond], rows: dict[AtomReference, int]) -> list[list[int]]:
    by_site: dict[int, list[tuple[int, Image]]] = {}
    for i, j, image in bonds:
        by_site.setdefault(i, []).append((j, image))
    drawn = set()
    for atom, row in rows.items():
        for neighbor in _neighbors(atom, by_site.get(atom.site, ())):
            if neighbor in rows:
                drawn.add((min(row, rows[neighbor]), max(row, rows[neighbor])))
    return [list(pair) for pair in sorted(drawn)]


def _polyhedron_shapes(structure: Structure, found: Bonding) -> dict[int, dict[str, Any]]:
    """Convex hulls of the shells of 4 to 8 more electronegative neighbors; larger ones only where there are no others.

    A cuboctahedron of 12 around the large cation would hide the octahedra that a perovskite is known for.
    """
    electronegativity = [electronegativity_of(symbol) for symbol in main_elements(structure)]
    centers = [
        site
        for site, shell in enumerate(found.shells)
        if len(shell) >= 4 and all(electronegativity[j] > electronegativity[site] + 0.4 for j, _ in shell)
    ]
    small = [site for site in centers if len(found.shells[site]) <= 8]
    shapes = {site: _hull(structure, site, found.shells[site]) for site in small or centers}
    return {site: shape for site, shape in shapes.items() if shape}


def _hull(structure: Structure, site: int, shell: Sequence[tuple[int, Image]]) -> dict[str, Any] | None:
    """Triangles and edges of the polyhedron, vertices in Å from its center; None for a flat shell."""
    matrix = structure.lattice.matrix
    vertices = np.array(
        [(structure.frac_coords[j] + image - structure.frac_coords[site]) @ matrix for j, image in shell]
    )
    try:
        hull = ConvexHull(vertices)
    except QhullError:
        return None
    faces, edges = [], set()
    for face, normal, beside in zip(hull.simplices, hull.equations[:, :3], hull.neighbors, strict=True):
        a, b, c = map(int, face)
        outward = np.dot(np.cross(vertices[b] - vertices[a], vertices[c] - vertices[a]), normal) > 0
        faces.append([a, b, c] if outward else [a, c, b])
        for opposite, other in enumerate(beside):  # the edge that two triangles of one flat face share is not drawn
            if np.dot(normal, hull.equations[other, :3]) < 0.999:
                edges.add(tuple(sorted(int(v) for k, v in enumerate(face) if k != opposite)))
    return {"vertices": _rounded(vertices), "faces": faces, "edges": [list(edge) for edge in sorted(edges)]}


def _cell_edges(matrix: NDArray[np.float64], supercell: Image) -> list[list[list[float]]]:
    """Line segments of every cell of the supercell, each once."""
    segments = []
    for axis in range(3):
        others = [range(n + 1) if k != axis else range(n) for k, n in enumerate(supercell)]
        for corner in itertools.product(*others):
            start = np.array(corner)
            segments.append([_rounded(start @ matrix), _rounded((start + np.eye(3, dtype=int)[axis]) @ matrix)])
    return segments


def describe(drawn: Scene) -> str:
    """Say in a sentence what a scene shows, for people who cannot see it."""
    counts = {symbol: entry["count"] for symbol, entry in drawn["elements"].items()}
    elements = ", ".join(f"{count} {symbol}" for symbol, count in counts.items() if count)
    a, b, c = drawn["lengths"]
    alpha, beta, gamma = drawn["angles"]
    cells = "" if drawn["supercell"] == [1, 1, 1] else f", {' x '.join(map(str, drawn['supercell']))} cells drawn"
    return (
        f"Crystal structure {drawn['formula']}: a cell with {elements}; a {a:.3f}, b {b:.3f}, c {c:.3f} Å;"
        f" alpha {alpha:.1f}, beta {beta:.1f}, gamma {gamma:.1f} degrees{cells}; {len(drawn['bonds'])} bonds."
    )


def measure(structure: Structure, atoms: Sequence[AtomReference]) -> Measurement:
    """Measure between atoms as drawn: two give a distance, three the angle at the second, four the dihedral.

    Raises:
        ValueError: If there are not two to four atoms, a site does not exist, or atoms coincide or lie on a line
            where an angle has no meaning.
    """
    if not 2 <= len(atoms) <= 4:
        raise ValueError(f"{len(atoms)} atoms picked; a distance needs 2, an angle 3, a dihedral 4")
    beyond = [atom.site for atom in atoms if not 0 <= atom.site < len(structure)]
    if beyond:
        raise ValueError(f"site {beyond[0]}: this structure has sites 0 to {len(structure) - 1}")
    points = np.array([structure.frac_coords[atom.site] + atom.image for atom in atoms]) @ structure.lattice.matrix
    steps = np.diff(points, axis=0)
    if np.linalg.norm(steps, axis=1).min() < 1e-6:
        raise ValueError("an atom is picked twice in a row; pick different atoms")
    if len(atoms) == 2:
        return Measurement("distance", float(np.linalg.norm(steps[0])), "Å")
    if len(atoms) == 3:
        to_first, to_last = -steps[0], steps[1]
        cosine = np.dot(to_first, to_last) / np.linalg.norm(to_first) / np.linalg.norm(to_last)
        return Measurement("angle", float(np.degrees(np.arccos(np.clip(cosine, -1, 1)))), "°")
    normal_1, normal_2 = np.cross(steps[0], steps[1]), np.cross(steps[1], steps[2])
    if min(np.linalg.norm(normal_1), np.linalg.norm(normal_2)) < 1e-6:
        raise ValueError("three of the picked atoms lie on a line, so that there is no dihedral; pick others")
    sine = np.dot(steps[0], normal_2) * np.linalg.norm(steps[1])
    return Measurement("dihedral", float(np.degrees(np.arctan2(sine, np.dot(normal_1, normal_2)))), "°")


@cache
def _element(symbol: str) -> dict[str, Any]:
    """Color and radii (Å) of an element; a species that is no element is drawn gray."""
    red, green, blue = _jmol_colors().get(symbol, (None, None, None))
    color = _UNKNOWN_COLOR if red is None else f"#{red:02x}{green:02x}{blue:02x}"
    radius = _radius(symbol)
    return {"color": color, "ball": round(0.25 + 0.22 * radius, 3), "fill": round(radius, 3)}


@cache
def _jmol_colors() -> dict[str, list[int]]:
    """The colors of Jmol as pymatgen holds them, 0 to 255; those of VESTA vanish on a dark ground (Co, C)."""
    return loadfn(str(files("pymatgen.core") / "ElementColorSchemes.yaml"))["Jmol"]


def _radius(symbol: str) -> float:
    """Slater's atomic radius (Å): sums of two are near bond lengths, so that filled spheres touch."""
    if not Element.is_valid_symbol(symbol):
        return _UNKNOWN_RADIUS
    element = Element(symbol)
    return float(element.atomic_radius or element.atomic_radius_calculated or _UNKNOWN_RADIUS)


def _rounded(array: Any, digits: int = 4) -> Any:
    return np.round(np.asarray(array, dtype=float), digits).tolist()
