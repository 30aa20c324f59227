"""Reference energies: what turns the energy that a potential gives into a formation energy, and the known phases.

A formation energy is E/N + sum of x_i s_i + sum of x_m u_m + sum of x_k b_k: a shift s of each element, u of each metal
with a Hubbard U where there is oxygen or fluorine, and b of each kind of bonded anion; x are shares of the atoms. The
anion and U corrections of the data are linear in the composition, so the shifts hold them too.

Reference for these: Wang et al., Sci. Rep. 11, 15496 (2021), doi:10.1038/s41598-021-94550-5
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class FormationReferencesConfig:
    """Sizes of the tables.

    Attributes:
        n_elements: Of the representation.
        potentials: Names, in the order of the rows of the shifts.
        bond_kinds: Names of the kinds of bonded anions.
        n_phases: Known compounds.
        widest: Elements of the compound that has the most.
    """

    n_elements: int
    potentials: tuple[str, ...]
    bond_kinds: tuple[str, ...]
    n_phases: int
    widest: int


class FormationReferences(nn.Module):
    """Tables; what is NaN in them was not known well enough to be fitted."""

    Config = FormationReferencesConfig
    shifts: Tensor
    oxidized_shifts: Tensor
    bond_shifts: Tensor
    element_energies: Tensor
    phase_elements: Tensor
    phase_counts: Tensor
    phase_energies: Tensor
    phase_ids: Tensor

    def __init__(self, config: FormationReferencesConfig) -> None:
        super().__init__()
        self.config = config
        n, width = len(config.potentials), (config.n_phases, config.widest)
        tables = {
            "shifts": torch.full((n, config.n_elements), torch.nan),  # eV/atom
            "oxidized_shifts": torch.zeros(n, config.n_elements),  # of metals in oxides and fluorides
            "bond_shifts": torch.full((n, len(config.bond_kinds)), torch.nan),
            "element_energies": torch.full((n, config.n_elements), torch.nan),  # of the element's ground state
            "phase_elements": torch.full(width, -1, dtype=torch.int8),  # places in the elements, -1 behind them
            "phase_counts": torch.zeros(width, dtype=torch.uint8),
            "phase_energies": torch.zeros(config.n_phases),  # formation energy, eV/atom
            "phase_ids": torch.zeros(config.n_phases, dtype=torch.int32),  # 123 is mp-123, -123 is mvc-123
        }
        for name, table in tables.items():
            self.register_buffer(name, table)

    def formation_energy(
        self, potential: str, energy: Tensor, fractions: Tensor, oxidized: Tensor, bonded: Tensor
    ) -> Tensor:
        """Return formation energies in eV/atom, (B,); NaN where an element has no shift.

        Args:
            potential: Whose energies these are.
            energy: (B,) in eV/atom.
            fractions: (B, n_elements), share of each element in the atoms.
            oxidized: (B,) whether a compound holds oxygen or fluorine.
            bonded: (B, n_bond_kinds), share of the atoms that are bonded to their like.

        Raises:
            ValueError: If nothing was fitted to the potential.
        """
        if potential not in self.config.potentials:
            raise ValueError(f"no references for {potential!r}; known: {', '.join(self.config.potentials)}")
        row = self.config.potentials.index(potential)
        shares = fractions.double()
        # an element that is absent has no say, whether it is known or not
        shifts = torch.where(shares > 0, shares * self.shifts[row].double(), 0.0).sum(1)
        pure = torch.where(shares > 0.999999, self.element_energies[row].double(), 0.0).sum(1)
        metals = (shares * self.oxidized_shifts[row].double()).sum(1) * oxidized
        of_bonds = torch.where(bonded > 0, bonded.double() * self.bond_shifts[row].double(), 0.0).sum(1)
        of_compound = energy.double() + shifts + metals + of_bonds
        return torch.where((shares > 0.999999).any(1), energy.double() - pure, of_compound)
