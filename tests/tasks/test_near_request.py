"""What is asked of a generator and heard: only what is predicted near the request is kept, and all is counted."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from matgen_core import checkpoint
from matgen_core.checkpoint import Checkpoint
from matgen_core.materials.formulas import Formulas
from matgen_core.tasks import funnel
from matgen_core.tasks.funnel.answers import RESOLUTION, Answer, answers_to
from matgen_core.tasks.funnel.running import BATCH, Request
from matgen_core.tasks.prediction import predict_formulas
from tests.support.writers import Forgetful, everything

N = BATCH + 500
ASKED = {"n_atoms": 7.0, "n_elements_predicted": 3.0}
NEAR = {"n_atoms": 2.0, "n_elements_predicted": 0.5}


class Polite(Forgetful):
    """Takes wishes, and writes what it would have written."""

    properties = ("n_atoms",)
    condition_properties = tuple(ASKED)

    def condition_of(self, **wanted: torch.Tensor) -> torch.Tensor:
        return torch.stack(list(wanted.values()), 1)

    def predict(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x.sum((1, 2))[:, None], torch.ones(len(x), 1)

    def decode(self, z: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        return super().decode(z)


@pytest.fixture(scope="module")
def polite(writer: Checkpoint) -> Checkpoint:
    model = Polite(writer.model.config).eval()
    model.load_state_dict(writer.model.state_dict())
    return replace(writer, model=model)


def sizes(formulas: Formulas) -> pd.DataFrame:
    """Predicts the number of atoms of formulas without aluminum."""
    problems = np.array(["Al is too light" if "Al" in text else "" for text in formulas.texts()], object)
    values = np.where(problems == "", formulas.n_atoms, np.nan)
    return pd.DataFrame({"n_atoms": values, "n_atoms_std": 0.1, "problem": problems})


def kinds(formulas: Formulas) -> pd.DataFrame:
    """Predicts the number of elements, badly."""
    columns = {"n_elements_predicted": formulas.n_elements + 0.25, "n_elements_predicted_std": 0.2}
    return pd.DataFrame(columns | {"problem": [""] * len(formulas)})


@pytest.mark.parametrize("chunk_size", [BATCH, 4 * BATCH])
def test_only_what_is_predicted_near_every_value_is_kept(polite: Checkpoint, chunk_size: int) -> None:
    plain, before = everything(polite, Request(N, seed=2, condition=ASKED), predictors=[sizes, kinds])
    request = Request(N, seed=2, condition=ASKED, tolerance=NEAR)
    table, last = everything(polite, request, predictors=[sizes, kinds], chunk_size=chunk_size)
    assert tuple(last.counts) == tuple(funnel.STAGES) == funnel.stages(request, [sizes])
    assert {stage: last.counts[stage] for stage in before.counts} == before.counts
    pd.testing.assert_frame_equal(table.drop(columns=["kept", "off_by"]), plain.drop(columns="kept"))

    atoms, elements = (table["n_atoms"] - 7).abs() / 2, (table["n_elements_predicted"] - 3).abs() / 0.5
    predicted = plain["kept"] & (plain["problem"] == "")
    expected = predicted & (atoms <= 1) & (elements <= 1)
    assert table["kept"].equals(expected)
    assert 0 < expected.sum() == last.counts["near"] < last.counts["predicted"] == predicted.sum()
    assert {5, 9} <= set(table.loc[expected, "n_atoms"])  # the limits are within
    assert (predicted & (atoms <= 1) & (elements > 1)).any()
    assert (predicted & (atoms > 1) & (elements <= 1)).any()
    np.testing.assert_allclose(table["off_by"], np.maximum(atoms, elements).where(atoms.notna()))
    assert table.loc[plain["kept"] & (plain["problem"] != ""), "off_by"].isna().all()
    assert (table.columns[-2:] == ["off_by", "problem"]).all()


def test_a_property_without_a_tolerance_may_lie_anywhere(polite: Checkpoint) -> None:
    request = Request(N, seed=2, condition=ASKED, tolerance={"n_elements_predicted": 0.5})
    table, last = everything(polite, request, predictors=[sizes, kinds])
    assert set(table.loc[table["kept"], "n_elements_predicted"]) == {3.25}
    assert table.loc[table["kept"], "n_atoms"].nunique() > 5
    # A formula that another predictor knows nothing of has not come so far.
    refused = table["problem"].eq("Al is too light") & (table["off_by"] <= 1)
    assert refused.any()
    assert not table.loc[refused, "kept"].any()
    assert last.counts["near"] == table["kept"].sum()


@pytest.mark.parametrize(
    ("tolerance", "line"),
    [
        ({"volume": 1.0}, "tolerance of volume, but no volume is asked for; ask for a value too"),
        ({"n_atoms": 0.0}, "tolerance 0.0 of n_atoms; expected a finite number above 0"),
        ({"n_atoms": -1.0}, "tolerance -1.0 of n_atoms"),
        ({"n_atoms": float("nan")}, "tolerance nan of n_atoms"),
        ({"n_atoms": float("inf")}, "tolerance inf of n_atoms"),
    ],
)
def test_tolerances_that_make_no_sense_are_refused(tolerance: dict[str, float], line: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(line)}"):
        Request(5, condition=ASKED, tolerance=tolerance)


def test_what_nobody_predicts_cannot_be_near(polite: Checkpoint) -> None:
    def generate(tolerance: dict[str, float], *predictors: funnel.Predictor) -> None:
        next(funnel.run(polite, Request(5, condition=ASKED, tolerance=tolerance), predictors))

    with pytest.raises(ValueError, match=r"no predictor gives n_atoms, .* 2 of 7; .* gives it, such as tiny, or leave"):
        generate(NEAR, kinds)
    with pytest.raises(ValueError, match=r"no predictor gives n_elements_predicted, .* gives it, or leave"):
        generate(NEAR, sizes)
    generate(NEAR, sizes, kinds)


def test_an_answer_counts_what_is_predicted(polite: Checkpoint) -> None:
    rng = np.random.default_rng(4)
    answer = Answer("energy", -2.0, 0.1)
    assert np.isnan(answer.median)
    assert answer.histogram(10)[1].sum() == 0
    parts = []
    for n in (300, 1, 0, 411):
        values = rng.normal(-1.8, 0.6, n).astype(np.float32)
        problems = np.where(rng.random(n) < 0.1, "another predictor failed", "")
        answer = answer.after(pd.DataFrame({"energy": values, "problem": problems}))
        answer = answer.after(pd.DataFrame({"energy": [np.nan], "problem": [""]}))  # did not come so far
        parts.append(values[problems == ""])
    values = np.concatenate(parts).astype(float)
    assert answer.n == len(values)
    assert 0 < answer.n_near == (np.abs(values + 2) / 0.1 <= 1).sum() < answer.n
    assert answer.median == pytest.approx(np.median(values), abs=RESOLUTION)
    assert answer.nearest == values[np.abs(values + 2).argmin()]
    for n_bars in (7, 40, 10_000):
        edges, counts = answer.histogram(n_bars)
        assert len(counts) <= n_bars + 1
        assert edges[0] <= values.min() < edges[1]
        assert edges[-2] <= values.max() < edges[-1]
        np.testing.assert_array_equal(counts, np.histogram(values, edges)[0])
    assert answers_to(Request(1, condition=ASKED, tolerance={"n_atoms": 2.0})) == [
        Answer("n_atoms", 7.0, 2.0),
        Answer("n_elements_predicted", 3.0, None),
    ]


def test_the_memory_of_an_answer_does_not_grow_with_the_samples() -> None:
    answer = Answer("energy", 0.0)
    rng = np.random.default_rng(0)
    for _ in range(20):
        answer = answer.after(pd.DataFrame({"energy": rng.random(5_000), "problem": ""}))
    assert answer.n == 100_000
    assert len(answer.counts) == round(1 / RESOLUTION)


@pytest.mark.parametrize(("values", "median"), [([3.0, -1.0, 0.0], 0.0), ([10.0, -1.0, 3.0, 0.0], 1.5), ([2.0], 2.0)])
def test_the_median_of_few_lies_between_the_two_in_the_middle(values: list[float], median: float) -> None:
    answer = Answer("energy", 0.0).after(pd.DataFrame({"energy": values, "problem": ""}))
    assert answer.median == pytest.approx(median, abs=RESOLUTION)


@pytest.mark.parametrize("within", ["0.3", "3e-1"])
def test_generate_keeps_what_is_near(run, tmp_path: Path, within: str) -> None:
    out = tmp_path / "near.csv"
    options = ("--formation-energy", -2, "--volume", 14, "--predict", "ding")
    limits = ("--within", f"formation-energy={within}", "--within", "volume=3")
    code, _, err = run("generate", "ding", "-n", 600, "--seed", 1, *options, *limits, "--out", out)
    assert code == 0, err
    table = pd.read_csv(out)
    assert len(table) == 600
    kept = table[table["kept"]]
    assert 0 < len(kept) < table["volume_per_atom"].notna().sum()
    assert kept["formation_energy_per_atom"].between(-2.3, -1.7).all()
    assert kept["volume_per_atom"].between(11, 17).all()
    ding = checkpoint.load("ding")
    again = predict_formulas(ding, Formulas.of_texts(kept["formula"])[0])
    np.testing.assert_allclose(again["volume_per_atom"], kept["volume_per_atom"], atol=1e-3)
    assert f"{len(kept):>12,} near\n" in err
    predicted = table["volume_per_atom"].dropna()
    share = predicted.between(11, 17).mean()
    assert (
        f"volume_per_atom: 14 asked for, {predicted.median():.2f} predicted (median of {len(predicted)}),"
        f" {share:.1%} within 3\n" in err
    )


def test_generate_tells_what_was_heard_without_limits_too(run, tmp_path: Path) -> None:
    options = ("--predict", "ding", "--keep-undecided")
    code, _, err = run("generate", "ding", "-n", 300, "--formation-energy", 0, *options, "--out", tmp_path / "all.csv")
    assert code == 0, err
    assert re.search(r"^formation_energy_per_atom: 0 asked for, -?\d\.\d\d predicted \(median of \d+\)$", err, re.M)
    kept = pd.read_csv(tmp_path / "all.csv")[lambda table: table["kept"]]
    assert kept["charge_neutral"].isna().any()


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--within", "volume=1"), "--within volume=1, but no volume is asked for; add --volume"),
        (("--volume", 12, "--within", "volume"), "--within volume; write NAME=VALUE with a NAME of formation-energy,"),
        (("--volume", 12, "--within", "volume=much"), "--within volume=much; write NAME=VALUE"),
        (("--volume", 12, "--within", "size=1"), "--within size=1; write NAME=VALUE with a NAME of formation-energy"),
        (("--volume", 12, "--within", "volume=0"), "tolerance 0.0 of volume_per_atom; expected a finite number"),
        (("--volume", 12, "--within", "volume=1", "--within", "volume=2"), "--within volume is given twice"),
        (("--volume", 12, "--within", "volume=1"), "no predictor gives volume_per_atom, which must lie within 1 of 12"),
    ],
)
def test_generate_refuses_limits_with_one_line(run, tmp_path: Path, options: tuple[object, ...], line: str) -> None:
    out = tmp_path / "out.csv"
    code, _, err = run("generate", "ding", "-n", 5, *options, "--out", out)
    assert (code, len(err.strip().splitlines())) == (2, 1), err
    assert line in err
    assert not out.exists()


def test_only_models_of_formulas_take_limits(run, tmp_path: Path) -> None:
    code, _, err = run("generate", "phase_field_vae", "-n", 5, "--within", "volume=1", "--out", tmp_path / "out.csv")
    assert (code, "phase_field_vae writes no formulas" in err) == (2, True)
