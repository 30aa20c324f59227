"""Small crystals in slots, for the networks over point clouds."""

import torch
from torch import Tensor

from matgen_core.networks.arrays import clouds
from matgen_core.networks.arrays.cells import lattice_from_parameters
from matgen_core.networks.arrays.clouds import CloudArrays, CloudBatch

SLOTS = (2, 3, 4)


def cloud_arrays(n: int = 24, seed: int = 3) -> CloudArrays:
    """Crystals of three compositions with random sites, a twelfth each in the parts that are not learned from."""
    rng = torch.Generator().manual_seed(seed)
    counts = torch.tensor([[1, 2, 4], [2, 1, 3], [1, 1, 2]])[torch.arange(n) % 3]
    parameters = torch.cat([4 + 2 * torch.rand(n, 3, generator=rng), 0.3 * torch.rand(n, 3, generator=rng)], 1)
    frac_coords = torch.rand(n, sum(SLOTS), 3, generator=rng) * clouds.occupied(counts, SLOTS).unsqueeze(-1)
    part = torch.zeros(n, dtype=torch.int64)
    part[5::12], part[6::12] = 1, 2
    return CloudArrays(
        ("Mg", "Mn", "O"),
        (12, 25, 8),
        SLOTS,
        tuple(f"c-{i}" for i in range(n)),
        frac_coords,
        counts,
        lattice_from_parameters(parameters),
        torch.full((n,), 0.5),
        part,
        counts[[0, 1, 2, 0]],
    )


def one(frac_coords: Tensor, counts: tuple[int, ...], lattice: Tensor, slots: tuple[int, ...] = SLOTS) -> CloudBatch:
    """One crystal, its sites by element."""
    slot = clouds.slots_of(clouds.occupied(torch.tensor([counts]), slots))
    return CloudBatch(torch.tensor([counts]), slot, frac_coords.unsqueeze(0), lattice.unsqueeze(0))
