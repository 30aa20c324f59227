"""What a crystal is held against: known phases of its elements, which of them are stable, and the way it relaxed."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from pymatgen.core import Composition, Element, Lattice, Structure

from matgen_core.checks.physics import Hull
from matgen_core.tasks.validation import judging

MAX_DRAWN = 3  # elements of a diagram


@dataclass(frozen=True, eq=False)
class Phases:
    """The known phases of a chemical system; of one composition the lowest alone.

    Attributes:
        elements: Symbols, one to three.
        table: A row a phase: formula, energy (formation, eV/atom), is_stable, and a column each element with its share
            of the atoms.
        lines: Rows of two stable phases each, between which a line of the hull runs.
    """

    elements: tuple[str, ...]
    table: pd.DataFrame
    lines: tuple[tuple[int, int], ...]


def phases_of(formula: str) -> Phases:
    """Return the known phases of the elements of a formula.

    Raises:
        ValueError: If they are one, or more than can be drawn, or one of them is not in the tables.
    """
    return _phases(tuple(sorted(element.symbol for element in Composition(formula).elements)))


@lru_cache(maxsize=64)
def _phases(elements: tuple[str, ...]) -> Phases:
    if not 2 <= len(elements) <= MAX_DRAWN:
        raise ValueError(f"{len(elements)} elements; a diagram is drawn of two or three")
    hull = judging.references().hull
    unknown = [each for each in elements if each not in hull.elements]
    if unknown:
        raise ValueError(f"no known phases of {', '.join(unknown)}")
    shares, energies = _lowest(hull, elements)
    lines = _lower_hull(shares, energies)
    on_it = {place for line in lines for place in line}
    table = pd.DataFrame(shares, columns=list(elements))
    table.insert(0, "formula", [_formula(elements, each) for each in shares])
    table.insert(1, "energy", energies)
    table.insert(2, "is_stable", [place in on_it for place in range(len(table))])
    return Phases(elements, table, lines)


def _lowest(hull: Hull, elements: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Shares and energies of the phases, the pure elements among them, the lowest of each composition."""
    places = [hull.elements.index(each) for each in elements]
    wanted = np.append(np.isin(np.arange(len(hull.elements)), places), True)  # -1 is the last: always there
    rows = np.flatnonzero(wanted[hull.places].all(1))
    atoms = np.zeros((len(rows), len(hull.elements) + 1))
    np.put_along_axis(atoms, hull.places[rows], hull.counts[rows].astype(float), 1)
    shares = np.concatenate([atoms[:, places] / atoms[:, places].sum(1, keepdims=True), np.eye(len(elements))])
    energies = np.append(hull.energies[rows], np.zeros(len(elements)))
    best: dict[tuple[float, ...], int] = {}
    for place in np.argsort(energies, kind="stable")[::-1]:
        best[tuple(shares[place].round(6))] = int(place)
    kept = sorted(best.values())
    return shares[kept], energies[kept]


def _lower_hull(shares: np.ndarray, energies: np.ndarray) -> tuple[tuple[int, int], ...]:
    from scipy.spatial import ConvexHull  # takes long to import

    n = len(energies)
    points = np.column_stack([shares[:, 1:], energies])
    corners = np.eye(shares.shape[1])[:, 1:]
    lids = np.column_stack([corners, np.full(len(corners), energies.max() + 1.0)])  # so that it has a volume
    found = ConvexHull(np.concatenate([points, lids]))
    lines = set()
    for simplex, equation in zip(found.simplices, found.equations, strict=True):
        if equation[-2] < -1e-9 and (simplex < n).all():  # looks down
            ordered = sorted(int(each) for each in simplex)
            lines |= {(a, b) for k, a in enumerate(ordered) for b in ordered[k + 1 :]}
    return tuple(sorted(lines))


def _formula(elements: tuple[str, ...], shares: np.ndarray) -> str:
    given = {element: float(share) for element, share in zip(elements, shares, strict=True) if share > 1e-9}
    if len(given) == 1:
        return Composition(next(iter(given))).reduced_formula
    return Composition(Composition(given).get_integer_formula_and_factor(max_denominator=1_000)[0]).reduced_formula


def place_of(formula: str, phases: Phases) -> dict[str, float]:
    """Return the share of the atoms of each element in a formula."""
    composition = Composition(formula)
    return {each: float(composition.get_atomic_fraction(Element(each))) for each in phases.elements}


def competing(rest: Mapping[str, Any]) -> pd.DataFrame:
    """Return the mixture of known phases that a crystal is held against: Phase, Share of the atoms."""
    rows = [(str(formula), float(share)) for formula, share in rest.get("phases", [])]
    return pd.DataFrame(rows, columns=["phase", "share"])


def film(rest: Mapping[str, Any]) -> list[tuple[int, float, Structure]]:
    """Return the way that a crystal relaxed: step, energy in eV/atom, and the crystal there; [] if none was kept."""
    if not rest.get("relaxed"):
        return []
    species = [Element.from_Z(number) for number in rest["relaxed"]["numbers"]]
    return [
        (
            int(frame["step"]),
            float(frame["energy_per_atom"]),
            Structure(Lattice(np.reshape(frame["cell"], (3, 3))), species, np.reshape(frame["frac_coords"], (-1, 3))),
        )
        for frame in rest.get("frames", [])
    ]
