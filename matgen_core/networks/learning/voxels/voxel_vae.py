"""The training of the voxel VAE on crystals of any symmetry.

The voxels of a training crystal are drawn where the network is, batch by batch, from a few numbers a site. Every
crystal is drawn displaced, strained and with other elements as often as as it is, and the target keeps all of that.
"""

import dataclasses
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Generator, Tensor
from torch.utils.flop_counter import FlopCounterMode

from matgen_core.jobs.files.outputs import write_text
from matgen_core.networks.arrays import density, tensors
from matgen_core.networks.arrays.cells import lattice_parameters
from matgen_core.networks.arrays.crystals import ReducedArrays
from matgen_core.networks.arrays.splits import TEST, THREE_PARTS, TRAIN, VAL
from matgen_core.networks.learning.loops import Batch, Losses, Schedule, fit
from matgen_core.networks.learning.runs import read_config, read_weights, save_weights, write_config
from matgen_core.networks.learning.voxels.icsg3d import class_weights, site_values, substituted
from matgen_core.networks.learning.voxels.prior import run_with_prior, teach_prior
from matgen_core.networks.models.parts.blocks import Gaussian
from matgen_core.networks.models.voxels.voxel_vae import VoxelVAE, VoxelVAEConfig

FILE = "decoded.safetensors"
PROFILE = "profile.json"


@dataclass(frozen=True)
class Distortion:
    """What is changed at random in a training crystal, so that neither new elements nor real sites are a surprise."""

    substituted: float = 0.4  # share of the crystals whose elements are replaced by others, with their volumes
    reach: float = 6.0  # how far, in places of the sorted element list, a replacement may lie (standard deviation)
    strain: float = 0.015  # standard deviation of each component of a symmetric strain
    displaced: float = 0.5  # share of the crystals whose atoms are moved
    farthest: float = 0.25  # Å; the distance is the same for all atoms of a crystal, and uniform up to this


@dataclass(frozen=True)
class VoxelVAELearner:
    """Settings of a run: the VAE, then its prior, then what is judged is decoded."""

    Arrays: ClassVar[Any] = ReducedArrays

    config: VoxelVAEConfig = VoxelVAEConfig()
    distortion: Distortion = Distortion()
    schedule: Schedule = Schedule(
        epochs=1000, batch_size=256, learning_rate=1e-3, weight_decay=1e-2, minutes=7.5, bfloat16=True
    )
    prior: Schedule = Schedule(epochs=10_000, batch_size=512, learning_rate=2e-3, weight_decay=1e-2, minutes=0.8)
    n_known: int = 2000  # crystals beside the test part that are decoded, for the map
    n_drawn: int = 1000  # points from each prior
    seed: int = 0

    def for_run(self, device: str, minutes: float | None) -> Self:
        """Return the settings as they will be used; only a GPU computes in bfloat16."""
        return run_with_prior(self, device, minutes)

    def learn(self, arrays: ReducedArrays, folder: Path, device: str) -> None:
        """Train, and decode what is judged: with the weights as they are stored."""
        for left in ("losses.jsonl", "prior_losses.jsonl", FILE, PROFILE):
            (folder / left).unlink(missing_ok=True)
        arrays = arrays.to(device)
        # Without it, the library may take slow convolutions for sizes that it does not know.
        with torch.backends.cudnn.flags(enabled=True, benchmark=True):
            model, _ = train(arrays, self.config, self.schedule, self.distortion, device, folder)
        training, validation = arrays.of_part(TRAIN), arrays.of_part(VAL)
        known, held_out = posteriors(model, training), posteriors(model, validation)
        nothing = (known.mean[:, :0], held_out.mean[:, :0])
        teach_prior(model, known, held_out, nothing, self.prior, folder)
        judge(read_run(folder), arrays, self.n_known, self.n_drawn, self.seed, device).save(folder / FILE)


@dataclass(frozen=True, eq=False)
class Crystals:
    """Latent points and the crystals that were read from what they decode to, one after the other.

    Attributes:
        z: (n, latent_dim), float16 in the file.
        lattice: (n, 3, 3), rows in Å.
        counts: (n,), sites of each crystal; more than the arrays hold where too many were found.
        frac_coords: (sum of counts, 3).
        species: (sum of counts,), place in the elements of the arrays.
    """

    z: Tensor = dataclasses.field(metadata=tensors.stored_as(torch.float16, torch.float32))
    lattice: Tensor
    counts: Tensor
    frac_coords: Tensor
    species: Tensor = dataclasses.field(metadata=tensors.stored_as(torch.uint8))


