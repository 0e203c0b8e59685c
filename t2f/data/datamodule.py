"""The LightningDataModule over any data set of faces."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Dataset

from t2f.data.faces import Batch, Faces
from t2f.data.sampler import Draw, ImageClockSampler
from t2f.errors import UserError
from t2f.growth import GrowthSchedule
from t2f.text.tokenizer import WordTokenizer


class FaceSource(Protocol):
    """What a data set of `conf/data` offers: `prepare` fills the cache, the rest reads it."""

    name: str

    def prepare(self) -> None: ...

    @property
    def train(self) -> Faces: ...

    @property
    def held_out(self) -> Faces: ...


class TokenizedFaces(Dataset[Batch]):
    """A `Draw` -> {"images": uint8 (B, 3, R, R), "tokens": int64 (B, L)}, whole batches at once."""

    def __init__(self, faces: Faces, tokenizer: WordTokenizer) -> None:
        counts = np.array([len(captions) for captions in faces.captions])
        self.images = faces.images
        self.tokens = tokenizer([caption for captions in faces.captions for caption in captions])
        self.counts = counts
        self.first = np.cumsum(counts) - counts

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, draw: Draw) -> Batch:
        captions = self.first[draw.faces] + (draw.caption * self.counts[draw.faces]).astype(np.int64)
        # A memory map reads rising rows fastest, so gather in order and put back.
        order = np.argsort(draw.faces)
        images = np.empty((len(draw.faces), *self.images.shape[1:]), dtype=np.uint8)
        images[order] = self.images[draw.faces[order]]
        return {"images": torch.from_numpy(images), "tokens": self.tokens[captions]}


class FaceDataModule(pl.LightningDataModule):
    """Training batches on the image clock, sharded over processes."""

    def __init__(
        self, source: FaceSource, tokenizer: WordTokenizer, schedule: GrowthSchedule, seed: int, workers: int
    ) -> None:
        super().__init__()
        self.source = source
        self.tokenizer = tokenizer
        self.schedule = schedule
        self.seed = seed
        self.workers = workers

    def prepare_data(self) -> None:
        self.source.prepare()

    def setup(self, stage: str) -> None:
        faces = self.source.train
        if faces.images.shape[-1] < self.schedule.final_resolution:
            raise UserError(
                f"The data is kept at {faces.images.shape[-1]} pixels, but growth.resolutions end at "
                f"{self.schedule.final_resolution}: set data.resolution={self.schedule.final_resolution}."
            )
        self.faces = TokenizedFaces(faces, self.tokenizer)

    def train_dataloader(self) -> DataLoader[Batch]:
        assert self.trainer is not None
        world_size, images_seen = self.trainer.world_size, self.trainer.lightning_module.images_seen
        assert isinstance(images_seen, int)
        uneven = [stage.batch_size for stage in self.schedule.stages if stage.batch_size % world_size]
        if uneven:
            raise UserError(
                f"A batch of {uneven[0]} of growth.batch_sizes cannot be shared evenly by {world_size} processes."
            )
        sampler = ImageClockSampler(
            len(self.faces),
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
            persistent_workers=self.workers > 0,
            pin_memory=torch.cuda.is_available(),
        )
