import math

import pytest

from t2f.training.growth_schedule import GrowthSchedule, ScheduleState
from t2f.training.lr_schedule import LinearDecay, StepDecay


def at(progress: float = 0.0, images_seen: int = 0) -> ScheduleState:
    return ScheduleState(stage=0, resolution=8, alpha=1.0, batch_size=4, progress=progress, images_seen=images_seen)


@pytest.mark.parametrize(
    ("progress", "factor"), [(0.0, 1.0), (0.59, 1.0), (0.6, 1.0), (0.7, 0.75), (0.8, 0.5), (0.9, 0.25), (1.0, 0.0)]
)
def test_linear_decay(progress: float, factor: float) -> None:
    assert LinearDecay(start=0.6)(at(progress)) == pytest.approx(factor)


def test_linear_decay_from_the_beginning_or_never() -> None:
    assert [LinearDecay(start=0)(at(progress)) for progress in (0, 0.25, 1)] == [1, 0.75, 0]
    assert [LinearDecay(start=1)(at(progress)) for progress in (0, 0.99, 1)] == [1, 1, 1]


@pytest.mark.parametrize("start", [-0.1, 1.1, math.nan])
def test_start_must_be_a_fraction(start: float) -> None:
    with pytest.raises(ValueError, match=r"start is .* fraction of the run between 0 and 1"):
        LinearDecay(start)


@pytest.mark.parametrize(
    ("images_seen", "factor"), [(0, 1.0), (499, 1.0), (500, 0.1), (501, 0.1), (999, 0.1), (1000, 0.01), (10_000, 0.01)]
)
def test_step_decay(images_seen: int, factor: float) -> None:
    assert StepDecay(images=[500, 1000], factor=0.1)(at(images_seen=images_seen)) == pytest.approx(factor, rel=1e-12)


def test_step_decay_without_steps_is_constant() -> None:
    assert [StepDecay([], 0.1)(at(images_seen=seen)) for seen in (0, 5, 50)] == [1, 1, 1]


def test_step_decay_over_a_growth_schedule() -> None:
    schedule = GrowthSchedule([4, 8], [10, 10], [0, 0], images=[150, 150])
    decay = StepDecay([100, 200], 0.1)
    factors = [decay(schedule.at(seen)) for seen in (0, 90, 99, 100, 190, 199, 200, 290)]
    assert factors == pytest.approx([1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01])
