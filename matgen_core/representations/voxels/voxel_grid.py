"""A crystal as a density and its species on a periodic fractional grid, and back.

Channels: the density (a Gaussian a site), the three Cartesian coordinates of every grid point (they hold the
lattice, as in the paper), then the species, written as a code of a few numbers an element that is smeared like
the density. Decoding finds maxima, fits all sites to the whole density at once, and reads the species of each
from its deconvolved code. Unlike the paper's segmentation by recursive watershed, positions are finer than the
grid and sites may overlap.

References: Court et al., J. Chem. Inf. Model. 60, 4518 (2020), doi:10.1021/acs.jcim.0c00464;
Hoffmann et al., arXiv:1909.00949; Noh et al., Matter 1, 1370 (2019), doi:10.1016/j.matt.2019.08.017
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pymatgen.core import Element, Lattice, Structure

from matgen_core.materials.cells import _electronegativity, cubic_setting, reduced_setting
from matgen_core.networks.arrays import density
from matgen_core.representations._errors import DecodeError

Setting = Literal["as_given", "cubic_cell", "cubic", "reduced"]
_NARROWEST = 0.6  # grid steps; a narrower Gaussian can fall between the grid points
_MOST_REDUCED = 600  # sites of a cell whose symmetry is looked for: without any, that takes a second or two
_LENGTHS = (1.5, 100.0)  # Å; edges of a cell that a decoded lattice may have
_LEAST_VOLUME = 3.0  # Å^3 a site; a hydrogen atom in the densest known hydrides takes about 4


@dataclass(frozen=True, eq=False)
class VoxelGrid:
    """(4 + n_codes, X, Y, Z): density, three coordinates in Å, and the code of the species.

    Attributes:
        elements: Symbols of the elements that it can hold.
        codes: (n_elements, n_codes), the numbers that stand for an element; `element_codes` and the identity
            (one channel an element) are two choices. Without any, the height of the density tells the element.
        heights: (n_elements,), height of a site's Gaussian in the density.
        grid: Grid points along each lattice vector; point i stands at the fraction i / n.
        width: Standard deviation of a site's Gaussian, in `unit`.
        unit: "fraction" of each cell edge, "angstrom" along each cell edge, or "step" of the grid along it.
        max_sites: Most sites in a cell, of an input and of what is decoded.
        setting: "as_given" takes the cell and origin of the input; "cubic_cell" asks for a cubic cell and turns
            it to one standard origin and orientation; "cubic" does so with the conventional cell of the input, and
            "reduced" with the reduced primitive cell, which every crystal has.
        max_edges: Longest edges of an input's standard cell in Å.
    """

    elements: tuple[str, ...]
    codes: NDArray[np.float32]
    heights: NDArray[np.float32]
    grid: tuple[int, int, int] = (16, 16, 16)
    width: float = 0.05
    unit: Literal["fraction", "angstrom", "step"] = "fraction"
    max_sites: int = 80
    setting: Setting = "as_given"
    max_edges: tuple[float, float, float] = (_LENGTHS[1], _LENGTHS[1], _LENGTHS[1])

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Channels and grid points."""
        return 4 + self.codes.shape[1], *self.grid

    @property
    def accepts(self) -> str:
        """Say in a line which crystals it can hold."""
        cell, of = {
            "as_given": ("crystals", "the cell"),
            "cubic_cell": ("crystals in a cubic cell", "the cell"),
            "cubic": ("cubic crystals", "the conventional cell"),
            "reduced": ("crystals", f"a primitive cell with edges of at most {_edges(self.max_edges)} Å"),
        }[self.setting]
        return f"ordered {cell} of {len(self.elements)} elements with at most {self.max_sites} sites in {of}"

    def standardize(self, structure: Structure) -> Structure:
        """Return the cell, origin and orientation of a crystal that is drawn.

        Raises:
            ValueError: If a site is partly occupied, an element is not one of `elements`, there are more than
                `max_sites` sites, an edge is longer than `max_edges`, or the crystal is not cubic and has to be.
        """
        name = structure.composition.reduced_formula
        if not structure.is_ordered:
            mixed = next(site for site in structure if not site.is_ordered)
            raise ValueError(f"{name}: site {mixed.species_string} is partly occupied; order the structure first")
        unknown = sorted({site.specie.symbol for site in structure} - set(self.elements))
        if unknown:
            raise ValueError(
                f"{name}: {', '.join(unknown)} is not one of the {len(self.elements)} elements of this model"
            )
        may_be_supercell = self.setting in ("cubic", "reduced") and len(structure) <= _MOST_REDUCED
        if not may_be_supercell or self._smallest(structure) > self.max_sites:
            self._check_number(structure)  # the search for the symmetry reduces a supercell
        if self.setting == "reduced":
            structure = reduced_setting(structure)
        elif self.setting != "as_given":
            structure = cubic_setting(structure, conventional=self.setting == "cubic")
        self._check_number(structure)
        if any(length > longest for length, longest in zip(structure.lattice.abc, self.max_edges, strict=True)):
            raise ValueError(
                f"{name}: the cell has edges of {_edges(structure.lattice.abc)} Å, but this model draws at most"
                f" {_edges(self.max_edges)} Å; take a crystal with a smaller cell"
            )
        return structure

    def _smallest(self, structure: Structure) -> int:
        """How many sites the smallest cell of a crystal has at least: a supercell holds each element n times."""
        return len(structure) // gcd(*Counter(site.specie for site in structure).values())

    def encode(self, material: Structure) -> NDArray[np.float32]:
        """Draw one crystal in its standard cell.

        Raises:
            ValueError: As `standardize` and `draw`.
        """
        return self.draw(self.standardize(material))

    def draw(self, material: Structure) -> NDArray[np.float32]:
        """Draw one crystal in the cell that `standardize` gave.

        Raises:
            ValueError: If a site would be narrower than the grid can show.
        """
        frac_coords = torch.tensor(material.frac_coords, dtype=torch.float32)[None]
        lattice = torch.tensor(material.lattice.matrix.copy(), dtype=torch.float32)[None]
        widths = self._widths(lattice)
        narrow = float((widths[0, 0] * torch.tensor(self.grid)).min())
        if narrow < _NARROWEST:
            raise ValueError(
                f"{material.composition.reduced_formula}: in a cell with edges of"
                f" {', '.join(f'{length:.1f}' for length in material.lattice.abc)} Å a site is {narrow:.2f} grid steps"
                f" wide, and {_NARROWEST} are needed; use a smaller cell or a finer grid"
            )
        place = {symbol: i for i, symbol in enumerate(self.elements)}
        values = self.site_values()[[place[site.specie.symbol] for site in material]]
        drawn = density.voxels(frac_coords, lattice, torch.from_numpy(values)[None], self.grid, widths)
        return drawn[0].numpy()

    def decode(self, array: NDArray[np.float32]) -> Structure:
        """Read one crystal.

        Raises:
            DecodeError: If numbers are not finite, the lattice is none, or no or too many sites are found.
        """
        decoded = self.decode_batch(array[None])[0]
        if isinstance(decoded, DecodeError):
            raise decoded
        return decoded

    def decode_batch(self, arrays: NDArray[np.float32]) -> list[Structure | DecodeError]:
        """Read many crystals, (B, 4 + n_codes, X, Y, Z); where one is none, the reason takes its place."""
        voxels = torch.from_numpy(np.ascontiguousarray(arrays, np.float32))
        finite = voxels.flatten(1).isfinite().all(1)
        voxels = torch.where(finite.view(-1, 1, 1, 1, 1), voxels, 0.0)
        lattice = density.lattice_of(voxels[:, 1:4])
        problems = [
            _lattice_problem(matrix) if ok else "the decoded array holds numbers that are not finite"
            for matrix, ok in zip(lattice.numpy(), finite.tolist(), strict=True)
        ]
        usable = torch.tensor([problem is None for problem in problems])
        found = iter(self._decode_usable(voxels[usable], lattice[usable]) if usable.any() else ())
        return [next(found) if problem is None else DecodeError(problem) for problem in problems]

    def site_values(self) -> NDArray[np.float32]:
        """Return what `density.voxels` draws for a site of each element: height and code, (n_elements, 1 + n_codes)."""
        return np.concatenate([self.heights[:, None], self.codes], 1).astype(np.float32)

    def from_sites(
        self, frac_coords: NDArray[np.float32], species: NDArray[np.int64], lattice: NDArray[np.float32]
    ) -> Structure | DecodeError:
        """Return the crystal of sites that were read from voxels, or the reason why it is none.

        Args:
            frac_coords: (n, 3).
            species: (n,), place in `elements`.
            lattice: (3, 3) in Å.
        """
        problem = _lattice_problem(lattice)
        return DecodeError(problem) if problem else self._structure(frac_coords, species, lattice)

    def _decode_usable(self, voxels: torch.Tensor, lattice: torch.Tensor) -> list[Structure | DecodeError]:
        values = torch.from_numpy(self.site_values())
        sites, species = density.read(voxels, values, self._widths(lattice), self.max_sites + 1)
        found = sites.found.numpy()
        return [
            self._structure(frac_coords[there], kinds[there], matrix)
            for frac_coords, kinds, there, matrix in zip(
                sites.frac_coords.numpy(), species.numpy(), found, lattice.numpy(), strict=True
            )
        ]

    def _structure(
        self, frac_coords: NDArray[np.float32], species: NDArray[np.int64], lattice: NDArray[np.float32]
    ) -> Structure | DecodeError:
        if not len(species):
            return DecodeError("the decoded density has no peak that is high enough for a site")
        if len(species) > self.max_sites:
            return DecodeError(f"the decoded density has more than {self.max_sites} peaks")
        volume = abs(float(np.linalg.det(lattice.astype(float)))) / len(species)
        if volume < _LEAST_VOLUME:
            return DecodeError(
                f"{len(species)} sites were decoded with {volume:.1f} Å^3 each; {_LEAST_VOLUME} is the least"
            )
        order = np.lexsort((*(frac_coords.round(3) % 1.0).T[::-1], species))
        symbols = [self.elements[i] for i in species[order]]
        return Structure(Lattice(lattice.astype(float)), symbols, frac_coords[order].astype(float))

    def _widths(self, lattice: torch.Tensor) -> torch.Tensor:
        """Widths as fractions of the edges, (B, 1, 3)."""
        width = torch.full((len(lattice), 1, 3), self.width)
        if self.unit == "step":
            return width / torch.tensor(self.grid)
        return width if self.unit == "fraction" else width / lattice.norm(dim=-1).unsqueeze(1)

    def _check_number(self, structure: Structure) -> None:
        if len(structure) > self.max_sites:
            raise ValueError(
                f"{structure.composition.reduced_formula}: {len(structure)} sites in the cell, but this model holds"
                f" at most {self.max_sites}; use a smaller cell of the crystal if there is one"
            )


