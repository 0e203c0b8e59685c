"""Learning-rate schedules: functions of the state of the growth schedule."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from t2f.training.growth_schedule import ScheduleState


class LearningRateSchedule(ABC):
    """Maps the state of the schedule to a factor of the configured learning rates."""

    @abstractmethod
    def __call__(self, state: ScheduleState) -> float: ...


class LinearDecay(LearningRateSchedule):
    """1 until the fraction `start` of the run, then linear decay to 0 at its end.

    Args:
        start: Fraction of the run, in [0, 1]; 1: no decay.

    Raises:
        ValueError: `start` is out of range.
    """

    def __init__(self, start: float = 1.0) -> None:
        if not 0 <= start <= 1:
            raise ValueError(f"start is {start}: it is a fraction of the run between 0 and 1.")
        self.start = start

    def __call__(self, state: ScheduleState) -> float:
        return min(1.0, (1 - state.progress) / (1 - self.start)) if self.start < 1 else 1.0


class StepDecay(LearningRateSchedule):
    """Multiplies by `factor` at each of these numbers of images seen.

    Args:
        images: Images seen at each decay.
        factor: Factor of each decay.
    """

    def __init__(self, images: Sequence[int], factor: float = 0.1) -> None:
        self.images = list(images)
        self.factor = factor

    def __call__(self, state: ScheduleState) -> float:
        return self.factor ** sum(state.images_seen >= images for images in self.images)
