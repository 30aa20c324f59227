"""Rank phase fields as the published table does: by how far their elements lie from the average element.

The published VAE returns a constant, so its reconstruction error is the Euclidean norm of the standardized
features. This model is that norm. It says how average the elements of a field are, each by itself; it knows
nothing of which elements go together.

Reference: Vasylenko et al., Nat. Commun. 12, 5561 (2021), doi:10.1038/s41467-021-25343-7
"""

from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class PhaseFieldNormConfig:
    """Sizes of the input."""

    n_slots: int = 4
    n_features: int = 37


class PhaseFieldNorm(nn.Module):
    """A closed form; it has nothing to learn."""

    Config = PhaseFieldNormConfig

    def __init__(self, config: PhaseFieldNormConfig) -> None:
        super().__init__()
        self.config = config

    def score(self, table: Tensor, places: Tensor) -> Tensor:
        """Return the norm of each field, shape (B, 1); low is familiar.

        Args:
            table: Standardized features of the elements, (n_elements, n_features).
            places: Rows of `table` in the slots of each field, (B, n_slots).
        """
        return self.contributions(table, places).sum(-1, keepdim=True).sqrt()

    def contributions(self, table: Tensor, places: Tensor) -> Tensor:
        """Return the part of each slot in the squared score, shape (B, n_slots)."""
        return table.square().sum(-1)[places]
