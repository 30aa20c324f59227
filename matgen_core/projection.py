"""Flatten a latent space to two axes and grade what the flattening keeps.

The recipes call this once and store the result: a first UMAP fit compiles for 10 to 30 s in every process.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from matgen_core.latent import N_NEIGHBORS, Z

METHODS = ("umap", "tsne", "pca")


def project(z: Z, method: str, seed: int, n_neighbors: int = N_NEIGHBORS) -> NDArray[np.float32]:
    """Project latent points to the plane, (n_points, 2).

    Args:
        z: Latent points, (n_points, latent_dim).
        method: "umap", "tsne" or "pca".
        seed: The same seed gives the same map.
        n_neighbors: Size of the neighborhood that UMAP keeps; half of the perplexity of t-SNE.

    Raises:
        ValueError: If the method is unknown or there are too few points for it.
    """
    if len(z) <= 3 * n_neighbors:
        raise ValueError(f"{len(z)} points; a map needs more than {3 * n_neighbors}")
    if method == "pca":
        from sklearn.decomposition import PCA

        return PCA(2, random_state=seed).fit_transform(z).astype(np.float32)
    if method == "tsne":
        from sklearn.manifold import TSNE

        tsne = TSNE(perplexity=2 * n_neighbors, init="pca", random_state=seed)
        return tsne.fit_transform(z).astype(np.float32)
    if method == "umap":
        import umap

        reducer = umap.UMAP(n_neighbors=n_neighbors, min_dist=0.1, random_state=seed, n_jobs=1)
        return np.asarray(reducer.fit_transform(z), np.float32)
    raise ValueError(f"{method!r} is no projection; known: {', '.join(METHODS)}")


def faithfulness(z: Z, positions: NDArray[np.float32], k: int = N_NEIGHBORS) -> NDArray[np.float32]:
    """Share of each point's k true neighbors that are among its k neighbors on the map, (n_points,)."""
    true, shown = _nearest(z, k), _nearest(positions, k)
    return (true[:, :, None] == shown[:, None, :]).any(-1).mean(-1).astype(np.float32)


def projections(z: Z, seed: int, methods: tuple[str, ...] = METHODS) -> pd.DataFrame:
    """Project by several methods: columns `<method>_x`, `<method>_y` and `<method>_faithfulness`."""
    columns = {}
    for method in methods:
        positions = project(z, method, seed)
        columns[f"{method}_x"], columns[f"{method}_y"] = positions.T
        columns[f"{method}_faithfulness"] = faithfulness(z, positions)
    return pd.DataFrame(columns)


def _nearest(points: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    from sklearn.neighbors import NearestNeighbors

    return NearestNeighbors(n_neighbors=k).fit(points).kneighbors(return_distance=False)
