import math

import pytest

from t2f.errors import UserError
from t2f.growth import GrowthSchedule, Position
from t2f.systems.learning_rate import LinearDecay, StepDecay


def at(progress: float = 0.0, epoch: float = math.nan) -> Position:
    return Position(stage=0, resolution=8, alpha=1.0, batch_size=4, progress=progress, epoch=epoch)


@pytest.mark.parametrize(
    ("progress", "factor"), [(0.0, 1.0), (0.59, 1.0), (0.6, 1.0), (0.7, 0.75), (0.8, 0.5), (0.9, 0.25), (1.0, 0.0)]
)
def test_linear_decay_falls_from_its_start_to_the_end(progress: float, factor: float) -> None:
    assert LinearDecay(start=0.6)(at(progress)) == pytest.approx(factor)


def test_linear_decay_may_start_at_once_or_never() -> None:
    assert [LinearDecay(start=0)(at(progress)) for progress in (0, 0.25, 1)] == [1, 0.75, 0]
    assert [LinearDecay(start=1)(at(progress)) for progress in (0, 0.99, 1)] == [1, 1, 1]


@pytest.mark.parametrize("start", [-0.1, 1.1, math.nan])
def test_a_start_outside_the_run_is_refused(start: float) -> None:
    with pytest.raises(UserError, match=r"lr_schedule\.start is .* share of the run between 0 and 1"):
        LinearDecay(start)


@pytest.mark.parametrize(
    ("epoch", "factor"),
    [(0, 1.0), (4.999, 1.0), (5, 0.1), (5.001, 0.1), (9.999, 0.1), (10, 0.01), (10.5, 0.01), (100, 0.01)],
)
def test_step_decay_multiplies_at_the_beginning_of_each_epoch_named(epoch: float, factor: float) -> None:
    assert StepDecay(epochs=[5, 10], factor=0.1)(at(epoch=epoch)) == pytest.approx(factor, rel=1e-12)


def test_step_decay_of_no_epochs_changes_nothing() -> None:
    assert [StepDecay([], 0.1)(at(epoch=epoch)) for epoch in (0, 5, 50)] == [1, 1, 1]


def test_step_decay_on_the_growth_schedules_own_clock() -> None:
    """15 epochs of 20 images: the sixth begins after 100 images, the eleventh after 200."""
    schedule = GrowthSchedule([8], [10], [0], epochs=[15], dataset_size=20)
    decay = StepDecay([5, 10], 0.1)
    factors = [decay(schedule.at(seen)) for seen in (0, 90, 99, 100, 190, 199, 200, 290)]
    assert factors == pytest.approx([1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01])
