"""The growth schedule, a pure function from images seen to resolution, alpha and batch size."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class Stage:
    """One resolution of the schedule.

    Attributes:
        resolution: In pixels.
        images: Length of the stage in real images.
        fade: Fraction of the stage, in [0, 1], in which its layers fade in.
        batch_size: Summed over processes.
    """

    resolution: int
    images: int
    fade: float
    batch_size: int


@dataclass(frozen=True)
class ScheduleState:
    """State of the schedule after a number of images.

    Attributes:
        stage: Index of the stage, from 0.
        resolution: In pixels.
        alpha: Weight of the newest layers, in [0, 1].
        batch_size: Summed over processes.
        progress: Fraction of the whole schedule, in [0, 1].
        images_seen: Real images shown to the discriminator.
    """

    stage: int
    resolution: int
    alpha: float
    batch_size: int
    progress: float
    images_seen: int


class GrowthSchedule:
    """Stages of doubling resolution, measured in real images seen (Karras et al. 2018, arXiv:1710.10196, section 2).

    In a stage, alpha = images seen in this stage / (fade_in * images), up to 1. The first stage does not fade.

    Args:
        resolutions: Resolution of each stage, in pixels: powers of two of at least 4, each twice the one before.
        batch_sizes: Batch size of each stage, summed over processes, at least 1; or one number for all stages.
        fade_in: Fraction of each stage, in [0, 1], in which its layers fade in; or one number for all stages.
        images: Length of each stage in images, at least 1; or one number for all stages.

    Raises:
        ValueError: An argument is out of range, or the lists differ in length.
    """

    def __init__(
        self,
        resolutions: Sequence[int],
        batch_sizes: Sequence[int] | int,
        fade_in: Sequence[float] | float,
        images: Sequence[int] | int,
    ) -> None:
        if not resolutions:
            raise ValueError("resolutions is empty: give at least one stage.")
        batch_sizes = for_each_stage("batch_sizes", batch_sizes, len(resolutions))
        fade_in = for_each_stage("fade_in", fade_in, len(resolutions))
        images = for_each_stage("images", images, len(resolutions))
        for resolution in resolutions:
            if resolution < 4 or resolution & (resolution - 1):
                raise ValueError(
                    f"resolutions has {resolution}, which is not a power of two of at least 4: "
                    "use 4, 8, 16, 32, 64, 128, ..."
                )
        if any(high != 2 * low for low, high in itertools.pairwise(resolutions)):
            raise ValueError(f"resolutions must double from stage to stage, but is {list(resolutions)}.")
        if any(count < 1 for count in images):
            raise ValueError(f"images must be at least 1 in each stage, but is {images}.")
        if any(size < 1 for size in batch_sizes):
            raise ValueError(f"batch_sizes must be at least 1 in each stage, but is {batch_sizes}.")
        if any(not 0 <= fraction <= 1 for fraction in fade_in):
            raise ValueError(f"fade_in must be a fraction between 0 and 1 in each stage, but is {fade_in}.")
        self.stages = [
            Stage(int(resolution), int(count), float(fade), int(batch))
            for resolution, count, fade, batch in zip(resolutions, images, fade_in, batch_sizes, strict=True)
        ]
        self.total_images = sum(stage.images for stage in self.stages)
        self.final_resolution = self.stages[-1].resolution

    def at(self, images_seen: int) -> ScheduleState:
        """Return the state after `images_seen` real images. After the end, alpha and progress are 1."""
        index = next((i for i in range(len(self.stages)) if images_seen < self.stage_end(i)), len(self.stages) - 1)
        stage = self.stages[index]
        fade_images = stage.fade * stage.images if index > 0 else 0
        seen = images_seen - (self.stage_end(index) - stage.images)
        return ScheduleState(
            stage=index,
            resolution=stage.resolution,
            alpha=1.0 if seen >= fade_images else seen / fade_images,
            batch_size=stage.batch_size,
            progress=min(1.0, images_seen / self.total_images),
            images_seen=images_seen,
        )

    def stage_end(self, index: int) -> int:
        """Return the number of images seen at the end of a stage, counted from 0."""
        return sum(stage.images for stage in self.stages[: index + 1])


def for_each_stage(name: str, values: Sequence[Number] | Number, stages: int) -> list[Number]:
    """Expand one number for all stages to a list.

    Raises:
        ValueError: A list has another length than the number of stages.
    """
    if isinstance(values, int | float):
        return [values] * stages
    if len(values) != stages:
        raise ValueError(
            f"{name} has {len(values)} value(s) for {stages} stage(s): give one value per stage, or one number for all."
        )
    return list(values)
