"""Conditioning augmentation (Zhang et al. 2017, "StackGAN", arXiv:1612.03242, section 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from t2f.networks.layers import EqualizedLinear

Moments = tuple[Tensor, Tensor]
"""Mean and log-variance (B, dim) of a normal distribution."""


class ConditioningAugmentation(nn.Module):
    """Samples the condition c = mu(e) + sigma(e) * noise of a text embedding e, so c ~ N(mu(e), diag(sigma(e)^2)).

    One linear layer outputs mu and log sigma^2. T2F used sigma = ReLU(x), whose logarithm is -inf at 0.

    Args:
        embedding_dim: Length of e.
        dim: Length of c.
    """

    def __init__(self, embedding_dim: int, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.project = EqualizedLinear(embedding_dim, 2 * dim, gain=1.0)

    def forward(self, embedding: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Sample conditions.

        Args:
            embedding: float (B, embedding_dim).
            noise: float (B, dim), standard normal. Zeros give the mean.

        Returns:
            float32 c, mu and log sigma^2, (B, dim) each.
        """
        mean, log_variance = self.project(embedding).float().chunk(2, dim=1)
        return mean + noise * torch.exp(0.5 * log_variance), mean, log_variance
