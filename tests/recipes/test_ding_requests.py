"""What is measured of DING's draws: those that a network keeps, free ones, one noise vector for a batch."""

import json
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from matgen_core.materials.formulas import Formulas
from matgen_core.networks.arrays.formulas import FormulaArrays, LabelledFormulas
from matgen_core.networks.learning.draws import draw, near
from matgen_core.networks.models.ding import DING, DINGConfig
from matgen_core.networks.models.parts.formula_predictor import TOLERANCE
from matgen_core.recipes.ding import requests as ding_requests
from matgen_core.recipes.ding.figures import compared, free_draws, mixture
from matgen_core.recipes.ding.requests import BATCH, REQUESTS, kept, shared_noise, sieve, unique_share
from tests.support.arrays import rng

ELEMENTS = ("O", "F", "Na", "Mg", "Fe", "Cu")
SMALL = DINGConfig(
    n_elements=6, max_count=4, latent_dim=4, n_codes=3, hidden=16, prior_hidden=16, prior_blocks=2, guidance=1.5,
    predictor_width=16, judge_width=18, judge_layers=2,
)  # fmt: skip
KNOWN = Formulas.of_texts(["NaF", "MgO", "Fe2O3", "CuO"])[0]
WANTED = {"formation_energy_per_atom": -2.0}


@pytest.fixture(scope="module")
def arrays() -> LabelledFormulas:
    species = torch.rand(800, 6, generator=rng(1)).argsort(1)[:, :2].to(torch.int8)
    counts = torch.randint(1, 5, (800, 2), generator=rng(2)).to(torch.int8)
    share = counts / counts.sum(1, keepdim=True)
    energy = -4 * share.prod(1) * (species[:, 0] - species[:, 1]).abs()
    values = torch.stack([energy, 15 + energy, energy - 3, -energy], 1)
    group = torch.arange(800).remainder(4).to(torch.int8)
    formulas = FormulaArrays(ELEMENTS, species, counts, (group >= 2).to(torch.int8))
    return LabelledFormulas(formulas, values.float(), group, torch.zeros(800, dtype=torch.bool))


@pytest.fixture(scope="module")
def model(arrays: LabelledFormulas) -> DING:
    """Nothing is learned but scales, and weights are wide enough that draws differ; predictor and judge disagree."""
    torch.manual_seed(3)
    made = DING(SMALL)
    made.standardize(arrays.values)
    with torch.no_grad():
        made.to_counts.bias[0] = 1.0
        made.from_latent.weight.mul_(4)
        made.to_codes[1].weight.mul_(4)
    for network in (made.predictor, made.judge):
        network.standardize(arrays.counts(torch.arange(800)), arrays.values)
    with torch.no_grad():
        for network in (made.predictor, made.judge):
            network.head.weight[:4].normal_(std=0.3, generator=rng(4))
    return made.eval()


def passing(model: DING, wanted: Mapping[str, float], n: int, turns: int, seed: int) -> Tensor:
    counts = torch.cat([draw(model, wanted, n, seed + turn)[1] for turn in range(turns)])
    return counts[near(model.predictor, counts, wanted, TOLERANCE).all(1)]


def test_kept_formulas_are_the_first_that_the_network_lets_pass(
    model: DING, arrays: LabelledFormulas, monkeypatch: pytest.MonkeyPatch
) -> None:
    sieved = sieve(model, {"predictor": model.predictor}, WANTED, 30, 40, 5)["predictor"]
    counts, n_drawn = sieved
    all_draws = torch.cat([draw(model, WANTED, 30, 5 + turn)[1] for turn in range(40)])
    passed = near(model.predictor, all_draws, WANTED, TOLERANCE).all(1)
    assert len(counts) == 30
    assert (counts == all_draws[passed][:30]).all()
    assert n_drawn == int(passed.nonzero()[29]) + 1
    assert 30 < n_drawn < len(all_draws)


def test_where_too_few_pass_the_draws_end(model: DING) -> None:
    filters = {"predictor": model.predictor, "judge": model.judge}
    sieved = sieve(model, filters, WANTED, 30, 2, 5)
    for name, network in filters.items():
        counts, n_drawn = sieved[name]
        assert n_drawn == 60
        draws = torch.cat([draw(model, WANTED, 30, 5 + turn)[1] for turn in range(2)])
        assert len(counts) == int(near(network, draws, WANTED, TOLERANCE).sum()) < 30


