"""Crystals as a cell and a list of sites, in slots that belong to an element each: the layout of the point-cloud GANs.

Row 0 holds the lengths of the cell, row 1 its angles, each further row the fractional coordinates of one site. An
element has as many rows as a crystal may hold of its atoms. Coordinates are squeezed towards the middle of the cell, so
that an empty row, which is 0, is no site. Mg8 Mn8 O12 takes 30 rows.

Reference: Kim et al., ACS Cent. Sci. 6, 1412 (2020), doi:10.1021/acscentsci.0c00426
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Composition, Element, Lattice, Structure

from matgen_core.materials.formulas import Formulas
from matgen_core.networks.arrays.clouds import CELL_ROWS, LONGEST, SQUEEZED, WIDEST
from matgen_core.representations._errors import DecodeError

OCCUPIED = 0.4  # least sum of a row that is a site; the squeezed coordinates of one sum to 0.5 and more
_LENGTHS = (1.5, 100.0)  # Å; edges of a cell that a decoded lattice may have
_LEAST_VOLUME = 3.0  # Å^3 a site; a hydrogen atom in the densest known hydrides takes about 4
_ANGLES = (5.0, 175.0)  # degrees; beyond them a cell is flat


@dataclass(frozen=True)
class PointCloud:
    """(2 + sum of slots, 3): lengths / 30 Å, angles / 180 degrees, then the sites.

    Attributes:
        elements: Symbols, in the order of their rows.
        slots: Most atoms of each in a cell.
    """

    elements: tuple[str, ...]
    slots: tuple[int, ...]

    def __post_init__(self) -> None:
        """See that elements and slots fit each other.

        Raises:
            ValueError: If not; the line says what does not.
        """
        if not self.elements or len(self.elements) != len(self.slots):
            raise ValueError(
                f"{len(self.elements)} elements with {len(self.slots)} numbers of slots; give one number an element"
            )
        if len(set(self.elements)) < len(self.elements):
            raise ValueError(f"an element stands twice in {' '.join(self.elements)}; give each once")
        unknown = [symbol for symbol in self.elements if not Element.is_valid_symbol(symbol)]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is no element; give symbols, such as Mg Mn O")
        few = [f"{symbol} {n}" for symbol, n in zip(self.elements, self.slots, strict=True) if n < 1]
        if few:
            raise ValueError(f"slots for {', '.join(few)}; an element needs at least 1")

    @property
    def shape(self) -> tuple[int, int]:
        """(Rows, 3)."""
        return CELL_ROWS + sum(self.slots), 3

    @property
    def symbols(self) -> tuple[str, ...]:
        """The element of each slot, (sum of slots,)."""
        return tuple(symbol for symbol, n in zip(self.elements, self.slots, strict=True) for symbol in [symbol] * n)

    def counts(self, composition: Composition) -> tuple[int, ...]:
        """Return how many atoms of each element a cell of a composition holds, (n_elements,).

        Raises:
            ValueError: If an element has no slots, there are more atoms than slots, or an amount is no whole number.
        """
        amounts: Mapping[str, float] = composition.get_el_amt_dict()
        outside = [symbol for symbol in amounts if symbol not in self.elements]
        if outside:
            raise ValueError(f"no slots for {', '.join(outside)}: the elements are {', '.join(self.elements)}")
        broken = [f"{symbol} {amount:g}" for symbol, amount in amounts.items() if amount != round(amount)]
        if broken:
            raise ValueError(f"{', '.join(broken)}: a cell holds whole atoms; give whole numbers")
        found = tuple(round(amounts.get(symbol, 0)) for symbol in self.elements)
        many = [
            f"{n} {symbol} where there are {most} slots"
            for symbol, n, most in zip(self.elements, found, self.slots, strict=True)
            if n > most
        ]
        if many:
            (text,) = Formulas.of_compositions([composition]).texts()
            raise ValueError(f"{text} does not fit: {', '.join(many)}")
        return found

    def encode(self, material: Structure) -> NDArray[np.float32]:
        """Write one crystal, in the cell that it has.

        Raises:
            ValueError: If a site is partly occupied, the slots cannot hold the sites, or an edge is too long.
        """
        if not material.is_ordered:
            raise ValueError("partially occupied sites; order the structure first")
        self.counts(material.composition)
        lattice = material.lattice
        if max(lattice.abc) > LONGEST:
            raise ValueError(f"an edge of {max(lattice.abc):.1f} Å; the cell rows hold up to {LONGEST:g} Å")
        array = np.zeros(self.shape)
        array[0], array[1] = np.array(lattice.abc) / LONGEST, np.array(lattice.angles) / WIDEST
        first = dict(zip(self.elements, np.cumsum((CELL_ROWS, *self.slots[:-1])).tolist(), strict=True))
        for site in material:
            # A coordinate of 1 - 1e-17 is 1 in float32, which is the other end of the cell; both are one place.
            array[first[site.specie.symbol]] = SQUEEZED * (site.frac_coords % 1.0 - 0.5) + 0.5
            first[site.specie.symbol] += 1
        return array.astype(np.float32)

    def decode(self, array: NDArray[np.float32]) -> Structure:
        """Read one crystal; sites stand in the order of the rows.

        Raises:
            DecodeError: If numbers are not finite, the cell is none, or no row is a site.
        """
        if not np.isfinite(array).all():
            raise DecodeError("the decoded array holds numbers that are not finite")
        values = array.astype(float)
        lengths, angles = values[0] * LONGEST, values[1] * WIDEST
        if lengths.min() < _LENGTHS[0] or lengths.max() > _LENGTHS[1]:
            edges = ", ".join(f"{length:.2f}" for length in lengths)
            raise DecodeError(f"the decoded cell has edges of {edges} Å; expected {_LENGTHS[0]:g} to {_LENGTHS[1]:g}")
        if angles.min() < _ANGLES[0] or angles.max() > _ANGLES[1] or not _closes(angles):
            found = ", ".join(f"{angle:.1f}" for angle in angles)
            raise DecodeError(f"the decoded cell has angles of {found} degrees, which no cell has")
        rows = values[CELL_ROWS:]
        sites = np.flatnonzero(rows.sum(1) > OCCUPIED)
        if not len(sites):
            raise DecodeError("no row of the decoded array is a site")
        lattice = Lattice.from_parameters(*lengths, *angles)
        per_site = lattice.volume / len(sites)
        if per_site < _LEAST_VOLUME:
            raise DecodeError(f"the decoded cell has {per_site:.2f} Å^3 a site; expected {_LEAST_VOLUME:g} at least")
        symbols = self.symbols
        frac_coords = ((rows[sites] - 0.5) / SQUEEZED + 0.5) % 1.0
        return Structure(lattice, [symbols[i] for i in sites], frac_coords)


def _closes(angles: NDArray[np.float64]) -> bool:
    """Whether three angles in degrees meet in a corner."""
    a, b, c = np.cos(np.radians(angles))
    return bool(1 + 2 * a * b * c - a * a - b * b - c * c > 1e-6)
