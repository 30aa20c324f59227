"""Small arrays of each kind that networks learn from."""

import numpy as np
import torch
from pymatgen.core import Lattice, Structure

from matgen_core.networks.arrays.crystals import CrystalArrays, PairArrays, ReducedArrays
from matgen_core.networks.arrays.formulas import FormulaArrays, LabelledFormulas
from matgen_core.networks.arrays.graphs import PackedGraphs, pack
from matgen_core.networks.arrays.splits import TEST, THREE_PARTS, VAL
from matgen_core.representations import CrystalGraph
from matgen_core.representations.voxels.voxel_grid import element_codes

ELEMENTS = ("Li", "Na", "Ti", "O", "S", "F")  # of the crystals
GRAPHS = CrystalGraph(("Cl", "Na", "O"))
ENERGIES = torch.tensor([-1.013, -2.027, -3.519, -5.003, -7.011, -4.031])  # eV/atom of the elements
VOLUMES = torch.tensor([30.0, 22.0, 17.0, 12.0, 9.0, 14.0])  # Å^3/atom


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def crystal_arrays(n: int = 6) -> CrystalArrays:
    """CsCl-like and perovskite-like crystals in turn."""
    places = torch.tensor([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    species = torch.full((n, 5), -1)
    for i in range(n):
        species[i, :2] = torch.tensor([i % 3, 3 + i % 2])
        if i % 2:
            species[i, 2:] = 5
    return CrystalArrays(
        elements=ELEMENTS,
        families=("pair", "perovskite"),
        ids=tuple(f"crystal-{i}" for i in range(n)),
        codes=torch.from_numpy(element_codes(ELEMENTS)),
        frac_coords=places.expand(n, 5, 3) * (species >= 0).unsqueeze(-1),
        species=species,
        edge=torch.linspace(3.4, 4.6, n),
        formation_energy_per_atom=torch.tensor([-2.0, -0.5, float("nan")]).repeat(n)[:n],
        family=torch.arange(n) % 2,
        part=torch.tensor([0, 0, 0, 0, 1, 2]).repeat(n)[:n],
    )


def reduced_arrays(n: int = 6) -> ReducedArrays:
    """The same crystals in cells of any shape."""
    cubic = crystal_arrays(n)
    shape = torch.tensor([[1.0, 0.0, 0.0], [0.1, 1.05, 0.0], [0.0, 0.2, 1.3]])
    return ReducedArrays(
        elements=ELEMENTS,
        families=cubic.families,
        ids=cubic.ids,
        codes=cubic.codes,
        volumes=torch.tensor([12.0, 22.0, 15.0, 9.0, 22.0, 11.0]),
        frac_coords=cubic.frac_coords - cubic.frac_coords.round(),
        species=cubic.species,
        lattice=cubic.edge.view(-1, 1, 1) * shape,
        formation_energy_per_atom=cubic.formation_energy_per_atom,
        family=cubic.family,
        part=cubic.part,
    )


def pair_arrays(n: int = 6) -> PairArrays:
    """Two elements in cells of any shape, one to three atoms of the second."""
    places = torch.tensor([[0.0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.45, 0], [0.52, 0, 0.5]])
    species = torch.tensor([[0, 1, -1, -1], [0, 1, 1, -1], [0, 1, 1, 1]]).repeat(n, 1)[:n]
    shape = torch.tensor([[1.0, 0.0, 0.1], [0.1, 1.05, 0.15], [0.0, 0.0, 1.2]])
    return PairArrays(
        elements=("Ti", "O"),
        ids=tuple(f"crystal-{i}" for i in range(n)),
        frac_coords=places.expand(n, 4, 3) * (species >= 0).unsqueeze(-1),
        species=species,
        lattice=torch.linspace(3.6, 4.6, n).view(-1, 1, 1) * shape,
        formation_energy_per_atom=torch.linspace(-2.0, -1.0, n),
        energy_above_hull=torch.tensor([0.02, 0.4, float("nan")]).repeat(n)[:n],
        part=torch.tensor([0, 0, 0, 0, 1, 2]).repeat(n)[:n],
    )


def formula_arrays() -> FormulaArrays:
    """A1C2 and B1C3 of three elements, and one formula that is held out."""
    species = torch.tensor([[0, 2], [1, 2], [0, 1]], dtype=torch.int8).repeat(20, 1)
    counts = torch.tensor([[1, 2], [1, 3], [3, 3]], dtype=torch.int8).repeat(20, 1)
    return FormulaArrays(("A", "B", "C"), species, counts, torch.tensor([0, 0, 1], dtype=torch.int8).repeat(20))


def labelled_formulas(n: int = 400) -> LabelledFormulas:
    """Binary formulas whose formation energy is that of bonds between unlike elements, their energy exact."""
    species = torch.rand(n, 6, generator=torch.Generator().manual_seed(1)).argsort(1)[:, :2].to(torch.int8)
    counts = torch.randint(1, 5, (n, 2), generator=torch.Generator().manual_seed(2)).to(torch.int8)
    share = counts / counts.sum(1, keepdim=True)
    formation = -share.prod(1) * (species[:, 0] - species[:, 1]).abs()
    energy = formation + (share * ENERGIES[species.long()]).sum(1)
    volume = (share * VOLUMES[species.long()]).sum(1) + formation
    gap = (-formation).clamp(min=0)
    values = torch.stack([formation, volume, energy, gap], 1)
    values[::7, 0], values[3::7, 1:3] = torch.nan, torch.nan
    group = torch.arange(n).remainder(4).to(torch.int8)
    arrays = FormulaArrays(tuple("ABCDEF"), species, counts, (group >= 2).to(torch.int8))
    return LabelledFormulas(arrays, values.float(), group, torch.arange(n) % 10 == 0)


def cells(n: int) -> list[Structure]:
    """Two-atom cells of growing size: sodium with chlorine, or with oxygen every third time."""
    return [
        Structure(
            Lattice.from_parameters(3 + 0.05 * i, 3.1, 3.3, 85, 92, 95),
            ["Na", "O" if i % 3 else "Cl"],
            [[0, 0, 0], [0.5, 0.45, 0.5]],
        )
        for i in range(n)
    ]


def packed_graphs(n: int = 40) -> PackedGraphs:
    """Cells whose band gap is their distance from 4 Å and whose bulk modulus is its power of ten."""
    graphs = [GRAPHS.encode(structure) for structure in cells(n)]
    size = np.array([structure.lattice.a for structure in cells(n)])
    # Fortran order on purpose: a file must not depend on how an array lies in memory.
    values = np.asfortranarray(np.stack([np.abs(size - 4), 10 ** (size / 3)], 1).astype(np.float32))
    values[3] = np.nan
    sides = np.zeros((n, 1), np.uint8)
    sides[::5], sides[1::5] = THREE_PARTS.index(VAL), THREE_PARTS.index(TEST)
    facts = {"elements": GRAPHS.elements, "properties": ["band_gap", "bulk_modulus"], "splits": ["s"], "cutoff": 8.0}
    return pack(graphs, values, sides, facts)
