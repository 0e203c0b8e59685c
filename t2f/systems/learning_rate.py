"""How learning rates change through a run: functions of where training stands."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from t2f.errors import require
from t2f.growth import Position


class LearningRateSchedule(ABC):
    """Position -> what the configured learning rates are multiplied with."""

    @abstractmethod
    def __call__(self, position: Position) -> float: ...


class LinearDecay(LearningRateSchedule):
    """1 up to the share `start` of the run, then linearly down to 0 at its end; `start` 1: no decay."""

    def __init__(self, start: float) -> None:
        require(0 <= start <= 1, f"lr_schedule.start is {start}: it is a share of the run between 0 and 1.")
        self.start = start

    def __call__(self, position: Position) -> float:
        return min(1.0, (1 - position.progress) / (1 - self.start)) if self.start < 1 else 1.0


class StepDecay(LearningRateSchedule):
    """Multiplied by `factor` once each of these numbers of `images` has been seen."""

    def __init__(self, images: Sequence[int], factor: float) -> None:
        self.images = list(images)
        self.factor = factor

    def __call__(self, position: Position) -> float:
        return self.factor ** sum(position.images_seen >= images for images in self.images)
