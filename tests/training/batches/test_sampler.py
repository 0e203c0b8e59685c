import math

import numpy as np
import pytest

from t2f.training.batches.sampler import BatchIndices, ImagesSeenSampler
from t2f.training.growth_schedule import GrowthSchedule

FACES = 23
ALL = np.ones(FACES, dtype=bool)
SOME = np.isin(np.arange(FACES), (1, 4, 9, 16, 20))


@pytest.fixture
def schedule() -> GrowthSchedule:
    """Batches of 12, 8 and 4; no stage is a whole number of epochs of 23 faces."""
    return GrowthSchedule([4, 8, 16], [12, 8, 4], [0, 0.5, 0.5], images=[48, 56, 40])


def draws(
    schedule: GrowthSchedule,
    start: int = 0,
    rank: int = 0,
    world_size: int = 1,
    seed: int = 0,
    labeled: np.ndarray = ALL,
    share: float = 0.5,
) -> list[BatchIndices]:
    return list(ImagesSeenSampler(labeled, share, schedule, seed, start, rank, world_size))


def faces(some: list[BatchIndices]) -> list[int]:
    return [int(face) for draw in some for face in draw.faces]


def choices(some: list[BatchIndices]) -> list[float]:
    return [float(choice) for draw in some for choice in draw.choice]


def assert_equal(some: list[BatchIndices], expected: list[BatchIndices]) -> None:
    for draw, other in zip(some, expected, strict=True):
        assert np.array_equal(draw.faces, other.faces)
        assert np.array_equal(draw.choice, other.choice)
        assert np.array_equal(draw.mirror, other.mirror)
        assert draw.labeled == other.labeled


def test_batch_sizes_follow_the_stages(schedule: GrowthSchedule) -> None:
    sizes = [len(draw.faces) for draw in draws(schedule)]
    assert sizes == [12] * 4 + [8] * 7 + [4] * 10
    assert [len(draw.choice) for draw in draws(schedule)] == sizes
    assert [len(draw.mirror) for draw in draws(schedule)] == sizes


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


@pytest.mark.parametrize("labeled", [ALL, SOME], ids=["all", "some"])
@pytest.mark.parametrize("batches", [1, 4, 5, 11, 20, 21])
def test_started_in_the_middle_it_gives_exactly_the_rest(
    schedule: GrowthSchedule, batches: int, labeled: np.ndarray
) -> None:
    whole = draws(schedule, labeled=labeled, share=0.3)
    start = sum(len(draw.faces) for draw in whole[:batches])
    assert_equal(draws(schedule, start=start, labeled=labeled, share=0.3), whole[batches:])


def test_past_the_end_there_is_nothing(schedule: GrowthSchedule) -> None:
    assert draws(schedule, start=144) == draws(schedule, start=1000) == []


def test_a_sampler_can_be_gone_through_again(schedule: GrowthSchedule) -> None:
    sampler = ImagesSeenSampler(SOME, 0.5, schedule, seed=0, start=12, rank=0, world_size=1)
    assert_equal(list(sampler), list(sampler))


def test_numpys_global_seed_does_not_matter(schedule: GrowthSchedule) -> None:
    np.random.seed(1)  # noqa: NPY002  # the global state is what must not matter
    one = draws(schedule, labeled=SOME)
    np.random.seed(2)  # noqa: NPY002  # the global state is what must not matter
    assert_equal(draws(schedule, labeled=SOME), one)


def test_seed_changes_faces_choices_and_mirrors(schedule: GrowthSchedule) -> None:
    one, other = draws(schedule, seed=0), draws(schedule, seed=1)
    assert faces(one) != faces(other)
    assert choices(one) != choices(other)
    assert not np.array_equal(one[0].mirror, other[0].mirror)


