"""A crystal of a few elements as an image of its cell and one image an element of its atoms, and back.

Decoding reads the cell by least squares over the whole image and the atoms as peaks that are fitted to the whole
image, so neither is bound to the grid. What is an atom is told by the height of its peak alone: no distance of two
elements is known here.

Reference: Noh et al., Matter 1, 1370 (2019), doi:10.1016/j.matt.2019.08.017
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from pymatgen.core import Lattice, Structure

from matgen_core.materials.cells import reduced_setting
from matgen_core.networks.arrays import basis
from matgen_core.representations._errors import DecodeError

_MOST_REDUCED = 600  # sites of a cell that is reduced
_LEAST_DISTANCE = 0.5  # Å; nearer sites are one
_LEAST_VOLUME, _MOST_VOLUME = 3.0, 150.0  # Å^3 a site
_RIM = 2.0  # widths that have to be left between an atom and the wall of the box


@dataclass(frozen=True, eq=False)
class CellAndBasis:
    """(1 + n_elements, grid, grid, grid): the image of the cell, then the basis image of each element.

    Attributes:
        elements: Symbols of the elements that it can hold.
        grid: Points along each edge of all images; 64 in the paper's basis images. Peaks are fitted, so 32 hold
            positions as well, in an eighth of the memory.
        box: Edge of a basis image in Å.
        width: Standard deviation of an atom's Gaussian in Å.
        cell_width: That of the cell's in Å; 0.26 in the paper. A wider one leaves more voxels to read.
        max_sites: Most sites in a cell.
        max_edge: Longest edge of a cell in Å.
    """

    elements: tuple[str, ...]
    grid: int = 32
    box: float = 15.0
    width: float = 0.45
    cell_width: float = 0.4
    max_sites: int = 20
    max_edge: float = 10.0

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Images and grid points."""
        return 1 + len(self.elements), self.grid, self.grid, self.grid

    @property
    def accepts(self) -> str:
        """Say in a line which crystals it can hold."""
        return (
            f"ordered crystals of {' and '.join(self.elements)} with at most {self.max_sites} sites in a primitive cell"
            f" with edges of at most {self.max_edge:g} Å"
        )

    def standardize(self, structure: Structure) -> Structure:
        """Return the reduced cell of a crystal, with the origin and the images of the atoms that are drawn.

        Raises:
            ValueError: If a site is partly occupied, an element is not one of `elements`, or cell or atoms do not fit.
        """
        name = structure.composition.reduced_formula
        if not structure.is_ordered:
            mixed = next(site for site in structure if not site.is_ordered)
            raise ValueError(f"{name}: site {mixed.species_string} is partly occupied; order the structure first")
        unknown = sorted({site.specie.symbol for site in structure} - set(self.elements))
        if unknown:
            raise ValueError(
                f"{name}: {', '.join(unknown)} is not one of the elements of this model, {', '.join(self.elements)}"
            )
        if len(structure) > _MOST_REDUCED:
            self._check_number(structure)
        structure = reduced_setting(structure)
        self._check_number(structure)
        if max(structure.lattice.abc) > self.max_edge:
            edges = ", ".join(f"{length:.1f}" for length in structure.lattice.abc)
            raise ValueError(
                f"{name}: the primitive cell has edges of {edges} Å, but this model draws at most {self.max_edge:g} Å;"
                " take a crystal with a smaller cell"
            )
        wrapped = (structure.frac_coords - basis.FIRST) % 1.0 + basis.FIRST
        return Structure(structure.lattice, structure.species, wrapped)

    def encode(self, material: Structure) -> NDArray[np.float32]:
        """Draw one crystal in its standard cell.

        Raises:
            ValueError: As `standardize` and `draw`.
        """
        return self.draw(self.standardize(material))

    def draw(self, material: Structure) -> NDArray[np.float32]:
        """Draw one crystal in the cell that `standardize` gave.

        Raises:
            ValueError: If an atom stands outside the box.
        """
        lattice = torch.tensor(material.lattice.matrix.copy(), dtype=torch.float32)[None]
        places = basis.in_box(torch.tensor(material.frac_coords, dtype=torch.float32)[None], lattice, self.box)
        outside = float((places - 0.5).abs().max()) * self.box
        if outside > self.box / 2 - _RIM * self.width:
            raise ValueError(
                f"{material.composition.reduced_formula}: an atom stands {outside:.1f} Å from the middle of its cell,"
                f" outside the box of {self.box:g} Å that this model draws; take a crystal with a smaller cell"
            )
        species = torch.tensor([[self.elements.index(site.specie.symbol) for site in material]])
        drawn = basis.basis_images(places, species, len(self.elements), self.grid, self.width / self.box)
        cell = basis.cell_image(lattice, self.grid, self.cell_width)
        return torch.cat([cell[:, None], drawn], 1)[0].numpy()

    def decode(self, array: NDArray[np.float32]) -> Structure:
        """Read one crystal.

        Raises:
            DecodeError: If numbers are not finite, the cell is none, or no or too many atoms are found.
        """
        decoded = self.decode_batch(array[None])[0]
        if isinstance(decoded, DecodeError):
            raise decoded
        return decoded

    def decode_batch(self, arrays: NDArray[np.float32]) -> list[Structure | DecodeError]:
        """Read many crystals, (B, 1 + n_elements, grid, grid, grid); where one is none, the reason takes its place."""
        images = torch.from_numpy(np.ascontiguousarray(arrays, np.float32))
        finite = images.flatten(1).isfinite().all(1)
        images = torch.where(finite.view(-1, 1, 1, 1, 1), images, 0.0)
        lattice = basis.lattice_of_image(images[:, 0], self.cell_width)
        places, species, _ = basis.read_basis(images[:, 1:], self.width / self.box, self.max_sites + 1)
        frac_coords = basis.in_cell(places, lattice, self.box)
        return [
            self.from_sites(where[kinds >= 0], kinds[kinds >= 0], cell)
            if ok
            else DecodeError("the decoded array holds numbers that are not finite")
            for cell, where, kinds, ok in zip(
                lattice.numpy(), frac_coords.numpy(), species.numpy(), finite.tolist(), strict=True
            )
        ]

    def from_sites(
        self, frac_coords: NDArray[np.float32], species: NDArray[np.int64], lattice: NDArray[np.float32]
    ) -> Structure | DecodeError:
        """Return the crystal of atoms that were read from images, or the reason why it is none.

        Args:
            frac_coords: (n, 3).
            species: (n,), place in `elements`.
            lattice: (3, 3) in Å.
        """
        matrix = lattice.astype(float)
        if not np.isfinite(matrix).all():
            return DecodeError("the decoded cell is none: its vectors are not finite")
        lengths = np.linalg.norm(matrix, axis=1)
        volume = abs(float(np.linalg.det(matrix)))
        n = len(species)
        if not 1.0 < lengths.min() <= lengths.max() < 2 * self.max_edge or volume < 0.1 * float(lengths.prod()):
            edges = ", ".join(f"{length:.2f}" for length in lengths)
            return DecodeError(f"the decoded cell is none: edges of {edges} Å, {volume:.1f} Å^3")
        if not n:
            return DecodeError("the decoded images have no peak that is high enough for an atom")
        if n > self.max_sites:
            return DecodeError(f"the decoded images have more than {self.max_sites} peaks")
        if not _LEAST_VOLUME <= volume / n <= _MOST_VOLUME:
            return DecodeError(
                f"{n} atoms were decoded with {volume / n:.1f} Å^3 each; expected {_LEAST_VOLUME:g} to {_MOST_VOLUME:g}"
            )
        order = np.lexsort((*(frac_coords.round(3) % 1.0).T[::-1], species))
        found = Structure(Lattice(matrix), [self.elements[i] for i in species[order]], frac_coords[order].astype(float))
        distances = found.distance_matrix + 9.0 * np.eye(n)
        if distances.min() < _LEAST_DISTANCE:
            return DecodeError(f"two atoms were decoded {distances.min():.2f} Å apart; {_LEAST_DISTANCE} is the least")
        return found

    def _check_number(self, structure: Structure) -> None:
        if len(structure) > self.max_sites:
            raise ValueError(
                f"{structure.composition.reduced_formula}: {len(structure)} sites in the cell, but this model holds"
                f" at most {self.max_sites}; use a smaller cell of the crystal if there is one"
            )
