"""DING: conditions, the physics in the predictors, its arrays and its training."""

import dataclasses
import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from matgen_core.networks.arrays.formulas import LabelledFormulas
from matgen_core.networks.learning import ding
from matgen_core.networks.learning.ding import (
    NETWORKS,
    DINGLearner,
    DINGSchedule,
    differences,
    property_errors,
    read_note,
    read_run,
)
from matgen_core.networks.learning.draws import draw, hits
from matgen_core.networks.models.ding import DING, DINGConfig
from matgen_core.networks.models.parts.formula_predictor import FormulaPredictor, FormulaPredictorConfig
from tests.support.arrays import ENERGIES, rng
from tests.support.arrays import labelled_formulas as compounds

SMALL = DINGConfig(
    n_elements=6,
    max_count=4,
    latent_dim=4,
    n_codes=3,
    hidden=64,
    beta=0.05,
    prior_hidden=32,
    prior_blocks=2,
    guidance=1.5,
    predictor_width=16,
    judge_width=18,
    judge_layers=2,
)


def small(seed: int = 0) -> DING:
    torch.manual_seed(seed)
    model = DING(SMALL)
    model.standardize(compounds().values)
    return model.eval()


def test_a_property_that_is_not_asked_for_leaves_no_trace() -> None:
    model = small()
    both = model.condition({"formation_energy_per_atom": -0.5, "volume_per_atom": 15.0})
    one = model.condition({"formation_energy_per_atom": -0.5})
    n = model.config.n_conditions // 3
    assert both.shape == (1, model.config.n_conditions)
    torch.testing.assert_close(both[:, :n], one[:, :n])
    assert (one[:, n:] == 0).all()
    assert both[0, n] == 1  # the volume is told
    unknown = model.condition_of(energy_per_atom=torch.tensor([float("nan"), -2.0]))
    assert (unknown[0] == 0).all()
    assert unknown[1, 2 * n] == 1


def test_conditions_are_standardized() -> None:
    model = small()
    values = compounds().values[:, 0]
    known = values[~values.isnan()]
    told = model.condition({"formation_energy_per_atom": float(known.mean() + known.std())})
    assert float(told[0, 1]) == pytest.approx(1.0, abs=1e-4)
    assert model.condition_range[0].tolist() == sorted(model.condition_range[0].tolist())
    assert float(model.condition_range[0, 0]) == float(known.min())


def test_what_cannot_be_asked_for_is_named() -> None:
    with pytest.raises(ValueError, match="band_gap cannot be asked for"):
        small().condition({"band_gap": 1.0})
    with pytest.raises(ValueError, match="nothing is asked for"):
        small().condition({})


@torch.inference_mode()
def test_encoder_and_decoder_hear_the_condition_and_do_without() -> None:
    model, arrays = small(), compounds(8)
    x = arrays.tables(torch.arange(8), 4)
    condition = model.condition({"formation_energy_per_atom": -0.5}).expand(8, -1)
    z = model.encode(x).mean
    assert not torch.allclose(z, model.encode(x, condition).mean)
    assert not torch.allclose(model.decode(z), model.decode(z, condition))
    torch.testing.assert_close(z, model.encode(x, torch.zeros_like(condition)).mean)
    torch.testing.assert_close(model.decode(z).sum(-1), torch.ones(8, 6))
    torch.testing.assert_close(z, torch.cat([model.encode(row[None]).mean for row in x]))


def test_properties_are_left_out_as_often_as_the_config_says() -> None:
    values = torch.zeros(20_000, 3)
    left = small().leave_out(values, rng(3)).isnan()
    assert float(left.all(1).float().mean()) == pytest.approx(0.3 + 0.7 * 0.3**3, abs=0.02)
    assert float(left.float().mean()) == pytest.approx(0.3 + 0.7 * 0.3, abs=0.02)


def predictor(kind: str) -> FormulaPredictor:
    torch.manual_seed(1)
    return FormulaPredictor(FormulaPredictorConfig(6, kind, width=18, layers=2, heads=3)).eval()


