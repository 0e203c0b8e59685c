from typing import Any

import pytest

from t2f.training.growth_schedule import GrowthSchedule, ScheduleState
from t2f.utils.errors import UserError

PLAN: dict[str, Any] = {
    "resolutions": [4, 8, 16],
    "batch_sizes": [32, 16, 8],
    "fade_in": [0.5, 0.5, 0.25],
    "images": [100, 200, 400],
}


@pytest.fixture
def schedule() -> GrowthSchedule:
    return GrowthSchedule(**PLAN)


@pytest.mark.parametrize(
    ("seen", "position"),  # stage, resolution, alpha, batch size
    [
        (0, (0, 4, 1.0, 32)),  # the first stage has nothing to fade
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
def test_position_by_hand(schedule: GrowthSchedule, seen: int, position: tuple[int, int, float, int]) -> None:
    at = schedule.at(seen)
    assert (at.stage, at.resolution, at.alpha, at.batch_size) == position


@pytest.mark.parametrize(
    ("seen", "progress"), [(0, 0.0), (7, 0.01), (100, 1 / 7), (350, 0.5), (699, 699 / 700), (700, 1.0), (10**9, 1.0)]
)
def test_progress_is_the_share_of_the_whole_schedule(schedule: GrowthSchedule, seen: int, progress: float) -> None:
    assert schedule.at(seen).progress == pytest.approx(progress)


def test_the_clock_goes_on_past_the_end(schedule: GrowthSchedule) -> None:
    assert [schedule.at(seen).images_seen for seen in (0, 350, 10**9)] == [0, 350, 10**9]


def test_totals(schedule: GrowthSchedule) -> None:
    assert [schedule.stage_end(stage) for stage in range(3)] == [100, 300, 700]
    assert schedule.total_images == 700
    assert schedule.final_resolution == 16


def test_a_stage_may_fade_through_its_whole_length_or_not_at_all() -> None:
    whole = GrowthSchedule([4, 8], [1, 1], fade_in=[0, 1], images=[10, 10])
    assert [whole.at(seen).alpha for seen in (10, 15, 19)] == [0, 0.5, 0.9]
    none = GrowthSchedule([4, 8], [1, 1], fade_in=[0, 0], images=[10, 10])
    assert [none.at(seen).alpha for seen in (10, 15, 19)] == [1, 1, 1]


def test_one_number_to_fade_in_stands_for_all_stages() -> None:
    one = GrowthSchedule([4, 8, 16], [1, 1, 1], fade_in=0.25, images=[40, 40, 40])
    each = GrowthSchedule([4, 8, 16], [1, 1, 1], fade_in=[0.25, 0.25, 0.25], images=[40, 40, 40])
    assert [one.at(seen) for seen in (0, 45, 85)] == [each.at(seen) for seen in (0, 45, 85)]
    assert one.at(45).alpha == 0.5


def test_growth_may_start_above_four_pixels_without_fading() -> None:
    assert GrowthSchedule([8, 16], [4, 4], [0.5, 0.5], images=[10, 10]).at(0) == ScheduleState(
        stage=0, resolution=8, alpha=1.0, batch_size=4, progress=0.0, images_seen=0
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": [100, 200]}, r"growth\.resolutions has 3, growth\.images has 2, growth\.fade_in has 3"),
        ({"fade_in": [0.5]}, r"equally long, one value a stage: .*growth\.fade_in has 1"),
        ({"batch_sizes": [8] * 4}, r"equally long, one value a stage: .*growth\.batch_sizes has 4"),
        ({"resolutions": [], "images": [], "fade_in": [], "batch_sizes": []}, "schedule is empty"),
        ({"resolutions": [4, 8, 12]}, "Resolution 12 .* no power of two"),
        ({"resolutions": [2, 4, 8]}, "Resolution 2 .* at least 4"),
        ({"resolutions": [0, 4, 8]}, "Resolution 0 "),
        ({"resolutions": [-4, 4, 8]}, "Resolution -4 "),
        ({"resolutions": [4, 8, 32]}, r"must double from stage to stage, but are \[4, 8, 32\]"),
        ({"resolutions": [4, 8, 8]}, "must double from stage to stage"),
        ({"resolutions": [16, 8, 4]}, "must double from stage to stage"),
        ({"images": [100, 0, 400]}, r"Every stage of growth\.images must be longer than 0"),
        ({"batch_sizes": [32, 0, 8]}, r"growth\.batch_sizes must hold 1 image or more, not \[32, 0, 8\]"),
        ({"fade_in": [0.5, 1.5, 0.5]}, r"between 0 and 1, not \[0\.5, 1\.5, 0\.5\]"),
        ({"fade_in": [0.5, -0.1, 0.5]}, "between 0 and 1"),
        ({"fade_in": [0.5, float("nan"), 0.5]}, "between 0 and 1"),
    ],
)
def test_a_senseless_schedule_is_explained(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        GrowthSchedule(**PLAN | change)
