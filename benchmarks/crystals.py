"""Read crystals from densities with our fit and with the paper's recursive watershed, in one run; and whole models.

The watershed follows the published description (Court et al. 2020, doi:10.1021/acs.jcim.0c00464): connected parts of
the occupied voxels; a part that is convex enough is one site, any other is cut by a watershed from markers that erosion
leaves, up to five times; a site is the center of mass of its part, its species the commonest label in it. Its box of
32^3 voxels holds the cell and a quarter of it on each side, and its occupied voxels are the balls of the ionic radii.
It is given the true occupation and species, so no network slows it or misleads it, and one process a core. Both read
the same crystals, drawn with the same Gaussians on 32^3 points. Failures count as no match.

    make benchmark
"""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pymatgen.core import Element, Lattice, Structure

from benchmarks.report import publish, table
from matgen_core import checkpoint, data
from matgen_core.checks.sets import evaluate_reconstruction, summarize
from matgen_core.latent.map import LatentMap
from matgen_core.latent.space import fitting
from matgen_core.recipes.shared.cubic import cubic_families
from matgen_core.representations import VoxelGrid
from matgen_core.representations.voxels.watershed import cut, majority
from matgen_core.tasks.prediction import predict

N_CRYSTALS = 200
N_PREDICTED = 1000
N_CORES = 2
GRID = 32
PADDING = 0.25  # of the cell, on each side of the paper's box

Box = tuple[NDArray[np.float32], NDArray[np.int64], float]  # density, species (0: empty), edge in Å


def timed(call: Any) -> tuple[float, Any]:
    """Run once; return seconds and the result."""
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def draw_box(structure: Structure, width: float) -> Box:
    """Draw a cubic crystal as the paper's box: density, and atomic numbers within the ionic radii."""
    fractions = np.arange(GRID) / GRID * (1 + 2 * PADDING) - PADDING
    points = np.stack(np.meshgrid(*[fractions] * 3, indexing="ij"), -1)
    density, species = np.zeros((GRID,) * 3, np.float32), np.zeros((GRID,) * 3, np.int64)
    nearest = np.full((GRID,) * 3, np.inf)
    edge = structure.lattice.a
    for site in structure:
        offset = points - site.frac_coords
        square = np.square(offset - offset.round()).sum(-1)
        density += np.exp(-0.5 * square / width**2)
        radius = float(site.specie.average_ionic_radius) or 1.2
        inside = (square * edge**2 < radius**2) & (square < nearest)
        species[inside], nearest[inside] = site.specie.Z, square[inside]
    return density, species, edge


def watershed(box: Box) -> Structure | None:
    """Read a crystal from its box; None if no site is found."""
    density, species, edge = box
    found: list[tuple[int, NDArray[np.float64]]] = []
    for voxels in cut(species > 0, density):
        place = voxels.mean(0) / GRID * (1 + 2 * PADDING) - PADDING
        # The padding shows images: a site counts where it stands in the cell, once.
        if (place >= -0.02).all() and (place < 0.98).all():
            found.append((majority(species[tuple(voxels.T)]), place))
    if not found:
        return None
    symbols = [Element.from_Z(z) for z, _ in found]
    return Structure(Lattice.cubic(edge), symbols, [place for _, place in found])


def single_thread() -> None:
    """Keep a worker from taking the cores of the others."""
    torch.set_num_threads(1)


def main() -> None:
    """Write crystals/s, ratios to the watershed, and what share of the crystals each brings back."""
    torch.set_num_threads(N_CORES)
    shipped = checkpoint.load("icsg3d")
    space, layout = LatentMap(shipped), shipped.representation
    assert isinstance(layout, VoxelGrid)
    test = cubic_families()["test"].table
    chosen = test.sample(N_CRYSTALS, random_state=0).to_dict("records")
    crystals = [layout.standardize(data.structure(row)) for row in chosen]
    as_given = replace(layout, setting="as_given")
    fine = replace(as_given, grid=(GRID,) * 3)
    boxes = [draw_box(crystal, layout.width) for crystal in crystals]
    coarse_arrays, fine_arrays = (np.stack([grid.encode(c) for c in crystals]) for grid in (as_given, fine))

    rows: list[tuple[str, float, float]] = []  # what, crystals/s, match rate

    def add(name: str, seconds: float, found: Any) -> None:
        rate = np.nan if found is None else summarize(evaluate_reconstruction(crystals, found))["match_rate"]
        rows.append((name, N_CRYSTALS / seconds, rate))

    def read(grid: VoxelGrid, arrays: NDArray[np.float32]) -> list[Any]:
        found = [item for i in range(0, len(arrays), 16) for item in grid.decode_batch(arrays[i : i + 16])]
        return [item if isinstance(item, Structure) else None for item in found]

    with ProcessPoolExecutor(N_CORES, initializer=single_thread) as pool:
        list(pool.map(watershed, boxes[: 2 * N_CORES]))  # processes and imports are up
        add(
            f"reading decoded voxels: recursive watershed, {GRID}^3",
            *timed(lambda: list(pool.map(watershed, boxes, chunksize=5))),
        )
    read(fine, fine_arrays[:16])
    add(f"reading decoded voxels: fitted sites, {GRID}^3", *timed(lambda: read(fine, fine_arrays)))
    add(
        f"reading decoded voxels: fitted sites, {layout.grid[0]}^3 (as shipped)",
        *timed(lambda: read(as_given, coarse_arrays)),
    )
    space.encode(crystals[:16])
    parts = [crystals[i : i + 16] for i in range(0, N_CRYSTALS, 16)]
    seconds, encoded = timed(lambda: [item for part in parts for item in space.encode(part)])
    add("encoding with `icsg3d`, drawing and network", seconds, None)
    z = fitting(encoded)[1]
    seconds, decoded = timed(lambda: [item for i in range(0, len(z), 16) for item in space.decode(z[i : i + 16])])
    back = iter(decoded)
    kept = [next(back).material if item.z is not None else None for item in encoded]
    add("decoding with `icsg3d`, network and reading", seconds, kept)

    everything = data.load("mp_structures").table
    tens = everything[everything["numbers"].map(len) == 10].sample(N_PREDICTED, random_state=0)
    structures = [data.structure(row) for row in tens.to_dict("records")]
    predicting: dict[str, float] = {}
    for name in ("cgcnn_energy", "cgcnn_elastic", "cgcnn_dielectric"):
        network = checkpoint.load(name)
        predict(network, structures[:20])
        predicting[name], predicted = timed(lambda network=network: predict(network, structures))
        assert predicted["problem"].eq("").all()
    report(rows, predicting)


def report(rows: Sequence[tuple[str, float, float]], predicting: Mapping[str, float]) -> None:
    """Write the section on crystals.

    Args:
        rows: What was timed, crystals/s and match rate (NaN where nothing is matched); the watershed is the first.
        predicting: Seconds for the crystals that are predicted, by network.
    """
    times = ", ".join(f"`{name}` {seconds:.1f} s" for name, seconds in predicting.items())
    publish(
        "crystals",
        f"{N_CRYSTALS} held-out cubic crystals on {N_CORES} cores, beside the recursive watershed of the published"
        " system in plain scipy:",
        table(
            ["", "crystals/s", "match rate", "times the watershed"],
            [
                (what, f"{rate:.3g}", "" if np.isnan(matched) else f"{matched:.2f}", f"{rate / rows[0][1]:.1f}")
                for what, rate, matched in rows
            ],
        ),
        f"{N_PREDICTED:,} crystals of 10 atoms are predicted by {times}.",
    )


if __name__ == "__main__":
    main()
