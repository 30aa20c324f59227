"""Groups of materials that lie close together: clusters in the latent space itself, and islands on a map of it.

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
from matgen_core.materials.query import ratio
from matgen_core.materials.query.structures import Structures, title

NOISE = -1
NOISE_NAME = "in no cluster"
MIN_SHARE = 0.01  # of the points that a cluster holds at least
MIN_SIZE = 10
MIN_DIFFERENCE = 0.1  # between the shares of materials with an element, for the element to stand in a name

MOST_SORTED = 5_000  # points that islands are looked for in: so many show where they lie
MIN_ISLANDS = 5  # a map of fewer is parted further
MIN_OF_A_KIND = 0.6  # of an island, for its kind to stand in the title
MAX_OF_ALL = 0.9  # of the whole map: what nearly all are tells no island from another
MIN_OF_AN_ELEMENT = 0.25  # an island's share of materials with an element over that of the others
N_ELEMENTS = 2  # at most, in a title


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


def islands(positions: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the island of each point on a map, the largest 0, and `NOISE` for those in none, (n_points,).

    Of more than `MOST_SORTED` points a sample is sorted, the same at each call; the others are in none.
    """
    from sklearn.cluster import HDBSCAN

    rows = np.random.default_rng(0).permutation(len(positions))[:MOST_SORTED]
    smallest = max(MIN_SIZE, int(MIN_SHARE * len(rows)))
    found = np.full(len(positions), NOISE, np.int64)
    if len(rows) < 2 * smallest:
        return found
    for method in ("eom", "leaf"):
        sorting = HDBSCAN(min_cluster_size=smallest, min_samples=5, cluster_selection_method=method, copy=True)
        found[rows] = sorting.fit_predict(positions[rows])
        if found.max() + 1 >= MIN_ISLANDS:
            break
    sizes = Counter(found[found != NOISE].tolist())
    order = {label: rank for rank, (label, _) in enumerate(sizes.most_common())} | {NOISE: NOISE}
    return np.array([order[label] for label in found.tolist()], np.int64)


def titles(labels: NDArray[np.int64], table: pd.DataFrame, systems: pd.Series, known: Structures) -> dict[int, str]:
    """Say what is in each island: the kind that most are of, and the elements that set it apart from the others.

    Args:
        labels: As `islands` gives them.
        table: As `index.known_materials` gives it.
        systems: Chemical system or phase field of each material.
        known: Of their structures.

    Returns:
        By island, such as "perovskite · F"; islands of which nothing can be said are left out.
    """
    holds = systems.str.get_dummies("-")
    kinds = [_kinds(table, known), *(table[name] for name in ("space_group", "anions") if name in table)]
    found = {}
    for label in range(int(labels.max(initial=NOISE)) + 1):
        inside = labels == label
        words = next(filter(None, (_most(kind, inside) for kind in kinds)), "")
        difference = holds[inside].mean() - holds[~inside].mean()
        first = difference.nlargest(N_ELEMENTS)
        elements = ", ".join(each for each in first.index[first >= MIN_OF_AN_ELEMENT] if each not in words.split("-"))
        if text := " · ".join(filter(None, (words, elements))):
            found[label] = text
    return found


def _kinds(table: pd.DataFrame, known: Structures) -> pd.Series:
    named = [title(*known.of(row), ratio(name)) for row, name in enumerate(table["name"])]
    return pd.Series(named, index=table.index)


def _most(kind: pd.Series, inside: NDArray[np.bool_]) -> str:
    counts = kind[inside].value_counts(normalize=True)
    if counts.empty or not counts.index[0] or counts.iloc[0] < MIN_OF_A_KIND:
        return ""
    return "" if (kind == counts.index[0]).mean() > MAX_OF_ALL else str(counts.index[0]).partition(" (")[0]
