import csv
import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import TINY
from omegaconf import DictConfig
from test_train import assert_equal

from t2f.cli.train import train
from t2f.evaluation.callback import ValidationMetrics
from t2f.evaluation.evaluator import Evaluator
from t2f.evaluation.metric_value import EvaluationResult, MetricValue
from t2f.utils.checkpoints import CHECKPOINT_KEY, read_checkpoint
from t2f.utils.errors import UserError

Tiny = Callable[..., DictConfig]
WITH_QUALITY = [each for each in TINY if each != "~callbacks.validation"]
SMALL = [
    "callbacks.validation.every=24",
    "callbacks.validation.evaluation.count=10",
    "callbacks.validation.evaluation.features={_target_: fixtures.toy.TinyFeatures, _partial_: true}",
    "callbacks.validation.evaluation.text_alignment={}",
]


def logged(run: Path, name: str) -> dict[int, float]:
    with (run / "metrics.csv").open(newline="") as file:
        return {int(row["images_seen"]): float(row[name]) for row in csv.DictReader(file) if row.get(name)}


def test_metrics_are_logged_and_the_best_model_is_saved(tiny: Tiny, tmp_path: Path) -> None:
    train(tiny(*SMALL, base=WITH_QUALITY))
    values = logged(tmp_path / "run", "quality/kernel_distance_tiny")
    assert list(values) == [24, 48, 72, 96]
    # Up to 48 images the model has 4 pixels and still grows, so it cannot be the best.
    best = min((72, 96), key=values.__getitem__)
    assert read_checkpoint(tmp_path / "run/checkpoints/best.ckpt")[CHECKPOINT_KEY]["images_seen"] == best


def test_validation_does_not_change_the_training(tiny: Tiny, tmp_path: Path) -> None:
    """The classifier that is trained during the validation does not change it either."""
    validated, plain = (
        train_in(tiny(*overrides, f"paths.run={tmp_path}/{name}", base=base))
        for name, base, overrides in (("validated", WITH_QUALITY, SMALL[:-1]), ("plain", TINY, []))
    )
    assert "quality/attribute_accuracy" in (tmp_path / "validated/metrics.csv").read_text()
    assert_equal(validated, plain)


def train_in(cfg: DictConfig) -> dict[str, torch.Tensor]:
    Path(cfg.paths.run).mkdir(exist_ok=True)
    train(cfg)
    weights: dict[str, torch.Tensor] = read_checkpoint(Path(cfg.paths.run) / "checkpoints/last.ckpt")["state_dict"]
    return weights


class FixedEvaluator(Evaluator):
    """Returns given values."""

    def __init__(self, values: list[float], better: str) -> None:
        self.values = iter(values)
        self.better = better

    def __call__(self, *_: object) -> EvaluationResult:
        metric = MetricValue("merit_score", "", next(self.values), real=4, better=self.better)  # type: ignore[arg-type]  # a stand-in
        return EvaluationResult([metric])


class Trainer:
    """The part of Lightning's trainer that the callback uses."""

    loggers: tuple[()] = ()

    def __init__(self) -> None:
        self.saved: list[Path] = []
        self.strategy = self
        self.datamodule = self.source = self.conditioner = None

    def broadcast(self, value: float) -> float:
        return value

    def save_checkpoint(self, path: Path, weights_only: bool) -> None:
        assert not weights_only
        self.saved.append(path)


class System:
    """The part of the LightningModule that the callback uses."""

    images_seen = 1

    class schedule_state:
        resolution = 8

    def assert_finite(self) -> None:
        pass

    def share_buffers(self) -> None:
        pass


@pytest.mark.parametrize(
    ("better", "values", "saves"),
    [
        ("lower", [3, 4, 2, 2, 1], [1, 0, 1, 0, 1]),
        ("higher", [3, 4, 2, 5], [1, 1, 0, 1]),
        ("higher", [math.nan, 1, math.nan], [0, 1, 0]),
        ("as real", [1, 9, 5, 6], [1, 0, 1, 0]),  # the value of real images is 4
    ],
)
def test_only_a_better_model_is_saved(
    monkeypatch: pytest.MonkeyPatch, better: str, values: list[float], saves: list[int]
) -> None:
    trainer = Trainer()
    monkeypatch.setattr("t2f.evaluation.callback.datamodule_of", lambda _: trainer)
    callback = ValidationMetrics("folder", 10, "merit", FixedEvaluator(values, better))
    callback.schedule = type("Schedule", (), {"final_resolution": 8})()
    saved = []
    for _ in values:
        before = len(trainer.saved)
        callback.act(trainer, System())  # type: ignore[arg-type]  # a stand-in
        saved.append(len(trainer.saved) - before)
        # The best value is restored when a run resumes.
        state = callback.state_dict()
        callback.best = None
        callback.load_state_dict(json.loads(json.dumps(state)))
    assert saved == saves
    assert set(trainer.saved) == {Path("folder/best.ckpt")}


def test_watching_an_unknown_metric_raises_an_error(tiny: Tiny) -> None:
    message = r"watch=beauty is not a prefix of a metric of its evaluation: choose one of kernel_distance_tiny"
    with pytest.raises(UserError, match=message):
        train(tiny(*SMALL, "callbacks.validation.watch=beauty", base=WITH_QUALITY))
