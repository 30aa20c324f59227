"""The map of a generator without an encoder: a bank of what it writes beside real formulas, as its critic sees them."""

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from matgen_core.checks import COMPOSITION_RULES, as_booleans, screen_formulas
from matgen_core.latent.building import build_index
from matgen_core.latent.index import GENERATED
from matgen_core.latent.space import LatentSpace
from matgen_core.materials.formulas import Formulas
from matgen_core.networks.arrays.splits import HELD_OUT, TRAIN
from matgen_core.recipes.shared.formulas.sets import FormulaSet
from matgen_core.tasks import funnel


def bank_index(space: LatentSpace, formulas: FormulaSet, n_bank: int, seed: int) -> pd.DataFrame:
    """Make the index of a generator with a critic.

    Args:
        space: Of the generator.
        formulas: All of its data set.
        n_bank: How many samples are drawn, of which those that are formulas are shown, and how many real ones.
        seed: Of the samples, of the real ones that are drawn, and of the maps.
    """
    samples = Formulas.concatenate(list(funnel.samples(space, funnel.Request(n_bank, seed))))
    written = np.flatnonzero(samples.n_elements)
    held_out = formulas.held_out(seed)
    real = np.sort(np.random.default_rng(seed).permutation(len(formulas.formulas))[:n_bank])
    shown = Formulas.concatenate([samples[written], formulas.formulas[real]])
    layout = space.representation
    with torch.inference_mode():
        features = space.model.features(torch.from_numpy(layout.encode_formulas(shown))).numpy()
    neutral, balanced, _ = screen_formulas(shown, COMPOSITION_RULES)
    table = pd.DataFrame(
        {
            "id": [*(f"generated-{row}" for row in written), *(f"real-{row}" for row in real)],
            "formula": shown.texts(),
            "chemical_system": _chemical_systems(shown, formulas.elements),
            "split": [GENERATED] * len(written) + [HELD_OUT if held_out[row] else TRAIN for row in real],
            "n_elements": shown.n_elements,
            "charge_neutral": as_booleans(neutral.answers),
            "electronegativity_balanced": as_booleans(balanced.answers),
            "seed_row": [*written, *([-1] * len(real))],
        }
    )
    return build_index(table, features, seed)


def _chemical_systems(formulas: Formulas, elements: tuple[str, ...]) -> list[str]:
    symbols: NDArray[np.str_] = np.array(elements)
    return ["-".join(sorted(symbols[row > 0])) for row in formulas.table(elements)]
