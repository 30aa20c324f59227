"""Figures of a model of crystals: what comes back, what lies between and around known crystals, what is new.

Everything here takes a function that decodes latent points, so it serves every model that decodes crystals. A
point that decodes to nothing counts as a failure in every rate.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure

from matgen_core.latent import Decoded
from matgen_core.representations.round_trip import closest_distance, site_error

Z = NDArray[np.float32]
Decode = Callable[[Z], Sequence[Decoded]]
TOO_CLOSE = 0.5  # Å; the structural validity of Xie et al. (2022) asks for no more than this distance


def is_valid(structure: Structure) -> bool:
    """Whether no two sites lie within 0.5 Å and the cell has at least 0.1 Å^3."""
    return closest_distance(structure) > TOO_CLOSE and structure.volume > 0.1


def reconstructions(
    originals: Sequence[Structure], decoded: Sequence[Decoded], families: Sequence[str]
) -> pd.DataFrame:
    """Hold decoded crystals against the originals in the same standard cell, one row each.

    Returns:
        Columns family, match, rmsd (in units of (volume / site)^(1/3)), site_error (largest, in fractions of an
        edge; missing where the composition is wrong), edge_error (relative, signed), composition_right, n_sites,
        closest_distance (Å, of the original), problem.
    """
    matcher = StructureMatcher(ltol=0.3, stol=0.5, angle_tol=10)
    rows: list[dict[str, Any]] = []
    for original, result, family in zip(originals, decoded, families, strict=True):
        row: dict[str, Any] = {
            "family": family,
            "n_sites": len(original),
            "closest_distance": closest_distance(original),
            "match": False,
            "composition_right": False,
            "problem": result.problem,
        }
        if result.material is not None:
            fit = matcher.get_rms_dist(original, result.material)  # type: ignore[no-untyped-call]
            row |= {
                "match": fit is not None,
                "rmsd": fit[0] if fit else None,
                "site_error": site_error(original, result.material),
                "edge_error": result.material.lattice.a / original.lattice.a - 1,
                "composition_right": original.composition == result.material.composition,
            }
        rows.append(row)
    columns = "family n_sites closest_distance match rmsd site_error edge_error composition_right problem".split()
    numbers = {"rmsd": float, "site_error": float, "edge_error": float}
    return pd.DataFrame(rows, columns=columns).astype(numbers)


def summarize_reconstructions(table: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Write reconstructions as figures, over all and by family; rates are over all rows."""
    groups = {"all": table} | {str(name): rows for name, rows in table.groupby("family")}
    return {
        name: {
            "n": len(rows),
            "match_rate": float(rows["match"].mean()),
            "rmsd": float(rows["rmsd"].mean()),
            "composition_right": float(rows["composition_right"].mean()),
            "decode_failures": float(rows["problem"].notna().mean()),
            "median_site_error": float(rows["site_error"].median()),
            "median_edge_error": float(rows["edge_error"].abs().median()),
        }
        for name, rows in groups.items()
    }


def walk(
    decode: Decode, z: Z, families: NDArray[Any], n_pairs: int, n_steps: int, seed: int
) -> dict[str, dict[str, float]]:
    """Decode along straight lines between random pairs of one family and of two different families.

    Args:
        decode: Latent points to materials.
        z: Latent points of known crystals, (n, latent_dim).
        families: Family of each.
        n_pairs: Lines of each kind.
        n_steps: Points between the ends of a line; the ends do not count.
        seed: The same seed draws the same pairs.

    Returns:
        For "same_family" and "different_families": share of points that decode, share that decode to a valid
        crystal, share of lines that are valid all along, and the mean number of different formulas on a line.
    """
    rng = np.random.default_rng(seed)
    t = np.linspace(0, 1, n_steps + 2, dtype=np.float32)[1:-1, None]
    figures = {}
    for name, same in (("same_family", True), ("different_families", False)):
        lines: list[Z] = []
        while len(lines) < n_pairs:
            start, end = rng.integers(len(z), size=2)
            if start != end and (families[start] == families[end]) == same:
                lines.append((1 - t) * z[start] + t * z[end])
            elif not same and len(set(families.tolist())) < 2:
                break
        if not lines:
            continue
        found = decode(np.concatenate(lines))
        valid = np.array([item.material is not None and is_valid(item.material) for item in found])
        formulas = [item.material.composition.reduced_formula if item.material else None for item in found]
        figures[name] = {
            "n_lines": len(lines),
            "n_points": len(found),
            "decoded": float(np.mean([item.material is not None for item in found])),
            "valid": float(valid.mean()),
            "lines_valid_throughout": float(valid.reshape(len(lines), n_steps).all(1).mean()),
            "formulas_per_line": float(
                np.mean([len({*formulas[i : i + n_steps]} - {None}) for i in range(0, len(found), n_steps)])
            ),
        }
    return figures


def generated(found: Sequence[Decoded], known: Sequence[Structure]) -> dict[str, float]:
    """Judge generated crystals: valid, unique among the valid, and new to `known`, each over all points.

    Two crystals are one if the structure matcher says so; only crystals of the same formula are compared.
    """
    matcher = StructureMatcher(ltol=0.3, stol=0.5, angle_tol=10)
    places: dict[str, list[Structure]] = {}
    for structure in known:
        places.setdefault(structure.composition.reduced_formula, []).append(structure)
    first_seen: dict[str, list[Structure]] = {}
    n_valid = n_unique = n_novel = 0
    for item in found:
        if item.material is None or not is_valid(item.material):
            continue
        n_valid += 1
        formula = item.material.composition.reduced_formula
        seen = first_seen.setdefault(formula, [])
        if any(matcher.fit(item.material, other) for other in seen):
            continue
        seen.append(item.material)
        n_unique += 1
        n_novel += not any(matcher.fit(item.material, other) for other in places.get(formula, []))
    return {
        "n": len(found),
        "decoded": sum(item.material is not None for item in found) / len(found),
        "valid": n_valid / len(found),
        "valid_unique": n_unique / len(found),
        "valid_unique_novel": n_novel / len(found),
    }


def around(z: Z, n_samples: int, variance: float, seed: int) -> Z:
    """Draw points round each of some latent points, (len(z) * n_samples, latent_dim); the paper's variance is 0.5."""
    noise = np.random.default_rng(seed).standard_normal((len(z), n_samples, z.shape[1]), np.float32)
    return (z[:, None] + np.float32(np.sqrt(variance)) * noise).reshape(-1, z.shape[1])


def obedience(asked: NDArray[np.float64], found: NDArray[np.float64], edges: Sequence[float]) -> dict[str, float]:
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
    return {
        "n": len(asked),
        "in_class": float((classes == asked).mean()),
        "in_class_or_beside": float((np.abs(classes - asked) <= 1).mean()),
        "rank_correlation": float(ranks["asked"].corr(ranks["found"])) if known.sum() > 2 else float("nan"),
    }
