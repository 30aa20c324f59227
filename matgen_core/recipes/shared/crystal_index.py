"""The index of a checkpoint for cubic crystals: some of its crystals with their latent points, maps and grades."""

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from pymatgen.core import Composition

from matgen_core.data import Dataset
from matgen_core.latent.index import index_columns
from matgen_core.latent.projection import projections
from matgen_core.latent.space import Z
from matgen_core.networks.arrays.crystals import CrystalArrays
from matgen_core.networks.arrays.splits import THREE_PARTS
from matgen_core.recipes.shared.cubic import structures


def crystal_index(
    arrays: CrystalArrays,
    parts: dict[str, Dataset],
    chosen: NDArray[np.int64],
    z: Z,
    returned: NDArray[np.bool_],
    seed: int,
) -> pd.DataFrame:
    """Return one row a crystal, in the order of `chosen`.

    Args:
        arrays: All crystals.
        parts: The data sets that they were made of.
        chosen: Rows of `arrays` that are shown.
        z: Their latent points, (n_chosen, latent_dim).
        returned: Whether each comes back.
        seed: Of the maps.
    """
    table = pd.concat([parts[part].table for part in THREE_PARTS], ignore_index=True).iloc[chosen]
    arrays = arrays.select(torch.from_numpy(chosen))
    z = z.astype(np.float16).astype(np.float32)  # as stored, so that maps and latents agree
    formulas = [structure.composition.reduced_formula for structure in structures(arrays)]
    rows = pd.DataFrame(
        {
            "id": arrays.ids,
            "formula": formulas,
            "chemical_system": [Composition(formula).chemical_system for formula in formulas],
            "family": [arrays.families[i] for i in arrays.family.tolist()],
            "edge": arrays.edge.numpy(),
            "formation_energy_per_atom": arrays.formation_energy_per_atom.numpy(),
            "split": [THREE_PARTS[i] for i in arrays.part.tolist()],
            "reconstruction_error": 1 - returned.astype(np.float32),
        }
    )
    for name in ("space_group_number", "energy_above_hull", "band_gap"):
        if name in table:
            rows[name] = table[name].to_numpy(np.float32, na_value=np.nan)
    return index_columns(pd.concat([rows, projections(z, seed)], axis=1), z)
