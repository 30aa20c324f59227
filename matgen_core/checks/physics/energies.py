"""How far a crystal lies above the hull of known phases, and how sure that is.

The energy of the candidate is a potential's, turned into a formation energy by the shifts of the checkpoint
`formation_references`; the energies of all other phases are the data's own.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pymatgen.core import Structure

from matgen_core.checkpoint import Checkpoint
from matgen_core.checks.physics.bonds import corrected_atoms
from matgen_core.checks.physics.hull import Hull
from matgen_core.checks.verdict import Verdict
from matgen_core.networks.arrays.cells import Cells
from matgen_core.networks.models.formation_references import FormationReferences
from matgen_core.representations import ElementFractions

STABLE, NEAR = 0.0, 0.1  # eV/atom above the hull
IMPOSSIBLE_ENERGY, IMPOSSIBLE_DISTANCE = -6.0, -0.5  # eV/atom; deeper than any crystal that is known
AGREEMENT = 0.1  # eV/atom, between two potentials that both know a crystal
NEW_CHEMISTRY = "tested on known crystals; expect about ± 0.05 eV/atom for new chemistry"


@dataclass(frozen=True)
class Energy:
    """What a potential says of a crystal.

    Attributes:
        potential: Its name.
        per_atom: eV.
    """

    potential: str
    per_atom: float


@dataclass(frozen=True)
class Odds:
    """Of known crystals of unseen chemical systems with such a predicted distance, how many are truly that near.

    Attributes:
        n: Crystals that were counted.
        stable: Share at 0 eV/atom or below.
        near: Share at 0.1 eV/atom or below.
    """

    n: int
    stable: float
    near: float


@dataclass(frozen=True)
class Stability:
    """How a crystal stands against the known phases.

    Attributes:
        formation_energy: eV/atom; None where an element has no reference.
        distance: eV/atom above the hull of all other phases, negative below it; None where it was not checked.
        stable: Whether it lies at 0 or below; undecided where it was not checked.
        near: Whether it lies at 0.1 or below; likewise.
        phases: The mixture that it is held against: formula and share of the atoms.
        odds: How sure that is; None where nothing was counted.
        is_doubted: Whether the energy is impossibly low, and no second potential agrees.
    """

    formation_energy: float | None
    distance: float | None
    stable: Verdict
    near: Verdict
    phases: tuple[tuple[str, float], ...] = ()
    odds: Odds | None = None
    is_doubted: bool = False


class FormationEnergies:
    """Formation energies and hull distances by the tables of a checkpoint."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        """Take the tables of a checkpoint of `formation_references`.

        Raises:
            ValueError: If it is another one.
        """
        model, representation = checkpoint.model, checkpoint.representation
        if not (isinstance(model, FormationReferences) and isinstance(representation, ElementFractions)):
            raise ValueError(f"{checkpoint.name} holds no reference energies; take formation_references")
        self._model = model
        self._representation = representation
        self.elements = representation.elements
        self._bars: dict[str, list[dict[str, Any]]] = checkpoint.metrics.get("error_bars", {})
        self.hull = Hull(
            self.elements,
            model.phase_elements.long().numpy(),
            model.phase_counts.long().numpy(),
            model.phase_energies.double().numpy(),
            model.phase_ids.long().numpy(),
        )

    @property
    def potentials(self) -> tuple[str, ...]:
        """Potentials whose energies can be used."""
        return self._model.config.potentials

    def formation_energy(self, structure: Structure, energy: Energy) -> float:
        """Return the formation energy in eV/atom.

        Raises:
            ValueError: If the potential or an element has no reference, or the energy is no number; one line.
        """
        fractions = self._representation.encode(structure.composition)
        if not np.isfinite(energy.per_atom):
            raise ValueError(f"{energy.potential} gave no finite energy")
        symbols = {self.elements[place] for place in np.flatnonzero(fractions)}
        cells = Cells.of([([site.specie.Z for site in structure], structure.lattice.matrix, structure.frac_coords)])
        found = self._model.formation_energy(
            energy.potential,
            torch.tensor([energy.per_atom], dtype=torch.float64),
            torch.from_numpy(fractions)[None],
            torch.tensor([bool(symbols & {"O", "F"})]),
            corrected_atoms(cells) / len(structure),
        )
        if not bool(found.isfinite()):
            raise ValueError(f"no reference energy for {', '.join(self._unknown(energy.potential, fractions))}")
        return float(found)

    def stability(
        self,
        structure: Structure,
        energy: Energy,
        second: Energy | None = None,
        leave_out: Collection[str] = (),
    ) -> Stability:
        """Hold a crystal against the known phases of its elements.

        Args:
            structure: An ordered crystal, relaxed with the potential.
            energy: Of this crystal.
            second: What another potential says of the same crystal; asked for where the first is impossibly low.
            leave_out: Materials Project ids of this very crystal, whose entries shall not count.
        """
        try:
            formed = self.formation_energy(structure, energy)
        except ValueError as error:
            return _not_checked(None, f"not checked: {error}")
        fractions = self._representation.encode(structure.composition)
        point = self.hull.at(fractions, leave_out)
        if not point.n_compounds and np.count_nonzero(fractions) > 1:
            system = "-".join(sorted(element.symbol for element in structure.composition.elements))
            return _not_checked(
                formed, f"not checked: no known compound of {system} or a part of it to hold it against"
            )
        distance = formed - point.energy
        if formed < IMPOSSIBLE_ENERGY or distance < IMPOSSIBLE_DISTANCE:
            doubt = self._doubt(structure, distance, second, point.energy)
            if doubt:
                return replace(_not_checked(formed, doubt), is_doubted=True)
        mixture = " + ".join(formula for formula, _ in point.phases)
        side = "below" if distance < 0 else "above"
        told = f"{abs(distance):.3f} eV/atom {side} {mixture} by {energy.potential}"
        return Stability(
            formed,
            distance,
            Verdict(distance <= STABLE, told),
            Verdict(distance <= NEAR, told),
            point.phases,
            self.odds(energy.potential, distance),
        )

    def odds(self, potential: str, distance: float) -> Odds | None:
        """Return how sure a distance is, from the table that the recipe measured; None where there is none."""
        for row in self._bars.get(potential, []):
            low, high = (-np.inf if row["from"] is None else row["from"], np.inf if row["to"] is None else row["to"])
            if low <= distance < high and row["n"]:
                return Odds(row["n"], row["stable"], row["near"])
        return None

    def _doubt(self, structure: Structure, distance: float, second: Energy | None, hull: float) -> str:
        """Say why an impossibly low energy is not believed, "" if another potential agrees."""
        deep = f"impossibly low, {distance:+.2f} eV/atom from the hull: probably a hole of the potential"
        if second is None:
            return f"refused: {deep}; ask a second potential"
        try:
            other = self.formation_energy(structure, second) - hull
        except ValueError as error:
            return f"refused: {deep}; the second potential cannot say ({error})"
        if abs(other - distance) > AGREEMENT:
            return f"refused: {deep}; {second.potential} says {other:+.2f}"
        return ""

    def _unknown(self, potential: str, fractions: NDArray[np.float64]) -> list[str]:
        row, pure = self._model.config.potentials.index(potential), bool((fractions > 0.999999).any())
        table = (self._model.element_energies if pure else self._model.shifts)[row].numpy()
        return [self.elements[place] for place in np.flatnonzero((fractions > 0) & ~np.isfinite(table))]


def _not_checked(formation_energy: float | None, reason: str) -> Stability:
    undecided = Verdict(None, reason)
    return Stability(formation_energy, None, undecided, undecided)
