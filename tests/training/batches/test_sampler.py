import math

import numpy as np
import pytest

from t2f.training.batches.sampler import BatchIndices, ImagesSeenSampler
from t2f.training.growth_schedule import GrowthSchedule

NUM_FACES = 23
ALL = np.ones(NUM_FACES, dtype=bool)
SOME = np.isin(np.arange(NUM_FACES), (1, 4, 9, 16, 20))


@pytest.fixture
def schedule() -> GrowthSchedule:
    """Batches of 12, 8 and 4; no stage is a whole number of epochs of 23 faces."""
    return GrowthSchedule([4, 8, 16], [12, 8, 4], [0, 0.5, 0.5], images=[48, 56, 40])


def sample(
    schedule: GrowthSchedule,
    start: int = 0,
    rank: int = 0,
    world_size: int = 1,
    seed: int = 0,
    labeled: np.ndarray = ALL,
    fraction: float = 0.5,
) -> list[BatchIndices]:
    return list(ImagesSeenSampler(labeled, fraction, schedule, seed, start, rank, world_size))


def faces_of(some: list[BatchIndices]) -> list[int]:
    return [int(face) for indices in some for face in indices.faces]


def choices_of(some: list[BatchIndices]) -> list[float]:
    return [float(choice) for indices in some for choice in indices.choice]


def assert_equal(some: list[BatchIndices], expected: list[BatchIndices]) -> None:
    for indices, other in zip(some, expected, strict=True):
        assert np.array_equal(indices.faces, other.faces)
        assert np.array_equal(indices.choice, other.choice)
        assert np.array_equal(indices.mirror, other.mirror)
        assert indices.labeled == other.labeled


def test_batch_sizes_follow_the_stages(schedule: GrowthSchedule) -> None:
    sizes = [len(indices.faces) for indices in sample(schedule)]
    assert sizes == [12] * 4 + [8] * 7 + [4] * 10
    assert [len(indices.choice) for indices in sample(schedule)] == sizes
    assert [len(indices.mirror) for indices in sample(schedule)] == sizes