def element_codes(elements: Sequence[str], n_binary: int = 12) -> NDArray[np.float32]:
    """Write each element as a few numbers: four that follow its chemistry, then a binary word.

    The chemical numbers (period, group, electronegativity, Mendeleev number) let alike elements lie close; the
    words differ in at least a third of their digits, so that small noise does not turn one element into another.

    Args:
        elements: Symbols; their order does not change the code of an element.
        n_binary: Digits, each -0.5 or 0.5. 12 can tell 128 elements apart in 4 digits.

    Returns:
        (n_elements, 4 + n_binary), the chemical numbers standardized over all elements up to plutonium.
    """
    everything = [Element.from_Z(z) for z in range(1, 95)]
    chemistry = np.array([_chemistry(element) for element in everything])
    chemistry = (chemistry - chemistry.mean(0)) / chemistry.std(0)
    words: list[int] = []
    for word in range(2**n_binary):  # the lexicode: each next number that is far from all words so far
        if all((word ^ other).bit_count() >= n_binary // 3 for other in words):
            words.append(word)
    digits = (np.array(words)[:, None] >> np.arange(n_binary) & 1) - 0.5
    if len(digits) < len(everything):
        raise ValueError(
            f"{n_binary} digits give {len(digits)} words, too few for {len(everything)} elements; use 12 or more"
        )
    table = np.concatenate([0.5 * chemistry, digits[: len(everything)]], 1)
    return table[[Element(symbol).Z - 1 for symbol in elements]].astype(np.float32)


def _chemistry(element: Any) -> tuple[float, float, float, float]:
    return float(element.row), float(element.group), _electronegativity(element), float(element.mendeleev_no)


def _edges(lengths: Sequence[float]) -> str:
    return ", ".join(f"{length:.1f}" for length in lengths)


def _lattice_problem(lattice: NDArray[np.float32]) -> str | None:
    lengths = np.linalg.norm(lattice, axis=1)
    if lengths.min() < _LENGTHS[0] or lengths.max() > _LENGTHS[1]:
        edges = ", ".join(f"{length:.2f}" for length in lengths)
        return f"the decoded cell has edges of {edges} Å; expected {_LENGTHS[0]} to {_LENGTHS[1]:.0f}"
    volume = abs(float(np.linalg.det(lattice.astype(float))))
    if volume < 0.1 * float(lengths.prod()):
        return f"the decoded cell is flat: {volume:.1f} Å^3 between edges of product {lengths.prod():.1f}"
    return None
