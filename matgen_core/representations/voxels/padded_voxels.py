"""Cubic crystals as the padded, labeled boxes of the published iCSG3D, and back by recursive watershed.

What differs from the released code: a radius is at least 0.6 Å, since the ball of a smaller one can slip between the
voxels of a large cell, and the edges are read from all voxels of the coordinate channels by least squares and not from
the largest and the smallest value.

Reference: Court et al., J. Chem. Inf. Model. 60, 4518 (2020), doi:10.1021/acs.jcim.0c00464
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from pymatgen.core import Element, Lattice, Structure

from matgen_core.networks.arrays import boxes
from matgen_core.representations._errors import DecodeError
from matgen_core.representations.voxels.voxel_grid import Setting, VoxelGrid

UNKNOWN_RADIUS, LEAST_RADIUS = 1.2, 0.6  # Å; the first as published


@dataclass(frozen=True, eq=False)
class PaddedVoxels:
    """(6, N, N, N): density, three coordinates in Å, label (0: empty), probability that the voxel is occupied.

    Attributes:
        elements: Symbols of the elements that it can hold.
        numbers: (n_elements,), their atomic numbers.
        radii: (n_elements,), their radii in Å; see `element_radii`.
        grid: Voxels along each edge of the box.
        occupied: Least probability of a voxel that belongs to a site.
        max_sites: Most sites in a cell.
        setting: As for `VoxelGrid`.
    """

    elements: tuple[str, ...]
    numbers: NDArray[np.float32]
    radii: NDArray[np.float32]
    grid: int = 32
    occupied: float = 0.8
    max_sites: int = 80
    setting: Setting = "cubic"

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Channels and voxels."""
        return 6, self.grid, self.grid, self.grid

    def standardize(self, structure: Structure) -> Structure:
        """Return the cell, origin and orientation of a crystal that is drawn.

        Raises:
            ValueError: As `VoxelGrid.standardize`, whose cells these are.
        """
        n_elements = len(self.elements)
        cells = VoxelGrid(
            self.elements,
            np.zeros((n_elements, 0), np.float32),
            np.ones(n_elements, np.float32),
            max_sites=self.max_sites,
            setting=self.setting,
        )
        return cells.standardize(structure)

    def encode(self, material: Structure) -> NDArray[np.float32]:
        """Draw one crystal in its standard cell.

        Raises:
            ValueError: As `standardize`.
        """
        return self.draw(self.standardize(material))

    def draw(self, material: Structure) -> NDArray[np.float32]:
        """Draw one crystal in the cell that `standardize` gave."""
        place = {symbol: i for i, symbol in enumerate(self.elements)}
        species = torch.tensor([[place[site.specie.symbol] for site in material]])
        frac_coords = torch.tensor(material.frac_coords, dtype=torch.float32)[None]
        x, labels = boxes.draw(
            boxes.to_corner(frac_coords, species),
            species,
            torch.tensor([material.lattice.a], dtype=torch.float32),
            torch.from_numpy(self.numbers),
            torch.from_numpy(self.radii),
            self.grid,
        )
        return torch.cat([x, labels.unsqueeze(1), labels.unsqueeze(1) > 0], 1)[0].numpy()

    def decode(self, array: NDArray[np.float32]) -> Structure:
        """Read one crystal.

        Raises:
            DecodeError: If numbers are not finite, or the lattice or the sites are none.
        """
        from matgen_core.representations.voxels.watershed import (  # with parts of scipy that nothing else needs
            cut,
            majority,
        )

        if not np.isfinite(array).all():
            raise DecodeError("the decoded array holds numbers that are not finite")
        edges = boxes.edge_of(torch.from_numpy(np.ascontiguousarray(array[None, 1:4], np.float32)))[0].numpy()
        labels = array[4].astype(np.int64)
        centers = boxes.voxel_centers(self.grid).numpy()
        sites = [
            (majority(labels[tuple(voxels.T)]), centers[voxels].mean(0))
            for voxels in cut(array[5] >= self.occupied, array[0])
        ]
        # A part that the labels call empty space is no site.
        sites = [(label, place) for label, place in sites if label > 0]
        frac_coords = np.array([place for _, place in sites], np.float32).reshape(-1, 3)
        species = np.array([label - 1 for label, _ in sites], np.int64)
        made = self.from_sites(frac_coords % 1.0, species, np.diag(edges))
        if isinstance(made, DecodeError):
            raise made
        return made

    def from_sites(
        self, frac_coords: NDArray[np.float32], species: NDArray[np.int64], lattice: NDArray[np.float32]
    ) -> Structure | DecodeError:
        """Return the crystal of sites, or the reason why it is none.

        Args:
            frac_coords: (n, 3).
            species: (n,), place in `elements`.
            lattice: (3, 3) in Å.
        """
        lengths = np.linalg.norm(lattice, axis=1)
        if lengths.min() < 1.5 or lengths.max() > 100:
            edges = ", ".join(f"{length:.2f}" for length in lengths)
            return DecodeError(f"the decoded cell has edges of {edges} Å; expected 1.5 to 100")
        if not len(species):
            return DecodeError("the decoded box has no occupied part that is large enough for a site")
        if len(species) > self.max_sites:
            return DecodeError(f"the decoded box has more than {self.max_sites} sites")
        order = np.lexsort((*frac_coords.round(3).T[::-1], species))
        symbols = [self.elements[i] for i in species[order]]
        return Structure(Lattice(lattice.astype(float)), symbols, frac_coords[order].astype(float))


def element_radii(elements: Sequence[str]) -> NDArray[np.float32]:
    """Return the mean ionic radius of each element in Å, (n_elements,); 1.2 where there is none, 0.6 at least."""
    radii = np.array([float(Element(symbol).average_ionic_radius) or UNKNOWN_RADIUS for symbol in elements])
    return np.maximum(radii, LEAST_RADIUS).astype(np.float32)
