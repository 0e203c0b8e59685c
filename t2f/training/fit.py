"""One `fit`, in one process or in several, that tells which signal ended it."""

from __future__ import annotations

import multiprocessing
import signal
from pathlib import Path

import pytorch_lightning as pl
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from pytorch_lightning.strategies.launchers import _MultiProcessingLauncher, _SubprocessScriptLauncher
from torch.multiprocessing.spawn import ProcessExitedException

from t2f.training.base import GANModule
from t2f.training.batches.datamodule import FaceDataModule
from t2f.training.callbacks.checkpoints import Checkpoints
from t2f.training.loggers.csv import go_back
from t2f.training.loggers.wandb import WandbLogger
from t2f.utils.checkpoints import CHECKPOINT_KEY, read_checkpoint
from t2f.utils.errors import UserError, require
from t2f.utils.signals import StopRequest


def fit(trainer: pl.Trainer, system: GANModule, data: FaceDataModule, checkpoint: Path | None) -> int | None:
    """Train, from a checkpoint if there is one; the number of the signal that ended it, or None."""
    launcher = trainer.strategy.launcher
    callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]  # missing from Lightning's types
    checkpoints = next((each for each in callbacks if isinstance(each, Checkpoints)), None)
    if isinstance(launcher, _MultiProcessingLauncher):
        if checkpoints is None:
            raise UserError("trainer=ddp_spawn needs callbacks.checkpoints: its processes hand the model back in one.")
        return fit_in_children(trainer, launcher, system, data, checkpoint, checkpoints.folder)
    if isinstance(launcher, _SubprocessScriptLauncher):
        require_single_job(trainer, launcher)
    try:
        trainer.fit(system, data, ckpt_path=checkpoint, weights_only=True)
    except BaseException:
        if isinstance(launcher, _SubprocessScriptLauncher):
            launcher.kill(signal.SIGKILL)  # they may wait for this process without end
        raise
    return checkpoints.stopped_by if checkpoints else None


def require_single_job(trainer: pl.Trainer, launcher: _SubprocessScriptLauncher) -> None:
    """Raise `UserError` in a sweep: Lightning starts its processes by the command line, which is the whole sweep's."""
    require(
        launcher.cluster_environment.creates_processes_externally
        or trainer.world_size == 1
        or not HydraConfig.initialized()
        or HydraConfig.get().mode != RunMode.MULTIRUN,
        "In a sweep, trainer=ddp would start the whole sweep again in each process: use trainer=ddp_spawn.",
    )


def fit_in_children(
    trainer: pl.Trainer,
    launcher: _MultiProcessingLauncher,
    system: GANModule,
    data: FaceDataModule,
    checkpoint: Path | None,
    folder: Path,
) -> int | None:
    """Train in processes of Lightning's, which bring back the weights and nothing of where the training stands."""

    def forward(number: int) -> None:
        if launcher.procs:
            launcher.kill(number)
            return
        # They are still being started, one after another: nothing is trained yet, and one that has died of the signal
        # would leave this process waiting to tell it its task.
        for child in multiprocessing.active_children():
            child.kill()
        raise SystemExit(128 + number)

    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            logger.ends_with_training = True  # in the children, who are sent a copy
    request = StopRequest()
    request.listen(forward=forward)
    try:
        trainer.fit(system, data, ckpt_path=checkpoint, weights_only=True)
    except ProcessExitedException as error:
        if request.number is None or error.exit_code != -request.number:  # else one that still imported has died of it
            raise
    finally:
        request.restore()
    if (folder / "last.ckpt").exists():
        system.images_seen = read_checkpoint(folder / "last.ckpt", mmap=True)[CHECKPOINT_KEY]["images_seen"]
        system.position = data.schedule.at(system.images_seen)
    for logger in trainer.loggers:
        go_back(logger, system.images_seen)  # the children have logged; this process goes on after them
    return request.number
