"""Do drawn faces have the attributes that their captions asked for?"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric


class AttributeAccuracy(Metric):
    """Balanced accuracy by attribute: the mean of the shares right where asked present and where asked absent.

    `update` takes what was read off the faces, bool (B, A), and what was asked, int8 (B, A): 1 present,
    0 absent, -1 not asked. `compute` gives (A,) in [0, 1], chance 0.5 (of one attribute alone, a scalar:
    torchmetrics does so); NaN for an attribute that was not asked for both ways.

    >>> metric = AttributeAccuracy(attributes=2)
    >>> read = torch.tensor([[True, True], [True, False], [False, False]])
    >>> metric.update(read, torch.tensor([[1, 1], [0, 0], [0, -1]], dtype=torch.int8))
    >>> metric.compute()
    tensor([0.7500, 1.0000])
    """

    full_state_update = False
    right: Tensor
    expected: Tensor

    def __init__(self, attributes: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("right", torch.zeros(2, attributes, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("expected", torch.zeros(2, attributes, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, read: Tensor, expected: Tensor) -> None:
        for value in (0, 1):
            self.expected[value] += (expected == value).sum(dim=0)
            self.right[value] += ((expected == value) & (read == bool(value))).sum(dim=0)

    def compute(self) -> Tensor:
        return (self.right / self.expected).mean(dim=0)