def test_the_judge_says_what_was_kept(model: DING, arrays: LabelledFormulas, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked of itself, every kept formula is a hit; what no draw can meet keeps nothing and has no figures."""
    nowhere = {"volume_per_atom": 900.0}
    monkeypatch.setattr(ding_requests, "REQUESTS", (WANTED, nowhere))
    filters = {"predictor": model.predictor, "judge": model.judge}
    found = kept(model, filters, KNOWN, ELEMENTS, 30, 40, 5)
    by_predictor, none = found["predictor"]
    assert found["judge"][0]["hits"]["all"] == 1.0
    assert by_predictor["hits"]["all"] < 1.0
    assert by_predictor["n"] == 30
    assert by_predictor["drawn_for_each"] == by_predictor["n_drawn"] / 30 > 1
    assert none == {"wanted": nowhere, "drawn": "kept by the predictor", "n": 0, "n_drawn": 1200}
    json.dumps(found, allow_nan=False)


def test_the_same_requests_are_compared() -> None:
    """A request that keeps too few is in no mean; where all keep few, the most that one has is enough."""

    def rows(drawn: str, *found: tuple[float, int]) -> list[dict]:
        return [{"drawn": drawn, "n": n, "hits": {"all": hits}} for hits, n in found]

    drawn = rows("conditioned", (0.2, 500), (0.01, 500)) + rows("unconditioned", (0.9, 500), (0.9, 500))
    kept = {"predictor": rows("", (0.6, 500), (0.9, 7)), "guide": rows("", (0.5, 500), (0.8, 500))}
    means = {"conditioned": 0.2, "predictor": 0.6, "guide": 0.5}
    assert compared(drawn, kept) == {"least": 100, "n_requests": 1, **means}
    few = {"predictor": rows("", (0.6, 5), (0.9, 7))}
    assert compared(drawn, few) == {"least": 7, "n_requests": 1, "conditioned": 0.01, "predictor": 0.9}
    none = {"predictor": rows("", (0.6, 0), (0.9, 0))}
    assert compared(drawn, none) == {"least": 1, "n_requests": 0, "conditioned": None, "predictor": None}


def test_mixtures_are_compared_with_empty_rows_in_the_denominator() -> None:
    others = torch.tensor([[1, 2, 0, 0], [1, 1, 0, 0], [3, 0, 1, 0], [1, 1, 1, 0]])
    drawn = torch.tensor([[1, 2, 0, 0], [0, 0, 0, 0], [0, 0, 0, 5], [0, 0, 0, 0]])
    found = mixture(drawn, others)
    assert found["n_elements"] == {"0": 0.5, "1": 0.25, "2": 0.25}
    assert found["n_elements_off"] == pytest.approx((0.5 + 0.25 + 0.5 + 0.25) / 2)
    # Occurrences: 4, 3, 2, 0 of 9 beside 1, 1, 0, 1 of 3.
    assert found["elements_off"] == pytest.approx((1 / 9 + 0 + 2 / 9 + 1 / 3) / 2)
    assert mixture(others, others)["n_elements_off"] == mixture(others, others)["elements_off"] == 0


def test_free_draws_ask_for_nothing_and_have_a_row_for_chance(model: DING, arrays: LabelledFormulas) -> None:
    training, some, prior, normal = free_draws(model, arrays, 60, 5)
    assert training["n"] == 400
    assert training["n_elements_off"] == training["elements_off"] == 0
    assert some["n"] == prior["n"] == normal["n"] == 60
    assert 0 < some["elements_off"] < min(prior["elements_off"], normal["elements_off"])
    assert sum(prior["n_elements"].values()) == pytest.approx(1)
    assert prior["n_elements"] != normal["n_elements"]
    of_prior = mixture(draw(model, {}, 60, 5)[1], arrays.counts(arrays.rows_of("guide", "judge")))
    assert of_prior.items() <= prior.items()


def test_one_noise_vector_for_a_batch_gives_one_formula_a_request(model: DING, arrays: LabelledFormulas) -> None:
    found = shared_noise(model, arrays, 5)
    assert found["batch"] == BATCH
    assert 0 < found["shared, one request"] <= 1 / BATCH
    assert found["fresh, one request"] > 4 / BATCH
    assert found["shared, one request"] < found["shared, a request a row"] < found["fresh, a request a row"]


def test_requests_of_the_paper_are_asked() -> None:
    assert {"formation_energy_per_atom": -2.5, "volume_per_atom": 30.0, "energy_per_atom": -3.0} in REQUESTS


def test_empty_and_repeated_formulas_are_not_unique() -> None:
    counts = torch.tensor([[0, 0], [0, 0], [1, 0], [1, 0], [0, 1]])
    assert unique_share(counts) == pytest.approx(2 / 5)
