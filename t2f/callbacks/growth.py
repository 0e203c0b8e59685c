"""Growth on the clock of images seen."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl

from t2f.callbacks.cadence import data_of
from t2f.errors import UserError
from t2f.systems.base import GANSystem


class Growth(pl.Callback):
    """Set the system's resolution, alpha, batch size and progress before each step."""

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        assert isinstance(pl_module, GANSystem)
        self.schedule = data_of(trainer).schedule
        if pl_module.max_resolution < self.schedule.final_resolution:
            raise UserError(
                f"The networks end at {pl_module.max_resolution} pixels, but growth.resolutions at "
                f"{self.schedule.final_resolution}: give model.networks.generator.channels one value for each of "
                "4, 8, 16, ... pixels."
            )

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, GANSystem)
        self.set_position(pl_module)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, GANSystem)
        self.set_position(pl_module)

    def set_position(self, system: GANSystem) -> None:
        system.position = self.schedule.at(system.images_seen)
        system.progress = system.images_seen / self.schedule.total_images
