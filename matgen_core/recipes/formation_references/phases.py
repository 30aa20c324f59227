"""The known compounds as a table small enough to ship: of each reduced formula the two of least energy.

The second is there for a candidate that is the first itself: its own entry is left out of its hull, and then the next
polymorph counts.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pymatgen.core import Element

from matgen_core import data
from matgen_core.checks.physics.hull import phase_number
from matgen_core.materials.formulas import Formulas
from matgen_core.recipes.formation_references.data import HULL, STRUCTURES

KEPT_PER_FORMULA = 2


@dataclass(frozen=True, eq=False)
class Phases:
    """Compounds, P of them, as the model stores them, and how many were read."""

    places: NDArray[np.int8]  # (P, widest)
    counts: NDArray[np.uint8]
    energies: NDArray[np.float32]
    ids: NDArray[np.int32]
    n_read: int
    n_unreadable: int


def known_phases(elements: tuple[str, ...]) -> Phases:
    """Read the compounds of the hull of 2018, and those with stored structures that it lacks."""
    hull, stored = data.load(HULL).table, data.load(STRUCTURES).table
    columns = ["material_id", "formula", "formation_energy_per_atom"]
    others = stored[~stored["material_id"].isin(hull["material_id"])][columns]
    table = pd.concat([hull[columns], others]).dropna().reset_index(drop=True)
    return phases_of(table, elements)


def phases_of(table: pd.DataFrame, elements: tuple[str, ...]) -> Phases:
    """Make the table of compounds from material_id, formula, formation_energy_per_atom (eV/atom).

    Elements are left out, as are formulas that cannot be read or hold another element than `elements`; these are
    counted.
    """
    formulas, problems = Formulas.of_texts(table["formula"])
    place = np.full(256, -1, np.int8)
    place[[Element(symbol).Z for symbol in elements]] = np.arange(len(elements))
    places = place[formulas.numbers]
    foreign = ((formulas.numbers > 0) & (places < 0)).any(1) | (np.array(problems) != "")
    numbers = np.array([phase_number(each) for each in table["material_id"]], np.int32)
    rows = np.flatnonzero(~foreign & (formulas.n_elements > 1) & (numbers != 0))
    reduced = formulas.counts[rows].astype(np.int16)
    reduced //= np.gcd.reduce(reduced, axis=1)[:, None]
    energies = table["formation_energy_per_atom"].to_numpy(np.float32)[rows]
    keys = [(*a, *b) for a, b in zip(places[rows].tolist(), reduced.tolist(), strict=True)]
    seen: dict[tuple[int, ...], int] = {}
    kept = []
    for row in np.argsort(energies, kind="stable"):
        seen[keys[row]] = seen.get(keys[row], 0) + 1
        if seen[keys[row]] <= KEPT_PER_FORMULA:
            kept.append(row)
    chosen = np.sort(np.array(kept, np.int64))
    widest = int((places[rows[chosen]] >= 0).sum(1).max())
    return Phases(
        places[rows[chosen]][:, :widest],
        reduced[chosen][:, :widest].astype(np.uint8),
        energies[chosen],
        numbers[rows[chosen]],
        len(table),
        int(foreign.sum()),
    )
