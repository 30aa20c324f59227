"""Groups of materials that lie close together in the latent space itself, not on a map of it.

HDBSCAN rather than k-means, for what was measured on the spaces shipped here: points fill them without sharp borders
(silhouette of k-means about 0.1 for any number of groups), so k-means cuts elsewhere with every seed (adjusted Rand
index between two seeds 0.4 to 0.8 for eight groups or more), while HDBSCAN needs neither a number of groups nor a
seed, and says which points belong to no group.

Reference: Campello, Moulavi and Sander, PAKDD 2013, doi:10.1007/978-3-642-37456-2_14
"""

from collections import Counter

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from matgen_core.latent.space import Z

NOISE = -1
NOISE_NAME = "in no cluster"
MIN_SHARE = 0.01  # of the points that a cluster holds at least
MIN_SIZE = 10
MIN_DIFFERENCE = 0.1  # between the shares of materials with an element, for the element to stand in a name


def find(z: Z) -> NDArray[np.int64]:
    """Return the cluster of each latent point, the largest 0, and `NOISE` for those in none, (n_points,)."""
    from sklearn.cluster import HDBSCAN

    smallest = max(MIN_SIZE, int(MIN_SHARE * len(z)))
    found = HDBSCAN(min_cluster_size=smallest, min_samples=5, copy=True).fit_predict(z)
    sizes = Counter(found[found != NOISE].tolist())
    order = {label: rank for rank, (label, _) in enumerate(sizes.most_common())} | {NOISE: NOISE}
    return np.array([order[label] for label in found.tolist()], np.int64)


def names(labels: NDArray[np.int64], systems: pd.Series) -> list[str]:
    """Name each point's cluster by its number and the elements that set it apart from all other materials.

    Args:
        labels: As `find` gives them.
        systems: Chemical system or phase field of each material ("Li-O-S"), in the same order.

    Returns:
        Such as "2: O, Sr", "1" where no element does, and `NOISE_NAME`.
    """
    holds = systems.str.get_dummies("-")
    named = {NOISE: NOISE_NAME}
    for label in sorted(set(labels.tolist()) - {NOISE}):
        inside = labels == label
        difference = holds[inside].mean() - holds[~inside].mean()
        first = difference.nlargest(2)
        named[label] = f"{label + 1}: {', '.join(first.index[first >= MIN_DIFFERENCE])}".removesuffix(": ")
    return [named[label] for label in labels.tolist()]
