"""Do drawn faces look real, do they cover all kinds of real faces, and are they copies?"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from t2f.metrics.base import FeatureMetric, NotMeasurable
from t2f.utils.errors import require

ROWS = 1024  # distances held at a time, times the size of the other set


def nearest(a: Tensor, b: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k nearest rows of b (M, D) to each row of a (N, D): their distances and their numbers, each (N, k)."""
    distances, numbers = [], []
    for rows in a.split(ROWS):
        numbers.append(torch.cdist(rows, b).topk(k, largest=False).indices)
        # cdist is quick, but rounds: to it, copies are a little apart.
        distances.append((rows[:, None] - b[numbers[-1]]).norm(dim=2))
    return torch.cat(distances), torch.cat(numbers)


class PrecisionRecall(FeatureMetric):
    """Improved precision and recall (Kynkaanniemi et al. 2019, arXiv:1904.06991, equations 1 and 2).

    Precision: the share of drawn faces within the real ones' manifold; recall: that of real faces within the drawn
    ones'. A manifold is the union of balls, one about each face, out to its `neighbors`-th nearest.
    """

    higher_is_better = True

    def __init__(self, neighbors: int = 3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        require(neighbors >= 1, f"PrecisionRecall's neighbours is {neighbors}: it must be at least 1.")
        self.least = neighbors + 1

    def compute(self) -> dict[str, Tensor]:
        drawn, real = self.both()
        return {"precision": self._covered(drawn, real), "recall": self._covered(real, drawn)}

    def _covered(self, points: Tensor, by: Tensor) -> Tensor:
        # The nearest to itself is the face itself.
        radii = nearest(by, by, self.least)[0][:, -1]
        inside = [(torch.cdist(rows, by) <= radii).any(dim=1) for rows in points.split(ROWS)]
        return torch.cat(inside).double().mean()


class Diversity(FeatureMetric):
    """The mean squared distance of two drawn faces, as a share of that of two real ones.

    1: as varied as real faces; 0: one face again and again.
    """

    def compute(self) -> Tensor:
        drawn, real = (features.var(dim=0).sum() for features in self.both())
        if not real > 0:
            raise NotMeasurable("All real faces have the same features, so Variety has nothing to compare with.")
        return drawn / real


class Memorization(FeatureMetric):
    """The share of drawn faces that are as near to their nearest real face as its nearest other real face, or nearer.

    One minus the authenticity of Alaa et al. 2022 (arXiv:2102.08921, section 3). Copies have 1. New faces of the same
    kind have the share of real faces that are their nearest's nearest: 2/3 on a line, a half in many dimensions, less
    where a few faces are the nearest of many. Held-out faces tell.
    """

    def compute(self) -> Tensor:
        drawn, real = self.both()
        distance, number = (part[:, 0] for part in nearest(drawn, real, 1))
        own = nearest(real, real, 2)[0][:, 1]
        return (distance <= own[number]).double().mean()
