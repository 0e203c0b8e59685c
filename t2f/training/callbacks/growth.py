"""Progressive growing."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl

from t2f.training.base import GANModule
from t2f.training.callbacks.base import datamodule_of
from t2f.utils.errors import UserError
from t2f.utils.private_api import mark_last_batch


class Growth(pl.Callback):
    """Sets the model's `schedule_state` before each step: resolution, alpha, batch size and progress."""

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        assert isinstance(pl_module, GANModule)
        self.schedule = datamodule_of(trainer).schedule
        final, maximum = self.schedule.final_resolution, pl_module.max_resolution
        if maximum < final or (maximum != final and not pl_module.grows):
            raise UserError(
                f"The networks end at {maximum} pixels, but growth.resolutions at {final}: give "
                f"model.networks.generator.channels one value for each of 4, 8, ... pixels up to {final}."
            )
        if not pl_module.grows and len(self.schedule.stages) > 1:
            raise UserError(
                "This model generates only at its final resolution, so it cannot grow: give each list of growth one "
                "value, as growth=none does."
            )

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        assert isinstance(pl_module, GANModule)
        # Lightning would not resume after the last batch, but the schedule may be longer now.
        mark_last_batch(checkpoint, pl_module.images_seen >= self.schedule.total_images)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.update(pl_module)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self.update(pl_module)

    def update(self, model: pl.LightningModule) -> None:
        assert isinstance(model, GANModule)
        model.schedule_state = self.schedule.at(model.images_seen)
