"""What is measured of CrystalGAN: good ternaries by the paper's criterion, by physics, and what is found again."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pymatgen.core import Structure

from matgen_core.checkpoint import Checkpoint
from matgen_core.checks.physics.energies import Energy, FormationEnergies
from matgen_core.checks.sets.reconstruction import matcher
from matgen_core.networks.arrays.cells import Cells
from matgen_core.networks.arrays.hydrides import BINARY, TERNARY, HydrideArrays
from matgen_core.networks.arrays.splits import TRAIN
from matgen_core.networks.learning.crystalgan import CONSTRAINED
from matgen_core.networks.potentials.remote import RelaxedCells
from matgen_core.recipes.crystalgan.hydrides import MAX_HYDROGEN, MAX_METALS, MAX_SITES, NEAR_HULL, PAIRS, Known
from matgen_core.representations import DecodeError, PointCloud
from matgen_core.tasks.exchange import exchanged
from matgen_core.tasks.translation import translate
from matgen_core.tasks.translation.frameworks import frameworks
from matgen_core.tasks.translation.translating import CHECKS, LEAST_METAL_DISTANCE, nearest_metals

TRIES = 70  # of each way, 35 from either side: as many crystals as the published networks learn from and make
COMBINATIONS = 35  # pairs of known binaries that the tries start from
MORE_TRIES = 70  # where known compounds are looked for
FARTHEST = 3.0  # Å, the paper's upper limit for the next metal atom
LIMITS = {"within_01": 0.1, "within_02": 0.2}  # eV/atom above the hull
Made = list[Structure | None]


@dataclass(frozen=True, eq=False)
class Rows:
    """What each way makes of each pair of metals.

    Attributes:
        made: By pair and way, `TRIES` crystals; None for what is no crystal.
    """

    made: dict[str, dict[str, Made]]

    def cells(self) -> tuple[Cells, dict[tuple[str, str, int], int]]:
        """All sound crystals end to end, and the place of each by pair, way and try."""
        sites: list[Any] = []
        places: dict[tuple[str, str, int], int] = {}
        for pair, ways in self.made.items():
            for way, crystals in ways.items():
                for number, each in enumerate(crystals):
                    if each is not None and is_sound(each):
                        places[pair, way, number] = len(sites)
                        sites.append(([s.specie.Z for s in each], each.lattice.matrix, each.frac_coords))
        return Cells.of(sites), places


def rows(checkpoint: Checkpoint, known: Known, arrays: HydrideArrays, published: Mapping[str, Any], seed: int) -> Rows:
    """Make `TRIES` crystals of each of the paper's pairs by every way.

    Args:
        checkpoint: The network.
        known: All known hydrides that fit.
        arrays: What it learned from.
        published: Points that the published networks made, by pair and version.
        seed: Of everything.
    """
    found: dict[str, dict[str, Made]] = {}
    for pair, metals in PAIRS.items():
        found[pair] = {
            "translated": translated(checkpoint, known, metals, TRIES, seed),
            **{
                f"published_{name}": decoded(published[f"{'-'.join(metals)} {name}"], metals, checkpoint)
                for name in CONSTRAINED
            },
            "prototypes": prototypes(known, arrays, metals, TRIES, seed),
            "half_replaced": half_replaced(known, arrays, metals, TRIES, seed),
        }
    return Rows(found)


def translated(checkpoint: Checkpoint, known: Known, metals: tuple[str, str], n: int, seed: int) -> Made:
    """Translate pairs of known binaries, drawn with the seed; `n` tries in all."""
    rng = np.random.default_rng(seed)
    found: Made = []
    sides = [usable(known, metal) for metal in metals]
    parts = min(COMBINATIONS, n)
    for number in range(parts):
        first, second = (side[int(rng.integers(len(side)))] for side in sides)
        size = n // parts + (number < n % parts)
        found += [each.structure for each in translate(checkpoint, first, second, size, seed + number).tries]
    return found


def decoded(points: torch.Tensor, metals: tuple[str, str], checkpoint: Checkpoint) -> Made:
    """Read the points of the published networks."""
    layout = PointCloud((*metals, "H"), checkpoint.model.config.slots)  # type: ignore[union-attr, arg-type]
    found: Made = []
    for each in points:
        try:
            found.append(layout.decode(each.numpy()))
        except DecodeError:
            found.append(None)
    return found


def prototypes(known: Known, arrays: HydrideArrays, metals: tuple[str, str], n: int, seed: int) -> Made:
    """Put two metals into known ternary hydrides that were learned from, with volumes of the atoms; drawn at random."""
    rng = np.random.default_rng(seed)
    volumes = volumes_of(arrays)
    names = [arrays.ids[row] for row in arrays.rows(TERNARY, TRAIN).tolist()]
    place = {name: row for row, name in enumerate(known.ids)}
    found: Made = []
    for _ in range(n):
        row = place[names[int(rng.integers(len(names)))]]
        own = known.systems[row]
        order = metals if rng.random() < 0.5 else metals[::-1]
        found.append(exchanged(known.structures[row], dict(zip(own, order, strict=True)), volumes))
    return found


def half_replaced(known: Known, arrays: HydrideArrays, metals: tuple[str, str], n: int, seed: int) -> Made:
    """Give half of the metal sites of supercells of known binaries to the other metal, at random."""
    rng = np.random.default_rng(seed)
    volumes = volumes_of(arrays)
    cells = [
        [cell for each in usable(known, metal) for cell in frameworks(each, MAX_METALS, MAX_HYDROGEN, MAX_SITES)]
        for metal in metals
    ]
    found: Made = []
    for _ in range(n):
        side = int(rng.integers(2))
        cell = cells[side][int(rng.integers(len(cells[side])))]
        places = [i for i, site in enumerate(cell) if site.specie.symbol != "H"]
        changed = rng.permutation(places)[: max(len(places) // 2, 1)]
        made = cell.copy()
        for i in changed:
            made.replace(int(i), metals[1 - side])
        before, after = (sum(volumes[site.specie.symbol] for site in each) for each in (cell, made))
        made.scale_lattice(cell.volume * after / before)
        found.append(made)
    return found


def usable(known: Known, metal: str) -> list[Structure]:
    """Known binary hydrides of a metal that were learned from and that a translation can start from."""
    found = []
    for row in known.of(metal):
        if known.energies[row] >= NEAR_HULL:
            continue
        counts = known.structures[row].composition.get_el_amt_dict()
        if counts[metal] <= MAX_METALS and frameworks(known.structures[row], MAX_METALS, MAX_HYDROGEN, MAX_SITES):
            found.append(known.structures[row])
    return found


def n_substituted(arrays: HydrideArrays) -> dict[str, int]:
    """Count the ternary crystals that known ones and exchanges for like metals make, and the least for one metal."""
    own, alike = arrays.own_metals(), arrays.alike
    rows_ = arrays.rows(TERNARY, TRAIN)
    n_like = 1 + alike.sum(1)
    binary = arrays.rows(BINARY, TRAIN)
    return {
        "ternary": int((n_like[own[rows_, 0]] * n_like[own[rows_, 1]]).sum()),
        "binary_of_any_metal": len(binary) * len(arrays.metals),
        "for_each_metal": len(binary),
    }


def volumes_of(arrays: HydrideArrays) -> dict[str, float]:
    """Volume of an atom of each element in Å^3."""
    return dict(zip(("H", *arrays.metals), arrays.volumes.tolist(), strict=True))


def judged(
    made: Rows, places: Mapping[tuple[str, str, int], int], relaxed: RelaxedCells, known: Known
) -> dict[str, dict[str, dict[str, Any]]]:
    """Count by pair and way: all tries are in every denominator.

    Args:
        made: The crystals.
        places: Of each among those that were relaxed.
        relaxed: What became of them.
        known: For what is new.
    """
    from matgen_core import checkpoint as checkpoints

    energies = FormationEnergies(checkpoints.load("formation_references"))
    sites = relaxed.cells.sites()
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for pair, ways in made.made.items():
        there = [known.structures[row] for row in known.of(*PAIRS[pair])]
        found[pair] = {}
        for way, crystals in ways.items():
            distances = np.full(len(crystals), np.inf)
            after: Made = [None] * len(crystals)
            released = []
            for number in range(len(crystals)):
                place = places.get((pair, way, number))
                if place is None or not relaxed.energy[place].isfinite():
                    continue
                numbers, cell, frac_coords = sites[place]
                end = Structure(cell, numbers.tolist(), frac_coords)
                told = energies.stability(end, *_opinions(relaxed, place))
                after[number] = end
                released.append(float(relaxed.start_energy[place] - relaxed.energy[place]))
                if told.distance is not None:
                    distances[number] = told.distance
            found[pair][way] = {
                **counted(crystals),
                "relaxed": sum(each is not None for each in after),
                "released": float(np.median(released)) if released else float("nan"),
                "median_distance": float(np.median(distances[np.isfinite(distances)]))
                if np.isfinite(distances).any()
                else float("nan"),
                **{name: int((distances <= limit).sum()) for name, limit in LIMITS.items()},
                "different_within_01": different([s for s, d in zip(after, distances, strict=True) if d <= 0.1]),
                "known": len(there),
                "found": found_among(there, crystals),
                "found_relaxed": found_among(there, after),
            }
    return found


def _opinions(relaxed: RelaxedCells, place: int) -> tuple[Energy, Energy | None]:
    """What the better potential says, and what the one that relaxed says beside it; else the latter alone."""
    first = Energy(relaxed.potentials[0], float(relaxed.energy[place]))
    second = float(relaxed.second_energy[place])
    return (Energy(relaxed.potentials[1], second), first) if np.isfinite(second) else (first, None)


def counted(crystals: Sequence[Structure | None]) -> dict[str, Any]:
    """Count the good ones by the paper's criterion and by ours, and the different ones among each."""
    by_paper, by_both, by_all = [], [], []
    for each in crystals:
        if each is None or not is_ternary(each):
            continue
        nearest = nearest_metals(each)
        if nearest.min() >= LEAST_METAL_DISTANCE:
            by_paper.append(each)
            if nearest.max() <= FARTHEST:
                by_both.append(each)
        if is_sound(each):
            by_all.append(each)
    return {
        "n": len(crystals),
        "good": len(by_paper),
        "good_within_3": len(by_both),
        "sound": len(by_all),
        "different_sound": different(by_all),
    }


