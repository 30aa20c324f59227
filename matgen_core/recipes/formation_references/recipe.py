"""Recipe of the reference energies: evaluate known crystals, fit shifts, judge them on unseen chemical systems."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pymatgen.core import Element

from matgen_core import data
from matgen_core.checkpoint import Checkpoint
from matgen_core.checks.physics.bonds import BOND_KINDS
from matgen_core.checks.physics.energies import IMPOSSIBLE_DISTANCE, NEAR, STABLE, FormationEnergies
from matgen_core.materials.elements import element_table
from matgen_core.materials.levels import CRYSTAL
from matgen_core.networks.arrays.formation import FIT, HELD_OUT, ROLES, FormationArrays, PotentialArrays
from matgen_core.networks.learning import LEARNERS, runs
from matgen_core.networks.learning.formation_references import (
    CRYSTALS,
    DISTORTED,
    FILE,
    FormationReferencesLearner,
)
from matgen_core.networks.models.formation_references import FormationReferences, FormationReferencesConfig
from matgen_core.networks.potentials import evaluate, load_potential
from matgen_core.recipes.formation_references.data import HULL, STRUCTURES, formation_arrays
from matgen_core.recipes.formation_references.figures import CALLS, LARGE_ERROR, RETURNED, Judge, calls
from matgen_core.recipes.formation_references.fit import LEAST_OF_ELEMENT, Compositions, Shifts, compositions, fitted
from matgen_core.recipes.formation_references.phases import Phases, known_phases
from matgen_core.recipes.formation_references.scoreboard import scoreboard
from matgen_core.recipes.shared.card import with_card
from matgen_core.recipes.shared.runs import provenance, without_nan
from matgen_core.representations import ElementFractions
from matgen_core.tasks.validation import scoreboards

SYSTEM = "Physics: energies above the hull"
BEST = "7net-l3i5"  # the potential of the headline
# eV/atom: what a card says of the figures
LIMITS = {
    "stable": STABLE,
    "between": CALLS["at_005"],
    "near": NEAR,
    "large_error": LARGE_ERROR,
    "impossible": IMPOSSIBLE_DISTANCE,
    "returned": RETURNED,
}


@dataclass(frozen=True)
class FormationReferencesRecipe:
    """Settings of the checkpoint."""

    name: str = "formation_references"
    learner: FormationReferencesLearner = LEARNERS["formation_references"]
    n_fit: int = 6_000
    n_held_out: int = 1_000
    n_samples: int = 1_000
    seed: int = 0

    def prepare(self, path: Path) -> None:
        """Write the crystals that are evaluated."""
        formation_arrays(self.n_fit, self.n_held_out, self.seed).save(path)

    def learn(self, arrays: Path, folder: Path, device: str, minutes: float | None = None) -> None:
        """Evaluate and relax them with every potential: minutes on a GPU, half a day on a CPU."""
        runs.learn(self.name, replace(self.learner, seed=self.seed), arrays, folder, device, minutes)

    def describe(self, folder: Path) -> Checkpoint:
        """Fit the shifts to what a run left in a folder, judge them, and make the checkpoint.

        Raises:
            ValueError: If the folder holds no finished run of this recipe.
        """
        run = runs.read_settings(folder, self.name)
        arrays, found = _read(folder)
        return self._made(arrays, found, run)

    def evaluate(self, checkpoint: Checkpoint) -> dict[str, Any]:
        """Compute the figures of held-out crystals as they stand anew; those of relaxed ones take a run of `learn`."""
        model: Any = checkpoint.model
        representation: Any = checkpoint.representation
        whole = formation_arrays(self.n_fit, self.n_held_out, self.seed)
        rows = whole.rows(HELD_OUT)
        arrays = FormationArrays(
            whole.crystals.select(rows),
            tuple(whole.ids[row] for row in rows),
            whole.formation_energy[rows],
            whole.role[rows],
        )
        shares = compositions(arrays, _numbers(representation.elements))
        judge = Judge.of(model, arrays, shares, FormationEnergies(checkpoint).hull)
        return {
            name: {"single": judge.single(name, evaluate(load_potential(name), arrays.crystals)[0].numpy())}
            for name in model.config.potentials
        }

    def apart(self, checkpoint: Checkpoint) -> Mapping[str, Callable[[], Any]]:
        """Return what is measured by itself: the scoreboard, of generators that the checkpoint judges."""
        return {scoreboards.KEY: lambda: scoreboard(self.n_samples, self.seed)}

    def _made(self, arrays: FormationArrays, found: PotentialArrays, run: dict[str, Any]) -> Checkpoint:
        elements = tuple(element_table())
        shares = compositions(arrays, _numbers(elements))
        shifts = {name: fitted(arrays, shares, energy, elements) for name, energy in found.single.items()}
        phases = known_phases(elements)
        model = FormationReferences(
            FormationReferencesConfig(len(elements), tuple(shifts), tuple(BOND_KINDS), *phases.places.shape)
        )
        model.load_state_dict(_tables(shifts, phases))
        made = Checkpoint(
            name=self.name,
            model_name="formation_references",
            model=model,
            representation=ElementFractions(elements),
            metrics={},
            card="",
            provenance={
                "title": "Reference energies and known phases for hull distances",
                "system": SYSTEM,
                "level": CRYSTAL.key,
                **provenance(self.name, self.seed, data.load(STRUCTURES), data.load(HULL), run=run),
                "chosen": {role: len(arrays.rows(role)) for role in ROLES},
            },
        )
        judge = Judge.of(model, arrays, shares, FormationEnergies(made).hull)
        judged = {name: judge.of_potential(name, found) for name in shifts if f"{name}/{DISTORTED}" in found.relaxed}
        metrics = {
            "headline": _headline(judged),
            "potentials": judged,
            "seconds": {name: judge.of_second(name, found) for name in shifts if name not in judged},
            "error_bars": {name: figures.pop("error_bars") for name, figures in judged.items()},
            "baselines": _baselines(judge, elements, found),
            "fit": _fit_figures(arrays, shares, shifts, elements),
            "limits": LIMITS,
            "hull": {"n_phases": len(phases.ids), "n_read": phases.n_read, "n_unreadable": phases.n_unreadable},
            "speed": {
                part: {"seconds": float(seconds), "n": int(n), "per_second": float(n / seconds)}
                for part, (seconds, n) in sorted(found.seconds.items())
            },
        }
        return with_card(replace(made, metrics=without_nan(metrics)))


def _read(folder: Path) -> tuple[FormationArrays, PotentialArrays]:
    if not ((folder / CRYSTALS).is_file() and (folder / FILE).is_file()):
        raise ValueError(f"{folder} holds no finished run: {CRYSTALS} or {FILE} is missing")
    return FormationArrays.load(folder / CRYSTALS), PotentialArrays.load(folder / FILE)


def _numbers(elements: tuple[str, ...]) -> NDArray[np.int64]:
    return np.array([Element(symbol).Z for symbol in elements])


def _tables(shifts: dict[str, Shifts], phases: Phases) -> dict[str, torch.Tensor]:
    """Return what the model stores."""
    each = list(shifts.values())
    tables = {
        "shifts": np.stack([found.elements for found in each]).astype(np.float32),
        "oxidized_shifts": np.stack([found.oxidized for found in each]).astype(np.float32),
        "bond_shifts": np.stack([found.bonds for found in each]).astype(np.float32),
        "element_energies": np.stack([found.element_energies for found in each]).astype(np.float32),
        "phase_elements": phases.places,
        "phase_counts": phases.counts,
        "phase_energies": phases.energies,
        "phase_ids": phases.ids,
    }
    return {name: torch.from_numpy(np.ascontiguousarray(table)) for name, table in tables.items()}


def _headline(judged: dict[str, Any]) -> dict[str, str]:
    best = BEST if BEST in judged else next(iter(judged))
    return {
        "figure": f"right hull calls at 0.1 eV/atom, unseen chemical systems, from distorted starts ({best})",
        "ours": f"{judged[best][DISTORTED]['at_01']['right']:.1%}",
        "paper": "not given",
    }


def _baselines(judge: Judge, elements: tuple[str, ...], found: PotentialArrays) -> dict[str, Any]:
    """What the composition alone says, and what shifts of the elements without those of metals with a U."""
    arrays, shares = judge.arrays, judge.shares
    nothing = torch.zeros_like(arrays.formation_energy)
    figures = {"composition": _single_of(judge, fitted(arrays, shares, nothing, elements), nothing)}
    for name, energy in found.single.items():
        figures[f"{name} without U"] = _single_of(judge, fitted(arrays, shares, energy, elements, with_u=False), energy)
    return figures


def _single_of(judge: Judge, shifts: Shifts, energy: torch.Tensor) -> dict[str, Any]:
    """Figures of other shifts than those of the model, on the crystals as they stand."""
    shares = judge.shares
    of_elements = np.where(shares.fractions > 0, shares.fractions * shifts.elements, 0.0).sum(1)
    of_oxides = (shares.fractions @ shifts.oxidized) * shares.oxidized
    of_bonds = np.where(shares.bonded > 0, shares.bonded * shifts.bonds, 0.0).sum(1)
    formed = energy.numpy() + of_elements + of_oxides + of_bonds
    return calls(judge.truth, formed[judge.rows] - judge.hulls)


def _fit_figures(
    arrays: FormationArrays, shares: Compositions, shifts: dict[str, Shifts], elements: tuple[str, ...]
) -> dict[str, Any]:
    rows = arrays.rows(FIT).numpy()
    each = next(iter(shifts.values()))
    return {
        "n": len(rows),
        "least_of_element": LEAST_OF_ELEMENT,
        "n_of_element": dict(zip(elements, (shares.fractions[rows] > 0).sum(0).tolist(), strict=True)),
        "without_shift": [symbol for symbol, shift in zip(elements, each.elements, strict=True) if np.isnan(shift)],
        "without_ground_state": [
            symbol
            for symbol, shift, energy in zip(elements, each.elements, each.element_energies, strict=True)
            if np.isnan(energy) and not np.isnan(shift)
        ],
        "n_bonded": dict(zip(BOND_KINDS, each.n_bonded.tolist(), strict=True)),
        "bond_shifts": {
            name: dict(zip(BOND_KINDS, found.bonds.tolist(), strict=True)) for name, found in shifts.items()
        },
    }
