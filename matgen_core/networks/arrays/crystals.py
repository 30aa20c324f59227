"""Crystals as padded arrays: cubic ones, and those of any symmetry in their reduced cell."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from matgen_core.networks.arrays import tensors
from matgen_core.networks.arrays.splits import OTHER, PAIR_PARTS, THREE_PARTS

_SMALL = tensors.stored_as(torch.int8)


@dataclass(frozen=True, eq=False)
class CrystalArrays(tensors.Stored):
    """Cubic crystals in their standard cell, padded to the largest number of sites.

    Attributes:
        elements: Symbols, alike elements side by side (sorted by Mendeleev number).
        families: Names of the families.
        ids: One a crystal.
        codes: (n_elements, n_codes).
        frac_coords: (N, n, 3).
        species: (N, n), place in `elements`; -1 for padding.
        edge: (N,) in Å.
        formation_energy_per_atom: (N,) in eV/atom, NaN where it is not known.
        family: (N,), place in `families`.
        part: (N,), place in `THREE_PARTS`.
    """

    elements: tuple[str, ...]
    families: tuple[str, ...]
    ids: tuple[str, ...]
    codes: Tensor
    frac_coords: Tensor
    species: Tensor = field(metadata=_SMALL)
    edge: Tensor
    formation_energy_per_atom: Tensor
    family: Tensor = field(metadata=_SMALL)
    part: Tensor = field(metadata=_SMALL)

    def __len__(self) -> int:
        return len(self.edge)

    def select(self, rows: Tensor) -> "CrystalArrays":
        """Return the crystals of some rows (numbers or a mask), in their order."""
        return tensors.select(self, rows, shared=("elements", "families", "codes"))

    def of_part(self, part: str) -> "CrystalArrays":
        """Return the crystals of "train", "val" or "test"."""
        return self.select(self.part == THREE_PARTS.index(part))


@dataclass(frozen=True, eq=False)
class ReducedArrays(tensors.Stored):
    """Crystals of any symmetry in their reduced cell, padded to the largest number of sites.

    Attributes:
        elements: Symbols, alike elements side by side (sorted by Mendeleev number).
        families: Names of the crystal systems.
        ids: One a crystal.
        codes: (n_elements, n_codes).
        volumes: (n_elements,), what an atom of each takes in Å^3 in the training crystals.
        frac_coords: (N, n, 3), from -0.5 to 0.5; the file has them to 2 mÅ.
        species: (N, n), place in `elements`; -1 for padding.
        lattice: (N, 3, 3), rows are the vectors in Å.
        formation_energy_per_atom: (N,) in eV/atom, NaN where it is not known.
        family: (N,), place in `families`.
        part: (N,), place in `THREE_PARTS`.
    """

    elements: tuple[str, ...]
    families: tuple[str, ...]
    ids: tuple[str, ...]
    codes: Tensor
    volumes: Tensor
    frac_coords: Tensor = field(metadata=tensors.stored_as(torch.float16, torch.float32))
    species: Tensor = field(metadata=_SMALL)
    lattice: Tensor
    formation_energy_per_atom: Tensor
    family: Tensor = field(metadata=_SMALL)
    part: Tensor = field(metadata=_SMALL)

    def __len__(self) -> int:
        return len(self.lattice)

    def select(self, rows: Tensor) -> "ReducedArrays":
        """Return the crystals of some rows (numbers or a mask), in their order."""
        return tensors.select(self, rows, shared=("elements", "families", "codes", "volumes"))

    def of_part(self, part: str) -> "ReducedArrays":
        """Return the crystals of "train", "val" or "test"."""
        return self.select(self.part == THREE_PARTS.index(part))


@dataclass(frozen=True, eq=False)
class PairArrays(tensors.Stored):
    """Crystals of a few elements in their reduced cell, padded to the largest number of sites.

    Attributes:
        elements: Symbols.
        ids: One a crystal.
        frac_coords: (N, n, 3).
        species: (N, n), place in `elements`; -1 for padding.
        lattice: (N, 3, 3), rows are the vectors in Å.
        formation_energy_per_atom: (N,) in eV/atom, NaN where it is not known.
        energy_above_hull: (N,) in eV/atom, likewise.
        part: (N,), place in `PAIR_PARTS`; "test" are the known compounds, which are not learned from, "other" are
            crystals of any elements that are drawn as if they were of these, whose energies are not known.
    """

    elements: tuple[str, ...]
    ids: tuple[str, ...]
    frac_coords: Tensor
    species: Tensor = field(metadata=_SMALL)
    lattice: Tensor
    formation_energy_per_atom: Tensor
    energy_above_hull: Tensor
    part: Tensor = field(metadata=_SMALL)

    def __len__(self) -> int:
        return len(self.lattice)

    def select(self, rows: Tensor) -> "PairArrays":
        """Return the crystals of some rows (numbers or a mask), in their order."""
        return tensors.select(self, rows, shared=("elements",))

    def of_part(self, part: str) -> "PairArrays":
        """Return the crystals of "train", "val", "test" or "other"."""
        return self.select(self.part == PAIR_PARTS.index(part))

    def of_the_pair(self) -> "PairArrays":
        """Return all crystals but the others."""
        return self.select(self.part != PAIR_PARTS.index(OTHER))
