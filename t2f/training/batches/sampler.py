"""The indices of each batch, a pure function of seed and images seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch.utils.data import Sampler

from t2f.training.growth_schedule import GrowthSchedule

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class BatchIndices:
    """The part of a batch that one process loads. Labeled faces come first.

    Attributes:
        faces: int64 (B,), indices of faces.
        choice: float64 (B,) in [0, 1), selects one of the face's conditions.
        mirror: float64 (B,) in [0, 1), decides whether to mirror the face.
        labeled: Number of labeled faces.
    """

    faces: Indices
    choice: npt.NDArray[np.float64]
    mirror: npt.NDArray[np.float64]
    labeled: int


class ShuffledIndices:
    """An endless sequence that repeats `pool`, shuffled by (key, epoch) in each epoch."""

    def __init__(self, pool: Indices, key: list[int]) -> None:
        self.pool = pool
        self.key = key
        self.epoch = -1
        self.order = pool

    def take(self, start: int, count: int) -> Indices:
        """Return the elements from position `start` to `start + count`."""
        parts = [np.empty(0, dtype=np.int64)]
        while count > 0:
            epoch, position = divmod(start, len(self.pool))
            if epoch != self.epoch:
                self.epoch = epoch
                self.order = self.pool[np.random.default_rng([*self.key, epoch]).permutation(len(self.pool))]
            parts.append(self.order[position : position + count])
            start, count = start + len(parts[-1]), count - len(parts[-1])
        return np.concatenate(parts)


class ImagesSeenSampler(Sampler[BatchIndices]):
    """Batches from `start` images seen to the end of the schedule, in the batch size of each stage.

    Faces are shuffled in each epoch by (seed, epoch); a batch may span two epochs. The sampler has no other state, so
    a resumed run starts it at its images seen. Of each batch, process `rank` takes every `world_size`-th face.

    Args:
        labeled: bool (N,), whether a face has conditions.
        labeled_fraction: Fraction of each batch, in (0, 1], that is sampled from the labeled faces; the rest is sampled
            from all faces. Without effect if all faces are labeled.
        schedule: Batch sizes and length of the training.
        seed: Seed of the order, of the choice of conditions and of mirroring.
        start: Images seen before the first batch.
        rank: Rank of this process.
        world_size: Number of processes.
        overfit: Whether to repeat the first batch. In each stage, it has that stage's size.
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
        overfit: bool = False,
    ) -> None:
        self.fraction = 0.0 if labeled.all() else labeled_fraction
        self.all = ShuffledIndices(np.arange(len(labeled)), [seed, 0])
        self.labeled = ShuffledIndices(np.flatnonzero(labeled), [seed, 3])
        self.schedule = schedule
        self.seed = seed
        self.start = start
        self.rank = rank
        self.world_size = world_size
        self.overfit = overfit

    def __iter__(self) -> Iterator[BatchIndices]:
        seen = self.start
        while seen < self.schedule.total_images:
            batch_size = self.schedule.at(seen).batch_size
            yield self.batch_at(0 if self.overfit else seen, batch_size)
            seen += batch_size

    def batch_at(self, seen: int, batch_size: int) -> BatchIndices:
        """Return this process's part of the batch after `seen` images."""
        # Rounding first, since a product such as 0.29 * 100 may be slightly below the whole number.
        before, after = (int(round(images * self.fraction, 6)) for images in (seen, seen + batch_size))
        labeled = self.labeled.take(before, after - before)
        faces = np.concatenate([labeled, self.all.take(seen - before, batch_size - len(labeled))])
        choice = np.random.default_rng([self.seed, 1, seen]).random(batch_size)
        mirror = np.random.default_rng([self.seed, 2, seen]).random(batch_size)
        own = slice(self.rank, None, self.world_size)
        labeled_count = batch_size if self.fraction == 0 else len(labeled)
        return BatchIndices(faces[own], choice[own], mirror[own], labeled=len(range(labeled_count)[own]))
