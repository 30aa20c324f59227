"""Read crystals from voxels with our fit and with the published inversions in plain scipy, in one run.

The inversion of Hoffmann et al. (2019, arXiv:1909.00949): every voxel with enough density has the element that it is
nearest to, connected voxels of an element are a site, and it stands at their center of mass. That of Noh et al. (2019,
doi:10.1016/j.matt.2019.08.017) reads iMatGen's images: the edges of the cell from the last voxel of its image along
each axis, the angles from those along the diagonals of its faces, atoms where the blurred image of their element is
highest. Its rules for atoms of vanadium and oxygen that stand too near are left out. Both are given the true voxels, so
no network slows or misleads them, and one process a core. Ours reads the same arrays. Failures count as no match.

    make benchmark
"""

import time
from collections.abc import Callable, Mapping, Sequence
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
from matgen_core.networks.arrays import basis, density
from matgen_core.networks.arrays.cells import lattice_from_parameters
from matgen_core.recipes.imatgen.data import others_of
from matgen_core.recipes.voxel_vae.crystals import crystals
from matgen_core.representations import CellAndBasis, VoxelGrid

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


def cell_inverted(image: NDArray[np.float32], width: float) -> NDArray[np.float64]:
    """Read a cell, (3, 3) in Å, from the outermost voxels of its image along axes and diagonals of faces."""
    half, grid = image.shape[0] // 2, image.shape[0]

    def length(direction: tuple[int, int, int]) -> float:
        """Length of a vector of the cell by the lowest voxel of the Gaussian that still is there along it."""
        for n in range(half - 1, 0, -1):
            value = image[tuple(half + n * step for step in direction)]
            if value > 0:
                return float(np.sqrt(-2 * width**2 * np.log(value)) * grid / n)
        return float("nan")

    a, b, c = (length(each) for each in ((1, 0, 0), (0, 1, 0), (0, 0, 1)))
    bc, ac, ab = (length(each) for each in ((0, 1, 1), (1, 0, 1), (1, 1, 0)))
    pairs = ((bc, b, c), (ac, a, c), (ab, a, b))
    cosines = [(whole**2 - one**2 - other**2) / (2 * one * other) for whole, one, other in pairs]
    parameters = torch.tensor([[a, b, c, *np.clip(cosines, -0.99, 0.99)]])
    return lattice_from_parameters(parameters)[0].numpy()


def images_inverted(layout: CellAndBasis, array: NDArray[np.float32]) -> Structure | None:
    """Read a crystal from iMatGen's images by the voxels above their neighbors; None if there is none."""
    lattice = cell_inverted(array[0], layout.cell_width)
    symbols, places = [], []
    for symbol, image in zip(layout.elements, array[1:], strict=True):
        blurred = ndimage.gaussian_filter(image, 0.15)
        peaks = (ndimage.maximum_filter(blurred, 3) == blurred) & (blurred > 0.02)
        for place in np.argwhere(peaks):
            symbols.append(symbol)
            places.append(place / layout.grid)  # a grid point stands at the start of its voxel
    if not symbols or not np.isfinite(lattice).all():
        return None
    found = basis.in_cell(torch.tensor(np.array([places])), torch.tensor(lattice[None]), layout.box)[0].numpy()
    return Structure(lattice, symbols, found)


def single_thread() -> None:
    """Keep a worker from taking the cores of the others."""
    torch.set_num_threads(1)


