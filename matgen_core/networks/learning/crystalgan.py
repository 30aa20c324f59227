"""The training of CrystalGAN on hydrides, and of the published networks beside it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Generator, Tensor, nn

from matgen_core.networks.arrays import tensors
from matgen_core.networks.arrays.clouds import least_distances
from matgen_core.networks.arrays.hydrides import BINARY, FRAMEWORK, TERNARY, HydrideArrays, Pairs, Sites
from matgen_core.networks.arrays.splits import TRAIN
from matgen_core.networks.learning.loops import AdversarialSchedule, Losses, fit_adversarial
from matgen_core.networks.learning.runs import (
    adversarial_run,
    products_in_tf32,
    read_config,
    read_weights,
    save_weights,
    write_config,
)
from matgen_core.networks.models.crystalgan import CrystalGAN, CrystalGANConfig, in_slots, metal_distances
from matgen_core.networks.models.parts.rows import RowGAN, RowSettings

ADVERSARIAL = AdversarialSchedule(
    minutes=18,
    steps=20_000,
    batch_size=8,
    learning_rate=3e-4,
    critic_learning_rate=1e-3,
    critic_steps=1,
    critic_first=60,
    averaging=0.998,
    report_every=100,
)
# As published, but for Adam's beta1 (0.5) and five steps of the generators for one of the critics.
PUBLISHED = AdversarialSchedule(
    minutes=20,
    steps=1000,
    batch_size=35,
    learning_rate=1e-4,
    critic_learning_rate=1e-4,
    critic_steps=1,
    averaging=0.0,
    report_every=100,
)
PUBLISHED_FILE, N_OF_A_DOMAIN = "published.safetensors", 35
PAIRS = (("Pd", "Ni"), ("Mg", "Ti"))  # the paper's
CONSTRAINED = {"with": True, "without": False}
_KEPT = 0.4  # share of metals in a known crystal that stay as they are
_SAME_RATIO = 30.0  # how strongly crystals with as much hydrogen for each metal are preferred
_RATIO_OFF = 0.1  # ternaries are left out of the game if no supercell comes as near in that
_SAME_SHARE = 15.0  # and those in which the second metal can have the same share
_OWN_METAL = 2.0  # how strongly a hydride of the metal itself is
_LIKE_METAL = 1.0  # and of one that is like it
_LOOKED_AT = 128  # pairs that are translated at each report


@dataclass(frozen=True)
class CrystalGANLearner:
    """Settings of a run."""

    Arrays: ClassVar[Any] = HydrideArrays

    config: CrystalGANConfig = CrystalGANConfig()
    adversarial: AdversarialSchedule = ADVERSARIAL
    seed: int = 0

    def for_run(self, device: str, minutes: float | None) -> Self:
        """Return the settings as they will be used, on any device."""
        return adversarial_run(self, minutes)

    def learn(self, arrays: HydrideArrays, folder: Path, device: str) -> None:
        """Train."""
        train(arrays, self.config, self.adversarial, device, folder)


@dataclass(frozen=True)
class PublishedLearner:
    """Settings of the published networks, on the arrays of ours."""

    Arrays: ClassVar[Any] = HydrideArrays

    rows: RowSettings = RowSettings()
    adversarial: AdversarialSchedule = PUBLISHED
    seed: int = 0

    def for_run(self, device: str, minutes: float | None) -> Self:
        """Return the settings as they will be used, on any device."""
        return adversarial_run(self, minutes)

    def learn(self, arrays: HydrideArrays, folder: Path, device: str) -> None:
        """Train them on each of the paper's pairs, with and without constraints."""
        write_published(arrays, self.rows, self.adversarial, device, folder)


def train(
    arrays: HydrideArrays, config: CrystalGANConfig, adversarial: AdversarialSchedule, device: str, folder: Path
) -> CrystalGAN:
    """Train translation and critics against each other.

    Args:
        arrays: Known hydrides; those of the test part are not looked at.
        config: Sizes; metals, numbers of properties, sources and sites are replaced by those of the arrays.
        adversarial: Rates and limits.
        device: "cpu" or "cuda".
        folder: Gets config.json, weights.safetensors (float16), again at each report, and losses.jsonl.
    """
    (folder / "losses.jsonl").unlink(missing_ok=True)
    config = replace(
        config,
        metals=arrays.metals,
        n_properties=arrays.properties.shape[1],
        n_sources=len(arrays.home),
        max_sites=arrays.frac_coords.shape[1],
    )
    write_config(config, folder)
    torch.manual_seed(adversarial.seed)
    model = CrystalGAN(config)
    model.know(arrays)
    game = Game(model.to(device), Draws(arrays.to(device)))
    looked_at = game.draws(_LOOKED_AT, Generator(device).manual_seed(adversarial.seed + 1))

    def report() -> Losses:
        save_weights(model, folder)
        return look(model, looked_at, adversarial.seed)

    with products_in_tf32(device == "cuda"):
        fit_adversarial(game, game.draws, device, adversarial, report=report, log=folder / "losses.jsonl")
    save_weights(model, folder)
    return model


