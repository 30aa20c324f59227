"""How right formation energies and hull calls are, on crystals of chemical systems that no shift was fitted to.

Truth is the formation energy of the data over the hull of all other phases. A crystal without a prediction counts as a
wrong call.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from matgen_core.checks.physics.bonds import BOND_KINDS, MOLECULES, corrected_atoms
from matgen_core.checks.physics.energies import IMPOSSIBLE_DISTANCE, NEAR, STABLE
from matgen_core.checks.physics.hull import Hull
from matgen_core.networks.arrays.cells import Cells
from matgen_core.networks.arrays.formation import (
    BONDED_HELD_OUT,
    FIT,
    HELD_OUT,
    MOLECULAR,
    FormationArrays,
    PotentialArrays,
    RelaxedArrays,
)
from matgen_core.networks.learning.formation_references import DISTORTED, KNOWN
from matgen_core.networks.models.formation_references import FormationReferences
from matgen_core.networks.potentials import CONVERGED, OUTCOMES
from matgen_core.recipes.formation_references.fit import Compositions

CALLS = {"at_0": STABLE, "at_005": 0.05, "at_01": NEAR}  # eV/atom above the hull
BINS = (None, -0.1, 0.0, 0.05, 0.1, 0.2, None)  # of the predicted distance, eV/atom
LARGE_ERROR = 0.1  # eV/atom
RETURNED = 0.005  # eV/atom; so near lies a crystal that came back to its undistorted start
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Judge:
    """What the predictions for held-out crystals are held against.

    Attributes:
        model: With the shifts.
        arrays: The crystals.
        shares: Of all of them, as they stand.
        rows: (R,) the held-out crystals.
        hulls: (R,) hull of all other phases at the composition of each, eV/atom.
    """

    model: FormationReferences
    arrays: FormationArrays
    shares: Compositions
    rows: NDArray[np.int64]
    hulls: Array

    @classmethod
    def of(cls, model: FormationReferences, arrays: FormationArrays, shares: Compositions, hull: Hull) -> "Judge":
        """Find the hull under each held-out crystal."""
        rows = arrays.rows(HELD_OUT).numpy()
        found = [hull.at(shares.fractions[row], [arrays.ids[row]]).energy for row in rows]
        return cls(model, arrays, shares, rows, np.array(found))

    @property
    def truth(self) -> Array:
        """Distance of each held-out crystal from the hull of all other phases, eV/atom."""
        return self.arrays.formation_energy[self.rows].numpy() - self.hulls

    def single(self, name: str, energy: Array) -> dict[str, Any]:
        """Compute the figures of energies (S,) of the crystals as they stand, eV/atom."""
        return calls(self.truth, self.formed(name, energy[self.rows], self.rows) - self.hulls)

    def of_second(self, name: str, found: PotentialArrays) -> dict[str, Any]:
        """Compute the figures of a potential that relaxed nothing."""
        energy = found.single[name].numpy()
        return {"single": self.single(name, energy), "bonds": self._bonds(name, energy)}

    def of_potential(self, name: str, found: PotentialArrays) -> dict[str, Any]:
        """Compute the figures of a potential: as the crystals stand, relaxed from there, and from distorted starts."""
        rows, hulls, truth = self.rows, self.hulls, self.truth
        figures: dict[str, Any] = {"single": self.single(name, found.single[name].numpy())}
        for start in (KNOWN, DISTORTED):
            done = found.relaxed[f"{name}/{start}"]
            bonded = _bonded(self.arrays.crystals.select(torch.from_numpy(rows)), done)
            before = self.formed(name, done.start_energy.numpy(), rows)
            after = self.formed(name, done.energy.numpy(), rows, bonded) - hulls
            figures[start] = calls(truth, after) | _course(done) | {"unrelaxed": calls(truth, before - hulls)}
            if start == KNOWN:
                volumes = torch.linalg.det(done.cells).abs() / self.arrays.crystals.volumes[rows]
                figures[start]["volume_change_median"] = float((volumes - 1).abs().median())
            else:
                figures["error_bars"] = error_bars(truth, after)
                figures["back_to_start_share"] = _returned(found.relaxed[f"{name}/{KNOWN}"], done)
        return figures | {"bonds": self._bonds(name, found.single[name].numpy())}

    def formed(self, name: str, energy: Array, rows: NDArray[np.int64], bonded: Array | None = None) -> Array:
        """Return formation energies of some crystals, eV/atom.

        Args:
            name: The potential.
            energy: (R,) its energies, eV/atom.
            rows: (R,) which crystals.
            bonded: (R, n_bond_kinds) shares after relaxation; as the crystals stand if it is not given.
        """
        chosen = self.shares.bonded[rows] if bonded is None else bonded
        return self.model.formation_energy(
            name,
            torch.from_numpy(energy),
            torch.from_numpy(self.shares.fractions[rows]),
            torch.from_numpy(self.shares.oxidized[rows]),
            torch.from_numpy(chosen),
        ).numpy()

    def _bonds(self, name: str, energies: Array) -> dict[str, Any]:
        """Hold formation energies of held-out crystals with O-O or F-F bonds against the truth, and of molecules."""
        rows = self.arrays.rows(BONDED_HELD_OUT).numpy()
        compounds = self.arrays.rows(FIT, HELD_OUT, MOLECULAR, BONDED_HELD_OUT).numpy()
        row = self.model.config.potentials.index(name)
        molecules = {}
        for each in MOLECULES:
            place = BOND_KINDS.index(each.kind)
            holding = compounds[self.shares.bonded[compounds, place] > 0]
            # Of a molecule in a cell so large that it is alone, the energy per atom is that of the element.
            alone = -float(self.model.bond_shifts[row, place])
            molecules[each.kind] = self._with_and_without(name, energies, holding) | {"alone": alone}
        return self._with_and_without(name, energies, rows) | {"molecules": molecules}

    def _with_and_without(self, name: str, energies: Array, rows: NDArray[np.int64]) -> dict[str, Any]:
        """Return how far formation energies lie from those of the data with the shifts of bonds and without."""
        truth, energy = self.arrays.formation_energy[rows].numpy(), energies[rows]
        errors = {
            "with": self.formed(name, energy, rows) - truth,
            "without": self.formed(name, energy, rows, np.zeros_like(self.shares.bonded[rows])) - truth,
        }
        known = np.isfinite(errors["with"])
        return {"n": int(known.sum())} | {
            key: {"bias": float(error[known].mean()), "mae": float(np.abs(error[known]).mean())}
            if known.any()
            else None
            for key, error in errors.items()
        }


def calls(truth: Array, predicted: Array) -> dict[str, Any]:
    """Compare distances from the hull, eV/atom; NaN where there is no prediction, which makes a call wrong.

    Returns:
        n, n_missing, errors (mae, median, p90, bias; share_large above 0.1), n_impossible (would be refused), and of
        each of `CALLS` the share that is right, with precision and recall of "at or below".
    """
    known = np.isfinite(predicted)
    error = predicted[known] - truth[known]
    figures: dict[str, Any] = {
        "n": len(truth),
        "n_missing": int((~known).sum()),
        "n_impossible": int((predicted[known] < IMPOSSIBLE_DISTANCE).sum()),
        "mae": float(np.abs(error).mean()),
        "median": float(np.median(np.abs(error))),
        "p90": float(np.quantile(np.abs(error), 0.9)),
        "bias": float(error.mean()),
        "share_large": float((np.abs(error) > LARGE_ERROR).mean()),
    }
    for name, limit in CALLS.items():
        low, called = truth <= limit, known & (predicted <= limit)
        figures[name] = {
            "right": float(((called == low) & known).mean()),
            "always_yes": float(low.mean()),
            "precision": float(low[called].mean()) if called.any() else float("nan"),
            "recall": float(called[low].mean()) if low.any() else float("nan"),
        }
    return figures


def error_bars(truth: Array, predicted: Array, bins: Sequence[float | None] = BINS) -> list[dict[str, Any]]:
    """Count, by the predicted distance, how many are truly stable and near; a bin holds its lower end."""
    rows = []
    for low, high in pairwise(bins):
        inside = (predicted >= (-np.inf if low is None else low)) & (predicted < (np.inf if high is None else high))
        there = truth[inside]
        rows.append(
            {
                "from": low,
                "to": high,
                "n": int(inside.sum()),
                "stable": float((there <= STABLE).mean()) if len(there) else float("nan"),
                "near": float((there <= NEAR).mean()) if len(there) else float("nan"),
            }
        )
    return rows


def _course(done: RelaxedArrays) -> dict[str, Any]:
    tried = (done.outcome >= 0).numpy()
    converged = (done.outcome == OUTCOMES.index(CONVERGED)).numpy()
    return {
        "converged": float(converged.mean()),
        "not_reached": int((~tried).sum()),
        "steps_mean": float(done.steps.double()[tried].mean()),
        "outcomes": {name: int((done.outcome == place).sum()) for place, name in enumerate(OUTCOMES)},
    }


def _returned(known: RelaxedArrays, distorted: RelaxedArrays) -> float:
    """Share of the distorted crystals that come back to the energy of the undistorted ones."""
    return float(((known.energy - distorted.energy).abs() < RETURNED).double().mean())


def _bonded(first: Cells, done: RelaxedArrays) -> Array:
    """Shares of bonded anions in the crystals as they were relaxed to."""
    cells = Cells(first.numbers, done.frac_coords, done.cells, first.counts)
    return corrected_atoms(cells).numpy() / first.counts.numpy()[:, None]
