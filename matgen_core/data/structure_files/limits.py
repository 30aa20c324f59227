"""How large a crystal of a file may be; what searches for neighbors and drawings can bear."""

from typing import Any

import numpy as np
from pymatgen.core import Element, Structure

MAX_BYTES = 10 * 1024**2  # of one file; a CIF of 1,000 sites has a hundredth of it
MAX_SITES = 1_000
MAX_EDGE = 500.0  # Å; hardly a crystal without proteins has a third of it
MAX_COORDINATE = 1e4  # cells from the origin; farther, a fractional coordinate has lost its digits
MAX_VOLUME = 20_000.0  # Å³ a site; an empty cell takes a search for neighbors as long as one of so many atoms
_GAP = 30.0  # Å between sites; where more is empty, neighbors are sought as far as the cell is long
_MAX_SOUGHT = 20_000  # sites within that reach; 5 s
_LEAST_VOLUME = 1.0  # Å³ a site; compressed hydrogen takes 2, and a search for neighbors in less never ends
_LEAST_SPACING = 0.5  # Å between the planes of a cell, for the same reason
_FAR = 2.0  # cells; a site farther outside is brought back, since neighbors are sought as far as sites reach


def structure_problem(crystal: Structure, max_sites: int = MAX_SITES) -> str:
    """Say why nothing can be done with a crystal that was read; "" if something can."""
    strange = sorted({symbol for symbol in crystal.symbol_set if not Element.is_valid_symbol(symbol)})
    if strange:
        return f"a site holds no element ({', '.join(strange)[:60]})"
    if len(crystal) > max_sites:
        return f"{len(crystal)} sites, more than {max_sites}"
    problem = cell_problem(crystal.lattice.matrix)
    if problem:
        return problem
    if not np.isfinite(crystal.frac_coords).all():
        return "coordinates that are no numbers"
    if np.abs(crystal.frac_coords).max(initial=0) > MAX_COORDINATE:
        return f"a site lies more than {MAX_COORDINATE:,.0f} cells away; check the decimal points of the coordinates"
    volume = crystal.volume / max(len(crystal), 1)
    if volume < _LEAST_VOLUME:
        return f"{volume:.2g} Å³ a site; no crystal has less than {_LEAST_VOLUME:g}, so check the unit of the cell"
    if volume > MAX_VOLUME:
        return f"{volume:,.0f} Å³ a site, more than {MAX_VOLUME:,.0f}; check the unit of the cell"
    reach = float(np.linalg.norm(crystal.lattice.abc))
    if 4.19 * reach**3 / volume > _MAX_SOUGHT and _largest_gap(crystal) > _GAP:
        return (
            f"an almost empty cell: {len(crystal)} sites in {max(crystal.lattice.abc):.4g} Å; shorten what is empty, or"
            " check the unit of the cell"
        )
    return ""


def _largest_gap(crystal: Structure) -> float:
    """The thickest layer without sites between planes of the cell, in Å."""
    spacings = 1 / np.array(crystal.lattice.reciprocal_lattice_crystallographic.abc)
    places = np.sort(crystal.frac_coords % 1, axis=0)
    gaps = np.diff(places, axis=0, append=places[:1] + 1).max(axis=0)
    return float((gaps * spacings).max())


def cell_problem(matrix: Any) -> str:
    """Say why a cell (3, 3) in Å is none of a crystal; "" if it can be one."""
    vectors = np.asarray(matrix, dtype=float)
    if not np.isfinite(vectors).all():
        return "no cell of finite volume; a molecule is not imported"
    longest = float(np.abs(vectors).max(initial=0))
    if longest > MAX_EDGE:
        return f"a cell edge of {longest:.4g} Å; at most {MAX_EDGE:g} Å are read, so check the unit of the cell"
    volume = abs(float(np.linalg.det(vectors)))
    if volume < 1e-3:
        return "no cell of finite volume; a molecule is not imported"
    spacing = volume / max(float(np.linalg.norm(np.cross(vectors[i - 2], vectors[i - 1]))) for i in range(3))
    if spacing < _LEAST_SPACING:
        return (
            f"a cell with faces {spacing:.2g} Å apart; at least {_LEAST_SPACING:g} Å is expected, so check the unit of"
            " the cell"
        )
    return ""


def brought_back(crystal: Structure) -> tuple[Structure, str]:
    """Bring sites that lie cells away back into the cell, and say so; the crystal stays the same."""
    far = int((np.abs(crystal.frac_coords) > _FAR).any(axis=1).sum())
    if not far:
        return crystal, ""
    inside = Structure(crystal.lattice, crystal.species_and_occu, crystal.frac_coords % 1, labels=crystal.labels)
    return inside, f"{far} of {len(crystal)} sites lay cells away and were brought back into the cell"
