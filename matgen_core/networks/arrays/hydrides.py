"""Binary and ternary hydrides as sites of three kinds: hydrogen, a first metal, a second metal."""

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from matgen_core.networks.arrays import tensors
from matgen_core.networks.arrays.splits import THREE_PARTS

HYDROGEN, FIRST, SECOND = 0, 1, 2  # the kinds
BINARY, FRAMEWORK, TERNARY = 0, 1, 2  # the roles: a framework is a supercell of a binary that has metal atoms to spare

_SMALL = tensors.stored_as(torch.int8)


@dataclass(frozen=True, eq=False)
class Sites:
    """B crystals of hydrogen and one or two metals, padded.

    Attributes:
        frac_coords: (B, n, 3).
        kinds: (B, n, 3), share that a site is of each kind; 0 in all for padding.
        lattice: (B, 3, 3), rows are the vectors in Å.
    """

    frac_coords: Tensor
    kinds: Tensor
    lattice: Tensor

    def __len__(self) -> int:
        return len(self.lattice)

    @property
    def there(self) -> Tensor:
        """Which sites are no padding, (B, n)."""
        return self.kinds.detach().sum(-1) > 0.5

    @property
    def metal(self) -> Tensor:
        """Which sites hold a metal, (B, n)."""
        return self.kinds.detach()[..., FIRST:].sum(-1) > 0.5

    def strained(self, strain: Tensor) -> "Sites":
        """Return the crystals with cells that a symmetric strain (B, 3, 3) has changed, its exponential times each."""
        return replace(self, lattice=self.lattice @ torch.linalg.matrix_exp(strain))

    def moved(self, steps: Tensor) -> "Sites":
        """Return the crystals with each site moved by a step in Å, (B, n, 3)."""
        return replace(self, frac_coords=self.frac_coords + steps @ torch.linalg.inv(self.lattice))

    def exchanged(self) -> "Sites":
        """Return the crystals with the two metals in each other's places."""
        return replace(self, kinds=self.kinds[..., [HYDROGEN, SECOND, FIRST]])

    def select(self, rows: Tensor) -> "Sites":
        """Return the crystals of some rows."""
        return Sites(self.frac_coords[rows], self.kinds[rows], self.lattice[rows])


@dataclass(frozen=True, eq=False)
class HydrideArrays(tensors.Stored):
    """Known hydrides, supercells of the binary ones, and what is known of the elements.

    Attributes:
        metals: Symbols; place 0 of all tables is hydrogen, the metals follow.
        ids: One a crystal, of a supercell that of its binary.
        properties: (1 + n_metals, n_properties), standardized.
        radii: (1 + n_metals,) in Å.
        volumes: (1 + n_metals,) of an atom in Å^3.
        alike: (1 + n_metals, 1 + n_metals), 1 where a metal may stand in the place of another.
        forbidden: (n_pairs, 2), pairs of metals that no ternary crystal is made of while learning.
        frac_coords: (N, n, 3).
        species: (N, n), place in the tables; -1 for padding.
        lattice: (N, 3, 3), rows are the vectors in Å.
        role: (N,), BINARY, FRAMEWORK or TERNARY.
        home: (n_sources,), rows that latent points start from.
        part: (N,), place in `THREE_PARTS`.
    """

    metals: tuple[str, ...]
    ids: tuple[str, ...]
    properties: Tensor
    radii: Tensor
    volumes: Tensor
    alike: Tensor = field(metadata=_SMALL)
    forbidden: Tensor
    frac_coords: Tensor
    species: Tensor = field(metadata=_SMALL)
    lattice: Tensor
    role: Tensor = field(metadata=_SMALL)
    home: Tensor
    part: Tensor = field(metadata=_SMALL)

    def __len__(self) -> int:
        return len(self.lattice)

    def rows(self, role: int, part: str) -> Tensor:
        """Places of the crystals of a role in a part."""
        return ((self.role == role) & (self.part == THREE_PARTS.index(part))).nonzero().squeeze(1)

    def own_metals(self) -> Tensor:
        """Places of the metals of each crystal, those of a ternary in the order of the tables, (N, 2); 0 for none."""
        n_elements = len(self.metals) + 1
        held = torch.nn.functional.one_hot(self.species.clamp(min=0), n_elements).amax(1)
        held[:, 0] = 0
        first = held.argmax(1)
        held.scatter_(1, first.unsqueeze(1), 0)
        return torch.stack([first, held.argmax(1)], 1)

    def with_metals(self, rows: Tensor, metals: Tensor, own: Tensor) -> Sites:
        """Put other metals into crystals and scale their cells by the volumes of the atoms.

        Args:
            rows: (B,), places of crystals.
            metals: (B, 2), what takes the places of their two metals; of a binary the second is not read.
            own: (B, 2), their own.
        """
        species, lattice = self.species[rows], self.lattice[rows]
        kinds = torch.stack([species == 0, species == own[:, :1], (species == own[:, 1:]) & (own[:, 1:] > 0)], -1).to(
            lattice.dtype
        )
        before = (self.volumes[species.clamp(min=0)] * (species >= 0)).sum(1)
        places = torch.cat([torch.zeros_like(metals[:, :1]), metals], 1)
        after = (kinds.sum(1) * self.volumes[places]).sum(1)
        scale = (after / before).pow(1 / 3).view(-1, 1, 1)
        return Sites(self.frac_coords[rows], kinds, lattice * scale)


@dataclass(frozen=True, eq=False)
class Pairs:
    """A batch of the game: what is translated, and real crystals of the same metals beside it.

    Attributes:
        source: Supercells of hydrides of the first metal.
        metals: (B, 2), places of the metals in the tables.
        n_second: (B,), how many metal atoms become the second's.
        binary: Real hydrides of the second metal; the metal stands as the first kind.
        ternary: Real hydrides of both.
    """

    source: Sites
    metals: Tensor
    n_second: Tensor
    binary: Sites
    ternary: Sites
