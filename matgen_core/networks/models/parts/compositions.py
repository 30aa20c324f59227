"""The compositions that a generator of crystals has learned: where none is asked for, one of them is drawn."""

import torch
from torch import Tensor, nn


class Compositions(nn.Module):
    """Atoms of each element in the cells of the training crystals, and how often each such cell is drawn."""

    counts: Tensor  # (n_compositions, n_elements)
    shares: Tensor  # (n_compositions,), relative

    def __init__(self, n_compositions: int, n_elements: int) -> None:
        super().__init__()
        self.register_buffer("counts", torch.ones(n_compositions, n_elements))
        self.register_buffer("shares", torch.full((n_compositions,), 1 / n_compositions))

    def learn(self, counts: Tensor, weight: Tensor) -> None:
        """Take over the different rows of counts (N, n_elements) with the sums of their weights (N,)."""
        different, place = counts.unique(dim=0, return_inverse=True)
        shares = torch.zeros(len(different), device=weight.device).index_add(0, place, weight.float())
        self.counts.copy_(different)
        self.shares.copy_(shares / shares.sum())

    def at(self, place: Tensor) -> Tensor:
        """Return the composition at each normal number (B,), as counts (B, n_elements)."""
        sums = self.shares.float().cumsum(0)
        row = torch.searchsorted(sums, torch.special.ndtr(place.contiguous()) * sums[-1])
        return self.counts[row.clamp(max=len(sums) - 1)].round().long()
