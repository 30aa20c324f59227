"""Whether a generator heard what it was asked for: predictions of a property beside the value that was wanted."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from matgen_core.networks.models.parts.formula_predictor import TOLERANCE
from matgen_core.tasks.funnel.running import Request, off_by

RESOLUTION = 0.005  # of the counted values, in the units of any property: a tenth of the errors of good predictors


@dataclass(frozen=True)
class Answer:
    """What is predicted of one property that was asked for; its memory grows with the range of the values alone.

    Attributes:
        name: The property, as in the data.
        asked: Its value that was asked for, in its units.
        tolerance: How far from it a kept formula's prediction may lie; None if it may lie anywhere.
        n: Formulas that every predictor gave its values for.
        n_near: Those of them within the tolerance; 0 without one.
        nearest: The prediction that lies nearest to what was asked for; NaN if there is none.
        counts: How many predictions lie from k to k + 1 times RESOLUTION, by k.
    """

    name: str
    asked: float
    tolerance: float | None = None
    n: int = 0
    n_near: int = 0
    nearest: float = np.nan
    counts: Mapping[int, int] = field(default_factory=dict)

    def after(self, rows: pd.DataFrame) -> "Answer":
        """Return the answer when the rows of a `funnel.Chunk` have come, too."""
        if self.name not in rows:
            return self
        predictions = rows.loc[rows["problem"] == "", self.name].dropna()
        if predictions.empty:
            return self
        values = predictions.to_numpy(np.float64)
        counts = dict(self.counts)
        for place, n in zip(*np.unique(np.floor(values / RESOLUTION).astype(int), return_counts=True), strict=True):
            counts[int(place)] = counts.get(int(place), 0) + int(n)
        near = 0 if self.tolerance is None else int((off_by(predictions, self.asked, self.tolerance) <= 1).sum())
        candidates = [value for value in (self.nearest, values[np.abs(values - self.asked).argmin()]) if value == value]
        return replace(
            self,
            n=self.n + len(values),
            n_near=self.n_near + near,
            nearest=float(min(candidates, key=lambda value: abs(value - self.asked))),
            counts=counts,
        )

    @property
    def median(self) -> float:
        """Median of the predictions, to half of RESOLUTION; NaN if there are none."""
        if not self.n:
            return np.nan
        places = np.array(sorted(self.counts))
        upto = np.cumsum([self.counts[place] for place in places])
        middle = places[np.searchsorted(upto, [(self.n + 1) // 2, self.n // 2 + 1])]
        return float((middle.mean() + 0.5) * RESOLUTION)

    def histogram(self, n_bars: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Count the predictions in bars of equal width, as many of them as fit into `n_bars`.

        Returns:
            Where each bar begins and the last one ends, (n + 1,); how many predictions lie in it, (n,).
        """
        places = np.array(list(self.counts))
        if not len(places):
            return np.zeros(1), np.zeros(0, int)
        width = -(-int(np.ptp(places) + 1) // n_bars)  # counts of whole places alone can be told apart
        first = places.min() // width
        bars = np.bincount(places // width - first, weights=list(self.counts.values())).astype(int)
        return (first + np.arange(len(bars) + 1)) * width * RESOLUTION, bars


def answers_to(request: Request) -> list[Answer]:
    """Return an empty answer for each property that is asked for."""
    return [Answer(name, value, request.tolerance.get(name)) for name, value in request.condition.items()]


def usual_tolerance(name: str) -> float:
    """Return how far from a request a prediction of a property may lie to be counted as a hit in the cards."""
    return TOLERANCE[name]


def option(name: str) -> str:
    """Return what a property that can be asked for is called on the command line: "formation-energy"."""
    return name.removesuffix("_per_atom").replace("_", "-")
