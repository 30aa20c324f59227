"""The crystals of any symmetry that the voxel VAE learns: all of the Materials Project that fit its box."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from pymatgen.core import Element, Structure
from torch import Tensor

from matgen_core import data
from matgen_core.data import Dataset
from matgen_core.networks.arrays.crystals import ReducedArrays
from matgen_core.networks.arrays.splits import TEST, THREE_PARTS, TRAIN, VAL
from matgen_core.representations import VoxelGrid
from matgen_core.representations.voxels.voxel_grid import element_codes

SPLIT = {TRAIN: 0.8, VAL: 0.1, TEST: 0.1}
GRID, WIDTH = (16, 16, 24), 0.8  # points, and steps: the third edge of a reduced cell is the longest
MAX_SITES = 20
MAX_EDGES = (9.6, 9.6, 14.4)  # Å: steps of 0.6 Å at most, so that sites 1 Å apart are two
LAYOUT = 1  # raised whenever the cell that `reduced_setting` returns or the file changes: kept arrays are made anew
# The first space group of each crystal system.
SYSTEMS = {
    "triclinic": 1,
    "monoclinic": 3,
    "orthorhombic": 16,
    "tetragonal": 75,
    "trigonal": 143,
    "hexagonal": 168,
    "cubic": 195,
}


def crystals() -> dict[str, Dataset]:
    """Return all structures of the Materials Project that there are, split by chemical system."""
    return data.load("mp_structures").split(SPLIT, seed=0)


def crystal_system(space_group: int) -> str:
    """Name the crystal system of a space group, 1 to 230."""
    return [name for name, first in SYSTEMS.items() if space_group >= first][-1]


def layout(elements: tuple[str, ...], as_given: bool = False) -> VoxelGrid:
    """Return how the crystals are drawn, from any cell or from the reduced one."""
    return VoxelGrid(
        elements=elements,
        codes=element_codes(elements),
        heights=np.ones(len(elements), np.float32),
        grid=GRID,
        width=WIDTH,
        unit="step",
        max_sites=MAX_SITES,
        setting="as_given" if as_given else "reduced",
        max_edges=MAX_EDGES,
    )


def prepare(parts: dict[str, Dataset], report: Callable[[str], None] = lambda line: None) -> ReducedArrays:
    """Put every crystal that fits into its reduced cell, and all of them into arrays.

    Args:
        parts: Data sets, one for each of `THREE_PARTS`.
        report: Gets a line now and then, and how many do not fit, by the reason.
    """
    present = {int(z) for dataset in parts.values() for numbers in dataset.table["numbers"] for z in set(numbers)}
    elements = tuple(Element.from_Z(z).symbol for z in sorted(present, key=lambda z: Element.from_Z(z).mendeleev_no))
    drawn = layout(elements)
    rows: list[dict[str, Any]] = []
    for part, dataset in parts.items():
        n_before = len(rows)
        for i, row in enumerate(dataset.table.to_dict("records")):
            try:
                rows.append(_standard(row, drawn) | {"part": THREE_PARTS.index(part)})
            except ValueError:
                continue
            finally:
                if (i + 1) % 5000 == 0:
                    report(f"{dataset.name}: {i + 1:,} of {len(dataset):,} crystals in their reduced cell")
        report(f"{dataset.name}: {len(rows) - n_before:,} of {len(dataset):,} crystals fit")
    place = {symbol: i for i, symbol in enumerate(elements)}
    families = tuple(SYSTEMS)
    n_sites = max(len(row["cell"]) for row in rows)
    frac_coords = torch.zeros(len(rows), n_sites, 3)
    species = torch.full((len(rows), n_sites), -1)
    for i, row in enumerate(rows):
        cell = row["cell"]
        frac_coords[i, : len(cell)] = torch.from_numpy(cell.frac_coords - cell.frac_coords.round())
        species[i, : len(cell)] = torch.tensor([place[site.specie.symbol] for site in cell])
    lattice = torch.from_numpy(np.stack([row["cell"].lattice.matrix for row in rows]).astype(np.float32))
    table = pd.DataFrame([{key: value for key, value in row.items() if key != "cell"} for row in rows])
    part_of = torch.tensor(table["part"].to_numpy())
    learned = part_of == THREE_PARTS.index(TRAIN)
    return ReducedArrays(
        elements=elements,
        families=families,
        ids=tuple(table["id"].astype(str)),
        codes=torch.from_numpy(element_codes(elements)),
        volumes=volumes(species[learned], lattice[learned], len(elements)),
        frac_coords=frac_coords,
        species=species,
        lattice=lattice,
        formation_energy_per_atom=torch.from_numpy(table["energy"].to_numpy(np.float32, na_value=np.nan)),
        family=torch.tensor([families.index(name) for name in table["family"]]),
        part=part_of,
    )


def volumes(species: Tensor, lattice: Tensor, n_elements: int, least: float = 4.0) -> Tensor:
    """Volume of an atom of each element in Å^3, (n_elements,): least squares over crystals, in relative errors.

    Args:
        species: (N, n), -1 for padding.
        lattice: (N, 3, 3) in Å.
        n_elements: Elements that no crystal has take the mean.
        least: No element takes less; some hydrides would give hydrogen nothing.
    """
    counts = torch.zeros(len(species), n_elements + 1, dtype=torch.float64)
    counts.scatter_add_(1, torch.where(species < 0, n_elements, species), torch.ones(species.shape).double())
    counts = counts[:, :n_elements]
    volume = torch.linalg.det(lattice.double()).abs()
    share = counts / volume.unsqueeze(1)
    mean = float((volume / counts.sum(1)).mean())
    # A weak pull to the mean, for elements of few crystals or none.
    ridge = 1e-2 / mean**2 * torch.eye(n_elements, dtype=torch.float64)
    right = (share.sum(0) + ridge.diagonal() * mean).unsqueeze(1)
    return torch.linalg.solve(share.T @ share + ridge, right)[:, 0].clamp(min=least).float()


def structures(arrays: ReducedArrays) -> list[Structure]:
    """Return the crystals in the cell that the arrays hold."""
    return [
        Structure(
            lattice.numpy().astype(float),
            [arrays.elements[i] for i in species[species >= 0].tolist()],
            frac_coords[species >= 0].numpy().astype(float),
        )
        for frac_coords, species, lattice in zip(arrays.frac_coords, arrays.species, arrays.lattice, strict=True)
    ]


def load_or_prepare(folder: Path, report: Callable[[str], None] = lambda line: None) -> ReducedArrays:
    """Read the arrays from `folder`, or make them and keep them there: three minutes.

    The file's name holds the hash of the data set and the number of the layout, so that other data and another
    standard cell never meet old arrays.
    """
    parts = crystals()
    path = folder / f"reduced-{parts[TRAIN].sha256[:12]}-{LAYOUT}.safetensors"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        prepare(parts, report).save(path)
    return ReducedArrays.load(path)


def _standard(row: dict[str, Any], drawn: VoxelGrid) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cell = drawn.standardize(data.structure(row))
    return {
        "id": row["material_id"],
        "family": crystal_system(int(row["space_group_number"])),
        "cell": cell,
        "energy": row["formation_energy_per_atom"],
    }
