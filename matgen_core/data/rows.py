"""One row of a table as a material, and back: chemical system, structure, standard structure columns."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from pymatgen.core import Element, Lattice, Structure

STRUCTURE_COLUMNS = ("material_id", "formula", "lattice", "numbers", "frac_coords")


_CELL = ("a", "b", "c", "alpha", "beta", "gamma")


def structure(row: Mapping[str, Any]) -> Structure:
    """Build the crystal that a row describes.

    Args:
        row: A mapping or a table's row with `numbers`, the flattened `frac_coords`, and either `lattice`
            (flattened (3, 3) row vectors in Å) or a, b, c (Å), alpha, beta, gamma (degrees).

    Returns:
        An ordered structure, sites in the order of the row.

    Raises:
        ValueError: If a column is missing, or if the lengths do not fit each other.
    """
    if any(name not in row for name in ("numbers", "frac_coords")):
        raise ValueError("this row has no coordinates: expected the columns numbers and frac_coords")
    numbers = np.asarray(row["numbers"], dtype=int)
    frac_coords = np.asarray(row["frac_coords"], dtype=float)
    if frac_coords.size != 3 * numbers.size:
        raise ValueError(f"{numbers.size} sites need {3 * numbers.size} coordinates, not {frac_coords.size}")
    if "lattice" in row:
        vectors = np.asarray(row["lattice"], dtype=float)
        if vectors.size != 9:
            raise ValueError(f"a lattice is 9 numbers (three row vectors in Å), not {vectors.size}")
        lattice = Lattice(vectors.reshape(3, 3))
    elif all(name in row for name in _CELL):
        lattice = Lattice.from_parameters(*(float(row[name]) for name in _CELL))
    else:
        raise ValueError("this row has no cell: expected the column lattice, or a, b, c, alpha, beta, gamma")
    return Structure(lattice, [Element.from_Z(z) for z in numbers.tolist()], frac_coords.reshape(-1, 3))


def structure_row(material_id: str, material: Structure) -> dict[str, Any]:
    """Flatten an ordered crystal into the standard structure columns.

    Args:
        material_id: Name of the row.
        material: An ordered structure; charges and other site properties are dropped.

    Returns:
        The values of `STRUCTURE_COLUMNS`; `structure` of it is the same crystal.

    Raises:
        ValueError: If a site is partially occupied or holds no element.
    """
    if not material.is_ordered:
        raise ValueError("partially occupied sites; order the structure first")
    try:
        numbers = [int(site.specie.Z) for site in material]
    except AttributeError as error:
        raise ValueError("a site holds no element") from error
    if not numbers:
        raise ValueError("no sites")
    return {
        "material_id": material_id,
        "formula": material.composition.reduced_formula,
        "lattice": np.asarray(material.lattice.matrix, dtype=float).ravel(),
        "numbers": np.asarray(numbers, dtype=np.int64),
        "frac_coords": np.asarray(material.frac_coords, dtype=float).ravel(),
    }
