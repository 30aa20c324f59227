"""What must stand beside every figure and verdict on a crystal: what was guessed to read it, and what cannot be."""

from collections.abc import Sequence

from pymatgen.core import Structure

from matgen_core.checks import distance_check
from matgen_core.data import StructureFile


def remarks(structure: Structure, notes: Sequence[str] = ()) -> tuple[str, ...]:
    """Return a crystal's remarks, a line each.

    Args:
        structure: The crystal.
        notes: What was done or guessed to read it.
    """
    distances = distance_check()(structure)
    if distances.passed is not False:
        return tuple(notes)
    return (*notes, f"sites too near each other: {distances.reason}")


def remark_on(file: StructureFile) -> str:
    """Return the remarks on a file's crystal on one line, as a table's cell holds them; its notes if it has none."""
    return file.note if file.structure is None else "; ".join(remarks(file.structure, file.notes))
