"""One table of crystals with the eight properties that the crystal graph networks learn.

It joins three data sets of the Materials Project by material id, so that a crystal that occurs in two of them is one
row, and a chemical system stands on one side of a split for all properties alike.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from matgen_core.data.dataset import Dataset
from matgen_core.data.store import load
from matgen_core.materials.systems import chemical_system

SOURCES = ("mp_structures", "mp_binary_elasticity", "mp_dielectric")
PROPERTIES = (
    "formation_energy_per_atom",
    "energy_above_hull",
    "band_gap",
    "bulk_modulus",
    "shear_modulus",
    "poisson_ratio",
    "eps_electronic",
    "refractive_index",
)
STRICT_SOURCES = ("mp2018", "mp2019")  # formation energies of one correction scheme
_ELASTIC = ["bulk_modulus", "shear_modulus", "poisson_ratio"]
_MODULI_2018 = (1.0, 600.0)  # GPa; values outside are failed fits (diamond: 436 and 522)


def load_crystal_properties() -> Dataset:
    """Read and join the three data sets.

    Bulk and shear moduli are those of `mp_binary_elasticity`, else the 2025 and then the 2018 values of
    `mp_structures`. Of the 2018 ones only those are taken that lie within 1 to 600 GPa, and whose Poisson ratio
    is one that an isotropic solid can have in practice, -0.2 to 0.49: many others are failed fits.

    Returns:
        A data set under the name of its main part; the table has material_id, formula, cell and site columns
        (`lattice`, or a to gamma, whichever the row's source has), the `PROPERTIES`, NaN where unknown, and
        formation_energy_source.
    """
    main, elastic, dielectric = (load(name) for name in SOURCES)
    table = main.table.set_index("material_id")
    of_elastic = elastic.table.set_index("material_id")
    of_dielectric = dielectric.table.set_index("material_id")
    sites = ["formula", "lattice", "numbers", "frac_coords"]
    others = pd.concat([of_elastic[sites], of_dielectric[sites]])
    others = others[~others.index.duplicated()]
    table = pd.concat([table, others[~others.index.isin(table.index)]])
    table = table.join(_moduli(table, of_elastic))
    table = table.join(of_dielectric[["eps_electronic", "refractive_index"]])
    kept = [*sites, "a", "b", "c", "alpha", "beta", "gamma", "formation_energy_source", *PROPERTIES]
    table = table[kept].dropna(subset=list(PROPERTIES), how="all").reset_index()
    table["chemical_system"] = [chemical_system(formula) for formula in table["formula"]]
    return replace(main, table=table)


def sides(dataset: Dataset, seed: int) -> NDArray[np.uint8]:
    """Return the place of each row's part in `THREE_PARTS`, 80/10/10 by chemical system."""
    of_row = pd.Series(0, index=dataset.table.index, dtype=np.uint8)
    for number, part in enumerate(dataset.split((0.8, 0.1, 0.1), seed)):
        of_row.loc[part.table.index] = number
    return of_row.to_numpy()


def _moduli(table: pd.DataFrame, elastic: pd.DataFrame) -> pd.DataFrame:
    """Return the moduli and Poisson ratio of each row of `table`, NaN where there are none to trust."""
    bulk, shear = table["K_VRH_2018"], table["G_VRH_2018"]
    ratio = poisson_ratio(bulk, shear)
    trusted = bulk.between(*_MODULI_2018) & shear.between(*_MODULI_2018) & ratio.between(-0.2, 0.49)
    older = pd.DataFrame({"bulk_modulus": bulk, "shear_modulus": shear, "poisson_ratio": ratio}).where(trusted)
    newer = pd.DataFrame({"bulk_modulus": table["K_VRH_2025"], "shear_modulus": table["G_VRH_2025"]})
    newer["poisson_ratio"] = poisson_ratio(newer["bulk_modulus"], newer["shear_modulus"])
    best = elastic[_ELASTIC].reindex(table.index)
    return best.fillna(newer).fillna(older).astype(np.float64)


def poisson_ratio(bulk_modulus: pd.Series, shear_modulus: pd.Series) -> pd.Series:
    """Return the Poisson ratio of an isotropic solid with these moduli."""
    return (3 * bulk_modulus - 2 * shear_modulus) / (2 * (3 * bulk_modulus + shear_modulus))
