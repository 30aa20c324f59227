"""A crystal as the graph of its atoms and their nearest periodic neighbors; it is encoded and never decoded.

Reference: Xie and Grossman, Phys. Rev. Lett. 120, 145301 (2018), doi:10.1103/PhysRevLett.120.145301. The paper
keeps the 12 nearest neighbors; where a shell of equal distances is cut there, which of its atoms stay depends
on the order of the sites. Here a shell is kept whole, so the graph depends on the crystal alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Structure
from pymatgen.optimization.neighbors import find_points_in_spheres

_FIRST_CUTOFF = 5.0  # Å; holds the nearest 12 of 99.7 % of known sites at a quarter of the cost of 8 Å
_CLOSEST = 0.5  # Å; no two nuclei of a crystal are nearer
_PERIODIC = np.ones(3, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class GraphBatch:
    """The graphs of several crystals, laid end to end; edges run from a neighbor to the site that it is near."""

    species: NDArray[np.int64]  # (n_sites,) place of the element in `CrystalGraph.elements`
    sources: NDArray[np.int64]  # (n_edges,) site of the neighbor
    targets: NDArray[np.int64]  # (n_edges,) site that has the neighbor, ascending
    distances: NDArray[np.float32]  # (n_edges,) Å
    graph_index: NDArray[np.int64]  # (n_sites,) which crystal the site is of, ascending

    def __len__(self) -> int:
        return int(self.graph_index[-1]) + 1 if len(self.graph_index) else 0


@dataclass(frozen=True)
class CrystalGraph:
    """Every site with its nearest neighbors: at least `n_neighbors`, and all that are as near as the last."""

    elements: tuple[str, ...]
    cutoff: float = 8.0  # Å; neighbors farther off are not looked for
    n_neighbors: int = 12
    shell_width: float = 0.05  # Å; distances that differ by less belong to one shell
    max_sites: int = 200

    @cached_property
    def _species(self) -> dict[str, int]:
        return {element: index for index, element in enumerate(self.elements)}

    def encode(self, structure: Structure) -> GraphBatch:
        """Turn one structure into its graph, a batch of one.

        Raises:
            ValueError: If a site is partially occupied, an element is not among `elements`, there are more than
                `max_sites` sites or none, two sites coincide, or a site has no neighbor within `cutoff`.
        """
        symbols = self._symbols(structure)
        return self.encode_arrays(structure.lattice.matrix, structure.frac_coords, symbols)

    def encode_batch(self, structures: Sequence[Structure]) -> GraphBatch:
        """Turn structures into one batch.

        Raises:
            ValueError: As `encode`, for the first structure that does not fit.
        """
        return concatenate([self.encode(structure) for structure in structures])

    def encode_arrays(
        self, lattice: NDArray[np.float64], frac_coords: NDArray[np.float64], symbols: Sequence[str]
    ) -> GraphBatch:
        """Turn a cell and its sites into a graph.

        Args:
            lattice: (3, 3) row vectors in Å.
            frac_coords: (n_sites, 3).
            symbols: Element of each site.

        Raises:
            ValueError: As `encode`, for a cell without partial occupancy.
        """
        name = _formula(symbols)
        species = self._indices(symbols, name)
        sources, targets, distances = self._edges(lattice, frac_coords, name)
        degrees = np.bincount(targets, minlength=len(species))
        if not degrees.all():
            site = int(np.argmin(degrees))
            raise ValueError(
                f"{name}: site {site + 1} ({symbols[site]}) has no neighbor within {self.cutoff:g} Å;"
                " an isolated atom is no crystal, check the cell"
            )
        return GraphBatch(species, sources, targets, distances.astype(np.float32), np.zeros(len(species), np.int64))

    def _symbols(self, structure: Structure) -> list[str]:
        symbols = []
        for number, site in enumerate(structure, start=1):
            if not site.is_ordered:
                raise ValueError(
                    f"{structure.composition.reduced_formula}: site {number} is partially occupied"
                    f" ({site.species_string}), but this model reads ordered crystals; order it first"
                )
            symbols.append(site.specie.symbol)
        return symbols

    def _indices(self, symbols: Sequence[str], name: str) -> NDArray[np.int64]:
        if not 0 < len(symbols) <= self.max_sites:
            hint = "; try the primitive cell" if symbols else ""
            raise ValueError(f"{name}: {len(symbols)} sites, but this model reads cells of 1 to {self.max_sites}{hint}")
        unknown = sorted(set(symbols) - set(self.elements))
        if unknown:
            is_not = "is not one" if len(unknown) == 1 else "are not"
            raise ValueError(
                f"{name}: {', '.join(unknown)} {is_not} of the {len(self.elements)} elements of this model"
            )
        return np.array([self._species[symbol] for symbol in symbols], dtype=np.int64)

    def _edges(
        self, lattice: NDArray[np.float64], frac_coords: NDArray[np.float64], name: str
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Return source, target and distance of the nearest neighbors, sorted by target and distance."""
        lattice = np.ascontiguousarray(lattice, dtype=np.float64)
        cart_coords = np.ascontiguousarray((np.asarray(frac_coords, dtype=np.float64) % 1.0) @ lattice)
        n_sites = len(cart_coords)
        for radius in (_FIRST_CUTOFF, self.cutoff):
            if radius > self.cutoff:
                continue
            targets, sources, images, distances = find_points_in_spheres(
                cart_coords, cart_coords, r=radius, pbc=_PERIODIC, lattice=lattice, tol=1e-8
            )
            others = (targets != sources) | images.any(axis=1)
            order = np.lexsort((distances, targets))
            order = order[others[order]]
            targets, sources, distances = targets[order], sources[order], distances[order]
            if len(distances) and distances.min() < _CLOSEST:
                edge = int(np.argmin(distances))
                raise ValueError(
                    f"{name}: sites {sources[edge] + 1} and {targets[edge] + 1} are {distances[edge]:.2f} Å apart,"
                    f" but no two atoms come nearer than {_CLOSEST:g} Å; check the coordinates"
                )
            limits, complete = self._limits(targets, distances, n_sites, radius)
            if complete:
                break
        kept = distances <= limits[targets]
        return sources[kept].astype(np.int64), targets[kept].astype(np.int64), distances[kept]

    def _limits(
        self, targets: NDArray[np.int64], distances: NDArray[np.float64], n_sites: int, radius: float
    ) -> tuple[NDArray[np.float64], bool]:
        """Return the largest distance to keep for each site, and whether `radius` was enough for all."""
        degrees = np.bincount(targets, minlength=n_sites)
        last = np.cumsum(degrees) - degrees + self.n_neighbors - 1
        enough = degrees >= self.n_neighbors
        limits = np.full(n_sites, np.inf)
        limits[enough] = distances[last[enough]] + self.shell_width
        return limits, bool(enough.all() and limits.max() <= radius)


def concatenate(graphs: Sequence[GraphBatch]) -> GraphBatch:
    """Lay batches end to end."""
    if not graphs:
        none = np.zeros(0, np.int64)
        return GraphBatch(none, none, none, np.zeros(0, np.float32), none)
    first_site = np.cumsum([0, *(len(graph.species) for graph in graphs[:-1])])
    first_graph = np.cumsum([0, *(len(graph) for graph in graphs[:-1])])
    pairs = list(zip(graphs, first_site, strict=True))
    return GraphBatch(
        species=np.concatenate([graph.species for graph in graphs]),
        sources=np.concatenate([graph.sources + offset for graph, offset in pairs]),
        targets=np.concatenate([graph.targets + offset for graph, offset in pairs]),
        distances=np.concatenate([graph.distances for graph in graphs]),
        graph_index=np.concatenate(
            [graph.graph_index + offset for graph, offset in zip(graphs, first_graph, strict=True)]
        ),
    )


def _formula(symbols: Sequence[str]) -> str:
    counts = {symbol: list(symbols).count(symbol) for symbol in dict.fromkeys(symbols)}
    return "".join(f"{symbol}{count if count > 1 else ''}" for symbol, count in counts.items()) or "empty cell"
