"""Sites as the parts of a labeled grid, cut by recursive watershed, as Court et al. read their crystals.

Connected parts of the occupied voxels: a part that is convex enough is one site, any other is cut by a watershed from
the markers that erosion leaves, and each piece is looked at again, a few times at most.

Reference: Court et al., J. Chem. Inf. Model. 60, 4518 (2020), doi:10.1021/acs.jcim.0c00464
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError

LEAST_VOXELS, LEAST_CONVEXITY, MOST_CUTS = 8, 0.8, 5  # as published
_SPECK = 3  # voxels; a part of no more is noise


def cut(occupied: NDArray[np.bool_], density: NDArray[np.float32], depth: int = 1) -> list[NDArray[np.int64]]:
    """Cut the occupied voxels into sites.

    Args:
        occupied: (X, Y, Z).
        density: (X, Y, Z), whose hills the watershed parts.
        depth: Number of this cut.

    Returns:
        The voxels of each site, (n, 3).
    """
    labels, _ = ndimage.label(occupied)
    sites: list[NDArray[np.int64]] = []
    for i, window in enumerate(ndimage.find_objects(labels), 1):
        part = labels[window] == i
        corner = np.array([edge.start for edge in window])
        if part.sum() <= _SPECK:
            continue
        if depth > MOST_CUTS or convexity(part) >= LEAST_CONVEXITY:
            sites.append(np.argwhere(part) + corner)
            continue
        markers, n_markers = ndimage.label(ndimage.binary_erosion(part))
        if n_markers == 0:
            sites.append(np.argwhere(part) + corner)
            continue
        markers[~part] = -1
        here = density[window]
        height = (65535 * (1 - here / max(float(here.max()), 1e-6))).astype(np.uint16)
        areas = ndimage.watershed_ift(height, markers.astype(np.int32))
        pieces = [areas == k for k in range(1, n_markers + 1)]
        for piece in pieces:
            if n_markers > 1 and piece.sum() >= LEAST_VOXELS:
                sites += [voxels + corner for voxels in cut(piece, here, depth + 1)]
            elif n_markers == 1 and piece.sum() >= LEAST_VOXELS:
                # One marker cuts nothing: look at what erosion leaves, where touching balls come apart.
                sites += [voxels + corner for voxels in cut(ndimage.binary_erosion(part), here, depth + 1)]
    return sites


def convexity(part: NDArray[np.bool_]) -> float:
    """Voxels of a part over the voxels of its convex hull; 1 for a flat part."""
    points = np.argwhere(part)
    try:
        faces = ConvexHull(points).equations
    except QhullError:  # flat
        return 1.0
    grid = np.indices(part.shape).reshape(3, -1)
    inside = (faces[:, :3] @ grid + faces[:, 3:] <= 1e-6).all(0).sum()
    return len(points) / int(inside)


def majority(labels: NDArray[np.int64]) -> int:
    """Return the commonest label that is not empty space (0); 0 if there is no other."""
    counts = np.bincount(labels, minlength=1)
    counts[0] = 0
    return int(counts.argmax())
