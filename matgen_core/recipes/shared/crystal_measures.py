"""What the voxel recipes measure on a network: reconstruction, walks, generation, obedience to the condition."""

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from matgen_core import checkpoint
from matgen_core.checks import sets
from matgen_core.checks.sets import MP20_CUTOFFS, PEROV5_CUTOFFS, evaluate_reconstruction
from matgen_core.latent.space import Decoded
from matgen_core.networks.arrays.crystals import CrystalArrays
from matgen_core.networks.arrays.splits import TRAIN
from matgen_core.networks.learning.voxels.points import AROUND, Judged, Points, Samples
from matgen_core.networks.models.voxels.icsg3d import ICSG3DConfig
from matgen_core.networks.models.voxels.icsg3d_paper import ICSG3DPaperConfig
from matgen_core.recipes.shared.crystal_figures import covered, generated, obedience, predicted, walked
from matgen_core.recipes.shared.cubic import structures
from matgen_core.representations import DecodeError, PaddedVoxels, VoxelGrid
from matgen_core.representations.round_trip import DISTANCE_BINS, SITE_BINS, closest_distance, round_trip, summarize

ENERGY_JUDGE = "cgcnn_energy"  # learned by itself, from all crystals and not from this network's
ENERGY = "formation_energy_per_atom"
PRIORS = ("standard_normal", "learned_prior")
N_WORKERS: int = getattr(os, "process_cpu_count", os.cpu_count)() or 1  # the former came with Python 3.13


def measure(
    config: ICSG3DConfig, layout: VoxelGrid, arrays: CrystalArrays, judged: Judged, n: Samples, seed: int
) -> dict[str, Any]:
    """Return every figure of a voxel checkpoint, see `measured`, from what its points decoded to."""
    found = {name: decoded(points, layout) for name, points in judged.points.items()}
    return measured(config, layout, arrays, found, n, seed)


def measured(
    config: ICSG3DConfig | ICSG3DPaperConfig,
    layout: VoxelGrid | PaddedVoxels,
    arrays: CrystalArrays,
    found: dict[str, list[Decoded]],
    n: Samples,
    seed: int,
) -> dict[str, Any]:
    """Return every figure of a network for cubic crystals; a point that does not decode is a failure in each rate.

    Args:
        config: Of the network.
        layout: Its array layout.
        arrays: All crystals, with their parts.
        found: Crystals of the points that were drawn, by the names of `crystal_points.draw`.
        n: Sizes of the samples; coverage is left out where nothing is to be covered.
        seed: Of the draws that are made here: of the round trips, and of the crystals that are to be covered.
    """
    rng = np.random.default_rng(seed)
    test = arrays.of_part("test")
    everything, originals = structures(arrays), structures(test)
    known = structures(arrays.of_part(TRAIN))
    table = evaluate_reconstruction(originals, found["test"], n_workers=N_WORKERS)
    families = np.array([test.families[i] for i in test.family.tolist()])
    groups = {"all": table}
    if len(arrays.families) > 1:
        groups |= {str(name): rows for name, rows in table.groupby(families)}
    sites = pd.cut([len(structure) for structure in originals], SITE_BINS)
    closest = pd.cut([closest_distance(structure) for structure in originals], DISTANCE_BINS)
    as_given = replace(layout, setting="as_given")  # the arrays hold the standard cells already
    trips = round_trip(as_given, [everything[i] for i in rng.permutation(len(everything))[: n.round_trips]])
    reference = [originals[i] for i in rng.permutation(len(originals))[: n.covered]]
    cutoffs = PEROV5_CUTOFFS if arrays.families == ("perov5",) else MP20_CUTOFFS
    priors = {name: found[name] for name in PRIORS if name in found}
    return {
        "round_trip_without_network": summarize(trips),
        "reconstruction_test": {name: sets.summarize(rows) for name, rows in groups.items()},
        "reconstruction_by_n_sites": match_rates(table, sites),
        "reconstruction_by_closest_distance": match_rates(table, closest),
        "failures": failures(table, test.ids, families),
        "walks": {
            name: walked(found[name], n.steps) for name in ("same_family", "different_families") if name in found
        },
        "generation": {name: generated(found[name], originals, known, N_WORKERS) for name in (*priors, *AROUND)},
        "coverage": covered(priors, reference, cutoffs, N_WORKERS) | {"cutoffs": vars(cutoffs)} if reference else None,
        "condition": conditioned(config, found) if config.n_conditions else None,
    }


def decoded(points: Points, layout: VoxelGrid) -> list[Decoded]:
    """Return the crystals of decoded points, or the reasons why they are none."""
    found = []
    ends = np.cumsum(points.counts.numpy())
    frac_coords, species = points.frac_coords.numpy(), points.species.numpy()
    for z, edge, end, count in zip(points.z.numpy(), points.edge.tolist(), ends, points.counts.tolist(), strict=True):
        rows = slice(end - count, end)
        made = layout.from_sites(frac_coords[rows], species[rows], edge * np.eye(3, dtype=np.float32))
        found.append(Decoded(z, problem=str(made)) if isinstance(made, DecodeError) else Decoded(z, material=made))
    return found


def conditioned(config: ICSG3DConfig | ICSG3DPaperConfig, found: dict[str, list[Decoded]]) -> dict[str, Any]:
    """Let another network say what came when each class of the formation energy was asked for.

    The same noise became latent points without a condition too, and the same classes are expected of these: what
    they get right, chance gets right.
    """
    if ENERGY_JUDGE not in checkpoint.names():
        return {"problem": f"not measured: the checkpoint {ENERGY_JUDGE}, which judges, is missing"}
    judge = checkpoint.load(ENERGY_JUDGE)
    edges, n_classes = config.condition_edges, config.n_conditions
    values = {name: predicted(found[name], judge, ENERGY) for name in ("conditioned", "unconditioned")}
    asked = np.repeat(np.arange(n_classes), len(values["conditioned"]) // n_classes)
    return {
        "judge": ENERGY_JUDGE,
        **({"guidance": config.guidance} if isinstance(config, ICSG3DConfig) else {}),
        "edges": list(edges),
        **{name: obedience(asked, energies, edges) for name, energies in values.items()},
        "median_of_class": [
            _median(energies) for energies in values["conditioned"].reshape(n_classes, -1)
        ],  # eV/atom, None where nothing decoded
        "decoded_and_valid": _valid(found["conditioned"]),
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


def match_rates(table: pd.DataFrame, bins: Any) -> dict[str, Any]:
    """Number of crystals and share that comes back, by the bins that they are in."""
    return {
        str(interval): {"n": len(rows), "match_rate": float(rows["match"].mean())}
        for interval, rows in table.groupby(bins, observed=True)
    }


def _median(values: NDArray[np.float64]) -> float | None:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else None


def _valid(found: Sequence[Decoded]) -> float:
    return float(sets.validity(found)["valid"].mean())
