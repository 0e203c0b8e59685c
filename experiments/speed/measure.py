"""How fast does t2f train, beside T2F's own engine and beside what the machine can do?

python experiments/speed/measure.py [PART ...] [--stages 4 8 16 32 64] [--device auto] [--seconds 20]

The parts: engine (needs pip install -e '.[speed]'), memory (likewise), facegan, loader, whole, profile, choices; and on
GPUs tests and graphs. By default all of the former on a CPU; on a GPU tests, graphs and whole, in less than eight
minutes. Each replaces its own figures in the results.json of the machine's folder, of which results.md and speed.png
are made.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import clocks
import report
from clocks import CLOCKS, flops_of, in_turn, median_rate, peak_memory, peak_of_device, seconds_of, shares_of
from graphs import measure_graphs, measure_tests
from plain_dcgan import plain
from settings import measure_choices
from sides import (
    DUE,
    EMBEDDINGS,
    EVERY,
    FACEGAN,
    JOINT,
    NOT_DUE,
    RECIPE,
    SMALLER,
    T2FS,
    Step,
    cycle,
    engine,
    ours,
    ours_in_the_engines_passes,
    precisions,
    up_to,
)
from study import machine, processor

from t2f.utils.errors import UserError

LAZY = [*RECIPE, "loss=logistic", "~loss.adversarial.drift"]
SMALL = ["resolution=64", "model.objectives.contrastive.weight=0", "model.objectives.attributes.weight=0", *EMBEDDINGS]
ENGINE = "T2F's engine, float32"


def engine_sides(stage: int, batch: int, device: torch.device) -> dict[str, Callable[[], Step]]:
    """Who takes turns at this stage: T2F's engine, ours in its passes, ours as it trains, ours at less cost."""
    recipe, lazy_recipe = [*RECIPE, *up_to(stage, T2FS)], [*LAZY, *up_to(stage, T2FS)]
    sides: dict[str, Callable[[], Step]] = {ENGINE: lambda: engine(stage, batch, device)}
    for precision in precisions(device):
        sides[f"t2f in the engine's passes, {precision}"] = lambda precision=precision: ours_in_the_engines_passes(
            recipe, stage, batch, device, precision
        )
    for precision in precisions(device):
        sides[f"t2f as it trains, {precision}"] = lambda precision=precision: ours(
            recipe, stage, batch, device, precision
        )
    fast = precisions(device)[-1]
    for name, overrides in (
        ("logistic loss, lazy R1", lazy_recipe),
        ("and the default's widths", [*SMALL, *up_to(stage, SMALLER)]),
    ):
        for number, when in ((DUE, "penalty due"), (NOT_DUE, "not due")):
            sides[f"{name}, {fast}: {when}"] = lambda overrides=overrides, number=number: ours(
                overrides, stage, batch, device, fast, number=number
            )
    return sides


def join_lazy(sides: dict[str, dict[str, Any]], batch: int) -> dict[str, dict[str, Any]]:
    """A step with the penalty and seven without it, as one line."""
    joined: dict[str, dict[str, Any]] = {}
    for name, figures in sides.items():
        lazy, _, when = name.partition(": ")
        if when == "penalty due":
            without = sides[f"{lazy}: not due"]
            mean = {key: (figures[key] + (EVERY - 1) * without[key]) / EVERY for key in ("seconds", "flops")}
            joined[lazy] = {**mean, "images a second": batch / mean["seconds"], "rounds": figures["rounds"]}
        elif not when:
            joined[name] = figures
    return joined


def against_each_other(
    sides: dict[str, Callable[[], Step]], batch: int, seconds: float, device: torch.device
) -> dict[str, dict[str, Any]]:
    """Each side's images a second, and its FLOPs a step."""
    steps = {name: make() for name, make in sides.items()}
    flops = {name: flops_of(step) for name, step in steps.items()}
    taken = in_turn(steps, seconds, device)
    return {
        name: {
            "seconds": statistics.median(times),
            "least": min(times),
            "most": max(times),
            "rounds": len(times),
            "images a second": median_rate(batch, times),
            "flops": flops[name],
        }
        for name, times in taken.items()
    }


def measure_engine(asked: argparse.Namespace, device: torch.device, before: dict[str, Any]) -> dict[str, Any]:
    stages = dict(before.get("stages", {}))
    for stage in asked.stages:
        sides = against_each_other(engine_sides(stage, asked.batch, device), asked.batch, asked.seconds, device)
        peak = peak_of_device(device)
        stages[str(stage)] = {"batch": asked.batch, "peak": peak, "sides": join_lazy(sides, asked.batch)}
        print(
            stage, {name: round(figures["images a second"], 2) for name, figures in stages[str(stage)]["sides"].items()}
        )
    return {"stages": dict(sorted(stages.items(), key=lambda item: int(item[0])))}


def measure_memory(asked: argparse.Namespace, device: torch.device, before: dict[str, Any]) -> dict[str, Any]:
    """Each side and stage in a process of its own, two steps; above 64x64 ours only, as it trains by itself."""
    stages = dict(before.get("stages", {}))
    for stage in asked.stages:
        found = {}
        for name in engine_sides(stage, asked.batch, device):
            fastest = name == f"t2f as it trains, {precisions(device)[-1]}"
            if fastest or (stage <= 64 and (name == ENGINE or name.startswith("t2f as it trains"))):
                command = [
                    sys.executable,
                    __file__,
                    f"--batch={asked.batch}",
                    "--one-side",
                    name,
                    "--stages",
                    str(stage),
                    "--device",
                    device.type,
                ]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                found[name] = int(done.stdout.split()[-1])
        stages[str(stage)] = {"batch": asked.batch, "bytes": found}
    return {
        "stages": dict(sorted(stages.items(), key=lambda item: int(item[0]))),
        "of": "the device" if device.type == "cuda" else "the process",
    }


