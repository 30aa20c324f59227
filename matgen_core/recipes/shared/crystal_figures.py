"""What is said of decoded crystals: walks, obedience to a condition, generated sets.

Everything here takes what latent points decoded to, so it serves every model that decodes crystals. A point that
decodes to nothing counts as a failure in every rate.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pymatgen.core import Structure

from matgen_core.checkpoint import Checkpoint
from matgen_core.checks.sets import (
    CoverageCutoffs,
    coverage,
    fingerprints,
    property_distances,
    structure_validity,
    uniqueness_and_novelty,
    validity,
)
from matgen_core.latent.space import Decoded
from matgen_core.recipes.shared.card import paper
from matgen_core.tasks.prediction import predict

# Perov-5: name, match rate, RMSD.
PEERS = tuple((peer["name"], peer["match_rate"], peer["rmsd"]) for peer in paper()["perov5"]["peers"])


def walked(found: Sequence[Decoded], n_steps: int) -> dict[str, float]:
    """Judge what straight lines between known crystals decode to.

    Args:
        found: The points of all lines, one line after the other, without their ends.
        n_steps: Points of a line.

    Returns:
        Share of points that decode, share that decode to a valid crystal, share of lines that are valid all along,
        and the mean number of different formulas on a line.
    """
    valid = np.array([item.material is not None and structure_validity(item.material) for item in found])
    formulas = [item.material.composition.reduced_formula if item.material else None for item in found]
    return {
        "n_lines": len(found) // n_steps,
        "n_points": len(found),
        "decoded": float(np.mean([item.material is not None for item in found])),
        "valid": float(valid.mean()),
        "lines_valid_throughout": float(valid.reshape(-1, n_steps).all(1).mean()),
        "formulas_per_line": float(
            np.mean([len({*formulas[i : i + n_steps]} - {None}) for i in range(0, len(found), n_steps)])
        ),
    }


def obedience(asked: NDArray[Any], found: NDArray[np.float64], edges: Sequence[float]) -> dict[str, float]:
    """Compare the classes that were asked for with independently predicted values.

    Args:
        asked: Class of each sample.
        found: Predicted value of each sample, NaN where it did not decode; that counts as a miss.
        edges: Inner edges of the classes.

    Returns:
        Share of the samples in the class asked for, in it or beside it, and the rank correlation over those
        that decoded.
    """
    known = np.isfinite(found)
    classes = np.where(known, np.searchsorted(edges, found), -99)
    ranks = pd.DataFrame({"asked": asked[known], "found": found[known]}).rank()
    varied = known.sum() > 2 and ranks.nunique().min() > 1
    return {
        "n": len(asked),
        "in_class": float((classes == asked).mean()),
        "in_class_or_beside": float((np.abs(classes - asked) <= 1).mean()),
        "rank_correlation": float(ranks["asked"].corr(ranks["found"])) if varied else float("nan"),
    }


def predicted(found: Sequence[Decoded], judge: Checkpoint, name: str) -> NDArray[np.float64]:
    """Predict a property of decoded crystals; NaN where a point did not decode or the network refuses its crystal."""
    values = np.full(len(found), np.nan)
    there = [i for i, item in enumerate(found) if item.material is not None]
    values[there] = predict(judge, [found[i].material for i in there])[name]
    return values


def generated(
    samples: Sequence[Decoded],
    reference: Sequence[Structure],
    training: Sequence[Structure],
    n_workers: int = 1,
) -> dict[str, Any]:
    """Judge a generated set; all rates are over all samples, failures included.

    Args:
        samples: Everything that was drawn.
        reference: What the distances compare with.
        training: What does not count as new.
        n_workers: Processes to share the work.

    Returns:
        Rates, and distances of density and number of elements over the valid samples.
    """
    checked, kinds = validity(samples), uniqueness_and_novelty(samples, training, n_workers)
    figures: dict[str, Any] = {
        "n_samples": len(samples),
        "decode_rate": float(checked["problem"].eq("").mean()),
        "structure_valid": float(checked["structure_valid"].mean()),
        "composition_valid": float(checked["composition_valid"].mean()),
        "valid": float(checked["valid"].mean()),
        "unique": float(kinds["unique"].mean()),
        "novel": float(kinds["novel"].mean()),
        "valid_unique_novel": float((checked["valid"] & kinds["unique"] & kinds["novel"]).mean()),
    }
    valid = np.flatnonzero(checked["valid"])
    if len(valid):
        distances = property_distances([samples[i] for i in valid.tolist()], reference)
        figures |= distances | {"n_samples": len(samples), "n_property_samples": len(valid)}
    return figures


def covered(
    sets: Mapping[str, Sequence[Decoded]],
    reference: Sequence[Structure],
    cutoffs: CoverageCutoffs,
    n_workers: int = 1,
) -> dict[str, Any]:
    """Measure how well generated sets cover a reference and are covered by it; about 20 ms a site.

    Returns:
        The coverage of each set, or one line that says why there is none.
    """
    try:
        target = fingerprints(reference, n_workers)
    except ModuleNotFoundError as error:
        line = f"not measured: {error.name} is missing; install the extra `descriptors`"
        return dict.fromkeys(sets, line)
    figures: dict[str, Any] = {}
    for name, samples in sets.items():
        made = fingerprints(samples, n_workers)
        figures[name] = (
            coverage(made, target, cutoffs)
            if made.known.any()
            else {"cov_recall": 0.0, "cov_precision": 0.0, "n_generated": len(made), "n_reference": len(target)}
        )
    return figures
