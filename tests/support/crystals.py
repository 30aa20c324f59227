"""Crystals that many tests use."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from pymatgen.core import Lattice, Structure
from pymatgen.symmetry.groups import SpaceGroup

# pymatgen lets go of a group that nobody holds and works it out anew, half a second for Fm-3m.
_held = cache(SpaceGroup)


def of_group(symbol: str, lattice: Lattice, species: Sequence[Any], coords: Sequence[Sequence[float]]) -> Structure:
    """Make a crystal of its space group, as `Structure.from_spacegroup` does."""
    _held(symbol)
    return Structure.from_spacegroup(symbol, lattice, species, coords)


def rock_salt(cation: str = "Na", anion: str = "Cl", edge: float = 5.64) -> Structure:
    return of_group("Fm-3m", Lattice.cubic(edge), [cation, anion], [[0, 0, 0], [0.5, 0.5, 0.5]])


NACL = rock_salt()
RUTILE = of_group("P4_2/mnm", Lattice.tetragonal(4.594, 2.959), ["Ti", "O"], [[0, 0, 0], [0.305, 0.305, 0]])
