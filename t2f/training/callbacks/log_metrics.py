"""Logging of training metrics at intervals of images seen."""

from __future__ import annotations

import resource
import sys
import time

import pytorch_lightning as pl
import torch

from t2f.training.base import GANModule
from t2f.training.callbacks.base import ImagesSeenCallback
from t2f.training.loggers.csv import discard_after


class LogMetrics(ImagesSeenCallback):
    """Logs averages of the training step's metrics, growth, gradient norms, speed and memory.

    Loggers are called directly, with images seen as the step: Lightning's own step counts the steps of all optimizers.
    If a loss or weight is not finite, the run ends at the next log.
    """

    def begin(self, trainer: pl.Trainer, model: GANModule) -> None:
        for logger in trainer.loggers:
            discard_after(logger, model.images_seen)
        self.last_time, self.last_images = time.perf_counter(), model.images_seen

    def act(self, trainer: pl.Trainer, model: GANModule) -> None:
        model.assert_finite()
        now = time.perf_counter()
        metrics = {
            **model.read_averages(),
            "growth/resolution": model.schedule_state.resolution,
            "growth/alpha": model.schedule_state.alpha,
            **{f"gradient_norm/{name}": norm for name, norm in model.gradient_norms().items()},
            "speed/images_per_second": (model.images_seen - self.last_images) / (now - self.last_time),
            "memory/peak_gib": peak_memory(model.device) / 2**30,
        }
        self.last_time, self.last_images = now, model.images_seen
        for logger in trainer.loggers:
            logger.log_metrics(metrics, step=model.images_seen)


def peak_memory(device: torch.device) -> int:
    """Return the peak memory in bytes: of tensors on a GPU, else of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
