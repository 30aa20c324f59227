"""What is measured of requests to DING: how samples are drawn and kept, and how many lie where they were asked for."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from matgen_core import checks
from matgen_core.materials.formulas import Formulas
from matgen_core.networks.arrays.formulas import CHUNK, LabelledFormulas
from matgen_core.networks.arrays.splits import TRAINING_GROUPS
from matgen_core.networks.learning.draws import draw, hits, near
from matgen_core.networks.models.ding import CONDITIONS, DING
from matgen_core.networks.models.parts.formula_predictor import PROPERTIES, TOLERANCE, FormulaPredictor


def _request(*values: float | None) -> dict[str, float]:
    return {name: value for name, value in zip(CONDITIONS, values, strict=False) if value is not None}


PAPERS = (_request(-2.0, 12.0, -6.5), _request(-2.5, 30.0, -3.0))
REQUESTS = (
    *(_request(energy) for energy in (-3.0, -2.0, -1.0, 0.0)),
    *(_request(None, volume) for volume in (12.0, 20.0, 30.0, 45.0)),
    *(_request(None, None, energy) for energy in (-8.0, -5.0)),
    *(_request(energy, volume) for energy, volume in ((-2.0, 12.0), (-1.0, 20.0), (-0.5, 30.0))),
    *PAPERS,
)
CHECKED = 300  # samples of each kind whose charges are looked at
CHECKS = (checks.neutral_check(), checks.balanced_check(), checks.smact_check())
BATCH = 256  # of the published network


def requests(model: DING, known: Formulas, arrays: LabelledFormulas, n_samples: int, seed: int) -> list[dict[str, Any]]:
    """Draw for each request and let the judge say what came.

    Returns:
        One row for each request and way of drawing: "conditioned" by the learned prior, "standard normal, decoder
        told" as the published network draws, "unconditioned" by the learned prior, and "training formulas", whose
        measured values are counted beside the judged ones. Every sample is in the denominator, the empty ones too.
    """
    keys = np.unique(known.reduced().keys())
    elements = arrays.formulas.elements
    _, plain = draw(model, {}, n_samples, seed)
    unconditioned = _described(plain, elements, keys)
    training = arrays.rows_of(*TRAINING_GROUPS)
    training = training[~arrays.values[training, :3].isnan().any(1)]
    chosen = training[torch.randperm(len(training), generator=Generator().manual_seed(seed))[:n_samples]]
    rows = []
    for wanted in REQUESTS:
        _, counts = draw(model, wanted, n_samples, seed)
        rows.append(_row(model, wanted, "conditioned", counts, _described(counts, elements, keys)))
        told = told_decoder(model, wanted, n_samples, seed)
        rows.append(_row(model, wanted, "standard normal, decoder told", told, _described(told, elements, keys)))
        rows.append(_row(model, wanted, "unconditioned", plain, unconditioned))
        rows.append(
            {
                "wanted": wanted,
                "drawn": "training formulas",
                "n": len(chosen),
                "hits": hits(model.judge, arrays.counts(chosen), wanted, TOLERANCE),
                "true_hits": _true_hits(arrays.values[training], wanted),
                "n_true": len(training),
            }
        )
    return rows


def kept(
    model: DING,
    filters: Mapping[str, FormulaPredictor],
    known: Formulas,
    elements: tuple[str, ...],
    n_kept: int,
    most: int,
    seed: int,
) -> dict[str, list[dict[str, Any]]]:
    """Draw under each request until a network has let enough formulas pass, and let the judge say what passed.

    All networks see the same draws.

    Args:
        model: The generator and the judge.
        filters: Networks by name; each lets a formula pass that it puts within the tolerance.
        known: Formulas that a new one must not be among.
        elements: Of the tables.
        n_kept: Formulas that shall pass for each request.
        most: Draws for each of them, at most; then fewer have passed.
        seed: Of the draws.

    Returns:
        For each network, one row a request: the row of `requests` with how many were kept ("n") and "drawn_for_each";
        no figures where none was kept.
    """
    keys = np.unique(known.reduced().keys())
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in filters}
    for wanted in REQUESTS:
        for name, (counts, n_drawn) in sieve(model, filters, wanted, n_kept, most, seed).items():
            row: dict[str, Any] = {"wanted": dict(wanted), "drawn": f"kept by the {name}", "n": 0}
            if len(counts):
                row = _row(model, wanted, f"kept by the {name}", counts, _described(counts, elements, keys))
                row["drawn_for_each"] = n_drawn / len(counts)
            found[name].append(row | {"n_drawn": n_drawn})
    return found


def sieve(
    model: DING, filters: Mapping[str, FormulaPredictor], wanted: Mapping[str, float], n_kept: int, most: int, seed: int
) -> dict[str, tuple[Tensor, int]]:
    """Counts that each network lets pass, (at most n_kept, n_elements), and how many were drawn until the last."""
    passed: dict[str, list[Tensor]] = {name: [] for name in filters}
    n_passed, n_drawn = dict.fromkeys(filters, 0), dict.fromkeys(filters, 0)
    for turn in range(most):
        _, counts = draw(model, wanted, n_kept, seed + turn)
        for name, network in filters.items():
            lacking = n_kept - n_passed[name]
            if not lacking:
                continue
            places = near(network, counts, wanted, TOLERANCE).all(1).nonzero()[:lacking, 0]
            passed[name].append(counts[places])
            n_passed[name] += len(places)
            n_drawn[name] += int(places[-1]) + 1 if len(places) == lacking else len(counts)
        if all(n == n_kept for n in n_passed.values()):
            break
    return {name: (torch.cat(parts), n_drawn[name]) for name, parts in passed.items()}


@torch.no_grad()
def told_decoder(model: DING, wanted: Mapping[str, float], n_samples: int, seed: int) -> Tensor:
    """Counts (n_samples, n_elements) of points of the standard normal, decoded under the wanted properties, if any."""
    noise = torch.randn(n_samples, model.latent_dim, generator=Generator().manual_seed(seed))
    condition = model.condition(wanted).expand(n_samples, -1) if wanted else None
    return _decoded(model, noise, condition)


def shared_noise(model: DING, arrays: LabelledFormulas, seed: int) -> dict[str, float]:
    """Share of unique formulas in a batch as the released code draws it, one noise vector for all, and with fresh ones.

    Points are of the standard normal and the decoder is told: one request for the whole batch (mean over `REQUESTS`),
    or for each row the properties of another training formula.
    """
    rng = Generator().manual_seed(seed)
    fresh = torch.randn(BATCH, model.latent_dim, generator=rng)
    training = arrays.rows_of(*TRAINING_GROUPS)
    training = training[~arrays.values[training, :3].isnan().any(1)]
    values = arrays.values[training[torch.randperm(len(training), generator=rng)[:BATCH]], :3]
    told = model.condition_of(**dict(zip(CONDITIONS, values.T, strict=True)))
    found = {"batch": float(BATCH)}
    for name, noise in (("shared", fresh[:1].expand(BATCH, -1)), ("fresh", fresh)):
        one_request = [_decoded(model, noise, model.condition(wanted).expand(BATCH, -1)) for wanted in REQUESTS]
        found[f"{name}, one request"] = float(np.mean([unique_share(counts) for counts in one_request]))
        found[f"{name}, a request a row"] = unique_share(_decoded(model, noise, told[: len(noise)]))
    return found


@torch.no_grad()
def _decoded(model: DING, z: Tensor, condition: Tensor | None) -> Tensor:
    parts = []
    for start in range(0, len(z), CHUNK):
        part = slice(start, start + CHUNK)
        parts.append(model.decode(z[part], None if condition is None else condition[part]).argmax(-1))
    return torch.cat(parts)


def unique_share(counts: Tensor) -> float:
    """Share of all rows that are a formula and the first of their kind."""
    return len(counts[(counts > 0).any(1)].unique(dim=0)) / len(counts)


def guidance_tried(model: DING, strengths: tuple[float, ...], n_samples: int, seed: int) -> list[dict[str, float]]:
    """Mean share of hits over the requests for strengths of the guidance, as the predictor, not the judge, sees it."""
    rows = []
    for strength in strengths:
        found = []
        for wanted in REQUESTS:
            _, counts = draw(model, wanted, n_samples, seed, strength)
            seen = hits(model.predictor, counts, wanted, TOLERANCE)
            found.append((seen["all"], seen["empty"], unique_share(counts)))
        means = np.mean(found, axis=0)
        rows.append(
            {"guidance": strength, "hits": float(means[0]), "empty": float(means[1]), "unique": float(means[2])}
        )
    return rows


def _described(counts: Tensor, elements: tuple[str, ...], known: np.ndarray) -> dict[str, Any]:
    """Which samples are formulas, first of their kind, new, and what the checks say of the first `CHECKED`."""
    formulas = Formulas.of_table(counts.numpy(), elements)
    reduced = formulas.reduced()
    keys = reduced.keys()
    made = formulas.n_elements > 0
    first = np.zeros(len(keys), bool)
    first[np.unique(keys, return_index=True)[1]] = True
    table = checks.screen(formulas[slice(0, CHECKED)].texts().tolist(), CHECKS)
    rates = checks.pass_rates(table, CHECKS)
    return {
        "unique": first & made,
        "new": made & ~np.isin(keys, known),
        "charges": {check.name: float(rates.loc[check.name, "passed"]) for check in CHECKS},
    }


def _row(
    model: DING, wanted: Mapping[str, float], drawn: str, counts: Tensor, described: Mapping[str, Any]
) -> dict[str, Any]:
    found = hits(model.judge, counts, wanted, TOLERANCE)
    hit = near(model.judge, counts, wanted, TOLERANCE).all(1).numpy()
    good = hit & described["unique"] & described["new"]
    return {
        "wanted": dict(wanted),
        "drawn": drawn,
        "n": len(counts),
        "hits": found,
        "unique": float(described["unique"].mean()),
        "new": float(described["new"].mean()),
        "hits_unique_and_new": float(good.mean()),
        "charges": described["charges"],
    }


def _true_hits(values: Tensor, wanted: Mapping[str, float]) -> float:
    hit = torch.ones(len(values), dtype=torch.bool)
    for name, value in wanted.items():
        hit &= (values[:, PROPERTIES.index(name)] - value).abs() <= TOLERANCE[name]
    return float(hit.float().mean())
