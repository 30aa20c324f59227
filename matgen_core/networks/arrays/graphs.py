"""Many crystal graphs in little memory, whole on one device, from which batches are drawn.

A file of packed graphs is made where pymatgen is and can be trained on where it is not.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file
from torch import Tensor

TRAIN, VALIDATION, TEST = 0, 1, 2  # the sides of a split
_STEPS = 65535  # a distance is stored as that many parts of the cutoff, to 0.1 mÅ


@dataclass(frozen=True, eq=False)
class PackedGraphs:
    """Graphs of S crystals end to end, with their known properties and the side of each split that they are on."""

    species: Tensor  # (n_sites,) uint8
    degrees: Tensor  # (n_sites,) uint8, neighbors of each site
    sources: Tensor  # (n_edges,) uint8, counted within the crystal
    distances: Tensor  # (n_edges,) int32, parts of the cutoff
    n_sites: Tensor  # (S,) int64
    n_edges: Tensor  # (S,) int64
    values: Tensor  # (S, n_properties) in the units of the data, NaN where unknown
    sides: Tensor  # (S, n_splits) uint8
    facts: dict[str, Any]  # elements, properties, splits, cutoff and where the data are from

    def __len__(self) -> int:
        return len(self.n_sites)

    def column(self, name: str, log10: bool) -> Tensor:
        """Return one property of every crystal, (S,), as its logarithm if so wanted."""
        values = self.values[:, self.facts["properties"].index(name)]
        return values.log10() if log10 else values

    def side(self, split: str) -> Tensor:
        """Return TRAIN, VALIDATION or TEST for every crystal, (S,)."""
        return self.sides[:, self.facts["splits"].index(split)]

    def to(self, device: str | torch.device) -> "PackedGraphs":
        """Return the same graphs on another device."""
        moved = {name: getattr(self, name).to(device) for name in self.__dataclass_fields__ if name != "facts"}
        return PackedGraphs(**moved, facts=self.facts)

    def batch(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Return species, sources, targets, distances in Å and crystal of each site, as the network takes them.

        Args:
            rows: (B,) places of the crystals; a place may occur more than once.
        """
        sites, graph_index = _ranges(self.n_sites, rows)
        edges, edge_graph = _ranges(self.n_edges, rows)
        n_sites = self.n_sites[rows]
        first_site = n_sites.cumsum(0) - n_sites
        numbers = torch.arange(len(sites), device=rows.device)
        targets = numbers.repeat_interleave(self.degrees[sites].long(), output_size=len(edges))
        sources = self.sources[edges].long() + first_site[edge_graph]
        distances = self.distances[edges] * (self.facts["cutoff"] / _STEPS)
        return self.species[sites].long(), sources, targets, distances, graph_index


def _ranges(counts: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return the places that the chosen rows fill in a flat array of `counts` each, and the row of each place."""
    starts = counts.cumsum(0) - counts
    chosen = counts[rows]
    total = int(chosen.sum())
    index = torch.arange(len(rows), device=rows.device).repeat_interleave(chosen, output_size=total)
    before = chosen.cumsum(0) - chosen
    places = torch.arange(total, device=rows.device) + (starts[rows] - before)[index]
    return places, index


def save(
    path: Path,
    graphs: Sequence[Any],
    values: NDArray[np.float32],
    sides: NDArray[np.uint8],
    facts: dict[str, Any],
) -> None:
    """Write graphs to one file.

    Args:
        path: The file.
        graphs: One `GraphBatch` of one crystal each.
        values: (S, n_properties), NaN where unknown.
        sides: (S, n_splits).
        facts: At least elements, properties, splits and cutoff.
    """
    degrees = [np.bincount(graph.targets, minlength=len(graph.species)) for graph in graphs]
    parts = np.concatenate([graph.distances for graph in graphs]) * (_STEPS / facts["cutoff"])
    arrays = {
        "species": _small(np.concatenate([graph.species for graph in graphs])),
        "degrees": _small(np.concatenate(degrees)),
        "sources": _small(np.concatenate([graph.sources for graph in graphs])),
        "distances": parts.round().astype(np.uint16),
        "n_sites": np.array([len(graph.species) for graph in graphs], dtype=np.int32),
        "n_edges": np.array([len(graph.sources) for graph in graphs], dtype=np.int32),
        "values": values.astype(np.float32),
        "sides": sides,
    }
    # safetensors writes the memory of an array as it lies, so a transposed one would come back scrambled.
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    save_file(arrays, path, metadata={"facts": json.dumps(facts)})


def load(path: Path) -> PackedGraphs:
    """Read a file that `save` wrote."""
    with safe_open(path, framework="numpy") as file:
        facts = json.loads(file.metadata()["facts"])
        arrays = {name: file.get_tensor(name) for name in file.keys()}
    wide = {"distances": np.int32, "n_sites": np.int64, "n_edges": np.int64}
    tensors = {name: torch.from_numpy(array.astype(wide.get(name, array.dtype))) for name, array in arrays.items()}
    return PackedGraphs(**tensors, facts=facts)


def _small(numbers: NDArray[np.int64]) -> NDArray[np.uint8]:
    if numbers.max() > 255:
        raise ValueError(f"{numbers.max()} does not fit into packed graphs, which count to 255")
    return numbers.astype(np.uint8)
