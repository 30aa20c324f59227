"""The formulas that composition networks learn from: OQMD, and those of the Materials Project that have been made."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from matgen_core import data
from matgen_core.checks import screen_formulas
from matgen_core.checks.charges import ChargeRule
from matgen_core.data import Dataset
from matgen_core.materials.elements import element_table, writing_order
from matgen_core.materials.formulas import Formulas
from matgen_core.networks.arrays.formulas import FormulaArrays

# What the paper asks of a formula: one oxidation state an element, alloys judged as everything else. Its balance asks
# for neutrality too.
PAPER_RULES = {
    "neutral": ChargeRule("charge_neutral", "smact14", False, False, "judge"),
    "balanced": ChargeRule("electronegativity_balanced", "smact14", True, False, "judge"),
}
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
        everything: All of the data set, those that do not fit too: elements, large counts.
    """

    formulas: Formulas
    elements: tuple[str, ...]
    dataset: Dataset
    everything: Formulas
    others: str = "are elements or have larger counts"  # what is with the rest

    def held_out(self, seed: int) -> NDArray[np.bool_]:
        """Which formulas are held out: a tenth, drawn at random."""
        return np.random.default_rng(seed).permutation(len(self.formulas)) % HELD_OUT == 0

    def arrays(self, seed: int) -> FormulaArrays:
        """Return them for training, with the same tenth held out."""
        return formula_arrays(self.formulas, self.elements, self.held_out(seed))


def formula_arrays(formulas: Formulas, elements: Sequence[str], held_out: NDArray[np.bool_]) -> FormulaArrays:
    """Write formulas as places in a list of elements that has all of theirs."""
    place = np.full(256, -1, np.int8)
    place[[element_table()[symbol].number for symbol in elements]] = np.arange(len(elements))
    return FormulaArrays(
        tuple(elements),
        torch.from_numpy(place[formulas.numbers]),
        torch.from_numpy(formulas.counts.astype(np.int8)),
        torch.from_numpy(held_out.astype(np.int8)),
    )


def oqmd() -> FormulaSet:
    """Return the formulas of OQMD."""
    return _formula_set(data.load("oqmd_compositions"))


def experimental() -> FormulaSet:
    """Return the formulas of the Materials Project's structures that stand in the ICSD as well."""
    dataset = data.load("mp_structures")
    table = dataset.table[dataset.table["icsd_flag"] == 1]
    return _formula_set(replace(dataset, name=f"{dataset.name}, in the ICSD", table=table))


def experimental_valid() -> FormulaSet:
    """Return those of `experimental` that are neutral and balanced already, as the paper's filtered set."""
    whole = experimental()
    (verdicts,) = screen_formulas(whole.formulas, [PAPER_RULES["balanced"]])
    name = f"{whole.dataset.name}, neutral and balanced"
    return replace(
        whole,
        formulas=whole.formulas[verdicts.answers == 1],
        dataset=replace(whole.dataset, name=name),
        others=f"{whole.others} or are not both",
    )


def _formula_set(dataset: Dataset) -> FormulaSet:
    read, problems = Formulas.of_texts(dataset.table[dataset.source.composition_column])
    if any(problems):
        raise ValueError(f"{dataset.name}: {next(filter(None, problems))}")
    formulas = read.reduced()
    _, first = np.unique(formulas.keys(), return_index=True)
    everything = formulas[np.sort(first)]
    fits = (everything.n_elements >= 2) & (everything.n_elements <= MAX_ELEMENTS)
    formulas = everything[fits & (everything.counts <= MAX_COUNT).all(1)]
    present = set(np.unique(formulas.numbers).tolist())
    found = [symbol for symbol, facts in element_table().items() if facts.number in present]
    elements = tuple(sorted(found, key=writing_order))
    return FormulaSet(formulas, elements, dataset, everything)
