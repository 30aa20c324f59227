"""Formulas as small arrays, and formulas with properties in groups that no chemical system crosses.

The arrays travel as one safetensors file and need torch alone, so that a bare GPU machine can train on them.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

PARTS = ("train", "held_out")

# By chemical system. The generator is told the properties of the guide's group alone, the judge knows those of its own
# group alone, so what judges a generated formula has nothing from what asked for it.
GROUPS = ("guide", "judge", "validation", "test")
TRAINING = ("guide", "judge")
CHUNK = 8192  # formulas that are worked on at once


@dataclass(frozen=True, eq=False)
class FormulaArrays:
    """Formulas as places of elements and counts.

    Attributes:
        elements: Symbols, one a row of a table.
        species: (N, n_slots) int8, place in `elements`; -1 for an empty slot.
        counts: (N, n_slots) int8; 0 for an empty slot.
        part: (N,) int8, place in `PARTS`.
    """

    elements: tuple[str, ...]
    species: Tensor
    counts: Tensor
    part: Tensor

    def __len__(self) -> int:
        return len(self.part)

    def save(self, path: Path) -> None:
        """Write one safetensors file."""
        tensors = {"species": self.species, "counts": self.counts, "part": self.part}
        save_file(tensors, path, {"elements": json.dumps(self.elements)})

    @classmethod
    def load(cls, path: Path) -> "FormulaArrays":
        """Read what `save` wrote."""
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}
            return cls(elements=tuple(json.loads(file.metadata()["elements"])), **tensors)

    def of_part(self, part: str) -> "FormulaArrays":
        """Return the formulas of "train" or "held_out"."""
        rows = self.part == PARTS.index(part)
        return FormulaArrays(self.elements, self.species[rows], self.counts[rows], self.part[rows])

    def to(self, device: str) -> "FormulaArrays":
        """Return the same on another device."""
        return FormulaArrays(self.elements, self.species.to(device), self.counts.to(device), self.part.to(device))

    def dense(self, rows: Tensor) -> Tensor:
        """Counts of some formulas, (B, n_elements) int64."""
        species, counts = self.species[rows].long(), self.counts[rows].long()
        table = torch.zeros(len(rows), len(self.elements) + 1, dtype=torch.int64, device=rows.device)
        # Empty slots write their 0 into a last column that is cut off.
        table.scatter_(1, torch.where(species < 0, len(self.elements), species), counts)
        return table[:, :-1]


@dataclass(frozen=True, eq=False)
class LabelledFormulas:
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

    def save(self, path: Path) -> None:
        """Write one safetensors file."""
        formulas = self.formulas
        tensors = {"species": formulas.species, "counts": formulas.counts, "part": formulas.part}
        tensors |= {"values": self.values, "group": self.group, "random_test": self.random_test}
        save_file(tensors, path, {"elements": json.dumps(formulas.elements)})

    @classmethod
    def load(cls, path: Path) -> "LabelledFormulas":
        """Read what `save` wrote."""
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}
            elements = tuple(json.loads(file.metadata()["elements"]))
        formulas = FormulaArrays(elements, *(tensors.pop(name) for name in ("species", "counts", "part")))
        return cls(formulas, **tensors)

    def to(self, device: str) -> "LabelledFormulas":
        """Return the same on another device."""
        return LabelledFormulas(
            self.formulas.to(device), self.values.to(device), self.group.to(device), self.random_test.to(device)
        )

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
