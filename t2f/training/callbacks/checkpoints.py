"""Checkpoints by the clock, at the end of each stage, and when the run is asked to stop."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from t2f.training.base import GANModule
from t2f.training.callbacks.base import ImagesSeenCallback, data_of
from t2f.utils.errors import require
from t2f.utils.files import PARTIAL_FILES, atomic_write
from t2f.utils.signals import StopRequest


class Checkpoints(ImagesSeenCallback):
    """Write a checkpoint named for the images seen, `000020000.ckpt`, every `every` images; the newest `keep` stay.

    `last.ckpt` is another name of the newest, and each stage's last one is kept under its resolution, `8px.ckpt`.

    A signal ends training after the step, in all processes, with a checkpoint; a second one at once and without.
    Checkpoints are only taken while losses and weights are finite, so the last one is always good.
    """

    def __init__(self, folder: str, every: int, keep: int) -> None:
        super().__init__(every)
        require(keep >= 1, f"callbacks.checkpoints.keep is {keep}: it must be at least 1.")
        self.folder = Path(folder)
        self.keep = keep
        self.stop = StopRequest()
        self.stopped_by: int | None = None
        self.saved_at: int | None = None

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A run that was killed between a checkpoint and its names, or before it by its best one, goes on with both."""
        assert isinstance(pl_module, GANModule)
        resumed = Path(trainer.ckpt_path) if trainer.ckpt_path else None
        if resumed and resumed.parent.resolve() == self.folder.resolve() and trainer.is_global_zero:
            clock, schedule = pl_module.images_seen, data_of(trainer).schedule
            ends = {schedule.stage_end(number): stage.resolution for number, stage in enumerate(schedule.stages)}
            for name in ["last", f"{clock:09d}", *([f"{ends[clock]}px"] if clock in ends else [])]:
                if resumed.stem != name:
                    hard_link(resumed, self.folder / f"{name}.ckpt")
            self.drop_old(clock)

    def begin(self, trainer: pl.Trainer, system: GANModule) -> None:
        # Lightning's own handler would wait for the other processes, which a second signal is not to do.
        trainer._signal_connector.teardown()
        self.stop.listen()
        if trainer.is_global_zero:
            for left in self.folder.glob(PARTIAL_FILES):
                left.unlink()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.agree(trainer)
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    def agree(self, trainer: pl.Trainer) -> None:
        """All processes must stop after the same step, whichever of them was told to."""
        if trainer.strategy.reduce_boolean_decision(self.stop.number is not None, all=False):
            self.stopped_by = self.stop.number or signal.SIGTERM

    def stage_is_over(self, system: GANModule) -> bool:
        return system.images_seen >= self.schedule.stage_end(system.position.stage)

    def is_milestone(self, system: GANModule) -> bool:
        saved_before_others = self.saved_at == system.images_seen  # and does not know what they have come to since
        return self.stage_is_over(system) or self.stopped_by is not None or saved_before_others

    def act(self, trainer: pl.Trainer, system: GANModule) -> None:
        self.save(trainer, system)
        # Only now: what is saved once Lightning has left its loop counts as finished, and would not go on.
        trainer.should_stop = trainer.should_stop or self.stopped_by is not None

    def save(self, trainer: pl.Trainer, system: GANModule) -> None:
        """Write a checkpoint under all of its names. To be called in all processes."""
        system.assert_finite()
        self.saved_at = system.images_seen
        newest = self.folder / f"{system.images_seen:09d}.ckpt"
        trainer.save_checkpoint(newest, weights_only=False)
        if trainer.is_global_zero:
            names = ["last", f"{system.position.resolution}px"] if self.stage_is_over(system) else ["last"]
            for name in names:
                hard_link(newest, self.folder / f"{name}.ckpt")
            self.drop_old(system.images_seen)
        trainer.strategy.barrier("checkpoint named")

    def drop_old(self, images_seen: int) -> None:
        """Keep the newest ones. What is newer than the clock was damaged, and is no reason to drop a whole one."""
        clocks = sorted(int(path.stem) for path in self.folder.glob("*.ckpt") if path.stem.isdigit())
        for clock in [clock for clock in clocks if clock <= images_seen][: -self.keep]:
            (self.folder / f"{clock:09d}.ckpt").unlink()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.stop.restore()
        self.agree(trainer)  # after the last step, too: an evaluation may have followed it

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self.stop.restore()


def save_first(trainer: pl.Trainer, system: GANModule) -> None:
    """Save what is learnt so far, where checkpoints are kept at all: for what takes minutes, in which a run may end."""
    for callback in getattr(trainer, "callbacks", []):
        if isinstance(callback, Checkpoints):
            callback.save(trainer, system)


def hard_link(file: Path, name: Path) -> None:
    """Give a file a second name, in place of what had it, at once; a copy where the disk knows no hard links."""
    with atomic_write(name, f"the checkpoint {name}") as side:
        side.unlink(missing_ok=True)
        try:
            os.link(file, side)
        except OSError:
            shutil.copyfile(file, side)
