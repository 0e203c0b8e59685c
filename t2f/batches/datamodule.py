"""The LightningDataModule over any data set of faces."""

from __future__ import annotations

from typing import Protocol, cast

import numpy as np
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Dataset

from t2f.batches.batch import Batch
from t2f.batches.sampler import Draw, ImageClockSampler
from t2f.conditions.base import Conditioner
from t2f.data.faces import Faces
from t2f.errors import UserError, require
from t2f.growth import GrowthSchedule
from t2f.stopping import leave_signals_to_the_parent


class FaceSource(Protocol):
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

    least_labelled: int
    learns_unlabelled: bool


class ConditionedFaces(Dataset[Batch]):
    """A `Draw` -> a batch, at once."""

    def __init__(self, faces: Faces, conditioner: Conditioner, mirror: bool) -> None:
        conditions = conditioner.of(faces)
        self.images = faces.images
        self.attributes = torch.from_numpy(np.array(faces.attributes))
        self.mirror = mirror
        self.conditions = conditions
        self.first = np.cumsum(conditions.counts) - conditions.counts

    @property
    def labelled(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Which faces have conditions, (N,)."""
        return self.conditions.counts > 0

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, draw: Draw) -> Batch:
        conditions, faces = self.conditions, draw.faces
        chosen = self.first[faces] + (draw.choice * conditions.counts[faces]).astype(np.int64)
        chosen[draw.labelled :] = draw.choice[draw.labelled :] * len(conditions.turns)
        # A memory map reads rising rows fastest, so gather in order and put back.
        order = np.argsort(faces)
        images = np.empty((len(faces), *self.images.shape[1:]), dtype=np.uint8)
        images[order] = self.images[faces[order]]
        if self.mirror:
            mirrored = draw.mirror < 0.5
            images[mirrored] = images[mirrored, :, :, ::-1]
        for turns in (1, 2, 3):
            turned = conditions.turns[chosen] == turns
            if turned.any():
                images[turned] = np.rot90(images[turned], turns, axes=(2, 3))
        return {
            "images": torch.from_numpy(images),
            "conditions": conditions.rows[torch.from_numpy(chosen)],
            "attributes": self.attributes[torch.from_numpy(faces)],
            "labelled": draw.labelled,
        }


class FaceDataModule(pl.LightningDataModule):
    """Training batches on the image clock, sharded over processes. The source is prepared before."""

    def __init__(
        self,
        source: FaceSource,
        conditioner: Conditioner,
        schedule: GrowthSchedule,
        labelled_share: float,
        seed: int,
        workers: int,
    ) -> None:
        super().__init__()
        require(0 < labelled_share <= 1, f"labelled_share is {labelled_share}: it is a share above 0, at most 1.")
        self.source = source
        self.conditioner = conditioner
        self.schedule = schedule
        self.labelled_share = labelled_share
        self.seed = seed
        self.workers = workers

    def setup(self, stage: str) -> None:
        faces = self.source.train
        if faces.images.shape[-1] < self.schedule.final_resolution:
            raise UserError(
                f"The data is kept at {faces.images.shape[-1]} pixels, but growth.resolutions end at "
                f"{self.schedule.final_resolution}: set data.resolution={self.schedule.final_resolution}."
            )
        self.faces = ConditionedFaces(faces, self.conditioner, self.source.mirror)

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
        self.check_labelled(cast(Learner, system), world_size)
        sampler = ImageClockSampler(
            self.faces.labelled,
            self.labelled_share,
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
            num_workers=self.workers,
            worker_init_fn=leave_signals_to_the_parent,
            persistent_workers=self.workers > 0,
            pin_memory=torch.cuda.is_available(),
        )

    def check_labelled(self, system: Learner, world_size: int) -> None:
        """Raise `UserError` where batches have unlabelled faces that the system cannot learn from, or too many."""
        unlabelled = int((~self.faces.labelled).sum())
        if not unlabelled:
            share = 1.0
        else:
            share = self.labelled_share
            require(
                share == 1 or system.learns_unlabelled,
                f"{unlabelled:,} of the {len(self.faces):,} faces have no description, and only a discriminator that "
                "also judges a picture alone learns from them: leave them out with labelled_share=1, or set "
                "model.discriminator.unconditional=true (model=t2f and multiscale have it).",
            )
        for stage in self.schedule.stages:
            labelled = int(round(stage.batch_size * share, 6)) // world_size
            require(
                labelled >= system.least_labelled,
                f"A batch of {stage.batch_size} of growth.batch_sizes may have only {labelled} described face(s) a "
                f"process, but {system.least_labelled} are needed to learn words: raise it, or labelled_share.",
            )
