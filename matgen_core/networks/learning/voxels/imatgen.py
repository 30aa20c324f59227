"""The training of iMatGen on the crystals of two elements, and what it rebuilds and draws.

Basis images are drawn where the network is, batch by batch, from a few numbers a site. Most crystals are drawn
strained and with their atoms displaced, and the target keeps all of that. Beside the crystals of the two elements it
sees those of all others as if they were of these, as the paper does before it turns to its own.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Generator, Tensor

from matgen_core.jobs.files.outputs import write_text
from matgen_core.networks.arrays import basis, density
from matgen_core.networks.arrays.cells import lattice_parameters
from matgen_core.networks.arrays.crystals import PairArrays
from matgen_core.networks.arrays.splits import OTHER, PAIR_PARTS, TEST, THREE_PARTS, TRAIN, VAL
from matgen_core.networks.learning.loops import Batch, Losses, Schedule, fit
from matgen_core.networks.learning.runs import read_config, read_weights, save_weights, write_config
from matgen_core.networks.learning.voxels.prior import run_with_prior, teach_prior
from matgen_core.networks.learning.voxels.voxel_vae import FILE, PROFILE, Crystals, JudgedCrystals, profile
from matgen_core.networks.models.parts.blocks import Gaussian
from matgen_core.networks.models.voxels.imatgen import IMatGen, IMatGenConfig


@dataclass(frozen=True)
class Images:
    """How basis images are drawn, and when a crystal counts as rebuilt: the published tolerances."""

    box: float = 15.0  # Å
    width: float = 0.45  # Å
    max_sites: int = 20
    edges: float = 0.1  # Å
    angles: float = 2.0  # degrees
    positions: float = 0.2  # Å


@dataclass(frozen=True)
class Displacement:
    """What is changed at random in a training crystal."""

    share: float = 0.5  # of the crystals that are changed
    strain: float = 0.01  # standard deviation of each component of a symmetric strain
    farthest: float = 0.2  # Å; the standard deviation is uniform up to this


@dataclass(frozen=True)
class IMatGenLearner:
    """Settings of a run: the network, then its prior, then what is judged is decoded."""

    Arrays: ClassVar[Any] = PairArrays

    config: IMatGenConfig = IMatGenConfig()
    images: Images = Images()
    displacement: Displacement = Displacement()
    schedule: Schedule = Schedule(
        epochs=2000, batch_size=512, learning_rate=2e-3, weight_decay=2e-2, minutes=8.3, bfloat16=True
    )
    prior: Schedule = Schedule(epochs=3000, batch_size=512, learning_rate=2e-3, weight_decay=1e-2, minutes=0.5)
    repeats: int = 4  # times that a training crystal is shown for each time that one of the others is
    check_every: int = 500_000  # crystals between two looks at what is rebuilt, in whole epochs
    stable_below: float = 0.2  # eV/atom above the hull, of the classifier
    n_drawn: int = 1000  # points between known compounds, and of the prior
    n_around: int = 3000  # points round crystals of the training part that are stable by the classifier's rule
    perturbation: float = 0.15  # noise of points between and around crystals, in spreads of the latent coordinates
    seed: int = 0

    def for_run(self, device: str, minutes: float | None) -> Self:
        """Return the settings as they will be used; only a GPU computes in bfloat16."""
        return run_with_prior(self, device, minutes)

    def learn(self, arrays: PairArrays, folder: Path, device: str) -> None:
        """Train, and decode what is judged: with the weights as they are stored."""
        for left in ("losses.jsonl", "prior_losses.jsonl", FILE, PROFILE):
            (folder / left).unlink(missing_ok=True)
        arrays = arrays.to(device)
        # Without it, the library may take slow convolutions for sizes that it does not know.
        with torch.backends.cudnn.flags(enabled=True, benchmark=True):
            model = train(self, arrays, device, folder)
        arrays = arrays.of_the_pair()
        known, held_out = (posteriors(model, arrays.of_part(part), self.images) for part in (TRAIN, VAL))
        teach_prior(model, known, held_out, (known.mean[:, :0], held_out.mean[:, :0]), self.prior, folder)
        judge(self, read_run(folder), arrays, device).save(folder / FILE)


def displaced(rows: Batch, how: Displacement, share: float, rng: Generator) -> tuple[Tensor, Tensor]:
    """Strain cells and move atoms of crystals (frac_coords, lattice) at random; `share` of them, the others stay."""
    frac_coords, lattice = rows
    n, device = len(lattice), lattice.device
    chosen = (torch.rand(n, 1, 1, generator=rng, device=device) < share).float()
    strain = how.strain * torch.randn(n, 3, 3, generator=rng, device=device)
    strain = (strain.triu() + strain.triu(1).mT) * chosen
    strained = lattice @ (strain + torch.eye(3, device=device))
    far = how.farthest * chosen * torch.rand(n, 1, 1, generator=rng, device=device)
    steps = far * torch.randn(frac_coords.shape, generator=rng, device=device)
    return frac_coords + steps @ torch.linalg.inv(strained), turned(strained)


def turned(lattice: Tensor) -> Tensor:
    """Return cells (B, 3, 3) in the orientation in which they are decoded: c along z, a in the plane of x and z."""
    z = lattice[:, 2] / lattice[:, 2].norm(dim=-1, keepdim=True)
    y = torch.linalg.cross(z, lattice[:, 0])
    y = y / y.norm(dim=-1, keepdim=True)
    return lattice @ torch.stack([torch.linalg.cross(y, z), y, z], -1)


def draw(frac_coords: Tensor, species: Tensor, lattice: Tensor, config: IMatGenConfig, how: Images) -> Tensor:
    """Basis images (B, n_elements, N, N, N) of crystals; species is -1 for padding."""
    # Half precision would blur the coordinates; the caller may run under autocast.
    with torch.autocast(lattice.device.type, enabled=False):
        places = basis.in_box(frac_coords, lattice, how.box)
        return basis.basis_images(places, species, config.n_elements, config.grid, how.width / how.box)


def train(learner: IMatGenLearner, arrays: PairArrays, device: str, folder: Path) -> IMatGen:
    """Train all but the prior; weights go to `folder` now and then and at the end.

    Args:
        learner: The settings; number of elements and scale of the cells are replaced by those of the training part.
        arrays: All parts, on the device.
        device: "cpu" or "cuda".
        folder: Gets losses.jsonl, profile.json, config.json and weights.safetensors.
    """
    folder.mkdir(parents=True, exist_ok=True)
    training = arrays.of_part(TRAIN)

    def of(part: str) -> Tensor:
        return (arrays.part == PAIR_PARTS.index(part)).nonzero()[:, 0]

    parameters = lattice_parameters(training.lattice)
    parameters = torch.cat([parameters[:, :3].log(), parameters[:, 3:]], 1)
    config = replace(
        learner.config,
        n_elements=len(arrays.elements),
        lattice_mean=tuple(parameters.mean(0).tolist()),
        lattice_spread=tuple(parameters.std(0).clamp(min=1e-2).tolist()),
    )
    write_config(config, folder)
    torch.manual_seed(learner.schedule.seed)
    model = IMatGen(config).to(device)
    model.prior.requires_grad_(False)  # it learns from the posteriors of the trained network
    transform = batches(learner, config)
    seen = arrays.select(torch.cat([*[of(TRAIN)] * learner.repeats, of(OTHER)]))
    rows = (seen.frac_coords, seen.species, seen.lattice, is_stable(seen, learner.stable_below))
    any_model: Any = model
    write_text(folder / PROFILE, json.dumps(profile(any_model, rows, transform, learner.schedule), indent=2) + "\n")
    some = {"training": training, "validation": arrays.of_part(VAL), "known": arrays.of_part(TEST)}
    some = {name: each.select(torch.arange(min(len(each), 512), device=device)) for name, each in some.items()}

    def after_epoch(epoch: int) -> Losses:
        if (epoch + 1) % max(1, round(learner.check_every / len(seen))):
            return {}
        save_weights(model, folder)
        return {
            f"{name}_{what}": float(share)
            for name, each in some.items()
            if len(each)
            for what, share in _shares(rebuilt(model, each, learner.images)).items()
        }

    fit(model, rows, learner.schedule, transform=transform, after_epoch=after_epoch, log=folder / "losses.jsonl")
    save_weights(model, folder)
    return model


def batches(learner: IMatGenLearner, config: IMatGenConfig) -> Callable[[Batch, Generator], Batch]:
    """Return what makes of drawn rows (frac_coords, species, lattice, is_stable) the arguments of `IMatGen.loss`."""
    how = learner.displacement

    def transform(rows: Batch, rng: Generator) -> Batch:
        frac_coords, species, lattice, stable = rows
        with torch.autocast(lattice.device.type, enabled=False):
            frac_coords, lattice = displaced((frac_coords, lattice), how, how.share, rng)
        return draw(frac_coords, species, lattice, config, learner.images), lattice, stable

    return transform


def is_stable(arrays: PairArrays, below: float) -> Tensor:
    """Whether crystals lie at most so far above the hull in eV/atom, (N,) 1 or 0; NaN where it is not known."""
    distance = arrays.energy_above_hull
    return torch.where(distance.isnan(), distance, (distance <= below).float())


def read_run(folder: Path) -> IMatGen:
    """Return the network of the config.json and weights.safetensors that a run left in a folder."""
    return read_weights(IMatGen(IMatGenConfig(**read_config(folder))), folder)


@torch.no_grad()
def posteriors(
    model: IMatGen, arrays: PairArrays, how: Images, batch_size: int = 256, fitted: bool = False
) -> Gaussian:
    """Return q(z | crystal) of every crystal, (N, latent_dim); `fitted` as `IMatGen.encode` gives it."""
    encode = model.fitted if fitted else model.posterior
    found = []
    for rows in torch.arange(len(arrays), device=arrays.lattice.device).split(batch_size):
        part = arrays.select(rows)
        images = draw(part.frac_coords, part.species, part.lattice, model.config, how)
        found.append(encode(images, part.lattice))
    return Gaussian(torch.cat([each.mean for each in found]), torch.cat([each.log_var for each in found]))


@torch.no_grad()
def read(model: IMatGen, z: Tensor, how: Images) -> tuple[Tensor, Tensor, Tensor]:
    """Decode points to fractional coordinates (B, n, 3), species (B, n), -1 for padding, and cells (B, 3, 3)."""
    images, lattice = model.decode_parts(z)
    places, species, _ = basis.read_basis(images, how.width / how.box, how.max_sites + 1)
    return basis.in_cell(places, lattice, how.box), species, lattice


@torch.no_grad()
def rebuilt(model: IMatGen, arrays: PairArrays, how: Images, batch_size: int = 256) -> Tensor:
    """Encode, decode and read crystals: whether atoms and cell come back within the tolerances, (N, 2) bool."""
    z = posteriors(model, arrays, how).mean
    if not len(z):
        return torch.zeros(0, 2, dtype=torch.bool, device=z.device)
    found = []
    for rows in torch.arange(len(arrays), device=z.device).split(batch_size):
        part = arrays.select(rows)
        frac_coords, species, lattice = read(model, z[rows], how)
        found.append(same_crystals(part, frac_coords, species, lattice, how))
    return torch.cat(found)


def came_back(arrays: PairArrays, found: Crystals, how: Images) -> Tensor:
    """Whether what `judge` decoded are the crystals of the arrays within the tolerances, (N, 2) bool: atoms, cells."""
    n_sites = max(int(found.counts.max()), 1)
    there = torch.arange(n_sites) < found.counts.unsqueeze(1)
    species = torch.full(there.shape, -1)
    species[there] = found.species.long()
    frac_coords = torch.zeros(*there.shape, 3)
    frac_coords[there] = found.frac_coords
    return same_crystals(arrays, frac_coords, species, found.lattice, how)


def same_crystals(arrays: PairArrays, frac_coords: Tensor, species: Tensor, lattice: Tensor, how: Images) -> Tensor:
    """Whether the atoms that were read are those of the crystals, and the cells theirs, (B, 2) bool."""
    sites = density.Sites(frac_coords, torch.ones_like(species, dtype=lattice.dtype), species >= 0)
    same = density.same_sites(arrays.frac_coords, arrays.species, sites, species, how.positions, arrays.lattice)
    mine, theirs = lattice_parameters(arrays.lattice), lattice_parameters(lattice)
    edges = (mine[:, :3] - theirs[:, :3]).abs().amax(1) <= how.edges
    angles = (mine[:, 3:].clamp(-1, 1).acos() - theirs[:, 3:].clamp(-1, 1).acos()).abs().amax(1).rad2deg()
    return torch.stack([same, edges & (angles <= how.angles)], 1)


def _shares(back: Tensor) -> dict[str, Tensor]:
    return {
        "rebuilt": back.all(1).float().mean(),
        "atoms": back[:, 0].float().mean(),
        "cells": back[:, 1].float().mean(),
    }


def between(start: Tensor, end: Tensor, share: Tensor) -> Tensor:
    """Points on great circles between rows (n, d), at shares (n,) of the way; lengths change along a line."""
    lengths = torch.lerp(start.norm(dim=1), end.norm(dim=1), share)
    a, b = (each / each.norm(dim=1, keepdim=True).clamp(min=1e-6) for each in (start, end))
    angle = (a * b).sum(1).clamp(-1, 1).acos().clamp(min=1e-4)
    t = share.unsqueeze(1)
    wide = angle.unsqueeze(1)
    return lengths.unsqueeze(1) * (((1 - t) * wide).sin() * a + (t * wide).sin() * b) / wide.sin()


@torch.no_grad()
def judge(learner: IMatGenLearner, model: IMatGen, arrays: PairArrays, device: str) -> JudgedCrystals:
    """Decode all crystals of the two elements from where `IMatGen.fitted` puts them, and points drawn in three ways."""
    model, arrays = model.to(device), arrays.to(device)
    fitted = posteriors(model, arrays, learner.images, fitted=True).mean.half().float()  # as they are stored
    points = {"known": fitted, **drawn(learner, model, arrays)}
    found = {name: _decoded(model, each, learner.images) for name, each in points.items()}
    return JudgedCrystals(torch.arange(len(arrays)), found)


@torch.no_grad()
def drawn(learner: IMatGenLearner, model: IMatGen, arrays: PairArrays) -> dict[str, Tensor]:
    """Draw points in three ways, from where the encoder puts crystals.

    `between` is the published way: on great circles between known compounds, with noise. No known compound has a part
    in the others: `around` are crystals that were learned with noise, `learned_prior` is drawn from the prior.

    Args:
        learner: How many and how far.
        model: On the device of the arrays.
        arrays: All crystals of the two elements.
    """
    rng = Generator().manual_seed(learner.seed)
    z = posteriors(model, arrays, learner.images).mean
    spread, device = z.std(0) * learner.perturbation, z.device

    def chosen(rows: Tensor, n: int) -> Tensor:
        """Draw rows of a mask, any where it holds none."""
        there = rows.nonzero()[:, 0] if bool(rows.any()) else torch.arange(len(rows), device=device)
        return z[there[torch.randint(len(there), (n,), generator=rng).to(device)]]

    def noise(n: int) -> Tensor:
        return torch.randn(n, model.latent_dim, generator=rng).to(device)

    n = learner.n_drawn
    known = arrays.part == THREE_PARTS.index(TEST)
    share = torch.rand(n, generator=rng).to(device)
    good = (arrays.part == THREE_PARTS.index(TRAIN)) & (is_stable(arrays, learner.stable_below) > 0.5)
    return {
        "between": between(chosen(known, n), chosen(known, n), share) + spread * noise(n),
        "around": chosen(good, learner.n_around) + spread * noise(learner.n_around),
        "learned_prior": model.draw_from_prior(noise(n)),
    }


def _decoded(model: IMatGen, z: Tensor, how: Images) -> Crystals:
    lattices, counts, coords, kinds = [], [], [], []
    for part in z.split(256 if z.is_cuda else 16):  # larger ones make a CPU wait for memory
        frac_coords, species, lattice = read(model, part, how)
        there = species >= 0
        lattices.append(lattice)
        counts.append(there.sum(1))
        coords.append(frac_coords[there])
        kinds.append(species[there])
    return Crystals(z.cpu(), *(torch.cat(parts).cpu() for parts in (lattices, counts, coords, kinds)))
