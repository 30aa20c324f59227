"""Formulas as small arrays, and formulas with properties in groups that no chemical system crosses.

The arrays travel as one safetensors file and need torch alone, so that a bare GPU machine can train on them.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from matgen_core.networks.arrays import tensors
from matgen_core.networks.arrays.splits import GROUPS, TWO_PARTS

CHUNK = 8192  # formulas that are worked on at once


@dataclass(frozen=True, eq=False)
class FormulaArrays(tensors.Stored):
    """Formulas as places of elements and counts.

    Attributes:
        elements: Symbols, one a row of a table.
        species: (N, n_slots) int8, place in `elements`; -1 for an empty slot.
        counts: (N, n_slots) int8; 0 for an empty slot.
        part: (N,) int8, place in `TWO_PARTS`.
    """

    elements: tuple[str, ...]
    species: Tensor
    counts: Tensor
    part: Tensor

    def __len__(self) -> int:
        return len(self.part)

    def of_part(self, part: str) -> "FormulaArrays":
        """Return the formulas of "train" or "held_out"."""
        return tensors.select(self, self.part == TWO_PARTS.index(part), shared=("elements",))

    def dense(self, rows: Tensor) -> Tensor:
        """Counts of some formulas, (B, n_elements) int64."""
        species, counts = self.species[rows].long(), self.counts[rows].long()
        table = torch.zeros(len(rows), len(self.elements) + 1, dtype=torch.int64, device=rows.device)
        # Empty slots write their 0 into a last column that is cut off.
        table.scatter_(1, torch.where(species < 0, len(self.elements), species), counts)
        return table[:, :-1]


@dataclass(frozen=True, eq=False)
class LabelledFormulas(tensors.Stored):
    """Formulas with properties.

    Attributes:
        formulas: Elements and counts; their part is "train" for the first two groups and "held_out" for the others.
        values: (N, 4) float32 in the order of `PROPERTIES`, NaN where not known.
        group: (N,) int8, place in `GROUPS`; no chemical system is in two.
        random_test: (N,) bool, a tenth of the formulas drawn by row, as in the paper.
    """

    formulas: FormulaArrays
    values: Tensor
    group: Tensor
    random_test: Tensor

    def __len__(self) -> int:
        return len(self.group)

    def rows_of(self, *groups: str) -> Tensor:
        """Return the rows of some groups."""
        places = torch.tensor([GROUPS.index(name) for name in groups], device=self.group.device)
        return torch.isin(self.group.long(), places).nonzero()[:, 0]

    def counts(self, rows: Tensor) -> Tensor:
        """Counts of some formulas, (B, n_elements) int64."""
        return self.formulas.dense(rows)

    def tables(self, rows: Tensor, max_count: int) -> Tensor:
        """Tables of some formulas with the column "absent", (B, n_elements, 1 + max_count)."""
        return F.one_hot(self.counts(rows), max_count + 1).float()
