"""The growth schedule as a pure function: images seen -> (resolution, alpha, batch size)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from t2f.utils.errors import UserError


@dataclass(frozen=True)
class Stage:
    """One resolution: `images` real images long, the first `fade` of them spent fading its layers in."""

    resolution: int
    images: int
    fade: float
    batch_size: int


@dataclass(frozen=True)
class ScheduleState:
    """Where training stands: `alpha` in [0, 1] is the weight of the newest layers."""

    stage: int
    resolution: int
    alpha: float
    batch_size: int
    progress: float
    """Share of the whole schedule, in [0, 1]."""
    images_seen: int


class GrowthSchedule:
    """Stages of growing resolution on the clock of real images seen (Karras et al. 2018, section 2).

    Each stage lasts a number of `images`, whatever the size of the data set, and fades its new layers in over the
    first `fade_in` of it: alpha = seen in this stage / (fade_in * length).
    The first stage has nothing to fade; one number for `fade_in` stands for all stages. `batch_sizes` are global:
    summed over all processes.

    Raises `UserError` when the lists differ in length or a value makes no sense.
    """

    def __init__(
        self,
        resolutions: Sequence[int],
        batch_sizes: Sequence[int],
        fade_in: Sequence[float] | float,
        images: Sequence[int],
    ) -> None:
        fade_in = [fade_in] * len(resolutions) if isinstance(fade_in, int | float) else fade_in
        lengths = {
            "growth.resolutions": len(resolutions),
            "growth.images": len(images),
            "growth.fade_in": len(fade_in),
            "growth.batch_sizes": len(batch_sizes),
        }
        if len(set(lengths.values())) > 1:
            found = ", ".join(f"{name} has {length}" for name, length in lengths.items())
            raise UserError(f"The growth schedule's lists must be equally long, one value a stage: {found}.")
        if not resolutions:
            raise UserError("The growth schedule is empty: give growth.resolutions at least one stage.")
        for resolution in resolutions:
            if resolution < 4 or resolution & (resolution - 1):
                raise UserError(
                    f"Resolution {resolution} in growth.resolutions is no power of two of at least 4: "
                    "use 4, 8, 16, 32, 64, 128, ..."
                )
        if any(high != 2 * low for low, high in itertools.pairwise(resolutions)):
            raise UserError(f"growth.resolutions must double from stage to stage, but are {list(resolutions)}.")
        if any(count < 1 for count in images):
            raise UserError(f"Every stage of growth.images must be longer than 0, but they last {list(images)} images.")
        if any(size < 1 for size in batch_sizes):
            raise UserError(f"Every batch of growth.batch_sizes must hold 1 image or more, not {list(batch_sizes)}.")
        if any(not 0 <= share <= 1 for share in fade_in):
            raise UserError(f"growth.fade_in are shares of a stage between 0 and 1, not {list(fade_in)}.")
        self.stages = [
            Stage(int(resolution), int(count), float(fade), int(batch))
            for resolution, count, fade, batch in zip(resolutions, images, fade_in, batch_sizes, strict=True)
        ]
        self.total_images = sum(stage.images for stage in self.stages)
        self.final_resolution = self.stages[-1].resolution

    def at(self, images_seen: int) -> ScheduleState:
        """The position after `images_seen` real images; past the end, that of the finished schedule."""
        start = 0
        for index, stage in enumerate(self.stages):
            if images_seen < start + stage.images or index == len(self.stages) - 1:
                fade_images = stage.fade * stage.images if index > 0 else 0
                seen = images_seen - start
                alpha = 1.0 if seen >= fade_images else seen / fade_images
                return ScheduleState(
                    stage=index,
                    resolution=stage.resolution,
                    alpha=alpha,
                    batch_size=stage.batch_size,
                    progress=min(1.0, images_seen / self.total_images),
                    images_seen=images_seen,
                )
            start += stage.images
        raise AssertionError("unreachable: the last stage has no end")

    def stage_end(self, stage: int) -> int:
        """Images seen when this stage (counted from 0) ends."""
        return sum(each.images for each in self.stages[: stage + 1])
