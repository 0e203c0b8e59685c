"""Are drawn faces, taken one by one, sure to be something, and together many things?"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics.image import InceptionScore

from t2f.errors import require
from t2f.metrics.comparison import OfFeatures, on_features, require_finite
from t2f.metrics.features import Reading


class ClassScore(OfFeatures):
    """exp of the mean of KL(p(class | image) || p(class)) (Salimans et al. 2016, arXiv:1606.03498, section 4).

    The mean over `splits` parts of the drawn faces, shuffled by `seed`. With Inception's classes it is the Inception
    Score. These are ImageNet's classes, of which faces are none: it says little of faces.
    """

    higher_is_better = True
    logits: list[Tensor]

    def __init__(self, splits: int = 10, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.splits = splits
        self.seed = seed
        self.add_state("logits", [], dist_reduce_fx="cat")

    def update(self, reading: Reading, real: bool) -> None:
        require_finite(reading.logits)
        if not real:
            self.logits.append(reading.logits)

    def compute(self) -> Tensor:
        logits = torch.cat(list(self.logits)).double() if len(self.logits) else torch.empty(0, 0)
        require(len(logits) > 0, "ClassScore needs at least one drawn face, but was given none.")
        score = on_features(InceptionScore, logits.shape[1], splits=min(self.splits, len(logits)))
        score.update(logits)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self.seed)  # it shuffles
            mean, _ = score.compute()
        return mean
