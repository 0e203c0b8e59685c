"""Averages of the training step to every logger, against images seen."""

from __future__ import annotations

import resource
import sys
import time

import pytorch_lightning as pl
import torch

from t2f.training.base import GANModule
from t2f.training.callbacks.base import ImagesSeenCallback
from t2f.training.loggers.csv import go_back


class LogMetrics(ImagesSeenCallback):
    """Log what the system reported since the last time, and where the growth stands.

    Lightning's own step counts each optimiser's steps, so the loggers are called here with our clock.
    A loss that is not finite ends the run at the next log.
    """

    def begin(self, trainer: pl.Trainer, system: GANModule) -> None:
        for logger in trainer.loggers:
            go_back(logger, system.images_seen)
        self.since, self.seen = time.perf_counter(), system.images_seen

    def act(self, trainer: pl.Trainer, system: GANModule) -> None:
        system.assert_finite()
        now = time.perf_counter()
        metrics = {
            **system.read_averages(),
            "growth/resolution": system.position.resolution,
            "growth/alpha": system.position.alpha,
            **{f"gradient_norm/{name}": norm for name, norm in system.gradient_norms().items()},
            "speed/images_per_second": (system.images_seen - self.seen) / (now - self.since),
            "memory/peak_gib": peak_memory(system.device) / 2**30,
        }
        self.since, self.seen = now, system.images_seen
        for logger in trainer.loggers:
            logger.log_metrics(metrics, step=system.images_seen)


def peak_memory(device: torch.device) -> int:
    """The most bytes held so far: of the GPU by tensors, else by the whole process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
