"""The convex hull of the known phases of a chemical system, at one composition.

A candidate is held against the mixture of known phases with the least energy at its composition, a linear program of a
few milliseconds. The elements are at 0. Reference: Ong et al., Chem. Mater. 20, 1798 (2008), doi:10.1021/cm702327g
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Composition

_SHARE_SHOWN = 1e-4  # of the atoms


@dataclass(frozen=True)
class HullPoint:
    """The hull at a composition.

    Attributes:
        energy: eV/atom, the least formation energy of a mixture of known phases.
        phases: Formula and share of the atoms of each phase of that mixture, the largest share first.
        n_compounds: Known compounds of these elements that were looked at; with none the elements stand alone.
    """

    energy: float
    phases: tuple[tuple[str, float], ...]
    n_compounds: int


@dataclass(frozen=True, eq=False)
class Hull:
    """Known compounds, P of them.

    Attributes:
        elements: Symbols, in the order of the places.
        places: (P, widest) place of each element of a compound, -1 behind them.
        counts: (P, widest) atoms of each in the reduced formula, 0 behind them.
        energies: (P,) formation energy in eV/atom.
        ids: (P,) as `phase_number` writes them.
    """

    elements: tuple[str, ...]
    places: NDArray[np.int64]
    counts: NDArray[np.int64]
    energies: NDArray[np.float64]
    ids: NDArray[np.int64]

    def at(self, fractions: NDArray[np.float64], leave_out: Collection[str] = ()) -> HullPoint:
        """Find the hull at a composition.

        Args:
            fractions: (n_elements,) share of each element, of sum 1.
            leave_out: Material ids of compounds that shall not count: the candidate's own.
        """
        from scipy.optimize import linprog  # takes long to import

        present = np.flatnonzero(fractions > 0)
        wanted = np.append(np.isin(np.arange(len(self.elements)), present), True)  # -1 is the last: always there
        rows = np.flatnonzero(wanted[self.places].all(1))
        numbers = [number for number in map(phase_number, leave_out) if number]
        rows = rows[~np.isin(self.ids[rows], numbers)]
        atoms = np.zeros((len(rows), len(self.elements) + 1))
        np.put_along_axis(atoms, self.places[rows], self.counts[rows].astype(float), 1)
        shares = atoms[:, present] / atoms[:, present].sum(1, keepdims=True)
        corners = np.concatenate([shares, np.eye(len(present))])
        energies = np.append(self.energies[rows], np.zeros(len(present)))
        found = linprog(energies, A_eq=corners.T, b_eq=fractions[present], bounds=(0, None), method="highs")
        return HullPoint(float(found.fun), self._mixture(found.x, rows, present), len(rows))

    def _mixture(
        self, weights: NDArray[np.float64], rows: NDArray[np.int64], present: NDArray[np.int64]
    ) -> tuple[tuple[str, float], ...]:
        kept = [place for place in np.argsort(-weights) if weights[place] > _SHARE_SHOWN]
        named = [
            self._formula(rows[place])
            if place < len(rows)
            else Composition(self.elements[present[place - len(rows)]]).reduced_formula  # N2, not N
            for place in kept
        ]
        return tuple((formula, float(weights[place])) for formula, place in zip(named, kept, strict=True))

    def _formula(self, row: int) -> str:
        parts = zip(self.places[row], self.counts[row], strict=True)
        return Composition({self.elements[place]: int(n) for place, n in parts if place >= 0}).reduced_formula


def phase_number(material_id: str) -> int:
    """Return a Materials Project id as one number: 123 for mp-123, -123 for mvc-123, 0 for what is neither."""
    kind, _, number = material_id.partition("-")
    return {"mp": 1, "mvc": -1}.get(kind, 0) * int(number) if number.isdecimal() else 0
