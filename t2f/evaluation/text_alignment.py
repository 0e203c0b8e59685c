"""Do the faces have what the words asked for? Three ways to ask come on this one interface."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from t2f.conditioning.base import Conditioner, PromptSet
from t2f.evaluation.metric_value import EvaluationResult
from t2f.training.batches.datamodule import FaceDataset


@dataclass(frozen=True)
class EvaluationBatch:
    """An exam, and the faces drawn for it: uint8 (N, 3, r, r); with all that is needed to mark it.

    Classifiers are trained, and run, on `device`.
    """

    prompt_set: PromptSet
    drawn: Tensor
    source: FaceDataset
    conditioner: Conditioner
    seed: int
    cache: Path
    device: torch.device

    @cached_property
    def shuffled(self) -> Tensor:
        """For each face, the number of another one's words: (N,), a derangement of the numbers."""
        count = len(self.drawn)
        order = torch.randperm(count, generator=torch.Generator().manual_seed(self.seed))
        others = torch.empty_like(order)
        others[order] = order.roll(1)
        return others

    @cached_property
    def described(self) -> Tensor:
        """The real held-out faces that the words were written of: uint8 (N, 3, R, R)."""
        return torch.from_numpy(self.source.held_out.images[self.prompt_set.faces])


class TextAlignment(ABC):
    """A reader of faces that is no part of the model, and marks an exam."""

    @abstractmethod
    def __call__(self, batch: EvaluationBatch) -> EvaluationResult:
        """Figures for the words asked, for shuffled ones, and of real faces."""
