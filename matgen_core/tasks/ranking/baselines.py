"""What any ranking must beat: how common the elements are, and which of them are seen together."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from matgen_core.materials.fields import PhaseField

_PRIOR = 1.0  # added to seen and to expected counts, so that a pair never seen has a finite score


class ElementFrequency:
    """Score a field by how rarely its elements occur, each by itself; low is familiar."""

    def __init__(self, known: Sequence[PhaseField]) -> None:
        counts = _Counts(known)
        self._place, self._log_counts = counts.place, np.log(counts.elements + _PRIOR)

    def __call__(self, fields: Sequence[PhaseField]) -> NDArray[np.float64]:
        """Minus the sum of the log counts of the elements, (n_fields,)."""
        return -self._log_counts[_places(self._place, fields)].sum(1)


class PairCoOccurrence:
    """Score a field by its pairs of elements: low where they are seen together more often than expected."""

    def __init__(self, known: Sequence[PhaseField]) -> None:
        counts = _Counts(known)
        n_pairs = len(known) * len(known[0]) * (len(known[0]) - 1) / 2
        frequency = counts.elements / counts.elements.sum()
        expected = n_pairs * np.outer(frequency, frequency) * (2 - np.eye(len(frequency)))
        self._place = counts.place
        self._log_ratio = np.log((counts.pairs + _PRIOR) / (expected + _PRIOR))

    def __call__(self, fields: Sequence[PhaseField]) -> NDArray[np.float64]:
        """Minus the sum over pairs of log (seen / expected), (n_fields,)."""
        places = _places(self._place, fields)
        pairs = list(combinations(range(places.shape[1]), 2))
        return -np.sum([self._log_ratio[places[:, i], places[:, j]] for i, j in pairs], axis=0)


class _Counts:
    """How often elements and pairs of elements occur; the last place stands for every element never seen."""

    def __init__(self, known: Sequence[PhaseField]) -> None:
        symbols = sorted({symbol for field in known for symbol in field})
        self.place = {symbol: i for i, symbol in enumerate(symbols)}
        places = _places(self.place, known)
        n = len(symbols) + 1
        self.elements = np.bincount(places.ravel(), minlength=n).astype(np.float64)
        self.pairs = np.zeros((n, n))
        for i, j in combinations(range(places.shape[1]), 2):
            np.add.at(self.pairs, (places[:, i], places[:, j]), 1)
        self.pairs += self.pairs.T * (1 - np.eye(n))


def _places(place: dict[str, int], fields: Sequence[PhaseField]) -> NDArray[np.int64]:
    return np.array([[place.get(symbol, len(place)) for symbol in field] for field in fields])