def counts_of(arrays: LabelledFormulas) -> Tensor:
    return arrays.counts(torch.arange(len(arrays)))


@pytest.mark.parametrize("kind", ["attention", "statistics"])
@torch.inference_mode()
def test_a_predictor_sees_shares_and_not_sizes_or_neighbors_in_the_batch(kind: str) -> None:
    model = predictor(kind)
    for weight in model.parameters():
        weight.add_(0.1 * torch.randn(weight.shape, generator=rng(5)))
    counts = torch.tensor([[1, 2, 0, 0, 0, 0], [0, 0, 3, 1, 1, 0], [0, 4, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]])
    together = model(counts)[0]
    torch.testing.assert_close(together, torch.cat([model(row[None])[0] for row in counts]))
    torch.testing.assert_close(together, model(2 * counts)[0])
    assert together.isfinite().all()
    assert not torch.allclose(together[0], together[1])


@pytest.mark.parametrize("kind", ["attention", "statistics"])
def test_a_predictor_starts_from_the_elements(kind: str) -> None:
    """Before it learns, the energy of an element is the element's, and volumes are those of mixtures."""
    arrays, model = compounds(), predictor(kind)
    model.standardize(counts_of(arrays), arrays.values)
    torch.testing.assert_close(model.energies, ENERGIES, atol=1e-3, rtol=0)
    mixed = torch.tensor([[2, 2, 0, 0, 0, 0]])
    volumes = (model(mixed)[0] - model.center - model.spread * model.head(model.body(mixed / 4.0))[:, :4])[0]
    assert float(volumes[1].detach()) == pytest.approx(float((model.volumes[0] + model.volumes[1]) / 2), abs=1e-3)


def test_rows_of_another_convention_do_not_shift_the_references() -> None:
    arrays, model = compounds(), predictor("statistics")
    values = arrays.values.clone()
    values[::9, 2] += 1.5
    model.standardize(counts_of(arrays), values)
    torch.testing.assert_close(model.energies, ENERGIES, atol=1e-2, rtol=0)


@pytest.mark.parametrize("kind", ["attention", "statistics"])
def test_the_loss_of_a_predictor_counts_only_what_is_known(kind: str) -> None:
    arrays, model = compounds(60), predictor(kind)
    counts, values = counts_of(arrays), arrays.values.clone()
    full = model.loss(counts, values)
    values[:, 1] = torch.nan
    parts = model.loss(counts, values)
    assert float(parts["error_of_volume_per_atom"].detach()) == 0
    torch.testing.assert_close(parts["error_of_band_gap"], full["error_of_band_gap"])
    model.loss(counts, arrays.values)["loss"].backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name
        assert weight.grad.abs().sum() > 0, name


def test_the_mean_does_not_hear_the_scale() -> None:
    """Doubling what is said of the errors changes no gradient of the means."""
    arrays, model = compounds(60), predictor("statistics")
    model.loss(counts_of(arrays), arrays.values)["loss"].backward()
    first = model.head.weight.grad[:4].clone()
    model.zero_grad()
    with torch.no_grad():
        model.head.bias[4:] += math.log(2.0)
    model.loss(counts_of(arrays), arrays.values)["loss"].backward()
    torch.testing.assert_close(model.head.weight.grad[:4], first)


@torch.no_grad()
def test_calibrated_deviations_are_as_large_as_the_errors() -> None:
    arrays, model = compounds(), predictor("statistics")
    model.standardize(counts_of(arrays), arrays.values)
    model.calibrate(counts_of(arrays), arrays.values)
    mean, std = model.predict(counts_of(arrays))
    for i in range(4):
        known = ~arrays.values[:, i].isnan()
        ratio = (mean[known, i] - arrays.values[known, i]).abs() / (std[known, i] / math.sqrt(2.0))
        assert float(ratio.mean()) == pytest.approx(1.0, abs=1e-3)