@dataclass(frozen=True, eq=False)
class JudgedCrystals(tensors.Stored):
    """What a run decodes: crystals of the arrays, and points of both priors.

    Attributes:
        rows: (n,), rows of the arrays: the whole test part and some others, ascending.
        found: `known`, of these rows; `learned_prior` and `standard_normal`.
    """

    rows: Tensor
    found: dict[str, Crystals]


def draw(model: VoxelVAE, frac_coords: Tensor, species: Tensor, codes: Tensor) -> Tensor:
    """Density and codes (B, 1 + n_codes, X, Y, Z) of crystals; species is -1 for padding."""
    values = site_values(codes)[species.clamp(min=0)] * (species >= 0).unsqueeze(-1)
    # Half precision would blur the coordinates; the caller may run under autocast.
    with torch.autocast(codes.device.type, enabled=False):
        return density.splat(frac_coords, values, model.config.grid, model.widths)


def distort(rows: Batch, volumes: Tensor, how: Distortion, rng: Generator) -> Batch:
    """Change crystals (frac_coords, species, lattice) at random.

    Other elements come with their volumes. The atom at the origin stays there, as in the standard cell of a crystal
    whose atoms are not where they would be in an ideal one.
    """
    frac_coords, species, lattice = rows
    n, device = len(lattice), lattice.device
    there = species >= 0
    replaced = substituted(species, len(volumes), how.substituted, how.reach, rng)
    old, new = ((volumes[kinds.clamp(min=0)] * there).sum(1) for kinds in (species, replaced))
    strain = how.strain * torch.randn(n, 3, 3, generator=rng, device=device)
    strain = strain.triu() + strain.triu(1).mT + torch.eye(3, device=device)
    lattice = (new / old).pow(1 / 3).view(-1, 1, 1) * lattice @ strain
    steps = torch.randn(frac_coords.shape, generator=rng, device=device)
    steps = steps / steps.norm(dim=-1, keepdim=True).clamp(min=1e-6)
    far = how.farthest * torch.rand(n, 1, 1, generator=rng, device=device)
    moved = torch.rand(n, 1, 1, generator=rng, device=device) < how.displaced
    frac_coords = frac_coords + far * moved * steps @ torch.linalg.inv(lattice)
    from_origin = (rows[0] - rows[0].round()).norm(dim=-1).masked_fill(~there, torch.inf)
    origin = from_origin.argmin(1).view(-1, 1, 1).expand(-1, 1, 3)
    return frac_coords - frac_coords.gather(1, origin), replaced, lattice


def batches(
    model: VoxelVAE, arrays: ReducedArrays, how: Distortion, weights: Tensor
) -> Callable[[Batch, Generator], Batch]:
    """Return what makes of drawn rows (frac_coords, species, lattice) the arguments of `VoxelVAE.loss`."""

    def transform(rows: Batch, rng: Generator) -> Batch:
        with torch.autocast(weights.device.type, enabled=False):
            frac_coords, species, lattice = distort(rows, arrays.volumes, how, rng)
        drawn = draw(model, frac_coords, species, arrays.codes)
        return drawn, lattice, frac_coords, species, arrays.codes, weights

    return transform


