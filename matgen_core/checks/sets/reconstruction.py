"""How well crystals come back from a model: match, deviation, lattice, species, over all inputs.

The published protocol (Xie et al., ICLR 2022, arXiv:2110.06197) matches with pymatgen's StructureMatcher and
averages the root-mean-square deviation over the pairs that match; its code counts a decoded crystal that
fails either validity test as no match. Both rates are given here.
"""

from collections import Counter
from collections.abc import Sequence
from functools import cache, partial
from typing import Any

import numpy as np
import pandas as pd
from pymatgen.core import Structure
from scipy.optimize import linear_sum_assignment

from matgen_core.checks import as_material, formula_of, lattice_problem, volume_per_atom
from matgen_core.checks.sets.parallel import Progress, parallel_map
from matgen_core.checks.sets.validity import composition_validity, structure_validity

LENGTH_TOLERANCE = 0.3  # relative
SITE_TOLERANCE = 0.5  # of (V/N)^(1/3)
ANGLE_TOLERANCE = 10.0  # degrees

# what a matcher may raise on a cell that is no crystal; anything else is a bug and stays loud
MATCH_ERRORS = (ValueError, ArithmeticError, IndexError, RuntimeError)

_COLUMNS = {
    "formula": object,
    "decoded_formula": object,
    "decoded": bool,
    "match": bool,
    "rmsd": float,
    "site_error": float,
    "max_site_error": float,
    "length_error": float,
    "angle_error": float,
    "volume_error": float,
    "species_accuracy": float,
    "structure_valid": bool,
    "composition_valid": bool,
    "reason": object,
}


