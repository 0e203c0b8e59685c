"""Inception Score: confident and diverse class predictions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from t2f.metrics.base import ExtractorMetric, NotMeasurable, cat_state, require_finite
from t2f.metrics.features import Features


class ClassScore(ExtractorMetric):
    """exp(E_x KL(p(y | x) || p(y))) (Salimans et al. 2016, arXiv:1606.03498, section 4).

    With Inception's logits it is the Inception Score. The classes are ImageNet's, which has no class for faces, so the
    score says little about face images.

    Args:
        splits: Number of parts that the generated images are split into, at least 1. The result is their mean.
        seed: Seed that shuffles the images before the split.

    Raises:
        ValueError: If `splits` is less than 1.
    """

    higher_is_better = True
    logits: list[Tensor]

    def __init__(self, splits: int = 10, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if splits < 1:
            raise ValueError(f"splits must be at least 1, but is {splits}.")
        self.splits = splits
        self.seed = seed
        self.add_state("logits", [], dist_reduce_fx="cat")

    def update(self, batch: Features, real: bool) -> None:
        """Add the logits of a batch of generated images. Real images are ignored."""
        require_finite(batch.logits)
        if not real:
            self.logits.append(batch.logits)

    def compute(self) -> Tensor:
        """Return the mean score over the splits, at least 1.

        Raises:
            NotMeasurable: If there are no generated images.
        """
        logits = cat_state(self.logits).double()
        if len(logits) == 0:
            raise NotMeasurable("At least 1 generated image is needed, but there are 0.")
        order = torch.randperm(len(logits), generator=torch.Generator().manual_seed(self.seed))
        splits = logits[order.to(logits.device)].softmax(dim=1).tensor_split(min(self.splits, len(logits)))
        return torch.stack([self._score(split) for split in splits]).mean()

    @staticmethod
    def _score(probabilities: Tensor) -> Tensor:
        """Score of class probabilities (N, C): the mean KL divergence is H(mean of p) - mean of H(p)."""
        entropy = torch.special.entr
        return (entropy(probabilities.mean(dim=0)).sum() - entropy(probabilities).sum(dim=1).mean()).exp()