def is_sound(crystal: Structure) -> bool:
    """Whether all atoms are apart and the volume of an atom is usual; what is not is not relaxed."""
    return all(check(crystal).passed for check in CHECKS)


def is_ternary(crystal: Structure) -> bool:
    """Whether a crystal holds two metals and hydrogen."""
    return len(crystal.composition) == 3


def different(crystals: Sequence[Structure | None]) -> int:
    """Count crystals that no other before is like."""
    same, kept = matcher(), dict[str, list[Structure]]()
    for each in crystals:
        if each is None:
            continue
        others = kept.setdefault(each.composition.reduced_formula, [])
        if not any(same.fit(each, other) for other in others):
            others.append(each)
    return sum(map(len, kept.values()))


def found_among(known: Sequence[Structure], made: Sequence[Structure | None]) -> int:
    """Count the known crystals that are among what was made, by the structure matcher."""
    same = matcher()
    by_formula: dict[str, list[Structure]] = {}
    for each in made:
        if each is not None:
            by_formula.setdefault(each.composition.reduced_formula, []).append(each)
    return sum(
        any(same.fit(crystal, each) for each in by_formula.get(crystal.composition.reduced_formula, ()))
        for crystal in known
    )


def rediscovery(checkpoint: Checkpoint, known: Known, arrays: HydrideArrays, seed: int) -> dict[str, Any]:
    """Count the known ternaries of every held-out pair that are among `MORE_TRIES` of each way, not relaxed."""
    systems = sorted({system for system, held in zip(known.systems, known.held_out, strict=True) if held})
    ways: Mapping[str, Callable[..., Made]] = {
        "translated": lambda metals: translated(checkpoint, known, metals, MORE_TRIES, seed),
        "prototypes": lambda metals: prototypes(known, arrays, metals, MORE_TRIES, seed),
        "half_replaced": lambda metals: half_replaced(known, arrays, metals, MORE_TRIES, seed),
    }
    found: dict[str, Any] = {"tries": MORE_TRIES, "systems": {}}
    for system in systems:
        there = [known.structures[row] for row in known.of(*system)]
        if not (there and all(metal in arrays.metals and usable(known, metal) for metal in system)):
            continue
        found["systems"]["-".join(system)] = {
            "known": len(there),
            **{way: found_among(there, make(system)) for way, make in ways.items()},
        }
    for key in ("known", *ways):
        found[key] = sum(each[key] for each in found["systems"].values())
    return found


def criterion_on_known(known: Known) -> dict[str, Any]:
    """Say which share of the known ternary hydrides, and of Mg-Ti-H, passes the paper's two limits."""
    rows_ = [row for row, system in enumerate(known.systems) if len(system) == 2]

    def shares(chosen: Sequence[int]) -> dict[str, Any]:
        nearest = [nearest_metals(known.structures[row]) for row in chosen]
        return {
            "n": len(chosen),
            "not_too_near": float(np.mean([each.min() >= LEAST_METAL_DISTANCE for each in nearest])),
            "not_too_far": float(np.mean([each.max() <= FARTHEST for each in nearest])),
        }

    return {"all": shares(rows_), "Mg-Ti-H": shares(known.of("Mg", "Ti"))}


def criticized(realness: NDArray[np.float64], distances: NDArray[np.float64]) -> float:
    """Rank correlation of the critic's verdict with the distance from the hull; -1 where they agree fully."""
    from scipy.stats import spearmanr

    both = np.isfinite(distances)
    return float(spearmanr(realness[both], distances[both]).statistic) if both.sum() > 2 else float("nan")
