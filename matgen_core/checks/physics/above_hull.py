"""Distances from the hull of thousands of crystals of few compositions."""

import numpy as np
from pymatgen.core import Structure

from matgen_core import checkpoint as checkpoints
from matgen_core.checks.physics.energies import IMPOSSIBLE_DISTANCE, IMPOSSIBLE_ENERGY, Energy, FormationEnergies


class HullOf:
    """Distances from the hull; the hull at a composition is looked for once."""

    def __init__(self, energies: FormationEnergies) -> None:
        self._energies, self._hull = energies, dict[tuple[str, str], float]()

    @classmethod
    def installed(cls) -> "HullOf":
        """Take the reference energies and known phases of the checkpoint of the physics checks."""
        return cls(FormationEnergies(checkpoints.load("formation_references")))

    def of(self, crystal: Structure, potential: str, energy: float, own: str) -> tuple[float, float]:
        """Return formation energy and hull distance in eV/atom; NaN where there is no reference or it is not believed.

        Args:
            crystal: Relaxed.
            potential: Whose energy it is.
            energy: eV/atom.
            own: Material id of this very crystal, whose entry shall not count; "" for none.
        """
        try:
            formation = self._energies.formation_energy(crystal, Energy(potential, energy))
        except ValueError:
            return float("nan"), float("nan")
        key = (crystal.composition.reduced_formula, own)
        if key not in self._hull:
            composition = crystal.composition
            shares = np.array([composition.get_atomic_fraction(each) for each in self._energies.elements])
            self._hull[key] = self._energies.hull.at(shares, (own,) if own else ()).energy
        distance = formation - self._hull[key]
        believed = formation > IMPOSSIBLE_ENERGY and distance > IMPOSSIBLE_DISTANCE
        return (formation, distance) if believed else (float("nan"), float("nan"))
