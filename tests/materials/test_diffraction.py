"""Powder patterns: reflections, profiles, measured files, the scale between them."""

import numpy as np
import pandas as pd
import pytest
from pymatgen.core import Lattice, Structure

from matgen_core.data.patterns import read_pattern
from matgen_core.materials import diffraction
from matgen_core.views import charts
from tests.support.crystals import of_group

SILICON = of_group("Fd-3m", Lattice.cubic(5.4310), ["Si"], [[0, 0, 0]])
ANGLE, INTENSITY = "2 theta (degrees)", "Intensity"


def test_silicon_has_its_known_reflections() -> None:
    table = diffraction.reflections(SILICON, "CuKa1", (20, 60))
    assert table[ANGLE].tolist() == pytest.approx([28.443, 47.303, 56.122], abs=0.005)  # 111, 220, 311 of the standard
    assert table["d (Å)"].iloc[0] == pytest.approx(5.4310 / np.sqrt(3), abs=1e-4)
    assert table[INTENSITY].max() == pytest.approx(100)
    assert table["hkl"].iloc[0] == "111"


def test_the_wavelength_moves_peaks_by_braggs_law() -> None:
    table = diffraction.reflections(SILICON, "MoKa", (5, 60))
    for angle, spacing in zip(table[ANGLE], table["d (Å)"], strict=True):
        assert 2 * spacing * np.sin(np.radians(angle / 2)) == pytest.approx(diffraction.wavelength("MoKa"), abs=1e-4)


def test_an_empty_range_gives_an_empty_table_and_a_flat_profile() -> None:
    table = diffraction.reflections(SILICON, "CuKa", (5, 10))
    assert len(table) == 0
    assert diffraction.profile(table, two_theta=(5, 10))[INTENSITY].max() == 0


def test_a_measured_pattern_finds_what_it_is_of_and_stays_in_sight_where_it_is_not() -> None:
    copper = of_group("Fm-3m", Lattice.cubic(3.615), ["Cu"], [[0, 0, 0]])
    profiles = {
        name: diffraction.profile(diffraction.reflections(each, "CuKa", (20, 80)), 0.3, (20, 80))
        for name, each in (("copper", copper), ("silicon", SILICON))
    }
    table = profiles["silicon"]
    measured = diffraction.Measured(table[ANGLE].to_numpy(), 3 * table[INTENSITY].to_numpy() + 20)
    name, overlay, correlations = diffraction.best_overlay(measured, profiles)
    assert name == "silicon"
    assert correlations["silicon"] == pytest.approx(1)
    assert correlations["copper"] < 0.3
    assert overlay[INTENSITY].max() == pytest.approx(100, abs=1)
    apart, _ = diffraction.scaled(measured, profiles["copper"])
    assert apart[INTENSITY].max() == pytest.approx(100)  # least squares would leave 2
    peaks = {name: diffraction.reflections(SILICON, "CuKa", (20, 80)) for name in profiles}
    drawn = charts.powder_pattern(profiles, peaks, overlay, offset=110, measured_over="silicon")
    assert drawn.data[0].y.min() == pytest.approx(110 + overlay[INTENSITY].min())


def test_more_reflections_than_anybody_waits_for_are_refused() -> None:
    huge = Structure(Lattice.cubic(900), ["Fe"], [[0, 0, 0]])
    with pytest.raises(ValueError, match="at most 100,000 are computed, so end the range earlier"):
        diffraction.reflections(huge, "CuKa", (5, 90))


def test_what_a_file_is_called_is_no_markup_in_a_figure() -> None:
    peaks = diffraction.reflections(SILICON, "CuKa", (20, 60))
    drawn = charts.powder_pattern({"<b>x</b>": diffraction.profile(peaks, two_theta=(20, 60))}, {"<b>x</b>": peaks})
    assert {trace.name.partition(":")[0] for trace in drawn.data} == {"&lt;b&gt;x&lt;/b&gt;"}


@pytest.mark.parametrize("shape", ["gaussian", "pseudo_voigt"])
def test_a_peak_is_as_wide_as_asked(shape) -> None:
    table = pd.DataFrame({ANGLE: [30.0], INTENSITY: [40.0]})
    pattern = diffraction.profile(table, fwhm=0.4, two_theta=(25, 35), shape=shape, step=0.001)
    above = pattern[ANGLE][pattern[INTENSITY] >= 50]
    assert above.max() - above.min() == pytest.approx(0.4, abs=0.003)
    assert pattern[INTENSITY].max() == pytest.approx(100)


