"""Regularization of conditioning augmentation."""

from __future__ import annotations

from torch import Tensor

from t2f.objectives.base import GANStep, Objective


class ConditioningKL(Objective):
    """KL(N(mu, sigma^2) || N(0, I)) of the generator's condition (StackGAN, arXiv:1612.03242, equation 2).

    There is no term without conditioning augmentation.
    """

    def generator_loss(self, step: GANStep) -> Tensor | None:
        return None if step.moments is None else kl_to_standard_normal(*step.moments)


def kl_to_standard_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Compute 1/2 sum(mu^2 + sigma^2 - log sigma^2 - 1) of mean and log-variance (B, dim), averaged over the batch."""
    return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum(dim=1).mean()
