"""The formulas of the OQMD as arrays with their properties, ready for training.

python -m matgen_core.recipes.ding.data formulas.safetensors
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from matgen_core import data
from matgen_core.data import Dataset
from matgen_core.materials.elements import element_table
from matgen_core.materials.formulas import Formulas
from matgen_core.networks.arrays.formulas import GROUPS, LabelledFormulas
from matgen_core.networks.models.parts.formula_predictor import PROPERTIES
from matgen_core.recipes.shared.formula_sets import formula_arrays

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
    arrays = formula_arrays(formulas, elements, (group >= GROUPS.index("validation")).numpy())
    random_test = np.random.default_rng(seed).random(len(table)) < 0.1
    values = torch.from_numpy(np.ascontiguousarray(table[list(PROPERTIES)], np.float32))
    return dataset, formulas, LabelledFormulas(arrays, values, group, torch.from_numpy(random_test))


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the arrays."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    _, _, arrays = oqmd(given.seed)
    arrays.save(given.out)
    counted = {name: len(arrays.rows_of(name)) for name in GROUPS}
    print(f"{len(arrays):,} formulas of {len(arrays.formulas.elements)} elements: {counted}")


if __name__ == "__main__":
    main()