def write_published(
    arrays: HydrideArrays, rows: RowSettings, schedule: AdversarialSchedule, device: str, folder: Path
) -> None:
    """Train the published networks on the paper's pairs, with and without constraints, and write what they make.

    Args:
        arrays: Known hydrides; a domain is the 35 binary ones that suit its metal best, in its place and volume.
        rows: Sizes and weights.
        schedule: Rates; its minutes are shared out among the four runs.
        device: "cpu" or "cuda".
        folder: Gets published.safetensors: of each run points (70, 2 + sum of slots, 3), half from either side.
    """
    runs_of = [(pair, name) for pair in PAIRS for name in CONSTRAINED]
    each = replace(schedule, minutes=schedule.minutes / len(runs_of))
    made = {}
    for pair, name in runs_of:
        first, second = (
            in_slots(domain(arrays, metal, place, rows.slots), rows.slots).to(device)
            for place, metal in enumerate(pair)
        )
        settings = replace(rows, geometry_weight=rows.geometry_weight if CONSTRAINED[name] else 0.0)
        torch.manual_seed(schedule.seed)
        game = RowGame(RowGAN(settings).to(device), (first, second))
        log = folder / f"published_{'_'.join(pair)}_{name}.jsonl"
        log.unlink(missing_ok=True)
        fit_adversarial(game, game.domains, device, each, log=log)
        with torch.no_grad():
            made["-".join(pair) + f" {name}"] = torch.cat(game.model.ternaries(first, second)).cpu()
    tensors.write(made, folder / PUBLISHED_FILE)


def domain(arrays: HydrideArrays, metal: str, place: int, slots: tuple[int, int, int]) -> Sites:
    """Return the hydrides of a metal that the published networks learn from, as first or second metal of a pair.

    Those of the metal itself come first, then those of like metals, then others, with the metal in their place.
    """
    own, number = arrays.own_metals(), 1 + arrays.metals.index(metal)
    rows = arrays.rows(BINARY, TRAIN)
    rows = rows[
        ((arrays.species[rows] > 0).sum(1) <= min(slots[:2])) & ((arrays.species[rows] == 0).sum(1) <= slots[2])
    ]
    fit = 2.0 * (own[rows, 0] == number) + arrays.alike[number, own[rows, 0]]
    best = rows[fit.argsort(descending=True, stable=True)[:N_OF_A_DOMAIN]]
    sites = arrays.with_metals(best, torch.full((len(best), 2), number), own[best])
    return sites.exchanged() if place else sites


class RowGame(nn.Module):
    """The published networks with the two domains, all of which are one batch, as `fit_adversarial` takes them."""

    def __init__(self, model: RowGAN, real: tuple[Tensor, Tensor]) -> None:
        super().__init__()
        self.model, self.generator, self.real = model, model.generator, real

    def domains(self, n_samples: int, rng: Generator) -> tuple[Tensor, Tensor]:
        """Return both domains, whatever the number."""
        return self.real

    def critic_loss(self, real: tuple[Tensor, Tensor], rng: Generator | None = None) -> dict[str, Tensor]:
        """Return the loss of the critics."""
        return self.model.critic_loss(real, rng)

    def generator_loss(self, real: tuple[Tensor, Tensor], rng: Generator | None = None) -> Tensor:
        """Return the loss of the translations."""
        return self.model.generator_loss(real)


def read_run(folder: Path) -> CrystalGAN:
    """Return the networks that a run left, in evaluation mode."""
    return read_weights(CrystalGAN(CrystalGANConfig(**read_config(folder))), folder)


class Game(nn.Module):
    """The networks with the draws that both sides learn from, as `fit_adversarial` takes them."""

    def __init__(self, model: CrystalGAN, draws: "Draws") -> None:
        super().__init__()
        self.model, self.generator, self.draws = model, model.generator, draws

    def critic_loss(self, real: Pairs, rng: Generator | None = None) -> dict[str, Tensor]:
        """Return the loss of both critics."""
        return self.model.critic_loss(real, rng)

    def generator_loss(self, real: Pairs, rng: Generator | None = None) -> Tensor:
        """Return the loss of the translation."""
        return self.model.generator_loss(real, rng)["loss"]


