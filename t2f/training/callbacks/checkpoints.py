"""Checkpoints at intervals of images seen, at the end of each stage, and on signals."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from t2f.training.base import GANModule
from t2f.training.callbacks.base import ImagesSeenCallback, datamodule_of
from t2f.utils.files import PARTIAL_FILES, atomic_write
from t2f.utils.private_api import restore_signal_handlers
from t2f.utils.signals import StopRequest


class Checkpoints(ImagesSeenCallback):
    """Writes a checkpoint every `every` images and at the end of each stage.

    Checkpoints are named by images seen, such as `000020000.ckpt`. `last.ckpt` is a hard link to the newest one. The
    last one of each stage is also kept under its resolution, such as `8px.ckpt`. A checkpoint is written only if losses
    and weights are finite.

    A signal ends training in all processes after the current step, with a checkpoint. A second signal ends it at once,
    without one.

    Args:
        folder: Folder of the checkpoints.
        every: Interval in images, at least 1.
        keep: Number of newest checkpoints to keep, at least 1.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(self, folder: str, every: int, keep: int = 2) -> None:
        super().__init__(every)
        if keep < 1:
            raise ValueError(f"keep is {keep}: it must be at least 1.")
        self.folder = Path(folder)
        self.keep = keep
        self.stop = StopRequest()
        self.stopped_by: int | None = None
        self.saved_at: int | None = None

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # The run may have been killed before the checkpoint got its other names, or while `best.ckpt` was the newest.
        assert isinstance(pl_module, GANModule)
        resumed = Path(trainer.ckpt_path) if trainer.ckpt_path else None
        if resumed and resumed.parent.resolve() == self.folder.resolve() and trainer.is_global_zero:
            images_seen, schedule = pl_module.images_seen, datamodule_of(trainer).schedule
            ends = {schedule.stage_end(index): stage.resolution for index, stage in enumerate(schedule.stages)}
            for name in ["last", f"{images_seen:09d}", *([f"{ends[images_seen]}px"] if images_seen in ends else [])]:
                if resumed.stem != name:
                    hard_link(resumed, self.folder / f"{name}.ckpt")
            self.delete_old(images_seen)

    def begin(self, trainer: pl.Trainer, model: GANModule) -> None:
        # Lightning's handler waits for the other processes, but a second signal must end the run at once.
        restore_signal_handlers(trainer)
        self.stop.listen()
        if trainer.is_global_zero:
            for file in self.folder.glob(PARTIAL_FILES):
                file.unlink()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.reduce_stop(trainer)
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    def reduce_stop(self, trainer: pl.Trainer) -> None:
        """Stop all processes after the same step if any of them received a signal."""
        if trainer.strategy.reduce_boolean_decision(self.stop.number is not None, all=False):
            self.stopped_by = self.stop.number or signal.SIGTERM

    def stage_is_over(self, model: GANModule) -> bool:
        return model.images_seen >= self.schedule.stage_end(model.schedule_state.stage)

    def is_milestone(self, model: GANModule) -> bool:
        # A checkpoint written before the other callbacks acted lacks their new state.
        saved_too_early = self.saved_at == model.images_seen
        return self.stage_is_over(model) or self.stopped_by is not None or saved_too_early

    def act(self, trainer: pl.Trainer, model: GANModule) -> None:
        self.save(trainer, model)
        # Only after saving: a checkpoint written after Lightning has left its loop is marked as finished.
        trainer.should_stop = trainer.should_stop or self.stopped_by is not None

    def save(self, trainer: pl.Trainer, model: GANModule) -> None:
        """Write a checkpoint under all of its names. All processes must call this."""
        model.assert_finite()
        self.saved_at = model.images_seen
        newest = self.folder / f"{model.images_seen:09d}.ckpt"
        trainer.save_checkpoint(newest, weights_only=False)
        if trainer.is_global_zero:
            hard_link(newest, self.folder / "last.ckpt")
            if self.stage_is_over(model):
                hard_link(newest, self.folder / f"{model.schedule_state.resolution}px.ckpt")
            self.delete_old(model.images_seen)
        trainer.strategy.barrier("checkpoint named")

    def delete_old(self, images_seen: int) -> None:
        """Keep the newest checkpoints up to `images_seen`. Later ones are damaged, and do not count."""
        saved = sorted(int(path.stem) for path in self.folder.glob("*.ckpt") if path.stem.isdigit())
        for images in [images for images in saved if images <= images_seen][: -self.keep]:
            (self.folder / f"{images:09d}.ckpt").unlink()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.stop.restore()
        self.reduce_stop(trainer)  # a signal may have arrived in an evaluation after the last step

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self.stop.restore()


def save_checkpoint(trainer: pl.Trainer, model: GANModule) -> None:
    """Write a checkpoint before a long operation, if the trainer has a `Checkpoints` callback."""
    for callback in getattr(trainer, "callbacks", []):
        if isinstance(callback, Checkpoints):
            callback.save(trainer, model)


def hard_link(file: Path, name: Path) -> None:
    """Atomically replace `name` by a hard link to `file`, or by a copy on file systems without hard links."""
    with atomic_write(name, f"the checkpoint {name}") as side:
        side.unlink(missing_ok=True)
        try:
            os.link(file, side)
        except OSError:
            shutil.copyfile(file, side)
