"""The shifts by least absolute deviations: a few entries of the data are off by 1 eV/atom, and must have no say."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from pymatgen.core import Element

from matgen_core.checks.physics.bonds import BOND_KINDS, MOLECULES, corrected_atoms
from matgen_core.networks.arrays.formation import BONDED, FIT, FormationArrays

METALS_WITH_U = ("V", "Cr", "Mn", "Fe", "Co", "Ni", "Mo", "W")  # of the Materials Project, in oxides and fluorides
LEAST_OF_ELEMENT = 10  # crystals with an element; with fewer it has no shift and its compounds are not checked
GROUND_STATE = 0.02  # eV/atom; a stored form of an element that lies higher is not its ground state
_ROUNDS, _RIDGE, _SMALLEST = 25, 1e-4, 1e-3


@dataclass(frozen=True, eq=False)
class Compositions:
    """What the shifts are multiplied with, of S crystals: shares of the atoms.

    Attributes:
        fractions: (S, n_elements).
        oxidized: (S,) whether a crystal holds O or F.
        bonded: (S, n_bond_kinds).
    """

    fractions: NDArray[np.float64]
    oxidized: NDArray[np.bool_]
    bonded: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Shifts:
    """What was fitted to one potential; NaN where there was too little.

    Attributes:
        elements: (n_elements,) in eV/atom.
        oxidized: (n_elements,) of metals with a U, else 0.
        bonds: (n_bond_kinds,).
        element_energies: (n_elements,) eV/atom of the element itself, by the potential.
        n_bonded: (n_bond_kinds,) crystals that each of these rests on: compounds of O, forms of the others.
    """

    elements: NDArray[np.float64]
    oxidized: NDArray[np.float64]
    bonds: NDArray[np.float64]
    element_energies: NDArray[np.float64]
    n_bonded: NDArray[np.int64]


def compositions(arrays: FormationArrays, numbers: NDArray[np.int64]) -> Compositions:
    """Return shares of the atoms of crystals.

    Args:
        arrays: The crystals.
        numbers: (n_elements,) atomic numbers.
    """
    crystals = arrays.crystals
    place = np.full(256, -1)
    place[numbers] = np.arange(len(numbers))
    atoms = np.zeros((len(crystals), len(numbers)))
    np.add.at(atoms, (crystals.owners.numpy(), place[crystals.numbers.numpy()]), 1.0)
    counts = crystals.counts.numpy()[:, None]
    anions = atoms[:, np.isin(numbers, (8, 9))].sum(1) > 0
    return Compositions(atoms / counts, anions, corrected_atoms(crystals).numpy() / counts)


def fitted(
    arrays: FormationArrays, shares: Compositions, energy: torch.Tensor, elements: tuple[str, ...], with_u: bool = True
) -> Shifts:
    """Fit the shifts to the open crystals.

    Args:
        arrays: The crystals with their formation energies.
        shares: As `compositions` gives them.
        energy: (S,) by the potential, eV/atom; NaN rows are left out.
        elements: Symbols.
        with_u: Without, metals in oxides and fluorides have no shift of their own, for comparison.
    """
    wanted = (arrays.formation_energy - energy).numpy()
    rows = _known(arrays, wanted, FIT)
    rows = rows[~shares.bonded[rows].any(1)]
    enough = (shares.fractions[rows] > 0).sum(0) >= LEAST_OF_ELEMENT
    rows = rows[~(shares.fractions[rows] * ~enough).any(1)]
    metals = np.array([with_u and symbol in METALS_WITH_U for symbol in elements]) & enough
    oxides = shares.fractions * shares.oxidized[:, None]
    table = np.concatenate([shares.fractions[:, enough], oxides[:, metals]], 1)
    found = least_absolute(table[rows], wanted[rows])
    of_elements, of_oxides = np.full(len(elements), np.nan), np.zeros(len(elements))
    of_elements[enough], of_oxides[metals] = found[: enough.sum()], found[enough.sum() :]
    single = np.asarray((shares.fractions > 0.999999).any(1))
    left = wanted - np.nan_to_num(shares.fractions @ np.nan_to_num(of_elements) + oxides @ of_oxides)
    of_compounds = _known(arrays, wanted, BONDED)
    n_classes = len(BOND_KINDS) - len(MOLECULES)
    of_compounds = of_compounds[~shares.bonded[of_compounds, n_classes:].any(1)]
    classes = shares.bonded[of_compounds, :n_classes]
    ground = _element_energies(arrays, shares, energy.numpy(), single)
    # A molecule in a cell is the element, whatever is around it.
    places = [elements.index(Element.from_Z(each.number).symbol) for each in MOLECULES]
    of_molecules = -(of_elements[places] + ground[places])
    return Shifts(
        of_elements,
        of_oxides,
        np.concatenate([least_absolute(classes, left[of_compounds]), of_molecules]),
        ground,
        np.concatenate([(classes > 0).sum(0), (shares.bonded[single, n_classes:] > 0.999999).sum(0)]),
    )


def least_absolute(table: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Solve table @ x = wanted with the least sum of absolute errors, by reweighted least squares."""
    weights: NDArray[np.float64] = np.ones(len(table))
    found: NDArray[np.float64] = np.zeros(table.shape[1])
    for _ in range(_ROUNDS):
        weighted = table * weights[:, None]
        normal = weighted.T @ table + _RIDGE * np.eye(table.shape[1])
        found = np.asarray(np.linalg.solve(normal, weighted.T @ wanted), np.float64)
        weights = np.asarray(1 / np.maximum(np.abs(wanted - table @ found), _SMALLEST), np.float64)
    return found


def _known(arrays: FormationArrays, wanted: NDArray[np.float64], role: str) -> NDArray[np.int64]:
    rows = arrays.rows(role).numpy()
    return rows[np.isfinite(wanted[rows])]


def _element_energies(
    arrays: FormationArrays, shares: Compositions, energy: NDArray[np.float64], single: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """The lowest energy of each element among its stored forms; NaN where its ground state is not stored."""
    found = np.full(shares.fractions.shape[1], np.nan)
    stable = single & np.isfinite(energy) & (arrays.formation_energy.numpy() < GROUND_STATE)
    for row in np.flatnonzero(stable):
        place = int(shares.fractions[row].argmax())
        found[place] = np.nanmin([found[place], energy[row]])
    return found
