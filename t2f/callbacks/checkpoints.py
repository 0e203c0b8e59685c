"""Checkpoints by the clock, at the end of each stage, and when the run is asked to stop."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from t2f.callbacks.cadence import ClockCallback
from t2f.systems.base import GANSystem


class Checkpoints(ClockCallback):
    """Write `last.ckpt` every `every` images, and one named for its resolution after each stage.

    Ctrl-C ends training after the step, with a checkpoint; pressed again, at once and without. Checkpoints are
    only taken while losses and weights are finite, so the last one is always good.
    """

    def __init__(self, folder: str, every: int) -> None:
        super().__init__(every)
        self.folder = Path(folder)

    def begin(self, trainer: pl.Trainer, system: GANSystem) -> None:
        self.stopping = False
        self.handler: Any = None
        # With several processes the signal could stop them at different steps.
        if trainer.world_size == 1 and threading.current_thread() is threading.main_thread():

            def stop(number: int, frame: Any) -> None:
                signal.signal(signal.SIGINT, self.handler)
                self.stopping = True

            self.handler = signal.getsignal(signal.SIGINT)
            signal.signal(signal.SIGINT, stop)

    def stage_is_over(self, system: GANSystem) -> bool:
        return system.images_seen >= self.schedule.stage_end(system.position.stage)

    def is_milestone(self, system: GANSystem) -> bool:
        return self.stage_is_over(system) or self.stopping

    def act(self, trainer: pl.Trainer, system: GANSystem) -> None:
        system.assert_finite()
        if self.stage_is_over(system):
            trainer.save_checkpoint(self.folder / f"{system.position.resolution}px.ckpt", weights_only=False)
        trainer.save_checkpoint(self.folder / "last.ckpt", weights_only=False)
        # Only now: what is saved once Lightning has left its loop counts as finished, and would not go on.
        trainer.should_stop = trainer.should_stop or self.stopping

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if getattr(self, "handler", None) is not None:
            signal.signal(signal.SIGINT, self.handler)
