"""How much of a crystal survives structure -> array -> structure with no network in between.

What is lost here limits every model that stands on the representation, so the recipes measure it and write it
into their `metrics.json`, by number of sites and by closest distance.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure

from matgen_core.representations._errors import DecodeError
from matgen_core.representations.voxels.padded_voxels import PaddedVoxels
from matgen_core.representations.voxels.voxel_grid import VoxelGrid

SITE_BINS = (0, 2, 5, 8, 16, 24, 40, 80)  # right edges included
DISTANCE_BINS = (0.0, 1.5, 2.0, 2.5, 3.0, 20.0)  # Å


def round_trip(
    representation: VoxelGrid | PaddedVoxels, structures: Iterable[Structure], noise: float = 0.0, seed: int = 0
) -> pd.DataFrame:
    """Encode and decode crystals, one row each.

    Args:
        representation: The array layout.
        structures: Crystals that it accepts.
        noise: Standard deviation of normal noise that is added to the density and the species (not to the
            coordinates); a site is 1 high.
        seed: The same seed gives the same noise.

    Returns:
        Columns n_sites, closest_distance (Å), match, rmsd (of the matcher, in units of (volume / site)^(1/3)),
        site_error (largest distance of a site in fractions of an edge, in the cell that was drawn; missing where
        the number of sites differs) and problem.
    """
    matcher = StructureMatcher(ltol=0.3, stol=0.5, angle_tol=10)
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for structure in structures:
        drawn = representation.standardize(structure)
        array = representation.encode(structure)
        blurred = array + noise * rng.standard_normal(array.shape, np.float32)
        blurred[1:4] = array[1:4]
        row: dict[str, Any] = {"n_sites": len(drawn), "closest_distance": closest_distance(drawn)}
        try:
            decoded = representation.decode(blurred)
        except DecodeError as error:
            rows.append(row | {"match": False, "problem": str(error)})
            continue
        fit = matcher.get_rms_dist(structure, decoded)  # type: ignore[no-untyped-call]
        rows.append(
            row | {"match": fit is not None, "rmsd": fit[0] if fit else None, "site_error": site_error(drawn, decoded)}
        )
    columns = ["n_sites", "closest_distance", "match", "rmsd", "site_error", "problem"]
    return pd.DataFrame(rows, columns=columns).astype({"rmsd": float, "site_error": float})


def summarize(trips: pd.DataFrame) -> dict[str, Any]:
    """Write a table of round trips as figures: rates over all rows, failures included."""
    by_sites = pd.cut(trips["n_sites"], SITE_BINS)
    by_distance = pd.cut(trips["closest_distance"], DISTANCE_BINS)
    return {
        "n": len(trips),
        "match_rate": float(trips["match"].mean()),
        "sites_within_0.01": float((trips["site_error"] < 0.01).mean()),
        "largest_site_error": float(trips["site_error"].max()),
        "by_n_sites": _rates(trips, by_sites),
        "by_closest_distance": _rates(trips, by_distance),
    }


def closest_distance(structure: Structure) -> float:
    """Return the shortest distance between two sites or between a site and its own image, in Å."""
    distances = structure.distance_matrix[np.triu_indices(len(structure), 1)]
    return float(min([*distances, *structure.lattice.abc]))


def site_error(expected: Structure, found: Structure) -> float | None:
    """Return how far, in fractions of an edge, the worst-placed site is from the nearest found one of its element.

    None if the elements or their numbers differ.
    """
    if expected.composition != found.composition:
        return None
    worst = 0.0
    for element in expected.composition:
        worst = max(worst, _farthest(_coordinates(expected, element), _coordinates(found, element)))
    return worst


def _coordinates(structure: Structure, element: Any) -> NDArray[np.float64]:
    return np.array([site.frac_coords for site in structure if site.specie == element])


def _farthest(expected: NDArray[np.float64], found: NDArray[np.float64]) -> float:
    offset = expected[:, None] - found[None]
    distance = np.linalg.norm(offset - offset.round(), axis=-1)
    return float(max(distance.min(0).max(), distance.min(1).max()))


def _rates(trips: pd.DataFrame, bins: Any) -> dict[str, Any]:
    groups: Sequence[tuple[Any, pd.DataFrame]] = list(trips.groupby(bins, observed=True))
    return {
        str(interval): {
            "n": len(rows),
            "match_rate": float(rows["match"].mean()),
            "largest_site_error": None if rows["site_error"].isna().all() else float(rows["site_error"].max()),
        }
        for interval, rows in groups
    }