def measure_facegan(asked: argparse.Namespace, device: torch.device, before: dict[str, Any]) -> dict[str, Any]:
    batch = 8 * asked.batch  # faCeGAN's 128, by default
    sides: dict[str, Callable[[], Step]] = {"plain PyTorch, float32": lambda: plain(batch, device)}
    for precision in precisions(device):
        sides[f"t2f, {precision}"] = lambda precision=precision: ours(FACEGAN, 64, batch, device, precision, numbers=2)
    return {"batch": batch, "sides": against_each_other(sides, batch, asked.seconds, device)}


def measure_loader(asked: argparse.Namespace, device: torch.device, before: dict[str, Any]) -> dict[str, Any]:
    from whole import batches_alone

    cache = os.environ.get("T2F_CACHE", str(Path.home() / ".cache/t2f"))
    rates = {str(pixels): batches_alone(pixels, asked.batch, 2.0, cache, device) for pixels in (16, 32, 64, 128)}
    return {"batch": asked.batch, "images a second": rates}


def measure_whole(asked: argparse.Namespace, device: torch.device, before: dict[str, Any]) -> dict[str, Any]:
    from whole import whole

    images = asked.images or (50_000 if device.type == "cuda" else 3200)
    runs: dict[str, list[str]] = {"default": []}
    if device.type == "cuda":  # on a CPU it would take long
        runs["faCeGAN"] = ["experiment=facegan_original", "data=avatars", "conditioning.attributes=[Male,Smiling]"]
    return {"runs": {name: whole([*run, *asked.overrides], device, images) for name, run in runs.items()}}


PROFILED = {
    "t2f_original's networks at 64x64": (RECIPE, 64),
    "the default at 32x32": (EMBEDDINGS, 32),
    "the model that comes with t2f, 64x64": (JOINT, 64),
}


def measure_profile(asked: argparse.Namespace, device: torch.device, before: dict[str, Any]) -> dict[str, Any]:
    """How much of the device's peak the steps reach, and what they are made of."""
    peak, found = peak_of_device(device), {}
    for name, (recipe, stage) in PROFILED.items():
        step, count = cycle(recipe, stage, asked.batch, device, precisions(device)[-1])
        flops = flops_of(step)
        seconds = statistics.median(in_turn({name: step}, asked.seconds / 2, device)[name])
        images = asked.batch * count
        found[name] = {
            "flops an image": flops / images,
            "images a second": images / seconds,
            "flops a second": flops / seconds,
            **shares_of(step, device, steps=1),
        }
    return {"batch": asked.batch, "peak": peak, "steps": found}


PARTS = {
    "engine": measure_engine,
    "memory": measure_memory,
    "facegan": measure_facegan,
    "loader": measure_loader,
    "whole": measure_whole,
    "profile": measure_profile,
    "choices": measure_choices,
    "graphs": measure_graphs,
    "tests": measure_tests,
}
ON_GPU = ("tests", "graphs", "whole")
"""The parts that are measured on a GPU by default, in less than eight minutes."""


def folder_of(device: torch.device) -> Path:
    """Where the figures of this machine stand, by the name of its GPU or processor."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor() or platform.machine()
    return HERE / re.sub(r"\W+", "_", re.sub(r"\(\w+\)", "", name)).strip("_").lower()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART")
    parser.add_argument("--stages", type=int, nargs="+", help="4 8 16 32 64 by default, on a GPU also 128")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--device", default="auto")
    parser.add_argument(
        "--seconds", type=float, help="for the turns of each stage, at least three rounds; 20, or 8 on a GPU"
    )
    parser.add_argument("--images", type=int, help="of each stage, for the part whole")
    parser.add_argument("--tests", nargs="*", default=[], help="files, for the part tests; all by default")
    parser.add_argument("--graphed", type=json.loads, default=[False], help=argparse.SUPPRESS)
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: one thread beside what others run")
    parser.add_argument("--overrides", nargs="*", default=[], help="of train.py, for the part whole")
    parser.add_argument("--out", type=Path, help="a folder; by default one beside this script, named by the machine")
    parser.add_argument("--one-side", help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    unknown = set(asked.parts) - set(PARTS)
    if unknown:
        parser.error(f"no part is called {', '.join(unknown)}: choose among {', '.join(PARTS)}")
    name = ("cuda" if torch.cuda.is_available() else "cpu") if asked.device == "auto" else asked.device
    device = torch.device(name)
    on_gpu = device.type == "cuda"
    asked.stages = asked.stages or [4, 8, 16, 32, 64, *([128] if on_gpu else [])]
    asked.seconds = asked.seconds if asked.seconds is not None else 8 if on_gpu else 20
    clocks.read(asked.clock)
    if asked.one_side:
        step = engine_sides(asked.stages[0], asked.batch, device)[asked.one_side]()
        for _ in range(2):
            seconds_of(step, device)
        print(peak_memory(device))
        return
    out = asked.out or folder_of(device)
    out.mkdir(parents=True, exist_ok=True)
    file = out / "results.json"
    results = json.loads(file.read_text()) if file.exists() else {}
    for part in asked.parts or (ON_GPU if on_gpu else [part for part in PARTS if part not in ("graphs", "tests")]):
        try:
            found = PARTS[part](asked, device, results.get(part, {}))
        except UserError as error:
            sys.exit(str(error))
        results[part] = {
            "measured": {
                "on": str(date.today()),
                "machine": machine(),
                "torch": version("torch"),
                "clock": asked.clock,
            },
            **found,
        }
        file.write_text(json.dumps(results, indent=2) + "\n")
        report.write(results, out)


if __name__ == "__main__":
    main()
