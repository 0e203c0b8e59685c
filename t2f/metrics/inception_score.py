"""Are drawn faces, taken one by one, sure to be something, and together many things?"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from t2f.metrics.base import OfFeatures, require_finite, together
from t2f.metrics.features import Features
from t2f.utils.errors import require


class ClassScore(OfFeatures):
    """exp of the mean of KL(p(class | image) || p(class)) (Salimans et al. 2016, arXiv:1606.03498, section 4).

    The mean over `splits` parts of the drawn faces, shuffled by `seed`. With Inception's classes it is the Inception
    Score. These are ImageNet's classes, of which faces are none: it says little of faces.
    """

    higher_is_better = True
    logits: list[Tensor]

    def __init__(self, splits: int = 10, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        require(splits >= 1, f"ClassScore's splits is {splits}: it must be at least 1.")
        self.splits = splits
        self.seed = seed
        self.add_state("logits", [], dist_reduce_fx="cat")

    def update(self, reading: Features, real: bool) -> None:
        require_finite(reading.logits)
        if not real:
            self.logits.append(reading.logits)

    def compute(self) -> Tensor:
        logits = together(self.logits).double()
        require(len(logits) > 0, "ClassScore needs at least one drawn face, but was given none.")
        order = torch.randperm(len(logits), generator=torch.Generator().manual_seed(self.seed))
        parts = logits[order.to(logits.device)].softmax(dim=1).tensor_split(min(self.splits, len(logits)))
        return torch.stack([self._score(part) for part in parts]).mean()

    @staticmethod
    def _score(classes: Tensor) -> Tensor:
        """Of probabilities (N, C): the mean divergence from their mean is its entropy less their mean entropy."""
        return (torch.special.entr(classes.mean(dim=0)).sum() - torch.special.entr(classes).sum(dim=1).mean()).exp()
