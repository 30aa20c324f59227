"""The priors of the voxel networks: their share of a run, and the posteriors that they learn from."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor

from matgen_core.networks.learning.loops import Losses, Schedule, fit
from matgen_core.networks.learning.runs import save_weights, shared_out
from matgen_core.networks.models.parts.blocks import Gaussian


def run_with_prior(learner: Any, device: str, minutes: float | None) -> Any:
    """Return the settings of a learner as they will be used; only a GPU computes in bfloat16.

    Args:
        learner: A dataclass with the schedules `schedule` and `prior`, and `seed`.
        device: Of the run.
        minutes: Of the whole run, shared out between the two; None leaves their own limits.
    """
    of_all, of_prior = shared_out(minutes, learner.schedule.minutes, learner.prior.minutes)
    bfloat16 = learner.schedule.bfloat16 and device == "cuda"
    return replace(
        learner,
        schedule=replace(learner.schedule, seed=learner.seed, minutes=of_all, bfloat16=bfloat16),
        prior=replace(learner.prior, seed=learner.seed, minutes=of_prior),
    )


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
