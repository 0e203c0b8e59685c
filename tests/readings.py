"""Made-up features of faces, for the tests of metrics that compare them."""

import torch
from torch import Tensor

from t2f.metrics.features import Reading


def reading(features: Tensor, logits: Tensor | None = None) -> Reading:
    """What might have been read off N faces that nobody sees."""
    images = torch.zeros(len(features), 3, 4, 4, dtype=torch.uint8)
    return Reading(images, features, features if logits is None else logits)


def normal(seed: int, count: int, size: int, mean: float = 0, scale: float = 1) -> Tensor:
    """Correlated normal features (count, size), float32."""
    chance = torch.Generator().manual_seed(seed)
    mix = torch.randn(size, size, generator=chance) / size**0.5
    return mean + scale * torch.randn(count, size, generator=chance) @ mix
