"""Validation metrics during the training, and the checkpoint of the best model."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from t2f.evaluation.evaluator import Evaluator
from t2f.evaluation.metric_value import EvaluationResult
from t2f.training.base import GANModule
from t2f.training.callbacks.base import ImagesSeenCallback, datamodule_of
from t2f.training.callbacks.checkpoints import save_checkpoint
from t2f.utils.errors import require
from t2f.utils.progress import print_note


class ValidationMetrics(ImagesSeenCallback):
    """Log the metrics of a small evaluation as "quality/NAME" and save the best model as best.ckpt.

    Models that still grow are logged but not saved as the best. A checkpoint is saved before each evaluation, which may
    take minutes; a run that was interrupted in an evaluation repeats it when it resumes.

    Args:
        folder: Folder of best.ckpt.
        every: Images seen between two evaluations.
        watch: Prefix of the name of the metric that selects the best model.
        evaluation: Evaluator.
    """

    def __init__(self, folder: str, every: int, watch: str, evaluation: Evaluator) -> None:
        super().__init__(every)
        self.path = Path(folder) / "best.ckpt"
        self.watch = watch
        self.evaluation = evaluation
        self.best: float | None = None
        self.measuring = False

    def begin(self, trainer: pl.Trainer, system: GANModule) -> None:
        data = datamodule_of(trainer)
        self.evaluation.prompt_set(data.source, data.conditioner)  # raises an error for missing descriptions
        if few := self.evaluation.too_few(data.source):
            print_note(f"while training, {few}")
        if self.measuring:
            self.measure(trainer, system)

    def act(self, trainer: pl.Trainer, system: GANModule) -> None:
        self.measuring = True
        save_checkpoint(trainer, system)
        self.measure(trainer, system)

    def measure(self, trainer: pl.Trainer, system: GANModule) -> None:
        """Evaluate the model, log the metrics, and save the model if it is the best so far."""
        data = datamodule_of(trainer)
        system.share_buffers()
        result = self.evaluation(system, data.source, data.conditioner)
        values = {f"quality/{name}": value for name, value in result.flat().items()}
        for logger in trainer.loggers if values else []:
            logger.log_metrics(values, step=system.images_seen)
        self.measuring = False
        if system.schedule_state.resolution < self.schedule.final_resolution:
            return
        score = trainer.strategy.broadcast(self.score(result))  # only the first process has measured
        if score is not None and (self.best is None or score > self.best):
            system.assert_finite()
            self.best = score
            trainer.save_checkpoint(self.path, weights_only=False)

    def score(self, result: EvaluationResult) -> float | None:
        """Return the watched metric, negated where lower is better; None if it was not measured or is not finite.

        Raises:
            UserError: If the evaluation has no such metric.
        """
        watched = [metric for metric in result.metrics if metric.name.startswith(self.watch)]
        names = ", ".join(metric.name for metric in result.metrics)
        require(
            bool(watched) or not result.metrics or self.evaluation.missing_package is not None or result.incomplete,
            f"callbacks.validation.watch={self.watch} is not a prefix of a metric of its evaluation: choose one of "
            f"{names}.",
        )
        if not watched or not math.isfinite(watched[0].generated):
            return None
        metric = watched[0]
        if metric.better == "as real":
            return -abs(metric.generated - metric.real) if metric.real is not None else None
        return -metric.generated if metric.better == "lower" else metric.generated

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "measuring": self.measuring}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = state_dict["best"]
        self.measuring = state_dict["measuring"]