def test_arrays_come_back_from_a_file(tmp_path: Path) -> None:
    arrays = compounds(20)
    arrays.save(tmp_path / "formulas.safetensors")
    again = LabelledFormulas.load(tmp_path / "formulas.safetensors")
    assert again.formulas.elements == arrays.formulas.elements
    torch.testing.assert_close(again.values, arrays.values, equal_nan=True)
    assert again.random_test.tolist() == arrays.random_test.tolist()
    assert again.rows_of("guide", "test").tolist() == [i for i in range(20) if i % 4 in (0, 3)]
    assert again.tables(torch.tensor([0]), 4).sum() == 6
    assert (again.tables(torch.arange(20), 4).argmax(-1) == again.counts(torch.arange(20))).all()


SCHEDULE = DINGSchedule(
    sharper_epochs=60,
    sharper_batch_size=50,
    sharper_learning_rate=6e-3,
    epochs=60,
    batch_size=50,
    learning_rate=6e-3,
    prior_batch_size=50,
    predictor_epochs=30,
    predictor_batch_size=50,
)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("ding") / "run"
    ding.train(compounds(1000), SMALL, SCHEDULE, "cpu", folder)
    return folder


def test_all_networks_learn(run: Path) -> None:
    arrays, model = compounds(1000), read_run(run)
    test = arrays.rows_of("test")
    assert float((differences(model, arrays, test) == 0).float().mean()) > 0.8
    for net in (model.predictor, model.judge):
        found = property_errors(net, arrays, test)
        assert found["formation_energy_per_atom"]["mae"] < 0.1 < float(arrays.values[:, 0].nan_to_num().std())
        assert found["energy_per_atom"]["r2"] > 0.98
        assert found["formation_energy_per_atom"]["n"] < len(test)
    for name in NETWORKS:
        lines = [json.loads(line) for line in (run / f"{name}_losses.jsonl").read_text().splitlines()]
        assert lines[-1]["loss"] < lines[0]["loss"], name
    by_row = json.loads((run / "random_split.json").read_text())
    assert by_row["formation_energy_per_atom"]["n"] == int((arrays.random_test & ~arrays.values[:, 0].isnan()).sum())


def test_the_prior_obeys(run: Path) -> None:
    model = read_run(run)
    wanted, tolerance = {"formation_energy_per_atom": -1.2}, {"formation_energy_per_atom": 0.2}
    asked, free = (hits(model.judge, draw(model, way, 300, 4)[1], wanted, tolerance) for way in (wanted, {}))
    assert asked["all"] > 3 * free["all"] > 0


def test_draws_obey_the_seed_and_empty_formulas_are_no_hits(run: Path) -> None:
    model = read_run(run)
    first, again, other = (draw(model, {}, 50, seed)[1] for seed in (1, 1, 2))
    assert (first == again).all()
    assert not (first == other).all()
    empty = torch.zeros(3, 6, dtype=torch.int64)
    value = float(model.judge.predict(empty)[0][0, 0])
    found = hits(model.judge, empty, {"formation_energy_per_atom": value}, {"formation_energy_per_atom": 1.0})
    assert found == {"all": 0.0, "formation_energy_per_atom": 0.0, "empty": 1.0}


def test_the_judge_learns_nothing_of_the_guides_group(run: Path, tmp_path: Path) -> None:
    """Other values in the guide's group change the guide and the VAE's conditions, but not the judge."""
    arrays = compounds(1000)
    values = arrays.values.clone()
    values[arrays.rows_of("guide")] += 5.0
    changed = LabelledFormulas(arrays.formulas, values, arrays.group, arrays.random_test)
    ding.train(changed, SMALL, SCHEDULE, "cpu", tmp_path, ["judge"])
    mine, theirs = read_run(run).judge.state_dict(), read_run(tmp_path).judge.state_dict()
    for name, tensor in mine.items():
        torch.testing.assert_close(tensor, theirs[name], msg=name)


def test_scales_keep_their_precision(run: Path) -> None:
    assert read_run(run).predictor.energies.dtype == torch.float32
    energies = read_run(run).predictor.energies.numpy()
    assert (energies != energies.astype(np.float16).astype(np.float32)).any()


