"""Averages of the training step to every logger, against images seen."""

from __future__ import annotations

import time
from typing import Any

import pytorch_lightning as pl

from t2f.callbacks.cadence import Cadence
from t2f.growth import GrowthSchedule
from t2f.systems.base import GANSystem


class LogMetrics(pl.Callback):
    """Every `every` images, log what the system reported since, and where the growth stands.

    Lightning's own step counts each optimiser's steps, so the loggers are called here with our clock.
    A loss that is not finite ends the run at the next log.
    """

    def __init__(self, every: int, schedule: GrowthSchedule) -> None:
        self.cadence = Cadence(every)
        self.schedule = schedule

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, GANSystem)
        self.cadence.start(pl_module.images_seen)
        self.since, self.seen = time.perf_counter(), pl_module.images_seen

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, GANSystem)
        finished = pl_module.images_seen >= self.schedule.total_images
        if self.cadence.is_due(pl_module.images_seen) or finished:
            self.log_averages(trainer, pl_module)

    def log_averages(self, trainer: pl.Trainer, system: GANSystem) -> None:
        now = time.perf_counter()
        metrics = {
            **system.read_averages(),
            "growth/resolution": system.position.resolution,
            "growth/alpha": system.position.alpha,
            "speed/images_per_second": (system.images_seen - self.seen) / (now - self.since),
        }
        self.since, self.seen = now, system.images_seen
        for logger in trainer.loggers:
            logger.log_metrics(metrics, step=system.images_seen)
