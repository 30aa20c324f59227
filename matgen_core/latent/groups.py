"""How a selection of materials differs from the rest: an effect size for every column.

Numbers: Cliff's delta, the chance that a selected material has the higher value less the chance that it has the lower
one; it asks nothing of the distribution. Classes and elements: the largest difference of shares.

Reference: Cliff, Psychological Bulletin 114, 494 (1993), doi:10.1037/0033-2909.114.3.494
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from matgen_core.latent.index import systems_of
from matgen_core.materials.properties import Column

ELEMENTS = Column("elements", "Elements", is_category=True)
MOST_CLASSES = 6  # classes listed: those whose shares differ most


@dataclass(frozen=True, eq=False)
class Difference:
    """One column of the selection beside the rest."""

    column: Column
    effect: float  # from -1 to 1
    sentence: str
    selected: pd.Series  # numbers: the values that are known; classes: their shares, as many as are listed
    rest: pd.Series


def differences(table: pd.DataFrame, columns: Sequence[Column], mask: NDArray[np.bool_]) -> list[Difference]:
    """Compare selected materials with the others, the column that differs most first.

    Args:
        table: As `map_columns.known_materials` gives it.
        columns: Which to compare; the elements are compared too.
        mask: Which rows are selected, (n_rows,).

    Returns:
        One for every column that has values on both sides; none if either side is empty.
    """
    if mask.all() or not mask.any():
        return []
    found = [_of_classes(ELEMENTS, _holds(table), mask)]
    for column in columns:
        if column.is_category:
            found.append(_of_classes(column, pd.get_dummies(table[column.name].astype(str)), mask))
        elif table[column.name][mask].notna().any() and table[column.name][~mask].notna().any():
            found.append(_of_numbers(column, table[column.name], mask))
    return sorted(found, key=lambda each: -abs(each.effect))


def cliffs_delta(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Chance that a value of the first is higher than one of the second, less the chance that it is lower."""
    from scipy.stats import rankdata  # most of a second to import

    ranks = rankdata(np.concatenate([first, second]))
    above = ranks[: len(first)].sum() - len(first) * (len(first) + 1) / 2
    return float(2 * above / (len(first) * len(second)) - 1)


def _of_numbers(column: Column, values: pd.Series, mask: NDArray[np.bool_]) -> Difference:
    selected, rest = values[mask].dropna(), values[~mask].dropna()
    delta = cliffs_delta(selected.to_numpy(float), rest.to_numpy(float))
    unit = f" {column.unit}" if column.unit else ""
    sentence = f"Cliff's δ {delta:+.2f}; median {selected.median():.3g} against {rest.median():.3g}{unit}"
    return Difference(column, delta, sentence.replace("-", "−"), selected, rest)  # noqa: RUF001 a minus


def _of_classes(column: Column, holds: pd.DataFrame, mask: NDArray[np.bool_]) -> Difference:
    selected, rest = holds[mask].mean(), holds[~mask].mean()
    difference = selected - rest
    first = sorted(difference.index, key=lambda each: (-abs(difference[each]), -difference[each]))[:MOST_CLASSES]
    name = first[0]
    sentence = f"{name}: {selected[name]:.0%} of the selected, {rest[name]:.0%} of the rest"
    return Difference(column, float(difference[name]), sentence, selected[first], rest[first])


def _holds(table: pd.DataFrame) -> pd.DataFrame:
    return systems_of(table).str.get_dummies("-")
