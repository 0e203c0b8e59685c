"""How good the faces are by now, on the clock of images seen; and the best model so far."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from t2f.callbacks.cadence import ClockCallback, data_of
from t2f.evaluation.evaluation import Evaluation
from t2f.systems.base import GANSystem


class Quality(ClockCallback):
    """Log the figures of a small `evaluation` as "quality/..."; keep in best.ckpt the model with the best of them.

    `watch` begins the name of the figure that tells the best. A model that still grows is not asked.
    """

    def __init__(self, folder: str, every: int, watch: str, evaluation: Evaluation) -> None:
        super().__init__(every)
        self.path = Path(folder) / "best.ckpt"
        self.watch = watch
        self.evaluation = evaluation
        self.best: float | None = None

    def act(self, trainer: pl.Trainer, system: GANSystem) -> None:
        data = data_of(trainer)
        findings = self.evaluation(system, data.source, data.conditioner)
        values = {f"quality/{name}": value for name, value in findings.flat().items()}
        for logger in trainer.loggers if values else []:
            logger.log_metrics(values, step=system.images_seen)
        if system.position.resolution < self.schedule.final_resolution:
            return
        watched = [figure for figure in findings.figures if figure.name.startswith(self.watch)]
        # Only the first process has measured; a figure of which lower is better counts from below.
        score = watched[0].drawn * (-1 if watched[0].better == "lower" else 1) if watched else None
        score = trainer.strategy.broadcast(score)
        if score is not None and (self.best is None or score > self.best):
            system.assert_finite()
            self.best = score
            trainer.save_checkpoint(self.path, weights_only=False)

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = state_dict["best"]
