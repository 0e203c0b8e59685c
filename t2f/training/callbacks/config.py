"""The settings of a run, recorded once they are used."""

from __future__ import annotations

from pathlib import Path

import pytorch_lightning as pl

from t2f.training.base import GANModule
from t2f.training.callbacks.base import data_of
from t2f.training.loggers.wandb import WandbLogger
from t2f.utils.files import atomic_write
from t2f.utils.instantiate import from_yaml


class RecordConfig(pl.Callback):
    """Write the resolved config as `config.yaml` when the training begins.

    A run that is resumed with settings that its checkpoint refuses, or when it is finished, keeps the config that it
    was trained with.
    """

    def __init__(self, folder: Path, config: str) -> None:
        """`config`: YAML."""
        self.path = folder / "config.yaml"
        self.config = config

    def write_first(self) -> None:
        """Write the config of a new run, for loggers to read. Raises `UserError` where that is not possible."""
        if not self.path.exists():
            self.write()

    def write(self) -> None:
        with atomic_write(self.path, f"the config in {self.path.parent}") as side:
            side.write_text(self.config, encoding="utf-8")

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """After Lightning has restored the checkpoint, optimizers included."""
        assert isinstance(pl_module, GANModule)
        if not trainer.is_global_zero or pl_module.images_seen >= data_of(trainer).schedule.total_images:
            return
        self.write()
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):  # which read the file when its run began
                logger.experiment.config.update(from_yaml(self.config), allow_val_change=True)
