"""Does a face find its words among others'?"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric


class RPrecision(Metric):
    """R-precision with R = 1 (Xu et al. 2018, arXiv:1711.10485, section 4.1): how often a face's own words are nearest.

    `update` takes the unit vectors of faces (B, D), of their words (B, D), and of C other words for each (B, C, D).
    Chance is 1 / (C + 1). Words as near as the own ones count as a coin's toss among them.

    >>> metric = RPrecision()
    >>> face = torch.tensor([[1.0, 0.0]])
    >>> metric.update(face, torch.tensor([[1.0, 0.0]]), torch.tensor([[[0.0, 1.0], [1.0, 0.0]]]))
    >>> metric.compute()
    tensor(0.5000, dtype=torch.float64)
    """

    full_state_update = False
    higher_is_better = True
    found: Tensor
    expected: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("found", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("expected", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, faces: Tensor, own: Tensor, others: Tensor) -> None:
        near = (faces * own).sum(dim=1, keepdim=True)
        rivals = torch.einsum("bd,bcd->bc", faces, others)
        ties = rivals.isclose(near).sum(dim=1)
        beaten = (~(rivals < near) & ~rivals.isclose(near)).any(dim=1)  # also by what is no number
        self.found += torch.where(beaten, 0, 1 / (1 + ties.double())).sum()
        self.expected += len(faces)

    def compute(self) -> Tensor:
        return self.found / self.expected
