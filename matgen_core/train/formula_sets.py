"""The formulas that composition networks learn from: OQMD, and those of the Materials Project that have been made."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from matgen_core import data
from matgen_core.compositions import PARTS, FormulaArrays
from matgen_core.data import Dataset
from matgen_core.element_table import element_table, writing_order
from matgen_core.formulas import Formulas

MAX_COUNT = 8
MAX_ELEMENTS = 8
HELD_OUT = 10  # one formula in so many is held out


@dataclass(frozen=True, eq=False)
class FormulaSet:
    """Distinct reduced formulas, as the networks take them.

    Attributes:
        formulas: Of 2 to 8 elements with counts of at most 8.
        elements: Those that occur, in writing order.
        dataset: Where they are from.
        n_left_out: Distinct formulas of the data set that do not fit: elements, large counts.
    """

    formulas: Formulas
    elements: tuple[str, ...]
    dataset: Dataset
    n_left_out: int

    def arrays(self, seed: int) -> FormulaArrays:
        """Return them for training, a tenth held out at random."""
        number = {element_table()[symbol].number: place for place, symbol in enumerate(self.elements)}
        place = np.array([number.get(z, -1) for z in range(256)], np.int8)
        held_out = np.random.default_rng(seed).permutation(len(self.formulas)) % HELD_OUT == 0
        return FormulaArrays(
            self.elements,
            torch.from_numpy(place[self.formulas.numbers]),
            torch.from_numpy(self.formulas.counts.astype(np.int8)),
            torch.from_numpy(np.where(held_out, PARTS.index("held_out"), PARTS.index("train")).astype(np.int8)),
        )


def oqmd() -> FormulaSet:
    """Return the formulas of OQMD."""
    return _formula_set(data.load("oqmd_compositions"))


def experimental() -> FormulaSet:
    """Return the formulas of the Materials Project's structures that stand in the ICSD as well."""
    dataset = data.load("mp_structures")
    table = dataset.table[dataset.table["icsd_flag"] == 1]
    return _formula_set(replace(dataset, name=f"{dataset.name}, in the ICSD", table=table))


def _formula_set(dataset: Dataset) -> FormulaSet:
    read, problems = Formulas.of_texts(dataset.table[dataset.source.composition_column])
    if any(problems):
        raise ValueError(f"{dataset.name}: {next(filter(None, problems))}")
    formulas = read.reduced()
    _, first = np.unique(formulas.keys(), return_index=True)
    formulas = formulas[np.sort(first)]
    fits = (formulas.n_elements >= 2) & (formulas.n_elements <= MAX_ELEMENTS) & (formulas.counts <= MAX_COUNT).all(1)
    n_compounds = int((formulas.n_elements >= 2).sum())
    formulas = formulas[fits]
    present = set(np.unique(formulas.numbers).tolist())
    found = [symbol for symbol, facts in element_table().items() if facts.number in present]
    elements = tuple(sorted(found, key=writing_order))
    return FormulaSet(formulas, elements, dataset, n_compounds - len(formulas))
