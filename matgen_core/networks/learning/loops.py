"""The training loops: the only place where weights change."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor, nn

Batch = tuple[Tensor, ...]
Losses = dict[str, float]


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to learn."""

    epochs: int
    batch_size: int
    learning_rate: float  # the peak of a one-cycle schedule
    weight_decay: float = 0.0
    warmup: float = 0.1  # share of the steps in which the rate rises
    clip: float = 1.0  # largest norm of the gradient
    seed: int = 0
    minutes: float | None = None  # wall-clock limit; the rate falls to 0 by then
    bfloat16: bool = False  # autocast, for a GPU


def fit(
    model: Any,
    tensors: Sequence[Tensor],
    schedule: Schedule,
    *,
    transform: Callable[[Batch, Generator], Batch] | None = None,
    after_epoch: Callable[[int], Losses] | None = None,
    log: Path | None = None,
) -> list[Losses]:
    """Train a model on tensors that lie on its device.

    Each step calls `model.loss(*batch, rng=rng)`, which returns a dict with "loss" and its parts.

    Args:
        model: A network with a method `loss`; it is trained in place and left in evaluation mode.
        tensors: Training data, all with the same first axis.
        schedule: Epochs, rates and limits.
        transform: Turns a drawn batch into what `loss` takes, with the random state of the run.
        after_epoch: Called with the number of the finished epoch; what it returns is logged.
        log: A file that gets one JSON line an epoch.

    Returns:
        One dict an epoch: mean of each part of the loss, learning rate, seconds so far.

    Raises:
        FloatingPointError: If the loss is no longer a number.
    """
    device = tensors[0].device
    n_rows = len(tensors[0])
    n_batches = -(-n_rows // schedule.batch_size)
    n_steps = schedule.epochs * n_batches
    rng = Generator(device).manual_seed(schedule.seed)
    optimizer = torch.optim.AdamW(
        [weight for weight in model.parameters() if weight.requires_grad],
        lr=schedule.learning_rate,
        weight_decay=schedule.weight_decay,
        fused=True,
    )
    start, step, history = time.perf_counter(), 0, []
    model.train()
    for epoch in range(schedule.epochs):
        sums: dict[str, Tensor] = {}
        for rows in torch.split(torch.randperm(n_rows, generator=rng, device=device), schedule.batch_size):
            progress = _progress(step / n_steps, start, schedule.minutes)
            for group in optimizer.param_groups:
                group["lr"] = schedule.learning_rate * _one_cycle(progress, schedule.warmup)
            batch = tuple(tensor[rows] for tensor in tensors)
            with torch.autocast(device.type, torch.bfloat16, enabled=schedule.bfloat16):
                parts = model.loss(*(transform(batch, rng) if transform else batch), rng=rng)
            optimizer.zero_grad(set_to_none=True)
            parts["loss"].backward()
            nn.utils.clip_grad_norm_(model.parameters(), schedule.clip)
            optimizer.step()
            step += 1
            for name, value in parts.items():
                sums[name] = sums.get(name, torch.zeros((), device=device)) + value.detach() * len(rows)
        losses = {name: float(total) / n_rows for name, total in sums.items()}
        if losses["loss"] != losses["loss"]:
            raise FloatingPointError(f"the loss is no longer a number in epoch {epoch + 1}: {losses}")
        if after_epoch:
            model.eval()
            losses |= after_epoch(epoch)
            model.train()
        losses |= {"learning_rate": optimizer.param_groups[0]["lr"], "seconds": time.perf_counter() - start}
        history.append(losses)
        if log:
            _append(log, {"epoch": epoch + 1, **losses})
        if schedule.minutes and losses["seconds"] >= 60 * schedule.minutes:
            break
    model.eval()
    return history


@dataclass(frozen=True)
class AdversarialSchedule:
    """How long and how fast two networks learn from each other."""

    minutes: float  # wall-clock limit; the rates fall to 0 over the last fifth
    steps: int  # of the generator, at most
    batch_size: int
    learning_rate: float = 2e-4
    critic_learning_rate: float = 4e-4
    critic_steps: int = 3  # for each of the generator
    critic_first: int = 0  # steps of the critic before the generator moves: it has to know something first
    averaging: float = 0.9995  # of the running mean of the generator's weights
    betas: tuple[float, float] = (0.0, 0.9)  # of Adam
    seed: int = 0
    report_every: int = 500  # generator steps


def fit_adversarial(
    model: Any,
    real: Callable[[int, Generator], Any],
    device: str,
    schedule: AdversarialSchedule,
    *,
    report: Callable[[], Losses] | None = None,
    log: Path | None = None,
) -> list[Losses]:
    """Train a generator against its critic, in place; the generator is left with its running mean.

    Args:
        model: A network with `generator`, `critic_loss(real, rng=)` and `generator_loss(real, rng=)`.
        real: Draws a batch of real materials of a size, as the network takes them.
        device: Where the network lies.
        schedule: Rates and limits.
        report: Called at each report, with the running mean in place; what it returns is logged.
        log: A file that gets one JSON line a report.

    Returns:
        One dict a report: generator steps, the critic's distance and penalty, seconds so far.

    Raises:
        FloatingPointError: If the distance is no longer a number.
    """
    rng = Generator(device).manual_seed(schedule.seed)
    of_generator = list(model.generator.parameters())
    known = {id(weight) for weight in of_generator}
    of_critic = [weight for weight in model.parameters() if id(weight) not in known]
    generator_step = torch.optim.Adam(of_generator, schedule.learning_rate, betas=schedule.betas, fused=True)
    critic_step = torch.optim.Adam(of_critic, schedule.critic_learning_rate, betas=schedule.betas, fused=True)
    mean = [weight.detach().clone() for weight in of_generator]
    start, history, parts = time.perf_counter(), [], {}
    model.train()
    for step in range(1, schedule.steps + 1):
        progress = _progress(step / schedule.steps, start, schedule.minutes)
        rate = min(1.0, 5 * (1 - progress))
        for optimizer, peak in (
            (generator_step, schedule.learning_rate),
            (critic_step, schedule.critic_learning_rate),
        ):
            for group in optimizer.param_groups:
                group["lr"] = peak * rate
        for _ in range(schedule.critic_steps + (schedule.critic_first if step == 1 else 0)):
            parts = model.critic_loss(real(schedule.batch_size, rng), rng=rng)
            critic_step.zero_grad(set_to_none=True)
            parts["loss"].backward(inputs=of_critic)
            critic_step.step()
        generator_step.zero_grad(set_to_none=True)
        loss = model.generator_loss(real(schedule.batch_size, rng), rng=rng)
        loss.backward(inputs=of_generator)
        generator_step.step()
        torch._foreach_lerp_(mean, of_generator, 1 - min(schedule.averaging, step / (step + 10)))
        over = progress >= 1 or step == schedule.steps
        if over or step % schedule.report_every == 0:
            losses = {name: float(parts[name].detach()) for name in ("distance", "penalty")}
            if losses["distance"] != losses["distance"]:
                raise FloatingPointError(f"the distance is no longer a number at step {step}")
            trained = [weight.detach().clone() for weight in of_generator]
            _put(of_generator, mean)
            if report:
                model.eval()
                losses |= report()
                model.train()
            if not over:
                _put(of_generator, trained)
            history.append({"step": float(step), **losses, "seconds": time.perf_counter() - start})
            if log:
                _append(log, history[-1])
        if over:
            break
    model.eval()
    return history


@torch.no_grad()
def _put(weights: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    for weight, value in zip(weights, values, strict=True):
        weight.copy_(value)


def _progress(by_steps: float, start: float, minutes: float | None) -> float:
    """Share of the run that is over, by steps or by the clock, whichever is further."""
    by_clock = (time.perf_counter() - start) / (60 * minutes) if minutes else 0.0
    return min(1.0, max(by_steps, by_clock))


def _one_cycle(progress: float, warmup: float) -> float:
    """Rise in a line to 1, fall in a line to 0."""
    return progress / warmup if progress < warmup else (1 - progress) / (1 - warmup)


def _append(path: Path, line: dict[str, Any]) -> None:
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")
