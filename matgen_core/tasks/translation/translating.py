"""Two binary hydrides A-H and B-H translated to ternary ones, with verdicts, and the path between the two.

Each try stands on the sites of one of the two: a supercell of it is drawn, and how many of its metal atoms become the
other metal; the network chooses which, and moves atoms and cell. The volumes of the atoms of both metals are those in
the two crystals.

Reference: Nouira et al. (2018), arXiv:1810.11203
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from pymatgen.core import Lattice, Structure
from torch import Tensor

from matgen_core import checkpoint as checkpoints
from matgen_core.checkpoint import Checkpoint
from matgen_core.checks import Check, Verdict, lattice_problem, strict_distance_check, volume_check
from matgen_core.materials.levels import CRYSTAL
from matgen_core.networks.arrays.hydrides import FIRST, HYDROGEN, SECOND, Sites
from matgen_core.networks.models.capabilities import Translator
from matgen_core.tasks.origin import with_origin
from matgen_core.tasks.translation.frameworks import Hydride, frameworks, hydride_of

LEAST_METAL_DISTANCE = 1.8  # Å, as published
MAX_TRIES = 10_000
PAIRS = {
    "Pd-H and Ni-H": ("Pd", "Ni", 1),
    "Mg-H and Ti-H": ("Mg", "Ti", 2),
}  # the paper's, with hydrogen for each metal
_BATCH = 32
_VOLUMES = (0.6, 1.6)  # of that in the table; beyond, the crystal says little of the size of its metal

Side = Literal["first", "second"]


@dataclass(frozen=True, eq=False)
class Ternary:
    """One try.

    Attributes:
        structure: The ternary hydride; None where it failed.
        problem: Why there is none, or "".
        framework: Whose sites it stands on.
        n_second: Metal atoms that are the second's.
        n_metals: All metal atoms.
        realness: The critic's verdict; only differences mean something, and NaN where there is no crystal.
        verdicts: By name.
    """

    structure: Structure | None
    problem: str
    framework: Side
    n_second: int
    n_metals: int
    realness: float
    verdicts: dict[str, Verdict]

    @property
    def good(self) -> bool:
        """Whether it passes everything."""
        return self.structure is not None and all(verdict.passed for verdict in self.verdicts.values())

    @property
    def formula(self) -> str:
        """Reduced formula, or ""."""
        return "" if self.structure is None else self.structure.composition.reduced_formula


@dataclass(frozen=True, eq=False)
class Translation:
    """What became of two binary hydrides.

    Attributes:
        first: As it was taken.
        second: Likewise.
        seed: Of all that was drawn.
        tries: In order; one that failed keeps its place.
    """

    first: Hydride
    second: Hydride
    seed: int
    tries: tuple[Ternary, ...]

    @cached_property
    def kept(self) -> list[Ternary]:
        """The good ones, each crystal once, the most real first."""
        from pymatgen.analysis.structure_matcher import StructureMatcher  # half a second to import

        matcher, found = StructureMatcher(), dict[str, list[Ternary]]()
        for each in sorted((each for each in self.tries if each.good), key=lambda each: -each.realness):
            others = found.setdefault(each.formula, [])
            if not any(matcher.fit(_there(each), _there(other)) for other in others):
                others.append(each)
        return sorted((each for some in found.values() for each in some), key=lambda each: -each.realness)


@dataclass(frozen=True, eq=False)
class PathStep:
    """A crystal on the way from one binary hydride to its translation.

    Attributes:
        structure: The crystal.
        share: Of the metal atoms that are the second's, 0 to 1.
        kind: The crystal that was given, a ternary one, or the first carried to the second metal.
    """

    structure: Structure
    share: float
    kind: Literal["given", "ternary", "translated"]


def metal_distance_check() -> Check:
    """Make the check that no two metal atoms are closer than 1.8 Å, by minimum images: the criterion of the paper."""

    def judge(structure: Any) -> Verdict:
        problem = lattice_problem(structure)
        if problem:
            return Verdict(False, problem)
        least = float(nearest_metals(structure).min())
        return Verdict(least >= LEAST_METAL_DISTANCE, f"nearest metal atoms {least:.2f} Å apart")

    return Check("metal_distances", judge)


def nearest_metals(structure: Structure) -> NDArray[np.float64]:
    """Return how far each metal atom of a hydride is from the next one, by minimum images, (n_metals,) in Å."""
    metals = Structure.from_sites([site for site in structure if site.specie.symbol != "H"])
    distances = np.array(metals.distance_matrix)
    np.fill_diagonal(distances, min(metals.lattice.get_lll_reduced_lattice().abc))
    return distances.min(1)


CHECKS = (metal_distance_check(), strict_distance_check(), volume_check())


def translators() -> list[str]:
    """Return the names of the installed checkpoints that translate."""
    return [
        row["name"]
        for row in checkpoints.summaries()[0]
        if row["level"] == CRYSTAL.key and "translate" in row["capabilities"]
    ]


def hydride(checkpoint: Checkpoint, structure: Structure, what: str = "the crystal") -> Hydride:
    """Take a crystal as a binary hydride that a network can start from.

    Args:
        checkpoint: Of a network that translates.
        structure: Any crystal.
        what: How the line about it calls it.

    Raises:
        ValueError: If it is none that can be used; one line with the reason.
    """
    config = _translator(checkpoint).config
    most_metals, most_hydrogen = min(config.slots[:2]), config.slots[2]
    return hydride_of(structure, config.metals, most_metals, most_hydrogen, config.max_sites, what)


@torch.inference_mode()
def translate(
    checkpoint: Checkpoint,
    first: Structure,
    second: Structure,
    n: int,
    seed: int = 0,
    share: float | None = None,
    progress: Callable[[int], None] | None = None,
) -> Translation:
    """Translate two binary hydrides to ternary ones.

    Args:
        checkpoint: Of a network that translates.
        first: A hydride of one metal.
        second: A hydride of another.
        n: Tries.
        seed: The same seed makes the same crystals.
        share: Of the metal atoms that become the second's, between 0 and 1; None draws it at each try.
        progress: Called with the number of tries done; what it raises ends the work.

    Raises:
        ValueError: As `hydride`; if both hold the same metal, n or share cannot be used, or no supercell fits.
    """
    model = _translator(checkpoint)
    pair = _pair(checkpoint, first, second)
    if not 1 <= n <= MAX_TRIES:
        raise ValueError(f"{n} tries; expected 1 to {MAX_TRIES:,}")
    if share is not None and not 0 < share < 1:
        raise ValueError(f"a share of {share:g} of the metal atoms; expected more than 0 and less than 1")
    rng = np.random.default_rng(seed)
    cells = [_frameworks(model, each) for each in pair]
    starts = [_drawn(cells, share, rng) for _ in range(n)]
    tries: list[Ternary] = []
    for begin in range(0, n, _BATCH):
        part = starts[begin : begin + _BATCH]
        noise = rng.standard_normal((len(part), model.config.max_sites)).astype(np.float32)
        tries += _translated(model, pair, part, torch.from_numpy(noise))
        if progress:
            progress(len(tries))
    return Translation(*pair, seed, tuple(tries))


@torch.inference_mode()
def path(checkpoint: Checkpoint, first: Structure, second: Structure, seed: int = 0) -> list[PathStep]:
    """Walk from the first hydride to its translation, one metal atom more of the second metal at each step.

    Args:
        checkpoint: Of a network that translates.
        first: A hydride of one metal.
        second: A hydride of another.
        seed: Of the noise, the same all along.

    Raises:
        ValueError: As `translate`.
    """
    model = _translator(checkpoint)
    pair = _pair(checkpoint, first, second)
    cells = _frameworks(model, pair[0])
    # the largest of at most four metal atoms: a path of few steps that can be looked at
    few = [cell for cell in cells if _n_metals(cell) <= 4] or cells[:1]
    chosen = max(few, key=_n_metals)
    n_metals = _n_metals(chosen)
    one = np.random.default_rng(seed).standard_normal((1, model.config.max_sites)).astype(np.float32)
    starts = [_Start(chosen, "first", n) for n in range(1, n_metals)]
    steps = [PathStep(chosen, 0.0, "given")]
    noise = torch.from_numpy(one).expand(len(starts), -1)
    for start, each in zip(starts, _translated(model, pair, starts, noise), strict=True):
        if each.structure is not None:
            steps.append(PathStep(each.structure, start.n_second / n_metals, "ternary"))
    sites, metals, volumes, _ = _batch(model, pair, [_Start(chosen, "first", 1)])
    carried = model.carry(sites, metals, volumes)
    (end,) = _structures(carried, [(pair[1].metal, pair[0].metal)])
    return [*steps, PathStep(end, 1.0, "translated")]


def table(translation: Translation) -> pd.DataFrame:
    """Return one row a try, with each verdict and its reason; `kept_as` is its place among those that are kept."""
    places = {id(each): place for place, each in enumerate(translation.kept, start=1)}
    rows = []
    for number, each in enumerate(translation.tries, start=1):
        row: dict[str, Any] = {
            "try": number,
            "formula": each.formula,
            "framework": (translation.first if each.framework == "first" else translation.second).metal + "-H",
            "share_of_second": each.n_second / each.n_metals,
            "realness": each.realness,
            "good": each.good,
            "kept_as": places.get(id(each), pd.NA),
            "problem": each.problem,
        }
        for check in CHECKS:
            verdict = each.verdicts.get(check.name, Verdict(False, each.problem))
            row |= {check.name: verdict.passed, f"{check.name}_reason": verdict.reason}
        rows.append(row)
    return pd.DataFrame(rows).astype({"kept_as": "Int64"})


def with_provenance(saved: pd.DataFrame, checkpoint: Checkpoint, translation: Translation) -> pd.DataFrame:
    """Say in every row of a table what made it."""
    settings = {
        "first": translation.first.structure.composition.reduced_formula,
        "second": translation.second.structure.composition.reduced_formula,
        "n": len(translation.tries),
        "seed": translation.seed,
    }
    return with_origin(saved, [checkpoint.name], settings)


def examples(checkpoint: Checkpoint) -> dict[str, tuple[Structure, Structure]]:
    """Return the pairs of the paper as ideal crystals, from the volumes of the atoms that the checkpoint knows."""
    model = _translator(checkpoint)
    found = {}
    for name, (first, second, n_hydrogen) in PAIRS.items():
        found[name] = (_ideal(model, first, n_hydrogen), _ideal(model, second, n_hydrogen))
    return found


@dataclass(frozen=True, eq=False)
class _Start:
    """A supercell, whose it is, and how many of its metal atoms become the other metal."""

    cell: Structure
    side: Side
    n_second: int


def _translator(checkpoint: Checkpoint) -> Any:
    if not isinstance(checkpoint.model, Translator):
        raise ValueError(
            f"{checkpoint.name} does not translate; take one of: {', '.join(translators()) or 'none is here'}"
        )
    return checkpoint.model


def _pair(checkpoint: Checkpoint, first: Structure, second: Structure) -> tuple[Hydride, Hydride]:
    pair = hydride(checkpoint, first, "the first crystal"), hydride(checkpoint, second, "the second crystal")
    if pair[0].metal == pair[1].metal:
        raise ValueError(f"both crystals are hydrides of {pair[0].metal}; give hydrides of two metals")
    return pair


def _frameworks(model: Any, given: Hydride) -> list[Structure]:
    config = model.config
    found = frameworks(given.structure, min(config.slots[:2]), config.slots[2], config.max_sites)
    if not found:
        formula = given.structure.composition.reduced_formula
        raise ValueError(
            f"{formula}: no supercell of it with two metal atoms or more fits into {config.max_sites} sites"
            f" ({config.slots[2]} of hydrogen); give a hydride with a smaller cell"
        )
    return found


def _there(each: Ternary) -> Structure:
    assert each.structure is not None  # of a good one
    return each.structure


def _n_metals(cell: Structure) -> int:
    return sum(site.specie.symbol != "H" for site in cell)


def _drawn(cells: list[list[Structure]], share: float | None, rng: np.random.Generator) -> _Start:
    """Draw whose sites, how large a supercell, which, and how many atoms become the other metal."""
    side = int(rng.integers(2))
    sizes = sorted({_n_metals(cell) for cell in cells[side]})
    size = sizes[int(rng.integers(len(sizes)))]
    fitting = [cell for cell in cells[side] if _n_metals(cell) == size]
    cell = fitting[int(rng.integers(len(fitting)))]
    drawn = int(rng.integers(1, size))
    if share is not None:
        of_other = share if side == 0 else 1 - share
        drawn = min(max(round(of_other * size), 1), size - 1)
    return _Start(cell, "first" if side == 0 else "second", drawn)


def _translated(model: Any, pair: tuple[Hydride, Hydride], starts: Sequence[_Start], noise: Tensor) -> list[Ternary]:
    sites, metals, volumes, n_second = _batch(model, pair, starts)
    made, _ = model.translate(sites, metals, n_second, noise, volumes)
    realness = model.realness(made, metals).tolist()
    symbols = [(pair[0].metal, pair[1].metal) if s.side == "first" else (pair[1].metal, pair[0].metal) for s in starts]
    found = []
    for start, structure, real in zip(starts, _structures(made, symbols), realness, strict=True):
        n_metals = _n_metals(start.cell)
        of_second = start.n_second if start.side == "first" else n_metals - start.n_second
        problem = lattice_problem(structure)
        if problem:
            found.append(Ternary(None, problem, start.side, of_second, n_metals, float("nan"), {}))
            continue
        verdicts = {check.name: check(structure) for check in CHECKS}
        found.append(Ternary(structure, "", start.side, of_second, n_metals, real, verdicts))
    return found


def _batch(model: Any, pair: tuple[Hydride, Hydride], starts: Sequence[_Start]) -> tuple[Sites, Tensor, Tensor, Tensor]:
    """Supercells as the network takes them, places of the metals, volumes of their atoms, numbers to exchange."""
    n_sites, known = model.config.max_sites, model.config.metals
    frac_coords, kinds = torch.zeros(len(starts), n_sites, 3), torch.zeros(len(starts), n_sites, 3)
    lattice = torch.zeros(len(starts), 3, 3)
    sizes = [_volume_of_metal(model, each) for each in pair]
    metals, volumes = torch.zeros(len(starts), 2, dtype=torch.int64), torch.zeros(len(starts), 2)
    for i, start in enumerate(starts):
        frac_coords[i, : len(start.cell)] = torch.from_numpy(start.cell.frac_coords % 1.0)
        kind = [HYDROGEN if site.specie.symbol == "H" else FIRST for site in start.cell]
        kinds[i, range(len(kind)), kind] = 1.0
        lattice[i] = torch.from_numpy(start.cell.lattice.matrix.copy())
        order = (0, 1) if start.side == "first" else (1, 0)
        metals[i] = torch.tensor([1 + known.index(pair[k].metal) for k in order])
        volumes[i] = torch.tensor([sizes[k] for k in order])
    return Sites(frac_coords, kinds, lattice), metals, volumes, torch.tensor([start.n_second for start in starts])


def _volume_of_metal(model: Any, given: Hydride) -> float:
    """Volume of a metal atom in a hydride in Å^3, near to that in the table."""
    cell, usual = given.structure, float(model.volumes[1 + model.config.metals.index(given.metal)])
    n_metals = _n_metals(cell)
    own = (cell.volume - (len(cell) - n_metals) * float(model.volumes[0])) / n_metals
    return float(np.clip(own, _VOLUMES[0] * usual, _VOLUMES[1] * usual))


def _structures(sites: Sites, symbols: Sequence[tuple[str, str]]) -> list[Structure]:
    """Crystals of hydrogen and two metals each, sites in the order metals, hydrogen."""
    names = [{HYDROGEN: "H", FIRST: first, SECOND: second} for first, second in symbols]
    found = []
    for i, name in enumerate(names):
        there = np.flatnonzero(sites.there[i].numpy())
        kind: NDArray[np.int64] = sites.kinds[i].argmax(-1).numpy()[there]
        order = there[np.lexsort((there, (kind - 1) % 3))]
        coords = sites.frac_coords[i].double().numpy()[order] % 1.0
        kinds = sites.kinds[i].argmax(-1).numpy()[order]
        found.append(Structure(Lattice(sites.lattice[i].double().numpy()), [name[int(k)] for k in kinds], coords))
    return found


def _ideal(model: Any, metal: str, n_hydrogen: int) -> Structure:
    volume = float(model.volumes[1 + model.config.metals.index(metal)]) + n_hydrogen * float(model.volumes[0])
    lattice = Lattice.cubic((4 * volume) ** (1 / 3))
    places = [[0.25, 0.25, 0.25]] if n_hydrogen == 2 else [[0.5, 0.5, 0.5]]
    return Structure.from_spacegroup("Fm-3m", lattice, [metal, "H"], [[0, 0, 0], *places])
