"""Accuracy of the attributes that generated images were conditioned on."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric


class AttributeAccuracy(Metric):
    """Balanced accuracy of each attribute: the mean of the recalls of both classes. Chance is 0.5.

    Args:
        attributes: Number of attributes A.

    >>> metric = AttributeAccuracy(attributes=2)
    >>> predicted = torch.tensor([[True, True], [True, False], [False, False]])
    >>> metric.update(predicted, torch.tensor([[1, 1], [0, 0], [0, -1]], dtype=torch.int8))
    >>> metric.compute()
    tensor([0.7500, 1.0000])
    """

    full_state_update = False
    correct: Tensor
    total: Tensor

    def __init__(self, attributes: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("correct", torch.zeros(2, attributes, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("total", torch.zeros(2, attributes, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, predicted: Tensor, expected: Tensor) -> None:
        """Add a batch of predictions.

        Args:
            predicted: Predicted attributes, bool (B, A).
            expected: Expected attributes, int8 (B, A): 1 present, 0 absent, -1 unspecified, which is ignored.
        """
        for value in (0, 1):
            self.total[value] += (expected == value).sum(dim=0)
            self.correct[value] += ((expected == value) & (predicted == bool(value))).sum(dim=0)

    def compute(self) -> Tensor:
        """Return the accuracies (A,) in [0, 1]; torchmetrics squeezes a single one to ().

        An attribute that was not expected both present and absent is NaN.
        """
        return (self.correct / self.total).mean(dim=0)
