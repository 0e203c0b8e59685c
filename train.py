"""Train a face GAN: compose the config, build the objects, fit, evaluate."""

import json
from pathlib import Path

if __name__ == "__main__":
    from t2f.utils.signals import install_exit_handlers

    install_exit_handlers()  # now, since the imports below take seconds

import t2f  # noqa: F401  # before all that imports torch, whose threads it sets up

# isort: split
import hydra
import pytorch_lightning as pl
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from t2f.cli.entry_point import run_hydra
from t2f.conditioning.base import fit_conditioner, save_conditioner
from t2f.evaluation.after_training import evaluate_run
from t2f.sweeps.job import run_job
from t2f.training.batches.datamodule import FaceDataModule
from t2f.training.callbacks.config import RecordConfig
from t2f.training.callbacks.progress import show_where_it_is
from t2f.training.fit import fit
from t2f.training.growth_schedule import GrowthSchedule
from t2f.training.loggers.csv import finish_wandb
from t2f.training.resolvers import quiet_libraries, register_resolvers, require_numbers
from t2f.training.resume import SafeCheckpointIO, checkpoint_to_resume, warn
from t2f.utils.checkpoints import CHECKPOINT_KEY, read_checkpoint
from t2f.utils.errors import one_sentence_errors, require
from t2f.utils.instantiate import build, raw_overrides
from t2f.utils.processes import exclusive_run, folder_lock
from t2f.utils.progress import Task, run_console
from t2f.utils.signals import exit_on_signals, reraise_signal

register_resolvers()

FEW = 100  # images, of which a GAN learns no more than copies


def train(cfg: DictConfig) -> dict[str, float]:
    """Run one training as configured; the images seen and planned, and the figures of its evaluation.

    A signal that stopped it is raised again.
    """
    require(isinstance(cfg.seed, int) and 0 <= cfg.seed < 2**32, f"seed is {cfg.seed}: it must be 0, 1, ... 2^32 - 1.")
    pl.seed_everything(cfg.seed, verbose=False)
    folder = Path(cfg.paths.run)
    checkpoint = checkpoint_to_resume(cfg)
    final = cfg.growth.resolutions[-1] if cfg.growth.resolutions else None
    require(
        final == cfg.resolution,
        f"growth.resolutions end at {final} pixels, but resolution is {cfg.resolution}: give the lists of growth, and "
        "model.networks.generator.channels, one value for each of 4, 8, ... pixels up to the resolution.",
    )
    schedule = build(cfg.growth)  # its mistakes are told before the data are prepared

    source = build(cfg.data)
    with folder_lock(Path(cfg.paths.cache)):
        source.prepare()
        with Task("Reading the descriptions"):
            conditioner = fit_conditioner(build(cfg.conditioning.conditioner), source.train)
    cfg.conditioning.size = conditioner.size
    cfg.num_attributes = len(source.train.attribute_names)
    data = FaceDataModule(
        source, conditioner, schedule, cfg.labeled_fraction, cfg.seed, cfg.loader.workers, cfg.loader.faces_on_device
    )

    config = OmegaConf.to_yaml(cfg, resolve=True)
    metadata = {"config": config, "conditioner": save_conditioner(conditioner)}
    system = build(cfg.model, metadata=metadata)

    if len(source.train) < FEW:
        warn(
            f"there are only {len(source.train):,} images to train on: expect copies of them; new faces need thousands"
        )
    if (figures := finished_figures(cfg, checkpoint, schedule)) is not None:
        images = f"{schedule.total_images:,}"
        run_console().print(
            f"{folder} is finished ({images} of {images} images): raise growth.images to train it longer."
        )
        return figures

    record = RecordConfig(folder, config)
    trainer = build(
        cfg.trainer,
        callbacks=[*(build(callback) for callback in cfg.callbacks.values()), record],
        logger=[build(logger) for logger in cfg.logger.values()],
        plugins=[SafeCheckpointIO()],
    )
    evaluation = build(cfg.evaluation) if cfg.evaluation else None  # what it lacks is told before the training
    if evaluation:
        evaluation.prompt_set(source, conditioner)
        if few := evaluation.too_few(source):
            warn(f"at the end, {few}")
    if trainer.is_global_zero:
        record.write_first()
    stopped_by = fit(trainer, system, data, checkpoint)
    figures = {"images_seen": float(system.images_seen), "images_planned": float(schedule.total_images)}
    finished = system.images_seen >= schedule.total_images
    if finished and evaluation and not stopped_by:
        figures |= evaluate_run(evaluation, trainer, system, data, config, folder)
    if trainer.is_global_zero:
        if finished and evaluation and stopped_by:
            run_console().print("Trained to the end, but stopped before the evaluation.", style="bold")
        overrides = raw_overrides(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []
        show_where_it_is(
            folder, overrides, system.images_seen, schedule.total_images, conditioner.example, run_console()
        )
    if stopped_by:
        reraise_signal(stopped_by, trainer.is_global_zero)
    return figures


def finished_figures(cfg: DictConfig, checkpoint: Path | None, schedule: GrowthSchedule) -> dict[str, float] | None:
    """The figures of a run that has nothing left to do, neither to train nor to measure; None for any other."""
    evaluation = Path(cfg.paths.run) / "evaluation.json"
    if not cfg.resume or checkpoint is None or (cfg.evaluation and not evaluation.exists()):
        return None
    seen = read_checkpoint(checkpoint, mmap=True)[CHECKPOINT_KEY]["images_seen"]
    if seen < schedule.total_images:
        return None
    measured = json.loads(evaluation.read_text(encoding="utf-8"))["figures"] if cfg.evaluation else {}
    return {"images_seen": float(seen), "images_planned": float(schedule.total_images), **measured}


def train_and_finish(cfg: DictConfig) -> dict[str, float]:
    """Train, and end wandb's run however the training ends."""
    require_numbers(cfg)
    with finish_wandb():
        return train(cfg)


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(cfg: DictConfig) -> float | None:
    register_resolvers()  # the processes of a sweep's launcher have not read this file
    quiet_libraries()
    with exit_on_signals():
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            return run_job(train_and_finish, cfg)
        with (
            one_sentence_errors(),
            exclusive_run(Path(cfg.paths.run)),
        ):  # before Hydra sees them, to say it in its own way
            train_and_finish(cfg)
    return None


if __name__ == "__main__":
    run_hydra(main)
