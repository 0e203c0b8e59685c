"""The base of callbacks that act at intervals of images seen."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import pytorch_lightning as pl

from t2f.training.base import GANModule
from t2f.training.batches.datamodule import FaceDataModule


class EveryNImages:
    """A trigger that fires once for each multiple of `every` images seen.

    Args:
        every: Interval in images, at least 1.

    Raises:
        ValueError: `every` is out of range.
    """

    def __init__(self, every: int) -> None:
        if every < 1:
            raise ValueError(f"every is {every}: it must be at least 1 image.")
        self.every = every
        self.count = 0

    def start(self, images_seen: int) -> None:
        """Count the multiples up to here as done, as an earlier part of the run did."""
        self.count = images_seen // self.every

    def is_due(self, images_seen: int) -> bool:
        """Return whether a multiple has been passed since the last call."""
        due = images_seen // self.every > self.count
        self.count = images_seen // self.every
        return due


def datamodule_of(trainer: pl.Trainer) -> FaceDataModule:
    """Return the trainer's datamodule."""
    datamodule = trainer.datamodule  # type: ignore[attr-defined]  # set by fit, missing from Lightning's types
    assert isinstance(datamodule, FaceDataModule)
    return datamodule


class ImagesSeenCallback(pl.Callback):
    """Calls `act` every `every` images, and at the end of the schedule.

    Args:
        every: Interval in images, at least 1.

    Raises:
        ValueError: `every` is out of range.
    """

    def __init__(self, every: int) -> None:
        self.interval = EveryNImages(every)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, GANModule)
        self.schedule = datamodule_of(trainer).schedule
        self.interval.start(pl_module.images_seen)
        self.begin(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, GANModule)
        if self.interval.is_due(pl_module.images_seen) or self.is_milestone(pl_module):
            self.act(trainer, pl_module)

    def begin(self, trainer: pl.Trainer, model: GANModule) -> None:
        """Prepare before the first step."""

    def is_milestone(self, model: GANModule) -> bool:
        """Return whether to act now, also between two intervals."""
        return model.images_seen >= self.schedule.total_images

    @abstractmethod
    def act(self, trainer: pl.Trainer, model: GANModule) -> None:
        """Do the callback's work. Called in all processes."""
