"""R-precision: retrieval of an image's own text among mismatched texts."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric


class RPrecision(Metric):
    """R-precision with R = 1 (Xu et al. 2018, arXiv:1711.10485, section 4.1).

    The fraction of images whose own text embedding has the highest cosine similarity among 1 + C candidates. Chance is
    1 / (1 + C). A tie of n candidates with the own text counts 1 / (1 + n).

    >>> metric = RPrecision()
    >>> image = torch.tensor([[1.0, 0.0]])
    >>> metric.update(image, torch.tensor([[1.0, 0.0]]), torch.tensor([[[0.0, 1.0], [1.0, 0.0]]]))
    >>> metric.compute()
    tensor(0.5000, dtype=torch.float64)
    """

    full_state_update = False
    higher_is_better = True
    correct: Tensor
    total: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("correct", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("total", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, images: Tensor, texts: Tensor, mismatched: Tensor) -> None:
        """Add a batch of unit vectors.

        Args:
            images: Image embeddings (B, D).
            texts: Embedding of each image's own text (B, D).
            mismatched: Embeddings of C other texts for each image (B, C, D).
        """
        own = (images * texts).sum(dim=1, keepdim=True)
        others = torch.einsum("bd,bcd->bc", images, mismatched)
        ties = others.isclose(own)
        beaten = (~(others < own) & ~ties).any(dim=1)  # written so that NaN counts as beaten
        self.correct += torch.where(beaten, 0, 1 / (1 + ties.sum(dim=1).double())).sum()
        self.total += len(images)

    def compute(self) -> Tensor:
        """Return the fraction, in [0, 1]."""
        return self.correct / self.total
