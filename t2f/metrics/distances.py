"""Distances between the distributions of generated and real images in a feature space, computed by torchmetrics."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics.image import FrechetInceptionDistance, KernelInceptionDistance

from t2f.metrics.base import FeatureMetric, on_features


class FrechetDistance(FeatureMetric):
    """Frechet distance of two normal distributions (Heusel et al. 2017, arXiv:1706.08500, equation 6).

    ||mu_r - mu_f||^2 + tr(C_r + C_f - 2 (C_r C_f)^(1/2)), computed in float64. On Inception features it is the FID. The
    estimate is biased upwards for small samples; use far more images than features.

    >>> from t2f.metrics.features import Features
    >>> metric = FrechetDistance()
    >>> for real in (True, False):
    ...     features = torch.tensor([[-1.0], [1.0]]) + 3 * real
    ...     metric.update(Features(torch.empty(2, 3, 1, 1), features, features), real)
    >>> metric.compute()
    tensor(9., dtype=torch.float64)
    """

    higher_is_better = False

    def compute(self) -> Tensor:
        """Return the distance, at least 0."""
        fake, real = self.fake_and_real()
        distance = on_features(FrechetInceptionDistance, fake.shape[1]).to(fake.device)
        distance.update(fake, real=False)
        distance.update(real, real=True)
        # Rounding can make the distance of a set to itself slightly negative.
        return distance.compute().clamp(min=0)


class KernelDistance(FeatureMetric):
    """Squared maximum mean discrepancy under a cubic kernel (Binkowski et al. 2018, arXiv:1801.01401), times 1,000.

    On Inception features it is the KID, which papers report times 1,000. The estimator is unbiased, so it suits small
    samples and may be slightly negative. The result is the mean over random subsets of both sets.

    Args:
        subsets: Number of subsets, at least 1.
        subset_size: Images in a subset, at least 2. A smaller set is used as a whole.
        seed: Seed that chooses the subsets.

    Raises:
        ValueError: If an argument is out of its range.
    """

    higher_is_better = False

    def __init__(self, subsets: int = 100, subset_size: int = 1000, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if subsets < 1:
            raise ValueError(f"subsets must be at least 1, but is {subsets}.")
        if subset_size < 2:
            raise ValueError(f"subset_size must be at least 2, but is {subset_size}.")
        self.subsets = subsets
        self.subset_size = subset_size
        self.seed = seed

    def compute(self) -> Tensor:
        """Return the mean over the subsets."""
        fake, real = self.fake_and_real()
        size = min(self.subset_size, len(fake), len(real))
        subsets = 1 if size == len(fake) == len(real) else self.subsets  # all subsets would be equal
        distance = on_features(KernelInceptionDistance, fake.shape[1], subsets=subsets, subset_size=size)
        distance.update(fake, real=False)
        distance.update(real, real=True)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self.seed)  # torchmetrics samples the subsets from the global generator
            mean, _ = distance.compute()
        return 1000 * mean
