"""What is measured of DING beside its requests: what comes back, how far the predictors err, what is drawn freely."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from matgen_core.materials.formulas import Formulas
from matgen_core.networks.arrays.formulas import CHUNK, LabelledFormulas
from matgen_core.networks.arrays.splits import TRAINING_GROUPS
from matgen_core.networks.learning.ding import differences, property_errors
from matgen_core.networks.learning.draws import draw
from matgen_core.networks.models.ding import CONDITIONS, DING
from matgen_core.networks.models.parts.formula_predictor import (
    PROPERTIES,
    TOLERANCE,
    FormulaPredictor,
    reference_energies,
)
from matgen_core.recipes.ding.requests import CHECKED, guidance_tried, requests, shared_noise, told_decoder

ENOUGH = 100  # kept formulas of a request that is counted in a mean


def measure(model: DING, known: Formulas, arrays: LabelledFormulas, n_samples: int, seed: int) -> dict[str, Any]:
    """Return every figure that can be computed from the checkpoint and the data.

    Args:
        model: All networks, in float32.
        known: Formulas that a new one must not be among; also those that do not fit the tables.
        arrays: The formulas that fit, in their groups.
        n_samples: Formulas drawn for each request.
        seed: Of the draws.
    """
    test = arrays.rows_of("test")
    return {
        "reconstruction": reconstruction(model, arrays, test),
        "predictor": property_errors(model.predictor, arrays, test),
        "judge": property_errors(model.judge, arrays, test),
        "judge_within_tolerance": within_tolerance(model.judge, arrays, test),
        "agreement": agreement(model, arrays, test),
        "energy_references": references(model.predictor, arrays),
        "n": {name: len(arrays.rows_of(name)) for name in ("guide", "judge", "validation", "test")},
        "n_labelled": {name: int((~arrays.values[:, i].isnan()).sum()) for i, name in enumerate(PROPERTIES)},
        "tolerance": TOLERANCE,
        "n_checked": CHECKED,
        "requests": requests(model, known, arrays, n_samples, seed),
        "free_draws": free_draws(model, arrays, n_samples, seed),
        "shared_noise": shared_noise(model, arrays, seed),
    }


def compared(requests: Sequence[Mapping[str, Any]], kept: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """Mean shares of hits over the requests of which every network kept enough: shares of a handful say nothing.

    Args:
        requests: Rows of `requests.requests`.
        kept: Rows of `requests.kept` by network, in the same order of requests.

    Returns:
        `least` formulas kept of each of the `n_requests` that are counted; for each network the mean share of hits
        among what it kept, and under `conditioned` that of all draws; None where no request is counted.
    """
    fewest = [min(row["n"] for row in rows) for rows in zip(*kept.values(), strict=True)]
    least = max(min(ENOUGH, max(fewest)), 1)
    places = [place for place, n in enumerate(fewest) if n >= least]
    ways = {"conditioned": [row for row in requests if row["drawn"] == "conditioned"], **kept}
    return {
        "least": least,
        "n_requests": len(places),
        **{
            name: float(np.mean([rows[place]["hits"]["all"] for place in places])) if places else None
            for name, rows in ways.items()
        },
    }


def reconstruction(model: DING, arrays: LabelledFormulas, rows: Tensor) -> dict[str, dict[str, float]]:
    """Shares of formulas that come back exactly, or off by units, at the posterior mean.

    Keys say what encoder and decoder are told, and of which formulas: "untold" all of them; "untold, all properties
    known" and "told" those whose three properties are known.
    """
    values = arrays.values[rows, :3]
    full = ~values.isnan().any(1)
    told = rows[full]
    found = {
        "untold": _off(differences(model, arrays, rows)),
        "untold, all properties known": _off(differences(model, arrays, told)),
        "told": _off(differences(model, arrays, told, values[full])),
    }
    n_elements = (arrays.counts(rows) > 0).sum(1)
    for n in n_elements.unique().tolist():
        found[f"untold, {n} elements"] = _off(differences(model, arrays, rows[n_elements == n]))
    return found


def _off(units: Tensor) -> dict[str, float]:
    return {
        "exact": float((units == 0).float().mean()),
        "off_by_1": float((units == 1).float().mean()),
        "off_by_2": float((units == 2).float().mean()),
        "within_2": float((units <= 2).float().mean()),
        "n": len(units),
    }


@torch.no_grad()
def within_tolerance(model: FormulaPredictor, arrays: LabelledFormulas, rows: Tensor) -> dict[str, float]:
    """Share of known formulas that a predictor puts as near to their true values as a hit must be.

    This bounds what a perfect generator could reach with this judge.
    """
    values = arrays.values[rows]
    mean = torch.cat([model.predict(arrays.counts(part))[0] for part in rows.split(CHUNK)])
    right = torch.stack([(mean[:, i] - values[:, i]).abs() <= TOLERANCE[name] for i, name in enumerate(CONDITIONS)], 1)
    full = ~values[:, :3].isnan().any(1)
    found = {name: float(right[:, i][~values[:, i].isnan()].float().mean()) for i, name in enumerate(CONDITIONS)}
    return found | {"all": float(right[full].all(1).float().mean())}


@torch.no_grad()
def agreement(model: DING, arrays: LabelledFormulas, rows: Tensor) -> dict[str, float]:
    """Mean absolute difference between predictor and judge on formulas, and how alike their errors are."""
    values = arrays.values[rows]
    first, second = (
        torch.cat([net.predict(arrays.counts(part))[0] for part in rows.split(CHUNK)])
        for net in (model.predictor, model.judge)
    )
    found = {}
    for i, name in enumerate(CONDITIONS):
        known = ~values[:, i].isnan()
        errors = torch.stack([net[known, i] - values[known, i] for net in (first, second)])
        found[name] = float((errors[0] - errors[1]).abs().mean())
        found[f"{name}_correlation_of_errors"] = float(torch.corrcoef(errors)[0, 1])
    return found


@torch.no_grad()
def references(model: FormulaPredictor, arrays: LabelledFormulas) -> dict[str, float]:
    """How exactly energy is formation energy plus that of the elements, over all rows that have both."""
    both = (~arrays.values[:, [0, 2]].isnan().any(1)).nonzero()[:, 0]
    mixture = torch.cat([reference_energies(arrays.counts(part), model.energies) for part in both.split(CHUNK)])
    error = (arrays.values[both, 2] - arrays.values[both, 0] - mixture).abs()
    return {
        "n": len(both),
        "within_1_meV": float((error <= 1e-3).float().mean()),
        "mae": float(error.mean()),
        "median": float(error.median()),
        "largest": float(error.max()),
    }


def free_draws(model: DING, arrays: LabelledFormulas, n_samples: int, seed: int) -> list[dict[str, Any]]:
    """Compare what is drawn when nothing is asked for with all training formulas.

    Returns:
        One row for each of "training formulas", as many of them drawn at random (what chance alone makes of the
        differences), the learned prior and the standard normal: see `mixture`.
    """
    rows = arrays.rows_of(*TRAINING_GROUPS)
    training = arrays.counts(rows)
    some = training[torch.randperm(len(rows), generator=Generator().manual_seed(seed))[:n_samples]]
    ways = {
        "training formulas": training,
        f"{n_samples:,} of them at random": some,
        "learned prior": draw(model, {}, n_samples, seed)[1],
        "standard normal": told_decoder(model, {}, n_samples, seed),
    }
    return [{"drawn": name, **mixture(counts, training)} for name, counts in ways.items()]


def prior_tried(model: DING, arrays: LabelledFormulas, n_samples: int, seed: int) -> dict[str, float]:
    """Figures by which a prior is chosen: mean share of hits as the predictor sees them, and how free draws are mixed.

    Args:
        model: All networks; the judge is not asked.
        arrays: The formulas that fit, in their groups.
        n_samples: Formulas drawn for each request; ten times as many are drawn freely.
        seed: Of the draws.
    """
    of_requests = guidance_tried(model, (model.config.guidance,), n_samples, seed)[0]
    training = arrays.counts(arrays.rows_of(*TRAINING_GROUPS))
    free = mixture(draw(model, {}, 10 * n_samples, seed)[1], training)
    return {
        "hits": of_requests["hits"],
        "unique": of_requests["unique"],
        "n_elements_off": free["n_elements_off"],
        "elements_off": free["elements_off"],
    }


def mixture(counts: Tensor, others: Tensor) -> dict[str, Any]:
    """Of which sizes and elements formulas are, and how far that is from others.

    Args:
        counts: Formulas, (B, n_elements); a row of 0 is no formula and is counted as one of 0 elements.
        others: Formulas to compare with, (C, n_elements).

    Returns:
        "n"; "n_elements", the share of all rows by number of elements; half the sum of the differences of these
        shares ("n_elements_off"), and of the shares that the elements have in all occurrences ("elements_off"): 0 if
        alike, 1 if nothing is common.
    """
    sizes, elements = _sizes(counts), _occurrences(counts)
    return {
        "n": len(counts),
        "n_elements": {str(n): share for n, share in enumerate(sizes.tolist()) if share},
        "n_elements_off": float((sizes - _sizes(others)).abs().sum() / 2),
        "elements_off": float((elements - _occurrences(others)).abs().sum() / 2),
    }


def _sizes(counts: Tensor) -> Tensor:
    """Share of formulas with each number of elements, (1 + n_elements,)."""
    n_elements = (counts > 0).sum(1)
    return torch.bincount(n_elements, minlength=1 + counts.shape[1]).double() / len(counts)


def _occurrences(counts: Tensor) -> Tensor:
    """Share of each element in all occurrences, (n_elements,)."""
    held = (counts > 0).sum(0).double()
    return held / held.sum()
