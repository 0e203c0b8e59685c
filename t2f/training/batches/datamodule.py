"""The LightningDataModule over any data set of faces."""

from __future__ import annotations

import sys
from typing import Protocol, cast

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from t2f.conditioning.base import Conditioner
from t2f.data.faces import Faces
from t2f.training.batches.batch import Batch
from t2f.training.batches.dataset import ConditionedFaces
from t2f.training.batches.sampler import ImagesSeenSampler
from t2f.training.growth_schedule import GrowthSchedule
from t2f.utils.errors import UserError, require
from t2f.utils.signals import ignore_signals_in_worker

AUTO = "auto"
WORKERS = 2
"""Processes of `auto` that make batches ahead of a GPU."""
FORKS = sys.platform == "linux"
"""Whether workers share this process's memory; elsewhere each is sent a copy of all faces."""


class FaceDataset(Protocol):
    """What a data set of `conf/data` offers: `prepare` fills the cache, the rest reads it."""

    name: str
    mirror: bool
    """Whether the training faces may be mirrored at random."""

    def prepare(self) -> None: ...

    @property
    def train(self) -> Faces: ...

    @property
    def held_out(self) -> Faces: ...


class Learner(Protocol):
    """What a system says of itself that the batches must fit."""

    min_labeled: int
    uses_unlabeled: bool


class FaceDataModule(pl.LightningDataModule):
    """Training batches on the image clock, sharded over processes. The source is prepared before.

    `faces_on_device`: whether the faces are kept in the memory of the device that trains. AUTO: if that is a GPU with
    room for them, and no workers are asked for. `workers`: processes that make batches ahead. AUTO: two for a GPU that
    does not keep the faces, on Linux; none for a CPU, which has no time to spare.
    """

    def __init__(
        self,
        source: FaceDataset,
        conditioner: Conditioner,
        schedule: GrowthSchedule,
        labeled_fraction: float,
        seed: int,
        workers: int | str,
        faces_on_device: bool | str,
    ) -> None:
        super().__init__()
        require(
            workers == AUTO or (isinstance(workers, int) and not isinstance(workers, bool) and workers >= 0),
            f"workers is {workers}: it must be {AUTO}, or a number of processes, 0 for none.",
        )
        require(
            isinstance(faces_on_device, bool) or faces_on_device == AUTO,
            f"faces_on_device is {faces_on_device}: it must be true, false or {AUTO}.",
        )
        require(
            faces_on_device is not True or workers in (AUTO, 0),
            f"workers is {workers}, but loader.faces_on_device=true leaves nothing to read ahead: leave it at {AUTO}.",
        )
        require(0 < labeled_fraction <= 1, f"labeled_fraction is {labeled_fraction}: it is a share above 0, at most 1.")
        self.source = source
        self.conditioner = conditioner
        self.schedule = schedule
        self.labeled_fraction = labeled_fraction
        self.seed = seed
        self.workers = workers
        self.faces_on_device = faces_on_device

    def setup(self, stage: str) -> None:
        faces = self.source.train
        if faces.images.shape[-1] < self.schedule.final_resolution:
            raise UserError(
                f"The data is kept at {faces.images.shape[-1]} pixels, but growth.resolutions end at "
                f"{self.schedule.final_resolution}: set data.resolution={self.schedule.final_resolution}."
            )
        assert self.trainer is not None
        device = self.trainer.strategy.root_device
        self.faces = ConditionedFaces(faces, self.conditioner, self.source.mirror)
        kept = self.faces_on_device
        if kept == AUTO:
            kept = self.workers in (AUTO, 0) and self.faces.fits(device)
        if kept:
            self.faces.keep_on(device)
        self.worker_count = self.workers_of_auto(device) if self.workers == AUTO else int(self.workers)

    def workers_of_auto(self, device: torch.device) -> int:
        return WORKERS if device.type == "cuda" and self.faces.kept is None and FORKS else 0

    def teardown(self, stage: str) -> None:
        self.faces.release()  # the trainer holds them through what follows

    def train_dataloader(self) -> DataLoader[Batch]:
        assert self.trainer is not None
        world_size, system = self.trainer.world_size, self.trainer.lightning_module
        images_seen = system.images_seen
        assert isinstance(images_seen, int)
        uneven = [stage.batch_size for stage in self.schedule.stages if stage.batch_size % world_size]
        if uneven:
            raise UserError(
                f"A batch of {uneven[0]} of growth.batch_sizes cannot be shared evenly by {world_size} processes."
            )
        self.check_labeled(cast(Learner, system), world_size)
        sampler = ImagesSeenSampler(
            self.faces.labeled,
            self.labeled_fraction,
            self.schedule,
            self.seed,
            # Lightning has restored the module by now, so on resume this is where the checkpoint stopped.
            start=images_seen,
            rank=self.trainer.global_rank,
            world_size=world_size,
        )
        return DataLoader(
            self.faces,
            sampler=sampler,
            batch_size=None,
            num_workers=self.worker_count,
            multiprocessing_context="fork" if FORKS and self.worker_count else None,
            worker_init_fn=ignore_signals_in_worker,
            persistent_workers=self.worker_count > 0,
            pin_memory=self.faces.kept is None and self.trainer.strategy.root_device.type == "cuda",
        )

    def check_labeled(self, system: Learner, world_size: int) -> None:
        """Raise `UserError` where batches have unlabelled faces that the system cannot learn from, or too many."""
        unlabeled = int((~self.faces.labeled).sum())
        if not unlabeled:
            share = 1.0
        else:
            share = self.labeled_fraction
            require(
                share == 1 or system.uses_unlabeled,
                f"{unlabeled:,} of the {len(self.faces):,} faces have no description, and only a discriminator that "
                "also judges a picture alone learns from them: leave them out with labeled_fraction=1, or set "
                "model.discriminator.unconditional=true (model=t2f and multiscale have it).",
            )
        for stage in self.schedule.stages:
            labeled = int(round(stage.batch_size * share, 6)) // world_size
            require(
                labeled >= system.min_labeled,
                f"A batch of {stage.batch_size} of growth.batch_sizes may have only {labeled} described face(s) a "
                f"process, but {system.min_labeled} are needed to learn words: raise it, or labeled_fraction.",
            )