def test_the_prior_needs_what_it_learns_from(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no vae and no guide"):
        ding.train(compounds(40), SMALL, SCHEDULE, "cpu", tmp_path, ["prior"])


def test_the_sharper_prior_goes_on_from_the_prior(run: Path, tmp_path: Path) -> None:
    """With a rate of 0 it is the same network; with another it is another, and the run takes that one."""
    with pytest.raises(ValueError, match="has no vae and no guide and no prior"):
        ding.train(compounds(40), SMALL, SCHEDULE, "cpu", tmp_path, ["sharper_prior"])
    for path in run.glob("*.safetensors"):
        shutil.copy(path, tmp_path)
    still = dataclasses.replace(SCHEDULE, sharper_learning_rate=0.0, sharper_epochs=1)
    ding.train(compounds(1000), SMALL, still, "cpu", tmp_path, ["sharper_prior"])
    before, after, stayed = read_run(run, sharper=False), read_run(run), read_run(tmp_path)
    for name, tensor in before.prior.state_dict().items():
        torch.testing.assert_close(tensor, stayed.prior.state_dict()[name], msg=name)
    assert (before.prior.first.weight != after.prior.first.weight).any()
    note = read_note(tmp_path, "sharper_prior")
    assert note["device"].startswith("one processor, threads: ")
    assert note["schedule"]["learning_rate"] == 0.0
    assert read_note(run, "prior")["schedule"]["batch_size"] == 50


def test_the_sharper_prior_learns_means(run: Path, tmp_path: Path) -> None:
    """How wide the posteriors are makes no difference to it."""
    brief = dataclasses.replace(SCHEDULE, sharper_epochs=1)
    found = []
    for wider in (0.0, 5.0):
        folder = tmp_path / str(wider)
        shutil.copytree(run, folder)
        vae = load_file(folder / "vae.safetensors")
        vae["to_latent.1.bias"][SMALL.latent_dim :] += wider
        save_file(vae, folder / "vae.safetensors")
        ding.train(compounds(1000), SMALL, brief, "cpu", folder, ["sharper_prior"])
        found.append(load_file(folder / "sharper_prior.safetensors"))
    for name, tensor in found[0].items():
        torch.testing.assert_close(tensor, found[1][name], msg=name)


def test_the_sharper_prior_learns_when_elements_are_decided() -> None:
    schedule = DINGSchedule(sharper_time=(0.65, 0.6), sharper_anywhere=0.2)
    times = ding.sharper_times(20_000, schedule, rng())
    assert float(times.min()) >= 0
    assert float(times.max()) <= 1
    assert float(times.median()) == pytest.approx(0.65, abs=0.02)
    assert float((times < 0.3).float().mean()) == pytest.approx(0.2 * 0.3 + 0.8 * 0.0061, abs=0.01)


def test_minutes_are_shared_out_among_the_networks_that_are_trained() -> None:
    """As their own limits are: all of them together, or some; the sharper prior has a limit of its own."""
    learner = DINGLearner(schedule=DINGSchedule(minutes=16.0, sharper_minutes=25.0), seed=3)
    whole = learner.for_run("cpu", 4.1).schedule
    assert whole.minutes == pytest.approx(1.6)
    assert whole.sharper_minutes == pytest.approx(2.5)
    some = dataclasses.replace(learner, networks=("vae", "judge")).for_run("cpu", 6.0).schedule
    assert [some.of(name).minutes for name in ("vae", "judge")] == pytest.approx([4.0, 2.0])
    assert learner.for_run("cpu", None).schedule == dataclasses.replace(learner.schedule, seed=3)
    for strange in ((), ("vae", "vea")):
        with pytest.raises(ValueError, match="expected some of vae,guide"):
            dataclasses.replace(learner, networks=strange).for_run("cpu", None)
    with pytest.raises(ValueError, match="has no limit of its own"):
        dataclasses.replace(learner, schedule=DINGSchedule()).for_run("cpu", 6.0)
