"""Cubic crystals as padded arrays."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

PARTS = ("train", "val", "test")


@dataclass(frozen=True, eq=False)
class CrystalArrays:
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
        part: (N,), place in `PARTS`.
    """

    elements: tuple[str, ...]
    families: tuple[str, ...]
    ids: tuple[str, ...]
    codes: Tensor
    frac_coords: Tensor
    species: Tensor
    edge: Tensor
    formation_energy_per_atom: Tensor
    family: Tensor
    part: Tensor

    def __len__(self) -> int:
        return len(self.edge)

    def save(self, path: Path) -> None:
        """Write one safetensors file."""
        tensors = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        names = {name: tensors.pop(name) for name in ("elements", "families", "ids")}
        tensors |= {name: tensors[name].to(torch.int8) for name in ("species", "family", "part")}
        save_file(tensors, path, {name: json.dumps(value) for name, value in names.items()})

    @classmethod
    def load(cls, path: Path) -> "CrystalArrays":
        """Read what `save` wrote."""
        with safe_open(path, "pt") as file:
            names: dict[str, Any] = {name: tuple(json.loads(text)) for name, text in file.metadata().items()}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        wide = {name: value.long() for name, value in tensors.items() if value.dtype == torch.int8}
        return cls(**names | tensors | wide)

    def select(self, rows: Tensor) -> "CrystalArrays":
        """Return the crystals of some rows (numbers or a mask), in their order."""
        numbers = rows.nonzero()[:, 0] if rows.dtype == torch.bool else rows
        chosen: dict[str, Any] = {
            item.name: getattr(self, item.name)[rows]
            for item in dataclasses.fields(self)
            if item.name not in ("elements", "families", "ids", "codes")
        }
        chosen["ids"] = tuple(self.ids[i] for i in numbers.tolist())
        return dataclasses.replace(self, **chosen)

    def of_part(self, part: str) -> "CrystalArrays":
        """Return the crystals of "train", "val" or "test"."""
        return self.select(self.part == PARTS.index(part))

    def to(self, device: str) -> "CrystalArrays":
        """Return the same on another device."""
        values: dict[str, Any] = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        moved: dict[str, Any] = {
            name: value.to(device) if isinstance(value, Tensor) else value for name, value in values.items()
        }
        return CrystalArrays(**moved)
