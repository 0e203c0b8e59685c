"""What share of a training do its callbacks and loggers take? python experiments/overhead/measure.py [overrides]

The default run in a quarter of its length, at the default cadence, with a clock about each callback's hooks, and they
call the loggers. What the evaluations need once (the drawing, the readers, the features of real faces) is made before.
"""

import json
import os
import platform
import sys
import tempfile
import time
from collections import defaultdict
from datetime import date
from importlib.metadata import version
from pathlib import Path

import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_dir

from t2f.cli.train import train
from t2f.evaluation.callback import ValidationMetrics
from t2f.training.callbacks.checkpoints import Checkpoints
from t2f.training.callbacks.growth import Growth
from t2f.training.callbacks.log_metrics import LogMetrics
from t2f.training.callbacks.progress import TerminalReport
from t2f.training.callbacks.sample_grids import SampleGrids
from t2f.training.resolvers import register_resolvers

HERE = Path(__file__).parent
ROOT = HERE.parent.parent

QUARTER = "growth.images=[1000,3000,5000,8000]"
spent: dict[str, float] = defaultdict(float)


def clocked(kind: type[pl.Callback], hook: str) -> None:
    """Add up the seconds that a callback's hook takes."""
    original = getattr(kind, hook)

    def timed(*arguments: object) -> None:
        start = time.perf_counter()
        original(*arguments)
        spent[kind.__name__] += time.perf_counter() - start

    setattr(kind, hook, timed)


class Clock(pl.Callback):
    """From the first step to the last."""

    def on_train_batch_start(self, *_: object) -> None:
        if not hasattr(Clock, "start"):
            Clock.start = time.perf_counter()

    def on_train_end(self, *_: object) -> None:
        Clock.end = time.perf_counter()


def run(*overrides: str) -> None:
    """One training, in a folder that does not stay."""
    register_resolvers()
    clock = "+callbacks.clock={_target_: __main__.Clock}"
    with tempfile.TemporaryDirectory() as folder, initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        train(compose("train", overrides=[f"paths.run={folder}", "evaluation=none", clock, *overrides]))


def main() -> None:
    overrides = sys.argv[1:]
    run("growth.images=[64,64,64,64]", *overrides)  # what is made once
    for kind in (Growth, LogMetrics, SampleGrids, ValidationMetrics, Checkpoints, TerminalReport):
        for hook in ("on_train_batch_start", "on_train_batch_end"):
            if hook in vars(kind) or getattr(kind, hook) is not getattr(pl.Callback, hook):
                clocked(kind, hook)
    del Clock.start
    run(QUARTER, *overrides)
    total = Clock.end - Clock.start
    machine = f"{torch.get_num_threads()} threads of {os.cpu_count()} cores, {platform.machine()}"
    results = {"seconds": total, "callbacks": dict(spent), "machine": machine, "overrides": overrides}
    (HERE / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    rows = [f"| {name} | {seconds:.1f} | {seconds / total:.1%} |" for name, seconds in spent.items()]
    together = sum(spent.values())
    lines = [
        f"Written by `experiments/overhead/measure.py` on {date.today()}; {machine}; torch {version('torch')}, "
        f"pytorch-lightning {version('pytorch-lightning')}. `{QUARTER}`, 17,000 images, {total:.0f} s.",
        "",
        "| callback, with its loggers | seconds | share of the training |",
        "|---|---:|---:|",
        *rows,
        f"| together | {together:.1f} | {together / total:.1%} |",
        "",
    ]
    (HERE / "results.md").write_text("\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
