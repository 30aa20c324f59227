"""How good a set of generated crystals is: valid, unique, new, and distributed like the reference.

Uniqueness and novelty are shares of all samples, failed decodes included, and mean little without their number:
uniqueness falls as more is sampled. Protocol: Xie et al., ICLR 2022, arXiv:2110.06197.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pymatgen.core import Species, Structure
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from matgen_core.checks import as_material, lattice_problem
from matgen_core.checks.sets.fingerprints import CoverageCutoffs, Fingerprints, coverage, fingerprints
from matgen_core.checks.sets.parallel import Progress, parallel_map
from matgen_core.checks.sets.reconstruction import MATCH_ERRORS, matcher
from matgen_core.checks.sets.validity import validity

PropertyModel = Callable[[Sequence[Structure]], NDArray[np.float64]]  # structures -> eV/atom, one each


def uniqueness_and_novelty(
    samples: Sequence[Any],
    training: Sequence[Structure],
    n_workers: int = 1,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Mark the samples that differ from each other and from all training structures.

    Samples that match, directly or through others, are one group; so the number of groups does not depend on
    the order of the samples. Only structures of one reduced formula are compared.

    Args:
        samples: Structures or failures, as `checks.as_material` takes them.
        training: Structures that do not count as new.
        n_workers: Processes to share the work.
        progress: Called with the number of formulas done and of all formulas.

    Returns:
        One row for every sample: `group` (its number, -1 for a failure), and the masks `unique` (the first of
        its group) and `novel` (decoded, and matches no training structure).
    """
    structures = [_usable(sample) for sample in samples]
    by_formula: dict[Any, tuple[list[Structure], list[Structure]]] = defaultdict(lambda: ([], []))
    members: dict[Any, list[int]] = defaultdict(list)
    for i, structure in enumerate(structures):
        if structure is not None:
            by_formula[_reduced(structure)][0].append(structure)
            members[_reduced(structure)].append(i)
    for structure in training:
        if (key := _reduced(structure)) in by_formula:
            by_formula[key][1].append(structure)
    tasks = list(by_formula.values())
    group = np.full(len(structures), -1)
    novel = np.zeros(len(structures), dtype=bool)
    for indices, (labels, is_new) in zip(
        members.values(), parallel_map(_group_formula, tasks, n_workers, progress), strict=True
    ):
        group[indices] = group.max(initial=-1) + 1 + labels
        novel[indices] = is_new
    table = pd.DataFrame({"group": group, "novel": novel})
    return table.assign(unique=~table["group"].duplicated() & (table["group"] >= 0))[["group", "unique", "novel"]]


def novelty(samples: Sequence[Any], training: Sequence[Structure]) -> NDArray[np.bool_]:
    """Mark the samples that match no training structure, (N,), without telling them from each other.

    Args and meaning as in `uniqueness_and_novelty`; a failure is not new.
    """
    known: dict[Any, list[Structure]] = defaultdict(list)
    for structure in training:
        known[_reduced(structure)].append(structure)
    usable = [_usable(sample) for sample in samples]
    return np.array([each is not None and _is_new(each, known[_reduced(each)]) for each in usable], dtype=bool)


def property_distances(
    samples: Sequence[Any], reference: Sequence[Structure], property_model: PropertyModel | None = None
) -> dict[str, float]:
    """Return Wasserstein distances between the decoded samples and the reference.

    Args:
        samples: Structures or failures; failures have no density, so `n_samples` says how many had one.
        reference: For instance the test set.
        property_model: Energy in eV/atom of structures; without one there is no `energy_distance`.

    Returns:
        `density_distance` (g/cm^3), `n_elements_distance`, `energy_distance` (eV/atom), `n_samples`.
    """
    from scipy.stats import wasserstein_distance  # most of a second to import

    kept = [structure for structure in map(_usable, samples) if structure is not None]
    if not kept:
        raise ValueError(f"none of {len(samples)} samples is a structure: nothing to compare with the reference")
    distances = {
        "density_distance": wasserstein_distance(
            [float(item.density) for item in kept], [float(item.density) for item in reference]
        ),
        "n_elements_distance": wasserstein_distance(
            [len(item.composition) for item in kept], [len(item.composition) for item in reference]
        ),
    }
    if property_model is not None:
        distances["energy_distance"] = wasserstein_distance(property_model(kept), property_model(reference))
    return {name: float(value) for name, value in distances.items()} | {"n_samples": len(kept)}


