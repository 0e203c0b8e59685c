"""Interface of the text alignment metrics, which measure how well generated images match their descriptions."""

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
    """Prompts and the images generated from them.

    Attributes:
        prompt_set: N descriptions of held-out images.
        generated: Generated images, uint8 (N, 3, r, r).
        source: Data set.
        conditioner: Conditioner of the model.
        seed: Seed of the evaluation.
        cache: Folder of cached classifiers.
        device: Device of the classifiers.
    """

    prompt_set: PromptSet
    generated: Tensor
    source: FaceDataset
    conditioner: Conditioner
    seed: int
    cache: Path
    device: torch.device

    @cached_property
    def shuffled(self) -> Tensor:
        """Index of a mismatched description for each image: int64 (N,), a derangement."""
        count = len(self.generated)
        order = torch.randperm(count, generator=torch.Generator().manual_seed(self.seed))
        mismatched = torch.empty_like(order)
        mismatched[order] = order.roll(1)
        return mismatched

    @cached_property
    def described(self) -> Tensor:
        """The held-out real images that the descriptions are about: uint8 (N, 3, R, R)."""
        return torch.from_numpy(self.source.held_out.images[self.prompt_set.faces])


class TextAlignment(ABC):
    """Base class of text alignment metrics. They use a classifier or encoder that is not part of the model.

    Attributes:
        features: Name of the pretrained network that the metric reads features of, such as "EfficientNet-Lite0".
    """

    features: str | None = None

    @abstractmethod
    def __call__(self, batch: EvaluationBatch) -> EvaluationResult:
        """Measure the generated images with their own and with mismatched text, and the real images."""
