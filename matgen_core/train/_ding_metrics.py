"""What is measured of DING: what comes back, how far the predictors err, and whether a request is heard."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Generator, Tensor

from matgen_core import screening
from matgen_core.formulas import Formulas
from matgen_core.labelled_compositions import (
    CHUNK,
    LabelledFormulas,
    differences,
    draw,
    hits,
    near,
    property_errors,
)
from matgen_core.models.ding import CONDITIONS, DING
from matgen_core.models.formula_predictor import PROPERTIES, FormulaPredictor, reference_energies

TOLERANCE = dict(zip(CONDITIONS, (0.1, 1.0, 0.1), strict=True))  # eV/atom, Å^3/atom, eV/atom


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
CHECKS = (screening.neutral_check(), screening.balanced_check(), screening.smact_check())


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
        "requests": requests(model, known, arrays, n_samples, seed),
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
    training = arrays.rows_of("guide", "judge")
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


@torch.no_grad()
def told_decoder(model: DING, wanted: Mapping[str, float], n_samples: int, seed: int) -> Tensor:
    """Counts (n_samples, n_elements) of points of the standard normal, decoded under the wanted properties."""
    noise = torch.randn(n_samples, model.latent_dim, generator=Generator().manual_seed(seed))
    condition = model.condition(wanted)
    parts = [model.decode(part, condition.expand(len(part), -1)).argmax(-1) for part in noise.split(CHUNK)]
    return torch.cat(parts)


def guidance_tried(model: DING, strengths: tuple[float, ...], n_samples: int, seed: int) -> list[dict[str, float]]:
    """Mean share of hits over the requests for strengths of the guidance, as the predictor, not the judge, sees it."""
    rows = []
    for strength in strengths:
        found = []
        for wanted in REQUESTS:
            _, counts = draw(model, wanted, n_samples, seed, strength)
            seen = hits(model.predictor, counts, wanted, TOLERANCE)
            unique = len(counts[(counts > 0).any(1)].unique(dim=0)) / n_samples
            found.append((seen["all"], seen["empty"], unique))
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
    table = screening.screen(formulas[slice(0, CHECKED)].texts().tolist(), CHECKS)
    rates = screening.pass_rates(table, CHECKS)
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


def written(wanted: Mapping[str, float]) -> str:
    """Write a request as people do: "Ef -2, V 12, E -6.5"."""
    short = dict(zip(CONDITIONS, ("Ef", "V", "E"), strict=True))
    return ", ".join(f"{short[name]} {value:g}" for name, value in wanted.items())


def request_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Lay out `requests` for reading: one row a request, judged hits by way of drawing, and what the hits are."""
    lines: dict[str, dict[str, str]] = {}
    for row in rows:
        line = lines.setdefault(written(row["wanted"]), {})
        if row["drawn"] == "training formulas":
            line["training formulas (true)"] = f"{row['hits']['all']:.1%} ({row['true_hits']:.2%})"
        else:
            line[row["drawn"]] = f"{row['hits']['all']:.1%}"
        if row["drawn"] == "conditioned":
            line["conditioned, also unique and new"] = f"{row['hits_unique_and_new']:.1%}"
            line["empty"] = f"{row['hits']['empty']:.1%}"
            line["unique"] = f"{row['unique']:.1%}"
            line["new"] = f"{row['new']:.1%}"
            line["neutral"] = f"{row['charges'][CHECKS[0].name]:.0%}"
    order = (
        "conditioned",
        "conditioned, also unique and new",
        "unconditioned",
        "standard normal, decoder told",
        "training formulas (true)",
        "unique",
        "new",
        "neutral",
        "empty",
    )
    return pd.DataFrame([{"wanted": name} | {key: line[key] for key in order} for name, line in lines.items()])