def train(
    arrays: ReducedArrays,
    config: VoxelVAEConfig,
    schedule: Schedule,
    how: Distortion,
    device: str,
    folder: Path,
    check_every: int = 5,
) -> tuple[VoxelVAE, list[Losses]]:
    """Train all but the prior on the training part; weights go to `folder` every `check_every` epochs and at the end.

    Args:
        arrays: All parts, on the device.
        config: Sizes; `n_codes` and the scale of the lattice are replaced by those of the training part.
        schedule: Epochs, rates and limits.
        how: Random changes of the training crystals.
        device: "cpu" or "cuda".
        folder: Gets losses.jsonl, profile.json, config.json and weights.safetensors.
        check_every: Epochs between two checks against the validation part.
    """
    folder.mkdir(parents=True, exist_ok=True)
    training, validation = arrays.of_part(TRAIN), arrays.of_part(VAL)
    parameters = lattice_parameters(training.lattice)
    parameters = torch.cat([parameters[:, :3].log(), parameters[:, 3:]], 1)
    config = replace(
        config,
        n_codes=arrays.codes.shape[1],
        lattice_mean=tuple(parameters.mean(0).tolist()),
        lattice_spread=tuple(parameters.std(0).clamp(min=1e-2).tolist()),
    )
    write_config(config, folder)
    torch.manual_seed(schedule.seed)
    model = VoxelVAE(config).to(device)
    model.prior.requires_grad_(False)  # it learns from the posteriors of the trained network
    rows = (training.frac_coords, training.species, training.lattice)
    transform = batches(model, arrays, how, class_weights(training))
    write_text(folder / PROFILE, json.dumps(profile(model, rows, transform, schedule), indent=2) + "\n")
    # The rows stand in the order of their ids, and the first of them are smaller crystals than the rest.
    some = torch.randperm(len(validation), generator=Generator().manual_seed(schedule.seed))[:1000]
    checked = validation.select(some.to(device))

    def after_epoch(epoch: int) -> Losses:
        if (epoch + 1) % check_every:
            return {}
        save_weights(model, folder)
        return check(model, checked, how)

    history = fit(model, rows, schedule, transform=transform, after_epoch=after_epoch, log=folder / "losses.jsonl")
    save_weights(model, folder)
    return model, history


def read_run(folder: Path) -> VoxelVAE:
    """Return the network of the config.json and weights.safetensors that a run left in a folder."""
    return read_weights(VoxelVAE(VoxelVAEConfig(**read_config(folder))), folder)


@torch.no_grad()
def posteriors(model: VoxelVAE, arrays: ReducedArrays, batch_size: int = 256) -> Gaussian:
    """Return q(z | crystal) of every crystal, (N, latent_dim)."""
    found = []
    for rows in torch.arange(len(arrays), device=arrays.lattice.device).split(batch_size):
        part = arrays.select(rows)
        drawn = draw(model, part.frac_coords, part.species, arrays.codes)
        found.append(model.posterior(drawn, part.lattice))
    return Gaussian(torch.cat([each.mean for each in found]), torch.cat([each.log_var for each in found]))


@torch.no_grad()
def check(model: VoxelVAE, arrays: ReducedArrays, how: Distortion, within: float = 0.5) -> Losses:
    """Say which share of crystals comes back as they are and distorted, without a structure matcher.

    A crystal comes back if as many sites are found, each within `within` Å of one of the same element, and the cell
    has its volume to 10 %. `validation_sites` is the share with the right number of sites.
    """
    plain = (arrays.frac_coords, arrays.species, arrays.lattice)
    rng = Generator(arrays.lattice.device).manual_seed(0)
    moved = distort(plain, arrays.volumes, replace(how, substituted=0.0, displaced=1.0), rng)
    found: Losses = {}
    for name, rows in (("", plain), ("_distorted", moved)):
        these = replace(arrays, frac_coords=rows[0], species=rows[1], lattice=rows[2])
        z = posteriors(model, these).mean
        counts, returned = [], []
        for part in torch.arange(len(z), device=z.device).split(256):
            sites, species, lattice = read(model, arrays.codes, z[part], rows[1].shape[1] + 1)
            same = density.same_sites(rows[0][part], rows[1][part], sites, species, within, rows[2][part])
            volume = torch.linalg.det(lattice) / torch.linalg.det(rows[2][part])
            returned.append(same & ((volume.abs() - 1).abs() < 0.1))
            counts.append(sites.found.sum(1) == (rows[1][part] >= 0).sum(1))
        found[f"validation_returned{name}"] = float(torch.cat(returned).float().mean())
        found[f"validation_sites{name}"] = float(torch.cat(counts).float().mean())
    return found


def read(model: VoxelVAE, codes: Tensor, z: Tensor, max_sites: int) -> tuple[density.Sites, Tensor, Tensor]:
    """Decode latent points to sites, places of their elements in `codes` (B, n), and lattices (B, 3, 3)."""
    voxels = model.decode(z)
    sites, species = density.read(voxels, site_values(codes), model.widths, max_sites)
    return sites, species, density.lattice_of(voxels[:, 1:4])


