"""Training of the published iCSG3D on cubic crystals as padded boxes.

The boxes are drawn where the networks are, batch by batch.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Generator, Tensor

from matgen_core.networks.arrays import boxes, tensors
from matgen_core.networks.arrays.crystals import CrystalArrays
from matgen_core.networks.arrays.splits import TRAIN, VAL
from matgen_core.networks.learning.loops import Batch, Losses, Schedule, fit
from matgen_core.networks.learning.runs import read_config, read_weights, save_weights, shared_out, write_config
from matgen_core.networks.learning.voxels import icsg3d
from matgen_core.networks.models.parts.blocks import Gaussian
from matgen_core.networks.models.voxels.icsg3d_paper import ICSG3DPaper, ICSG3DPaperConfig

EMPTY_WEIGHT = 0.2  # of an empty voxel in the loss of the labels; the mean element has 1
WITHOUT_CONDITION = 0.5  # share of the training crystals whose energy is hidden


@dataclass(frozen=True, eq=False)
class Elements:
    """What a box shows of each element of the arrays.

    Attributes:
        numbers: (n_elements,), atomic numbers.
        radii: (n_elements,), mean ionic radii in Å.
    """

    numbers: Tensor
    radii: Tensor

    def to(self, device: str) -> "Elements":
        """Return the same on another device."""
        return tensors.to(self, device)


@dataclass(frozen=True, eq=False)
class BoxedCrystals(tensors.Stored):
    """What the published networks learn from: crystals, and what a box shows of their elements."""

    crystals: CrystalArrays
    elements: Elements


@dataclass(frozen=True)
class ICSG3DPaperLearner:
    """Settings of a run."""

    Arrays: ClassVar[Any] = BoxedCrystals

    config: ICSG3DPaperConfig = ICSG3DPaperConfig()
    schedule: Schedule = Schedule(epochs=200, batch_size=64, learning_rate=1e-3, minutes=8.2, bfloat16=True)
    seed: int = 0

    def for_run(self, device: str, minutes: float | None) -> Self:
        """Return the settings as they will be used; only a GPU computes in bfloat16."""
        (limit,) = shared_out(minutes, self.schedule.minutes)
        bfloat16 = self.schedule.bfloat16 and device == "cuda"
        return replace(self, schedule=replace(self.schedule, seed=self.seed, minutes=limit, bfloat16=bfloat16))

    def learn(self, arrays: BoxedCrystals, folder: Path, device: str) -> None:
        """Train."""
        (folder / "losses.jsonl").unlink(missing_ok=True)
        train(arrays.crystals, arrays.elements, self.config, self.schedule, device, folder)


def draw(arrays: CrystalArrays, elements: Elements, grid: int) -> tuple[Tensor, Tensor]:
    """Boxes (N, 4, grid, grid, grid) and labels (N, grid, grid, grid) of all crystals as they stand."""
    sites = boxes.to_corner(arrays.frac_coords, arrays.species)
    return boxes.draw(sites, arrays.species, arrays.edge, elements.numbers, elements.radii, grid)


def class_weights(arrays: CrystalArrays) -> Tensor:
    """Weight of empty space and of each element in the loss of the labels, (1 + n_elements,)."""
    weights = icsg3d.class_weights(arrays)
    return torch.cat([weights.new_full((1,), EMPTY_WEIGHT), weights])


def batches(
    model: ICSG3DPaper, elements: Elements, weights: Tensor, hidden: float = WITHOUT_CONDITION
) -> Callable[[Batch, Generator], Batch]:
    """Return what makes of drawn rows (sites in the corner, species, edge, condition) the arguments of the loss.

    Every crystal is turned by one of the 24 rotations of a cube, and a share of the conditions is hidden.
    """
    turns = boxes.rotations().to(weights.device)

    def transform(rows: Batch, rng: Generator) -> Batch:
        sites, species, edge, condition = rows
        drawn = torch.randint(len(turns), (len(edge),), generator=rng, device=edge.device)
        # Half precision would blur distances; the loop runs under autocast.
        with torch.autocast(edge.device.type, enabled=False):
            turned = boxes.turn(sites, turns[drawn])
            x, labels = boxes.draw(turned, species, edge, elements.numbers, elements.radii, model.config.grid)
        shown = torch.rand(len(edge), 1, generator=rng, device=edge.device) >= hidden
        return x, labels, condition * shown, weights

    return transform


def train(
    arrays: CrystalArrays,
    elements: Elements,
    config: ICSG3DPaperConfig,
    schedule: Schedule,
    device: str,
    folder: Path,
    check_every: int = 5,
) -> tuple[ICSG3DPaper, list[Losses]]:
    """Train on the training part; weights go to `folder` every `check_every` epochs and at the end.

    Args:
        arrays: All parts.
        elements: Of the arrays.
        config: Sizes; `n_elements` and `condition_edges` are replaced by those of the arrays.
        schedule: Epochs, rates and limits.
        device: "cpu" or "cuda".
        folder: Gets losses.jsonl, config.json and weights.safetensors.
        check_every: Epochs between two checks against the validation part.
    """
    folder.mkdir(parents=True, exist_ok=True)
    arrays, elements = arrays.to(device), elements.to(device)
    training = arrays.of_part(TRAIN)
    energies = training.formation_energy_per_atom
    config = dataclasses.replace(
        config, n_elements=len(arrays.elements), condition_edges=icsg3d.energy_edges(energies.cpu())
    )
    write_config(config, folder)
    torch.manual_seed(schedule.seed)
    model = ICSG3DPaper(config).to(device)
    model = model.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    checked = arrays.of_part(VAL)
    checked = checked.select(torch.arange(min(len(checked), 500), device=device))

    def after_epoch(epoch: int) -> Losses:
        if (epoch + 1) % check_every:
            return {}
        save_weights(model, folder)
        return {f"validation_{name}": value for name, value in check(model, checked, elements).items()}

    sites = boxes.to_corner(training.frac_coords, training.species)
    history = fit(
        model,
        (sites, training.species, training.edge, model.condition_of(energies)),
        schedule,
        transform=batches(model, elements, class_weights(training)),
        after_epoch=after_epoch,
        log=folder / "losses.jsonl",
    )
    save_weights(model, folder)
    return model, history


def read_run(folder: Path) -> ICSG3DPaper:
    """Return the network of the config.json and weights.safetensors that a run left in a folder."""
    return read_weights(ICSG3DPaper(ICSG3DPaperConfig(**read_config(folder))), folder)


@torch.no_grad()
def posteriors(model: ICSG3DPaper, arrays: CrystalArrays, elements: Elements, batch_size: int = 64) -> Gaussian:
    """Return q(z | crystal) of every crystal, whose energy is not told, (N, latent_dim)."""
    found = []
    for rows in torch.arange(len(arrays), device=arrays.edge.device).split(batch_size):
        x, _ = draw(arrays.select(rows), elements, model.config.grid)
        found.append(model.encode(x))
    return Gaussian(torch.cat([each.mean for each in found]), torch.cat([each.log_var for each in found]))


@torch.no_grad()
def check(model: ICSG3DPaper, arrays: CrystalArrays, elements: Elements, batch_size: int = 64) -> dict[str, float]:
    """Judge a network voxel by voxel, which needs no sites; the figures of a card come from decoded crystals.

    Returns:
        edge_error, mean in Å; elements_right_of_true, the share of occupied voxels of true boxes that the U-Net labels
        right; elements_right, the same of decoded boxes; occupied_overlap, intersection over union of the decoded
        and the true occupied voxels.
    """
    edge_error, right_of_true, right, overlap = 0.0, 0.0, 0.0, 0.0
    for rows in torch.arange(len(arrays), device=arrays.edge.device).split(batch_size):
        part = arrays.select(rows)
        x, labels = draw(part, elements, model.config.grid)
        decoded = model.decode(model.encode(x).mean)
        occupied, found = labels > 0, decoded[:, 5] >= 0.5
        n_occupied = occupied.flatten(1).sum(1).clamp(min=1)
        edge_error += float((boxes.edge_of(decoded[:, 1:4]).mean(1) - part.edge).abs().sum())
        right_of_true += float((_agree(model.unet(x)[0].argmax(1), labels) / n_occupied).sum())
        right += float((_agree(decoded[:, 4], labels) / n_occupied).sum())
        union = (occupied | found).flatten(1).sum(1).clamp(min=1)
        overlap += float(((occupied & found).flatten(1).sum(1) / union).sum())
    totals = {
        "edge_error": edge_error,
        "elements_right_of_true": right_of_true,
        "elements_right": right,
        "occupied_overlap": overlap,
    }
    return {name: total / len(arrays) for name, total in totals.items()}


def _agree(found: Tensor, labels: Tensor) -> Tensor:
    """Number of occupied voxels with the right label, (B,)."""
    return ((found == labels) & (labels > 0)).flatten(1).sum(1)
