"""Figures of a property network: errors in the units of the data, and whether its uncertainty can be believed."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, spearmanr

from matgen_core.networks.models.cgcnn import CGCNN, Prediction, in_units
from matgen_core.recipes.shared.card import paper

# Mean absolute errors in eV/atom, eV, log10(GPa) of the moduli, and no unit.
PAPER: dict[str, float] = paper("cgcnn")["mae"]
LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


def property_metrics(model: CGCNN, values: NDArray[np.float32], prediction: Prediction) -> dict[str, Any]:
    """Judge predictions.

    Args:
        model: The network.
        values: (B, n_properties), logarithms where learned so; NaN where unknown.
        prediction: Of the network, for the same crystals.

    Returns:
        For each property: n, mae, rmse, r2 in the units of the data (mae_log10 and r2_log10 too where the logarithm is
        learned), mae_of_median (what predicting one number for all would give), mae_paper where there is one, the
        shares of values inside the intervals of one standard deviation and of 90 %, the calibration curve (nominal
        to observed share), the factor, the negative log-likelihood of the normal distribution with and without the
        calibration factor, and the rank correlation of standard deviation and error.
    """
    config = model.config
    natural = in_units(config, prediction)
    figures = {}
    for column, name in enumerate(config.properties):
        known = np.isfinite(values[:, column])
        wanted = values[known, column].astype(np.float64)
        mean = prediction.mean[:, column].numpy()[known].astype(np.float64)
        std = prediction.std[:, column].numpy()[known].astype(np.float64)
        log10 = name in config.log10
        in_unit = 10**wanted if log10 else wanted
        figures[name] = {
            "n": int(known.sum()),
            **_errors(in_unit, natural.mean[:, column].numpy()[known].astype(np.float64)),
            **({f"{key}_log10": value for key, value in _errors(wanted, mean).items()} if log10 else {}),
            "mae_of_median": float(np.abs(in_unit - np.median(in_unit)).mean()),
            **({"mae_log10_paper" if log10 else "mae_paper": PAPER[name]} if name in PAPER else {}),
            "calibration_factor": float(model.calibration[column]),
            **_calibration(wanted, mean, std),
            "nll_uncalibrated": _nll(wanted, mean, std / float(model.calibration[column])),
        }
    return figures


def non_metals(
    gaps: NDArray[np.float64], mean: NDArray[np.float64], std: NDArray[np.float64], factor: float
) -> dict[str, Any]:
    """Judge predicted band gaps where there is a gap: metals are most crystals, and easy.

    Args:
        gaps: (B,) in eV; 0 of a metal.
        mean: (B,) predictions.
        std: (B,) their standard deviations.
        factor: With which `std` was multiplied, fitted to metals and non-metals together.

    Returns:
        n, share_of_metals, mae of all, and of the non-metals n_non_metals, mae_non_metals, and the shares inside one
        standard deviation and inside the interval for nine in ten, with the factor and without.
    """
    gapped = gaps > 0
    ratios = np.abs(gaps - mean)[gapped] / std[gapped]
    return {
        "n": len(gaps),
        "n_non_metals": int(gapped.sum()),
        "share_of_metals": float(1 - gapped.mean()),
        "mae": float(np.abs(gaps - mean).mean()),
        "mae_non_metals": float(np.abs(gaps - mean)[gapped].mean()),
        "inside_1_sigma": float((ratios <= 1).mean()),
        "inside_90_percent": float((ratios <= norm.ppf(0.95)).mean()),
        "inside_1_sigma_without_factor": float((ratios * factor <= 1).mean()),
        "inside_90_percent_without_factor": float((ratios * factor <= norm.ppf(0.95)).mean()),
    }


def _errors(wanted: NDArray[np.float64], mean: NDArray[np.float64]) -> dict[str, float]:
    errors = mean - wanted
    return {
        "mae": float(np.abs(errors).mean()),
        "rmse": float(np.sqrt((errors**2).mean())),
        "r2": float(1 - (errors**2).sum() / ((wanted - wanted.mean()) ** 2).sum()),
    }


def _calibration(wanted: NDArray[np.float64], mean: NDArray[np.float64], std: NDArray[np.float64]) -> dict[str, Any]:
    ratios = np.abs(wanted - mean) / std
    return {
        "inside_1_sigma": float((ratios <= 1).mean()),
        "inside_90_percent": float((ratios <= norm.ppf(0.95)).mean()),
        "calibration_curve": {f"{level:g}": float((ratios <= norm.ppf(0.5 + level / 2)).mean()) for level in LEVELS},
        "nll": _nll(wanted, mean, std),
        "rank_correlation_of_std_and_error": float(spearmanr(std, np.abs(wanted - mean)).statistic),
    }


def _nll(wanted: NDArray[np.float64], mean: NDArray[np.float64], std: NDArray[np.float64]) -> float:
    return float((0.5 * ((wanted - mean) / std) ** 2 + np.log(std) + 0.5 * math.log(2 * math.pi)).mean())


def worst_cases(
    errors: NDArray[np.float64], has_element: NDArray[np.bool_], elements: tuple[str, ...]
) -> dict[str, Any]:
    """Say where the errors are large.

    Args:
        errors: (B,) absolute errors in the units of the data.
        has_element: (B, n_elements), whether the crystal holds the element.
        elements: Symbols of the columns.

    Returns:
        error_99_percent, which one crystal in a hundred exceeds, and worst_elements, the mean absolute error
        of the crystals with each of the five worst elements (of those in at least 10 crystals).
    """
    common = np.flatnonzero(has_element.sum(0) >= 10)
    by_element = {elements[column]: float(errors[has_element[:, column]].mean()) for column in common}
    worst = sorted(by_element, key=lambda element: -by_element[element])[:5]
    return {
        "error_99_percent": float(np.quantile(errors, 0.99)),
        "worst_elements": {element: by_element[element] for element in worst},
    }
