"""Conditioning augmentation (Zhang et al. 2017, "StackGAN", arXiv:1612.03242, section 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from t2f.networks.layers import EqualizedLinear


class ConditioningAugmentation(nn.Module):
    """Draw the condition c ~ N(mu(e), diag(sigma(e)^2)) for a text embedding e.

    (B, embedding_dim) -> c, mu, log sigma^2, each (B, dim). The network gives
    log sigma^2, which needs no floor, where the original took sigma = ReLU(x) and then its logarithm.
    """

    def __init__(self, embedding_dim: int, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.project = EqualizedLinear(embedding_dim, 2 * dim, gain=1.0)

    def forward(self, embedding: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`noise`: (B, dim), standard normal."""
        mean, log_variance = self.project(embedding).float().chunk(2, dim=1)
        return mean + noise * torch.exp(0.5 * log_variance), mean, log_variance


def kl_to_standard_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mu, sigma^2) || N(0, I)) = 1/2 sum(mu^2 + sigma^2 - log sigma^2 - 1), averaged over the batch."""
    return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum(dim=1).mean()


class AsGiven(nn.Module):
    """The encoder of conditions that are embeddings already, attributes or frozen sentences: (B, E) -> (B, E)."""

    def forward(self, conditions: Tensor) -> Tensor:
        return conditions
