"""Kill a run at random moments, resume it by the same command, and compare its result with that of an undisturbed run.

    python experiments/survival/kill.py --kills 200

The command is `python train.py ... resume=auto` on synthetic faces of 8 pixels. This program imports everything once,
and each process that is killed is a fork of it, which saves the start of Python. It writes `results.json` and
`results.md` to `--out` (default: this folder).
"""

import argparse
import csv
import json
import mmap
import os
import platform
import random
import runpy
import shutil
import signal
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

import t2f.cli.train  # noqa: F401  # imports everything that a run needs
from t2f.training.base import GANModule
from t2f.training.resume import SafeCheckpointIO

HERE = Path(__file__).parent
ROOT = HERE.parent.parent

# 4 to 8 pixels in 12 steps, fading in from 32 to 64 images; logs and checkpoints fall on different steps.
COMMAND = [
    "resolution=8",
    "data.count=40",
    "data.held_out=8",
    "text.encoder.word_dim=8",
    "text.encoder.hidden_dim=16",
    "model.networks.generator.channels=[16,16]",
    "model.networks.generator.latent_dim=24",
    "model.networks.conditioning.dim=8",
    "growth.resolutions=[4,8]",
    "growth.images=[32,64]",
    "growth.fade_in=[0,0.5]",
    "growth.batch_sizes=[8,8]",
    "callbacks.metrics.every=24",
    "callbacks.sample_grids.every=48",
    "callbacks.sample_grids.captions=2",
    "callbacks.checkpoints.every=16",
    "callbacks.validation.every=32",
    "callbacks.validation.evaluation.count=8",
    "callbacks.validation.evaluation.text_alignment={}",
    "logger=csv",
    "evaluation=none",
]
MOMENTS = ["while starting", "in a step", "in a step, fading", "while a checkpoint was written", "at another moment"]


class Marker:
    """The moment that a forked process is in, in shared memory: an index of `MOMENTS` as a byte."""

    def __init__(self) -> None:
        self.memory = mmap.mmap(-1, 1)

    def set(self, moment: int) -> None:
        struct.pack_into("B", self.memory, 0, moment)

    def get(self) -> int:
        return struct.unpack_from("B", self.memory, 0)[0]

    def around(self, function: Callable[..., Any], moment: Callable[..., int]) -> Callable[..., Any]:
        """Wrap a function so that the marker is set while it runs."""

        def marked(*args: Any, **kwargs: Any) -> Any:
            self.set(moment(*args))
            result = function(*args, **kwargs)
            self.set(4)
            return result

        return marked


def start(marker: Marker, runs: Path, name: str, log: Path) -> int:
    """Run `python train.py` in a fork of this process; return its process id."""
    marker.set(0)
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        with log.open("a") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        os.chdir(ROOT)
        GANModule.training_step = marker.around(
            GANModule.training_step, lambda system, *_: 2 if system.schedule_state.alpha < 1 else 1
        )
        SafeCheckpointIO.save_checkpoint = marker.around(SafeCheckpointIO.save_checkpoint, lambda *_: 3)
        sys.argv = ["train.py", *COMMAND, f"paths.runs={runs}", f"name={name}", "resume=auto"]
        runpy.run_path("train.py", run_name="__main__")
        status = 0
    finally:
        os._exit(status)


def has_ended(process: int, log: Path, wait: bool = True) -> bool:
    """Return whether a process has exited by itself: False if it runs or was killed. Exit if it failed."""
    number, status = os.waitpid(process, 0 if wait else os.WNOHANG)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        sys.exit(f"A run failed:\n{log.read_text()}")
    return number == process and os.WIFEXITED(status)


def reaches_first_step(process: int, marker: Marker, log: Path) -> bool:
    """Wait for the first step of a process; return False if it exits before."""
    while marker.get() == 0:
        if has_ended(process, log, wait=False):
            return False
        time.sleep(0.001)
    return True


def kill(process: int, marker: Marker, log: Path, rng: random.Random, starting: float, training: float) -> bool:
    """Kill a process at a random moment; return False if it exits before.

    One in ten is killed while it starts, and one in five within the milliseconds in which a checkpoint is written.

    Args:
        process: Process id.
        marker: Its marker.
        log: File of its output.
        rng: Random numbers.
        starting: Seconds until the first step of an undisturbed run.
        training: Seconds from there to its end.
    """
    aim = rng.random()
    if aim < 0.1:
        time.sleep(rng.uniform(0, starting))
    else:
        if not reaches_first_step(process, marker, log):
            return False
        time.sleep(rng.uniform(0, training / 2))
    if aim > 0.8:
        while marker.get() != 3:
            if has_ended(process, log, wait=False):
                return False
        time.sleep(rng.uniform(0, 0.006))
    if has_ended(process, log, wait=False):
        return False
    os.kill(process, signal.SIGKILL)
    return not has_ended(process, log)


