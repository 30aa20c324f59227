"""What needs no network: the formula of a crystal, and the training crystal whose elements are most like its own.

It is the simplest way to know a crystal of a family: its prototype is looked up by its formula. What a network for the
same crystals is worth is what it does better.
"""

from collections import defaultdict
from collections.abc import Sequence
from itertools import permutations
from typing import Any

import numpy as np
from pymatgen.core import Element, Structure

from matgen_core.checks.sets import evaluate_reconstruction, summarize
from matgen_core.networks.arrays.crystals import CrystalArrays
from matgen_core.networks.arrays.splits import TRAIN
from matgen_core.recipes.shared.cubic import structures

Amounts = tuple[int, ...]  # of the elements of a reduced formula, in ascending order


class Prototypes:
    """Training crystals, sorted by the amounts in their reduced formulas."""

    def __init__(self, training: Sequence[Structure]) -> None:
        self._training = training
        self._rows: dict[Amounts, list[int]] = defaultdict(list)
        elements: dict[Amounts, list[list[float]]] = defaultdict(list)
        for row, structure in enumerate(training):
            amounts, symbols = _formula(structure)
            self._rows[amounts].append(row)
            elements[amounts].append([_number(symbol) for symbol in symbols])
        self._numbers = {amounts: np.array(numbers) for amounts, numbers in elements.items()}

    def nearest(self, structure: Structure) -> Structure | None:
        """Put the elements of a crystal on the training crystal of its formula type whose elements are most like them.

        Args:
            structure: Only its reduced formula is looked at.

        Returns:
            The training crystal with other elements and its own edge; the differences of the Mendeleev numbers of old
            and new elements have the least sum. None where no training crystal has such amounts.
        """
        amounts, symbols = _formula(structure)
        if amounts not in self._rows:
            return None
        theirs = self._numbers[amounts]
        least, best, order = np.inf, 0, tuple(range(len(symbols)))
        for places in permutations(range(len(symbols))):
            if any(amounts[place] != amount for place, amount in zip(places, amounts, strict=True)):
                continue
            numbers = np.array([_number(symbols[place]) for place in places])
            distances = np.abs(theirs - numbers).sum(1)
            if distances.min() < least:
                least, best, order = float(distances.min()), int(distances.argmin()), places
        prototype = self._training[self._rows[amounts][best]]
        old = _formula(prototype)[1]
        exchanged = {symbol: symbols[place] for symbol, place in zip(old, order, strict=True)}
        return Structure(
            prototype.lattice, [exchanged[site.specie.symbol] for site in prototype], prototype.frac_coords
        )


def nearest_prototype(arrays: CrystalArrays, n_workers: int = 1) -> dict[str, Any]:
    """Judge the held-out crystals by `Prototypes.nearest` as a network's are judged, all and by family."""
    test = arrays.of_part("test")
    originals, prototypes = structures(test), Prototypes(structures(arrays.of_part(TRAIN)))
    found = [prototypes.nearest(each) for each in originals]
    return by_family(originals, found, [test.families[i] for i in test.family.tolist()], n_workers)


def by_family(
    originals: Sequence[Structure], found: Sequence[Any], families: Sequence[str], n_workers: int = 1
) -> dict[str, Any]:
    """Judge what became of crystals, all of them and, where there are several, each family apart."""
    table = evaluate_reconstruction(originals, found, n_workers)
    groups = {"all": table}
    if len(set(families)) > 1:
        groups |= {str(name): rows for name, rows in table.groupby(np.array(families))}
    return {name: summarize(rows) for name, rows in groups.items()}


def _formula(structure: Structure) -> tuple[Amounts, list[str]]:
    """Amounts of the reduced formula in ascending order, and the elements in the same order."""
    reduced = structure.composition.reduced_composition
    order = sorted(reduced, key=lambda element: (reduced[element], element.symbol))
    return tuple(int(reduced[element]) for element in order), [element.symbol for element in order]


def _number(symbol: str) -> float:
    return float(Element(symbol).mendeleev_no)
