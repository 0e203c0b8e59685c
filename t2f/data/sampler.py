"""Which faces make the next batch, as a pure function of (seed, images seen)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch.utils.data import Sampler

from t2f.growth import GrowthSchedule


@dataclass(frozen=True)
class Draw:
    """One process's share of a batch: face numbers (B,), and for each a number in [0, 1) to choose its caption by."""

    faces: npt.NDArray[np.int64]
    caption: npt.NDArray[np.float64]


class ImageClockSampler(Sampler[Draw]):
    """Batches from `start` images seen to the schedule's end, each of its stage's size.

    The data set is shuffled anew each epoch by (seed, epoch), and a batch may reach over the end of one.
    Nothing else is remembered, so to resume is to start at the images seen. Of each batch, process
    `rank` of `world_size` takes every world_size-th face. There is no length: the schedule ends the run.
    """

    def __init__(
        self, dataset_size: int, schedule: GrowthSchedule, seed: int, start: int, rank: int, world_size: int
    ) -> None:
        self.dataset_size = dataset_size
        self.schedule = schedule
        self.seed = seed
        self.start = start
        self.rank = rank
        self.world_size = world_size

    def __iter__(self) -> Iterator[Draw]:
        seen = self.start
        epoch, order = -1, np.empty(0, dtype=np.int64)
        while seen < self.schedule.total_images:
            batch_size = self.schedule.at(seen).batch_size
            faces = np.empty(batch_size, dtype=np.int64)
            for place in range(batch_size):
                if (seen + place) // self.dataset_size != epoch:
                    epoch = (seen + place) // self.dataset_size
                    order = np.random.default_rng([self.seed, 0, epoch]).permutation(self.dataset_size)
                faces[place] = order[(seen + place) % self.dataset_size]
            caption = np.random.default_rng([self.seed, 1, seen]).random(batch_size)
            yield Draw(faces[self.rank :: self.world_size], caption[self.rank :: self.world_size])
            seen += batch_size
