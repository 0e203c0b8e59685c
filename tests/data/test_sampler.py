import numpy as np
import pytest

from t2f.data.sampler import Draw, ImageClockSampler
from t2f.growth import GrowthSchedule

FACES = 23


@pytest.fixture
def schedule() -> GrowthSchedule:
    """Batches of 12, 8 and 4; no stage is a whole number of epochs of 23 faces."""
    return GrowthSchedule([4, 8, 16], [12, 8, 4], [0, 0.5, 0.5], images=[48, 56, 40])


def draws(schedule: GrowthSchedule, start: int = 0, rank: int = 0, world_size: int = 1, seed: int = 0) -> list[Draw]:
    return list(ImageClockSampler(FACES, schedule, seed, start, rank, world_size))


def faces(some: list[Draw]) -> list[int]:
    return [int(face) for draw in some for face in draw.faces]


def captions(some: list[Draw]) -> list[float]:
    return [float(caption) for draw in some for caption in draw.caption]


def test_batch_sizes_follow_the_stages(schedule: GrowthSchedule) -> None:
    sizes = [len(draw.faces) for draw in draws(schedule)]
    assert sizes == [12] * 4 + [8] * 7 + [4] * 10
    assert [len(draw.caption) for draw in draws(schedule)] == sizes


def test_every_face_comes_exactly_once_an_epoch(schedule: GrowthSchedule) -> None:
    stream = faces(draws(schedule))
    assert len(stream) == 144
    for epoch in range(144 // FACES):
        assert sorted(stream[epoch * FACES : (epoch + 1) * FACES]) == list(range(FACES))


def test_each_epoch_has_an_order_of_its_own(schedule: GrowthSchedule) -> None:
    stream = faces(draws(schedule))
    orders = {tuple(stream[epoch * FACES : (epoch + 1) * FACES]) for epoch in range(6)}
    assert len(orders) == 6
    assert tuple(range(FACES)) not in orders


@pytest.mark.parametrize("batches", [1, 4, 5, 11, 20, 21])
def test_started_in_the_middle_it_gives_exactly_the_rest(schedule: GrowthSchedule, batches: int) -> None:
    whole = draws(schedule)
    start = sum(len(draw.faces) for draw in whole[:batches])
    rest = draws(schedule, start=start)
    assert len(rest) == len(whole) - batches
    for draw, expected in zip(rest, whole[batches:], strict=True):
        assert np.array_equal(draw.faces, expected.faces)
        assert np.array_equal(draw.caption, expected.caption)


def test_past_the_end_there_is_nothing(schedule: GrowthSchedule) -> None:
    assert draws(schedule, start=144) == draws(schedule, start=1000) == []


def test_a_sampler_can_be_gone_through_again(schedule: GrowthSchedule) -> None:
    sampler = ImageClockSampler(FACES, schedule, seed=0, start=12, rank=0, world_size=1)
    assert faces(list(sampler)) == faces(list(sampler))


def test_numpys_global_seed_does_not_matter(schedule: GrowthSchedule) -> None:
    np.random.seed(1)  # noqa: NPY002  # the global state is what must not matter
    one = draws(schedule)
    np.random.seed(2)  # noqa: NPY002  # the global state is what must not matter
    assert faces(draws(schedule)) == faces(one)
    assert captions(draws(schedule)) == captions(one)


def test_seed_changes_faces_and_captions(schedule: GrowthSchedule) -> None:
    one, other = draws(schedule, seed=0), draws(schedule, seed=1)
    assert faces(one) != faces(other)
    assert captions(one) != captions(other)


@pytest.mark.parametrize("world_size", [2, 4])
def test_processes_share_each_batch_without_gap_or_overlap(schedule: GrowthSchedule, world_size: int) -> None:
    shares = [draws(schedule, rank=rank, world_size=world_size) for rank in range(world_size)]
    for whole, *parts in zip(draws(schedule), *shares, strict=True):
        assert {len(part.faces) for part in parts} == {len(whole.faces) // world_size}
        given = sorted((face, word) for part in parts for face, word in zip(part.faces, part.caption, strict=True))
        assert given == sorted(zip(whole.faces, whole.caption, strict=True))


def test_a_batch_may_be_larger_than_the_data_set() -> None:
    (draw,) = ImageClockSampler(5, GrowthSchedule([4], [15], [0], images=[15]), 0, 0, 0, 1)
    assert np.bincount(draw.faces).tolist() == [3] * 5


def test_caption_numbers_are_uniform_in_the_unit_interval() -> None:
    schedule = GrowthSchedule([4], [100], [0], images=[4000])
    numbers = np.array(captions(list(ImageClockSampler(10, schedule, 0, 0, 0, 1))))
    assert len(np.unique(numbers)) == 4000
    assert numbers.min() >= 0
    assert numbers.max() < 1
    counts = np.histogram(numbers, bins=10, range=(0, 1))[0]
    assert np.abs(counts - 400).max() < 100  # five standard deviations


def test_a_face_gets_another_caption_number_each_epoch() -> None:
    schedule = GrowthSchedule([4], [10], [0], images=[50])
    numbers: dict[int, set[float]] = {}
    for draw in ImageClockSampler(10, schedule, 0, 0, 0, 1):
        for face, number in zip(draw.faces.tolist(), draw.caption.tolist(), strict=True):
            numbers.setdefault(face, set()).add(number)
    assert {len(each) for each in numbers.values()} == {5}
