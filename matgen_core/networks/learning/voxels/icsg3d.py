"""The training of the voxel networks on cubic crystals.

The voxels of a training crystal are drawn where the network is, batch by batch, from a few numbers a site.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Generator, Tensor

from matgen_core.networks.arrays import density
from matgen_core.networks.arrays.crystals import CrystalArrays, ReducedArrays
from matgen_core.networks.arrays.splits import TRAIN, VAL
from matgen_core.networks.learning.loops import Batch, Losses, Schedule, fit
from matgen_core.networks.learning.runs import read_config, read_weights, save_weights, write_config
from matgen_core.networks.learning.voxels import points
from matgen_core.networks.learning.voxels.points import Judged, Points, Samples
from matgen_core.networks.learning.voxels.prior import run_with_prior, teach_prior
from matgen_core.networks.models.parts.blocks import Gaussian
from matgen_core.networks.models.voxels.icsg3d import ICSG3D, ICSG3DConfig

PRIOR = Schedule(epochs=600, batch_size=512, learning_rate=2e-3, weight_decay=1e-2)  # of the learned prior


@dataclass(frozen=True)
class Augmentation:
    """What is changed at random in a training crystal, so that unseen compositions are no surprise."""

    substituted: float = 0.5  # share of the crystals whose elements are replaced by others
    reach: float = 8.0  # how far, in places of the sorted element list, a replacement may lie (standard deviation)
    edge_jitter: float = 0.02  # relative standard deviation of the edge
    site_jitter: float = 0.0  # standard deviation of each fractional coordinate


@dataclass(frozen=True)
class ICSG3DLearner:
    """Settings of a run: the VAE, then its prior, then what the points that are judged decode to."""

    Arrays: ClassVar[Any] = CrystalArrays

    config: ICSG3DConfig = ICSG3DConfig()
    augmentation: Augmentation = Augmentation()
    schedule: Schedule = Schedule(
        epochs=2000, batch_size=128, learning_rate=1e-3, weight_decay=1e-3, minutes=6.9, bfloat16=True
    )
    prior: Schedule = replace(PRIOR, minutes=1.5)
    samples: Samples = Samples()
    seed: int = 0

    def for_run(self, device: str, minutes: float | None) -> Self:
        """Return the settings as they will be used; only a GPU computes in bfloat16."""
        return run_with_prior(self, device, minutes)

    def learn(self, arrays: CrystalArrays, folder: Path, device: str) -> None:
        """Train, and decode the points that are judged: of the weights as they are stored."""
        for left in ("losses.jsonl", "prior_losses.jsonl", points.FILE):
            (folder / left).unlink(missing_ok=True)
        model, _ = train(arrays, self.config, self.schedule, self.augmentation, device, folder)
        train_prior(model, arrays, self.prior, folder)
        judge_points(read_run(folder), arrays, self.samples, self.seed, device).save(folder / points.FILE)


def site_values(codes: Tensor) -> Tensor:
    """Height 1 and code of each element, (n_elements, 1 + n_codes)."""
    return torch.cat([torch.ones_like(codes[:, :1]), codes], 1)


def draw(frac_coords: Tensor, species: Tensor, edge: Tensor, codes: Tensor, grid: int, width: float) -> Tensor:
    """Voxels (B, 4 + n_codes, grid, grid, grid) of cubic crystals; species is -1 for padding."""
    lattice = edge.view(-1, 1, 1) * torch.eye(3, device=edge.device)
    values = site_values(codes)[species.clamp(min=0)] * (species >= 0).unsqueeze(-1)
    widths = torch.full((1, 1, 3), width, device=edge.device)
    # Half precision would blur the coordinates; the caller may run under autocast.
    with torch.autocast(edge.device.type, enabled=False):
        return density.voxels(frac_coords, lattice, values, (grid, grid, grid), widths)


def augment(rows: Batch, n_elements: int, how: Augmentation, rng: Generator) -> Batch:
    """Change crystals (frac_coords, species, edge) at random."""
    frac_coords, species, edge = rows
    n, device = len(edge), edge.device
    species = substituted(species, n_elements, how.substituted, how.reach, rng)
    edge = edge * (how.edge_jitter * torch.randn(n, generator=rng, device=device)).exp()
    frac_coords = frac_coords + how.site_jitter * torch.randn(frac_coords.shape, generator=rng, device=device)
    return frac_coords, species, edge


def substituted(species: Tensor, n_elements: int, share: float, reach: float, rng: Generator) -> Tensor:
    """Replace the elements of a share of crystals by others that stand near them in the sorted list.

    Args:
        species: (B, n), places in the list; -1 for padding.
        n_elements: Length of the list.
        share: Of the crystals.
        reach: How far, in places, a replacement may lie (standard deviation).
        rng: Random state.
    """
    n, device = len(species), species.device
    chosen = torch.rand(n, generator=rng, device=device) < share
    places = torch.arange(n_elements, device=device, dtype=torch.float32)
    noise = reach * torch.randn(n, n_elements, generator=rng, device=device)
    # A shuffle in which nobody moves far: an injective map, so different elements stay different.
    shuffled = (places + noise).argsort(1)
    replaced = shuffled.gather(1, species.clamp(min=0))
    return torch.where(chosen.unsqueeze(1) & (species >= 0), replaced, species)


def batches(
    model: ICSG3D, arrays: CrystalArrays, how: Augmentation, class_weights: Tensor
) -> Callable[[Batch, Generator], Batch]:
    """Return what makes of drawn rows (frac_coords, species, edge) the arguments of `ICSG3D.loss`."""

    def transform(rows: Batch, rng: Generator) -> Batch:
        frac_coords, species, edge = augment(rows, len(arrays.elements), how, rng)
        x = draw(frac_coords, species, edge, arrays.codes, model.config.grid, model.config.width)
        return x, frac_coords, species, arrays.codes, class_weights

    return transform


def class_weights(arrays: CrystalArrays | ReducedArrays, smallest: float = 0.5, largest: float = 4.0) -> Tensor:
    """Weight of each element: the inverse root of how many crystals have it, of mean 1 over the sites.

    Elements that no training crystal has keep the largest weight; with substitution they are drawn too.
    """
    n_elements = len(arrays.elements)
    species = arrays.species
    has = torch.zeros(len(species), n_elements + 1, device=species.device)
    has.scatter_(1, torch.where(species < 0, n_elements, species), 1.0)
    count = has[:, :n_elements].sum(0)
    weight = (count.clamp(min=1) / count.max()).rsqrt()
    mean = (weight * count).sum() / count.sum()
    return (weight / mean).clamp(smallest, largest)


@torch.no_grad()
def posteriors(model: ICSG3D, arrays: CrystalArrays, batch_size: int = 256) -> Gaussian:
    """Return q(z | crystal) of every crystal, (N, latent_dim)."""
    found = []
    for rows in torch.arange(len(arrays), device=arrays.edge.device).split(batch_size):
        part = arrays.select(rows)
        x = draw(part.frac_coords, part.species, part.edge, part.codes, model.config.grid, model.config.width)
        found.append(model.encode(x))
    return Gaussian(torch.cat([each.mean for each in found]), torch.cat([each.log_var for each in found]))


@torch.no_grad()
def reconstruct(model: ICSG3D, arrays: CrystalArrays, batch_size: int = 256) -> tuple[Tensor, Tensor]:
    """Posterior means (N, latent_dim), and whether each crystal comes back, (N,) bool.

    A crystal comes back if as many sites are found, each within a tenth of the edge of a site of the same
    element, and the edge is right within 5 %. This is a quick check without a structure matcher; the figures of
    a card come from the matcher.
    """
    points = posteriors(model, arrays, batch_size).mean
    rows = torch.arange(len(arrays), device=points.device).split(batch_size)
    returned = [_returned(model, model.decode(points[part]), arrays.select(part)) for part in rows]
    return points, torch.cat(returned)


def _returned(model: ICSG3D, decoded: Tensor, arrays: CrystalArrays) -> Tensor:
    widths = torch.full((1, 1, 3), model.config.width, device=decoded.device)
    max_sites = arrays.species.shape[1] + 1
    sites, species = density.read(decoded, site_values(arrays.codes), widths, max_sites)
    same = density.same_sites(arrays.frac_coords, arrays.species, sites, species, 0.1)
    edge = density.lattice_of(decoded[:, 1:4])[:, 0, 0]
    return same & ((edge / arrays.edge - 1).abs() < 0.05)


def energy_edges(energies: Tensor, n_classes: int = 10) -> tuple[float, ...]:
    """Inner edges of `n_classes` classes with equally many of the known energies; none if none is known."""
    known = energies[~energies.isnan()]
    if not len(known):
        return ()
    return tuple(torch.quantile(known, torch.linspace(0, 1, n_classes + 1)[1:-1]).tolist())


def train(
    arrays: CrystalArrays,
    config: ICSG3DConfig,
    schedule: Schedule,
    how: Augmentation,
    device: str,
    folder: Path,
    check_every: int = 10,
) -> tuple[ICSG3D, list[Losses]]:
    """Train all but the prior on the training part; weights go to `folder` every `check_every` epochs and at the end.

    Args:
        arrays: All parts.
        config: Sizes; `edge_mean`, `edge_spread` and `condition_edges` are replaced by those of the training part.
        schedule: Epochs, rates and limits.
        how: Random changes of the training crystals.
        device: "cpu" or "cuda".
        folder: Gets losses.jsonl, config.json and weights.safetensors.
        check_every: Epochs between two checks against the validation part.
    """
    folder.mkdir(parents=True, exist_ok=True)
    arrays = arrays.to(device)
    training, validation = arrays.of_part(TRAIN), arrays.of_part(VAL)
    log_edge = training.edge.log()
    config = dataclasses.replace(
        config,
        n_codes=arrays.codes.shape[1],
        edge_mean=float(log_edge.mean()),
        edge_spread=float(log_edge.std()),
        condition_edges=energy_edges(training.formation_energy_per_atom.cpu()),
    )
    write_config(config, folder)
    torch.manual_seed(schedule.seed)
    model = ICSG3D(config).to(device)
    model = model.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    model.prior.requires_grad_(False)  # it learns from the posteriors of the trained network
    checked = validation.select(torch.arange(min(len(validation), 1000), device=device))

    def after_epoch(epoch: int) -> Losses:
        if (epoch + 1) % check_every:
            return {}
        save_weights(model, folder)
        return {"validation_returned": float(reconstruct(model, checked)[1].float().mean())}

    history = fit(
        model,
        (training.frac_coords, training.species, training.edge),
        schedule,
        transform=batches(model, arrays, how, class_weights(training)),
        after_epoch=after_epoch,
        log=folder / "losses.jsonl",
    )
    save_weights(model, folder)
    return model, history


def train_prior(
    model: ICSG3D, arrays: CrystalArrays, schedule: Schedule, folder: Path, check_every: int = 20
) -> list[Losses]:
    """Teach the prior of a trained network the posteriors of the training part, as `teach_prior` does.

    Args:
        model: A trained network, on the device of the run.
        arrays: All parts.
        schedule: Epochs, rates and limits.
        folder: Gets prior_losses.jsonl and weights.safetensors.
        check_every: Epochs between two looks at the validation part.
    """
    arrays = arrays.to(str(next(model.parameters()).device))
    training, validation = arrays.of_part(TRAIN), arrays.of_part(VAL)
    conditions = [model.condition_of(part.formation_energy_per_atom) for part in (training, validation)]
    posterior = [posteriors(model, part) for part in (training, validation)]
    return teach_prior(model, posterior[0], posterior[1], (conditions[0], conditions[1]), schedule, folder, check_every)


def read_run(folder: Path) -> ICSG3D:
    """Return the network of the config.json and weights.safetensors that a run left in a folder."""
    return read_weights(ICSG3D(ICSG3DConfig(**read_config(folder))), folder)


@torch.inference_mode()
def decode(model: ICSG3D, arrays: CrystalArrays, z: Tensor, batch_size: int) -> Points:
    """Decode latent points and read sites and species where the network is."""
    device = next(model.parameters()).device
    values, max_sites = site_values(arrays.codes.to(device)), arrays.species.shape[1] + 1
    widths = torch.full((1, 1, 3), model.config.width, device=device)
    edges, counts, frac_coords, species = [], [], [], []
    for part in z.to(device).split(batch_size):
        voxels = model.decode(part)
        sites, kinds = density.read(voxels, values, widths, max_sites)
        edges.append(density.lattice_of(voxels[:, 1:4])[:, 0, 0])
        counts.append(sites.found.sum(1))
        frac_coords.append(sites.frac_coords[sites.found])
        species.append(kinds[sites.found])
    return Points(z.cpu(), *(torch.cat(parts).cpu() for parts in (edges, counts, frac_coords, species)))


def judge_points(model: ICSG3D, arrays: CrystalArrays, n: Samples, seed: int, device: str) -> Judged:
    """Encode every crystal, draw the points that are judged, and decode them on `device`."""
    batch_size = 256 if device == "cuda" else 16  # larger ones make a CPU wait for memory
    model = model.to(device)
    known = posteriors(model, arrays.to(device), batch_size).mean
    drawn = points.draw(model, known, arrays, n, seed)
    model = model.to(device)
    decoded = {name: decode(model, arrays, z, batch_size) for name, z in drawn.items()}
    return Judged(known.cpu(), decoded)
