"""The crystals of two elements: those that are known, and those made of all other binary compounds."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Element, Lattice, Structure

from matgen_core import data
from matgen_core.checks.physics.above_hull import HullOf
from matgen_core.data.rows import structure
from matgen_core.networks.arrays.cells import Cells
from matgen_core.networks.arrays.crystals import PairArrays
from matgen_core.networks.arrays.splits import TEST, THREE_PARTS, TRAIN, VAL
from matgen_core.networks.potentials import OUTCOMES
from matgen_core.networks.potentials.remote import RelaxedCells, fingerprint
from matgen_core.recipes.imatgen.substitution import MAX_EDGE, MAX_SITES, distances, distinct, niggli, substituted
from matgen_core.representations.voxels.cell_and_basis import CellAndBasis

PARENTS = "mp_structures"
VALIDATION = 0.1  # of the crystals that are made
_NEAR = 0.6  # Å; crystals whose distances differ by more are not compared by the matcher


@dataclass(frozen=True, eq=False)
class Candidates:
    """Crystals before they are relaxed, the known ones first.

    Attributes:
        structures: In their Niggli cell.
        ids: Material ids of the known ones; of the others "sub-" and that of the parent, numbered where one parent
            made more than one.
        n_known: How many are known.
        parents: Elements of the known compound that each of the others was made of, by its id.
    """

    structures: list[Structure]
    ids: list[str]
    n_known: int
    parents: dict[str, frozenset[str]]

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
    elements_of = dict(zip(table["material_id"].astype(str), table["chemsys"], strict=True))
    parents = {
        name: frozenset(elements_of[made.parents[row]].split("-")) for name, row in zip(names, rows, strict=True)
    }
    crystals = [*known["structure"], *(made.structures[row] for row in rows)]
    return Candidates(crystals, [*known["material_id"], *names], len(known), parents)


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


def arrays_of(
    found: Candidates, relaxed: RelaxedCells, layout: CellAndBasis, seed: int
) -> tuple[PairArrays, Counter[str]]:
    """Put relaxed crystals that fit into arrays: a tenth of those made for validation, the known ones for the test.

    What relaxes into a known compound, or into what another one relaxed into, is left out.

    Args:
        found: What was relaxed.
        relaxed: What became of it.
        layout: How crystals are drawn.
        seed: Of the split.

    Returns:
        The arrays, and how many are left out, by the reason.

    Raises:
        ValueError: If `relaxed` is of other crystals.
    """
    if relaxed.given != fingerprint(found.cells):
        raise ValueError("the relaxed crystals are others than those that the data give; relax them anew")
    dropped: Counter[str] = Counter()
    rows: list[dict[str, Any]] = []
    hull = HullOf.installed()
    for place, (numbers, cell, frac_coords) in enumerate(relaxed.cells.sites()):
        if not relaxed.energy[place].isfinite():
            dropped[OUTCOMES[relaxed.outcome[place]] if relaxed.outcome[place] >= 0 else "not reached"] += 1
            continue
        crystal = crystal_of(numbers, cell, frac_coords)
        try:
            crystal = layout.standardize(crystal)
            layout.draw(crystal)
        except ValueError:
            dropped["does not fit"] += 1
            continue
        # The second potential is the better one; the first relaxed.
        energy = float(relaxed.second_energy[place])
        own = found.ids[place] if place < found.n_known else ""
        formation, distance = hull.of(crystal, relaxed.potentials[1], energy, own)
        rows.append(
            {"id": found.ids[place], "cell": crystal, "known": bool(own), "energy": formation, "hull": distance}
        )
    first = distinct([row["cell"] for row in rows], 0.1)
    dropped["relaxed into another"] = len(rows) - len(first)
    rows = [rows[place] for place in first]
    known = [row["cell"] for row in rows if row["known"]]
    kept = [row for row in rows if row["known"] or not _is_one_of(row["cell"], known)]
    dropped["relaxed into a known compound"] = len(rows) - len(kept)
    random = np.random.default_rng(seed).random(len(kept))
    part = [TEST if row["known"] else VAL if x < VALIDATION else TRAIN for row, x in zip(kept, random, strict=True)]
    n_sites = max(len(row["cell"]) for row in kept)
    frac_coords_, species = torch.zeros(len(kept), n_sites, 3), torch.full((len(kept), n_sites), -1)
    for i, row in enumerate(kept):
        frac_coords_[i, : len(row["cell"])] = torch.from_numpy(row["cell"].frac_coords)
        kinds = [layout.elements.index(site.specie.symbol) for site in row["cell"]]
        species[i, : len(kinds)] = torch.tensor(kinds)
    arrays = PairArrays(
        elements=layout.elements,
        ids=tuple(row["id"] for row in kept),
        frac_coords=frac_coords_,
        species=species,
        lattice=torch.from_numpy(np.stack([row["cell"].lattice.matrix for row in kept]).astype(np.float32)),
        formation_energy_per_atom=torch.tensor([row["energy"] for row in kept]),
        energy_above_hull=torch.tensor([row["hull"] for row in kept]),
        part=torch.tensor([THREE_PARTS.index(each) for each in part]),
    )
    return arrays, dropped


def structures(arrays: PairArrays) -> list[Structure]:
    """Return the crystals in the cell that the arrays hold."""
    return [
        Structure(
            lattice.numpy().astype(float),
            [arrays.elements[i] for i in species[species >= 0].tolist()],
            frac_coords[species >= 0].numpy().astype(float),
        )
        for frac_coords, species, lattice in zip(arrays.frac_coords, arrays.species, arrays.lattice, strict=True)
    ]


def crystal_of(numbers: NDArray[np.int64], cell: NDArray[np.float64], frac_coords: NDArray[np.float64]) -> Structure:
    """Return a crystal of its atomic numbers, cell and fractional coordinates."""
    return Structure(Lattice(cell), [Element.from_Z(int(z)) for z in numbers], frac_coords)


def _is_one_of(crystal: Structure, known: Sequence[Structure]) -> bool:
    same = [each for each in known if each.composition.reduced_formula == crystal.composition.reduced_formula]
    mark = distances(crystal)
    near = [each for each in same if len(each) == len(crystal) and np.abs(distances(each) - mark).max() < _NEAR]
    return any(StructureMatcher().fit(crystal, each) for each in near)
