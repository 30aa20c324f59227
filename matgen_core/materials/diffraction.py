"""Powder diffraction: the pattern of a structure, and a measured one laid over it.

Intensities are kinematic (structure factor, Lorentz and polarization factors, no absorption, no texture): they say
where reflections fall and which are strong, not what a refinement would.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pymatgen.core import Structure

RADIATIONS = ("CuKa", "CuKa1", "MoKa", "CoKa", "CrKa", "FeKa", "AgKa")
MAX_REFLECTIONS = 100_000  # lattice points within reach; of a cell with 1,000 sites they take about 4 s


@dataclass(frozen=True)
class Measured:
    """A measured pattern: angles 2 theta in degrees, ascending, and counts or intensities of any unit."""

    two_theta: NDArray[np.float64]
    intensity: NDArray[np.float64]


def reflections(
    structure: Structure, radiation: str = "CuKa", two_theta: tuple[float, float] = (5.0, 90.0)
) -> pd.DataFrame:
    """List the reflections of a structure.

    Args:
        structure: Any structure.
        radiation: One of `RADIATIONS`.
        two_theta: Range in degrees.

    Returns:
        Rows sorted by angle: "2 theta (degrees)", "Intensity" (strongest 100), "hkl" (families, with a comma between
        overlapping ones), "d (Å)". Empty if nothing falls into the range.

    Raises:
        ValueError: If the radiation is not known, an element has no scattering factors, the range is not within 0 to
            180 degrees, or more than `MAX_REFLECTIONS` lattice points would have to be summed.
    """
    from pymatgen.analysis.diffraction.xrd import XRDCalculator  # a second to import

    if radiation not in RADIATIONS:
        raise ValueError(f"radiation {radiation!r}: known are {', '.join(RADIATIONS)}")
    low, high = two_theta
    if not 0 <= low < high <= 180:
        raise ValueError(f"2 theta from {low} to {high}: expected a range within 0 to 180 degrees")
    reach = 2 * np.sin(np.radians(high / 2)) / wavelength(radiation)  # 1/Å
    if (expected := 4 / 3 * np.pi * reach**3 * structure.volume) > MAX_REFLECTIONS:
        raise ValueError(
            f"about {expected:,.0f} reflections up to {high:g} degrees in a cell of {structure.volume:,.0f} Å³; at most"
            f" {MAX_REFLECTIONS:,} are computed, so end the range earlier or take a longer wavelength"
        )
    try:
        pattern = XRDCalculator(wavelength=radiation).get_pattern(structure, two_theta_range=two_theta)
    except ValueError as error:
        if not str(error).startswith("not enough values"):  # how the calculator says that no reflection falls there
            raise
        return pd.DataFrame({"2 theta (degrees)": [0.0], "Intensity": [0.0], "hkl": [""], "d (Å)": [0.0]}).iloc[:0]
    names = [", ".join("".join(_index(i) for i in family["hkl"]) for family in families) for families in pattern.hkls]
    return pd.DataFrame(
        {
            "2 theta (degrees)": np.asarray(pattern.x, dtype=float),
            "Intensity": np.asarray(pattern.y, dtype=float),
            "hkl": pd.Series(names, dtype=str),
            "d (Å)": np.asarray(pattern.d_hkls, dtype=float),
        }
    )


def _index(value: int) -> str:
    return f"{abs(value)}\N{COMBINING OVERLINE}" if value < 0 else str(value)


def wavelength(radiation: str) -> float:
    """Return the wavelength in Å."""
    from pymatgen.analysis.diffraction.xrd import WAVELENGTHS

    return float(WAVELENGTHS[radiation])


def profile(
    table: pd.DataFrame,
    fwhm: float = 0.15,
    two_theta: tuple[float, float] = (5.0, 90.0),
    shape: Literal["gaussian", "pseudo_voigt"] = "pseudo_voigt",
    step: float = 0.02,
) -> pd.DataFrame:
    """Broaden reflections into a pattern as an instrument would show it.

    Args:
        table: What `reflections` returns.
        fwhm: Full width at half maximum of every peak, in degrees.
        two_theta: Range in degrees.
        shape: A Gaussian, or half Gaussian and half Lorentzian of the same width.
        step: Degrees between points.

    Returns:
        Columns "2 theta (degrees)" and "Intensity", the highest point 100.

    Raises:
        ValueError: If the width or the step is not positive.
    """
    if fwhm <= 0 or step <= 0:
        raise ValueError(f"peak width {fwhm} and step {step}: both must be positive (degrees)")
    grid = np.arange(two_theta[0], two_theta[1] + step / 2, step)
    total = np.zeros_like(grid)
    for center, height in zip(table["2 theta (degrees)"], table["Intensity"], strict=True):
        x = (grid - center) / fwhm
        gauss = np.exp(-4 * np.log(2) * x**2)
        total += height * (gauss if shape == "gaussian" else 0.5 * gauss + 0.5 / (1 + 4 * x**2))
    if total.max() > 0:
        total *= 100 / total.max()
    return pd.DataFrame({"2 theta (degrees)": grid, "Intensity": total})


def scaled(measured: Measured, calculated: pd.DataFrame) -> tuple[pd.DataFrame, float]:
    """Bring a measured pattern to the scale of a calculated one, over the angles that both have.

    A flat background (5th percentile) is taken off and the rest is scaled by least squares; shapes stay as measured.
    Where the two have little in common (a correlation below 0.3) least squares would flatten the measured pattern out
    of sight, so that its strongest point becomes 100 instead.

    Returns:
        Columns "2 theta (degrees)" and "Intensity", and the correlation with the calculated pattern (-1 to 1; nan where
        one of them is flat there).

    Raises:
        ValueError: If the two ranges have fewer than ten measured points in common.
    """
    angles = calculated["2 theta (degrees)"].to_numpy()
    inside = (measured.two_theta >= angles[0]) & (measured.two_theta <= angles[-1])
    if inside.sum() < 10:
        raise ValueError(
            f"measured from {measured.two_theta[0]:g} to {measured.two_theta[-1]:g} degrees,"
            f" calculated from {angles[0]:g} to {angles[-1]:g}: nothing to compare; choose a range that both have"
        )
    two_theta, counts = measured.two_theta[inside], measured.intensity[inside]
    counts = counts - np.percentile(counts, 5)
    there = np.interp(two_theta, angles, calculated["Intensity"].to_numpy())
    flat = counts.std() == 0 or there.std() == 0
    correlation = float("nan") if flat else float(np.corrcoef(counts, there)[0, 1])
    alike = correlation >= 0.3
    factor = float(counts @ there) / float(counts @ counts) if alike else 100 / max(float(counts.max()), 1e-12)
    return pd.DataFrame({"2 theta (degrees)": two_theta, "Intensity": factor * counts}), correlation


def best_overlay(
    measured: Measured, profiles: Mapping[str, pd.DataFrame]
) -> tuple[str, pd.DataFrame, dict[str, float]]:
    """Find the calculated pattern that a measured one is most like.

    Args:
        measured: The measured pattern.
        profiles: By name, what `profile` returns, all over the same angles.

    Returns:
        The name, the measured pattern as `scaled` brings it to that one, and the correlation with each.

    Raises:
        ValueError: As `scaled`.
    """
    overlays = {name: scaled(measured, table) for name, table in profiles.items()}
    correlations = {name: correlation for name, (_, correlation) in overlays.items()}
    best = max(correlations, key=lambda name: np.nan_to_num(correlations[name], nan=-2.0))
    return best, overlays[best][0], correlations
