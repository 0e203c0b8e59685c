import pytest

from t2f.training.callbacks.base import EveryNImages


def due_at(interval: EveryNImages, images_seen: range) -> list[int]:
    return [seen for seen in images_seen if interval.is_due(seen)]


def test_it_is_due_once_at_each_multiple() -> None:
    assert due_at(EveryNImages(10), range(0, 35)) == [10, 20, 30]


def test_it_is_due_at_the_first_batch_after_a_multiple() -> None:
    assert due_at(EveryNImages(10), range(0, 50, 7)) == [14, 21, 35, 42]


def test_several_multiples_in_one_batch_count_once() -> None:
    interval = EveryNImages(10)
    assert interval.is_due(95)
    assert not interval.is_due(99)
    assert interval.is_due(100)


@pytest.mark.parametrize("start", [0, 14, 21, 28, 35, 42])
def test_a_resumed_run_is_due_at_the_same_images(start: int) -> None:
    whole = due_at(EveryNImages(10), range(0, 100, 7))
    resumed = EveryNImages(10)
    resumed.start(start)
    assert due_at(resumed, range(start + 7, 100, 7)) == [seen for seen in whole if seen > start]
