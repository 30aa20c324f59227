"""A potential that anyone can follow, in place of a network: pairs of atoms with a least energy at one distance."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from matgen_core.networks.arrays.cells import Cells, distorted
from matgen_core.networks.arrays.formation import ROLES, FormationArrays
from matgen_core.networks.potentials import Evaluation
from matgen_core.networks.potentials.neighbors import neighbors

ROCKSALT = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2


class Pairs:
    """Every pair within the cutoff has the energy depth * ((1 - exp(a (r0 - r)))^2 - 1), cut off smoothly (Morse)."""

    def __init__(self, edges_at_once: int = 100_000, broken: int = -1, each_atom: float = 0.0) -> None:
        """Take the number of pairs in a batch, an element whose crystals have no finite energy, and eV of each atom."""
        self.name, self.device, self.cutoff = "pairs", torch.device("cpu"), 5.0
        self.elements = frozenset(range(1, 90)) - {84}
        self.edges_at_once = edges_at_once
        self.broken, self.each_atom = broken, each_atom
        self.calls: list[int] = []

    def __call__(self, crystals: Cells) -> Evaluation:
        """Evaluate by automatic differentiation, of a strain too."""
        self.calls.append(len(crystals))
        pairs = neighbors(crystals, self.cutoff)
        owners = crystals.owners
        strain = torch.zeros(len(crystals), 3, 3, dtype=torch.float64, requires_grad=True)
        moves = torch.zeros(len(owners), 3, dtype=torch.float64, requires_grad=True)
        vectors = pairs.vectors + moves[pairs.targets] - moves[pairs.sources]
        symmetric = (strain + strain.transpose(1, 2)) / 2
        vectors = vectors + torch.bmm(vectors[:, None], symmetric[owners[pairs.sources]])[:, 0]
        length = (vectors.square().sum(1) + 1e-12).sqrt()
        well = (1 - torch.exp(1.3 * (2.6 - length))).square() - 1
        smooth = torch.where(length < self.cutoff, (1 - (length / self.cutoff) ** 2) ** 2, 0.0)
        energy = torch.zeros(len(crystals), dtype=torch.float64)
        energy = energy.index_add(0, owners[pairs.sources], 0.1 * well * smooth)
        slope, stress = torch.autograd.grad(energy.sum(), (moves, strain))
        of_broken = _has(crystals, self.broken)
        lonely = torch.ones(len(owners), dtype=torch.bool)
        lonely[pairs.sources] = False
        alone = torch.zeros(len(crystals), dtype=torch.int64).index_add_(0, owners, lonely.long()) > 0
        found = (energy.detach() + self.each_atom * crystals.counts).masked_fill(of_broken, torch.nan)
        return Evaluation(found, -slope, stress / crystals.volumes[:, None, None], alone)


def calculator_of(potential: Pairs) -> Any:
    """The same potential as ASE takes it, one crystal at a time."""
    from ase.calculators.calculator import Calculator, all_changes
    from ase.stress import full_3x3_to_voigt_6_stress

    class OfPairs(Calculator):
        implemented_properties = ("energy", "forces", "stress")

        def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
            super().calculate(atoms, properties, system_changes)
            cells = Cells.of([(atoms.numbers, atoms.cell.array, atoms.get_scaled_positions(wrap=False))])
            found = potential(cells)
            self.results = {
                "energy": float(found.energy[0]),
                "forces": found.forces.numpy(),
                "stress": full_3x3_to_voigt_6_stress(found.stress[0].numpy()),
            }

    return OfPairs()


def salts(*edges: float, rattle: float = 0.05) -> Cells:
    """Primitive cells of the rocksalt structure with these cubic edges in Å, distorted a little."""
    crystals = Cells.of([([11, 17], edge * ROCKSALT, [[0, 0, 0], [0.5, 0.5, 0.5]]) for edge in edges])
    return distorted(crystals, 0.02, rattle, 1)


def known_crystals() -> FormationArrays:
    """Two crystals of each role."""
    roles = torch.arange(len(ROLES)).repeat_interleave(2)
    crystals = salts(*(5.0 + np.arange(len(roles)) / 9))
    return FormationArrays(
        crystals, tuple(f"mp-{i}" for i in range(len(roles))), torch.linspace(-2, -1, len(roles)), roles
    )


def _has(crystals: Cells, number: int) -> Tensor:
    return (
        torch.zeros(len(crystals), dtype=torch.int64).index_add_(
            0, crystals.owners, (crystals.numbers == number).long()
        )
        > 0
    )