@torch.no_grad()
def judge(model: VoxelVAE, arrays: ReducedArrays, n_known: int, n_drawn: int, seed: int, device: str) -> JudgedCrystals:
    """Encode and decode the test part and `n_known` others, and `n_drawn` points of each prior, on `device`."""
    rng = Generator().manual_seed(seed)
    is_test = (arrays.part == THREE_PARTS.index(TEST)).cpu()
    others = (~is_test).nonzero()[:, 0]
    others = others[torch.randperm(len(others), generator=rng)[:n_known]]
    rows = torch.cat([is_test.nonzero()[:, 0], others]).sort().values
    model, arrays = model.to(device), arrays.to(device)
    noise = torch.randn(n_drawn, model.latent_dim, generator=rng).to(device)
    points = {
        # As they are stored.
        "known": posteriors(model, arrays.select(rows.to(device))).mean.half().float(),
        "learned_prior": model.draw_from_prior(noise),
        "standard_normal": noise,
    }
    return JudgedCrystals(rows, {name: _decoded(model, arrays, z) for name, z in points.items()})


def _decoded(model: VoxelVAE, arrays: ReducedArrays, z: Tensor) -> Crystals:
    lattices, counts, frac_coords, kinds = [], [], [], []
    for part in z.split(256 if z.is_cuda else 16):  # larger ones make a CPU wait for memory
        sites, species, lattice = read(model, arrays.codes, part, arrays.species.shape[1] + 1)
        lattices.append(lattice)
        counts.append(sites.found.sum(1))
        frac_coords.append(sites.frac_coords[sites.found])
        kinds.append(species[sites.found])
    return Crystals(z.cpu(), *(torch.cat(parts).cpu() for parts in (lattices, counts, frac_coords, kinds)))


def profile(
    model: VoxelVAE,
    rows: Batch,
    transform: Callable[[Batch, Generator], Batch],
    schedule: Schedule,
    n_steps: int = 20,
) -> dict[str, float]:
    """Say how long the parts of a training step take, and how that is to what the processor's products allow.

    Returns:
        Milliseconds a step of drawing, forward and backward; crystals a second; floating point operations of the
        products of one crystal, those a second of the run, those of one large product, and the share.
    """
    device = rows[0].device
    rng = Generator(device).manual_seed(schedule.seed)
    n_steps = n_steps if device.type == "cuda" else 1
    some = tuple(tensor[: schedule.batch_size] for tensor in rows)
    kind = torch.bfloat16 if schedule.bfloat16 else torch.float32

    def clock() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    def step(times: dict[str, float]) -> None:
        start = clock()
        with torch.autocast(device.type, torch.bfloat16, enabled=schedule.bfloat16):
            batch = transform(some, rng)
            drawn = clock()
            loss: Tensor = model.loss(*batch, rng=rng)["loss"]  # type: ignore[misc, arg-type]
        forward = clock()
        loss.backward()
        model.zero_grad(set_to_none=True)
        for name, value in (("draw", drawn - start), ("forward", forward - drawn), ("backward", clock() - forward)):
            times[name] = times.get(name, 0.0) + 1000 * value / n_steps

    with FlopCounterMode(display=False) as counter:  # and the first, slow, call of everything
        step({})
    times: dict[str, float] = {}
    for _ in range(n_steps):
        step(times)
    side = 8192 if device.type == "cuda" else 512
    matrix = torch.randn(side, side, device=device, dtype=kind)
    matrix @ matrix
    start = clock()
    for _ in range(n_steps):
        matrix @ matrix
    possible = n_steps * 2 * side**3 / (clock() - start)
    n_crystals, seconds = len(some[0]), sum(times.values()) / 1000
    needed = counter.get_total_flops()
    return {
        **{f"{name}_ms": value for name, value in times.items()},
        "crystals_per_second": n_crystals / seconds,
        "operations_per_crystal": needed / n_crystals,
        "operations_per_second": needed / seconds,
        "operations_of_a_product": possible,
        "share": needed / seconds / possible,
    }