def evaluate_generation(
    samples: Sequence[Any],
    reference: Sequence[Structure],
    training: Sequence[Structure],
    cutoffs: CoverageCutoffs,
    reference_fingerprints: Fingerprints | None = None,
    property_model: PropertyModel | None = None,
    n_property_samples: int = 1000,
    seed: int = 0,
    n_workers: int = 1,
    progress: Progress | None = None,
) -> dict[str, float]:
    """Measure a generated set by the published protocol, with uniqueness and novelty added.

    Args:
        samples: Everything that was sampled, failures included.
        reference: The test set.
        training: What does not count as new.
        cutoffs: For instance PEROV5_CUTOFFS.
        reference_fingerprints: Those of `reference`, to save the time for them.
        property_model: As for `property_distances`.
        n_property_samples: Valid samples that are drawn for the distances, as published; all if there are fewer.
        seed: Of that draw.
        n_workers: Processes to share the work.
        progress: Called with the steps done and of all steps, for each of the slow parts in turn.

    Returns:
        Rates over all samples, coverage, distances over valid samples (missing if none is valid), and counts.
    """
    table = validity(samples)
    kinds = uniqueness_and_novelty(samples, training, n_workers, progress)
    if reference_fingerprints is None:
        reference_fingerprints = fingerprints(reference, n_workers, progress)
    generated = fingerprints(samples, n_workers, progress)
    figures: dict[str, float] = {
        "n_samples": len(samples),
        "decode_rate": float(table["problem"].eq("").mean()),
        "structure_valid": float(table["structure_valid"].mean()),
        "composition_valid": float(table["composition_valid"].mean()),
        "valid": float(table["valid"].mean()),
        "volume_per_atom_median": float(table["volume_per_atom"].median()),
        "unique": float(kinds["unique"].mean()),
        "novel": float(kinds["novel"].mean()),
        "valid_unique_novel": float((table["valid"] & kinds["unique"] & kinds["novel"]).mean()),
    }
    if generated.known.any():
        figures |= coverage(generated, reference_fingerprints, cutoffs)
    else:
        figures |= {"cov_recall": 0.0, "cov_precision": 0.0}
    valid = np.flatnonzero(table["valid"])
    drawn = np.random.default_rng(seed).permutation(valid)[:n_property_samples]
    if len(drawn):
        distances = property_distances([samples[i] for i in drawn], reference, property_model)
        distances["n_property_samples"] = distances.pop("n_samples")
        figures |= distances
    return figures


def _usable(sample: Any) -> Structure | None:
    material, _ = as_material(sample)
    return material if isinstance(material, Structure) and not lattice_problem(material) else None


def _reduced(structure: Structure) -> tuple[tuple[str, int], ...]:
    symbols, counts = np.unique([site.species_string for site in structure], return_counts=True)
    return tuple(zip(symbols.tolist(), (counts // np.gcd.reduce(counts)).tolist(), strict=True))


def _group_formula(
    task: tuple[list[Structure], list[Structure]],
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    structures, known = task
    pairs = [(i, j) for i, j in combinations(range(len(structures)), 2) if same_structure(structures[i], structures[j])]
    rows, columns = np.array(pairs, dtype=int).reshape(-1, 2).T
    graph = coo_array((np.ones(len(pairs)), (rows, columns)), shape=(len(structures), len(structures)))
    labels = connected_components(graph, directed=False)[1]
    return labels, np.array([_is_new(structure, known) for structure in structures], dtype=bool)


def _is_new(structure: Structure, known: Sequence[Structure]) -> bool:
    return not any(same_structure(structure, other) for other in known)


def same_structure(one: Structure, other: Structure) -> bool:
    """Tell whether two structures are the same by the published tolerances, whatever their volumes.

    Oxidation states and spins are no part of a structure here: the matcher would take Fe3+ for another element than Fe.
    """
    # the matcher is not symmetric: a pair is always put to it in the same order, wherever it stands in the list
    first, second = sorted((_undecorated(one), _undecorated(other)), key=_order)
    try:
        return bool(matcher().fit(first, second))
    except MATCH_ERRORS:
        return False


def _undecorated(structure: Structure) -> Structure:
    if not any(isinstance(species, Species) for species in structure.elements):
        return structure
    plain = structure.copy(site_properties={})
    plain.remove_oxidation_states()
    return plain


def _order(structure: Structure) -> tuple[float | list[float], ...]:
    cell, coordinates = structure.lattice.matrix.ravel().tolist(), structure.frac_coords.ravel().tolist()
    return len(structure), structure.volume, cell, coordinates
