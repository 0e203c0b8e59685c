"""Which faces make the next batch, as a pure function of (seed, images seen)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch.utils.data import Sampler

from t2f.training.growth_schedule import GrowthSchedule

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class BatchIndices:
    """One process's share of a batch: B face numbers, and for each two numbers in [0, 1) to choose by.

    `choice` chooses among the face's conditions, `mirror` whether to mirror it. The first `labeled` faces were
    drawn among those that have conditions.
    """

    faces: Numbers
    choice: npt.NDArray[np.float64]
    mirror: npt.NDArray[np.float64]
    labeled: int


class ShuffledIndices:
    """Numbers without end: those of `pool`, shuffled anew each time round by (key, round)."""

    def __init__(self, pool: Numbers, key: list[int]) -> None:
        self.pool = pool
        self.key = key
        self.round = -1
        self.order = pool

    def take(self, start: int, count: int) -> Numbers:
        """`count` of them from place `start`."""
        taken = np.empty(count, dtype=np.int64)
        for place in range(count):
            around, within = divmod(start + place, len(self.pool))
            if around != self.round:
                self.round = around
                self.order = self.pool[np.random.default_rng([*self.key, around]).permutation(len(self.pool))]
            taken[place] = self.order[within]
        return taken


class ImagesSeenSampler(Sampler[BatchIndices]):
    """Batches from `start` images seen to the schedule's end, each of its stage's size.

    The data set is shuffled anew each epoch by (seed, epoch), and a batch may reach over the end of one.
    Nothing else is remembered, so to resume is to start at the images seen. Of each batch, process
    `rank` of `world_size` takes every world_size-th face. There is no length: the schedule ends the run.

    `labeled` tells which faces have conditions. If some have none, the share `labeled_fraction` of each batch is drawn
    among those that do, and the rest among all.
    """

    def __init__(
        self,
        labeled: npt.NDArray[np.bool_],
        labeled_fraction: float,
        schedule: GrowthSchedule,
        seed: int,
        start: int,
        rank: int,
        world_size: int,
    ) -> None:
        self.share = 0.0 if labeled.all() else labeled_fraction
        self.all = ShuffledIndices(np.arange(len(labeled)), [seed, 0])
        self.labeled = ShuffledIndices(np.flatnonzero(labeled), [seed, 3])
        self.schedule = schedule
        self.seed = seed
        self.start = start
        self.rank = rank
        self.world_size = world_size

    def __iter__(self) -> Iterator[BatchIndices]:
        seen = self.start
        while seen < self.schedule.total_images:
            batch_size = self.schedule.at(seen).batch_size
            # What floating point takes from a whole number does not count.
            before, after = (int(round(images * self.share, 6)) for images in (seen, seen + batch_size))
            labeled = self.labeled.take(before, after - before)
            faces = np.concatenate([labeled, self.all.take(seen - before, batch_size - len(labeled))])
            choice = np.random.default_rng([self.seed, 1, seen]).random(batch_size)
            mirror = np.random.default_rng([self.seed, 2, seen]).random(batch_size)
            own = slice(self.rank, None, self.world_size)
            known = batch_size if self.share == 0 else len(labeled)
            yield BatchIndices(faces[own], choice[own], mirror[own], labeled=len(range(known)[own]))
            seen += batch_size