@pytest.mark.parametrize("world_size", [2, 4])
def test_processes_share_each_batch_without_gap_or_overlap(schedule: GrowthSchedule, world_size: int) -> None:
    shares = [draws(schedule, rank=rank, world_size=world_size) for rank in range(world_size)]
    for whole, *parts in zip(draws(schedule), *shares, strict=True):
        assert {len(part.faces) for part in parts} == {len(whole.faces) // world_size}
        given = sorted((face, word) for part in parts for face, word in zip(part.faces, part.choice, strict=True))
        assert given == sorted(zip(whole.faces, whole.choice, strict=True))


def test_a_batch_may_be_larger_than_the_data_set() -> None:
    (draw,) = draws(GrowthSchedule([4], [15], [0], images=[15]), labeled=np.ones(5, dtype=bool))
    assert np.bincount(draw.faces).tolist() == [3] * 5


@pytest.mark.parametrize("which", ["choice", "mirror"])
def test_numbers_to_choose_by_are_uniform_in_the_unit_interval(which: str) -> None:
    schedule = GrowthSchedule([4], [100], [0], images=[4000])
    numbers = np.concatenate([getattr(draw, which) for draw in draws(schedule)])
    assert len(np.unique(numbers)) == 4000
    assert numbers.min() >= 0
    assert numbers.max() < 1
    counts = np.histogram(numbers, bins=10, range=(0, 1))[0]
    assert np.abs(counts - 400).max() < 100  # five standard deviations


def test_mirroring_does_not_follow_the_choice_of_a_condition() -> None:
    schedule = GrowthSchedule([4], [100], [0], images=[4000])
    choice, mirror = (np.concatenate([getattr(d, name) for d in draws(schedule)]) for name in ("choice", "mirror"))
    assert abs(np.corrcoef(choice, mirror)[0, 1]) < 5 / math.sqrt(4000)


def test_a_face_gets_another_choice_each_epoch() -> None:
    schedule = GrowthSchedule([4], [10], [0], images=[50])
    numbers: dict[int, set[float]] = {}
    for draw in draws(schedule, labeled=np.ones(10, dtype=bool)):
        for face, number in zip(draw.faces.tolist(), draw.choice.tolist(), strict=True):
            numbers.setdefault(face, set()).add(number)
    assert {len(each) for each in numbers.values()} == {5}


# --- faces without conditions -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_where_all_faces_are_labelled_all_of_a_batch_counts_so(schedule: GrowthSchedule, share: float) -> None:
    whole = draws(schedule, share=share)
    assert [draw.labeled for draw in whole] == [len(draw.faces) for draw in whole]
    assert_equal(whole, draws(schedule, share=0.9))
    part = draws(schedule, share=share, rank=1, world_size=2)
    assert [draw.labeled for draw in part] == [len(draw.faces) for draw in part]


@pytest.mark.parametrize("share", [0.125, 0.3, 0.5, 0.77, 1.0])
def test_the_labeled_fraction_is_exact_at_every_moment(schedule: GrowthSchedule, share: float) -> None:
    seen = labeled = 0
    for draw in draws(schedule, labeled=SOME, share=share):
        seen, labeled = seen + len(draw.faces), labeled + draw.labeled
        assert labeled == math.floor(seen * share + 1e-9)
    assert seen == 144


def test_the_labelled_faces_come_first(schedule: GrowthSchedule) -> None:
    for draw in draws(schedule, labeled=SOME, share=0.3):
        assert SOME[draw.faces[: draw.labeled]].all()
    rest = [int(face) for draw in draws(schedule, labeled=SOME, share=0.3) for face in draw.faces[draw.labeled :]]
    assert not SOME[rest].all()


def test_every_labelled_face_comes_equally_often(schedule: GrowthSchedule) -> None:
    whole = draws(schedule, labeled=SOME, share=0.5)
    labeled = [int(face) for draw in whole for face in draw.faces[: draw.labeled]]
    for around in range(len(labeled) // 5):
        assert sorted(labeled[around * 5 : (around + 1) * 5]) == [1, 4, 9, 16, 20]


def test_the_rest_of_the_batches_goes_through_all_faces(schedule: GrowthSchedule) -> None:
    whole = draws(schedule, labeled=SOME, share=0.5)
    rest = [int(face) for draw in whole for face in draw.faces[draw.labeled :]]
    assert len(rest) == 72
    for epoch in range(3):
        assert sorted(rest[epoch * FACES : (epoch + 1) * FACES]) == list(range(FACES))


def test_with_a_share_of_one_only_labelled_faces_come(schedule: GrowthSchedule) -> None:
    whole = draws(schedule, labeled=SOME, share=1.0)
    assert set(faces(whole)) == {1, 4, 9, 16, 20}
    assert [draw.labeled for draw in whole] == [len(draw.faces) for draw in whole]


@pytest.mark.parametrize("world_size", [2, 4])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.77])
def test_processes_share_the_labelled_and_the_others(schedule: GrowthSchedule, world_size: int, share: float) -> None:
    whole = draws(schedule, labeled=SOME, share=share)
    parts = [draws(schedule, rank=r, world_size=world_size, labeled=SOME, share=share) for r in range(world_size)]
    for all_of_it, *own in zip(whole, *parts, strict=True):
        counts = [part.labeled for part in own]
        assert sum(counts) == all_of_it.labeled
        assert max(counts) - min(counts) <= 1
        first = sorted((f, c) for p in own for f, c in zip(p.faces[: p.labeled], p.choice[: p.labeled], strict=True))
        last = sorted((f, c) for p in own for f, c in zip(p.faces[p.labeled :], p.choice[p.labeled :], strict=True))
        cut = all_of_it.labeled
        assert first == sorted(zip(all_of_it.faces[:cut], all_of_it.choice[:cut], strict=True))
        assert last == sorted(zip(all_of_it.faces[cut:], all_of_it.choice[cut:], strict=True))
