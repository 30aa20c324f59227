"""Train and score phase fields with PyOD's VAE, the engine of the published study, and with ours, in one run.

Both get the same rows: every order of the 2,021 known fields, 48,504 rows of 148 standardized features, 13 times over.
Then both score. PyOD scores a row, so a field takes it 24 rows; ours scores a field, whatever its order.

    make benchmark
"""

import time
from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from matgen_core import checkpoint, data
from matgen_core.materials.fields import PhaseField
from matgen_core.networks.learning import loops
from matgen_core.networks.models.phase_field_vae import PhaseFieldVAE
from matgen_core.recipes import RECIPES
from matgen_core.representations import ElementFeatures
from matgen_core.tasks import ranking

EPOCHS = 13
BATCH = 512  # ours; PyOD keeps the 32 of the study
N_ELEMENTS = 80  # every field of four of them is scored


def timed(call: Any) -> tuple[float, Any]:
    """Run once; return seconds and the result."""
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def explained(rows: NDArray[np.float32], restored: NDArray[np.float32]) -> float:
    """Share of the variance of the rows that a reconstruction keeps."""
    return float(1 - np.square(restored - rows).sum() / np.square(rows - rows.mean(0)).sum())


def main() -> None:
    """Print one table: seconds, rates, ratios, and what each network has learned."""
    from pyod.models.vae import VAE

    fields = [PhaseField.parse(t, True) for t in data.load("icsd2017_quaternary_two_anion").table["phase_field"]]
    representation = ElementFeatures.fit(data.load("magpie_37").table, fields)
    orders = list(permutations(range(4)))
    places = np.vstack([representation.places(fields)[:, order] for order in orders])
    table = torch.from_numpy(representation.table)
    rows = representation.table[places].reshape(len(places), -1)

    shipped = checkpoint.load("phase_field_vae")
    model, shipped_features = ranking.scorer(shipped)
    seen = sorted({symbol for field in fields for symbol in field})
    every = ranking.every_field(shipped_features, seen[:N_ELEMENTS])

    theirs = VAE(
        epoch_num=EPOCHS,
        batch_size=32,
        encoder_neuron_list=[148, 74, 37, 18, 9, 4],
        decoder_neuron_list=[4, 9, 18, 37, 74],
        latent_dim=2,
        dropout_rate=0.2,
        random_state=0,
        verbose=0,
    )
    seconds_theirs, _ = timed(lambda: theirs.fit(rows))
    scoring_theirs, _ = timed(lambda: theirs.decision_function(rows))
    with torch.no_grad():
        theirs.model.eval()
        scaled = (rows - theirs.X_mean) / (theirs.X_std + 1e-8)
        restored = theirs.model(torch.from_numpy(scaled.astype(np.float32)))[0].numpy()
    explained_theirs = explained(scaled, restored)

    recipe: Any = RECIPES["phase_field_vae"]
    settings = replace(recipe.schedule, epochs=EPOCHS, batch_size=BATCH)

    def train(n_members: int) -> PhaseFieldVAE:
        torch.manual_seed(0)
        model = PhaseFieldVAE(replace(recipe.config, n_members=n_members))
        loops.fit(model, (torch.from_numpy(places),), settings, transform=lambda batch, rng: (table, batch[0]))
        return model

    seconds_one, one = timed(lambda: train(1))
    seconds_five, _ = timed(lambda: train(recipe.config.n_members))
    with torch.no_grad():
        x = torch.from_numpy(rows).reshape(-1, *representation.shape)
        explained_ours = explained(rows, one.decode(one.encode(x).mean).reshape(len(rows), -1).numpy())

    scoring_one, _ = timed(lambda: ranking.score_places(one, shipped_features, every))
    scoring_five, _ = timed(lambda: ranking.score_places(model, shipped_features, every))

    rate_theirs, rate_one, rate_five = len(rows) / scoring_theirs, len(every) / scoring_one, len(every) / scoring_five
    members = recipe.config.n_members
    print(f"{torch.get_num_threads()} threads; {len(rows):,} rows x {EPOCHS} epochs; {len(every):,} fields scored\n")
    print(
        pd.DataFrame(
            [
                ("training, PyOD (s)", seconds_theirs, 1.0),
                ("training, ours, 1 network (s)", seconds_one, seconds_theirs / seconds_one),
                (f"training, ours, {members} networks at once (s)", seconds_five, seconds_theirs / seconds_five),
                ("scoring, PyOD (fields/s, 24 rows each)", rate_theirs / 24, 1.0),
                ("scoring, ours, 1 network (fields/s)", rate_one, 24 * rate_one / rate_theirs),
                (f"scoring, ours, {members} networks (fields/s)", rate_five, 24 * rate_five / rate_theirs),
                ("scoring, PyOD (rows/s)", rate_theirs, np.nan),
                ("variance explained, PyOD", explained_theirs, np.nan),
                ("variance explained, ours, 1 network", explained_ours, np.nan),
            ],
            columns=["", "value", "times faster than PyOD"],
        ).to_string(
            index=False, float_format=lambda value: f"{value:,.3g}" if value < 1000 else f"{value:,.0f}", na_rep=""
        )
    )


if __name__ == "__main__":
    main()
