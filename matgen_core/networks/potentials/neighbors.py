"""Which atoms of periodic crystals lie within a distance of each other, for many crystals at once, in torch alone."""

from dataclasses import dataclass

import torch
from torch import Tensor

from matgen_core.networks.arrays.cells import Cells, rows_times

_PAIRS_AT_ONCE = 4_000_000  # candidates that are looked at together: 0.3 GB
_SAME_PLACE = 1e-8  # Å^2; an atom and itself, or two atoms on one point


@dataclass(frozen=True, eq=False)
class Neighbors:
    """Directed pairs of sites; each pair stands in both directions.

    Attributes:
        sources: (E,) places in the sites of all crystals.
        targets: (E,) likewise.
        vectors: (E, 3) from source to target in Å, float64.
        shifts: (E, 3) lattice translation of the target, whole numbers.
    """

    sources: Tensor
    targets: Tensor
    vectors: Tensor
    shifts: Tensor


def neighbors(crystals: Cells, cutoff: float, pairs_at_once: int = _PAIRS_AT_ONCE) -> Neighbors:
    """Find all pairs within a distance, periodic images included.

    Two different atoms on one point are a pair of length 0, so that what is computed from it shows that they are.

    Args:
        crystals: Cells with a volume, on any device; sites may lie outside their cell.
        cutoff: Å.
        pairs_at_once: Bound on the memory; the result does not depend on it.
    """
    counts, owners = crystals.counts, crystals.owners
    inverse = torch.linalg.inv(crystals.cells)
    outside = crystals.frac_coords.floor()
    wrapped = crystals.frac_coords - outside
    heights = 1 / inverse.norm(dim=1)  # distance of the planes of a cell, (S, 3)
    reach = (cutoff / heights + 1).floor().long()
    widths = 2 * reach + 1
    n_shifts = widths.prod(1)
    n_pairs = counts * counts * n_shifts
    first = counts.cumsum(0) - counts
    found: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
    for start, stop in _chunks(n_pairs.tolist(), pairs_at_once):
        rows = torch.arange(start, stop, device=counts.device)
        crystal = rows.repeat_interleave(n_pairs[rows])
        before = n_pairs[rows].cumsum(0) - n_pairs[rows]
        number = torch.arange(len(crystal), device=counts.device) - before[crystal - start]
        pair, shift = number // n_shifts[crystal], number % n_shifts[crystal]
        source, target = (first[crystal] + part for part in (pair // counts[crystal], pair % counts[crystal]))
        width = widths[crystal]
        translation = torch.stack(
            [shift // (width[:, 1] * width[:, 2]), shift // width[:, 2] % width[:, 1], shift % width[:, 2]], 1
        )
        translation = translation - reach[crystal]
        vectors = rows_times(wrapped[target] - wrapped[source] + translation, crystals.cells[crystal])
        squared = vectors.square().sum(1)
        near = (squared < cutoff**2) & ((squared > _SAME_PLACE) | (source != target))
        near = near.nonzero().squeeze(1)
        source, target = source[near], target[near]
        # counted from where the sites really are, not from their images in the cell
        moved = translation[near] - (outside[target] - outside[source]).long()
        found.append((source, target, vectors[near], moved))
    if not found:
        nothing = owners[:0]
        return Neighbors(nothing, nothing, crystals.cells.new_zeros(0, 3), nothing.new_zeros(0, 3))
    return Neighbors(*(torch.cat(parts) for parts in zip(*found, strict=True)))


def _chunks(sizes: list[int], most: int) -> list[tuple[int, int]]:
    """Cut a list into runs whose sum is at most `most`; what is larger by itself stands alone."""
    cuts, start, total = [], 0, 0
    for place, size in enumerate(sizes):
        if place > start and total + size > most:
            cuts.append((start, place))
            start, total = place, 0
        total += size
    return [*cuts, (start, len(sizes))] if sizes else []
