from typing import Any

import pytest

from t2f.training.growth_schedule import GrowthSchedule, ScheduleState

ARGUMENTS: dict[str, Any] = {
    "resolutions": [4, 8, 16],
    "batch_sizes": [32, 16, 8],
    "fade_in": [0.5, 0.5, 0.25],
    "images": [100, 200, 400],
}


@pytest.fixture
def schedule() -> GrowthSchedule:
    return GrowthSchedule(**ARGUMENTS)


@pytest.mark.parametrize(
    ("images_seen", "state"),  # stage, resolution, alpha, batch size
    [
        (0, (0, 4, 1.0, 32)),  # the first stage does not fade
        (25, (0, 4, 1.0, 32)),
        (99, (0, 4, 1.0, 32)),
        (100, (1, 8, 0.0, 16)),
        (101, (1, 8, 0.01, 16)),
        (150, (1, 8, 0.5, 16)),
        (199, (1, 8, 0.99, 16)),
        (200, (1, 8, 1.0, 16)),
        (299, (1, 8, 1.0, 16)),
        (300, (2, 16, 0.0, 8)),
        (350, (2, 16, 0.5, 8)),
        (400, (2, 16, 1.0, 8)),
        (699, (2, 16, 1.0, 8)),
        (700, (2, 16, 1.0, 8)),  # past the end
        (10**9, (2, 16, 1.0, 8)),
    ],
)
def test_state(schedule: GrowthSchedule, images_seen: int, state: tuple[int, int, float, int]) -> None:
    found = schedule.at(images_seen)
    assert (found.stage, found.resolution, found.alpha, found.batch_size) == state


@pytest.mark.parametrize(
    ("images_seen", "progress"),
    [(0, 0.0), (7, 0.01), (100, 1 / 7), (350, 0.5), (699, 699 / 700), (700, 1.0), (10**9, 1.0)],
)
def test_progress_is_the_fraction_of_the_whole_schedule(
    schedule: GrowthSchedule, images_seen: int, progress: float
) -> None:
    assert schedule.at(images_seen).progress == pytest.approx(progress)


def test_images_seen_increase_after_the_end(schedule: GrowthSchedule) -> None:
    assert [schedule.at(seen).images_seen for seen in (0, 350, 10**9)] == [0, 350, 10**9]


def test_totals(schedule: GrowthSchedule) -> None:
    assert [schedule.stage_end(stage) for stage in range(3)] == [100, 300, 700]
    assert schedule.total_images == 700
    assert schedule.final_resolution == 16


def test_fade_in_may_last_the_whole_stage_or_be_zero() -> None:
    whole = GrowthSchedule([4, 8], [1, 1], fade_in=[0, 1], images=[10, 10])
    assert [whole.at(seen).alpha for seen in (10, 15, 19)] == [0, 0.5, 0.9]
    none = GrowthSchedule([4, 8], [1, 1], fade_in=[0, 0], images=[10, 10])
    assert [none.at(seen).alpha for seen in (10, 15, 19)] == [1, 1, 1]


def test_one_number_stands_for_all_stages() -> None:
    number = GrowthSchedule([4, 8, 16], batch_sizes=2, fade_in=0.25, images=40)
    lists = GrowthSchedule([4, 8, 16], batch_sizes=[2, 2, 2], fade_in=[0.25, 0.25, 0.25], images=[40, 40, 40])
    assert [number.at(seen) for seen in (0, 45, 85)] == [lists.at(seen) for seen in (0, 45, 85)]
    assert number.at(45).alpha == 0.5
    assert number.total_images == 120


def test_growth_may_start_above_4_pixels() -> None:
    assert GrowthSchedule([8, 16], [4, 4], [0.5, 0.5], images=[10, 10]).at(0) == ScheduleState(
        stage=0, resolution=8, alpha=1.0, batch_size=4, progress=0.0, images_seen=0
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": [100, 200]}, r"^images has 2 value\(s\) for 3 stage\(s\): "),
        ({"fade_in": [0.5]}, r"^fade_in has 1 value\(s\) for 3 "),
        ({"batch_sizes": [8] * 4}, r"^batch_sizes has 4 value\(s\) for 3 "),
        ({"resolutions": [], "images": [], "fade_in": [], "batch_sizes": []}, "^resolutions is empty"),
        ({"resolutions": [4, 8, 12]}, "^resolutions has 12, which is not a power of two"),
        ({"resolutions": [2, 4, 8]}, "^resolutions has 2, .* at least 4"),
        ({"resolutions": [0, 4, 8]}, "^resolutions has 0, "),
        ({"resolutions": [-4, 4, 8]}, "^resolutions has -4, "),
        ({"resolutions": [4, 8, 32]}, r"^resolutions must double from stage to stage, but is \[4, 8, 32\]"),
        ({"resolutions": [4, 8, 8]}, "must double from stage to stage"),
        ({"resolutions": [16, 8, 4]}, "must double from stage to stage"),
        ({"images": [100, 0, 400]}, r"^images must be at least 1 in each stage, but is \[100, 0, 400\]"),
        ({"batch_sizes": [32, 0, 8]}, r"^batch_sizes must be at least 1 in each stage, but is \[32, 0, 8\]"),
        (
            {"fade_in": [0.5, 1.5, 0.5]},
            r"^fade_in must be .* between 0 and 1 .*, but is \[0\.5, 1\.5, 0\.5\]",
        ),
        ({"fade_in": [0.5, -0.1, 0.5]}, "between 0 and 1"),
        ({"fade_in": [0.5, float("nan"), 0.5]}, "between 0 and 1"),
    ],
)
def test_errors_name_the_argument(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GrowthSchedule(**ARGUMENTS | change)
