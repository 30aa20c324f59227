"""Which atoms of a crystal are bonded, and what each site is called.

Reference for the bonds: Pan et al., Inorg. Chem. 60, 1590 (2021), doi:10.1021/acs.inorgchem.0c02996 (CrystalNN)
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Element, Structure

_TOO_NEAR = 0.65  # of the sum of two radii: no bond is so short
_ROUNDING = 0.02  # of occupancies as files write them, 0.33 three times
Image = tuple[int, int, int]
Bond = tuple[int, int, Image]  # site, site, lattice translation of the second
MAX_CRYSTALNN_SITES = 60  # 4 to 20 ms a site: beyond this nobody waits, the distance rule answers


@dataclass(frozen=True)
class Bonding:
    """Bonds of one cell, and the coordination shell of each site.

    `bonds` holds each bond once, where both ends count each other as neighbors; `shells` holds for each site all
    that the site itself counts (12 O for Sr in SrTiO3, though O counts Ti alone).
    """

    bonds: tuple[Bond, ...]
    shells: tuple[tuple[tuple[int, Image], ...], ...]
    rule: Literal["CrystalNN", "distances", "cut-off"]
    note: str = ""


def bonding(structure: Structure, longest: float | None = None) -> Bonding:
    """Find the bonds of a structure by CrystalNN, or by distances where that is too slow or fails.

    Args:
        structure: Any structure.
        longest: In Å; if it is given, whatever is that near is bonded, alike elements only where they are as near as
            the nearest.

    On 150 random Materials Project structures CrystalNN took 4.4 ms a site (median); the distance rule agrees
    with it to F1 = 0.90, while a cut at 1.15 times the sum of radii reaches 0.71 and finds no bond in a Heusler.
    """
    if longest is not None:
        return _bonding_by_distances(structure, f"bonds up to {longest:g} Å", longest)
    from pymatgen.analysis.local_env import CrystalNN  # a second to import

    if not structure.is_ordered:
        return _bonding_by_distances(structure, "bonds by distances: some sites are partially occupied")
    if len(structure) > MAX_CRYSTALNN_SITES:
        why = f"bonds by distances: {len(structure)} sites, and CrystalNN is used up to {MAX_CRYSTALNN_SITES}"
        return _bonding_by_distances(structure, why)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # CrystalNN warns where oxidation states are missing: it needs none
            nearest = CrystalNN().get_all_nn_info(structure)  # type: ignore[no-untyped-call]
    except (ValueError, RuntimeError, KeyError, TypeError, IndexError, ArithmeticError) as error:
        return _bonding_by_distances(structure, f"bonds by distances: CrystalNN failed ({error})")
    shells = tuple(
        tuple(sorted((int(entry["site_index"]), as_image(entry["image"])) for entry in entries)) for entries in nearest
    )
    return Bonding(_mutual(shells), shells, "CrystalNN")


def _bonding_by_distances(structure: Structure, note: str, longest: float | None = None) -> Bonding:
    """Bond what is near by the standards of both ends: within 1.35 times the shortest distance of each, or `longest`.

    Beyond the bonds a site counts in its shell the element that is nearest to it by its own standard, as CrystalNN
    does: the oxygens around the large cation of a perovskite, which count the small one alone.

    Alike elements (electronegativities within 0.4) must be as near as the nearest, or metals and anions
    would be bonded over their second shells.
    """
    centers, neighbors, images, distances = structure.get_neighbor_list(longest or _search_radius(structure))
    together = ~_alternatives(structure, centers, neighbors, distances)
    centers, neighbors, images, distances = (each[together] for each in (centers, neighbors, images, distances))
    shortest = np.full(len(structure), np.inf)
    np.minimum.at(shortest, centers, distances)
    electronegativity = np.array([electronegativity_of(symbol) for symbol in main_elements(structure)])
    alike = np.abs(electronegativity[centers] - electronegativity[neighbors]) <= 0.4
    farthest = np.maximum(shortest[centers], shortest[neighbors])
    if longest is None:
        near = distances <= 1.35 * np.minimum(shortest[centers], shortest[neighbors])
        near |= (distances <= 1.35 * shortest[centers]) & _of_the_nearest_element(
            structure, centers, neighbors, distances
        )
    else:
        near = distances <= longest
    bonded = (distances > 0.4) & near & (~alike | (distances <= 1.05 * farthest))
    shells: list[list[tuple[int, Image]]] = [[] for _ in structure]
    for center, neighbor, image in zip(centers[bonded], neighbors[bonded], images[bonded], strict=True):
        shells[center].append((int(neighbor), as_image(image)))
    sorted_shells = tuple(tuple(sorted(shell)) for shell in shells)
    return Bonding(_mutual(sorted_shells), sorted_shells, "distances" if longest is None else "cut-off", note)


def _of_the_nearest_element(
    structure: Structure, centers: NDArray[np.int64], neighbors: NDArray[np.int64], distances: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Which neighbors are of the element that is nearest to their center."""
    symbols = np.array(main_elements(structure))
    nearest = np.full(len(structure), "", symbols.dtype)
    order = np.argsort(distances)[::-1]
    nearest[centers[order]] = symbols[neighbors[order]]  # of several the last stays, the nearest
    same: NDArray[np.bool_] = symbols[neighbors] == nearest[centers]
    return same


