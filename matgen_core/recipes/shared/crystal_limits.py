"""Where a network for cubic crystals ends: lines between crystals it never saw, displaced atoms, other families."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pymatgen.core import Element, Structure

from matgen_core import checkpoint, data
from matgen_core.checks.sets import evaluate_reconstruction
from matgen_core.data import Dataset
from matgen_core.latent.space import Decoded, LatentSpace, fitting
from matgen_core.networks.arrays.crystals import CrystalArrays
from matgen_core.networks.arrays.splits import TRAIN
from matgen_core.networks.learning.voxels.points import Samples, line_ends, line_points
from matgen_core.recipes.shared.crystal_figures import predicted
from matgen_core.recipes.shared.crystal_measures import ENERGY, ENERGY_JUDGE
from matgen_core.recipes.shared.cubic import FIRST_CUBIC, family, structures

VOLUME_OFF = 0.25  # relative difference from which on a volume is counted as off
DISPLACEMENTS = (0.05, 0.1, 0.2)  # Å


class ElementVolumes:
    """The volume of a crystal as a sum over its atoms, one number an element, fitted to the training crystals."""

    def __init__(self, training: CrystalArrays) -> None:
        counts = _counts(training)
        n_sites = counts.sum(1, keepdims=True)
        volumes = training.edge.double().numpy() ** 3
        found = np.linalg.lstsq(counts / n_sites, volumes / n_sites[:, 0], rcond=None)[0]
        learned = counts.any(0)
        self._mean = float(found[learned].mean())  # of an element that no training crystal has
        self._volumes = {training.elements[i]: float(found[i]) for i in np.flatnonzero(learned)}

    def expected(self, structure: Structure) -> float:
        """Volume of the cell in Å^3."""
        return sum(self._volumes.get(site.specie.symbol, self._mean) for site in structure)

    def is_off(self, structure: Structure) -> bool:
        """Whether the volume differs from the expected one by more than VOLUME_OFF of it."""
        expected = self.expected(structure)
        return abs(structure.volume - expected) > VOLUME_OFF * expected


def lines(space: LatentSpace, arrays: CrystalArrays, n: Samples, seed: int) -> dict[str, Any]:
    """Look at what stands between crystals that the network never saw.

    Args:
        space: Of the network.
        arrays: All crystals, with their parts.
        n: How many lines of each kind, and how many points on each.
        seed: Of the choice of the ends; the same pairs as those of `walks`.

    Returns:
        For each kind of line what `between` says; `held_out`, for comparison, the share of the held-out crystals
        themselves whose volume is off.
    """
    test = arrays.of_part("test")
    known, volumes = structures(test), ElementVolumes(arrays.of_part(TRAIN))
    figures: dict[str, Any] = {
        "volume_off": VOLUME_OFF,
        "held_out": {"n": len(known), "volume_off": float(np.mean([volumes.is_off(each) for each in known]))},
    }
    for name, pairs in line_ends(test.family, n.walks, torch.Generator().manual_seed(seed)).items():
        rows = pairs.flatten().tolist()
        ends = [known[row] for row in rows]
        encoded = space.encode(ends)
        problem = next((each.problem for each in encoded if each.problem), None)
        if problem:
            raise ValueError(f"an end of a line cannot be encoded: {problem}")
        z = torch.from_numpy(fitting(encoded)[1])
        found = space.decode(line_points(z[0::2], z[1::2], n.steps).numpy())
        figures[name] = between(found, list(zip(ends[0::2], ends[1::2], strict=True)), n.steps, volumes)
    return figures


def between(
    found: Sequence[Decoded], ends: Sequence[tuple[Structure, Structure]], n_steps: int, volumes: ElementVolumes
) -> dict[str, Any]:
    """Judge the inner points of lines.

    Args:
        found: What the points of all lines decode to, one line after the other, without their ends.
        ends: Of each line.
        n_steps: Points of a line.
        volumes: What volumes to expect.

    Returns:
        Shares of all points, those that do not decode included: `foreign`, with an element that neither end has;
        `volume_off`; `plain`, decoded and neither. `energy` is the median formation energy in eV/atom that an
        independent network predicts for first ends, for the points at each step, and for last ends.
    """
    foreign, off, there = [], [], []
    for i, item in enumerate(found):
        allowed = {site.specie for end in ends[i // n_steps] for site in end}
        there.append(item.material is not None)
        foreign.append(there[-1] and any(site.specie not in allowed for site in item.material))
        off.append(there[-1] and volumes.is_off(item.material))
    return {
        "n_lines": len(ends),
        "n_points": len(found),
        "decoded": float(np.mean(there)),
        "foreign": float(np.mean(foreign)),
        "volume_off": float(np.mean(off)),
        "plain": float(np.mean(np.array(there) & ~np.array(foreign) & ~np.array(off))),
        "energy": _energies(found, ends, n_steps),
    }


def displaced(space: LatentSpace, test: Dataset, n_crystals: int, seed: int) -> dict[str, Any]:
    """Move every atom of held-out crystals by the same distance in random directions, and send them there and back.

    Args:
        space: Of the network.
        test: The held-out crystals in the cells that their publisher gives.
        n_crystals: How many of them.
        seed: Of the choice and of the directions.

    Returns:
        By the distance in Å: `n`, `encoded`, the share that the model takes, and `match_rate`, the share of all that
        come back as they were given.
    """
    rng = np.random.default_rng(seed)
    rows = test.table.iloc[rng.permutation(len(test))[:n_crystals]].to_dict("records")
    chosen = [data.structure(row) for row in rows]
    return {
        f"{distance:g}": _there_and_back(space, [_moved(each, distance, rng) for each in chosen])
        for distance in DISPLACEMENTS
    }


def other_families(space: LatentSpace, arrays: CrystalArrays, n_crystals: int, seed: int) -> dict[str, Any]:
    """Send cubic crystals of the Materials Project there and back that belong to none of the learned families.

    Returns:
        `n`, `encoded` and `match_rate` as `displaced` has them, of crystals whose elements the network knows.
    """
    table = data.load("mp_structures").table
    table = table[table["space_group_number"] >= FIRST_CUBIC]
    known = {Element(symbol).Z for symbol in arrays.elements}
    fits = [family(numbers) is None and known.issuperset(map(int, numbers)) for numbers in table["numbers"]]
    chosen = table[fits].sample(min(n_crystals, sum(fits)), random_state=seed).to_dict("records")
    return _there_and_back(space, [data.structure(row) for row in chosen])


def _there_and_back(space: LatentSpace, given: Sequence[Structure]) -> dict[str, Any]:
    if not given:
        return {"n": 0, "encoded": None, "match_rate": None}
    encoded = space.encode(given)
    taken = any(each.z is not None for each in encoded)
    decoded = iter(space.decode(fitting(encoded)[1]) if taken else [])
    back = [next(decoded) if each.z is not None else None for each in encoded]
    table = evaluate_reconstruction(given, back)
    return {
        "n": len(given),
        "encoded": float(np.mean([each.z is not None for each in encoded])),
        "match_rate": float(table["match"].mean()),
    }


def _moved(structure: Structure, distance: float, rng: np.random.Generator) -> Structure:
    steps = rng.standard_normal((len(structure), 3))
    steps *= distance / np.linalg.norm(steps, axis=1, keepdims=True)
    return Structure(structure.lattice, structure.species, structure.cart_coords + steps, coords_are_cartesian=True)


def _counts(arrays: CrystalArrays) -> NDArray[np.float64]:
    """How many atoms of each element a crystal has, (N, n_elements)."""
    species = arrays.species.numpy()
    counts = np.zeros((len(arrays), len(arrays.elements) + 1))
    np.add.at(counts, (np.arange(len(arrays))[:, None], species), 1)  # -1, no site, is counted in the last column
    return counts[:, :-1]


def _energies(
    found: Sequence[Decoded], ends: Sequence[tuple[Structure, Structure]], n_steps: int
) -> list[float | None] | None:
    """Medians along the lines, ends included; None without the judge."""
    if ENERGY_JUDGE not in checkpoint.names():
        return None
    judge, nowhere = checkpoint.load(ENERGY_JUDGE), np.zeros(1, np.float32)
    columns = [predicted([Decoded(nowhere, pair[0]) for pair in ends], judge, ENERGY)]
    columns += list(predicted(found, judge, ENERGY).reshape(-1, n_steps).T)
    columns.append(predicted([Decoded(nowhere, pair[1]) for pair in ends], judge, ENERGY))
    return [float(np.nanmedian(column)) if np.isfinite(column).any() else None for column in columns]
