"""A random forest for two classes as plain arrays of bytes: no pickle, two bytes a node.

Features are cut into at most 255 bins before the trees grow, so that a node needs one byte for its feature and one for
its cut, and the bins are all that meets a feature's value.

References: Breiman, Mach. Learn. 45, 5 (2001), doi:10.1023/A:1010933404324; as Song et al. use one, ACS Appl. Mater.
Interfaces 13, 53303 (2021), arXiv:2012.09314
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

LEAF = 255  # in place of a feature
ROWS_AT_ONCE = 1024  # their bins and the nodes of a few trees stay in the cache of a core
TREES_AT_ONCE = 10
_SHRINK = 1e-3


@dataclass(frozen=True)
class RandomForestConfig:
    """Sizes of the arrays; `depth` is that of the deepest leaf, the root has 0."""

    n_features: int
    n_trees: int
    n_nodes: int
    depth: int
    n_edges: int = 127
    properties: tuple[str, ...] = ("probability",)


class RandomForest(nn.Module):
    """Trees of one after another; the nodes of a tree stand level by level, the two children of a node together.

    So the children of a tree's k-th split (from 0) are its nodes 2k + 1 and 2k + 2, and no child is stored.
    """

    Config = RandomForestConfig
    edges: Tensor
    roots: Tensor
    feature: Tensor
    cut: Tensor
    calibration: Tensor

    def __init__(self, config: RandomForestConfig) -> None:
        super().__init__()
        if config.n_features > LEAF or config.n_edges > LEAF:
            raise ValueError(f"{config.n_features} features in {config.n_edges + 1} bins; at most {LEAF} and {LEAF}")
        self.config = config
        # inner edges of the bins, ascending, the rest inf; a value on an edge is in the bin below
        self.register_buffer("edges", torch.full((config.n_features, config.n_edges), torch.inf))
        self.register_buffer("roots", torch.zeros(config.n_trees, dtype=torch.int32))
        self.register_buffer("feature", torch.full((config.n_nodes,), LEAF, dtype=torch.uint8))
        # of a split: the last bin that goes to the left; of a leaf: the share of the positive class in 255ths
        self.register_buffer("cut", torch.zeros(config.n_nodes, dtype=torch.uint8))
        # slope and intercept that turn the log odds of the votes into those of the probability (Platt 1999)
        self.register_buffer("calibration", torch.tensor([1.0, 0.0]))

    @property
    def properties(self) -> tuple[str, ...]:
        """What is predicted."""
        return self.config.properties

    def bins(self, x: Tensor) -> Tensor:
        """Return the bins of features, (B, n_features) uint8 of (B, n_features)."""
        return torch.searchsorted(self.edges, x.to(self.edges.dtype).T.contiguous()).T.to(torch.uint8)

    @torch.no_grad()
    def votes(self, x: Tensor) -> Tensor:
        """Return the share of the positive class in the leaf of each tree, (B, n_trees), of features."""
        left, feature, cut = self._nodes()
        leaves = torch.empty(len(x), self.config.n_trees, dtype=torch.int32)
        for start in range(0, len(x), ROWS_AT_ONCE):
            bins = self.bins(x[start : start + ROWS_AT_ONCE]).int()
            rows = torch.arange(0, bins.numel(), self.config.n_features, dtype=torch.int32)
            bins = bins.flatten()
            for first in range(0, self.config.n_trees, TREES_AT_ONCE):
                roots = self.roots[first : first + TREES_AT_ONCE]
                node, row = roots.repeat_interleave(len(rows)), rows.repeat(len(roots))
                for _ in range(self.config.depth):
                    bin_ = bins.index_select(0, feature.index_select(0, node) + row)
                    node = left.index_select(0, node) + (bin_ > cut.index_select(0, node))
                leaves[start : start + len(rows), first : first + len(roots)] = node.view(len(roots), -1).T
        return self.cut[leaves].float() / 255

    def predict(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return calibrated probabilities and how far the trees disagree, (B, 1) each, of features (B, n_features).

        The second is the standard deviation of the votes over the trees, before calibration.
        """
        votes = self.votes(x)
        return self.calibrated(votes.mean(1, keepdim=True)), votes.std(1, keepdim=True, correction=0)

    def calibrated(self, votes: Tensor) -> Tensor:
        """Return the probabilities that mean votes stand for, of any shape."""
        slope, intercept = self.calibration
        return torch.sigmoid(slope * log_odds(votes) + intercept)

    def _nodes(self) -> tuple[Tensor, Tensor, Tensor]:
        """Left child, feature and cut of each node, int32; a leaf is its own left child and never goes right."""
        place = torch.arange(self.config.n_nodes, dtype=torch.int32)
        first = self.roots[torch.searchsorted(self.roots, place, right=True) - 1]
        split = self.feature != LEAF
        before = torch.cumsum(split, 0, dtype=torch.int32) - split.int()  # splits in front of each node, of all trees
        left = torch.where(split, first + 1 + 2 * (before - before[first]), place)
        return left, torch.where(split, self.feature, 0).int(), torch.where(split, self.cut, LEAF).int()


def log_odds(votes: Tensor) -> Tensor:
    """Log odds of shares of votes; 0 and 1 have finite ones, and no two shares have the same."""
    shrunk = (votes + _SHRINK) / (1 + 2 * _SHRINK)
    return torch.logit(shrunk)
