"""One crystal at a time: relaxed by a potential, its energy held against known phases, its cell against that at rest.

`FUNCTIONS["piece"]` is what processes and clusters compute (`jobs.pieces`); a crystal goes in as text and comes out as
a row of a table, so that equal crystals are known again and nothing but plain values is kept.
"""

import dataclasses
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from pymatgen.core import Element, Lattice, Structure

from matgen_core import checkpoint as checkpoints
from matgen_core.checks.physics import (
    Energy,
    FormationEnergies,
    Relaxation,
    Stability,
    VolumeScan,
    relax_structures,
    soundness,
    volume_scan,
)
from matgen_core.checks.structures import closest_sites, lattice_problem
from matgen_core.jobs.store import Piece
from matgen_core.materials.report import symmetry
from matgen_core.networks.potentials import POTENTIALS, Potential, RelaxSettings, check_potential, load_potential
from matgen_core.tasks.validation.scores import REFERENCES, Protocol

KIND = "validate"
COLUMNS = (  # of a row; those of a crystal that was not judged are empty
    "formula",
    "n_sites",
    "problem",
    "energy_above_hull",
    "stable",
    "near_stable",
    "stability_reason",
    "share_stable",
    "share_near_stable",
    "formation_energy_per_atom",
    "energy_per_atom",
    "converged",
    "steps",
    "volume_per_atom",
    "relaxed_volume_per_atom",
    "volume_kept",
    "volume_kept_reason",
    "volume_offset",
    "volume_scan",
    "volume_scan_reason",
    "charge_neutral",
    "charge_neutral_reason",
    "displacement",
    "space_group_number",
    "relaxed_space_group_number",
    "symmetry_kept",
    "symmetry_kept_reason",
    "min_distance",
    "min_radii_fraction",
    "strict_distances",
    "strict_distances_reason",
)
_NOT_RELAXED = "not checked: it was not relaxed"
_DIGITS = 6  # of coordinates and vectors: 1e-6, far below what any check sees


def protocol_with(potential: str, max_steps: int, second: str = "") -> Protocol:
    """Return the protocol with other potentials.

    Args:
        potential: What relaxes.
        max_steps: End of a relaxation.
        second: What is asked of what lies impossibly low; another than the first if it is not given.

    Raises:
        ValueError: If there is no such potential or its package is not installed, the second is the first, or no step
            is taken.
    """
    if second == potential:
        raise ValueError(f"{second} is asked first and second; a second opinion is that of another potential")
    for each in (potential, second or potential):
        check_potential(each)
    if max_steps < 1:
        raise ValueError(f"{max_steps} steps of a relaxation; expected 1 or more")
    return Protocol(potential, second or next(each for each in POTENTIALS if each != potential), max_steps=max_steps)


def content_of(structure: Structure) -> str:
    """Write an ordered crystal as text; equal crystals have equal texts, whatever else they carry."""
    return json.dumps(
        {
            "numbers": [site.specie.Z for site in structure],
            "cell": structure.lattice.matrix.round(_DIGITS).ravel().tolist(),
            "frac_coords": (structure.frac_coords % 1.0).round(_DIGITS).ravel().tolist(),
        },
        separators=(",", ":"),
    )


def structure_of(content: str | Mapping[str, Any]) -> Structure:
    """Read what `content_of` wrote."""
    values = json.loads(content) if isinstance(content, str) else content
    lattice = Lattice(np.reshape(values["cell"], (3, 3)))
    elements = [Element.from_Z(number) for number in values["numbers"]]
    return Structure(lattice, elements, np.reshape(values["frac_coords"], (-1, 3)))


def settings_of(protocol: Protocol) -> dict[str, Any]:
    """Return the protocol as a store keeps it, with what else decides a result: the reference energies."""
    config, _ = checkpoints.documents(REFERENCES)
    return dataclasses.asdict(protocol) | {"references": config["commit"]}


