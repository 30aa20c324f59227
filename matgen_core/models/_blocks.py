"""Layers that three or more models use unchanged."""

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn


class Gaussian(NamedTuple):
    """A diagonal Gaussian over latent points, (B, latent_dim) each."""

    mean: Tensor
    log_var: Tensor

    def sample(self, rng: Generator | None = None) -> Tensor:
        """Draw one point a row; gradients flow to mean and log_var."""
        noise = torch.empty_like(self.mean).normal_(generator=rng)
        return self.mean + (0.5 * self.log_var).exp() * noise

    def kl(self) -> Tensor:
        """KL divergence from the standard normal, in nats, shape (B,)."""
        return 0.5 * (self.mean.square() + self.log_var.exp() - 1 - self.log_var).sum(-1)


def mlp(*sizes: int) -> nn.Sequential:
    """Linear layers of these sizes with SiLU between them and none after the last."""
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), nn.SiLU()]
    return nn.Sequential(*layers[:-1])
