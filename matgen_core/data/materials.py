"""One row of a table as a material, and back: chemical system, structure, standard structure columns."""

import warnings
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from pymatgen.core import Composition, Element, Lattice, Structure

STRUCTURE_COLUMNS = ("material_id", "formula", "lattice", "numbers", "frac_coords")

_MAX_EXPANDED = 5_000  # sites times operations; 2 s
_MAX_BLOCKS = 1_000
_MAX_QUOTES = 100  # in a line; the parser's time grows with their number times the line's length

_CELL = ("a", "b", "c", "alpha", "beta", "gamma")


@lru_cache(maxsize=500_000)
def chemical_system(formula: str) -> str:
    """Name the elements of a material: sorted symbols joined by hyphens.

    Args:
        formula: A formula ("Fe2O3", "(NH4)2SO4"; "NaN" is sodium nitride) or a phase field
            ("Li-Sn-S-Cl"). Deuterium and tritium count as hydrogen. An element may repeat.

    Returns:
        For example "Fe-O".

    Raises:
        ValueError: If the text is no formula of known elements.
    """
    try:
        if "-" in formula:
            symbols = {Element(part).symbol for part in formula.split("-")}
        else:
            symbols = {element.symbol for element in Composition(formula)}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{formula!r} is no formula of known elements; write it as Fe2O3, or a phase field as Li-Sn-S-Cl"
        ) from error
    unknown = sorted(symbol for symbol in symbols if not Element.is_valid_symbol(symbol))
    if unknown or not symbols:
        raise ValueError(f"{formula!r}: {', '.join(unknown) or 'it'} is no element; write it as Fe2O3")
    return "-".join(sorted(symbols))


def chemical_system_of_numbers(numbers: Any) -> str:
    """Name the elements of a list of atomic numbers, as `chemical_system` does."""
    return "-".join(sorted(Element.from_Z(z).symbol for z in {int(number) for number in numbers}))


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


def structures_from_cif(text: str) -> list[Structure]:
    """Read every structure of a CIF, in the cell as written.

    Raises:
        ValueError: If there is none, or if it would take too long: many sites under many symmetry operations, very
            many blocks, or lines full of quotation marks.
    """
    from pymatgen.io.cif import CifParser  # a third of a second, and only imports need it

    if any(line.count("'") + line.count('"') > _MAX_QUOTES for line in text.splitlines()):
        raise ValueError(f"a line with more than {_MAX_QUOTES} quotation marks")
    if text.count("data_") > _MAX_BLOCKS:
        raise ValueError(f"more than {_MAX_BLOCKS} blocks of data; give it in parts")
    with warnings.catch_warnings():
        # The parser warns of each rounded coordinate; what matters to us comes back as structures or errors.
        warnings.simplefilter("ignore")
        parser = CifParser.from_str(text)
        for block in parser.as_dict().values():
            _check_expansion(block)
        return parser.parse_structures(primitive=False)


def _check_expansion(block: Mapping[str, Any]) -> None:
    """Refuse a block whose sites, each under each operation, are too many: the parser's time grows with the square."""
    loops = {name: len(value) for name, value in block.items() if isinstance(value, list)}
    n_sites = max((n for name, n in loops.items() if name.startswith("_atom_site_")), default=0)
    n_operations = max((n for name, n in loops.items() if "_xyz" in name or "_operation" in name), default=1)
    if n_sites * n_operations > max(_MAX_EXPANDED, n_sites):
        raise ValueError(
            f"{n_sites} sites under {n_operations} symmetry operations; at most {_MAX_EXPANDED} images are worked"
            " out, so export the whole cell in P1"
        )
