"""Magpie features of formulas, by matminer one at a time and here as whole arrays, in one run: `make benchmark`."""

import time
import warnings

import numpy as np
from pymatgen.core import Composition

from benchmarks.report import publish, table
from matgen_core import checkpoint
from matgen_core.materials.elements import element_table
from matgen_core.materials.formulas import Formulas
from matgen_core.representations import MagpieFeatures
from matgen_core.tasks import prediction

N_THEIRS, N_OURS = 1_000, 200_000
MAX_ELEMENTS, MAX_COUNT = 5, 8


def drawn(n: int, elements: tuple[str, ...], seed: int) -> Formulas:
    """Formulas of one to five elements with counts up to eight."""
    rng = np.random.default_rng(seed)
    counts = np.zeros((n, len(elements)), np.uint8)
    for slot in range(MAX_ELEMENTS):
        present = rng.random(n) < (1.0 if slot == 0 else 0.6)
        counts[present, rng.integers(0, len(elements), present.sum())] = rng.integers(1, MAX_COUNT + 1, present.sum())
    return Formulas.of_table(counts, elements)


def main() -> None:
    """Write formulas per second and the ratio."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from matminer.featurizers.composition import ElementProperty

        theirs = ElementProperty.from_preset("magpie", impute_nan=True)
    ours = MagpieFeatures.of_matminer(tuple(element_table()))
    formulas = drawn(N_OURS, ours.elements, 1)
    compositions = [Composition(text) for text in formulas[:N_THEIRS].texts()]
    theirs.featurize(compositions[0])
    ours.encode_formulas(formulas[:10])
    start = time.perf_counter()
    expected = np.array([theirs.featurize(composition) for composition in compositions])
    rates = {"matminer": N_THEIRS / (time.perf_counter() - start)}
    start = time.perf_counter()
    found = ours.encode_formulas(formulas)
    rates["here"] = N_OURS / (time.perf_counter() - start)
    np.testing.assert_allclose(found[:N_THEIRS], expected, rtol=1e-6, atol=1e-6)
    screen = checkpoint.load("two_d_screen")
    start = time.perf_counter()
    prediction.predict_formulas(screen, formulas)
    rates["here, with the probability of `two_d_screen`"] = N_OURS / (time.perf_counter() - start)
    report(rates)


def report(rates: dict[str, float]) -> None:
    """Write the section on Magpie features."""
    rows = [(name, f"{rate:,.0f}", f"{rate / rates['matminer']:,.0f}") for name, rate in rates.items()]
    publish("magpie", table(["Magpie features", "formulas/s", "times matminer"], rows))


if __name__ == "__main__":
    main()
