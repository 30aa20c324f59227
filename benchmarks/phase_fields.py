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
import torch
from numpy.typing import NDArray

from benchmarks.report import publish, table
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
    """Write seconds, rates, ratios, and what each network has learned."""
    from pyod.models.vae import VAE

    fields = [PhaseField.parse(t, True) for t in data.load("icsd2017_quaternary_two_anion").table["phase_field"]]
    representation = ElementFeatures.fit(data.load("magpie_37").table, fields)
    orders = list(permutations(range(4)))
    places = np.vstack([representation.places(fields)[:, order] for order in orders])
    properties = torch.from_numpy(representation.table)
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
        loops.fit(model, (torch.from_numpy(places),), settings, transform=lambda batch, rng: (properties, batch[0]))
        return model

    seconds_one, one = timed(lambda: train(1))
    seconds_five, _ = timed(lambda: train(recipe.config.n_members))
    with torch.no_grad():
        x = torch.from_numpy(rows).reshape(-1, *representation.shape)
        explained_ours = explained(rows, one.decode(one.encode(x).mean).reshape(len(rows), -1).numpy())

    scoring_one, _ = timed(lambda: ranking.score_places(one, shipped_features, every))
    scoring_five, _ = timed(lambda: ranking.score_places(model, shipped_features, every))

    n_fields, members = len(rows) / len(orders), recipe.config.n_members
    report(
        len(rows),
        len(every),
        members,
        seconds=(seconds_theirs, seconds_one, seconds_five),
        rates=(n_fields / scoring_theirs, len(every) / scoring_one, len(every) / scoring_five),
        explained_variance=(explained_theirs, explained_ours),
    )


def report(
    n_rows: int,
    n_scored: int,
    members: int,
    seconds: tuple[float, float, float],
    rates: tuple[float, float, float],
    explained_variance: tuple[float, float],
) -> None:
    """Write the section on phase fields.

    Args:
        n_rows: Rows that were trained on.
        n_scored: Fields that ours scores in one call, all of N_ELEMENTS elements.
        members: Networks of the ensemble.
        seconds: Of training PyOD's network, one of ours, and the ensemble.
        rates: Fields a second that the three score.
        explained_variance: By PyOD's network and one of ours.
    """
    theirs, one, all_members = seconds
    scored, scored_one, scored_all = rates
    publish(
        "phase fields",
        f"PyOD's VAE (the engine of the published study) and ours on the same {n_rows:,} rows for the same {EPOCHS}"
        f" epochs, {torch.get_num_threads()} thread(s):",
        table(
            ["", "PyOD", "ours", "ratio"],
            [
                ("training one network", f"{theirs:.0f} s", f"{one:.1f} s", f"{theirs / one:.1f}"),
                (
                    f"training the ensemble of {members} at once",
                    "",
                    f"{all_members:.1f} s",
                    f"{theirs / all_members:.1f}",
                ),
                (
                    "scoring, one network (PyOD needs the 24 orders of a field)",
                    f"{scored:,.0f} fields/s",
                    f"{scored_one:,.0f} fields/s",
                    f"{scored_one / scored:.0f}",
                ),
                (
                    f"scoring, the ensemble of {members}",
                    "",
                    f"{scored_all:,.0f} fields/s",
                    f"{scored_all / scored:.0f}",
                ),
                ("variance explained after that training", *(f"{each:.1%}" for each in explained_variance), ""),
            ],
        ),
        f"All {n_scored:,} quaternary fields of {N_ELEMENTS} elements are scored in one call.",
    )


if __name__ == "__main__":
    main()
