"""What a run shows in the terminal: what it is about to do, how it goes, what it left."""

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
from t2f.training.callbacks.base import data_of
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


class Training(Task):
    """The images seen of a schedule: a bar, or lines, with the stage and the speed."""

    def __init__(self, schedule: GrowthSchedule, images_seen: int, quiet: bool) -> None:
        super().__init__("Training", schedule.total_images, quiet, transient=False)
        self.schedule = schedule
        self.done = images_seen
        self.speed = 0.0
        self.since, self.seen = time.monotonic(), images_seen

    def see(self, images_seen: int) -> None:
        """So many have been seen by now."""
        now = time.monotonic()
        if now - self.since < 1 and images_seen < self.schedule.total_images:
            return
        speed = (images_seen - self.seen) / max(now - self.since, 1e-9)
        # Sheets and checkpoints make single seconds slow, so the speed shown is smoothed.
        self.speed = 0.8 * self.speed + 0.2 * speed if self.speed else speed
        self.since, self.seen = now, images_seen
        position = self.schedule.at(images_seen)
        size = f"{position.resolution}x{position.resolution}"
        self.title = f"Stage {position.stage + 1}/{len(self.schedule.stages)}  {size}  alpha {position.alpha:.2f}"
        self.advance(min(images_seen, self.schedule.total_images) - self.done)

    def status(self) -> str:
        settled = time.monotonic() - self.started > SECONDS_BEFORE_ESTIMATE
        left = f"{timedelta(seconds=round(self.seconds_left()))}" if settled and self.speed else "?"
        share = self.done / self.schedule.total_images
        total = self.schedule.total_images
        return f"{self.done:,}/{total:,} images ({share:.0%})  {self.speed:,.0f} images/s  {left} left"

    def seconds_left(self) -> float:
        """At the present speed, if each doubling of the resolution doubles the cost of an image."""
        now, start, cost = self.schedule.at(self.done), self.done, 0.0
        for number in range(now.stage, len(self.schedule.stages)):
            end = self.schedule.stage_end(number)
            cost += max(0, end - start) * 2 ** (number - now.stage)
            start = end
        return cost / self.speed


class TerminalReport(pl.Callback):
    """Data, networks and schedule at the start; how far the training is."""

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        quiet_libraries()  # in processes that Lightning spawned, too

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, GANModule)
        self.console = run_console(quiet=not trainer.is_global_zero)
        data = data_of(trainer)
        self.schedule = data.schedule
        self.describe(trainer, pl_module, data)
        if pl_module.images_seen:
            self.console.print(f"Going on after {pl_module.images_seen:,} images.")
        self.task = Training(self.schedule, pl_module.images_seen, quiet=not trainer.is_global_zero)
        self.task.start()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, GANModule)
        self.task.see(pl_module.images_seen)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.task.end()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        if hasattr(self, "task"):
            self.task.end()

    def describe(self, trainer: pl.Trainer, system: GANModule, data: FaceDataModule) -> None:
        """The data, the sizes of the networks, and the growth schedule as a table."""
        train, held_out = data.source.train, data.source.held_out
        words = ""
        if isinstance(data.conditioner, TextConditioner):  # else nobody reads captions, and none need be written
            described = data.conditioner.described(train)
            words = f" with {sum(map(len, train.captions)):,} captions"
            words += f" of {described:,} of them" if described < len(train) else ""
        device = f"{trainer.strategy.root_device}, {trainer.precision}"
        self.console.print(
            f"[bold]{data.source.name}[/bold]: {len(train):,} faces{words} to learn from, "
            f"{len(held_out):,} held out; {escape(data.conditioner.summary)}. Device: {device}."
        )
        for name, module in system.named_children():
            if name != "ema":
                self.console.print(f"  {name}: {sum(p.numel() for p in module.parameters()):,} parameters")
        table = Table("stage", "resolution", "images", "of them fading in", "batch", title="Growth")
        for number, stage in enumerate(self.schedule.stages, start=1):
            fading = stage.fade * stage.images if number > 1 else 0
            cells = (number, f"{stage.resolution}x{stage.resolution}", f"{stage.images:,}", f"{fading:,.0f}")
            table.add_row(*map(str, cells), str(stage.batch_size))
        self.console.print(table)


def show_where_it_is(
    folder: Path, overrides: Sequence[str], images_seen: int, total: int, example: str, console: Console
) -> None:
    """At the end of a run, or where it was interrupted: what it left, and what to type next.

    `example`: a description that the model can be asked for.
    """
    if images_seen < total:
        job = parallel_job_number()
        which = "" if job is None else f"[{job}] "
        Console().print(f"{which}Stopped after {images_seen:,} of {total:,} images.", style="bold", markup=False)
    console.print("This run:", style="bold")
    for what, name in (
        ("sample sheets", "samples"),
        ("time-lapse", "growth.gif"),
        ("metrics", "metrics.csv"),
        ("evaluation", "evaluation.md"),
        ("checkpoints", "checkpoints"),
        ("config", "config.yaml"),
    ):
        if (folder / name).exists():
            print_verbatim(f"  {what:<14} {shell_command(str(folder / name))}", console)
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
