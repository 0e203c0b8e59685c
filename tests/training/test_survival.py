"""Runs that are killed, stopped by signals, or lack disk space or workers. See also experiments/survival."""

import errno
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from conftest import ROOT, TINY
from omegaconf import DictConfig
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from test_train import StopAt, assert_equal, rows

from t2f.cli.train import train
from t2f.evaluation.evaluator import Evaluator
from t2f.evaluation.metric_value import EvaluationResult
from t2f.training.base import GANModule
from t2f.training.resume import newest_checkpoint
from t2f.utils.checkpoints import read_checkpoint
from t2f.utils.errors import UserError, user_message
from t2f.utils.signals import exit_on_signals

Tiny = Callable[..., DictConfig]
sys.modules["test_survival"] = sys.modules[__name__]  # for configs to name the callbacks below


@pytest.mark.slow
def test_a_run_that_is_killed_repeatedly_has_the_same_result(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(10**6)
    command = [sys.executable, "experiments/survival/kill.py", "--kills=8", f"--seed={seed}", f"--out={tmp_path}"]
    command.append("~callbacks.validation")  # slow, and covered by the study
    process = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert process.returncode == 0, f"seed {seed}: {process.stdout}{process.stderr}"
    results = json.loads((tmp_path / "results.json").read_text())
    print(results)
    assert results["kills"] == 8
    assert results["runs"] >= 1
    assert not any(results["runs_that_differ"].values()), process.stdout


class SignalAt(StopAt):
    """Sends this process a signal after `images` images, between the callbacks that follow the step."""

    def __init__(self, images: int, number: int) -> None:
        super().__init__(images)
        self.number = number

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *args: Any) -> None:
        if pl_module.images_seen == self.images:
            signal.raise_signal(self.number)


def without_timings(run: Path) -> list[dict[str, str]]:
    return [{k: v for k, v in row.items() if not k.startswith(("speed/", "memory/"))} for row in rows(run)]


def tensorboard_scalars(run: Path) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(run / "tensorboard")).Reload()
    tags = [tag for tag in events.Tags()["scalars"] if not tag.startswith(("speed/", "memory/"))]
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in tags}