@pytest.mark.parametrize(
    "text",
    ["{0:.2f} {1:.3f}", "{0:.2f}\t{1:.3f}\t1.0", "{0:.2f},{1:.3f}", "{0:.2f};{1:.3f}"],
    ids=["spaces", "tabs and errors", "commas", "semicolons"],
)
def test_a_measured_file_is_read_with_any_header(text: str) -> None:
    angles, counts = np.linspace(20, 60, 50), np.linspace(100, 900, 50)
    lines = ["# Instrument: X 5", "Angle,Counts"] + [text.format(a, c) for a, c in zip(angles, counts, strict=True)]
    measured = read_pattern("\r\n".join(reversed(lines)).encode(), "scan.xy")
    assert measured.two_theta == pytest.approx(angles, abs=0.01)
    assert measured.intensity == pytest.approx(counts, abs=0.01)


def test_decimal_commas_are_understood() -> None:
    content = "\n".join(f"{20 + k},50;{k},25" for k in range(12)).encode()
    measured = read_pattern(content, "scan.csv")
    assert (measured.two_theta[3], measured.intensity[3]) == (23.5, 3.25)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xd8\xff\xe0\0 no text", "scan.xy: it is no text"),
        (b"", "0 lines with two numbers; expected at least 10"),
        (b"\n".join(b"%d 5" % k for k in range(20)), "every intensity is 5"),
        (b"\n".join(b"%d %d" % (k * 20, k) for k in range(20)), "angles run from 0 to 380"),
        (b"1 2\n" * 1_250_001, r"5\.0 MB; a pattern may have up to 5 MB"),
        (b"\n".join(b"%d %d" % (k % 90, k) for k in range(200_001)), "200001 points; at most 200000"),
    ],
    ids=["binary", "empty", "flat", "not angles", "too large", "too long"],
)
def test_a_file_that_is_no_pattern_is_refused_in_one_line(content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_pattern(content, "scan.xy")


def test_a_measured_pattern_is_brought_to_scale() -> None:
    table = diffraction.reflections(SILICON)
    calculated = diffraction.profile(table)
    grid = np.arange(20, 80, 0.03)
    truth = np.interp(grid, calculated[ANGLE], calculated[INTENSITY])
    measured = diffraction.Measured(grid, 730 * truth + 5000)
    laid, correlation = diffraction.scaled(measured, calculated)
    assert np.abs(laid[INTENSITY] - truth).max() < 1.0
    assert correlation == pytest.approx(1, abs=1e-6)
    shifted = diffraction.Measured(grid, np.roll(730 * truth, 100))
    assert diffraction.scaled(shifted, calculated)[1] < 0.3


def test_patterns_without_common_angles_are_refused() -> None:
    calculated = diffraction.profile(diffraction.reflections(SILICON, two_theta=(20, 60)), two_theta=(20, 60))
    with pytest.raises(ValueError, match="measured from 70 to 90 degrees, calculated from 20 to 60"):
        diffraction.scaled(diffraction.Measured(np.linspace(70, 90, 50), np.arange(50.0)), calculated)


@pytest.mark.parametrize(("radiation", "span"), [("CuKb", (5, 90)), ("CuKa", (50, 20)), ("CuKa", (5, 200))])
def test_wrong_settings_are_refused(radiation, span) -> None:
    with pytest.raises(ValueError, match=r"known are|expected a range"):
        diffraction.reflections(SILICON, radiation, span)


def test_the_figure_lays_each_pattern_over_the_measured_one() -> None:
    table = diffraction.reflections(SILICON)
    calculated = diffraction.profile(table)
    laid, _ = diffraction.scaled(diffraction.Measured(np.arange(20, 80, 0.1), np.arange(600.0)), calculated)
    figure = charts.powder_pattern({"Si": calculated}, {"Si": table}, laid)
    assert [trace.name for trace in figure.data] == ["measured", "Si", "Si: reflections"]
    assert len(figure.data[2].x) == len(table)
    assert max(figure.data[2].y) < 0 <= min(figure.data[1].y)
