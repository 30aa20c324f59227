"""The formulas of the OQMD as arrays with their properties, ready for training."""

import numpy as np
import torch

from matgen_core import data
from matgen_core.data import Dataset
from matgen_core.materials.elements import element_table
from matgen_core.materials.formulas import Formulas
from matgen_core.networks.arrays.formulas import LabelledFormulas
from matgen_core.networks.arrays.splits import GROUPS, PART_OF_GROUP, TRAIN
from matgen_core.networks.models.parts.formula_predictor import PROPERTIES
from matgen_core.recipes.shared.formulas.sets import formula_arrays

NAME = "oqmd_compositions"
MAX_COUNT = 10
# Share of the rows of each group, by chemical system.
FRACTIONS = dict(zip(GROUPS, (0.425, 0.425, 0.05, 0.1), strict=True))


def oqmd(seed: int) -> tuple[Dataset, Formulas, LabelledFormulas]:
    """Return the data set, its formulas that fit in order, and the same as arrays.

    Formulas with a count above `MAX_COUNT` are left out; the elements are those of the data.

    Args:
        seed: Of both splits.
    """
    dataset = data.load(NAME)
    formulas, problems = Formulas.of_texts(dataset.table["formula"])
    if any(problems):
        raise ValueError(f"{NAME}: {next(filter(None, problems))}")
    numbers = set(np.unique(formulas.numbers).tolist()) - {0}
    elements = tuple(symbol for symbol, facts in element_table().items() if facts.number in numbers)
    fits = formulas.fit(elements, MAX_COUNT)
    group_of = {
        index: GROUPS.index(name)
        for name, part in dataset.split(FRACTIONS, seed).items()
        for index in part.table.index.tolist()
    }
    table = dataset.table[fits]
    formulas = formulas[fits]
    group = torch.tensor([group_of[index] for index in table.index.tolist()], dtype=torch.int8)
    not_learned = np.array([part != TRAIN for part in PART_OF_GROUP.values()])
    arrays = formula_arrays(formulas, elements, not_learned[group.long().numpy()])
    random_test = np.random.default_rng(seed).random(len(table)) < 0.1
    values = torch.from_numpy(np.ascontiguousarray(table[list(PROPERTIES)], np.float32))
    return dataset, formulas, LabelledFormulas(arrays, values, group, torch.from_numpy(random_test))