def result_of(folder: Path) -> dict[str, Any]:
    """Return all results of a run that must not depend on whether it was killed."""
    (run,) = (path.parent.parent for path in folder.glob("*/checkpoints/last.ckpt"))
    checkpoint = torch.load(run / "checkpoints/last.ckpt", weights_only=True)
    with (run / "metrics.csv").open(newline="") as file:
        rows = [
            {k: v for k, v in row.items() if not k.startswith(("speed/", "memory/"))} for row in csv.DictReader(file)
        ]
    return {
        "weights": checkpoint["state_dict"],
        "optimizers": checkpoint["optimizer_states"],
        "images seen": checkpoint["t2f"]["images_seen"],
        "metrics": rows,
        "sample grids": {path.name: path.read_bytes() for path in sorted((run / "samples").iterdir())},
        "checkpoints": {path.name for path in (run / "checkpoints").iterdir()},
    }


def same(one: Any, other: Any) -> bool:
    """Return whether nested containers are equal to the bit."""
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("overrides", nargs="*", help="further settings of the run")
    arguments = parser.parse_args()
    COMMAND.extend(arguments.overrides)
    print(f"seed {arguments.seed}", flush=True)
    rng = random.Random(arguments.seed)
    torch.set_num_threads(1)  # a fork does not copy the threads of a process
    folder = Path(tempfile.mkdtemp(prefix="survival-"))
    marker, log = Marker(), folder / "log.txt"

    has_ended(start(marker, folder, "first", log), log)  # fills the cache, so that the next run can be timed
    start_time = time.monotonic()
    process = start(marker, folder, "undisturbed", log)
    reaches_first_step(process, marker, log)
    starting = time.monotonic() - start_time
    has_ended(process, log)
    training = time.monotonic() - start_time - starting
    undisturbed = result_of(folder / "undisturbed")

    kills: Counter[str] = Counter()
    differing: Counter[str] = Counter()
    runs, kills_of_run, most_kills = 0, 0, 0
    while kills.total() < arguments.kills or kills_of_run:
        name = f"killed_{runs}"
        process = start(marker, folder, name, log)
        enough = kills.total() == arguments.kills
        if not enough and kill(process, marker, log, rng, starting, training):
            kills[MOMENTS[marker.get()]] += 1
            kills_of_run += 1
            continue
        if enough:
            has_ended(process, log)
        result = result_of(folder / name)
        differing.update(part for part in undisturbed if not same(undisturbed[part], result[part]))
        most_kills = max(most_kills, kills_of_run)
        shutil.rmtree(folder / name)
        runs, kills_of_run = runs + 1, 0
        results = {
            "seed": arguments.seed,
            "kills": kills.total(),
            "moments": {moment: kills[moment] for moment in MOMENTS},
            "runs": runs,
            "most_kills_of_a_run": most_kills,
            "rows_of_metrics": len(undisturbed["metrics"]),
            "runs_that_differ": {part: differing[part] for part in undisturbed},
        }
        write(arguments.out, results)  # after each run, so that an error loses nothing

    shutil.rmtree(folder)
    print((arguments.out / "results.md").read_text())


def write(out: Path, results: dict[str, Any]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    (out / "results.md").write_text(report(results))


def report(results: dict[str, Any]) -> str:
    """Format results.md, one row for each moment."""
    lines = [
        f"Measured {date.today()} on {os.cpu_count()} CPU cores, seed {results['seed']}; Python "
        f"{platform.python_version()}, torch {version('torch')}, pytorch-lightning {version('pytorch-lightning')}.",
        "",
        "| killed | times |",
        "|---|---:|",
        *(f"| {moment} | {times} |" for moment, times in results["moments"].items()),
        f"| total | {results['kills']} |",
        "",
        f"{results['runs']} runs ended, one of them after {results['most_kills_of_a_run']} kills.",
        "",
        "| compared with the undisturbed run, to the bit | runs that differ |",
        "|---|---:|",
        *(f"| {part} | {count} |" for part, count in results["runs_that_differ"].items()),
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
