"""What is measured of iMatGen: what is rebuilt, what is found again, what is new, and what of it is near the hull."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from pymatgen.core import Structure

from matgen_core.checks.sets import evaluate_reconstruction, uniqueness_and_novelty, validity
from matgen_core.checks.sets.reconstruction import matcher
from matgen_core.latent.space import Decoded
from matgen_core.networks.arrays import basis
from matgen_core.networks.arrays.crystals import PairArrays
from matgen_core.networks.arrays.splits import TEST, THREE_PARTS, TRAIN, VAL
from matgen_core.networks.learning.voxels.imatgen import Images, came_back, posteriors, rebuilt, same_crystals
from matgen_core.networks.learning.voxels.voxel_vae import Crystals
from matgen_core.networks.models.voxels.imatgen import IMatGen
from matgen_core.networks.potentials.remote import RelaxedCells
from matgen_core.recipes.imatgen.data import HullOf, crystal_of
from matgen_core.representations import CellAndBasis
from matgen_core.tasks.exchange import like

SOURCES = ("mp2018", "mp2019")  # of energies that the hull of 2018 was made of
METASTABLE = 0.08  # eV/atom above the hull, as published


def decoded(points: Crystals, layout: CellAndBasis) -> list[Decoded]:
    """Return the crystals that a run read, or the reason why each is none."""
    sizes = points.counts.tolist()
    coords, species = points.frac_coords.split(sizes), points.species.long().split(sizes)
    found = []
    for z, lattice, where, kinds in zip(points.z, points.lattice, coords, species, strict=True):
        each = layout.from_sites(where.numpy(), kinds.numpy(), lattice.numpy())
        found.append(
            Decoded(z.numpy(), material=each) if isinstance(each, Structure) else Decoded(z.numpy(), problem=str(each))
        )
    return found


def rebuilding(arrays: PairArrays, found: Crystals, how: Images) -> tuple[dict[str, Any], NDArray[np.bool_]]:
    """Say which share comes back within the published tolerances, in each part and in all, and which crystals.

    Args:
        arrays: All parts.
        found: What their points decode to.
        how: The tolerances.
    """
    back = came_back(arrays, found, how).numpy()
    parts = arrays.part.numpy()

    def shares(rows: NDArray[np.bool_]) -> dict[str, Any]:
        if not rows.any():
            return {"n": 0, "share": float("nan"), "atoms": float("nan"), "cells": float("nan")}
        atoms, cells = back[rows].mean(0)
        return {
            "n": int(rows.sum()),
            "share": float(back[rows].all(1).mean()),
            "atoms": float(atoms),
            "cells": float(cells),
        }

    figures = {name: shares(parts == place) for place, name in enumerate(THREE_PARTS)}
    figures["all"] = shares(np.ones(len(arrays), bool))
    return figures, np.asarray(back.all(1))


def encoder_alone(model: IMatGen, arrays: PairArrays, how: Images) -> dict[str, float]:
    """Share of the crystals of each part but the training one that come back from where the encoder puts them."""
    figures = {}
    for part in (VAL, TEST):
        back = rebuilt(model, arrays.of_part(part), how, batch_size=16).all(1)
        figures[part] = _mean(back)
    return figures


def images_alone(arrays: PairArrays, layout: CellAndBasis, how: Images) -> dict[str, Any]:
    """Say which share comes back within the published tolerances from its own images, without a network."""
    n_elements, grid, width = len(layout.elements), layout.grid, layout.width / layout.box
    back = []
    for rows in torch.arange(len(arrays)).split(16):
        part = arrays.select(rows)
        places = basis.in_box(part.frac_coords, part.lattice, layout.box)
        images = basis.basis_images(places, part.species, n_elements, grid, width)
        cell = basis.cell_image(part.lattice, grid, layout.cell_width)
        lattice = basis.lattice_of_image(cell, layout.cell_width)
        found, species, _ = basis.read_basis(images, width, layout.max_sites + 1)
        back.append(same_crystals(part, basis.in_cell(found, lattice, layout.box), species, lattice, how).all(1))
    return {"n": len(arrays), "share": _mean(torch.cat(back))}


def classifying(model: IMatGen, arrays: PairArrays, how: Images, below: float) -> dict[str, Any]:
    """Say how often the classifier is right about crystals that it did not learn from."""
    rows = (arrays.part != THREE_PARTS.index(TRAIN)) & arrays.energy_above_hull.isfinite()
    held_out = arrays.select(rows)
    with torch.inference_mode():
        told = model.stable(posteriors(model, held_out, how, batch_size=16).mean) > 0
    truth = held_out.energy_above_hull <= below
    return {
        "n": len(held_out),
        "below": below,
        "stable": int(truth.sum()),
        "right": _mean(told == truth),
        "recall": _mean(told[truth]),
        "precision": _mean(truth[told]),
    }


def labels(arrays: PairArrays, known: pd.DataFrame) -> dict[str, Any]:
    """Hold the hull distances of known compounds against those of their publisher, of one source of energies alone.

    Args:
        arrays: All parts.
        known: Rows with material_id, formation_energy_source and energy_above_hull_2018.
    """
    strict = known[known["formation_energy_source"].isin(SOURCES)].set_index("material_id")["energy_above_hull_2018"]
    rows = [place for place, name in enumerate(arrays.ids) if name in strict.index]
    ours = arrays.energy_above_hull[rows].numpy()
    theirs = strict.loc[[arrays.ids[place] for place in rows]].to_numpy(float)
    both = np.isfinite(ours) & np.isfinite(theirs)
    agree = (ours[both] <= METASTABLE) == (theirs[both] <= METASTABLE)
    return {
        "n": int(both.sum()),
        "agree": float(agree.mean()) if both.any() else float("nan"),
        "median_difference": float(np.median(np.abs(ours - theirs)[both])) if both.any() else float("nan"),
    }


def matching(known: Sequence[Structure], found: Sequence[Decoded], n_workers: int) -> float:
    """Share of crystals that come back by the structure matcher."""
    return float(evaluate_reconstruction(known, found, n_workers)["match"].mean()) if len(known) else float("nan")


def rediscovery(known: Sequence[Structure], ways: Mapping[str, Sequence[Decoded]]) -> dict[str, Any]:
    """Count the known compounds that are among what was drawn without them, by the structure matcher."""
    figures: dict[str, Any] = {"n_known": len(known)}
    everywhere = set[int]()
    for name, samples in ways.items():
        hit = found_among(known, [each.material for each in samples if each.material is not None])
        figures[name] = {"n_samples": len(samples), "found": len(hit)}
        everywhere |= hit
    return figures | {"found": len(everywhere)}


def found_among(known: Sequence[Structure], crystals: Sequence[Structure]) -> set[int]:
    """Say which known compounds are among crystals, by the structure matcher."""
    same = matcher()
    by_formula: dict[str, list[Structure]] = {}
    for each in crystals:
        by_formula.setdefault(each.composition.reduced_formula, []).append(each)
    return {
        place
        for place, crystal in enumerate(known)
        if any(same.fit(crystal, each) for each in by_formula.get(crystal.composition.reduced_formula, ()))
    }


def drawing(
    samples: Sequence[Decoded], training: Sequence[Structure], formulas: set[str], n_compared: int, n_workers: int
) -> dict[str, Any]:
    """Judge what was drawn; all rates are over all samples, failures included.

    Args:
        samples: What was drawn.
        training: What does not count as new.
        formulas: Compositions that are not new.
        n_compared: Samples that are compared with one another and with `training`: `unique`, `novel` and
            `valid_unique_novel` are shares of the first so many. Two elements have few formulas and many crystals.
        n_workers: Processes.
    """
    checked = validity(samples)
    kinds = uniqueness_and_novelty(samples[:n_compared], training, n_workers)
    there = [each.material.composition.reduced_formula for each in samples if each.material is not None]
    reasons = Counter(_reason(each.problem) for each in samples if each.problem)
    valid = checked["structure_valid"].to_numpy()[: len(kinds)]
    return {
        "n_samples": len(samples),
        "decode_rate": len(there) / max(len(samples), 1),
        "structure_valid": float(checked["structure_valid"].mean()),
        "n_compared": len(kinds),
        "unique": float(kinds["unique"].mean()),
        "novel": float(kinds["novel"].mean()),
        "valid_unique_novel": float((valid & kinds["unique"].to_numpy() & kinds["novel"].to_numpy()).mean()),
        "compositions": len(set(there)),
        "new_compositions": len(set(there) - formulas),
        "failures": dict(reasons.most_common()),
    }


def after_relaxation(
    relaxed: RelaxedCells | None, rows: Mapping[str, Sequence[int]], formulas: set[str]
) -> dict[str, Any]:
    """Say which share of each set of relaxed crystals lies near the hull; a failed relaxation counts as far.

    Args:
        relaxed: All of them; None where nothing that was drawn decodes.
        rows: Which are of which set.
        formulas: Compositions that are not new.
    """
    hull = HullOf.installed()
    sites = relaxed.cells.sites() if relaxed else []
    figures: dict[str, Any] = {}
    for name, places in rows.items():
        distances, new = [], set[str]()
        for place in places:
            distance = float("inf")
            if relaxed and relaxed.second_energy[place].isfinite():
                crystal = crystal_of(*sites[place])
                distance = hull.of(crystal, relaxed.potentials[1], float(relaxed.second_energy[place]), "")[1]
                if distance <= METASTABLE and crystal.composition.reduced_formula not in formulas:
                    new.add(crystal.composition.reduced_formula)
            distances.append(distance)
        near = np.array(distances) <= METASTABLE
        finite = np.array(distances)[np.isfinite(distances)]
        figures[name] = {
            "n": len(places),
            "relaxed": int(np.isfinite(distances).sum()),
            "within": float(near.mean()) if len(near) else float("nan"),
            "median_distance": float(np.median(finite)) if len(finite) else float("nan"),
            "new_compositions_within": len(new),
        }
    return figures


def without_a_network(arrays: PairArrays, parents: Mapping[str, frozenset[str]]) -> dict[str, Any]:
    """Share near the hull of the crystals that were made by substitution, and of those whose parent had like elements.

    Args:
        arrays: All parts.
        parents: Elements of the known compound that each crystal was made of, by the crystal's id.
    """
    made = (arrays.part != THREE_PARTS.index(TEST)).numpy()
    near = (arrays.energy_above_hull <= METASTABLE).numpy()
    first, second = arrays.elements[:2]
    alike = np.array([_alike(parents.get(name, frozenset()), first, second) for name in arrays.ids])
    return {
        name: {"n": int(rows.sum()), "within": float(near[rows].mean()) if rows.any() else float("nan")}
        for name, rows in (("substituted", made), ("ion_exchange", made & alike))
    }


def memory(layout: CellAndBasis) -> dict[str, Any]:
    """Bytes of a crystal as images, as the numbers that they are drawn of, and as the published images."""
    numbers = layout.max_sites * (3 * 4 + 1) + 9 * 4
    published = 4 * (32**3 + len(layout.elements) * 64**3)
    return {"images": 4 * int(np.prod(layout.shape)), "numbers": numbers, "published": published}


def _alike(parent: frozenset[str], first: str, second: str) -> bool:
    pairs = [(a, b) for a in parent for b in parent if a != b]
    return any(a in {*like(first), first} and b in {*like(second), second} for a, b in pairs)


def _reason(problem: str) -> str:
    """A reason without the numbers of the case."""
    return " ".join(word for word in problem.split() if not any(letter.isdigit() for letter in word))


def _mean(values: torch.Tensor) -> float:
    return float(values.float().mean()) if len(values) else float("nan")