class Draws:
    """Draws pairs of metals with what is translated and real crystals beside it, on the device of the arrays.

    A real ternary crystal is drawn, some of its metals exchanged for like ones. Then a supercell of a hydride, with as
    much hydrogen for each metal if there is one, is given the first of its metals, and another one the second.
    """

    def __init__(self, arrays: HydrideArrays) -> None:
        self.arrays, self.own = arrays, arrays.own_metals()
        self.frameworks, self.ternaries = arrays.rows(FRAMEWORK, TRAIN), arrays.rows(TERNARY, TRAIN)
        n_hydrogen, n_metals = (arrays.species == 0).sum(1), (arrays.species > 0).sum(1)
        self.n_metals, self.ratio = n_metals, n_hydrogen / n_metals
        # What no supercell has hydrogen enough for, or too little, would be told by its composition alone.
        off = (self.ratio[self.ternaries].unsqueeze(1) - self.ratio[self.frameworks]).abs().min(1).values
        self.ternaries = self.ternaries[off <= _RATIO_OFF]
        self.n_second = (arrays.species == self.own[:, 1:]).sum(1) * (self.own[:, 1] > 0)
        n = len(arrays.metals) + 1
        self.allowed = torch.ones(n, n, dtype=torch.bool, device=arrays.lattice.device)
        self.allowed.fill_diagonal_(False)
        if len(arrays.forbidden):
            first, second = arrays.forbidden.unbind(1)
            self.allowed[first, second] = self.allowed[second, first] = False

    def __call__(self, n: int, rng: Generator) -> Pairs:
        """Draw n of them."""
        device = self.own.device
        rows = self.ternaries[torch.randint(len(self.ternaries), (n,), generator=rng, device=device)]
        own = self.own[rows]
        metals = torch.stack([self._like(each, rng) for each in own.unbind(1)], 1)
        fine = self.allowed[metals[:, 0], metals[:, 1]].unsqueeze(1)
        metals = torch.where(fine, metals, own)
        ternary = self.arrays.with_metals(rows, metals, own)
        turned = torch.rand(n, 1, 1, generator=rng, device=device) < 0.5  # which of the two is the first
        kinds = torch.where(turned, ternary.exchanged().kinds, ternary.kinds)
        metals = torch.where(turned[..., 0], metals.flip(1), metals)
        share = self.n_second[rows] / self.n_metals[rows]
        share = torch.where(turned[:, 0, 0], 1 - share, share)
        source_rows = self._near(metals[:, 0], self.ratio[rows], rng, share)
        n_second = _of_second(share, self.n_metals[source_rows])
        real_rows = self._near(metals[:, 1], self.ratio[source_rows], rng)
        return Pairs(
            self.arrays.with_metals(source_rows, metals, self.own[source_rows]),
            metals,
            n_second,
            self.arrays.with_metals(real_rows, metals.flip(1), self.own[real_rows]),
            replace(ternary, kinds=kinds),
        )

    def _like(self, metals: Tensor, rng: Generator) -> Tensor:
        weights = self.arrays.alike[metals].float()
        there = weights.sum(1) > 0
        weights[~there, 0] = 1.0
        other = torch.multinomial(weights, 1, generator=rng).squeeze(1)
        stays = torch.rand(len(metals), generator=rng, device=metals.device) < _KEPT
        return torch.where(there & ~stays, other, metals)

    def _near(self, metals: Tensor, ratio: Tensor, rng: Generator, share: Tensor | None = None) -> Tensor:
        """Rows of supercells that suit metals, numbers of hydrogen for each metal atom and shares, (B,) each."""
        of_rows, n_metals = self.own[self.frameworks, 0], self.n_metals[self.frameworks]
        fit = -_SAME_RATIO * (self.ratio[self.frameworks] - ratio.unsqueeze(1)).abs()
        fit = fit + _OWN_METAL * (of_rows == metals.unsqueeze(1))
        fit = fit + _LIKE_METAL * self.arrays.alike[metals][:, of_rows]
        if share is not None:
            possible = _of_second(share.unsqueeze(1), n_metals) / n_metals
            fit = fit - _SAME_SHARE * (possible - share.unsqueeze(1)).abs()
        noise = torch.rand(fit.shape, generator=rng, device=fit.device).clamp(min=1e-9)
        return self.frameworks[(fit - (-noise.log()).log()).argmax(1)]


def _of_second(share: Tensor, n_metals: Tensor) -> Tensor:
    """How many of the metal atoms come nearest to a share, one at least and not all."""
    return torch.minimum((share * n_metals).round().long().clamp(min=1), n_metals - 1)


@torch.no_grad()
def look(model: CrystalGAN, pairs: Pairs, seed: int) -> Losses:
    """Look at translations beside the real crystals: least distances, volumes, and the parts of the loss."""
    device = pairs.metals.device

    def rng() -> Generator:
        return Generator(device).manual_seed(seed)

    noise = torch.randn(pairs.source.frac_coords.shape[:2], generator=rng(), device=device)
    made, _ = model.translate(pairs.source, pairs.metals, pairs.n_second, noise)
    found: Losses = {}
    for name, sites in (("made", made), ("real", pairs.ternary), ("source", pairs.source)):
        least = least_distances(sites.frac_coords, sites.there, sites.lattice)
        metal = metal_distances(sites).flatten(1).min(1).values
        found |= {
            f"least_{name}": float(least.median()),
            f"least_low_{name}": float(least.quantile(0.05)),
            f"metal_near_{name}": float((metal < model.config.nearest).float().mean()),
            f"volume_{name}": float((torch.linalg.det(sites.lattice).abs() / sites.there.sum(1)).median()),
        }
    return found | {name: float(value) for name, value in model.generator_loss(pairs, rng()).items()}
