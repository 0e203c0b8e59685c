"""How far is the set of drawn faces from the set of real ones? The maths is torchmetrics'."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics.image import FrechetInceptionDistance, KernelInceptionDistance

from t2f.metrics.base import FeatureMetric, on_features
from t2f.utils.errors import require


class FrechetDistance(FeatureMetric):
    """Frechet distance of two normal distributions (Heusel et al. 2017, arXiv:1706.08500, equation 6).

    ||mu_r - mu_d||^2 + tr(C_r + C_d - 2 (C_r C_d)^(1/2)), in float64. On Inception's features it is the FID. It is
    biased upwards for few faces: two sets of one kind differ by about 0 only with far more faces than features.

    >>> from t2f.metrics.features import Reading
    >>> metric = FrechetDistance()
    >>> for real in (True, False):
    ...     features = torch.tensor([[-1.0], [1.0]]) + 3 * real
    ...     metric.update(Reading(torch.empty(2, 3, 1, 1), features, features), real)
    >>> metric.compute()
    tensor(9., dtype=torch.float64)
    """

    higher_is_better = False

    def compute(self) -> Tensor:
        drawn, real = self.both()
        distance = on_features(FrechetInceptionDistance, drawn.shape[1]).to(drawn.device)
        distance.update(drawn, real=False)
        distance.update(real, real=True)
        # Rounding makes the distance of a set to itself a hair less than 0.
        return distance.compute().clamp(min=0)


class KernelDistance(FeatureMetric):
    """Squared maximum mean discrepancy under a cubic kernel (Binkowski et al. 2018, arXiv:1801.01401), times 1,000.

    On Inception's features it is the KID, by tradition given in thousandths. Unbiased, so that it compares small sets,
    and may be a little below 0. The mean of `subsets` subsets of `subset_size` faces, or of as many as there are.
    """

    higher_is_better = False

    def __init__(self, subsets: int = 100, subset_size: int = 1000, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        require(subsets >= 1, f"KernelDistance's subsets is {subsets}: it must be at least 1.")
        require(subset_size >= 2, f"KernelDistance's subset_size is {subset_size}: it must be at least 2.")
        self.subsets = subsets
        self.subset_size = subset_size
        self.seed = seed

    def compute(self) -> Tensor:
        drawn, real = self.both()
        size = min(self.subset_size, len(drawn), len(real))
        subsets = 1 if size == len(drawn) == len(real) else self.subsets  # of all faces there is one
        distance = on_features(KernelInceptionDistance, drawn.shape[1], subsets=subsets, subset_size=size)
        distance.update(drawn, real=False)
        distance.update(real, real=True)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self.seed)  # it draws its subsets
            mean, _ = distance.compute()
        return 1000 * mean