def piece(content: str, settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Judge one crystal.

    Args:
        content: As `content_of` writes it.
        settings: As `settings_of` makes them.

    Returns:
        A row of a table, and what is asked for one by one: the relaxed crystal, steps on the way, phases.
    """
    protocol = Protocol.of(settings)
    structure = structure_of(content)
    relaxation = _relaxed(structure, protocol.potential, protocol)
    stability = scan = None
    if relaxation.structure is not None and relaxation.energy_per_atom is not None:
        scan = volume_scan(potential_named(protocol.potential), structure)
        first = Energy(protocol.potential, relaxation.energy_per_atom)
        stability = references().stability(relaxation.structure, first)
        if stability.is_doubted and protocol.second:
            again = _relaxed(relaxation.structure, protocol.second, dataclasses.replace(protocol, max_steps=0))
            if again.start_energy_per_atom is not None:
                second = Energy(protocol.second, again.start_energy_per_atom)
                stability = references().stability(relaxation.structure, first, second)
    return row_of(structure, relaxation, stability, scan), rest_of(relaxation, stability)


FUNCTIONS = {"piece": piece}


def row_of(
    structure: Structure, relaxation: Relaxation, stability: Stability | None, scan: VolumeScan | None = None
) -> dict[str, Any]:
    """Return what a table shows of a crystal that was relaxed.

    Columns in eV/atom, Å and Å^3/atom; a verdict is true, false or None where it was not reached.
    """
    row = unjudged_row(structure, "" if relaxation.structure is not None else relaxation.reason) | {
        "converged": relaxation.converged,
        "steps": relaxation.steps,
        "energy_per_atom": relaxation.energy_per_atom,
    }
    if not lattice_problem(structure):
        closest = closest_sites(structure)
        row |= {"min_distance": closest.distance, "min_radii_fraction": closest.radii_fraction}
    if stability is not None:
        row |= {
            "formation_energy_per_atom": stability.formation_energy,
            "energy_above_hull": stability.distance,
            "stable": stability.stable.passed,
            "near_stable": stability.near.passed,
            "stability_reason": stability.near.reason,
            "share_stable": stability.odds and stability.odds.stable,
            "share_near_stable": stability.odds and stability.odds.near,
        }
    if relaxation.structure is not None:
        row["relaxed_volume_per_atom"] = relaxation.structure.volume / len(structure)
        row["displacement"] = displacement(structure, relaxation.structure)
        row["space_group_number"] = symmetry(structure).number
        row["relaxed_space_group_number"] = symmetry(relaxation.structure).number
        for name, verdict in soundness(structure, relaxation.structure).items():
            row |= {name: verdict.passed, f"{name}_reason": verdict.reason}
        row["volume_scan_reason"] = "not scanned where it was relaxed"
    if scan is not None:
        row |= {
            "volume_offset": scan.offset,
            "volume_scan": scan.verdict.passed,
            "volume_scan_reason": scan.verdict.reason,
        }
    return row


def unjudged_row(structure: Structure | None, problem: str) -> dict[str, Any]:
    """Return the row of a crystal before it is judged, or of one that cannot be."""
    row: dict[str, Any] = dict.fromkeys(COLUMNS) | {"problem": problem, "stability_reason": _NOT_RELAXED}
    if structure is None:
        return row
    return row | {
        "formula": structure.composition.reduced_formula,
        "n_sites": len(structure),
        "volume_per_atom": structure.volume / len(structure),
    }


def rest_of(relaxation: Relaxation, stability: Stability | None) -> dict[str, Any]:
    """Return what is asked for one crystal at a time, as JSON holds it."""
    if relaxation.structure is None:
        return {}
    return {
        "relaxed": json.loads(content_of(relaxation.structure)),
        "frames": [
            {
                "step": frame.step,
                "energy_per_atom": frame.energy_per_atom,
                "cell": frame.cell.round(_DIGITS).ravel().tolist(),
                "frac_coords": frame.frac_coords.round(_DIGITS).ravel().tolist(),
            }
            for frame in relaxation.frames
        ],
        "phases": [list(each) for each in stability.phases] if stability else [],
    }


def failed(piece: Piece, problem: str) -> dict[str, Any]:
    """Return the row of a crystal that could not be judged: it counts, and says why."""
    nothing = Relaxation(None, None, None, 0, False, problem)
    return row_of(structure_of(piece.content), nothing, None)


def displacement(before: Structure, after: Structure) -> float:
    """Return by how much sites moved when a crystal was relaxed: root mean square in Å, in the relaxed cell.

    A shift of all sites together is none.
    """
    moved = after.frac_coords - before.frac_coords
    moved -= np.round(moved)
    moved -= moved.mean(axis=0)
    return float(np.sqrt(np.mean(np.sum(after.lattice.get_cartesian_coords(moved) ** 2, axis=1))))


def _relaxed(structure: Structure, potential: str, protocol: Protocol) -> Relaxation:
    settings = RelaxSettings(protocol.max_force, protocol.max_steps, protocol.frames)
    [(_, done)] = relax_structures(potential_named(potential), [structure], settings)
    return done


@lru_cache(maxsize=2)
def potential_named(name: str) -> Potential:
    """Return a potential on the CPU; loaded once a process."""
    return load_potential(name)


@lru_cache(maxsize=1)
def references() -> FormationEnergies:
    """Return the reference energies and the hull; read once a process."""
    return FormationEnergies(checkpoints.load(REFERENCES))
