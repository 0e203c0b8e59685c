"""Evaluation at the end of a training run."""

from __future__ import annotations

from pathlib import Path

import pytorch_lightning as pl

from t2f.evaluation.evaluator import Evaluator
from t2f.evaluation.provenance import provenance, shared_features
from t2f.evaluation.report import show, write_report
from t2f.training.base import GANModule
from t2f.training.batches.datamodule import FaceDataModule
from t2f.utils.progress import run_console


def evaluate_run(
    evaluator: Evaluator, trainer: pl.Trainer, system: GANModule, data: FaceDataModule, config: str, folder: Path
) -> dict[str, float]:
    """Evaluate a trained model; write evaluation.md and evaluation.json, print the report and log the metrics.

    All processes must call this function. It returns the metrics by name in the first process, and nothing in others.
    """
    system.to(trainer.strategy.root_device)  # Lightning has moved it to the CPU
    result = evaluator(system, data.source, data.conditioner)
    metrics = result.flat()
    if trainer.is_global_zero:
        result.notes += shared_features(evaluator, config)
        about = provenance(evaluator, data.source, config, system.images_seen, system.device)
        write_report(result, about, folder, "evaluation")
        show(result, run_console())
        for logger in trainer.loggers:
            values = {f"evaluation/{name}": value for name, value in metrics.items()}
            logger.log_metrics(values, step=system.images_seen)
    return metrics
