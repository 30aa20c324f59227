"""The cubic crystals that the voxel recipes learn: three families of the Materials Project, and Perov-5."""

import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import reduce
from math import gcd
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from pymatgen.core import Element, Structure
from torch import Tensor

from matgen_core import data
from matgen_core.data import Dataset
from matgen_core.materials.cells import cubic_setting
from matgen_core.networks.arrays.crystals import CrystalArrays
from matgen_core.networks.arrays.splits import TEST, THREE_PARTS, TRAIN, VAL
from matgen_core.representations import VoxelGrid
from matgen_core.representations.voxels.voxel_grid import element_codes

SYSTEM = "Court 2020, iCSG3D"

FAMILIES = ("binary", "abx3", "heusler")
MAX_SITES = 80  # the largest conventional cell of the families
SPLIT = {TRAIN: 0.8, VAL: 0.1, TEST: 0.1}
LAYOUT = 3  # raised whenever the cell that `cubic_setting` returns or the file changes: kept arrays are made anew
FIRST_CUBIC = 195  # space groups 195 to 230 are cubic


def family(numbers: Iterable[int]) -> str | None:
    """Name the family of a primitive cubic cell: any binary, ABX3 in 5 sites, full and half Heusler in 4 and 3."""
    counts = sorted(Counter(int(z) for z in numbers).values())
    n_sites = sum(counts)
    ratio = tuple(count // reduce(gcd, counts) for count in counts)
    if len(counts) == 2:
        return "binary"
    if ratio == (1, 1, 3) and n_sites == 5:
        return "abx3"
    if (ratio, n_sites) in (((1, 1, 2), 4), ((1, 1, 1), 3)):
        return "heusler"
    return None


def cubic_families() -> dict[str, Dataset]:
    """Return the cubic families of the Materials Project with a column `family`, split by chemical system."""
    everything = data.load("mp_structures")
    table = everything.table[everything.table["space_group_number"] >= FIRST_CUBIC]
    table = table.assign(family=[family(numbers) for numbers in table["numbers"]])
    return replace(everything, table=table[table["family"].notna()]).split(SPLIT, seed=0)


def perov5() -> dict[str, Dataset]:
    """Return Perov-5 with its published split."""
    everything = data.load("perov5")
    table = everything.table.assign(
        family="perov5", formation_energy_per_atom=everything.table["heat_of_formation_per_atom"]
    )
    return {
        part: replace(everything, name=f"perov5/{part}", table=table[table["split"] == part].drop(columns="split"))
        for part in THREE_PARTS
    }


def prepare(
    parts: dict[str, Dataset], conventional: bool, report: Callable[[str], None] = lambda line: None
) -> CrystalArrays:
    """Put every crystal into its standard cubic cell, and all of them into arrays.

    Args:
        parts: Data sets with a column `family`, one for each of `THREE_PARTS`.
        conventional: Find conventional cells by symmetry; otherwise cells are cubic as they are.
        report: Gets a line now and then.

    Raises:
        ValueError: If a crystal has no cubic cell, or more than MAX_SITES sites; the line names it.
    """
    rows: list[dict[str, Any]] = []
    for part, dataset in parts.items():
        for i, row in enumerate(dataset.table.to_dict("records")):
            try:
                rows.append(_standard(row, conventional) | {"part": THREE_PARTS.index(part)})
            except ValueError as error:
                raise ValueError(f"{dataset.name}, {row['material_id']}: {error}") from error
            if (i + 1) % 1000 == 0:
                report(f"{dataset.name}: {i + 1:,} of {len(dataset):,} crystals in their cubic cell")
    present = {int(z) for row in rows for z in row["numbers"]}
    elements = tuple(Element.from_Z(z).symbol for z in sorted(present, key=lambda z: Element.from_Z(z).mendeleev_no))
    place = {Element(symbol).Z: i for i, symbol in enumerate(elements)}
    families = tuple(dict.fromkeys(row["family"] for row in rows))
    n_sites = max(len(row["numbers"]) for row in rows)
    frac_coords = torch.zeros(len(rows), n_sites, 3)
    species = torch.full((len(rows), n_sites), -1)
    for i, row in enumerate(rows):
        frac_coords[i, : len(row["numbers"])] = torch.from_numpy(row["frac_coords"])
        species[i, : len(row["numbers"])] = torch.tensor([place[z] for z in row["numbers"]])
    table = pd.DataFrame(rows)
    return CrystalArrays(
        elements=elements,
        families=families,
        ids=tuple(table["id"].astype(str)),
        codes=torch.from_numpy(element_codes(elements)),
        frac_coords=frac_coords,
        species=species,
        edge=_tensor(table["edge"]),
        formation_energy_per_atom=_tensor(table["energy"]),
        family=torch.tensor([families.index(name) for name in table["family"]]),
        part=torch.tensor(table["part"].to_numpy()),
    )


def representation(arrays: CrystalArrays, conventional: bool, grid: int, width: float) -> VoxelGrid:
    """Return the array layout of the networks that are trained on these crystals."""
    return VoxelGrid(
        elements=arrays.elements,
        codes=arrays.codes.cpu().numpy(),
        heights=np.ones(len(arrays.elements), np.float32),
        grid=(grid, grid, grid),
        width=width,
        max_sites=int(arrays.species.shape[1]),
        setting="cubic" if conventional else "cubic_cell",
    )


def structures(arrays: CrystalArrays) -> list[Structure]:
    """Return the crystals in the cell that the arrays hold."""
    return [
        Structure(
            np.eye(3) * float(edge),
            [arrays.elements[i] for i in species[species >= 0].tolist()],
            frac_coords[species >= 0].numpy().astype(float),
        )
        for frac_coords, species, edge in zip(arrays.frac_coords, arrays.species, arrays.edge, strict=True)
    ]


def load_or_prepare(name: str, folder: Path, report: Callable[[str], None] = lambda line: None) -> CrystalArrays:
    """Read the arrays of "cubic" or "perov5" from `folder`, or make them and keep them there.

    The file's name holds the hash of the data set and the number of the layout, so that other data and another
    standard cell never meet old arrays.
    """
    parts = {"cubic": cubic_families, "perov5": perov5}[name]()
    path = folder / f"{name}-{parts['train'].sha256[:12]}-{LAYOUT}.safetensors"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        prepare(parts, conventional=name == "cubic", report=report).save(path)
    return CrystalArrays.load(path)


def _standard(row: dict[str, Any], conventional: bool) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pymatgen repeats at each crystal that it rounds thirds
        cell = cubic_setting(data.structure(row), conventional)
    if len(cell) > MAX_SITES:
        raise ValueError(f"{len(cell)} sites in the cubic cell; these recipes hold at most {MAX_SITES}")
    return {
        "id": row["material_id"],
        "family": row["family"],
        "numbers": [int(z) for z in cell.atomic_numbers],
        "frac_coords": cell.frac_coords.astype(np.float32),
        "edge": cell.lattice.a,
        "energy": row["formation_energy_per_atom"],
    }


def _tensor(column: "pd.Series[Any]") -> Tensor:
    return torch.from_numpy(column.to_numpy(np.float32, na_value=np.nan))
