"""The recorded config of a run."""

from __future__ import annotations

from pathlib import Path

import pytorch_lightning as pl

from t2f.training.base import GANModule
from t2f.training.callbacks.base import datamodule_of
from t2f.training.loggers.wandb import WandbLogger
from t2f.utils.files import atomic_write
from t2f.utils.instantiate import from_yaml


class RecordConfig(pl.Callback):
    """Writes the resolved config to `config.yaml` when training begins.

    If the run is already finished, or its checkpoint does not fit the config, the file keeps the config that the run
    was trained with.

    Args:
        folder: Folder of the run.
        config: The resolved config, as YAML.
    """

    def __init__(self, folder: Path, config: str) -> None:
        self.path = folder / "config.yaml"
        self.config = config

    def write_if_missing(self) -> None:
        """Write the config of a new run before loggers read it.

        Raises:
            UserError: The file cannot be written.
        """
        if not self.path.exists():
            self.write()

    def write(self) -> None:
        with atomic_write(self.path, f"the config in {self.path.parent}") as side:
            side.write_text(self.config, encoding="utf-8")

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # By now Lightning has restored the whole checkpoint.
        assert isinstance(pl_module, GANModule)
        if not trainer.is_global_zero or pl_module.images_seen >= datamodule_of(trainer).schedule.total_images:
            return
        self.write()
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):  # it read the file when its run began
                logger.experiment.config.update(from_yaml(self.config), allow_val_change=True)