def test_each_face_occurs_once_per_epoch(schedule: GrowthSchedule) -> None:
    stream = faces_of(sample(schedule))
    assert len(stream) == 144
    for epoch in range(144 // NUM_FACES):
        assert sorted(stream[epoch * NUM_FACES : (epoch + 1) * NUM_FACES]) == list(range(NUM_FACES))


def test_each_epoch_has_its_own_order(schedule: GrowthSchedule) -> None:
    stream = faces_of(sample(schedule))
    orders = {tuple(stream[epoch * NUM_FACES : (epoch + 1) * NUM_FACES]) for epoch in range(6)}
    assert len(orders) == 6
    assert tuple(range(NUM_FACES)) not in orders


@pytest.mark.parametrize("labeled", [ALL, SOME], ids=["all", "some"])
@pytest.mark.parametrize("batches", [1, 4, 5, 11, 20, 21])
def test_a_resumed_sampler_gives_the_remaining_batches(
    schedule: GrowthSchedule, batches: int, labeled: np.ndarray
) -> None:
    whole = sample(schedule, labeled=labeled, fraction=0.3)
    start = sum(len(indices.faces) for indices in whole[:batches])
    assert_equal(sample(schedule, start=start, labeled=labeled, fraction=0.3), whole[batches:])


@pytest.mark.parametrize("labeled", [ALL, SOME], ids=["all", "some"])
@pytest.mark.parametrize("start", [0, 96])
def test_overfit_repeats_the_first_batch_in_the_size_of_the_stage(
    schedule: GrowthSchedule, start: int, labeled: np.ndarray
) -> None:
    sizes = [len(indices.faces) for indices in sample(schedule, start=start)]
    repeated = list(ImagesSeenSampler(labeled, 0.5, schedule, 0, start, 0, 1, overfit=True))
    assert [len(indices.faces) for indices in repeated] == sizes
    for indices in repeated:
        size = len(indices.faces)
        first = sample(GrowthSchedule([4], [size], 0, images=[size]), labeled=labeled)
        assert_equal([indices], first)


def test_there_are_no_batches_after_the_end(schedule: GrowthSchedule) -> None:
    assert sample(schedule, start=144) == sample(schedule, start=1000) == []


def test_a_sampler_can_be_iterated_twice(schedule: GrowthSchedule) -> None:
    sampler = ImagesSeenSampler(SOME, 0.5, schedule, seed=0, start=12, rank=0, world_size=1)
    assert_equal(list(sampler), list(sampler))


def test_the_global_seed_of_numpy_has_no_effect(schedule: GrowthSchedule) -> None:
    np.random.seed(1)  # noqa: NPY002  # the global seed is under test
    one = sample(schedule, labeled=SOME)
    np.random.seed(2)  # noqa: NPY002  # the global seed is under test
    assert_equal(sample(schedule, labeled=SOME), one)


def test_the_seed_changes_faces_choices_and_mirroring(schedule: GrowthSchedule) -> None:
    one, other = sample(schedule, seed=0), sample(schedule, seed=1)
    assert faces_of(one) != faces_of(other)
    assert choices_of(one) != choices_of(other)
    assert not np.array_equal(one[0].mirror, other[0].mirror)


@pytest.mark.parametrize("world_size", [2, 4])
def test_processes_shard_each_batch_without_gaps_or_overlap(schedule: GrowthSchedule, world_size: int) -> None:
    shards = [sample(schedule, rank=rank, world_size=world_size) for rank in range(world_size)]
    for whole, *parts in zip(sample(schedule), *shards, strict=True):
        assert {len(part.faces) for part in parts} == {len(whole.faces) // world_size}
        pairs = sorted((face, choice) for part in parts for face, choice in zip(part.faces, part.choice, strict=True))
        assert pairs == sorted(zip(whole.faces, whole.choice, strict=True))


def test_a_batch_may_be_larger_than_the_data_set() -> None:
    (indices,) = sample(GrowthSchedule([4], [15], [0], images=[15]), labeled=np.ones(5, dtype=bool))
    assert np.bincount(indices.faces).tolist() == [3] * 5


@pytest.mark.parametrize("name", ["choice", "mirror"])
def test_choice_and_mirror_are_uniform(name: str) -> None:
    schedule = GrowthSchedule([4], [100], [0], images=[4000])
    numbers = np.concatenate([getattr(indices, name) for indices in sample(schedule)])
    assert len(np.unique(numbers)) == 4000
    assert numbers.min() >= 0
    assert numbers.max() < 1
    counts = np.histogram(numbers, bins=10, range=(0, 1))[0]
    assert np.abs(counts - 400).max() < 100  # five standard deviations


def test_choice_and_mirror_are_uncorrelated() -> None:
    schedule = GrowthSchedule([4], [100], [0], images=[4000])
    choice, mirror = (np.concatenate([getattr(d, name) for d in sample(schedule)]) for name in ("choice", "mirror"))
    assert abs(np.corrcoef(choice, mirror)[0, 1]) < 5 / math.sqrt(4000)


def test_a_face_has_another_choice_in_each_epoch() -> None:
    schedule = GrowthSchedule([4], [10], [0], images=[50])
    numbers: dict[int, set[float]] = {}
    for indices in sample(schedule, labeled=np.ones(10, dtype=bool)):
        for face, number in zip(indices.faces.tolist(), indices.choice.tolist(), strict=True):
            numbers.setdefault(face, set()).add(number)
    assert {len(choices) for choices in numbers.values()} == {5}


# --- unlabeled faces --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fraction", [0.1, 0.5])
def test_labeled_fraction_has_no_effect_if_all_faces_are_labeled(schedule: GrowthSchedule, fraction: float) -> None:
    whole = sample(schedule, fraction=fraction)
    assert [indices.labeled for indices in whole] == [len(indices.faces) for indices in whole]
    assert_equal(whole, sample(schedule, fraction=0.9))
    part = sample(schedule, fraction=fraction, rank=1, world_size=2)
    assert [indices.labeled for indices in part] == [len(indices.faces) for indices in part]


@pytest.mark.parametrize("fraction", [0.125, 0.3, 0.5, 0.77, 1.0])
def test_the_labeled_fraction_is_exact_after_each_batch(schedule: GrowthSchedule, fraction: float) -> None:
    seen = labeled = 0
    for indices in sample(schedule, labeled=SOME, fraction=fraction):
        seen, labeled = seen + len(indices.faces), labeled + indices.labeled
        assert labeled == math.floor(seen * fraction + 1e-9)
    assert seen == 144


def test_labeled_faces_come_first(schedule: GrowthSchedule) -> None:
    for indices in sample(schedule, labeled=SOME, fraction=0.3):
        assert SOME[indices.faces[: indices.labeled]].all()
    rest = [
        int(face)
        for indices in sample(schedule, labeled=SOME, fraction=0.3)
        for face in indices.faces[indices.labeled :]
    ]
    assert not SOME[rest].all()


def test_labeled_faces_occur_equally_often(schedule: GrowthSchedule) -> None:
    whole = sample(schedule, labeled=SOME, fraction=0.5)
    labeled = [int(face) for indices in whole for face in indices.faces[: indices.labeled]]
    for epoch in range(len(labeled) // 5):
        assert sorted(labeled[epoch * 5 : (epoch + 1) * 5]) == [1, 4, 9, 16, 20]


def test_the_rest_of_each_batch_is_sampled_from_all_faces(schedule: GrowthSchedule) -> None:
    whole = sample(schedule, labeled=SOME, fraction=0.5)
    rest = [int(face) for indices in whole for face in indices.faces[indices.labeled :]]
    assert len(rest) == 72
    for epoch in range(3):
        assert sorted(rest[epoch * NUM_FACES : (epoch + 1) * NUM_FACES]) == list(range(NUM_FACES))


def test_with_labeled_fraction_1_all_faces_are_labeled(schedule: GrowthSchedule) -> None:
    whole = sample(schedule, labeled=SOME, fraction=1.0)
    assert set(faces_of(whole)) == {1, 4, 9, 16, 20}
    assert [indices.labeled for indices in whole] == [len(indices.faces) for indices in whole]


@pytest.mark.parametrize("world_size", [2, 4])
@pytest.mark.parametrize("fraction", [0.3, 0.5, 0.77])
def test_processes_shard_labeled_and_other_faces(schedule: GrowthSchedule, world_size: int, fraction: float) -> None:
    whole = sample(schedule, labeled=SOME, fraction=fraction)
    parts = [
        sample(schedule, rank=r, world_size=world_size, labeled=SOME, fraction=fraction) for r in range(world_size)
    ]
    for batch, *own in zip(whole, *parts, strict=True):
        counts = [part.labeled for part in own]
        assert sum(counts) == batch.labeled
        assert max(counts) - min(counts) <= 1
        first = sorted((f, c) for p in own for f, c in zip(p.faces[: p.labeled], p.choice[: p.labeled], strict=True))
        last = sorted((f, c) for p in own for f, c in zip(p.faces[p.labeled :], p.choice[p.labeled :], strict=True))
        cut = batch.labeled
        assert first == sorted(zip(batch.faces[:cut], batch.choice[:cut], strict=True))
        assert last == sorted(zip(batch.faces[cut:], batch.choice[cut:], strict=True))
