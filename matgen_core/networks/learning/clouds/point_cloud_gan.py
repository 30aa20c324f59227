"""The training of the point-cloud GANs on the crystals of a few elements."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Generator, Tensor

from matgen_core.networks.arrays import clouds
from matgen_core.networks.arrays.clouds import CloudArrays, CloudBatch
from matgen_core.networks.arrays.splits import TRAIN, VAL
from matgen_core.networks.learning.clouds import samples
from matgen_core.networks.learning.loops import AdversarialSchedule, Losses, fit_adversarial
from matgen_core.networks.learning.runs import adversarial_run, read_weights, save_weights, write_config
from matgen_core.networks.models.clouds.point_cloud_gan import PointCloudGAN, PointCloudGANConfig

ADVERSARIAL = AdversarialSchedule(
    minutes=8.5,
    steps=60_000,
    batch_size=128,
    learning_rate=5e-4,
    critic_learning_rate=5e-4,
    critic_steps=1,
    averaging=0.999,
    betas=(0.0, 0.99),
    report_every=1000,
)


@dataclass(frozen=True)
class PointCloudGANLearner:
    """Settings of a run."""

    Arrays: ClassVar[Any] = CloudArrays

    config: PointCloudGANConfig = PointCloudGANConfig()  # slots, compositions and volumes are those of the arrays
    adversarial: AdversarialSchedule = ADVERSARIAL
    sizes: tuple[int, ...] = (10, 16, 28)  # sites up to which crystals share a batch, so that little of it is empty
    looked_at: int = 512  # samples of a report
    seed: int = 0

    def for_run(self, device: str, minutes: float | None) -> Self:
        """Return the settings as they will be used, on any device."""
        return adversarial_run(self, minutes)

    def learn(self, arrays: CloudArrays, folder: Path, device: str) -> None:
        """Learn; leaves config.json, losses.jsonl, weights.safetensors (float16, at each report anew) and samples."""
        (folder / "losses.jsonl").unlink(missing_ok=True)
        arrays = arrays.to(device)
        training = arrays.of_part(TRAIN)
        config = told(self.config, training)
        write_config(config, folder)
        torch.manual_seed(self.seed)
        model = PointCloudGAN(config).to(device)
        model.known.learn(training.counts, training.weight)
        draw = pairs(training, self.sizes)

        def report() -> Losses:
            save_weights(model, folder)
            return look_at_both(model, arrays, self.looked_at, self.seed)

        # In float32 throughout: the products that make distances would be off by a hundredth of an Å in TF32.
        fit_adversarial(model, draw, device, self.adversarial, report=report, log=folder / "losses.jsonl")
        save_weights(model, folder)
        # What is judged is drawn by the weights as they are stored.
        samples.leave(read_weights(model, folder), arrays, folder, self.seed)


def told(config: PointCloudGANConfig, training: CloudArrays) -> PointCloudGANConfig:
    """Return the sizes with what the training crystals say: slots, number of compositions, volume an atom."""
    volume = volumes(training).log()
    return replace(
        config,
        slots=training.slots,
        n_compositions=len(training.counts.unique(dim=0)),
        volume=float(volume.mean().exp()),
        volume_spread=float(volume.std()) if len(volume) > 1 else config.volume_spread,
    )


def volumes(arrays: CloudArrays) -> Tensor:
    """Volume of an atom in Å^3, (N,)."""
    return clouds.volume_of(arrays.lattice) / arrays.counts.sum(1)


Pairs = tuple[CloudBatch, Tensor]


def pairs(arrays: CloudArrays, sizes: tuple[int, ...]) -> Callable[[int, Generator], Pairs]:
    """Return what draws crystals by their weights, each time of one range of sizes.

    The crystals of the second half have the compositions of the first, and are others where there are others; beside
    them it says where. A batch of the largest crystals has as many as are asked for, of smaller ones more, so that each
    takes as long.
    """
    n_sites = arrays.counts.sum(1)
    largest = int(n_sites.max())
    ends = [end for end in sizes if end < largest] + [largest]
    groups, weights = [], []
    for least, most in zip([0, *ends[:-1]], ends, strict=True):
        rows = ((n_sites > least) & (n_sites <= most)).nonzero()[:, 0]
        if len(rows):
            groups.append((_sorted(arrays.select(rows)), most))
            weights.append(float(arrays.weight[rows].sum()))
    chances = torch.tensor(weights)
    choose = Generator().manual_seed(0)

    def draw(n: int, rng: Generator) -> Pairs:
        (some, first, size), most = groups[int(torch.multinomial(chances, 1, generator=choose))]
        rows = torch.multinomial(some.weight, n * largest // most // 2, replacement=True, generator=rng)
        # One to size - 1 places further on among those of its composition; of one alone it is itself.
        steps = torch.rand(len(rows), generator=rng, device=rows.device) * (size[rows] - 1)
        others = first[rows] + (rows - first[rows] + 1 + steps.long()) % size[rows]
        return clouds.batch(some, torch.cat([rows, others]), most), (size[rows] > 1).float()

    return draw


def _sorted(arrays: CloudArrays) -> tuple[CloudArrays, Tensor, Tensor]:
    """Put crystals of one composition beside each other, with the place of the first and the number of each (N,)."""
    place = arrays.counts.unique(dim=0, return_inverse=True)[1]
    place, order = place.sort(stable=True)
    size = torch.bincount(place)
    return arrays.select(order), (size.cumsum(0) - size)[place], size[place]


@dataclass(frozen=True)
class Ranges:
    """What the training crystals span.

    Attributes:
        volume: Least and largest volume an atom in Å^3, 1 % of them beyond each.
        distances: Least distance of each pair of elements in Å, 1 % of the crystals below; 0 where there is none.
    """

    volume: tuple[float, float]
    distances: Tensor

    @classmethod
    def of(cls, training: CloudArrays) -> "Ranges":
        """Look at crystals."""
        least, most = volumes(training).quantile(torch.tensor([0.01, 0.99], device=training.lattice.device)).tolist()
        found = torch.cat([_by_pair(clouds.batch(training, rows), training.slots) for rows in _parts(training, 256)])
        shares = [column[column.isfinite()] for column in found.T]
        distances = torch.stack([part.quantile(0.01) if len(part) else part.new_zeros(()) for part in shares])
        return cls((least, most), distances)


def look_at_both(model: Any, arrays: CloudArrays, n: int, seed: int) -> Losses:
    """`look` at compositions of the training part, and, as "val_…", at those of the watched part if it has any."""
    training, watched = arrays.of_part(TRAIN), arrays.of_part(VAL)
    seen = Ranges.of(training)
    found = look(model, training, seen, n, seed)
    if len(watched):
        found |= {f"val_{name}": value for name, value in look(model, watched, seen, n, seed).items()}
    return found


@torch.no_grad()
def look(model: Any, arrays: CloudArrays, seen: Ranges, n: int, seed: int) -> Losses:
    """Generate n crystals of the compositions of some, and hold them against these and against what training spans.

    Returns:
        Shares: `asked`, the composition is the one that was asked for; `whole`, no two atoms closer than 1 Å; `volume`,
        an atom takes as much room as in the training crystals; `all`, these three; `likely`, beside these no pair of
        elements 7 % closer than 99 % of the training crystals have it. `off` is how far a sample is from the nearest
        of the crystals with its composition, and `variety` how far two samples of a composition are apart, medians over
        how far two of the crystals are.
    """
    rng = Generator(arrays.lattice.device).manual_seed(seed)
    known, differ = pairs(arrays, ())(n, rng)
    z = torch.randn(len(known), model.latent_dim, generator=rng, device=known.counts.device)
    made = model.crystals_of(model.decode(z, known.counts))
    distances = _by_pair(made, arrays.slots)
    volume = clouds.volume_of(made.lattice) / made.counts.sum(1)
    asked = (made.counts == known.counts).all(1)
    whole = (distances >= 1.0).all(1)
    fits = (volume > seen.volume[0]) & (volume < seen.volume[1])
    both = asked & whole & fits
    likely = both & (distances > 0.93 * seen.distances).all(1)
    theirs, ours = fingerprints(known, arrays.slots), fingerprints(made, arrays.slots)
    apart, ours_apart = ((one - other).norm(dim=1) for one, other in (theirs.chunk(2), ours.chunk(2)))
    beside = torch.cdist(ours, theirs)
    beside = beside.masked_fill((known.counts.unsqueeze(1) != known.counts).any(2), torch.inf).amin(1)
    found = {
        name: float(each.float().mean())
        for name, each in {"asked": asked, "whole": whole, "volume": fits, "all": both, "likely": likely}.items()
    }
    if differ.any():
        usual = apart[differ > 0].median()
        found["off"] = float(beside.median() / usual)
        found["variety"] = float(ours_apart[differ > 0].median() / usual)
    return found | {"volume_mean": float(volume.mean()), "volume_spread": float(volume.std())}


def fingerprints(some: CloudBatch, slots: tuple[int, ...]) -> Tensor:
    """How many atoms of each element stand how far from those of each, a site: (B, n_pairs * n_distances)."""
    at = torch.arange(0.8, 5.0, 0.12, device=some.lattice.device)
    found = []
    for start in range(0, len(some), 64):
        part = slice(start, start + 64)
        slot = some.slot[part]
        there = slot >= 0
        distance = clouds.image_squares(some.frac_coords[part], there, some.lattice[part]).sqrt()
        near = torch.exp(-0.5 * ((distance.unsqueeze(-1) - at) / 0.12).square()).sum(3) * (2 / at).square()
        elements = clouds.slot_elements(slots).to(there.device)[slot.clamp(min=0)]
        of_element = torch.nn.functional.one_hot(elements, len(slots)) * there.unsqueeze(-1)
        of_pair = torch.einsum("bie,bijk,bjf->befk", of_element.float(), near, of_element.float())
        found.append((of_pair / there.sum(1)[:, None, None, None]).flatten(1))
    return torch.cat(found)


def _parts(arrays: CloudArrays, size: int) -> tuple[Tensor, ...]:
    return torch.arange(len(arrays), device=arrays.lattice.device).split(size)


def _by_pair(some: CloudBatch, slots: tuple[int, ...]) -> Tensor:
    """Least distance of each pair of elements in Å, (B, n_pairs); infinite where there is none."""
    there = some.slot >= 0
    squares = clouds.image_squares(some.frac_coords, there, some.lattice).amin(-1)
    elements = clouds.slot_elements(slots).to(there.device)[some.slot.clamp(min=0)].masked_fill(~there, -1)
    found = []
    for one in range(len(slots)):
        for other in range(one, len(slots)):
            of_pair = (elements == one).unsqueeze(2) & (elements == other).unsqueeze(1)
            found.append(squares.masked_fill(~of_pair, torch.inf).flatten(1).amin(1).sqrt())
    return torch.stack(found, 1)
