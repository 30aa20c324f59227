"""The crystals of two elements: those that are known, and those made of all other binary compounds."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from pymatgen.core import Element, Structure

from matgen_core import data
from matgen_core.data.rows import structure
from matgen_core.networks.arrays.cells import Cells
from matgen_core.recipes.imatgen.substitution import MAX_EDGE, MAX_SITES, distinct, niggli, substituted

PARENTS = "mp_structures"


@dataclass(frozen=True, eq=False)
class Candidates:
    """Crystals before they are relaxed, the known ones first.

    Attributes:
        structures: In their Niggli cell.
        ids: Material ids of the known ones; of the others "sub-" and that of the parent, numbered where one parent
            made more than one.
        n_known: How many are known.
    """

    structures: list[Structure]
    ids: list[str]
    n_known: int

    @property
    def cells(self) -> Cells:
        """The same as potentials take them."""
        return Cells.of(
            ([site.specie.Z for site in each], each.lattice.matrix, each.frac_coords) for each in self.structures
        )


def candidates(elements: tuple[str, str], limit: int | None = None, seed: int = 0) -> Candidates:
    """Gather the known crystals of two elements that fit, and put the elements into all other binary compounds.

    Args:
        elements: Symbols.
        limit: Keep at most this many that are made, drawn at random.
        seed: Of the draw.

    Raises:
        ValueError: As `substituted`.
    """
    table = data.load(PARENTS).table.reset_index(drop=True)
    known = known_of(elements)
    made = substituted(table, elements)
    rows = np.arange(len(made.structures))
    if limit is not None:
        rows = np.sort(np.random.default_rng(seed).permutation(rows)[:limit])
    seen: dict[str, int] = {}
    names = []
    for row in rows:
        parent = made.parents[row]
        seen[parent] = seen.get(parent, 0) + 1
        names.append(f"sub-{parent}" if seen[parent] == 1 else f"sub-{parent}-{seen[parent]}")
    crystals = [structure_of for structure_of in known["structure"]] + [made.structures[row] for row in rows]
    return Candidates(crystals, [*known["material_id"], *names], len(known))


def known_of(elements: tuple[str, str]) -> pd.DataFrame:
    """Return the known compounds of two elements that fit the limits, with a column `structure` (Niggli cells).

    Of those that are alike the one with the least hull distance stays.
    """
    wanted = frozenset(Element(symbol).Z for symbol in elements)
    sources = [PARENTS, "mp_vo"] if set(elements) == {"V", "O"} else [PARENTS]
    tables = [data.load(name).table for name in sources]
    table = pd.concat(
        [each[[frozenset(int(z) for z in numbers) == wanted for numbers in each["numbers"]]] for each in tables],
        ignore_index=True,
    ).drop_duplicates("material_id")
    table = table[table["numbers"].map(len) <= MAX_SITES]
    table = table.sort_values("energy_above_hull", kind="stable").reset_index(drop=True)
    table["structure"] = [niggli(structure(row).get_primitive_structure()) for row in table.to_dict("records")]
    table = table[[max(each.lattice.abc) <= MAX_EDGE for each in table["structure"]]].reset_index(drop=True)
    return table.iloc[distinct(list(table["structure"]), 0.1)].reset_index(drop=True)
