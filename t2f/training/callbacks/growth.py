"""Growth on the clock of images seen."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl

from t2f.training.base import GANModule
from t2f.training.callbacks.base import data_of
from t2f.utils.errors import UserError


class Growth(pl.Callback):
    """Tell the system before each step where it stands: resolution, alpha, batch size, progress."""

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        assert isinstance(pl_module, GANModule)
        self.schedule = data_of(trainer).schedule
        final, most = self.schedule.final_resolution, pl_module.max_resolution
        if most < final or (most != final and not pl_module.grows):
            raise UserError(
                f"The networks end at {most} pixels, but growth.resolutions at {final}: give "
                f"model.networks.generator.channels one value for each of 4, 8, ... pixels up to {final}."
            )
        if not pl_module.grows and len(self.schedule.stages) > 1:
            raise UserError(
                "This model draws at its last resolution only, so it cannot grow: give each list of growth one value, "
                "as growth=none does."
            )

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        assert isinstance(pl_module, GANModule)
        # A finished run has seen its last batch; with a longer schedule it has not.
        finished = pl_module.images_seen >= self.schedule.total_images
        checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]["is_last_batch"] = finished

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, GANModule)
        self.set_position(pl_module)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, GANModule)
        self.set_position(pl_module)

    def set_position(self, system: GANModule) -> None:
        system.position = self.schedule.at(system.images_seen)
