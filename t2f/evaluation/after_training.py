"""The evaluation at the end of a training."""

from __future__ import annotations

from pathlib import Path

import pytorch_lightning as pl

from t2f.evaluation.evaluator import Evaluation
from t2f.evaluation.provenance import provenance
from t2f.evaluation.report import show, write_report
from t2f.training.base import GANSystem
from t2f.training.batches.datamodule import FaceDataModule
from t2f.utils.progress import terminal


def evaluate_run(
    evaluation: Evaluation, trainer: pl.Trainer, system: GANSystem, data: FaceDataModule, config: str, folder: Path
) -> dict[str, float]:
    """Measure what was trained; evaluation.md and .json in `folder`, the table in the terminal, figures to the loggers.

    All processes must call it; figures are given in the first one.
    """
    system.to(trainer.strategy.root_device)  # Lightning has brought it back to the CPU
    findings = evaluation(system, data.source, data.conditioner)
    figures = findings.flat()
    if trainer.is_global_zero:
        about = provenance(evaluation, data.source, config, system.images_seen, system.device)
        write_report(findings, about, folder, "evaluation")
        show(findings, terminal())
        for logger in trainer.loggers:
            values = {f"evaluation/{name}": value for name, value in figures.items()}
            logger.log_metrics(values, step=system.images_seen)
    return figures
