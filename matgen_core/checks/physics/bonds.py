"""Bonds between anions, which the shifts of the elements get wrong: the shift of O is that of oxides.

The data put a compound with an O-O bond into a class by its shortest one, and correct all of its oxygen by the class
(Wang et al., Sci. Rep. 11, 15496 (2021), doi:10.1038/s41598-021-94550-5); so do we, or an O2 molecule in a cell would
look like an oxide. Of fluorine the bonded atoms alone are counted: for F2 in a compound the data have no class.
"""

import torch
from torch import Tensor

from matgen_core.networks.arrays.cells import Cells
from matgen_core.networks.potentials.neighbors import Neighbors, neighbors

BOND_KINDS = ("ozonide", "superoxide", "peroxide", "fluorine")
_HYDROGEN, _OXYGEN, _FLUORINE = 1, 8, 9
# Å; bonds of superoxides (1.35), peroxides (1.49) and hydroxides (0.93) and a tenth more, as the data take them
_SUPEROXIDE, _PEROXIDE, _HYDROXIDE = 1.485, 1.639, 1.023
_DIFLUORINE = 1.70  # F2 has 1.42 Å
_BESIDE_HYDROXIDE = 1.40  # between a superoxide and hydrogen peroxide (1.46)
_CONTACT = 1.65  # whatever the class
_LONGEST = _DIFLUORINE


def corrected_atoms(crystals: Cells) -> Tensor:
    """Count the atoms that each of `BOND_KINDS` corrects, (S, 4) int64; of oxygen it is all or none.

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
    n_fluorine = _of_crystals(crystals, _degrees(crystals, pairs, _FLUORINE, _FLUORINE, _DIFLUORINE) > 0)
    return torch.cat([classes * n_oxygen[:, None], n_fluorine[:, None]], 1)


def anion_contacts(crystals: Cells) -> Tensor:
    """Tell which crystals have two O or two F atoms as near as in a bond, (S,)."""
    pairs = neighbors(crystals, _LONGEST)
    oxygen = _degrees(crystals, pairs, _OXYGEN, _OXYGEN, _CONTACT)
    fluorine = _degrees(crystals, pairs, _FLUORINE, _FLUORINE, _DIFLUORINE)
    return _any(crystals, oxygen + fluorine > 0)


def _degrees(crystals: Cells, pairs: Neighbors, of: int, to: int, within: float | Tensor) -> Tensor:
    """Count the neighbors of one element that each site of another has within a distance, (n_sites,)."""
    numbers = crystals.numbers
    chosen = (numbers[pairs.sources] == of) & (numbers[pairs.targets] == to) & (pairs.vectors.norm(dim=1) < within)
    return torch.zeros(len(numbers), dtype=torch.int64).index_add_(0, pairs.sources[chosen], chosen[chosen].long())


def _of_crystals(crystals: Cells, of_sites: Tensor) -> Tensor:
    return torch.zeros(len(crystals), dtype=torch.int64).index_add_(0, crystals.owners, of_sites.long())


def _any(crystals: Cells, of_sites: Tensor) -> Tensor:
    return _of_crystals(crystals, of_sites) > 0
