"""The 132 Magpie features of a formula: statistics of 22 properties over its elements, for many formulas at once.

Reference: Ward et al., npj Comput. Mater. 2, 16028 (2016), doi:10.1038/npjcompumats.2016.28. The properties and the
definitions are those of matminer (Ward et al., Comput. Mater. Sci. 152, 60 (2018),
doi:10.1016/j.commatsci.2018.05.018); an element whose property is not known has the mean over the elements, as there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Composition

from matgen_core.materials.elements import element_table
from matgen_core.materials.formulas import MAX_COUNT, Formulas

PROPERTIES = (
    "Number",
    "MendeleevNumber",
    "AtomicWeight",
    "MeltingT",
    "Column",
    "Row",
    "CovalentRadius",
    "Electronegativity",
    "NsValence",
    "NpValence",
    "NdValence",
    "NfValence",
    "NValence",
    "NsUnfilled",
    "NpUnfilled",
    "NdUnfilled",
    "NfUnfilled",
    "NUnfilled",
    "GSvolume_pa",
    "GSbandgap",
    "GSmagmom",
    "SpaceGroupNumber",
)
STATISTICS = ("minimum", "maximum", "range", "mean", "avg_dev", "mode")
_ROWS_AT_ONCE = 2048  # their arrays stay in the cache of a core


@dataclass(frozen=True, eq=False)
class MagpieFeatures:
    """Statistics of the properties of a formula's elements, weighted by their amounts; they cannot be read back.

    Attributes:
        elements: Symbols, in the order of the rows of `table`.
        table: (n_elements, 22) float64, the PROPERTIES of each element in Magpie's units; no value is missing.
    """

    elements: tuple[str, ...]
    table: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.table.shape != (len(self.elements), len(PROPERTIES)) or not np.isfinite(self.table).all():
            expected = f"({len(self.elements)}, {len(PROPERTIES)})"
            raise ValueError(f"a table of shape {self.table.shape}; expected {expected} finite values")

    @classmethod
    def of_matminer(cls, elements: Sequence[str]) -> "MagpieFeatures":
        """Read the properties of some elements from matminer.

        Raises:
            ModuleNotFoundError: If matminer is not installed (the extra `descriptors`).
        """
        from matminer.utils.data import MagpieData

        known = MagpieData(impute_nan=True).all_elemental_props
        table = [[known[name][symbol] for name in PROPERTIES] for symbol in elements]
        return cls(tuple(elements), np.array(table, np.float64))

    @property
    def feature_names(self) -> list[str]:
        """Names of the 132 features, as matminer has them, such as "MagpieData mean Electronegativity"."""
        return [f"MagpieData {statistic} {name}" for name in PROPERTIES for statistic in STATISTICS]

    def encode(self, composition: Composition) -> NDArray[np.float32]:
        """Compute the features of one composition, (132,); its amounts need not be whole.

        Raises:
            ValueError: If there is no element, or one that is not in the table; the message names it.
        """
        amounts = {element.Z: float(amount) for element, amount in composition.element_composition.items()}
        known = {element_table()[symbol].number for symbol in self.elements}
        strangers = [element.symbol for element in composition.elements if element.Z not in known]
        if strangers or not amounts:
            text = composition.formula.replace(" ", "")
            what = f"{text}: no {', '.join(strangers)} among the {len(self.elements)} elements"
            raise ValueError(what if strangers else "an empty formula")
        return self._features(np.array([list(amounts)]), np.array([list(amounts.values())]))[0]

    def encode_formulas(self, formulas: Formulas) -> NDArray[np.float32]:
        """Compute the features of many formulas, (N, 132) float32; all must fit, see `misfits`."""
        features = np.empty((len(formulas), len(PROPERTIES) * len(STATISTICS)), np.float32)
        for start in range(0, len(formulas), _ROWS_AT_ONCE):
            rows = slice(start, start + _ROWS_AT_ONCE)
            features[rows] = self._features(formulas.numbers[rows], formulas.counts[rows].astype(np.float64))
        return features

    def misfits(self, formulas: Formulas) -> list[str]:
        """Say what of each formula does not fit, "" if all does."""
        return formulas.misfits(self.elements, MAX_COUNT)

    def _features(self, numbers: NDArray[np.integer], amounts: NDArray[np.float64]) -> NDArray[np.float32]:
        """Features of atomic numbers and amounts, both (N, n_slots); slots with amount 0 are empty."""
        place = np.zeros(256, np.intp)
        place[[element_table()[symbol].number for symbol in self.elements]] = np.arange(len(self.elements))
        # An empty slot repeats the first element with amount 0: no statistic sees it.
        filled = np.where(amounts > 0, numbers, numbers[:, :1])
        values = self.table[place[filled].T]  # (n_slots, N, 22): reductions run over whole planes
        shares = (amounts / amounts.sum(1, keepdims=True)).T[..., None]
        low, high = values.min(0), values.max(0)
        mean = (values * shares).sum(0)
        deviation = (np.abs(values - mean) * shares).sum(0)
        most = amounts.max(1, keepdims=True)
        # The most frequent elements as matminer finds them: within numpy's default closeness of the largest amount.
        frequent = (most - amounts <= 1e-8 + 1e-5 * most).T[..., None]
        mode = np.where(frequent, values, np.inf).min(0)
        return np.stack([low, high, high - low, mean, deviation, mode], -1).astype(np.float32).reshape(len(numbers), -1)
