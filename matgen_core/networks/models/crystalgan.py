"""CrystalGAN: from two binary hydrides A-H and B-H to a ternary one, by a cross-domain GAN in three steps.

After Nouira et al. 2018. What differs, and why:

- The networks see the whole crystal: messages pass between sites and their nearest images, and atoms and cell move
  along the vectors between them, so that neither the order of sites nor origin or orientation matters. The released
  networks map three numbers to three numbers and see no distance at all.
- The geometric loss is computed from minimum images and has a gradient. The released one is computed from files that
  were written before, so that nothing learns from it.
- A metal is a few properties of its element, its radius among them, and no name: one network translates any pair. Real
  ternary hydrides of other pairs are what the second critic holds the made ones against; the paper has none.
- In the second step a network chooses, with noise, which sites the other metal gets, a wanted number of them. The
  paper puts the whole block of the other metal beside what is there.
- Cells start from the volumes of the atoms, so that the networks learn what these do not tell.
- Real and made crystals are compared two and two, of the same metals and much the same composition, and the critics
  are held flat at both. Comparing each for itself, as published, the critics won and nothing was learned.

References: Nouira et al. (2018), arXiv:1810.11203; Huang et al. (2024), arXiv:2501.05441 (the loss in pairs)
"""

from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from matgen_core.networks.arrays.clouds import from_points, image_vectors, to_points
from matgen_core.networks.arrays.hydrides import FIRST, HYDROGEN, SECOND, HydrideArrays, Pairs, Sites
from matgen_core.networks.models.parts.messages import Messages

_SOFT = 0.5  # how soft the choice of sites is for the gradient
_MOST_STRAIN = 0.25
_MOST_STEP = 0.8  # Å


@dataclass(frozen=True)
class CrystalGANConfig:
    """Sizes of the networks; a checkpoint stores exactly these fields."""

    metals: tuple[str, ...] = ("Mg", "Ti")  # that it knows, in the order of its tables
    home: tuple[str, str] = ("Mg", "Ti")  # the pair that latent points are translated for
    n_properties: int = 5
    n_sources: int = 8  # crystals of that pair that latent points start from
    max_sites: int = 24
    slots: tuple[int, int, int] = (8, 8, 18)  # of the two metals and hydrogen in the arrays that it decodes to
    width: int = 24
    layers: int = 2
    n_neighbors: int = 24
    cutoff: float = 6.0  # Å
    passes: int = 1  # of the last step: the second sees where the first has moved the atoms
    n_radial: int = 12
    nearest: float = 1.8  # Å; no two metal atoms may come closer
    farthest: float = 3.0  # Å; the next metal atom may not be farther away, unless the radii ask for it
    roomy: float = 1.5  # sums of the radii that the next metal atom may be away in any case
    geometry_weight: float = 2.0
    cycle_weight: float = 0.5
    stay_weight: float = 2.0
    penalty: float = 0.3  # weight of the critics' squared slopes


