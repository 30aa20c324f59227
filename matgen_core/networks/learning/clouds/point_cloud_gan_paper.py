"""The training of the published point-cloud GAN, with its augmentation drawn anew for each batch."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Generator, Tensor

from matgen_core.networks.arrays import clouds
from matgen_core.networks.arrays.clouds import CloudArrays
from matgen_core.networks.arrays.splits import TRAIN
from matgen_core.networks.learning.clouds import samples
from matgen_core.networks.learning.clouds.point_cloud_gan import look_at_both
from matgen_core.networks.learning.loops import AdversarialSchedule, Losses, fit_adversarial
from matgen_core.networks.learning.runs import (
    adversarial_run,
    products_in_tf32,
    read_weights,
    save_weights,
    write_config,
)
from matgen_core.networks.models.clouds.point_cloud_gan_paper import PointCloudGANPaper, PointCloudGANPaperConfig

# The rates of the paper are 5e-5 for batches of 32, and fall by a twentieth in ten of 501 epochs of 112,000 crystals.
ADVERSARIAL = AdversarialSchedule(
    minutes=8.5,
    steps=400_000,
    batch_size=256,
    learning_rate=1.5e-4,
    critic_learning_rate=1.5e-4,
    critic_steps=5,
    averaging=0.0,
    betas=(0.5, 0.999),
    report_every=500,
)


@dataclass(frozen=True)
class PointCloudGANPaperLearner:
    """Settings of a run."""

    Arrays: ClassVar[Any] = CloudArrays

    config: PointCloudGANPaperConfig = PointCloudGANPaperConfig()
    adversarial: AdversarialSchedule = ADVERSARIAL
    looked_at: int = 512  # samples of a report
    tf32: bool = True
    seed: int = 0

    def for_run(self, device: str, minutes: float | None) -> Self:
        """Return the settings as they will be used, on any device."""
        return adversarial_run(self, minutes)

    def learn(self, arrays: CloudArrays, folder: Path, device: str) -> None:
        """Learn; leaves config.json, losses.jsonl, weights.safetensors (float16, at each report anew) and samples."""
        (folder / "losses.jsonl").unlink(missing_ok=True)
        arrays = arrays.to(device)
        training = arrays.of_part(TRAIN)
        n_compositions = len(training.counts.unique(dim=0))
        config = replace(self.config, slots=training.slots, n_compositions=n_compositions)
        write_config(config, folder)
        torch.manual_seed(self.seed)
        model = PointCloudGANPaper(config).to(device)
        model.known.learn(training.counts, training.weight)

        def draw(n: int, rng: Generator) -> Tensor:
            rows = torch.multinomial(training.weight, n, replacement=True, generator=rng)
            return augmented(training, rows, rng)

        def report() -> Losses:
            save_weights(model, folder)
            return look_at_both(model, arrays, self.looked_at, self.seed)

        with products_in_tf32(self.tf32):
            fit_adversarial(model, draw, device, self.adversarial, report=report, log=folder / "losses.jsonl")
        save_weights(model, folder)
        # What is judged is drawn by the weights as they are stored.
        samples.leave(read_weights(model, folder), arrays, folder, self.seed)


def augmented(arrays: CloudArrays, rows: Tensor, rng: Generator) -> Tensor:
    """Write crystals as point clouds with shifted origins, exchanged axes, and their sites in other rows.

    Args:
        arrays: The crystals.
        rows: Which of them, (B,).
        rng: Random state.
    """
    device, n, slots = rows.device, len(rows), arrays.slots
    counts = arrays.counts[rows]
    frac_coords = arrays.frac_coords[rows] + torch.rand(n, 1, 3, generator=rng, device=device)
    points = clouds.to_points(frac_coords, clouds.occupied(counts, slots), arrays.lattice[rows])
    # Columns are axes: lengths, the angles opposite, and coordinates all go with them.
    axes = torch.rand(n, 3, generator=rng, device=device).argsort(1)
    points = points.gather(2, axes.unsqueeze(1).expand(-1, points.shape[1], -1))
    order = torch.rand(n, sum(slots), generator=rng, device=device)
    # Sorted by element first, so that rows change places among those of their element alone.
    order = (order + clouds.slot_elements(slots).to(device)).argsort(1) + clouds.CELL_ROWS
    sites = points.gather(1, order.unsqueeze(-1).expand(-1, -1, 3))
    return torch.cat([points[:, : clouds.CELL_ROWS], sites], 1)
