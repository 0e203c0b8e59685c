"""Fitting with any Lightning strategy, with the signal that stopped the run."""

from __future__ import annotations

import multiprocessing
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytorch_lightning as pl
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from torch.multiprocessing.spawn import ProcessExitedException

from t2f.training.base import GANModule
from t2f.training.batches.datamodule import FaceDataModule
from t2f.training.callbacks.checkpoints import Checkpoints
from t2f.training.loggers.csv import discard_after
from t2f.training.loggers.wandb import WandbLogger
from t2f.utils.checkpoints import CHECKPOINT_KEY, read_checkpoint
from t2f.utils.errors import UserError, require
from t2f.utils.private_api import multiprocessing_launcher, subprocess_launcher
from t2f.utils.signals import StopRequest

if TYPE_CHECKING:
    from t2f.utils.private_api import MultiProcessingLauncher, SubprocessLauncher


def fit(trainer: pl.Trainer, model: GANModule, datamodule: FaceDataModule, checkpoint: Path | None) -> int | None:
    """Train to the end of the schedule, or until a signal stops the run.

    Args:
        trainer: Its callbacks include `Checkpoints`, if training is to be resumable.
        model: The GAN.
        datamodule: The prepared data.
        checkpoint: The checkpoint to resume from, if any.

    Returns:
        The number of the signal that stopped the run, or None.

    Raises:
        UserError: The strategy cannot be used with these callbacks or in a sweep.
    """
    callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]  # missing from Lightning's types
    checkpoints = next((callback for callback in callbacks if isinstance(callback, Checkpoints)), None)
    if spawning := multiprocessing_launcher(trainer):
        if checkpoints is None:
            raise UserError(
                "trainer=ddp_spawn needs callbacks.checkpoints: its processes return the model in a checkpoint."
            )
        return fit_in_children(trainer, spawning, model, datamodule, checkpoint, checkpoints.folder)
    starting = subprocess_launcher(trainer)
    if starting:
        require_single_job(trainer, starting)
    try:
        trainer.fit(model, datamodule, ckpt_path=checkpoint, weights_only=True)
    except BaseException:
        if starting:
            starting.kill(signal.SIGKILL)  # they may wait for this process forever
        raise
    return checkpoints.stopped_by if checkpoints else None


def require_single_job(trainer: pl.Trainer, launcher: SubprocessLauncher) -> None:
    """Raise `UserError` in a sweep, whose command line Lightning would run again in each process."""
    require(
        launcher.cluster_environment.creates_processes_externally
        or trainer.world_size == 1
        or not HydraConfig.initialized()
        or HydraConfig.get().mode != RunMode.MULTIRUN,
        "In a sweep, trainer=ddp would start the whole sweep again in each process: use trainer=ddp_spawn.",
    )


def fit_in_children(
    trainer: pl.Trainer,
    launcher: MultiProcessingLauncher,
    model: GANModule,
    datamodule: FaceDataModule,
    checkpoint: Path | None,
    folder: Path,
) -> int | None:
    """Train in child processes. Lightning returns their weights; images seen are read from the last checkpoint."""

    def forward(number: int) -> None:
        if launcher.procs:
            launcher.kill(number)
            return
        # Lightning is still starting the children one by one, and nothing has been trained. If one of them died of
        # the signal, this process would block when it sends the child its task.
        for child in multiprocessing.active_children():
            child.kill()
        raise SystemExit(128 + number)

    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            logger.ends_with_training = True  # in the children, which receive a copy
    request = StopRequest()
    request.listen(forward=forward)
    try:
        trainer.fit(model, datamodule, ckpt_path=checkpoint, weights_only=True)
    except ProcessExitedException as error:
        # A child that is still importing modules dies of the signal.
        if request.number is None or error.exit_code != -request.number:
            raise
    finally:
        request.restore()
    if (folder / "last.ckpt").exists():
        model.images_seen = read_checkpoint(folder / "last.ckpt", mmap=True)[CHECKPOINT_KEY]["images_seen"]
        model.schedule_state = datamodule.schedule.at(model.images_seen)
    for logger in trainer.loggers:
        discard_after(logger, model.images_seen)  # read the rows of the children, and append to them
    return request.number
