"""The index of a checkpoint for cubic crystals: some of its crystals with their latent points, maps and grades."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from pymatgen.core import Composition, Structure

from matgen_core.checks.sets import evaluate_reconstruction
from matgen_core.data import Dataset
from matgen_core.latent.building import build_index
from matgen_core.latent.errors import NO_MATCH
from matgen_core.latent.space import Decoded, Z
from matgen_core.networks.arrays.crystals import CrystalArrays
from matgen_core.networks.arrays.splits import THREE_PARTS
from matgen_core.recipes.shared.cubic import structures


def crystal_index(
    arrays: CrystalArrays,
    parts: dict[str, Dataset],
    chosen: NDArray[np.int64],
    z: Z,
    decoded: Sequence[Decoded],
    seed: int,
    n_workers: int = 1,
) -> pd.DataFrame:
    """Return one row a crystal, in the order of `chosen`.

    Args:
        arrays: All crystals.
        parts: The data sets that they were made of.
        chosen: Rows of `arrays` that are shown.
        z: Their latent points, (n_chosen, latent_dim).
        decoded: What each point decodes to; a crystal comes back if the matcher of the figures says so.
        seed: Of the maps.
        n_workers: Processes that match.
    """
    table = pd.concat([parts[part].table for part in THREE_PARTS], ignore_index=True).iloc[chosen]
    arrays = arrays.select(torch.from_numpy(chosen))
    crystals = structures(arrays)
    formulas = [structure.composition.reduced_formula for structure in crystals]
    rows = pd.DataFrame(
        {
            "id": arrays.ids,
            "formula": formulas,
            "chemical_system": [Composition(formula).chemical_system for formula in formulas],
            "family": [arrays.families[i] for i in arrays.family.tolist()],
            "edge": arrays.edge.numpy(),
            "formation_energy_per_atom": arrays.formation_energy_per_atom.numpy(),
            "split": [THREE_PARTS[i] for i in arrays.part.tolist()],
        }
    )
    for name in ("space_group_number", "energy_above_hull", "band_gap"):
        if name in table:
            rows[name] = table[name].to_numpy(np.float32, na_value=np.nan)
    return index_of(rows, crystals, z, decoded, seed, n_workers)


def index_of(
    rows: pd.DataFrame, crystals: Sequence[Structure], z: Z, decoded: Sequence[Decoded], seed: int, n_workers: int = 1
) -> pd.DataFrame:
    """Return the index of crystals that a table describes: with their points, maps, and whether they come back.

    Args:
        rows: One a crystal.
        crystals: As they were encoded, in this order, as `z` and `decoded`.
        z: Their latent points, (n, latent_dim).
        decoded: What each point decodes to; a crystal comes back if the matcher of the figures says so.
        seed: Of the maps.
        n_workers: Processes that match.
    """
    returned = evaluate_reconstruction(crystals, decoded, n_workers)["match"].to_numpy()
    return build_index(rows, z, seed, 1 - returned.astype(np.float32), NO_MATCH)