class CrystalGAN(nn.Module):
    """Binary hydrides of any pair of metals to ternary ones; latent points are translated for the pair `home`."""

    Config = CrystalGANConfig
    properties: Tensor  # (1 + n_metals, n_properties), hydrogen first
    radii: Tensor  # (1 + n_metals,) in Å
    volumes: Tensor  # (1 + n_metals,) of an atom in Å^3
    source_coords: Tensor  # (n_sources, max_sites, 3)
    source_kinds: Tensor  # (n_sources, max_sites, 3)
    source_lattice: Tensor  # (n_sources, 3, 3)
    source_metal: Tensor  # (n_sources,), 1 where the source is of the second metal of `home`

    def __init__(self, config: CrystalGANConfig) -> None:
        super().__init__()
        self.config = config
        n, s = len(config.metals) + 1, config.n_sources
        self.register_buffer("properties", torch.zeros(n, config.n_properties))
        self.register_buffer("radii", torch.ones(n))
        self.register_buffer("volumes", torch.ones(n))
        self.register_buffer("source_coords", torch.zeros(s, config.max_sites, 3))
        self.register_buffer("source_kinds", torch.zeros(s, config.max_sites, 3))
        self.register_buffer("source_lattice", torch.eye(3).repeat(s, 1, 1))
        self.register_buffer("source_metal", torch.zeros(s))
        self.generator = nn.ModuleDict(
            {"translator": Mover(config), "chooser": Chooser(config), "finisher": Mover(config)}
        )
        self.critic = nn.ModuleDict({"binary": Judge(config), "ternary": Judge(config)})

    @property
    def latent_dim(self) -> int:
        """Number of latent coordinates: which source, how many atoms are exchanged, and one of each site."""
        return 2 + self.config.max_sites

    def know(self, arrays: HydrideArrays) -> None:
        """Take over what is known of the elements, and the crystals that latent points start from."""
        own = arrays.own_metals()[arrays.home]
        first, second = (1 + arrays.metals.index(metal) for metal in self.config.home)
        sources = arrays.with_metals(arrays.home, own, own)
        self.properties, self.radii, self.volumes = arrays.properties, arrays.radii, arrays.volumes
        self.source_coords, self.source_kinds, self.source_lattice = (
            sources.frac_coords,
            sources.kinds,
            sources.lattice,
        )
        self.source_metal = (own[:, 0] == second).float()
        if not ((own[:, 0] == first) | (own[:, 0] == second)).all():
            raise ValueError(f"sources of other metals than {' and '.join(self.config.home)}")

    def translate(
        self, source: Sites, metals: Tensor, n_second: Tensor, noise: Tensor, volumes: Tensor | None = None
    ) -> tuple[Sites, Sites]:
        """Carry binary hydrides to ternary ones, by the three steps.

        Args:
            source: Crystals of the first metal.
            metals: (B, 2), places of both metals in the tables.
            n_second: (B,), how many metal atoms become the second's.
            noise: (B, n), standard normal; it has a say in which sites are chosen.
            volumes: (B, 2), of an atom of each metal in Å^3, if others than those of the tables.

        Returns:
            Ternary crystals, and the crystals of the first metal carried to the second, which stands as the first kind.
        """
        _, made, carried = self._three_steps(source, metals, n_second, noise, volumes)
        return made, carried

    def _three_steps(
        self, source: Sites, metals: Tensor, n_second: Tensor, noise: Tensor, volumes: Tensor | None = None
    ) -> tuple[Sites, Sites, Sites]:
        """Ternary crystals before and after the third step, and the crystals that were carried to the second metal."""
        described = self.described(metals)
        volumes = self.volumes[metals] if volumes is None else volumes
        steps, strain = self.generator["translator"](source, described)
        carried = self._part_of_the_way(source, volumes, steps, strain, torch.ones_like(n_second))
        chosen = choose(self.generator["chooser"](source, described, noise), source.metal, n_second).unsqueeze(-1)
        hydrogen, metal = source.kinds[..., :FIRST], source.kinds[..., FIRST:SECOND]
        kinds = torch.cat([hydrogen, metal * (1 - chosen), metal * chosen], -1)
        share = n_second / source.metal.sum(1).clamp(min=1)
        # The second metal's block comes from the crystal that was carried, the first's stays, hydrogen goes between.
        weight = hydrogen * share.view(-1, 1, 1) + kinds[..., SECOND:]
        mixed = replace(self._part_of_the_way(source, volumes, weight * steps, strain, share), kinds=kinds)
        made = mixed
        for _ in range(self.config.passes):
            steps, strain = self.generator["finisher"](made, described)
            made = made.strained(strain).moved(steps)
        return mixed, made, carried

    def carry(self, source: Sites, metals: Tensor, volumes: Tensor | None = None) -> Sites:
        """Carry crystals of the first metal to the second, which then stands as the first kind; see `translate`."""
        steps, strain = self.generator["translator"](source, self.described(metals))
        volumes = self.volumes[metals] if volumes is None else volumes
        return self._part_of_the_way(source, volumes, steps, strain, torch.ones_like(source.lattice[:, 0, 0]))

    def _part_of_the_way(self, source: Sites, volumes: Tensor, steps: Tensor, strain: Tensor, share: Tensor) -> Sites:
        """Crystals with all of the steps (B, n, 3), and that share (B,) of the strain and of the change of volume."""
        n_metals, n_hydrogen = source.metal.sum(1), source.kinds[..., HYDROGEN].sum(1)
        before = n_hydrogen * self.volumes[0] + n_metals * volumes[:, 0]
        after = before + share * n_metals * (volumes[:, 1] - volumes[:, 0])
        growth = torch.diag_embed(((after / before).log() / 3).unsqueeze(1).expand(-1, 3))
        return source.strained(share.view(-1, 1, 1) * strain + growth).moved(steps)

    def described(self, metals: Tensor) -> tuple[Tensor, Tensor]:
        """Properties (B, 3, n_properties) and radii (B, 3) of hydrogen and two metals."""
        places = torch.cat([torch.zeros_like(metals[:, :1]), metals], 1)
        return self.properties[places], self.radii[places]

    def decode(self, z: Tensor) -> Tensor:
        """Map (B, latent_dim) to ternary crystals of the pair `home` as points (B, 2 + sum of slots, 3)."""
        config = self.config
        row = (torch.special.ndtr(z[:, 0]) * config.n_sources).long().clamp(max=config.n_sources - 1)
        source = Sites(self.source_coords[row], self.source_kinds[row], self.source_lattice[row])
        n_metals = source.metal.sum(1)
        n_second = 1 + (torch.special.ndtr(z[:, 1]) * (n_metals - 1)).floor().clamp(max=n_metals - 2)
        other = self.source_metal[row].long()
        home = torch.tensor([1 + config.metals.index(metal) for metal in config.home], device=z.device)
        metals = torch.stack([home[other], home[1 - other]], 1)
        made, _ = self.translate(source, metals, n_second, z[:, 2:])
        turned = torch.where(other.view(-1, 1, 1).bool(), made.exchanged().kinds, made.kinds)
        return in_slots(replace(made, kinds=turned), config.slots)

    def features(self, x: Tensor) -> Tensor:
        """Map points (B, 2 + sum of slots, 3) of the pair `home` to the critic's last layer, (B, 2 width)."""
        sites, described = self._at_home(x)
        return self.critic["ternary"].features(sites, described)  # type: ignore[operator]

    def criticize(self, x: Tensor) -> Tensor:
        """Return how real points (B, 2 + sum of slots, 3) of the pair `home` look, (B,)."""
        sites, described = self._at_home(x)
        return self.critic["ternary"](sites, described)

    def known_features(self, sites: Sites, metals: Tensor) -> Tensor:
        """Map crystals of any metals to the critic's last layer, (B, 2 width), where `features` has those of `home`."""
        return self.critic["ternary"].features(sites, self.described(metals))  # type: ignore[operator]

    def realness(self, made: Sites, metals: Tensor) -> Tensor:
        """Return how real ternary crystals look, (B,); only differences mean something."""
        return self.critic["ternary"](made, self.described(metals))

    def _at_home(self, x: Tensor) -> tuple[Sites, tuple[Tensor, Tensor]]:
        frac_coords, there, lattice = from_points(x)
        first, second, hydrogen = self.config.slots
        kind = torch.tensor([FIRST] * first + [SECOND] * second + [HYDROGEN] * hydrogen, device=x.device)
        kinds = F.one_hot(kind, 3).to(x.dtype) * there.unsqueeze(-1)
        home = torch.tensor([1 + self.config.metals.index(metal) for metal in self.config.home], device=x.device)
        return Sites(frac_coords, kinds, lattice), self.described(home.expand(len(x), 2))

    def critic_loss(self, real: Pairs, rng: Generator | None = None) -> dict[str, Tensor]:
        """Return "loss" of both critics and its parts: by how much real crystals look more real, squared slopes.

        Args:
            real: What is translated, and real crystals beside it.
            rng: Random state.
        """
        with torch.no_grad():
            ternary, carried = self.translate(real.source, real.metals, real.n_second, _noise(real.source, rng))
        parts = {"loss": torch.zeros((), device=real.n_second.device)}
        for name, made, known, metals in (
            ("binary", carried, real.binary, real.metals[:, [1, 1]]),
            ("ternary", ternary, real.ternary, real.metals),
        ):
            of_known, slope_of_known = self._judged(name, known, metals)
            of_made, slope_of_made = self._judged(name, made, metals)
            penalty = (slope_of_known + slope_of_made).mean()
            loss = F.softplus(of_made - of_known).mean() + 0.5 * self.config.penalty * penalty
            parts |= {"distance": (of_known - of_made).mean(), "penalty": penalty}  # of the ternary ones in the end
            parts["loss"] = parts["loss"] + loss
            parts[f"distance_{name}"] = parts["distance"]
        return parts

    def _judged(self, name: str, sites: Sites, metals: Tensor) -> tuple[Tensor, Tensor]:
        """Verdicts (B,), and their squared slopes (B,) by steps of the sites in Å and by strains of the cell."""
        coords, lattice = (each.detach().requires_grad_(True) for each in (sites.frac_coords, sites.lattice))
        verdict = self.critic[name](Sites(coords, sites.kinds, lattice), self.described(metals))
        by_coords, by_lattice = torch.autograd.grad(verdict.sum(), (coords, lattice), create_graph=True)
        by_steps = by_coords @ torch.linalg.inv(sites.lattice).transpose(1, 2)
        by_strain = sites.lattice.transpose(1, 2) @ by_lattice
        return verdict, by_steps.square().sum((1, 2)) + by_strain.square().sum((1, 2))

    def generator_loss(self, real: Pairs, rng: Generator | None = None) -> dict[str, Tensor]:
        """Return "loss" of the translation and its parts; arguments as in `critic_loss`.

        Returns:
            loss = binary + ternary + cycle_weight cycle + stay_weight stay + geometry_weight geometry: how much less
            real what is made looks; how far crystals are from where they were when they have been carried there and
            back, and how far the third step moves them (mean squares in Å, of sites and cells); what metal atoms too
            near or too far apart cost.
        """
        config = self.config
        mixed, made, carried = self._three_steps(real.source, real.metals, real.n_second, _noise(real.source, rng))
        back = self.carry(carried, real.metals.flip(1))
        parts = {
            "binary": self._beaten("binary", carried, real.binary, real.metals[:, [1, 1]]),
            "ternary": self._beaten("ternary", made, real.ternary, real.metals),
            "cycle": _apart(real.source, back),
            "stay": _apart(mixed, made),
            "geometry": self.geometry(made, real.metals) + self.geometry(carried, real.metals[:, [1, 1]]),
        }
        loss = parts["binary"] + parts["ternary"]
        loss = loss + config.cycle_weight * parts["cycle"] + config.stay_weight * parts["stay"]
        loss = loss + config.geometry_weight * parts["geometry"]
        return {"loss": loss, **parts}

    def _beaten(self, name: str, made: Sites, known: Sites, metals: Tensor) -> Tensor:
        described = self.described(metals)
        with torch.no_grad():
            of_known = self.critic[name](known, described)
        return F.softplus(of_known - self.critic[name](made, described)).mean()

    def geometry(self, sites: Sites, metals: Tensor) -> Tensor:
        """Return what metal atoms cost that are too near to each other or too far from the next, a mean over crystals.

        Squares of what is missing in Å, by minimum images, summed over pairs nearer than `nearest` and over atoms whose
        next metal atom is farther away than `farthest` and than `roomy` sums of the radii.
        """
        config = self.config
        distance = metal_distances(sites)  # (B, n, n, 27)
        near = F.relu(config.nearest - distance).square().flatten(1).sum(1) / 2
        radius = (sites.kinds.detach() * self.described(metals)[1].unsqueeze(1)).sum(-1)
        next_one, place = distance.min(-1).values.min(-1)
        allowed = (config.roomy * (radius + radius.gather(1, place))).clamp(min=config.farthest)
        far = (F.relu(next_one - allowed).square() * sites.metal).sum(1)
        return (near + far).mean()


