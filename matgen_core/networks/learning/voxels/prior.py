"""What the priors of the voxel networks learn from: the posteriors of a network that is trained."""

from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor

from matgen_core.networks.learning.loops import Losses, Schedule, fit
from matgen_core.networks.learning.runs import save_weights
from matgen_core.networks.models.parts.blocks import Gaussian


def teach_prior(
    model: Any,
    known: Gaussian,
    held_out: Gaussian,
    conditions: tuple[Tensor, Tensor],
    schedule: Schedule,
    folder: Path,
    check_every: int = 20,
) -> list[Losses]:
    """Teach the prior of a trained network the posteriors of the training part; its weights go to `folder`.

    The loss on the validation part is logged beside that on the training part: where it rises, the prior learns
    the training crystals by heart.

    Args:
        model: A network with a `prior`, on the device of the run.
        known: Posteriors of the training part.
        held_out: Of the validation part.
        conditions: Of both, (n, n_conditions).
        schedule: Epochs, rates and limits.
        folder: Gets prior_losses.jsonl and weights.safetensors.
        check_every: Epochs between two looks at the validation part.
    """
    prior = model.prior.requires_grad_(True)
    prior.standardize(*known)
    device = known.mean.device

    @torch.no_grad()
    def after_epoch(epoch: int) -> Losses:
        if (epoch + 1) % check_every:
            return {}
        rng = Generator(device).manual_seed(schedule.seed)
        return {"validation": float(prior.loss(*held_out, conditions[1], rng=rng)["loss"])}

    history = fit(prior, (*known, conditions[0]), schedule, after_epoch=after_epoch, log=folder / "prior_losses.jsonl")
    save_weights(model, folder)
    return history
