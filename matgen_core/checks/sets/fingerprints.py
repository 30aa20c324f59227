"""Fingerprints of crystals, and how well a generated set covers a reference set.

A crystal is near another if both its structure fingerprint (mean over sites of the CrystalNN order parameters,
Zimmermann & Jain, RSC Adv. 10, 6063 (2020), doi:10.1039/C9RA07755C) and its composition fingerprint (132 Magpie
features, standardized) are. Coverage as in Xie et al., ICLR 2022, arXiv:2110.06197. Needs the extra
`descriptors` (matminer).
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pymatgen.core import Composition, Structure
from scipy.spatial.distance import cdist

from matgen_core.checks import as_material, lattice_problem
from matgen_core.checks.sets.parallel import Progress, parallel_map
from matgen_core.materials.elements import element_table
from matgen_core.representations import MagpieFeatures

N_STRUCTURE_FEATURES = 61
N_COMPOSITION_FEATURES = 132
_ROWS_AT_ONCE = 1000  # of a distance matrix; bounds the memory


@dataclass(frozen=True)
class CoverageCutoffs:
    """How near a crystal must be to count as covered."""

    structure: float
    composition: float


PEROV5_CUTOFFS = CoverageCutoffs(structure=0.2, composition=4.0)
MP20_CUTOFFS = CoverageCutoffs(structure=0.4, composition=10.0)


@dataclass(frozen=True, eq=False)
class Fingerprints:
    """Fingerprints of a list of samples, in order; a row of NaN where there is none."""

    structure: NDArray[np.float64]  # (n, 61)
    composition: NDArray[np.float64]  # (n, 132), standardized
    problems: tuple[str, ...]  # "" where there is a fingerprint

    def __len__(self) -> int:
        return len(self.problems)

    @property
    def known(self) -> NDArray[np.bool_]:
        """Mask of the samples that have a fingerprint."""
        return np.array([not problem for problem in self.problems], dtype=bool)

    def take(self, indices: NDArray[np.intp]) -> "Fingerprints":
        """Return those of some samples."""
        problems = tuple(self.problems[i] for i in indices)
        return Fingerprints(self.structure[indices], self.composition[indices], problems)


def fingerprints(samples: Sequence[Any], n_workers: int = 1, progress: Progress | None = None) -> Fingerprints:
    """Compute the fingerprints of samples; about 20 ms a site, so keep those of a reference set.

    Args:
        samples: Structures or failures, as `checks.as_material` takes them.
        n_workers: Processes to share the work.
        progress: Called with the number of samples done and of all samples.

    Raises:
        ModuleNotFoundError: If matminer is not installed.
    """
    import matminer  # noqa: F401 - asked for here, so that its absence is one line and not one for each sample

    results = parallel_map(_fingerprint, [as_material(sample) for sample in samples], n_workers, progress)
    structure = np.array([result[0] for result in results]).reshape(-1, N_STRUCTURE_FEATURES)
    composition = np.array([result[1] for result in results]).reshape(-1, N_COMPOSITION_FEATURES)
    return Fingerprints(structure, composition, tuple(result[2] for result in results))


def coverage(generated: Fingerprints, reference: Fingerprints, cutoffs: CoverageCutoffs) -> dict[str, float]:
    """Measure how much of the reference is generated and how much of what is generated is like the reference.

    The published definition takes the nearest structure and the nearest composition apart from each other,
    so they may belong to two different crystals (`cov_recall`, `cov_precision`); `joint_...` asks that one
    crystal is near in both. Samples without a fingerprint are in the denominators and are not covered.

    Returns:
        The four shares, the mean distances (`amsd_...` of structures, `amcd_...` of compositions) and counts.
    """
    if not generated.known.any() or not reference.known.any():
        raise ValueError("no fingerprint to compare: every sample of one of the two sets failed")
    kept, target = (item.take(np.flatnonzero(item.known)) for item in (generated, reference))
    recall = np.full((2, len(target)), np.inf)
    recall_joint = np.zeros(len(target), dtype=bool)
    precision = np.empty((2, len(kept)))
    precision_joint = np.empty(len(kept), dtype=bool)
    for start in range(0, len(kept), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        apart = np.stack(
            [cdist(kept.structure[rows], target.structure), cdist(kept.composition[rows], target.composition)]
        )
        near = (apart[0] <= cutoffs.structure) & (apart[1] <= cutoffs.composition)
        recall = np.minimum(recall, apart.min(axis=1))
        recall_joint |= near.any(axis=0)
        precision[:, rows] = apart.min(axis=2)
        precision_joint[rows] = near.any(axis=1)
    limits = np.array([[cutoffs.structure], [cutoffs.composition]])
    return {
        "cov_recall": float((recall <= limits).all(axis=0).sum() / len(reference)),
        "cov_precision": float((precision <= limits).all(axis=0).sum() / len(generated)),
        "joint_cov_recall": float(recall_joint.sum() / len(reference)),
        "joint_cov_precision": float(precision_joint.sum() / len(generated)),
        "amsd_recall": float(recall[0].mean()),
        "amcd_recall": float(recall[1].mean()),
        "amsd_precision": float(precision[0].mean()),
        "amcd_precision": float(precision[1].mean()),
        "n_generated": len(generated),
        "n_reference": len(reference),
    }


def _fingerprint(sample: tuple[Structure | Composition | None, str]) -> tuple[Any, Any, str]:
    structure, problem = sample
    none = np.full(N_STRUCTURE_FEATURES, np.nan), np.full(N_COMPOSITION_FEATURES, np.nan)
    if not isinstance(structure, Structure):
        return *none, problem or "a composition has no structure"
    problem = lattice_problem(structure)
    if problem:
        return *none, problem
    site, magpie, means, stds = _featurizers()
    with warnings.catch_warnings():
        # CrystalNN says at every site that it was given no oxidation states; this fingerprint uses none
        warnings.simplefilter("ignore")
        try:
            sites = [site.featurize(structure, i) for i in range(len(structure))]
            composition = (magpie.encode(structure.composition) - means) / stds
        except (ValueError, ArithmeticError, IndexError, KeyError, RuntimeError) as error:
            return *none, f"no fingerprint: {error}"
    return np.mean(sites, axis=0), composition, ""


@cache
def _featurizers() -> tuple[Any, MagpieFeatures, NDArray[np.float64], NDArray[np.float64]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from matminer.featurizers.site.fingerprint import CrystalNNFingerprint

        site, magpie = CrystalNNFingerprint.from_preset("ops"), MagpieFeatures.of_matminer(tuple(element_table()))
    scale = pd.read_csv(Path(__file__).parents[2] / "tables" / "magpie_scale.csv")
    if magpie.feature_names != scale["feature"].tolist():
        raise ValueError("the Magpie features are not those of tables/magpie_scale.csv, or stand in another order")
    return site, magpie, scale["mean"].to_numpy(), scale["std"].to_numpy()