class Mover(nn.Module):
    """Steps of the sites and a strain of the cell, along the vectors between neighbors."""

    def __init__(self, config: CrystalGANConfig) -> None:
        super().__init__()
        self.seen = _messages(config, 2 * config.n_properties)
        self.along = nn.Sequential(nn.Linear(3 * config.width, config.width), nn.SiLU(), nn.Linear(config.width, 2))
        self.grown = nn.Linear(config.width, 1)
        for last in (self.along[2], self.grown):
            nn.init.normal_(last.weight, std=0.001)  # type: ignore[arg-type]  # to begin with, all stays in its place
            nn.init.zeros_(last.bias)  # type: ignore[arg-type]

    def forward(self, sites: Sites, described: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Return steps (B, n, 3) in Å and symmetric strains (B, 3, 3)."""
        told = told_to(described, sites.frac_coords[..., :0])
        state, edges = self.seen(sites.frac_coords, sites.kinds, sites.lattice, described, told)
        step, pull = (self.along(edges.joined(state)) * edges.weight.unsqueeze(-1)).unbind(-1)
        steps = (step.unsqueeze(-1) * edges.directions).sum(2)
        steps = _MOST_STEP * steps / (_MOST_STEP + steps.square().sum(-1, keepdim=True).add(1e-12).sqrt())
        n_sites = sites.there.sum(1).clamp(min=1).view(-1, 1, 1)
        strain = torch.einsum("bnk,bnkx,bnky->bxy", pull, edges.directions, edges.directions) / n_sites
        grown = self.grown(state).sum(1, keepdim=True) / n_sites
        strain = strain + grown * torch.eye(3, device=strain.device)
        size = strain.square().sum((1, 2), keepdim=True).add(1e-12).sqrt()
        return steps * sites.there.unsqueeze(-1), _MOST_STRAIN * strain / (_MOST_STRAIN + size)


class Chooser(nn.Module):
    """How much each site is one for the second metal."""

    def __init__(self, config: CrystalGANConfig) -> None:
        super().__init__()
        self.seen = _messages(config, 2 * config.n_properties + 1)
        self.score = nn.Linear(config.width, 1)

    def forward(self, sites: Sites, described: tuple[Tensor, Tensor], noise: Tensor) -> Tensor:
        """Return scores (B, n); noise (B, n) tells sites apart that are alike."""
        told = told_to(described, noise.unsqueeze(-1))
        state, _ = self.seen(sites.frac_coords, sites.kinds, sites.lattice, described, told)
        return self.score(state).squeeze(-1) + noise


class Judge(nn.Module):
    """How real a crystal looks."""

    def __init__(self, config: CrystalGANConfig) -> None:
        super().__init__()
        self.seen = _messages(config, 0)
        self.mixed = nn.Sequential(nn.Linear(config.width, config.width), nn.SiLU())
        self.verdict = nn.Sequential(
            nn.Linear(2 * config.width, config.width), nn.SiLU(), nn.Linear(config.width, 1, bias=False)
        )

    def features(self, sites: Sites, described: tuple[Tensor, Tensor]) -> Tensor:
        """Return mean and largest over the sites of what they gathered, (B, 2 width)."""
        state, _ = self.seen(sites.frac_coords, sites.kinds, sites.lattice, described)
        state = self.mixed(state)
        there = sites.there.unsqueeze(-1)
        mean = (state * there).sum(1) / there.sum(1).clamp(min=1)
        return torch.cat([mean, state.masked_fill(~there, -1e4).amax(1)], 1)

    def forward(self, sites: Sites, described: tuple[Tensor, Tensor]) -> Tensor:
        """Return verdicts (B,)."""
        return self.verdict(self.features(sites, described)).squeeze(1)


def told_to(described: tuple[Tensor, Tensor], noise: Tensor) -> Tensor:
    """What every site is told: the properties of both metals, and its own noise (B, n, k)."""
    of_metals = described[0][:, FIRST:].flatten(1).unsqueeze(1).expand(-1, noise.shape[1], -1)
    return torch.cat([of_metals, noise], -1)


def choose(score: Tensor, may: Tensor, n: Tensor) -> Tensor:
    """Choose the n sites with the highest scores, 0 or 1 in (B, n_sites); the gradient is that of a soft choice.

    Args:
        score: (B, n_sites).
        may: Which sites can be chosen, likewise.
        n: (B,), at least 1 and fewer than can be chosen.
    """
    ranked, order = score.detach().masked_fill(~may, -torch.inf).sort(dim=1, descending=True, stable=True)
    last, first_out = (ranked.gather(1, place.long().unsqueeze(1)) for place in (n - 1, n))
    soft = torch.sigmoid((score - (last + first_out) / 2) / _SOFT) * may
    place = torch.arange(score.shape[1], device=score.device).expand_as(order)
    hard = torch.zeros_like(score).scatter(
        1, order, (place < n.unsqueeze(1)).to(score.dtype)
    )  # n of them, if alike too
    return hard + soft - soft.detach() if torch.is_grad_enabled() else hard


def metal_distances(sites: Sites) -> Tensor:
    """Distances in Å from each metal site to all images of metal sites but itself, (B, n, n, 27); others are far."""
    squares = image_vectors(sites.frac_coords, sites.lattice).square().sum(-1)
    pairs = (sites.metal.unsqueeze(1) & sites.metal.unsqueeze(2)).unsqueeze(-1)
    n, here = squares.shape[1], squares.shape[-1] // 2  # the middle image is the cell itself
    itself = torch.zeros_like(squares[0], dtype=torch.bool)
    itself[range(n), range(n), here] = True
    return squares.masked_fill(~pairs | itself, 1e6).add(1e-12).sqrt()


def in_slots(sites: Sites, slots: tuple[int, int, int]) -> Tensor:
    """Write crystals as `PointCloud` does with slots for first metal, second metal, hydrogen."""
    blocks, there = [], []
    for kind, n in zip((FIRST, SECOND, HYDROGEN), slots, strict=True):
        held = sites.kinds.detach()[..., kind] > 0.5
        order = (~held).to(torch.uint8).argsort(dim=1, stable=True)[:, :n]
        blocks.append(sites.frac_coords.gather(1, order.unsqueeze(-1).expand(-1, -1, 3)))
        there.append(held.gather(1, order))
        if order.shape[1] < n:
            blocks.append(blocks[-1].new_zeros(len(sites), n - order.shape[1], 3))
            there.append(held.new_zeros(len(sites), n - order.shape[1]))
    return to_points(torch.cat(blocks, 1), torch.cat(there, 1), sites.lattice)


def _messages(config: CrystalGANConfig, n_told: int) -> Messages:
    return Messages(
        n_properties=config.n_properties,
        n_told=n_told,
        width=config.width,
        n_layers=config.layers,
        n_neighbors=config.n_neighbors,
        cutoff=config.cutoff,
        n_radial=config.n_radial,
    )


def _apart(first: Sites, second: Sites) -> Tensor:
    """Mean square distance of the sites in Å, without a common shift, and of the cells' vectors."""
    there = first.there.unsqueeze(-1)
    n_sites = there.sum(1, keepdim=True).clamp(min=1)
    between = (second.frac_coords - first.frac_coords) * there
    between = (between - between.sum(1, keepdim=True) / n_sites) * there @ first.lattice
    cells = (second.lattice - first.lattice).square().sum((1, 2))
    return ((between.square().sum(-1, keepdim=True) / n_sites).sum((1, 2)) + cells / 3).mean()


def _noise(source: Sites, rng: Generator | None) -> Tensor:
    return torch.randn(source.frac_coords.shape[:2], generator=rng, device=source.lattice.device)
