"""A forest that scikit-learn grows, as the arrays of `models.random_forest`."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from matgen_core.networks.models.random_forest import LEAF, RandomForest, RandomForestConfig


@dataclass(frozen=True)
class Growth:
    """How the trees grow; the depth is that of Song et al. 2021, who had 250 trees."""

    n_trees: int = 200
    max_depth: int | None = 20
    min_leaf: int = 1  # training rows in a leaf
    max_features: float | str = "sqrt"  # looked at for a split
    balanced: bool = False  # whether the two classes weigh the same
    n_edges: int = 127  # between bins of a feature


def grow(x: NDArray[np.float32], labels: NDArray[np.bool_], growth: Growth, seed: int) -> RandomForest:
    """Grow a forest on features (N, n_features) and what is known of each row, (N,)."""
    from sklearn.ensemble import RandomForestClassifier

    edges = bin_edges(x, growth.n_edges)
    empty = RandomForest(RandomForestConfig(x.shape[1], 1, 1, 0, growth.n_edges))
    empty.edges = torch.from_numpy(edges)
    grown = RandomForestClassifier(
        n_estimators=growth.n_trees,
        max_depth=growth.max_depth,
        min_samples_leaf=growth.min_leaf,
        max_features=growth.max_features,
        class_weight="balanced" if growth.balanced else None,
        random_state=seed,
    ).fit(empty.bins(torch.from_numpy(x)).numpy(), labels)
    return forest_of(grown, edges)


def bin_edges(x: NDArray[np.float32], n_edges: int) -> NDArray[np.float32]:
    """Cut each feature into bins of about the same number of rows; (n_features, n_edges), ascending, the rest inf.

    A feature with few values has an edge between every two of them.
    """
    edges = np.full((x.shape[1], n_edges), np.inf, np.float32)
    for row, values in zip(edges, x.T, strict=True):
        known = np.unique(values)
        if len(known) <= n_edges + 1:
            cuts = (known[1:] + known[:-1]) / 2
        else:
            cuts = np.unique(np.quantile(values, np.linspace(0, 1, n_edges + 2)[1:-1]).astype(np.float32))
        row[: len(cuts)] = cuts
    return edges


def forest_of(grown: Any, edges: NDArray[np.float32]) -> RandomForest:
    """Write the trees of a fitted RandomForestClassifier of two classes, whose features were bins of these edges."""
    trees = [_level_by_level(estimator.tree_) for estimator in grown.estimators_]
    sizes = [len(feature) for feature, _ in trees]
    config = RandomForestConfig(
        n_features=len(edges),
        n_trees=len(trees),
        n_nodes=sum(sizes),
        depth=max(estimator.tree_.max_depth for estimator in grown.estimators_),
        n_edges=edges.shape[1],
    )
    forest = RandomForest(config)
    forest.load_state_dict(
        {
            "edges": torch.from_numpy(edges),
            "roots": torch.from_numpy(np.cumsum([0, *sizes[:-1]], dtype=np.int32)),
            "feature": torch.from_numpy(np.concatenate([feature for feature, _ in trees])),
            "cut": torch.from_numpy(np.concatenate([cut for _, cut in trees])),
            "calibration": forest.calibration,
        }
    )
    return forest.eval()


def _level_by_level(tree: Any) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Features and cuts of a tree's nodes, by levels, the children of a node together."""
    levels = [np.zeros(1, np.int64)]
    while len(levels[-1]):
        splits = levels[-1][tree.children_left[levels[-1]] >= 0]
        levels.append(np.stack([tree.children_left[splits], tree.children_right[splits]], 1).ravel())
    order = np.concatenate(levels)
    is_split = tree.children_left[order] >= 0
    weights = tree.value[order, 0]
    share = np.rint(255 * weights[:, 1] / weights.sum(1))
    # scikit-learn sends a bin to the left if it is at most the threshold, which lies between two bins
    cut = np.where(is_split, np.floor(tree.threshold[order]), share)
    return np.where(is_split, tree.feature[order], LEAF).astype(np.uint8), cut.astype(np.uint8)
