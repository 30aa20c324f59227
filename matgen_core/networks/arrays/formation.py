"""Known crystals with their formation energies, and what potentials say of them."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from matgen_core.networks.arrays import tensors
from matgen_core.networks.arrays.cells import Cells

FIT = "fit"  # the shifts are fitted to these
BONDED = "bonded"  # O-O or F-F bonds: the corrections of these are fitted to them
HELD_OUT = "held_out"  # of chemical systems that are not among those; every figure is of them
BONDED_HELD_OUT = "bonded_held_out"
ELEMENT = "element"  # of one element
MOLECULAR = "molecular"  # compounds that hold a molecule of H, N or Cl; nothing is fitted to them
ROLES = (FIT, BONDED, HELD_OUT, BONDED_HELD_OUT, ELEMENT, MOLECULAR)  # arrays store the place: keep the order


@dataclass(frozen=True, eq=False)
class FormationArrays(tensors.Stored):
    """Known crystals.

    Attributes:
        crystals: S of them.
        ids: One a crystal.
        formation_energy: (S,) in eV/atom, by the source of the data.
        role: (S,), place in `ROLES`.
    """

    crystals: Cells
    ids: tuple[str, ...]
    formation_energy: Tensor
    role: Tensor = field(metadata=tensors.stored_as(torch.int8))

    def rows(self, *roles: str) -> Tensor:
        """Return the places of the crystals with one of some roles."""
        wanted = torch.tensor([ROLES.index(role) for role in roles])
        return torch.isin(self.role, wanted).nonzero().squeeze(1)


@dataclass(frozen=True, eq=False)
class RelaxedArrays:
    """What became of crystals that were relaxed, in the order of the rows that were.

    Attributes:
        rows: (R,) places in the crystals.
        energy: (R,) eV/atom; NaN where there is none.
        start_energy: (R,) eV/atom, before.
        steps: (R,).
        outcome: (R,), place in `potentials.OUTCOMES`; -1 where the time was over before.
        cells: (R, 3, 3) in Å, after.
        frac_coords: (sites of these rows, 3), after.
    """

    rows: Tensor
    energy: Tensor
    start_energy: Tensor
    steps: Tensor
    outcome: Tensor
    cells: Tensor
    frac_coords: Tensor


@dataclass(frozen=True, eq=False)
class PotentialArrays(tensors.Stored):
    """What potentials say, by their names.

    Attributes:
        single: (S,) eV/atom of each crystal as it stands; NaN where the potential cannot say.
        relaxed: By potential and start, "7net-0/known" or "7net-0/distorted".
        seconds: What each took, by the same names and "7net-0/single": (seconds, evaluated or relaxed).
    """

    single: dict[str, Tensor]
    relaxed: dict[str, RelaxedArrays]
    seconds: dict[str, Tensor]
