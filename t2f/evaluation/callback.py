"""How good the faces are by now, on the clock of images seen; and the best model so far."""

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
from t2f.training.resume import warn
from t2f.utils.errors import require


class ValidationMetrics(ImagesSeenCallback):
    """Log the figures of a small `evaluation` as "quality/..."; keep in best.ckpt the model with the best of them.

    `watch` begins the name of the figure that tells the best. A model that still grows is not asked. A checkpoint is
    written before the evaluation, which may take minutes; a run that ends in it measures again when it goes on.
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
        self.evaluation.prompt_set(data.source, data.conditioner)  # what it lacks is told before the training
        if few := self.evaluation.too_few(data.source):
            warn(f"while training, {few}")
        if self.measuring:
            self.measure(trainer, system)

    def act(self, trainer: pl.Trainer, system: GANModule) -> None:
        self.measuring = True
        save_checkpoint(trainer, system)
        self.measure(trainer, system)

    def measure(self, trainer: pl.Trainer, system: GANModule) -> None:
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
        """The figure watched, turned so that more is better; None where nothing was measured, or no number came out.

        Raises `UserError` if another figure was measured, but not this one.
        """
        watched = [figure for figure in result.figures if figure.name.startswith(self.watch)]
        names = ", ".join(figure.name for figure in result.figures)
        require(
            bool(watched) or not result.figures or self.evaluation.missing is not None or result.left_out,
            f"callbacks.validation.watch={self.watch} begins the name of no figure that its evaluation takes: {names}.",
        )
        if not watched or not math.isfinite(watched[0].drawn):
            return None
        figure = watched[0]
        if figure.better == "as real":
            return -abs(figure.drawn - figure.real) if figure.real is not None else None
        return -figure.drawn if figure.better == "lower" else figure.drawn

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "measuring": self.measuring}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = state_dict["best"]
        self.measuring = state_dict.get("measuring", False)  # which older checkpoints lack
