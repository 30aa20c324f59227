"""The latent points on which a crystal VAE is judged, and the crystals that they decode to.

Decoding is the costly half of judging and needs torch alone, so it is done where the network was trained; the file
that it leaves is judged where the data and pymatgen are.
"""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from matgen_core.networks.arrays import tensors
from matgen_core.networks.arrays.crystals import CrystalArrays
from matgen_core.networks.arrays.splits import TEST, THREE_PARTS
from matgen_core.networks.models.voxels.icsg3d import ICSG3D
from matgen_core.networks.models.voxels.icsg3d_paper import ICSG3DPaper

FILE = "points.safetensors"
AROUND = {"around_known_crystals": 0.5, "around_known_crystals_close": 0.05}  # variance; the first is the paper's


@dataclass(frozen=True)
class Samples:
    """How much of each is measured."""

    round_trips: int = 1000
    walks: int = 200  # lines of each kind
    steps: int = 8  # points between the ends of a line
    prior: int = 1000
    covered: int = 1000  # crystals of the reference; a fingerprint takes 20 ms a site
    around: int = 300  # ten round each known crystal
    per_class: int = 100


@dataclass(frozen=True, eq=False)
class Points:
    """Latent points and the sites that were read from what they decode to, one crystal after the other.

    Attributes:
        z: (n, latent_dim).
        edge: (n,) in Å.
        counts: (n,), sites of each crystal; more than the arrays hold where too many were found.
        frac_coords: (sum of counts, 3).
        species: (sum of counts,), place in the elements of the arrays.
    """

    z: Tensor
    edge: Tensor
    counts: Tensor
    frac_coords: Tensor
    species: Tensor


def draw(model: ICSG3D | ICSG3DPaper, known: Tensor, arrays: CrystalArrays, n: Samples, seed: int) -> dict[str, Tensor]:
    """Return the latent points that are judged, by name, all on the CPU.

    Args:
        model: A trained network, with its prior if it has learned one.
        known: Posterior means of all crystals, (N, latent_dim).
        arrays: The crystals, with their parts.
        n: How many of each.
        seed: Of every draw.

    Returns:
        `test`, the posterior means of the test part; `same_family` and `different_families` (where there are such
        pairs), points on straight lines between them; `standard_normal` and, with a prior, `learned_prior`; the names
        of AROUND; and, for a model with a condition, `conditioned` and `unconditioned`, the same noise with and
        without a class of energy, `per_class` points of each class: without a prior the two are one, and the class
        goes to the decoder.
    """
    rng = Generator().manual_seed(seed)
    is_test = (arrays.part == THREE_PARTS.index(TEST)).cpu()
    test, family = known.cpu()[is_test], arrays.family.cpu()[is_test]
    drawn = {"test": test}
    for name, pairs in line_ends(family, n.walks, rng).items():
        drawn[name] = line_points(test[pairs[:, 0]], test[pairs[:, 1]], n.steps)
    noise = torch.randn(n.prior, model.latent_dim, generator=rng)
    prior = model.prior.cpu() if isinstance(model, ICSG3D) else None
    drawn |= {"standard_normal": noise} | ({"learned_prior": prior.sample(noise)} if prior else {})
    centers = test[torch.randperm(len(test), generator=rng)[: n.around // 10]]
    for name, variance in AROUND.items():
        cloud = torch.randn(len(centers), 10, model.latent_dim, generator=rng)
        drawn[name] = (centers.unsqueeze(1) + variance**0.5 * cloud).flatten(0, 1)
    n_classes = model.config.n_conditions
    if n_classes:
        asked = asked_for(n_classes, n.per_class)
        noise = torch.randn(len(asked), model.latent_dim, generator=rng)
        drawn["conditioned"] = prior.sample(noise, asked) if prior else noise
        drawn["unconditioned"] = prior.sample(noise) if prior else noise
    return drawn


def asked_for(n_classes: int, per_class: int) -> Tensor:
    """Return the conditions of the `conditioned` points, one class after the other, (samples, n_classes)."""
    return F.one_hot(torch.arange(n_classes).repeat_interleave(per_class), n_classes).float()


def line_ends(family: Tensor, n_lines: int, rng: Generator) -> dict[str, Tensor]:
    """Random pairs of crystals of one family and of two, (n_lines, 2) places each; a kind without pairs is left out."""
    pairs = {
        name: random_pairs(family, same, n_lines, rng)
        for name, same in (("same_family", True), ("different_families", False))
    }
    return {name: found for name, found in pairs.items() if len(found)}


def line_points(start: Tensor, end: Tensor, n_steps: int) -> Tensor:
    """Points on straight lines between ends that do not count, (lines * n_steps, latent_dim)."""
    share = torch.linspace(0, 1, n_steps + 2)[1:-1].view(1, -1, 1)
    return torch.lerp(start.unsqueeze(1), end.unsqueeze(1), share).flatten(0, 1)


def random_pairs(family: Tensor, same: bool, n_pairs: int, rng: Generator) -> Tensor:
    """Random pairs of one family or of two, (n_pairs, 2); none where there is no such pair."""
    counts = family.bincount()
    if not (counts.max() > 1 if same else (counts > 0).sum() > 1):
        return torch.zeros(0, 2, dtype=torch.long)
    found = torch.zeros(0, 2, dtype=torch.long)
    while len(found) < n_pairs:
        pairs = torch.randint(len(family), (4 * n_pairs, 2), generator=rng)
        fits = (pairs[:, 0] != pairs[:, 1]) & ((family[pairs[:, 0]] == family[pairs[:, 1]]) == same)
        found = torch.cat([found, pairs[fits]])
    return found[:n_pairs]


@dataclass(frozen=True, eq=False)
class Judged(tensors.Stored):
    """What `judge_points` leaves: every crystal of the arrays, and the points that were drawn.

    Attributes:
        known: Posterior means of all crystals, (N, latent_dim).
        points: By the names of `draw`.
    """

    known: Tensor
    points: dict[str, Points]
