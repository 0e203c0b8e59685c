"""train.py as it is, with a clock about what it calls: what the framework costs, and how long growing pauses it."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
from clocks import finish
from hydra import compose, initialize_config_dir
from sides import EVERY, ROOT, in_precision

from t2f.cli.train import train
from t2f.training.batches.datamodule import FaceDataModule
from t2f.training.batches.dataset import ConditionedFaces
from t2f.training.callbacks.base import ImagesSeenCallback
from t2f.training.callbacks.growth import Growth
from t2f.training.callbacks.progress import TerminalReport
from t2f.training.conditional_gan import ConditionalGAN
from t2f.training.growth_schedule import GrowthSchedule
from t2f.training.resolvers import register_resolvers

STAGES = "growth.images=[1600,3200,3200,4800]"
Interval = tuple[float, float]


class Clocks:
    """When each step, and each batch's making, began and ended, and what callbacks took.

    At the last resolution, once it has faded in, every other cycle of the lazy penalty is followed by one without
    Lightning, on the batch that comes next.
    """

    def __init__(self, last: int, precision: str, device: torch.device) -> None:
        self.last = last
        self.precision = precision
        self.device = device
        self.steps: list[tuple[int, Interval]] = []
        self.batches: list[Interval] = []
        self.callbacks: list[Interval] = []
        self.beside_bare: list[Interval] = []
        self.bare: list[Interval] = []

    def about(self, owner: type, name: str, note: Callable[[Any, tuple[Any, ...], Interval], None]) -> None:
        """Let a method also note when it began and ended."""
        original = getattr(owner, name)

        def timed(this: Any, *arguments: Any) -> Any:
            start = time.perf_counter()
            result = original(this, *arguments)
            finish(self.device)
            note(this, arguments, (start, time.perf_counter()))
            return result

        setattr(owner, name, timed)

    def start(self) -> None:
        train_on = ConditionalGAN.train_on

        def step(system: ConditionalGAN, arguments: tuple[Any, ...], interval: Interval) -> None:
            self.steps.append((system.schedule_state.resolution, interval))
            if self.is_settled(system):
                self.beside_bare.append(interval)

        def before(callback: Growth, arguments: tuple[Any, ...], interval: Interval) -> None:
            self.callbacks.append(interval)
            _, system, batch, _ = arguments
            if self.is_settled(system) and len(self.beside_bare) % (2 * EVERY) == EVERY:
                self.bare.append(bare_cycle(train_on, system, batch, self.precision))

        self.about(ConditionalGAN, "train_on", step)
        self.about(ConditionedFaces, "__getitem__", lambda _, __, interval: self.batches.append(interval))
        self.about(Growth, "on_train_batch_start", before)
        for kind in (ImagesSeenCallback, TerminalReport):  # all others are of the first kind
            self.about(kind, "on_train_batch_end", lambda _, __, interval: self.callbacks.append(interval))

    def is_settled(self, system: ConditionalGAN) -> bool:
        return bool(system.schedule_state.resolution == self.last and system.schedule_state.alpha >= 1)


def lasted(intervals: Sequence[Interval]) -> float:
    return sum(end - start for start, end in intervals)


def within(intervals: Sequence[Interval], span: Interval) -> list[Interval]:
    return [each for each in intervals if span[0] <= each[0] and each[1] <= span[1]]


def stage_figures(clocks: Clocks) -> dict[str, dict[str, float]]:
    """For each stage, without its first step: its seconds, and the shares of what they went to."""
    figures = {}
    for resolution in dict.fromkeys(resolution for resolution, _ in clocks.steps):
        steps = [interval for where, interval in clocks.steps if where == resolution]
        span = (steps[0][1], steps[-1][1])
        seconds = span[1] - span[0] - lasted(within(clocks.bare, span))
        shares = {
            "step": lasted(steps[1:]) / seconds,
            "batch": lasted(within(clocks.batches, span)) / seconds,
            "callbacks": lasted(within(clocks.callbacks, span)) / seconds,
        }
        figures[str(resolution)] = {"seconds": seconds, **shares, "Lightning": 1 - sum(shares.values())}
    return figures


def pauses(clocks: Clocks) -> dict[str, float]:
    """Seconds from the last step of a stage to the end of the next one's first, over what its steps take."""
    found = {}
    for (before, (_, ended)), (after, (_, done)) in zip(clocks.steps, clocks.steps[1:], strict=False):
        if after != before:
            usual = statistics.median(end - start for where, (start, end) in clocks.steps if where == after)
            found[f"{before} -> {after}"] = done - ended - usual
    return found


def bare_cycle(train_on: Callable[..., Any], system: ConditionalGAN, batch: Any, precision: str) -> Interval:
    """The same system's steps without Lightning, whose wrappers are taken off and put back."""
    optimizers = [optimizer.optimizer for optimizer in system.both_optimizers()]
    bare = {"both_optimizers": lambda: optimizers, "manual_backward": lambda loss: loss.backward()}
    start = time.perf_counter()
    with mock.patch.multiple(system, **bare):
        for number in range(EVERY):
            with in_precision(precision, system.device):
                train_on(system, batch, number)
                finish(system.device)  # as after each step within train.py
    return start, time.perf_counter()


def cycles(steps: Sequence[Interval]) -> list[float]:
    """Seconds a step, of each cycle."""
    return [lasted(steps[first : first + EVERY]) / EVERY for first in range(0, len(steps), EVERY)]


def training(overrides: Sequence[str], device: torch.device) -> dict[str, Any]:
    """The default run at its default cadence, short, without evaluations (which `experiments/overhead` has).

    Batches are made by this process, for them to be timed. On a GPU all that is timed waits for it to finish, which
    leaves it idle between steps: the overhead is the most.
    """
    register_resolvers()
    with tempfile.TemporaryDirectory() as folder, initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        accelerator = f"trainer.accelerator={'gpu' if device.type == 'cuda' else 'cpu'}"
        settings = [
            f"paths.run={folder}",
            "evaluation=none",
            "~callbacks.validation",
            STAGES,
            accelerator,
            "loader.workers=0",
        ]
        cfg = compose("train", overrides=[*settings, *overrides])
        clocks = Clocks(cfg.resolution, cfg.trainer.precision, device)
        clocks.start()
        train(cfg)
    beside = clocks.beside_bare[: EVERY * (len(clocks.beside_bare) // EVERY)]  # whole cycles
    return {
        "command": f"python train.py {STAGES}",
        "stages": stage_figures(clocks),
        "pauses": pauses(clocks),
        "step in train.py": statistics.median(cycles(beside)),
        "bare step": statistics.median((end - start) / EVERY for start, end in clocks.bare),
    }


def batches_alone(resolution: int, batch: int, seconds: float, cache: str, device: torch.device) -> float:
    """Images a second of the loader that `auto` chooses for a device, over drawn faces kept at this resolution."""
    from hydra.utils import instantiate

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
