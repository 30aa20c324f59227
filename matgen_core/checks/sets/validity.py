"""The two validity tests of the published crystal generators.

Structure: no two sites nearer than 0.5 Å and a cell of at least 0.1 Å^3 (Court et al. 2020,
doi:10.1021/acs.jcim.0c00464). Composition: SMACT's rule with one oxidation state an element and alloys passing,
on the states of SMACT 2.2.1 (Xie et al., ICLR 2022, arXiv:2110.06197).

The published test of distances leaves out a site's own images; here they count, which differs only for cells
with an edge below 0.5 Å. What the published test passes unseen, a cell blown up to any size, is why
`validity` reports the volume per atom beside it.
"""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from pymatgen.core import Composition, Structure

from matgen_core.checks import distance_check, screen, smact_check

_STRUCTURE, _COMPOSITION = distance_check(0.5), smact_check("smact14", include_alloys=True)


def structure_validity(structure: Structure) -> bool:
    """Return whether a structure passes the published test of distances."""
    return _STRUCTURE(structure).passed is True


def composition_validity(material: Structure | Composition) -> bool:
    """Return whether a composition passes the published SMACT rule; undecided counts as not passed."""
    return _COMPOSITION(material).passed is True


def validity(samples: Sequence[Any]) -> pd.DataFrame:
    """Judge every sample, failed decodes included.

    Args:
        samples: Structures or failures, as `checks.as_material` takes them.

    Returns:
        One row for every sample: `formula`, `volume_per_atom` (Å^3), `min_distance` (Å), `problem`, and the
        masks `structure_valid`, `composition_valid`, `valid`; what is undecided is not valid.
    """
    table = screen(samples, (_STRUCTURE, _COMPOSITION))
    structure_valid = table[_STRUCTURE.name].eq(True).fillna(False).astype(bool)
    composition_valid = table[_COMPOSITION.name].eq(True).fillna(False).astype(bool)
    return table[["formula", "volume_per_atom", "min_distance", "problem"]].assign(
        structure_valid=structure_valid,
        composition_valid=composition_valid,
        valid=structure_valid & composition_valid,
    )
