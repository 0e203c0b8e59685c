"""Diversity of the generator."""

from __future__ import annotations

from torch import Tensor

from t2f.objectives.base import GANStep, Objective

EPSILON = 1e-5


class ModeSeeking(Objective):
    """Rewards a generator whose samples differ where its noise does (MSGAN, Mao et al. 2019, arXiv:1903.05628).

    The term is the inverse of equation 2's ratio, d(G(z1), G(z2)) / d(z1, z2), with mean absolute differences. The
    paper generates each pair for one condition. Here a sample is compared with the next one of its process, whose
    condition may differ, which needs no second pass of the generator. Differences that the conditions cause count too,
    so the term is weaker than the paper's.
    """

    def generator_loss(self, step: GANStep) -> Tensor:
        assert step.noise is not None
        return inverse_ratio(step.fake, step.noise)


def inverse_ratio(samples: Tensor, noise: Tensor) -> Tensor:
    """Compute 1 / (mean_i |x_i - x_(i+1)| / |z_i - z_(i+1)| + 1e-5), a scalar, of samples (B, ...) and noise (B, Z).

    Raises:
        ValueError: There are less than two samples.
    """
    if len(samples) < 2:
        raise ValueError(f"samples has {len(samples)} row: mode seeking needs at least 2 in each process.")
    between_samples, between_noise = ((each - each.roll(1, 0)).abs().flatten(1).mean(1) for each in (samples, noise))
    return 1 / ((between_samples / between_noise).mean() + EPSILON)
