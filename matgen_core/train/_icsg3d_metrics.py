"""What the voxel recipes measure on a network: reconstruction, walks, generation, obedience to the condition."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from matgen_core import checkpoint, crystal_metrics, crystals
from matgen_core.crystal_metrics import PEROV5_CUTOFFS, evaluate_reconstruction
from matgen_core.crystals import CrystalArrays
from matgen_core.latent import Decoded, Z
from matgen_core.models.icsg3d import ICSG3D
from matgen_core.representations import VoxelGrid
from matgen_core.representations.round_trip import DISTANCE_BINS, SITE_BINS, closest_distance, round_trip, summarize
from matgen_core.train.crystal_figures import around, generated, obedience, predicted, walk
from matgen_core.train.cubic import structures

Decode = Callable[[Z, Tensor | None], list[Decoded]]
ENERGY_JUDGE = "cgcnn_energy"  # learned by itself, from all crystals and not from this network's
ENERGY = "formation_energy_per_atom"
BATCH = 16  # larger ones make a CPU wait for memory
N_WORKERS = 2


@dataclass(frozen=True)
class Samples:
    """How much of each is measured."""

    round_trips: int = 1000
    walks: int = 200  # lines of each kind
    steps: int = 8
    prior: int = 1000
    covered: int = 1000  # crystals of the reference; a fingerprint takes 0.1 s
    around: int = 300  # ten round each known crystal
    per_class: int = 30
    held_out: int | None = None  # crystals of the test part; all if not given


def measure(
    model: ICSG3D, layout: VoxelGrid, arrays: CrystalArrays, decode: Decode, n: Samples, seed: int
) -> dict[str, Any]:
    """Return every figure of a voxel checkpoint; a point that does not decode is a failure in each rate.

    Args:
        model: The network.
        layout: Its array layout.
        arrays: All crystals, with their parts.
        decode: Latent points and conditions (None for any) to crystals.
        n: Sizes of the samples.
        seed: Of every draw.
    """
    rng = np.random.default_rng(seed)
    test = arrays.of_part("test")
    if n.held_out is not None and n.held_out < len(test):
        test = test.select(torch.from_numpy(np.sort(rng.permutation(len(test))[: n.held_out])))
    originals, known = structures(test), structures(arrays.of_part("train"))
    everything = structures(arrays)
    z = encode(model, test)
    tables = {"without_condition": evaluate_reconstruction(originals, decode(z, None), n_workers=N_WORKERS)}
    if model.config.n_conditions:
        condition = model.condition_of(test.formation_energy_per_atom)
        again = decode(encode(model, test, condition), condition)
        tables["with_formation_energy"] = evaluate_reconstruction(originals, again, n_workers=N_WORKERS)
    table = tables["without_condition"]
    families = np.array([test.families[i] for i in test.family.tolist()])
    groups = {"all": table}
    if len(arrays.families) > 1:
        groups |= {str(name): rows for name, rows in table.groupby(families)}
    sites = pd.cut([len(structure) for structure in originals], SITE_BINS)
    closest = pd.cut([closest_distance(structure) for structure in originals], DISTANCE_BINS)
    as_given = VoxelGrid(**{**vars(layout), "setting": "as_given"})  # the arrays hold the standard cells already
    trips = round_trip(as_given, [everything[i] for i in rng.permutation(len(everything))[: n.round_trips]])
    cutoffs = PEROV5_CUTOFFS if arrays.families == ("perov5",) else None
    start = z[rng.permutation(len(z))[: n.around // 10]]
    prior = rng.standard_normal((n.prior, model.latent_dim), np.float32)
    shuffled = [originals[i] for i in rng.permutation(len(originals))]  # the first of them are a fair sample
    drawn = {
        "from_the_prior": decode(prior, None),
        "around_known_crystals": decode(around(start, 10, variance=0.5, seed=seed), None),
        "around_known_crystals_close": decode(around(start, 10, variance=0.05, seed=seed), None),
    }
    return {
        "round_trip_without_network": summarize(trips),
        "reconstruction_test": {name: crystal_metrics.summarize(rows) for name, rows in groups.items()},
        "reconstruction_with_formation_energy": crystal_metrics.summarize(tables["with_formation_energy"])
        if model.config.n_conditions
        else None,
        "reconstruction_by_n_sites": _match_rates(table, sites),
        "reconstruction_by_closest_distance": _match_rates(table, closest),
        "failures": failures(table, test.ids, families),
        "walks": walk(lambda points: decode(points, None), z, families, n.walks, n.steps, seed),
        "generation": {
            name: generated(found, shuffled, known, cutoffs if name == "from_the_prior" else None, n.covered, N_WORKERS)
            for name, found in drawn.items()
        },
        "condition": conditioned(model, decode, n.per_class, seed) if model.config.n_conditions else None,
    }


@torch.inference_mode()
def encode(model: ICSG3D, arrays: CrystalArrays, condition: Tensor | None = None) -> Z:
    """Posterior means of crystals, (n, latent_dim); without a condition, as the app encodes."""
    points: list[NDArray[np.float32]] = []
    for rows in torch.arange(len(arrays)).split(BATCH):
        part = arrays.select(rows)
        x = crystals.draw(part.frac_coords, part.species, part.edge, part.codes, model.config.grid, model.config.width)
        points.append(model.encode(x, None if condition is None else condition[rows]).mean.numpy())
    return np.concatenate(points)


def conditioned(model: ICSG3D, decode: Decode, per_class: int, seed: int) -> dict[str, Any]:
    """Ask for each class of the formation energy and let another network say what came.

    The same latent points are decoded without a condition, and the same classes are expected of them: what these
    get right, chance gets right.
    """
    if ENERGY_JUDGE not in checkpoint.names():
        return {"problem": f"not measured: the checkpoint {ENERGY_JUDGE}, which judges, is missing"}
    judge = checkpoint.load(ENERGY_JUDGE)
    edges, n_classes = model.config.condition_edges, model.config.n_conditions
    asked = np.repeat(np.arange(n_classes, dtype=np.int64), per_class)
    z = np.random.default_rng(seed).standard_normal((len(asked), model.latent_dim)).astype(np.float32)
    wanted = torch.nn.functional.one_hot(torch.from_numpy(asked), n_classes).float()
    found = {
        name: predicted(decode(z, condition), judge, ENERGY)
        for name, condition in (("conditioned", wanted), ("unconditioned", None))
    }
    return {
        "judge": ENERGY_JUDGE,
        "edges": list(edges),
        **{name: obedience(asked, values, edges) for name, values in found.items()},
        "median_of_class": [
            _median(values) for values in found["conditioned"].reshape(n_classes, per_class)
        ],  # eV/atom, None where nothing decoded
    }


def failures(table: pd.DataFrame, ids: tuple[str, ...], families: NDArray[Any], n_shown: int = 30) -> dict[str, Any]:
    """Say why crystals do not come back, how often, and name some of them."""
    missed = table.assign(id=ids, family=families)[~table["match"].to_numpy()]
    reasons = missed["reason"].str.split(":").str[0]
    columns = ["id", "family", "formula", "decoded_formula", "species_accuracy", "reason"]
    shown = missed.sort_values("species_accuracy")[columns].head(n_shown)
    return {
        "n": len(missed),
        "reasons": {str(name): int(count) for name, count in reasons.value_counts().items()},
        "worst": shown.round(3).to_dict("records"),
    }


def without_nan(figures: Any) -> Any:
    """Put None for every NaN, which JSON does not know."""
    if isinstance(figures, dict):
        return {key: without_nan(value) for key, value in figures.items()}
    if isinstance(figures, list):
        return [without_nan(value) for value in figures]
    return None if isinstance(figures, float) and np.isnan(figures) else figures


def _match_rates(table: pd.DataFrame, bins: Any) -> dict[str, Any]:
    return {
        str(interval): {"n": len(rows), "match_rate": float(rows["match"].mean())}
        for interval, rows in table.groupby(bins, observed=True)
    }


def _median(values: NDArray[np.float64]) -> float | None:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else None
