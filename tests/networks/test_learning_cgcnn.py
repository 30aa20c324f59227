"""The property networks: physics, packed graphs, prediction of a whole list, calibration."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pymatgen.core import Lattice, Structure

from matgen_core.checkpoint import Checkpoint
from matgen_core.networks.arrays.graphs import PackedGraphs
from matgen_core.networks.arrays.splits import TEST, VAL
from matgen_core.networks.learning.cgcnn import CGCNNLearner, PropertyGraphs, fit_task, predict_rows, read_run, trunk_of
from matgen_core.networks.learning.loops import Schedule
from matgen_core.networks.models.cgcnn import CGCNN, CGCNNConfig, Prediction, in_units
from matgen_core.recipes.cgcnn.figures import property_metrics
from matgen_core.tasks.prediction import predict
from tests.support.arrays import GRAPHS as REPRESENTATION
from tests.support.arrays import cells, packed_graphs, rng

TINY = CGCNNConfig(
    n_elements=3,
    properties=("band_gap", "bulk_modulus"),
    log10=("bulk_modulus",),
    nonnegative=("band_gap",),
    weights=(2.0, 0.5),
    members=3,
    node_dim=12,
    edge_dim=10,
    message_dim=8,
    hidden=14,
    n_convolutions=2,
    n_gaussians=9,
    dropout=0.3,
)


def arrays(structures: list[Structure]) -> tuple[Any, ...]:
    batch = REPRESENTATION.encode_batch(structures)
    parts = (batch.species, batch.sources, batch.targets, batch.distances, batch.graph_index)
    return *(torch.from_numpy(part) for part in parts), len(batch)


@pytest.fixture
def model() -> CGCNN:
    torch.manual_seed(3)
    return CGCNN(TINY).eval()


@pytest.fixture
def checkpoint(model: CGCNN) -> Checkpoint:
    return Checkpoint("tiny", "cgcnn", model, REPRESENTATION, metrics={}, card="")


def test_a_supercell_and_another_setting_have_the_same_properties(model: CGCNN) -> None:
    cell = cells(2)[1]
    other = cell.copy()
    other.make_supercell([[1, 0, 0], [1, 1, 0], [0, -2, 1]])
    expected = model.predict(*arrays([cell]))
    for same in (cell * (2, 1, 2), other):
        for one, two in zip(model.predict(*arrays([same])), expected, strict=True):
            torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-5)


def test_a_batch_is_its_crystals_one_by_one(model: CGCNN) -> None:
    structures = [cells(4)[1], cells(4)[2] * (1, 2, 2), cells(4)[3]]
    together = model.predict(*arrays(structures))
    assert together.mean.shape == together.std.shape == (3, 2)
    for row, structure in enumerate(structures):
        torch.testing.assert_close(together.mean[row], model.predict(*arrays([structure])).mean[0])
    assert float((together.mean[0] - together.mean[2]).abs().min()) > 1e-4


def test_the_members_differ(model: CGCNN) -> None:
    mean = model.heads(model.features(*arrays(cells(4))))[0].detach()
    assert float((mean[0] - mean[1]).abs().min()) > 1e-4


def test_a_member_does_not_see_the_others(model: CGCNN) -> None:
    before = model.heads(model.features(*arrays(cells(4))))[0].detach()
    with torch.no_grad():
        for weight in model.parameters():
            weight[2] += 1
    after = model.heads(model.features(*arrays(cells(4))))[0].detach()
    torch.testing.assert_close(after[:2], before[:2])
    assert float((after[2] - before[2]).abs().max()) > 0.1


def test_the_loss_is_made_of_its_parts_and_every_weight_learns(model: CGCNN) -> None:
    values = torch.tensor([[0.4, 1.9], [math.nan, 2.1], [2.2, math.nan], [0.9, 1.2]])
    *graph, _ = arrays(cells(4))
    loss = model.loss(*graph, values, rng=rng())
    expected = 2.0 * loss["mae_band_gap"] + 0.5 * loss["mae_bulk_modulus"]
    torch.testing.assert_close(loss["error"], expected)
    torch.testing.assert_close(loss["loss"], loss["error"] + loss["likelihood"])
    assert float(loss["loss"].detach()) == float(model.loss(*graph, values, rng=rng())["loss"].detach())
    assert float(loss["loss"].detach()) != float(model.loss(*graph, values, rng=rng(1))["loss"].detach())
    loss["loss"].backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().sum() > 0, name


def test_an_unknown_value_teaches_nothing(model: CGCNN) -> None:
    *graph, _ = arrays(cells(2))
    both = model.loss(*graph, torch.tensor([[0.4, 1.9], [0.8, math.nan]]))
    *first, _ = arrays(cells(1))
    one = model.loss(*first, torch.tensor([[0.4, 1.9]]))
    torch.testing.assert_close(both["mae_bulk_modulus"], one["mae_bulk_modulus"])


def test_the_scale_teaches_the_features_nothing(model: CGCNN) -> None:
    *graph, _ = arrays(cells(3))
    model.loss(*graph, torch.ones(3, 2))["likelihood"].backward()
    learned = {name.split(".")[0] for name, weight in model.named_parameters() if weight.grad is not None}
    assert learned == {"log_scale"}


def test_the_standard_deviation_is_that_of_the_mixture(model: CGCNN) -> None:
    model.spread[:], model.calibration[:], model.center[:] = 2.5, torch.tensor([1.5, 0.7]), -4.0
    mean, log_scale = (part.detach() for part in model.heads(model.features(*arrays(cells(2)))))
    laplace = torch.distributions.Laplace(mean, log_scale.exp())
    variance = laplace.variance.mean(0) + mean.var(0, unbiased=False)
    prediction = model.predict(*arrays(cells(2)))
    torch.testing.assert_close(prediction.std, variance.sqrt() * 2.5 * torch.tensor([1.5, 0.7]))
    torch.testing.assert_close(prediction.mean, mean.mean(0) * 2.5 - 4)


def test_units_come_back() -> None:
    natural = in_units(TINY, Prediction(torch.tensor([[-0.3, 2.0]]), torch.tensor([[0.2, 0.01]])))
    torch.testing.assert_close(natural.mean, torch.tensor([[0.0, 100.0]]))
    torch.testing.assert_close(natural.std, torch.tensor([[0.2, 0.01 * 100 * math.log(10)]]))


def test_a_failed_crystal_keeps_its_row(checkpoint: Checkpoint) -> None:
    good = cells(60)
    table = predict(checkpoint, [good[0], Structure(Lattice.cubic(4), ["Xe"], [[0, 0, 0]]), *good[1:]])
    assert list(table) == ["band_gap", "band_gap_std", "bulk_modulus", "bulk_modulus_std", "problem"]
    assert len(table) == 61
    assert table["problem"][1] == "Xe: Xe is not one of the 3 elements of this model"
    assert table.iloc[1, :4].isna().all()
    assert not table.drop(1).iloc[:, :4].isna().to_numpy().any()
    assert (table["problem"].drop(1) == "").all()
    expected = in_units(TINY, checkpoint.model.predict(*arrays([good[40]])))  # type: ignore[operator]
    assert table["bulk_modulus"][41] == pytest.approx(float(expected.mean[0, 1]), rel=1e-4)
    assert predict(checkpoint, []).empty


def test_a_checkpoint_without_properties_is_refused(checkpoint: Checkpoint) -> None:
    with pytest.raises(ValueError, match="predicts no properties"):
        predict(replace(checkpoint, model=torch.nn.Linear(2, 2)), [])


def test_packed_graphs_give_back_the_graphs(tmp_path: Path) -> None:
    packed_graphs().save(tmp_path / "graphs")
    packed = PackedGraphs.load(tmp_path / "graphs")
    chosen = [7, 2, 2, 31]
    *expected, _ = arrays([cells(40)[row] for row in chosen])
    for name, one, two in zip(
        ("species", "sources", "targets", "distances", "graph_index"),
        packed.batch(torch.tensor(chosen)),
        expected,
        strict=True,
    ):
        torch.testing.assert_close(one, two, atol=1e-4, rtol=0, msg=name)
    assert float(packed.column("bulk_modulus", log10=True)[9]) == pytest.approx((3 + 0.45) / 3, abs=1e-5)
    assert packed.side("s").tolist() == [1, 2, 0, 0, 0] * 8
    assert packed.of_part("s", "test").tolist() == [False, True, False, False, False] * 8


def test_fitting_learns_calibrates_and_is_written(tmp_path: Path) -> None:
    packed = packed_graphs()
    schedule = Schedule(epochs=60, batch_size=8, learning_rate=0.01, seed=1)
    task = CGCNNLearner(("band_gap", "bulk_modulus"), schedule, log10=("bulk_modulus",), split="s", members=2)
    model = fit_task(task, PropertyGraphs(packed, {}), tmp_path, replace(TINY, dropout=0.0))
    rows = torch.nonzero(packed.of_part("s", TEST))[:, 0]
    values = torch.stack([packed.column("band_gap", False), packed.column("bulk_modulus", True)], 1)
    figures = property_metrics(model, values[rows].numpy(), predict_rows(model, packed, rows))
    assert figures["bulk_modulus"]["r2_log10"] > 0.7
    watched = torch.nonzero(packed.of_part("s", VAL))[:, 0]
    calibrated = property_metrics(model, values[watched].numpy(), predict_rows(model, packed, watched))
    for figure in calibrated.values():
        assert figure["inside_1_sigma"] == pytest.approx(0.6827, abs=1 / figure["n"])
    loaded = read_run(tmp_path)
    assert loaded.config == model.config
    torch.testing.assert_close(
        predict_rows(loaded, packed, rows).std, predict_rows(model, packed, rows).std, rtol=0, atol=0
    )


def test_a_trunk_is_taken_over_and_its_heads_are_not(tmp_path: Path, model: CGCNN) -> None:
    packed = packed_graphs()
    schedule = Schedule(epochs=1, batch_size=64, learning_rate=0.0)
    task = CGCNNLearner(("band_gap", "bulk_modulus"), schedule, log10=("bulk_modulus",), split="s", start_from="other")
    with pytest.raises(ValueError, match="starts from the trunk of other, which these arrays do not hold"):
        fit_task(task, PropertyGraphs(packed, {}), tmp_path, TINY)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.5)  # no weight is what it starts as
    PropertyGraphs(packed, trunk_of(model)).save(tmp_path / "arrays")
    fitted = fit_task(task, PropertyGraphs.load(tmp_path / "arrays"), tmp_path, TINY)
    for name, weight in model.named_parameters():
        same = torch.equal(weight, fitted.get_parameter(name))
        assert same == (name.split(".")[0] not in ("mean", "log_scale")), name


def test_metrics_of_normal_errors_are_those_of_a_normal_distribution(model: CGCNN) -> None:
    noise = torch.randn(4000, 2, generator=rng())
    std = torch.rand(4000, 2, generator=rng(1)) + 0.2
    mean = torch.rand(4000, 2, generator=rng(2)) + 1
    model.calibration[:] = 2.0
    values = (mean + noise * std).numpy()
    values[:500, 0] = np.nan
    figures = property_metrics(model, values, Prediction(mean, std))
    gap, bulk = figures["band_gap"], figures["bulk_modulus"]
    assert (gap["n"], bulk["n"]) == (3500, 4000)
    assert gap["inside_1_sigma"] == pytest.approx(0.6827, abs=0.02)
    assert gap["inside_90_percent"] == pytest.approx(0.9, abs=0.015)
    assert gap["calibration_curve"]["0.5"] == pytest.approx(0.5, abs=0.02)
    assert gap["nll"] < gap["nll_uncalibrated"]  # halving a right width must cost likelihood
    expected = -torch.distributions.Normal(mean[:, 1], std[:, 1]).log_prob(torch.from_numpy(values[:, 1])).mean()
    assert bulk["nll"] == pytest.approx(float(expected), rel=1e-4)
    assert bulk["mae_log10"] == pytest.approx(float((noise * std)[:, 1].abs().mean()), rel=1e-3)
    assert bulk["mae"] > bulk["mae_log10"]
