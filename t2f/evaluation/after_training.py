"""The evaluation at the end of a training."""

from __future__ import annotations

from pathlib import Path

import pytorch_lightning as pl

from t2f.evaluation.evaluator import Evaluator
from t2f.evaluation.provenance import provenance
from t2f.evaluation.report import show, write_report
from t2f.training.base import GANModule
from t2f.training.batches.datamodule import FaceDataModule
from t2f.utils.progress import run_console


def evaluate_run(
    evaluation: Evaluator, trainer: pl.Trainer, system: GANModule, data: FaceDataModule, config: str, folder: Path
) -> dict[str, float]:
    """Measure what was trained; evaluation.md and .json in `folder`, the table in the terminal, figures to the loggers.

    All processes must call it; figures are given in the first one.
    """
    system.to(trainer.strategy.root_device)  # Lightning has brought it back to the CPU
    result = evaluation(system, data.source, data.conditioner)
    figures = result.flat()
    if trainer.is_global_zero:
        about = provenance(evaluation, data.source, config, system.images_seen, system.device)
        write_report(result, about, folder, "evaluation")
        show(result, run_console())
        for logger in trainer.loggers:
            values = {f"evaluation/{name}": value for name, value in figures.items()}
            logger.log_metrics(values, step=system.images_seen)
    return figures
