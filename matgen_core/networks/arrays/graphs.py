"""Many crystal graphs in little memory, whole on one device, from which batches are drawn.

A file of packed graphs is made where pymatgen is and can be trained on where it is not.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from matgen_core.networks.arrays import tensors
from matgen_core.networks.arrays.splits import THREE_PARTS

_STEPS = 65535  # a distance is stored as that many parts of the cutoff, to 0.1 mÅ


@dataclass(frozen=True, eq=False)
class PackedGraphs(tensors.Stored):
    """Graphs of S crystals end to end, with their known properties and the side of each split that they are on."""

    species: Tensor  # (n_sites,) uint8
    degrees: Tensor  # (n_sites,) uint8, neighbors of each site
    sources: Tensor  # (n_edges,) uint8, counted within the crystal
    distances: Tensor = field(metadata=tensors.stored_as(torch.uint16, torch.int32))  # (n_edges,), parts of the cutoff
    n_sites: Tensor = field(metadata=tensors.stored_as(torch.int32))  # (S,) int64
    n_edges: Tensor = field(metadata=tensors.stored_as(torch.int32))  # (S,) int64
    values: Tensor  # (S, n_properties) in the units of the data, NaN where unknown
    sides: Tensor  # (S, n_splits) uint8, place in `THREE_PARTS`
    facts: dict[str, Any]  # elements, properties, splits, cutoff and where the data are from

    def __len__(self) -> int:
        return len(self.n_sites)

    def column(self, name: str, log10: bool) -> Tensor:
        """Return one property of every crystal, (S,), as its logarithm if so wanted."""
        values = self.values[:, self.facts["properties"].index(name)]
        return values.log10() if log10 else values

    def side(self, split: str) -> Tensor:
        """Return on which side of a split every crystal is, (S,)."""
        return self.sides[:, self.facts["splits"].index(split)]

    def of_part(self, split: str, part: str) -> Tensor:
        """Whether every crystal is in the part "train", "val" or "test" of a split, (S,) bool."""
        return self.side(split) == THREE_PARTS.index(part)

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


def pack(
    graphs: Sequence[Any],
    values: NDArray[np.float32],
    sides: NDArray[np.uint8],
    facts: dict[str, Any],
) -> PackedGraphs:
    """Put graphs end to end.

    Args:
        graphs: One `GraphBatch` of one crystal each.
        values: (S, n_properties), NaN where unknown.
        sides: (S, n_splits).
        facts: At least elements, properties, splits and cutoff.

    Raises:
        ValueError: If a crystal has more than 255 sites, or a site more than 255 neighbors.
    """
    degrees = [np.bincount(graph.targets, minlength=len(graph.species)) for graph in graphs]
    parts = np.concatenate([graph.distances for graph in graphs]) * (_STEPS / facts["cutoff"])
    arrays = {
        "species": _small(np.concatenate([graph.species for graph in graphs])),
        "degrees": _small(np.concatenate(degrees)),
        "sources": _small(np.concatenate([graph.sources for graph in graphs])),
        "distances": parts.round().astype(np.int32),
        "n_sites": np.array([len(graph.species) for graph in graphs], dtype=np.int64),
        "n_edges": np.array([len(graph.sources) for graph in graphs], dtype=np.int64),
        "values": values.astype(np.float32),
        "sides": sides,
    }
    return PackedGraphs(**{name: torch.from_numpy(array) for name, array in arrays.items()}, facts=facts)


def _small(numbers: NDArray[np.int64]) -> NDArray[np.uint8]:
    if numbers.max() > 255:
        raise ValueError(f"{numbers.max()} does not fit into packed graphs, which count to 255")
    return numbers.astype(np.uint8)