def compared(
    name: str, cells: Sequence[Structure], invert: Callable[[NDArray[np.float32]], Structure | None]
) -> list[tuple[str, float, float]]:
    """Time the published inversion and ours on the same crystals, and a network's ways there and back.

    Args:
        name: Of the checkpoint.
        cells: In the standard cell of its representation.
        invert: The published inversion.

    Returns:
        What was timed, crystals/s and match rate (NaN where nothing is matched); the inversion is the first.
    """
    shipped = checkpoint.load(name)
    space, layout = LatentSpace.of(shipped), shipped.representation
    assert isinstance(layout, VoxelGrid | CellAndBasis)
    arrays = np.stack([layout.draw(each) for each in cells])
    rows: list[tuple[str, float, float]] = []

    def add(what: str, seconds: float, found: Any) -> None:
        rate = np.nan if found is None else summarize(evaluate_reconstruction(cells, found))["match_rate"]
        rows.append((what, len(cells) / seconds, rate))

    def read(given: NDArray[np.float32]) -> list[Structure | None]:
        parts = (given[i : i + 16] for i in range(0, len(given), 16))
        return [each if isinstance(each, Structure) else None for part in parts for each in layout.decode_batch(part)]

    space.encode(cells[:16])
    seconds, encoded = timed(lambda: space.encode(cells))
    points = fitting(encoded)[1]
    with torch.inference_mode():
        decoded = torch.cat([shipped.model.decode(part) for part in torch.from_numpy(points).split(16)]).numpy()
    with ProcessPoolExecutor(N_CORES, initializer=single_thread) as pool:
        list(pool.map(invert, arrays[: 2 * N_CORES]))  # processes and imports are up
        for kind, given in (("true", arrays), ("decoded", decoded)):
            took, found = timed(lambda given=given: list(pool.map(invert, given, chunksize=5)))
            add(f"reading {kind} voxels: as published", took, found)
            read(given[:16])
            took, found = timed(lambda given=given: read(given))
            add(f"reading {kind} voxels: fitted sites", took, found)
    took, _ = timed(lambda: [layout.standardize(each) for each in cells])
    add("finding the reduced cell", took, None)
    add(f"encoding with `{name}`, reduced cell, drawing and network", seconds, None)
    space.decode(points[:16])
    took, back = timed(lambda: space.decode(points))
    add(f"decoding with `{name}`, network and reading", took, [each.material for each in back])
    return rows


def held_out(layout: VoxelGrid) -> list[Structure]:
    """Crystals that `voxel_vae` did not learn from, in its cell."""
    cells: list[Structure] = []
    for row in crystals()["test"].table.sample(2 * N_CRYSTALS, random_state=0).to_dict("records"):
        try:
            cells.append(layout.standardize(data.structure(row)))
        except ValueError:  # outside the box
            continue
    return cells[:N_CRYSTALS]


def main() -> None:
    """Write crystals/s, ratios to the published inversions, and what share of the crystals each brings back."""
    torch.set_num_threads(N_CORES)
    any_symmetry, pair = (checkpoint.load(name).representation for name in ("voxel_vae", "imatgen_vo"))
    assert isinstance(any_symmetry, VoxelGrid)
    assert isinstance(pair, CellAndBasis)
    of_pair = [each["cell"] for each in others_of(pair, 2 * N_CRYSTALS, seed=1)][:N_CRYSTALS]
    report(
        {
            f"{N_CRYSTALS} held-out crystals of any symmetry": compared(
                "voxel_vae", held_out(any_symmetry), partial(inverted, any_symmetry)
            ),
            f"{len(of_pair)} crystals of other elements as if of V and O, most of them learned from": compared(
                "imatgen_vo", of_pair, partial(images_inverted, pair)
            ),
        }
    )


def report(found: Mapping[str, Sequence[tuple[str, float, float]]]) -> None:
    """Write the section on voxels.

    Args:
        found: By the crystals, what `compared` returned.
    """
    parts = []
    for crystals_, rows in found.items():
        shown = table(
            ["", "crystals/s", "match rate", "times the inversion"],
            [
                (what, f"{rate:.3g}", "" if np.isnan(matched) else f"{matched:.2f}", f"{rate / rows[0][1]:.2g}")
                for what, rate, matched in rows
            ],
        )
        parts.append(f"{crystals_}:\n\n{shown}")
    publish("voxels", f"On {N_CORES} cores, beside the published inversions in plain scipy.", "\n\n".join(parts))


if __name__ == "__main__":
    main()