def _alternatives(
    structure: Structure, centers: NDArray[np.int64], neighbors: NDArray[np.int64], distances: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Which pairs are places for one atom: too near for two, and occupied by one at most.

    Without this a split site has itself for its nearest neighbor, and no others.
    """
    occupied = np.array([site.species.num_atoms for site in structure])
    radii = np.array([_radius_of(symbol) for symbol in main_elements(structure)])
    too_near = distances < _TOO_NEAR * (radii[centers] + radii[neighbors])
    alternatives: NDArray[np.bool_] = too_near & (occupied[centers] + occupied[neighbors] <= 1 + _ROUNDING)
    return alternatives


def _radius_of(symbol: str) -> float:
    radius = Element(symbol).atomic_radius if Element.is_valid_symbol(symbol) else None
    return float(radius or 1.0)


def _search_radius(structure: Structure) -> float:
    """Far enough for a few neighbors of any site, near enough that a dense large cell stays quick (Å)."""
    return float(np.clip(2.2 * (structure.volume / len(structure)) ** (1 / 3), 2.5, 6.0))


def _mutual(shells: Sequence[Sequence[tuple[int, Image]]]) -> tuple[Bond, ...]:
    seen = {(i, j, image) for i, shell in enumerate(shells) for j, image in shell}
    both = {bond for bond in seen if _reverse(bond) in seen}
    return tuple(sorted(bond for bond in both if bond <= _reverse(bond)))


def _reverse(bond: Bond) -> Bond:
    i, j, (a, b, c) = bond
    return j, i, (-a, -b, -c)


def site_labels(structure: Structure) -> list[str]:
    """Name the sites by element and running number: Ti1, Ti2, O1, O2, ..."""
    counts: dict[str, int] = {}
    labels = []
    for symbol in main_elements(structure):
        counts[symbol] = counts.get(symbol, 0) + 1
        labels.append(f"{symbol}{counts[symbol]}")
    return labels


def main_elements(structure: Structure) -> list[str]:
    """Return the element of each site; of a partially occupied one, its main species."""
    return [max(site.species.items(), key=lambda item: item[1])[0].symbol for site in structure]


def electronegativity_of(symbol: str) -> float:
    """Return Pauling's electronegativity, 1.5 where there is none."""
    value = Element(symbol).X if Element.is_valid_symbol(symbol) else float("nan")
    return 1.5 if np.isnan(value) else float(value)


def as_image(vector: Any) -> Image:
    """Return a lattice translation as three whole numbers."""
    a, b, c = (round(float(x)) for x in vector)
    return a, b, c
