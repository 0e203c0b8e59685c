"""Metrics on nearest neighbors in a feature space: fidelity, coverage and memorization."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from t2f.metrics.base import FeatureMetric, NotMeasurable

CHUNK_SIZE = 1024
"""Rows of a distance matrix that are in memory at a time."""


def nearest_neighbors(queries: Tensor, points: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Find the k nearest points of each query.

    Args:
        queries: Features (N, D).
        points: Features (M, D), M at least k.
        k: Number of neighbors.

    Returns:
        Euclidean distances (N, k) in ascending order, and indices into `points` (N, k).
    """
    distances, indices = [], []
    for chunk in queries.split(CHUNK_SIZE):
        indices.append(torch.cdist(chunk, points).topk(k, largest=False).indices)
        # cdist is fast but inexact: the distance of a point to itself may not be 0.
        distances.append((chunk[:, None] - points[indices[-1]]).norm(dim=2))
    return torch.cat(distances), torch.cat(indices)


class PrecisionRecall(FeatureMetric):
    """Improved precision and recall (Kynkaanniemi et al. 2019, arXiv:1904.06991, equations 1 and 2).

    Precision is the fraction of generated images in the manifold of real images; recall is the fraction of real images
    in the manifold of generated images. The manifold of a set is the union of balls around its points; the radius of a
    ball is the distance to the k-th nearest neighbor in the set.

    Args:
        neighbors: k of the k-th nearest neighbor, at least 1.

    Raises:
        ValueError: If `neighbors` is less than 1.
    """

    higher_is_better = True

    def __init__(self, neighbors: int = 3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if neighbors < 1:
            raise ValueError(f"neighbors must be at least 1, but is {neighbors}.")
        self.min_count = neighbors + 1

    def compute(self) -> dict[str, Tensor]:
        """Return {"precision": P, "recall": R}, each in [0, 1]."""
        fake, real = self.fake_and_real()
        return {"precision": self._coverage(fake, real), "recall": self._coverage(real, fake)}

    def _coverage(self, points: Tensor, manifold: Tensor) -> Tensor:
        """Fraction of the points (N, D) in the manifold of a set (M, D)."""
        # The nearest neighbor of a point in its own set is the point itself, so k + 1 are needed.
        radii = nearest_neighbors(manifold, manifold, self.min_count)[0][:, -1]
        inside = [(torch.cdist(chunk, manifold) <= radii).any(dim=1) for chunk in points.split(CHUNK_SIZE)]
        return torch.cat(inside).double().mean()


class Diversity(FeatureMetric):
    """Mean squared distance between generated images, relative to that between real images.

    The ratio of the traces of both covariance matrices: 1 if generated images vary as much as real ones, 0 if they are
    all equal.
    """

    def compute(self) -> Tensor:
        """Return the ratio, at least 0.

        Raises:
            NotMeasurable: If all real images have the same features.
        """
        fake, real = (features.var(dim=0).sum() for features in self.fake_and_real())
        if not real > 0:
            raise NotMeasurable("All real images have the same features, so relative diversity is undefined.")
        return fake / real


class Memorization(FeatureMetric):
    """Fraction of generated images that are no farther from their nearest real image than another real image is.

    One minus the authenticity of Alaa et al. 2022 (arXiv:2102.08921, section 3). Copies of real images score 1. New
    samples of the same distribution score the fraction of points that are mutual nearest neighbors: 2/3 in one
    dimension, 1/2 in many dimensions, and less where a few points are the nearest neighbors of many. Compare the value
    with that of held-out real images.
    """

    def compute(self) -> Tensor:
        """Return the fraction, in [0, 1]."""
        fake, real = self.fake_and_real()
        distance, index = (part[:, 0] for part in nearest_neighbors(fake, real, 1))
        real_distance = nearest_neighbors(real, real, 2)[0][:, 1]
        return (distance <= real_distance[index]).double().mean()
