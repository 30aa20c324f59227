"""Crystals judged one by one, together: which are new, which are the same, which are all that one asks for."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from pymatgen.core import Structure

from matgen_core import data
from matgen_core.checks.compositions import smact_check
from matgen_core.checks.sets import novelty, uniqueness_and_novelty
from matgen_core.checks.structures import lattice_problem, strict_distance_check
from matgen_core.networks.potentials import Guards
from matgen_core.tasks.validation import judging
from matgen_core.tasks.validation.inputs import Candidate

KNOWN = "mp_structures"  # what does not count as new
_NUMBERS = ("energy_above_hull", "volume_per_atom", "displacement")


def table_of(
    candidates: Sequence[Candidate], rows: Sequence[Mapping[str, Any]], rests: Sequence[Mapping[str, Any]]
) -> pd.DataFrame:
    """Put rows of single crystals together, with what only the set tells; one that could not be made has its row.

    Args:
        candidates: All that were asked for.
        rows: What `judging.row_of` says of each; of one that was not judged, `judging.unjudged_row`.
        rests: What `judging.rest_of` says of each.

    Returns:
        A row each, with further columns: made (whether there is a crystal), valid, smact_valid, unique (what it relaxes
        to is the first of its kind), novel (neither it nor what it relaxes to is known; None where the known crystals
        are not installed), sun and msun (stable, unique, novel and valid; likewise within 0.1 eV/atom), msun_common
        (the latter without lanthanides and actinides).
    """
    structures = [each.structure for each in candidates]
    relaxed = [judging.structure_of(rest["relaxed"]) if rest.get("relaxed") else None for rest in rests]
    table = pd.DataFrame([dict(row) for row in rows])
    for column in _NUMBERS:  # where all are missing, they are missing numbers
        table[column] = pd.to_numeric(table[column])
    table.insert(0, "name", [each.name for each in candidates])
    table.insert(1, "made", [each is not None for each in structures])
    table["valid"] = [each is not None and _is_valid(each) for each in structures]
    charges = smact_check()
    table["smact_valid"] = [
        charges(each.structure).passed if each.can_be_judged and each.structure is not None else None
        for each in candidates
    ]
    known = _known(structures)
    at_rest = [first if last is None else last for first, last in zip(structures, relaxed, strict=True)]
    kinds = uniqueness_and_novelty([_or_failed(each) for each in at_rest], known or [])
    table["unique"] = kinds["unique"].to_numpy()
    if known is None:
        return table.assign(novel=None, sun=None, msun=None, msun_common=None)
    table["novel"] = kinds["novel"].to_numpy() & novelty([_or_failed(each) for each in structures], known)
    for name, stability in (("sun", "stable"), ("msun", "near_stable")):
        table[name] = table["valid"] & table["unique"] & table["novel"] & table[stability].eq(True)
    table["msun_common"] = table["msun"] & ~np.array([each is not None and _is_rare(each) for each in structures], bool)
    return table


def _is_rare(structure: Structure) -> bool:
    """Tell whether it holds a lanthanide or an actinide, whose known phases are few: nearly everything is new there."""
    return any(
        getattr(each, "is_lanthanoid", False) or getattr(each, "is_actinoid", False) for each in structure.composition
    )


def _is_valid(structure: Structure) -> bool:
    if lattice_problem(structure) or not strict_distance_check()(structure).passed:
        return False
    low, high = Guards().volume_per_atom
    return low <= structure.volume / len(structure) <= high


def _known(structures: Sequence[Structure | None]) -> list[Structure] | None:
    """The known crystals of the same formulas; None where none are installed."""
    if not data.path_of(KNOWN).is_file():
        return None
    return list(data.load_crystals_like(KNOWN, [each for each in structures if each is not None]).values())


def _or_failed(structure: Structure | None) -> Structure | ValueError:
    return ValueError("not made") if structure is None else structure