@pytest.mark.slow
def test_signals_save_a_checkpoint_and_a_damaged_one_is_skipped(
    tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The result is the same after three signals, a truncated checkpoint and a crash."""
    train(tiny(f"paths.run={tmp_path}/whole", "logger=default"))
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)]
    checkpoints = tmp_path / "run/checkpoints"
    for images, name in ((24, "SIGINT"), (56, "SIGTERM"), (72, "SIGUSR1")):
        number = signal.Signals[name]
        more = f"+callbacks.signal={{_target_: test_survival.SignalAt, images: {images}, number: {int(number)}}}"
        with pytest.raises(SystemExit) as ended, exit_on_signals():
            train(tiny("resume=auto", "logger=default", more))
        assert ended.value.code == 128 + number
        shown = capsys.readouterr()
        assert f"Stopped after {images + 8} of 96 images." in shown.out  # the step after
        assert f"Stopped by {name}." in shown.err
        assert newest_checkpoint(checkpoints) == checkpoints / "last.ckpt"
        assert read_checkpoint(checkpoints / "last.ckpt")["t2f"]["images_seen"] == images + 8
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)] == before

    os.truncate(checkpoints / "last.ckpt", 1000)  # a hard link, so the newest numbered checkpoint is damaged too
    with pytest.raises(RuntimeError, match="crash"):
        train(tiny("resume=auto", "logger=default", "+callbacks.crash={_target_: test_train.StopAt, images: 88}"))
    shown = capsys.readouterr()
    assert "skipping" in shown.err
    assert "Resuming after 64 images" in shown.out
    train(tiny("resume=auto", "logger=default"))
    assert_same_result(tmp_path / "whole", tmp_path / "run")
    assert tensorboard_scalars(tmp_path / "whole") == tensorboard_scalars(tmp_path / "run")


@pytest.mark.slow
def test_after_a_signal_at_the_last_step_the_resumed_run_evaluates(
    tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The validation after the last step is long enough for a user to press Ctrl-C."""
    features = ["features._target_=fixtures.toy.TinyFeatures", "~features.resolution"]
    measured = ["evaluation=default", "evaluation.count=20", "evaluation.text_alignment={}", *features]
    more = f"+callbacks.signal={{_target_: test_survival.SignalAt, images: 96, number: {int(signal.SIGTERM)}}}"
    with pytest.raises(SystemExit) as ended, exit_on_signals():
        train(tiny(*measured, more))
    assert ended.value.code == 128 + signal.SIGTERM
    assert "Training is finished, but was stopped before the evaluation." in capsys.readouterr().out
    assert not (tmp_path / "run/evaluation.json").exists()
    figures = train(tiny(*measured, "resume=auto"))
    assert figures["images_seen"] == 96
    assert (tmp_path / "run/evaluation.json").exists()


class KillingEvaluator(Evaluator):
    """Kills its process."""

    def __call__(self, *_: object) -> EvaluationResult:
        os.kill(os.getpid(), signal.SIGKILL)
        return EvaluationResult()


EVALUATED = [
    *(each for each in TINY if each not in ("~callbacks.validation", "evaluation=none")),
    "callbacks.validation.every=40",
    "features._target_=fixtures.toy.TinyFeatures",
    "~features.resolution",
    *(
        f"{part}.{key}"
        for part in ("evaluation", "callbacks.validation.evaluation")
        for key in ("count=8", "text_alignment={}")
    ),
]


@pytest.mark.parametrize(
    ("evaluation", "images"),
    [("callbacks.validation.evaluation", 40), ("callbacks.validation.evaluation", 96), ("evaluation", 96)],
)
def test_a_run_that_is_killed_in_an_evaluation_has_a_checkpoint(
    tiny: Tiny, tmp_path: Path, evaluation: str, images: int
) -> None:
    train(tiny(f"paths.run={tmp_path}/whole", base=EVALUATED))
    every = [f"callbacks.validation.every={images}", f"{evaluation}._target_=test_survival.KillingEvaluator"]
    cfg = tiny(*every, base=EVALUATED)
    process = os.fork()
    if not process:
        try:
            train(cfg)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == -signal.SIGKILL
    checkpoint = read_checkpoint(tmp_path / "run/checkpoints/last.ckpt")
    assert checkpoint["t2f"]["images_seen"] == images

    steps = []
    with pytest.MonkeyPatch.context() as patch:
        step = GANModule.training_step
        patch.setattr(GANModule, "training_step", lambda system, *given: steps.append(0) or step(system, *given))
        train(tiny("resume=true", base=EVALUATED))
    assert len(steps) == (96 - images) / 8  # the remaining steps; none if only the evaluation is missing
    assert (tmp_path / "run/evaluation.json").exists()
    if evaluation != "evaluation" and images == 40:
        assert_same_result(tmp_path / "whole", tmp_path / "run")


def assert_same_result(one: Path, other: Path) -> None:
    ends = [read_checkpoint(run / "checkpoints/last.ckpt") for run in (one, other)]
    for part in ("state_dict", "optimizer_states"):
        assert_equal(ends[0][part], ends[1][part], part)
    assert without_timings(one) == without_timings(other)
    files = [{path.name for path in (run / "checkpoints").iterdir()} for run in (one, other)]
    assert files[0] == files[1]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_gives_a_message_and_keeps_an_intact_checkpoint(tiny: Tiny, small_disk: Path) -> None:
    with pytest.raises(UserError, match=r"[Dd]isk (is )?full"):
        train(tiny(f"paths.run={small_disk}/run", "callbacks.checkpoints.keep=100", "callbacks.checkpoints.every=8"))
    newest = newest_checkpoint(small_disk / "run/checkpoints")
    assert newest is not None
    assert not list((small_disk / "run/checkpoints").glob(".*"))
    weights = read_checkpoint(newest)["state_dict"].values()
    assert all(torch.isfinite(weight).all() for weight in weights)


class KillWorkerAt(StopAt):
    """Kills the data loading process, as the operating system does if memory runs out."""

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *args: Any) -> None:
        if pl_module.images_seen == self.images:
            (worker,) = multiprocessing.active_children()
            worker.kill()
            worker.join()


@pytest.mark.slow
def test_a_killed_worker_gives_a_message_and_the_run_can_be_resumed(tiny: Tiny, tmp_path: Path) -> None:
    train(tiny(f"paths.run={tmp_path}/whole"))
    with pytest.raises(RuntimeError) as caught:
        train(tiny("loader.workers=1", "+callbacks.kill={_target_: test_survival.KillWorkerAt, images: 56}"))
    assert "A data loading process was killed" in str(user_message(caught.value))
    train(tiny("loader.workers=1", "resume=true"))
    assert_same_result(tmp_path / "whole", tmp_path / "run")


def test_any_error_of_a_full_disk_gives_a_message() -> None:
    error = OSError(errno.ENOSPC, "No space left on device", "events.out")
    assert "disk is full (events.out)" in str(user_message(error))
