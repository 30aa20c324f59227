"""Bonds of O, H, N, F and Cl with their like, which the shifts of the elements get wrong: these are those of compounds.

The shift of O is that of oxides. The data put a compound with an O-O bond into a class by its shortest one, and correct
all of its oxygen by the class (Wang et al., Sci. Rep. 11, 15496 (2021), doi:10.1038/s41598-021-94550-5); so do we, or
an O2 molecule in a cell would look like an oxide. For molecules of the other gases in a compound the data have no
class: their bonded atoms alone are counted, and brought back to the energy of the element. Bonds of Br, I, S and of
all heavier elements need nothing: there element and compound have the same shift.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from matgen_core.networks.arrays.cells import Cells
from matgen_core.networks.potentials.neighbors import Neighbors, neighbors


@dataclass(frozen=True)
class Molecule:
    """How two atoms of an element are known for a molecule of it.

    Attributes:
        kind: Its name.
        number: Atomic number.
        bond: Å; they are nearer than that.
        alone: Å; no other atom is nearer to one of them than that.
    """

    kind: str
    number: int
    bond: float
    alone: float


# H2 has 0.74 Å, N2 1.11, F2 1.42, Cl2 1.99; an azide has 1.18, a trichloride 2.3. What is bonded to a third atom, as in
# N2O or at the end of an azide, is no molecule. Between two F atoms there is no other bond.
MOLECULES = (
    Molecule("hydrogen", 1, 0.80, 1.2),
    Molecule("nitrogen", 7, 1.15, 1.6),
    Molecule("fluorine", 9, 1.70, 0.0),
    Molecule("chlorine", 17, 2.10, 2.4),
)
BOND_KINDS = ("ozonide", "superoxide", "peroxide", *(each.kind for each in MOLECULES))
_HYDROGEN, _OXYGEN, _FLUORINE = 1, 8, 9
# Å; bonds of superoxides (1.35), peroxides (1.49) and hydroxides (0.93) and a tenth more, as the data take them
_SUPEROXIDE, _PEROXIDE, _HYDROXIDE = 1.485, 1.639, 1.023
_BESIDE_HYDROXIDE = 1.40  # between a superoxide and hydrogen peroxide (1.46)
_CONTACT = 1.65  # whatever the class
_LONGEST = max(_PEROXIDE, _CONTACT, *(max(each.bond, each.alone) for each in MOLECULES))


def corrected_atoms(crystals: Cells) -> Tensor:
    """Count the atoms that each of `BOND_KINDS` corrects, (S, n_bond_kinds) int64; of oxygen it is all or none.

    Args:
        crystals: On the CPU, with cells of a volume.
    """
    pairs = neighbors(crystals, _LONGEST)
    hydroxide = _any(crystals, _degrees(crystals, pairs, _OXYGEN, _HYDROGEN, _HYDROXIDE) > 0)
    # The data take what has an O-H bond for a hydroxide, hydrogen peroxide too. An O2 molecule beside an O-H bond is
    # corrected all the same: it must not pay to generate one.
    within = torch.where(hydroxide, _BESIDE_HYDROXIDE, _SUPEROXIDE)[crystals.owners][pairs.sources]
    close = _degrees(crystals, pairs, _OXYGEN, _OXYGEN, within)
    superoxide, ozonide = _any(crystals, close > 0), _any(crystals, close > 1)
    near = _any(crystals, _degrees(crystals, pairs, _OXYGEN, _OXYGEN, _PEROXIDE) > 0)
    classes = torch.stack([ozonide, superoxide & ~ozonide, near & ~superoxide & ~hydroxide], 1)
    n_oxygen = _of_crystals(crystals, crystals.numbers == _OXYGEN)
    molecular = [_of_crystals(crystals, _in_molecule(crystals, pairs, each)) for each in MOLECULES]
    return torch.cat([classes * n_oxygen[:, None], torch.stack(molecular, 1)], 1)


def _in_molecule(crystals: Cells, pairs: Neighbors, molecule: Molecule) -> Tensor:
    """Tell which sites are one of two atoms that are a molecule, (n_sites,)."""
    numbers, lengths = crystals.numbers, pairs.vectors.norm(dim=1)
    n_near = torch.zeros(len(numbers), dtype=torch.int64)
    near = lengths < molecule.alone
    n_near.index_add_(0, pairs.sources[near], near[near].long())
    of_it = (numbers[pairs.sources] == molecule.number) & (numbers[pairs.targets] == molecule.number)
    bonded = of_it & (lengths < molecule.bond)
    if molecule.alone:
        bonded &= (n_near[pairs.sources] == 1) & (n_near[pairs.targets] == 1)
    found = torch.zeros(len(numbers), dtype=torch.bool)
    found[pairs.sources[bonded]] = True
    return found


def anion_contacts(crystals: Cells) -> Tensor:
    """Tell which crystals have two O or two F atoms as near as in a bond, (S,)."""
    pairs = neighbors(crystals, _LONGEST)
    oxygen = _degrees(crystals, pairs, _OXYGEN, _OXYGEN, _CONTACT)
    fluorine = next(each for each in MOLECULES if each.number == _FLUORINE)
    return _any(crystals, (oxygen > 0) | _in_molecule(crystals, pairs, fluorine))


def molecules(crystals: Cells) -> Tensor:
    """Tell which crystals hold a molecule of `MOLECULES`, (S,)."""
    pairs = neighbors(crystals, _LONGEST)
    return _any(crystals, torch.stack([_in_molecule(crystals, pairs, each) for each in MOLECULES]).any(0))


def _degrees(crystals: Cells, pairs: Neighbors, of: int, to: int, within: float | Tensor) -> Tensor:
    """Count the neighbors of one element that each site of another has within a distance, (n_sites,)."""
    numbers = crystals.numbers
    chosen = (numbers[pairs.sources] == of) & (numbers[pairs.targets] == to) & (pairs.vectors.norm(dim=1) < within)
    return torch.zeros(len(numbers), dtype=torch.int64).index_add_(0, pairs.sources[chosen], chosen[chosen].long())


def _of_crystals(crystals: Cells, of_sites: Tensor) -> Tensor:
    return torch.zeros(len(crystals), dtype=torch.int64).index_add_(0, crystals.owners, of_sites.long())


def _any(crystals: Cells, of_sites: Tensor) -> Tensor:
    return _of_crystals(crystals, of_sites) > 0
