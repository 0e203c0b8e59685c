"""When a callback acts: every so many images seen, and at the end."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import pytorch_lightning as pl

from t2f.training.base import GANModule
from t2f.training.batches.datamodule import FaceDataModule
from t2f.utils.errors import require


class EveryNImages:
    """True once for each multiple of `every` that the clock has passed."""

    def __init__(self, every: int) -> None:
        require(every >= 1, f"A callback's every is {every}: it must be at least 1 image.")
        self.every = every
        self.done = 0

    def start(self, images_seen: int) -> None:
        """Count from here: what an earlier part of the run has passed is done."""
        self.done = images_seen // self.every

    def is_due(self, images_seen: int) -> bool:
        """Whether a multiple was passed since the last time that this was true."""
        due = images_seen // self.every > self.done
        self.done = images_seen // self.every
        return due


def data_of(trainer: pl.Trainer) -> FaceDataModule:
    """The data that the trainer was given."""
    data = trainer.datamodule  # type: ignore[attr-defined]  # set by fit, missing from Lightning's types
    assert isinstance(data, FaceDataModule)
    return data


class ImagesSeenCallback(pl.Callback):
    """Calls `act` after every `every` images seen, and when the schedule is over."""

    def __init__(self, every: int) -> None:
        self.cadence = EveryNImages(every)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, GANModule)
        self.schedule = data_of(trainer).schedule
        self.cadence.start(pl_module.images_seen)
        self.begin(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, GANModule)
        if self.cadence.is_due(pl_module.images_seen) or self.is_milestone(pl_module):
            self.act(trainer, pl_module)

    def begin(self, trainer: pl.Trainer, system: GANModule) -> None:
        """Before the first step."""

    def is_milestone(self, system: GANModule) -> bool:
        """Whether to act outside the cadence."""
        return system.images_seen >= self.schedule.total_images

    @abstractmethod
    def act(self, trainer: pl.Trainer, system: GANModule) -> None:
        """What there is to do."""
