"""Formulas drawn by DING under wanted properties, and how many of them a network puts where they were asked for."""

from collections.abc import Mapping

import torch
from torch import Generator, Tensor

from matgen_core.networks.arrays.formulas import CHUNK
from matgen_core.networks.models.ding import DING
from matgen_core.networks.models.parts.formula_predictor import PROPERTIES, FormulaPredictor


@torch.no_grad()
def draw(
    model: DING, wanted: Mapping[str, float], n_samples: int, seed: int, guidance: float | None = None
) -> tuple[Tensor, Tensor]:
    """Draw formulas under wanted properties.

    Args:
        model: The networks, on any device.
        wanted: Values by property; draws from the whole prior if empty.
        n_samples: How many.
        seed: The same seed draws the same formulas on a device.
        guidance: In place of that of the config.

    Returns:
        Latent points (n_samples, latent_dim) and counts (n_samples, n_elements); a row of 0 is no formula.
    """
    device = model.condition_mean.device
    noise = torch.randn(n_samples, model.latent_dim, generator=Generator().manual_seed(seed)).to(device)
    condition = model.condition(wanted) if wanted else None
    points, counts = [], []
    for part in noise.split(CHUNK):
        asked = None if condition is None else condition.expand(len(part), -1)
        z = model.prior.sample(part, asked, guidance=guidance)
        points.append(z)
        counts.append(model.decode(z).argmax(-1))
    return torch.cat(points), torch.cat(counts)


@torch.no_grad()
def near(
    judge: FormulaPredictor, counts: Tensor, wanted: Mapping[str, float], tolerance: Mapping[str, float]
) -> Tensor:
    """Whether judged properties lie as near to the wanted ones as they may, (B, n_wanted); empty formulas never do."""
    mean = torch.cat([judge.predict(part)[0] for part in counts.split(CHUNK)])
    made = (counts > 0).any(1)
    columns = [
        ((mean[:, PROPERTIES.index(name)] - value).abs() <= tolerance[name]) & made for name, value in wanted.items()
    ]
    return torch.stack(columns, 1)


def hits(
    judge: FormulaPredictor, counts: Tensor, wanted: Mapping[str, float], tolerance: Mapping[str, float]
) -> dict[str, float]:
    """Share of all formulas that hit each wanted value, that hit all of them, and that are empty."""
    found = near(judge, counts, wanted, tolerance)
    shares = dict(zip(wanted, found.float().mean(0).tolist(), strict=True))
    return {
        "all": float(found.all(1).float().mean()),
        **shares,
        "empty": float((counts == 0).all(1).float().mean()),
    }
