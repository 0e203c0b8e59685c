"""train.py as it is, with a clock about what it calls: what the framework costs, and how long growing pauses it."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from hydra import compose, initialize_config_dir
from sides import ROOT, in_precision

sys.path.insert(0, str(ROOT))  # train.py is no part of the package

from t2f.batches.datamodule import ConditionedFaces, FaceDataModule
from t2f.callbacks.cadence import ClockCallback
from t2f.callbacks.growth import Growth
from t2f.callbacks.progress import TerminalReport
from t2f.growth import GrowthSchedule
from t2f.systems.conditional import ConditionalGAN
from train import train

STAGES = "growth.images=[1600,3200,3200,4800]"
Interval = tuple[float, float]


class Clocks:
    """When each step, and each batch's making, began and ended, and what callbacks took."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, Interval]] = []
        self.batches: list[Interval] = []
        self.callbacks: list[Interval] = []
        self.system: ConditionalGAN | None = None
        self.batch: Any = None

    def about(self, owner: type, name: str, note: Callable[[Any, tuple[Any, ...], Interval], None]) -> None:
        """Let a method also note when it began and ended."""
        original = getattr(owner, name)

        def timed(this: Any, *arguments: Any) -> Any:
            start = time.perf_counter()
            result = original(this, *arguments)
            note(this, arguments, (start, time.perf_counter()))
            return result

        setattr(owner, name, timed)

    def start(self) -> None:
        def step(system: ConditionalGAN, arguments: tuple[Any, ...], interval: Interval) -> None:
            self.system, self.batch = system, arguments[0]
            self.steps.append((system.position.resolution, interval))

        self.about(ConditionalGAN, "train_on", step)
        self.about(ConditionedFaces, "__getitem__", lambda _, __, interval: self.batches.append(interval))
        self.about(Growth, "on_train_batch_start", lambda _, __, interval: self.callbacks.append(interval))
        for kind in (ClockCallback, TerminalReport):  # all others are of the first kind
            self.about(kind, "on_train_batch_end", lambda _, __, interval: self.callbacks.append(interval))


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
        seconds = span[1] - span[0]
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


def bare(system: ConditionalGAN, batch: Any, precision: str, steps: int) -> float:
    """Seconds a step of the same system on the same batch, without Lightning."""
    optimizers = [optimizer.optimizer for optimizer in system.both_optimizers()]
    system.trainer = SimpleNamespace(world_size=1)  # type: ignore[assignment]
    system.both_optimizers = lambda: optimizers  # type: ignore[method-assign,assignment,return-value]
    system.manual_backward = lambda loss: loss.backward()  # type: ignore[method-assign,misc]
    start = 0.0
    for number in range(-8, steps):
        if number == 0:
            start = time.perf_counter()
        with in_precision(precision, system.device):
            system.train_on(batch, number)
    return (time.perf_counter() - start) / steps


def training(overrides: Sequence[str]) -> dict[str, Any]:
    """The default run at its default cadence, short, without evaluations (which `experiments/overhead` has)."""
    clocks = Clocks()
    clocks.start()
    with tempfile.TemporaryDirectory() as folder, initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        settings = [f"paths.run={folder}", "evaluation=none", "~callbacks.quality", STAGES, *overrides]
        cfg = compose("train", overrides=settings)
        train(cfg)
    assert clocks.system is not None
    final = [interval for resolution, interval in clocks.steps if resolution == cfg.resolution]
    cycle = 8 * (len(final) // 16)  # whole cycles of the lazy penalty, from the second half
    in_training = lasted(final[-cycle:]) / cycle
    figures, stops = stage_figures(clocks), pauses(clocks)
    without = bare(clocks.system, clocks.batch, cfg.trainer.precision, cycle)
    return {
        "command": f"python train.py {STAGES}",
        "stages": figures,
        "pauses": stops,
        "step in train.py": in_training,
        "bare step": without,
    }


def batches_alone(resolution: int, batch: int, seconds: float, cache: str) -> float:
    """Images a second of the loader, over drawn faces kept at this resolution, with their captions."""
    from hydra.utils import instantiate

    from t2f.conditions.base import fit_conditioner

    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        settings = [f"resolution={resolution}", "data.count=2000", "data.held_out=100", f"paths.cache={cache}"]
        cfg = compose("train", overrides=["paths.run=unused", *settings])
    source = instantiate(cfg.data)
    source.prepare()
    conditioner = fit_conditioner(instantiate(cfg.conditioning.conditioner), source.train)
    schedule = GrowthSchedule([resolution], [batch], 0.0, images=[10**9])
    data = FaceDataModule(source, conditioner, schedule, cfg.labelled_share, cfg.seed, cfg.workers)
    system = SimpleNamespace(images_seen=0, least_labelled=2, learns_unlabelled=False)
    data.trainer = SimpleNamespace(world_size=1, global_rank=0, lightning_module=system)  # type: ignore[assignment]
    data.setup("fit")
    seen, start = 0, 0.0
    for number, faces in enumerate(data.train_dataloader()):
        if number == 20:
            start = time.perf_counter()
        seen += len(faces["images"]) if number >= 20 else 0
        if number > 20 and time.perf_counter() - start > seconds:
            break
    return seen / (time.perf_counter() - start)
