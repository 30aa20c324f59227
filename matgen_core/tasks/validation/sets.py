"""Crystals that were judged one by one, together: which are new, which are the same, which are all that one asks for."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from pymatgen.core import Structure

from matgen_core import data
from matgen_core.checks.compositions import smact_check
from matgen_core.checks.sets import uniqueness_and_novelty
from matgen_core.checks.structures import MIN_DISTANCE, VOLUME_PER_ATOM_RANGE
from matgen_core.tasks.validation.inputs import Candidate

KNOWN = "mp_structures"  # what does not count as new
MIN_RADII_FRACTION = 0.7  # of the sum of covalent radii


def table_of(candidates: Sequence[Candidate], rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Put rows of single crystals together, with what only the set tells; one that could not be made has its row.

    Args:
        candidates: All that were asked for.
        rows: What `judging.row_of` says of each; of one that was not made at least its `problem`.

    Returns:
        A row each, with further columns: valid, charge_neutral, unique (the first of equal ones), novel (None where the
        known crystals are not installed), sun and msun (stable, unique, novel; likewise within 0.1 eV/atom).
    """
    structures = [each.structure for each in candidates]
    table = pd.DataFrame([dict(row) for row in rows])
    for column in ("min_distance", "energy_above_hull", "volume_per_atom", "displacement"):
        if column not in table:
            table[column] = None
    for column in ("stable", "near_stable", "volume_kept"):
        table[column] = table[column].astype(object) if column in table else None
    table.insert(0, "name", [each.name for each in candidates])
    made = [each is not None for each in structures]
    table["valid"] = [is_made and _is_valid(row) for is_made, row in zip(made, rows, strict=True)]
    charges = smact_check()
    table["smact_valid"] = [None if each is None else charges(each).passed for each in structures]
    known, is_known = _known(structures)
    kinds = uniqueness_and_novelty([_or_failed(each) for each in structures], known)
    table["unique"] = kinds["unique"].to_numpy()
    table["novel"] = kinds["novel"].to_numpy() if is_known else None
    for name, stability in (("sun", "stable"), ("msun", "near_stable")):
        holds = table["valid"] & table["unique"] & table[stability].eq(True)
        table[name] = holds & table["novel"].eq(True) if is_known else None
    return table


def _is_valid(row: Mapping[str, Any]) -> bool:
    distance, fraction, volume = (row.get(each) for each in ("min_distance", "min_radii_fraction", "volume_per_atom"))
    if distance is None or fraction is None or volume is None:
        return False
    low, high = VOLUME_PER_ATOM_RANGE
    return bool(distance >= MIN_DISTANCE and fraction >= MIN_RADII_FRACTION and low <= volume <= high)


def _known(structures: Sequence[Structure | None]) -> tuple[list[Structure], bool]:
    try:
        return list(data.load_crystals_like(KNOWN, [each for each in structures if each is not None]).values()), True
    except (ValueError, OSError):
        return [], False


def _or_failed(structure: Structure | None) -> Structure | ValueError:
    return ValueError("not made") if structure is None else structure
