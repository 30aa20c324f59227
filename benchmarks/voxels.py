"""Read crystals of any symmetry from voxels with our fit and with the published inversion in plain scipy, in one run.

The inversion follows Hoffmann et al. (2019, arXiv:1909.00949): every voxel with enough density has the element that it
is nearest to, connected voxels of an element are a site, and it stands at their center of mass. It is given the true
voxels, so no network slows it or misleads it, and one process a core. Both read the same arrays. Failures count as
no match.

    make benchmark
"""

import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pymatgen.core import Structure
from scipy import ndimage
from scipy.spatial.distance import cdist

from benchmarks.report import publish, table
from matgen_core import checkpoint, data
from matgen_core.checks.sets import evaluate_reconstruction, summarize
from matgen_core.latent.space import LatentSpace, fitting
from matgen_core.networks.arrays import density
from matgen_core.recipes.voxel_vae.crystals import crystals
from matgen_core.representations import VoxelGrid

N_CRYSTALS = 200
N_CORES = 2
ENOUGH = 0.4  # of the height of a site; with less, neighbors run into one, with more, sites between voxels vanish
RIM = 4  # voxels of the next cells on each side, so that a site on a face is one


def timed(call: Any) -> tuple[float, Any]:
    """Run once; return seconds and the result."""
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def inverted(layout: VoxelGrid, array: NDArray[np.float32]) -> Structure | None:
    """Read a crystal from its voxels by labels and connected parts; None if no site is found."""
    lattice = density.lattice_of(torch.from_numpy(array[None, 1:4]))[0].numpy()
    padded = np.pad(array, [(0, 0), *[(RIM, RIM)] * 3], mode="wrap")
    occupied = padded[0] > ENOUGH
    codes = (padded[4:, occupied] / padded[0, occupied]).T
    labels = np.zeros(occupied.shape, np.int64)
    labels[occupied] = cdist(codes, layout.codes).argmin(1) + 1
    found: list[tuple[str, NDArray[np.float64]]] = []
    for label in np.unique(labels[occupied]):
        parts, n_parts = ndimage.label(labels == label)
        centers = np.array(ndimage.center_of_mass(padded[0], parts, range(1, n_parts + 1)))
        for place in (centers - RIM) / np.array(layout.grid):
            if (place >= -0.02).all() and (place < 0.98).all():  # the rim shows images: a site counts once
                found.append((layout.elements[label - 1], place))
    if not found:
        return None
    return Structure(lattice, [symbol for symbol, _ in found], [place for _, place in found])


def single_thread() -> None:
    """Keep a worker from taking the cores of the others."""
    torch.set_num_threads(1)


def main() -> None:
    """Write crystals/s, ratios to the published inversion, and what share of the crystals each brings back."""
    torch.set_num_threads(N_CORES)
    shipped = checkpoint.load("voxel_vae")
    space, layout = LatentSpace.of(shipped), shipped.representation
    assert isinstance(layout, VoxelGrid)
    cells: list[Structure] = []
    for row in crystals()["test"].table.sample(2 * N_CRYSTALS, random_state=0).to_dict("records"):
        try:
            cells.append(layout.standardize(data.structure(row)))
        except ValueError:  # outside the box
            continue
    cells = cells[:N_CRYSTALS]
    arrays = np.stack([layout.draw(each) for each in cells])
    rows: list[tuple[str, float, float]] = []  # what, crystals/s, match rate

    def add(name: str, seconds: float, found: Any) -> None:
        rate = np.nan if found is None else summarize(evaluate_reconstruction(cells, found))["match_rate"]
        rows.append((name, len(cells) / seconds, rate))

    def read(given: NDArray[np.float32]) -> list[Structure | None]:
        parts = (given[i : i + 16] for i in range(0, len(given), 16))
        return [each if isinstance(each, Structure) else None for part in parts for each in layout.decode_batch(part)]

    invert = partial(inverted, layout)
    with torch.inference_mode():
        z = torch.from_numpy(fitting(space.encode(cells))[1])
        drawn = torch.cat([shipped.model.decode(part) for part in z.split(16)]).numpy()
    with ProcessPoolExecutor(N_CORES, initializer=single_thread) as pool:
        list(pool.map(invert, arrays[: 2 * N_CORES]))  # processes and imports are up
        for kind, given in (("true", arrays), ("decoded", drawn)):
            seconds, found = timed(lambda given=given: list(pool.map(invert, given, chunksize=5)))
            add(f"reading {kind} voxels: labels and connected parts", seconds, found)
            read(given[:16])
            seconds, found = timed(lambda given=given: read(given))
            add(f"reading {kind} voxels: fitted sites", seconds, found)
    seconds, _ = timed(lambda: [layout.standardize(each) for each in cells])
    add("finding the reduced cell", seconds, None)
    space.encode(cells[:16])
    seconds, encoded = timed(lambda: space.encode(cells))
    add("encoding with `voxel_vae`, reduced cell, drawing and network", seconds, None)
    points = fitting(encoded)[1]
    space.decode(points[:16])
    seconds, decoded = timed(lambda: space.decode(points))
    add("decoding with `voxel_vae`, network and reading", seconds, [each.material for each in decoded])
    report(rows)


def report(rows: Sequence[tuple[str, float, float]]) -> None:
    """Write the section on voxels.

    Args:
        rows: What was timed, crystals/s and match rate (NaN where nothing is matched); the inversion is the first.
    """
    publish(
        "voxels",
        f"{N_CRYSTALS} held-out crystals of any symmetry on {N_CORES} cores, beside the published inversion in plain"
        " scipy:",
        table(
            ["", "crystals/s", "match rate", "times the inversion"],
            [
                (what, f"{rate:.3g}", "" if np.isnan(matched) else f"{matched:.2f}", f"{rate / rows[0][1]:.1f}")
                for what, rate, matched in rows
            ],
        ),
    )


if __name__ == "__main__":
    main()
