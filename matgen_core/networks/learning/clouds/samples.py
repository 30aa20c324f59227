"""The samples on which a point-cloud GAN is judged, drawn where it has learned, and the crystals to relax of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor

from matgen_core.networks.arrays import clouds, tensors
from matgen_core.networks.arrays.cells import Cells
from matgen_core.networks.arrays.clouds import CloudArrays

FILE, CRYSTALS = "samples.safetensors", "crystals.safetensors"
_AT_ONCE = 128


@dataclass(frozen=True, eq=False)
class CloudSamples:
    """Samples in the order in which they were asked for.

    Attributes:
        points: (n, 2 + sum of slots, 3) point clouds.
        relaxed: Which of them the crystals to relax are, in their order, which is random: the first are a fair choice.
    """

    points: Tensor
    relaxed: Tensor

    @classmethod
    def load(cls, path: Path) -> "CloudSamples":
        """Read what `leave` wrote."""
        return tensors.load(cls, path)


@torch.no_grad()
def draw(model: Any, arrays: CloudArrays, seed: int) -> tuple[CloudSamples, Cells]:
    """Draw the samples that are asked for, on the device of the model; what is returned lies on the CPU.

    Args:
        model: A trained network.
        arrays: What it learned from, with what is asked for.
        seed: Of the noise and the order.
    """
    rng = Generator().manual_seed(seed)
    device = next(model.parameters()).device
    z = torch.randn(len(arrays.asked), model.latent_dim, generator=rng)
    parts = [
        model.decode(some.to(device), asked.to(device)).float().cpu()
        for some, asked in zip(z.split(_AT_ONCE), arrays.asked.cpu().split(_AT_ONCE), strict=True)
    ]
    points = torch.cat(parts) if parts else torch.zeros(0, clouds.CELL_ROWS + sum(arrays.slots), 3)
    frac_coords, there, lattice = clouds.from_points(points.double())
    fit = there.any(1) & (clouds.volume_of(lattice) > there.sum(1)) & points.flatten(1).isfinite().all(1)
    order = torch.randperm(len(points), generator=rng)
    order = order[fit[order]]
    numbers = torch.tensor(arrays.numbers)[clouds.slot_elements(arrays.slots)]
    crystals = Cells.of(
        (numbers[there[row]].numpy(), lattice[row].numpy(), frac_coords[row, there[row]].numpy())
        for row in order.tolist()
    )
    return CloudSamples(points, order), crystals


def leave(model: Any, arrays: CloudArrays, folder: Path, seed: int) -> None:
    """Draw, and write the samples and the crystals to relax into the folder of a run."""
    samples, crystals = draw(model, arrays, seed)
    tensors.save(samples, folder / FILE)
    tensors.save(crystals, folder / CRYSTALS)
