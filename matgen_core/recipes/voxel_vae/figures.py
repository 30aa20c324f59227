"""What is measured of the voxel VAE: what comes back, of real crystals too, and whether a crystal has one place."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from pymatgen.core import Structure

from matgen_core.checks.sets import evaluate_reconstruction, summarize
from matgen_core.latent.space import Decoded
from matgen_core.networks.arrays.crystals import ReducedArrays
from matgen_core.networks.learning.voxels.voxel_vae import Crystals
from matgen_core.recipes.shared.crystal_baselines import Prototypes, by_family
from matgen_core.recipes.shared.crystal_measures import N_WORKERS, failures, match_rates
from matgen_core.representations import DecodeError, VoxelGrid
from matgen_core.representations.round_trip import DISTANCE_BINS, SITE_BINS, closest_distance


@dataclass(frozen=True)
class Sizes:
    """How much of each is measured; a matcher takes some hundredths of a second a crystal."""

    test: int = 2000  # held-out crystals, drawn at random
    round_trips: int = 300
    trials: int = 100  # crystals that are displaced, or written in another way
    index: int = 2000  # crystals on the map


def decoded(found: Crystals, layout: VoxelGrid) -> list[Decoded]:
    """Return the crystals of decoded points, or the reasons why they are none."""
    made: list[Decoded] = []
    counts = found.counts.numpy()
    ends = np.cumsum(counts)
    frac_coords, species = found.frac_coords.numpy(), found.species.numpy()
    for z, lattice, end, count in zip(found.z.numpy(), found.lattice.numpy(), ends, counts, strict=True):
        rows = slice(end - count, end)
        item = layout.from_sites(frac_coords[rows], species[rows], lattice)
        made.append(Decoded(z, problem=str(item)) if isinstance(item, DecodeError) else Decoded(z, material=item))
    return made


def families_of(arrays: ReducedArrays, rows: NDArray[np.int64]) -> list[str]:
    """Crystal systems of some rows."""
    return [arrays.families[i] for i in arrays.family[torch.from_numpy(rows)].tolist()]


def reconstruction(
    originals: Sequence[Structure], found: Sequence[Decoded], ids: Sequence[str], families: Sequence[str]
) -> dict[str, Any]:
    """Judge held-out crystals that went there and back: all, by crystal system, by size; failures with reasons."""
    table = evaluate_reconstruction(originals, found, N_WORKERS)
    groups = {"all": table}
    if len(set(families)) > 1:
        groups |= {str(name): rows for name, rows in table.groupby(np.array(families))}
    sites = pd.cut([len(each) for each in originals], SITE_BINS)
    closest = pd.cut([closest_distance(each) for each in originals], DISTANCE_BINS)
    same_sites = [
        item.material is not None and len(item.material) == len(each)
        for item, each in zip(found, originals, strict=True)
    ]
    return {
        "reconstruction_test": {name: summarize(rows) for name, rows in groups.items()},
        "reconstruction_by_n_sites": match_rates(table, sites),
        "reconstruction_by_closest_distance": match_rates(table, closest),
        "same_number_of_sites": float(np.mean(same_sites)),
        "same_formula": float((table["formula"] == table["decoded_formula"]).mean()),
        "failures": failures(table, tuple(ids), np.array(families)),
    }


def by_prototype(
    originals: Sequence[Structure], training: Sequence[Structure], families: Sequence[str]
) -> dict[str, Any]:
    """Judge the same crystals by what needs no network: the formula and the nearest training prototype."""
    prototypes = Prototypes(training)
    return by_family(originals, [prototypes.nearest(each) for each in originals], families, N_WORKERS)