def evaluate_reconstruction(
    originals: Sequence[Structure],
    decoded: Sequence[Any],
    n_workers: int = 1,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Compare every original with what the model made of it.

    Args:
        originals: Ordered structures.
        decoded: One sample each, in order: a structure, or what `checks.as_material` takes for a failure.
        n_workers: Processes to share the work.
        progress: Called with the number of pairs done and of all pairs.

    Returns:
        One row for every original: `formula`, `decoded_formula`, `decoded`, `match`; `rmsd`, in units of
        (V/N)^(1/3) as published, `site_error` (the same in Å of the original's cell) and `max_site_error` (Å),
        missing without a match; `length_error` (mean of three, Å), `angle_error` (degrees), `volume_error`
        (relative, signed), missing without a cell; `species_accuracy` (share of sites found again with their
        species, 0 for a failure); `structure_valid`, `composition_valid`; `reason` why there is no match.

    Raises:
        ValueError: If the two sequences differ in length.
    """
    if len(originals) != len(decoded):
        raise ValueError(
            f"{len(originals)} originals but {len(decoded)} decoded samples: give one for each, None for a failure"
        )
    pairs = list(zip(originals, map(as_material, decoded), strict=True))
    rows = parallel_map(_compare, pairs, n_workers, progress)
    return pd.DataFrame(rows, columns=list(_COLUMNS)).astype(_COLUMNS)


def summarize(table: pd.DataFrame) -> dict[str, float]:
    """Return the figures of a reconstruction table; every rate has all rows in its denominator.

    `match_rate` is the matcher's alone; `valid_match_rate` also asks for both validity tests, as the code of
    CDVAE does. Deviations are means over what they exist for: `rmsd` and `site_error` over the matched rows,
    lattice errors over the decoded rows; the counts say how many.
    """
    matched = table[table["match"]]
    decoded = table[table["decoded"]]
    valid = table["structure_valid"] & table["composition_valid"]
    return {
        "n_samples": len(table),
        "n_decoded": len(decoded),
        "n_matched": len(matched),
        "decode_rate": float(table["decoded"].mean()),
        "match_rate": float(table["match"].mean()),
        "valid_match_rate": float((table["match"] & valid).mean()),
        "rmsd": float(matched["rmsd"].mean()),
        "site_error": float(matched["site_error"].mean()),
        "length_error": float(decoded["length_error"].mean()),
        "length_error_median": float(decoded["length_error"].median()),
        "angle_error": float(decoded["angle_error"].mean()),
        "volume_error_abs": float(decoded["volume_error"].abs().mean()),
        "species_accuracy": float(table["species_accuracy"].mean()),
        "structure_valid": float(table["structure_valid"].mean()),
        "composition_valid": float(table["composition_valid"].mean()),
    }


@cache
def matcher() -> Any:
    """Return pymatgen's StructureMatcher with the published tolerances."""
    from pymatgen.analysis.structure_matcher import StructureMatcher

    return StructureMatcher(ltol=LENGTH_TOLERANCE, stol=SITE_TOLERANCE, angle_tol=ANGLE_TOLERANCE)


def _compare(pair: tuple[Structure, tuple[Any, str]]) -> dict[str, Any]:
    original, (decoded, problem) = pair
    row: dict[str, Any] = {
        "formula": formula_of(original.composition),
        "decoded_formula": "",
        "decoded": False,
        "match": False,
        "species_accuracy": 0.0,
        "structure_valid": False,
        "composition_valid": False,
        "reason": "",
    }
    if not isinstance(decoded, Structure):
        return row | {"reason": f"not decoded: {problem or 'a composition without sites'}"}
    row |= {
        "decoded": True,
        "decoded_formula": formula_of(decoded.composition),
        "structure_valid": structure_validity(decoded),
        "composition_valid": composition_validity(decoded),
    }
    problem = lattice_problem(decoded)
    if problem:
        return row | {"reason": f"no crystal: {problem}"}
    row |= _lattice_errors(original, decoded)
    try:
        found = matcher().get_rms_dist(decoded, original)
    except MATCH_ERRORS as error:
        return row | {"reason": f"the matcher failed: {error}", "species_accuracy": _sites_found(original, decoded)}
    if found is None:
        same = _counts(original) == _counts(decoded)
        reason = "same composition, other structure" if same else "other composition"
        return row | {"reason": reason, "species_accuracy": _sites_found(original, decoded)}
    rmsd, furthest = (float(value) for value in found)
    length = volume_per_atom(original) ** (1 / 3)
    return row | {
        "match": True,
        "rmsd": rmsd,
        "site_error": rmsd * length,
        "max_site_error": furthest * length,
        "species_accuracy": 1.0,
    }


def _counts(structure: Structure) -> dict[str, float]:
    """Return the counts of the reduced formula, without pymatgen's warnings on noble gases."""
    counts = Counter(site.species_string for site in structure)
    divisor = np.gcd.reduce(list(counts.values()))
    return {symbol: count // divisor for symbol, count in counts.items()}


def _lattice_errors(original: Structure, decoded: Structure) -> dict[str, float]:
    """Compare cells as they stand if they hold the same number of sites, else the reduced primitive ones."""
    cells = [original.lattice, decoded.lattice]
    if len(original) != len(decoded):
        try:
            cells = [item.get_primitive_structure().lattice for item in (original, decoded)]
            cells = [cell.get_niggli_reduced_lattice() for cell in cells]
        except MATCH_ERRORS:
            return {}
    before, after = (np.array(cell.parameters) for cell in cells)
    errors = np.abs(after - before)
    return {
        "length_error": float(errors[:3].mean()),
        "angle_error": float(errors[3:].mean()),
        "volume_error": volume_per_atom(decoded) / volume_per_atom(original) - 1,
    }


def _sites_found(original: Structure, decoded: Structure) -> float:
    """Return the share of sites that are found again with their species, in fractional coordinates.

    The decoded sites are laid into the original's cell, as they are and with each of them on one site of the
    original's rarest species; the best of these counts. A site is found within the matcher's tolerance. Sites
    too many count as sites not found.
    """
    radius = SITE_TOLERANCE * volume_per_atom(original) ** (1 / 3)
    species = [np.array([site.species_string for site in item]) for item in (original, decoded)]
    rarest = min(Counter(species[0].tolist()).items(), key=lambda item: item[1])[0]
    anchor = original.frac_coords[int(np.argmax(species[0] == rarest))]
    shifts = [np.zeros(3), *(anchor - decoded.frac_coords)]
    agrees = partial(_n_agreeing, original, decoded.frac_coords, species[0][:, None] == species[1], radius)
    return max(map(agrees, shifts)) / max(len(original), len(decoded))


def _n_agreeing(original: Structure, frac_coords: Any, same_species: Any, radius: float, shift: Any) -> int:
    distances = original.lattice.get_all_distances(original.frac_coords, frac_coords + shift)
    agrees = (distances <= radius) & same_species
    rows, columns = linear_sum_assignment(agrees, maximize=True)
    return int(agrees[rows, columns].sum())
