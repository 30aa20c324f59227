"""Which known crystals the shifts are fitted to, and which they are judged on.

Formation energies are those of one correction scheme. No chemical system stands on both sides.
"""

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from matgen_core import data
from matgen_core.checks.physics.bonds import anion_contacts, molecules
from matgen_core.data.rows import structure
from matgen_core.networks.arrays.cells import Cells
from matgen_core.networks.arrays.formation import (
    BONDED,
    BONDED_HELD_OUT,
    ELEMENT,
    FIT,
    HELD_OUT,
    MOLECULAR,
    ROLES,
    FormationArrays,
)

STRUCTURES, HULL = "mp_structures", "mp_hull_2018"
STRICT_SOURCES = ("mp2018", "mp2019")  # formation energies of one correction scheme
FRACTIONS = (0.8, 0.2)  # of the rows, by chemical system
NEAR_HULL = 0.1  # eV/atom; crystals far above the hull are of no use as references
PER_ELEMENT = 60  # crystals of each element that are fitted to before others are drawn, where there are so many
_AT_LEAST = 10  # of an element; where fewer are near the hull, any of its crystals are taken


def formation_arrays(n_fit: int, n_held_out: int, seed: int) -> FormationArrays:
    """Choose crystals and put them end to end.

    Args:
        n_fit: How many are fitted to.
        n_held_out: How many the result is judged on.
        seed: Of the split and of what is drawn.
    """
    dataset = data.load(STRUCTURES)
    table = dataset.table
    strict = table["formation_energy_source"].isin(STRICT_SOURCES) & table["formation_energy_per_atom"].notna()
    training = table.index.isin(dataset.split(FRACTIONS, seed)[0].table.index)
    element = strict & (table["nelements"] == 1)
    compound = strict & ~element
    bonded = pd.Series(False, index=table.index)
    holding = table[compound & table["chemsys"].str.split("-").map(lambda symbols: bool({"O", "F"} & set(symbols)))]
    bonded[holding.index] = anion_contacts(cells_of(holding)).numpy()
    gases = {"H", "N", "Cl"}  # those with F are among the bonded ones
    holding = table[
        compound & ~bonded & table["chemsys"].str.split("-").map(lambda symbols: bool(gases & set(symbols)))
    ]
    molecular = pd.Series(False, index=table.index)
    molecular[holding.index] = molecules(cells_of(holding)).numpy()
    rng = np.random.default_rng(seed)
    fit = _spread(table[compound & training & ~bonded], n_fit, rng)
    held_out = rng.permutation(table.index[compound & ~training & ~bonded])[:n_held_out]
    chosen = {
        FIT: fit,
        BONDED: table.index[bonded & training],
        HELD_OUT: np.sort(held_out),
        BONDED_HELD_OUT: table.index[bonded & ~training],
        ELEMENT: table.index[element],
        MOLECULAR: table.index[molecular].difference(np.concatenate([fit, held_out])),
    }
    rows = table.loc[np.concatenate([chosen[role] for role in ROLES])]
    return FormationArrays(
        cells_of(rows),
        tuple(rows["material_id"]),
        torch.from_numpy(rows["formation_energy_per_atom"].to_numpy(np.float64)),
        torch.tensor([place for place, role in enumerate(ROLES) for _ in chosen[role]]),
    )


def cells_of(table: pd.DataFrame) -> Cells:
    """Put the crystals of a table end to end."""
    crystals = [structure(row) for row in table.to_dict("records")]
    return Cells.of(([site.specie.Z for site in each], each.lattice.matrix, each.frac_coords) for each in crystals)


def _spread(table: pd.DataFrame, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Choose crystals near the hull, so that rare elements have some, and draw the rest at random."""
    shuffled = table.loc[rng.permutation(table.index)]
    distance = shuffled["energy_above_hull_2018"].fillna(shuffled["energy_above_hull"])
    near = shuffled[distance < NEAR_HULL]
    chosen: dict[int, None] = {}
    elements = [set(system.split("-")) for system in shuffled["chemsys"]]
    near_elements = [set(system.split("-")) for system in near["chemsys"]]
    for symbol in sorted(set().union(*elements)):
        here = near.index[[symbol in each for each in near_elements]][:PER_ELEMENT]
        if len(here) < _AT_LEAST:
            here = shuffled.index[[symbol in each for each in elements]][:_AT_LEAST].union(here)
        chosen |= dict.fromkeys(here)
    for index in near.index:
        if len(chosen) >= n:
            break
        chosen[index] = None
    return np.sort(np.array(list(chosen), np.int64))
