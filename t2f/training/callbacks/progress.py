"""Terminal output of a run: summary at the start, progress, and next commands at the end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from t2f.conditioning.sentences import TextConditioner
from t2f.training.base import GANModule
from t2f.training.batches.datamodule import FaceDataModule
from t2f.training.callbacks.base import datamodule_of
from t2f.training.growth_schedule import GrowthSchedule
from t2f.training.resolvers import quiet_libraries
from t2f.utils.progress import Task, parallel_job_number, run_console
from t2f.utils.quoting import (
    drop_overrides,
    format_override,
    generate_command,
    path_argument,
    print_verbatim,
    shell_command,
    train_command,
)

SECONDS_BEFORE_ESTIMATE = 15.0  # the first steps are slow
COST_OF_DOUBLING = 1.75
"""Time per image at twice the resolution, relative to one; about that of the default run on a CPU, whose channels halve
(`experiments/first_run`: 66, 134, 223 and 365 ms a step)."""
FILES = {
    "samples": "sample grids",
    "growth.gif": "time-lapse",
    "metrics.csv": "metrics",
    "fit-profile.txt": "profile",
    "evaluation.md": "evaluation",
    "checkpoints": "checkpoints",
    "config.yaml": "config",
}


class TrainingProgress(Task):
    """A progress bar over the images of a schedule, with stage, speed and remaining time."""

    def __init__(self, schedule: GrowthSchedule, images_seen: int, quiet: bool) -> None:
        super().__init__("Training", schedule.total_images, quiet, transient=False)
        self.schedule = schedule
        self.done = images_seen
        self.speed = 0.0
        self.last_time, self.last_images = time.monotonic(), images_seen

    def update(self, images_seen: int) -> None:
        """Move the bar, at most once a second."""
        now = time.monotonic()
        if now - self.last_time < 1 and images_seen < self.schedule.total_images:
            return
        speed = (images_seen - self.last_images) / max(now - self.last_time, 1e-9)
        # An exponential average, since grids and checkpoints make single seconds slow.
        self.speed = 0.8 * self.speed + 0.2 * speed if self.speed else speed
        self.last_time, self.last_images = now, images_seen
        state = self.schedule.at(images_seen)
        size = f"{state.resolution}x{state.resolution}"
        self.title = f"Stage {state.stage + 1}/{len(self.schedule.stages)}  {size}  alpha {state.alpha:.2f}"
        self.advance(min(images_seen, self.schedule.total_images) - self.done)

    def status(self) -> str:
        reliable = time.monotonic() - self.started > SECONDS_BEFORE_ESTIMATE
        left = f"{timedelta(seconds=round(self.seconds_left()))}" if reliable and self.speed else "?"
        total = self.schedule.total_images
        return f"{self.done:,}/{total:,} images ({self.done / total:.0%})  {self.speed:,.0f} images/s  {left} left"

    def seconds_left(self) -> float:
        """Estimate the remaining time from the present speed and the cost of later stages."""
        stage, start, cost = self.schedule.at(self.done).stage, self.done, 0.0
        for index in range(stage, len(self.schedule.stages)):
            end = self.schedule.stage_end(index)
            cost += max(0, end - start) * COST_OF_DOUBLING ** (index - stage)
            start = end
        return cost / self.speed


class TerminalReport(pl.Callback):
    """Prints data, networks and schedule at the start, and shows a progress bar."""

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        quiet_libraries()  # also in processes that Lightning spawned

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, GANModule)
        self.console = run_console(quiet=not trainer.is_global_zero)
        datamodule = datamodule_of(trainer)
        self.print_summary(trainer, pl_module, datamodule)
        if pl_module.images_seen:
            self.console.print(f"Resuming after {pl_module.images_seen:,} images.")
        self.task = TrainingProgress(datamodule.schedule, pl_module.images_seen, quiet=not trainer.is_global_zero)
        self.task.start()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, GANModule)
        self.task.update(pl_module.images_seen)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.task.end()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        if hasattr(self, "task"):
            self.task.end()

    def print_summary(self, trainer: pl.Trainer, model: GANModule, datamodule: FaceDataModule) -> None:
        train, held_out = datamodule.source.train, datamodule.source.held_out
        captions = ""
        if isinstance(datamodule.conditioner, TextConditioner):  # else captions need not be made
            described = datamodule.conditioner.count_described(train)
            captions = f" with {sum(map(len, train.captions)):,} captions"
            captions += f" for {described:,} of them" if described < len(train) else ""
        device = ", ".join([str(trainer.strategy.root_device), str(trainer.precision), *model.speed_settings()])
        self.console.print(
            f"[bold]{datamodule.source.name}[/bold]: {len(train):,} training faces{captions}, {len(held_out):,} "
            f"held out; {escape(datamodule.conditioner.summary)}. Device: {device}."
        )
        for name, module in model.named_children():
            if name != "ema":
                self.console.print(f"  {name}: {sum(p.numel() for p in module.parameters()):,} parameters")
        table = Table("stage", "resolution", "images", "fade-in", "batch size", title="Growth")
        for number, stage in enumerate(datamodule.schedule.stages, start=1):
            fading = stage.fade * stage.images if number > 1 else 0
            cells = (number, f"{stage.resolution}x{stage.resolution}", f"{stage.images:,}", f"{fading:,.0f}")
            table.add_row(*map(str, cells), str(stage.batch_size))
        self.console.print(table)


def print_results(
    folder: Path, overrides: Sequence[str], images_seen: int, total: int, example: str, console: Console
) -> None:
    """Print the files of a run that ended or was stopped after `images_seen` of `total` images, and the next commands.

    `example` is a description that the model can generate.
    """
    if images_seen < total:
        job = parallel_job_number()
        which = "" if job is None else f"[{job}] "
        Console().print(f"{which}Stopped after {images_seen:,} of {total:,} images.", style="bold", markup=False)
    console.print("This run:", style="bold")
    for name, title in FILES.items():
        if (folder / name).exists():
            print_verbatim(f"  {title:<14} {shell_command(str(folder / name))}", console)
    checkpoint = folder / "checkpoints" / "last.ckpt"
    commands = []
    if checkpoint.exists() and images_seen < total:
        commands.append(
            train_command(*drop_overrides(overrides, "resume", "ckpt_path"), format_override("resume", folder))
        )
    if checkpoint.exists():
        commands.append(generate_command(example, checkpoint))
        commands.append(shell_command("t2f", "evaluate", path_argument(folder)))
    if (folder / "tensorboard").exists():
        commands.append(shell_command("tensorboard", "--logdir", path_argument(folder)))
    console.print("Next:", style="bold")
    for command in commands:
        print_verbatim(f"  {command}", console)
