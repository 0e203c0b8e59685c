"""The command `python train.py`: compose the objects of a config, train, and evaluate."""

from __future__ import annotations

import json
from pathlib import Path

import pytorch_lightning as pl
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from t2f.conditioning.base import fit_conditioner, save_conditioner
from t2f.evaluation.after_training import evaluate_run
from t2f.sweeps.job import run_job
from t2f.training.callbacks.config import RecordConfig
from t2f.training.callbacks.progress import print_results
from t2f.training.fit import fit
from t2f.training.growth_schedule import GrowthSchedule
from t2f.training.loggers.csv import finish_wandb
from t2f.training.resolvers import quiet_libraries, register_resolvers, require_numbers
from t2f.training.resume import SafeCheckpointIO, checkpoint_to_resume
from t2f.utils.checkpoints import CHECKPOINT_KEY, read_checkpoint
from t2f.utils.errors import one_sentence_errors, require
from t2f.utils.instantiate import build, raw_overrides
from t2f.utils.processes import exclusive_run, folder_lock
from t2f.utils.progress import Task, print_note, run_console
from t2f.utils.signals import exit_on_signals, reraise_signal

FEW_IMAGES = 100  # with fewer, a GAN copies its training data


def train(cfg: DictConfig) -> dict[str, float]:
    """Run one training.

    If a signal stopped the run, it is raised again at the end.

    Args:
        cfg: The composed config of `conf/train.yaml`.

    Returns:
        Images seen and planned, and the metrics of the evaluation.

    Raises:
        UserError: A setting is out of range, or training failed in a way that the user can fix.
    """
    require(isinstance(cfg.seed, int) and 0 <= cfg.seed < 2**32, f"seed is {cfg.seed}: it must be 0, 1, ... 2^32 - 1.")
    pl.seed_everything(cfg.seed, verbose=False)
    folder = Path(cfg.paths.run)
    checkpoint = checkpoint_to_resume(cfg)
    final = cfg.growth.resolutions[-1] if cfg.growth.resolutions else None
    require(
        final == cfg.resolution,
        f"growth.resolutions ends at {final} pixels, but resolution is {cfg.resolution}: give the lists of growth, and "
        "model.networks.generator.channels, one value for each of 4, 8, ... pixels up to the resolution.",
    )
    schedule = build(cfg.growth)  # before the data are prepared, so that errors show early

    source = build(cfg.data)
    with folder_lock(Path(cfg.paths.cache)):
        source.prepare()
        with Task("Reading the descriptions"):
            conditioner = fit_conditioner(build(cfg.conditioning.conditioner), source.train)
    cfg.conditioning.size = conditioner.size
    cfg.num_attributes = len(source.train.attribute_names)
    datamodule = build(cfg.loader, source=source, conditioner=conditioner, schedule=schedule)

    config = OmegaConf.to_yaml(cfg, resolve=True)
    metadata = {"config": config, "conditioner": save_conditioner(conditioner)}
    model = build(cfg.model, metadata=metadata)

    if len(source.train) < FEW_IMAGES:
        print_note(
            f"there are only {len(source.train):,} training images, which the model will copy: new faces need thousands"
        )
    if (metrics := finished_metrics(cfg, checkpoint, schedule)) is not None:
        images = f"{schedule.total_images:,}"
        run_console().print(
            f"{folder} is finished ({images} of {images} images): raise growth.images to train it longer."
        )
        return metrics

    record = RecordConfig(folder, config)
    trainer = build(
        cfg.trainer,
        callbacks=[*(build(callback) for callback in cfg.callbacks.values() if callback), record],
        logger=[build(logger) for logger in cfg.logger.values()],
        plugins=[SafeCheckpointIO()],
    )
    evaluation = build(cfg.evaluation) if cfg.evaluation else None
    if evaluation:  # its errors and warnings show before training
        evaluation.prompt_set(source, conditioner)
        if few := evaluation.too_few(source):
            print_note(f"at the end, {few}")
    if trainer.is_global_zero:
        record.write_if_missing()
    stopped_by = fit(trainer, model, datamodule, checkpoint)
    metrics = {"images_seen": float(model.images_seen), "images_planned": float(schedule.total_images)}
    finished = model.images_seen >= schedule.total_images
    if finished and evaluation and not stopped_by:
        metrics |= evaluate_run(evaluation, trainer, model, datamodule, config, folder)
    if trainer.is_global_zero:
        if finished and evaluation and stopped_by:
            run_console().print("Training is finished, but was stopped before the evaluation.", style="bold")
        overrides = raw_overrides(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []
        print_results(folder, overrides, model.images_seen, schedule.total_images, conditioner.example, run_console())
    if stopped_by:
        reraise_signal(stopped_by, trainer.is_global_zero)
    return metrics


def finished_metrics(cfg: DictConfig, checkpoint: Path | None, schedule: GrowthSchedule) -> dict[str, float] | None:
    """Return the metrics of a resumed run that is already trained and evaluated, or None for any other run."""
    evaluation = Path(cfg.paths.run) / "evaluation.json"
    if not cfg.resume or checkpoint is None or (cfg.evaluation and not evaluation.exists()):
        return None
    seen = read_checkpoint(checkpoint, mmap=True)[CHECKPOINT_KEY]["images_seen"]
    if seen < schedule.total_images:
        return None
    measured = json.loads(evaluation.read_text(encoding="utf-8"))["figures"] if cfg.evaluation else {}
    return {"images_seen": float(seen), "images_planned": float(schedule.total_images), **measured}


def train_and_finish(cfg: DictConfig) -> dict[str, float]:
    """Check the overrides, train, and finish the wandb run, also after an error."""
    require_numbers(cfg)
    with finish_wandb():
        return train(cfg)


def run_config(cfg: DictConfig) -> float | None:
    """Run the training of a config, or one job of a sweep.

    Returns:
        The metric that a sweep optimizes, if there is one.
    """
    register_resolvers()  # processes of a sweep's launcher start here
    quiet_libraries()
    with exit_on_signals():
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            return run_job(train_and_finish, cfg)
        # Inside Hydra, which would print errors in its own format.
        with one_sentence_errors(), exclusive_run(Path(cfg.paths.run)):
            train_and_finish(cfg)
    return None
