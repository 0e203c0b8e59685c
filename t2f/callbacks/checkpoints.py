"""Checkpoints by the clock."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from t2f.callbacks.cadence import Cadence
from t2f.growth import GrowthSchedule
from t2f.systems.base import GANSystem


class Checkpoints(pl.Callback):
    """Write `last.ckpt` every `every` images and at the end, and one named for its resolution after each stage.

    A checkpoint is only taken while the losses are finite, so the last one is always good.
    """

    def __init__(self, folder: str, every: int, schedule: GrowthSchedule) -> None:
        self.folder = Path(folder)
        self.cadence = Cadence(every)
        self.schedule = schedule

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, GANSystem)
        self.cadence.start(pl_module.images_seen)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, GANSystem)
        position, seen = pl_module.position, pl_module.images_seen
        stage_over = seen >= self.schedule.stage_end(position.stage)
        if self.cadence.is_due(seen) or stage_over:
            pl_module.assert_finite()
            if stage_over:
                trainer.save_checkpoint(self.folder / f"{position.resolution}px.ckpt", weights_only=False)
            trainer.save_checkpoint(self.folder / "last.ckpt", weights_only=False)
