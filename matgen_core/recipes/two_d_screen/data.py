"""One table of formulas that are known as two-dimensional materials, and of bulk crystals beside them."""

from dataclasses import replace

import numpy as np
import pandas as pd

from matgen_core.data.dataset import Dataset
from matgen_core.data.store import load
from matgen_core.materials.formulas import Formulas

TWO_DIMENSIONAL = ("mc2d_exfoliable", "matbench_jdft2d")
BULK = "mp_structures"
MONOLAYERS = "mc2d_monolayers"  # nothing is learned from it
_BULK_DIMENSIONS, _LAYERED_DIMENSIONS = 3, 2  # of the network of bonds


def load_two_dimensional() -> Dataset:
    """Read and join the three data sets, one row a reduced formula.

    Returns:
        A data set whose table has formula (reduced), two_dimensional (known as such; a formula that is known as bulk
        too counts as two-dimensional), source (the first data set that has it), and has_layered_polymorph (a layered
        crystal of the formula is in the Materials Project; among the bulk formulas these are the doubtful ones).
        Bulk means that a crystal of the formula has bonds in three dimensions; that nobody found a layer of it does not
        mean that there is none.
    """
    bulk = load(BULK).table
    parts = {name: load(name).table["formula"] for name in TWO_DIMENSIONAL}
    parts[BULK] = bulk.loc[bulk["bond_dimensionality"] == _BULK_DIMENSIONS, "formula"]
    read = {name: _reduced(formulas) for name, formulas in parts.items()}
    formulas = Formulas.concatenate(list(read.values()))
    table = pd.DataFrame(
        {
            "formula": formulas.texts(),
            "source": np.repeat(list(read), [len(part) for part in read.values()]),
            "key": formulas.keys(),
        }
    )
    table = table.drop_duplicates("key", ignore_index=True)
    layered = _reduced(bulk.loc[bulk["bond_dimensionality"] == _LAYERED_DIMENSIONS, "formula"]).keys()
    table["two_dimensional"] = table["source"] != BULK
    table["has_layered_polymorph"] = np.isin(table.pop("key").to_numpy(), layered)
    return replace(load(TWO_DIMENSIONAL[0]), name="two_dimensional", table=table)


def learned_as_bulk(table: pd.DataFrame) -> dict[str, int]:
    """Hold the labels against another list of 2D materials, the monolayers of MC2D.

    Args:
        table: As `load_two_dimensional` gives it.

    Returns:
        n formulas of the list, and how many of them were learned as two-dimensional, as bulk and not at all.
    """
    others = np.unique(_reduced(load(MONOLAYERS).table["formula"]).keys())
    keys, labels = _reduced(table["formula"]).keys(), table["two_dimensional"].to_numpy(bool)
    two_d, bulk = (int(np.isin(others, keys[chosen]).sum()) for chosen in (labels, ~labels))
    return {"n": len(others), "two_dimensional": two_d, "bulk": bulk, "unknown": len(others) - two_d - bulk}


def _reduced(texts: pd.Series) -> Formulas:
    formulas, problems = Formulas.of_texts(texts)
    bad = [problem for problem in problems if problem]
    if bad:
        raise ValueError(f"{len(bad)} formulas cannot be read, the first: {bad[0]}")
    return formulas.reduced()
