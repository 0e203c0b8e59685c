"""train.py as it is: images a second at each stage, how long growing pauses it, and what is not the training step."""

from __future__ import annotations

import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytorch_lightning as pl
import torch
from clocks import finish
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from sides import ROOT

sys.path.insert(0, str(ROOT))  # train.py is no part of the package

from t2f.training.base import GANModule
from t2f.training.batches.datamodule import FaceDataModule
from t2f.training.growth_schedule import GrowthSchedule

BARE_STEPS = 64
Note = tuple[int, float, int]
"""A resolution, when a step of it ended, and how many images had been seen then."""


class Clock(pl.Callback):
    """Notes when each step ends, and times bare steps after the last one.

    On a GPU a step ends when it is queued. The queue is short, so that the times are right over many steps.
    """

    def __init__(self) -> None:
        self.notes: list[Note] = []
        self.batch: Any = None
        self.bare = 0.0

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *rest: Any) -> None:
        assert isinstance(pl_module, GANModule)
        self.batch = rest[1]
        self.notes.append((pl_module.schedule_state.resolution, time.perf_counter(), pl_module.images_seen))

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, GANModule)
        times = []
        for _ in range(2):  # the first round may record the steps
            finish(pl_module.device)
            start = time.perf_counter()
            for _ in range(BARE_STEPS):
                with trainer.precision_plugin.train_step_context():
                    pl_module.training_step(self.batch, 0)
            finish(pl_module.device)
            times.append((time.perf_counter() - start) / BARE_STEPS)
        self.bare = times[-1]


def stage_rates(notes: Sequence[Note]) -> dict[str, float]:
    """Images a second in the second half of each stage, in which nothing is faded in or recorded."""
    rates = {}
    for resolution in dict.fromkeys(resolution for resolution, _, _ in notes):
        of_stage = [(end, images) for where, end, images in notes if where == resolution]
        (start, before), (end, after) = of_stage[len(of_stage) // 2], of_stage[-1]
        rates[str(resolution)] = (after - before) / (end - start)
    return rates


def pauses(notes: Sequence[Note]) -> dict[str, float]:
    """Seconds from the last step of a stage to the end of the next one's tenth, over what ten of its steps take."""
    found = {}
    for number in range(1, len(notes) - 10):
        (before, ended, _), (after, _, _) = notes[number - 1], notes[number]
        if after != before:
            times = [end for where, end, _ in notes if where == after]
            usual = statistics.median(end - start for start, end in itertools.pairwise(times))
            found[f"{before} -> {after}"] = notes[number + 9][1] - ended - 10 * usual
    return found


def whole(overrides: Sequence[str], device: torch.device, images: int) -> dict[str, Any]:
    """Train with these overrides at the default cadence, without evaluations (which `experiments/overhead` has).

    Args:
        overrides: Of train.py.
        device: The device.
        images: Length of each stage.
    """
    from t2f.cli.train import train

    clock = Clock()
    settings = [
        "evaluation=none",
        "~callbacks.validation",
        "data.count=2000",
        "data.held_out=100",
        f"growth.images={images}",
        f"trainer.accelerator={'gpu' if device.type == 'cuda' else 'cpu'}",
    ]
    made = pl.Trainer.__init__

    def with_clock(trainer: pl.Trainer, *arguments: Any, callbacks: Any = None, **options: Any) -> None:
        made(trainer, *arguments, callbacks=[*(callbacks or []), clock], **options)

    with (
        tempfile.TemporaryDirectory() as folder,
        initialize_config_dir(str(ROOT / "conf"), version_base="1.3"),
        mock.patch.object(pl.Trainer, "__init__", with_clock),
    ):
        train(compose("train", overrides=[f"paths.run={folder}", *settings, *overrides]))
    rates = stage_rates(clock.notes)
    last, batch = list(rates)[-1], clock.notes[-1][2] - clock.notes[-2][2]
    return {
        "command": " ".join(["python train.py", *settings, *overrides]),
        "images a second": rates,
        "bare step": {"stage": last, "images a second": batch / clock.bare},
        "overhead": 1 - rates[last] * clock.bare / batch,
        "pauses": pauses(clock.notes),
    }


def batches_alone(resolution: int, batch: int, seconds: float, cache: str, device: torch.device) -> float:
    """Images a second of the loader that `auto` chooses for a device, over drawn faces kept at this resolution."""
    from t2f.conditioning.base import fit_conditioner

    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        settings = [f"resolution={resolution}", "data.count=2000", "data.held_out=100", f"paths.cache={cache}"]
        cfg = compose("train", overrides=["paths.run=unused", *settings])
    source = instantiate(cfg.data)
    source.prepare()
    conditioner = fit_conditioner(instantiate(cfg.conditioning.conditioner), source.train)
    schedule = GrowthSchedule([resolution], [batch], 0.0, images=[10**9])
    data: FaceDataModule = instantiate(cfg.loader, _partial_=True)(source, conditioner, schedule)
    system = SimpleNamespace(images_seen=0, min_labeled=2, uses_unlabeled=False)
    data.trainer = SimpleNamespace(  # type: ignore[assignment]  # a stand-in
        world_size=1, global_rank=0, lightning_module=system, strategy=SimpleNamespace(root_device=device)
    )
    data.setup("fit")
    seen, start = 0, 0.0
    for number, faces in enumerate(data.train_dataloader()):
        if number == 20:
            start = time.perf_counter()
        seen += len(faces["images"]) if number >= 20 else 0
        if number > 20 and time.perf_counter() - start > seconds:
            break
    finish(device)
    return seen / (time.perf_counter() - start)
