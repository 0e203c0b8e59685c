"""Training steps as CUDA graphs, beside eager ones, T2F's engine and a plain faCeGAN, in turn."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import torch
from clocks import in_turn, median_rate, seconds_of
from plain_dcgan import plain
from sides import (
    DUE,
    EMBEDDINGS,
    FACEGAN,
    NOT_DUE,
    RECIPE,
    ROOT,
    SMALLER,
    T2FS,
    Step,
    engine,
    in_a_row,
    our_step,
    precisions,
    stand_at,
    steps_of_a_cycle,
    up_to,
)

FADING = 0.5
Sides = dict[str, tuple[int, Callable[[], tuple[Step, int, float]]]]
"""By name: the batch size, and what makes a step, the number of training steps in it, and the seconds of recording."""


def of_ours(
    overrides: Sequence[str], stage: int, batch: int, device: torch.device, graphs: bool, numbers: int
) -> Callable[[], tuple[Step, int, float]]:
    def make() -> tuple[Step, int, float]:
        fast = precisions(device)[-1]
        system, step = our_step(overrides, batch, device, fast, numbers, graphs)
        stand_at(system, stage, batch, FADING)
        count, recording = steps_of_a_cycle(system), 0.0
        for number in {DUE, NOT_DUE} if count > 1 else {DUE}:
            step(number)
            if graphs:
                recording += seconds_of(lambda number=number: step(number), device)
        cycle = in_a_row(step, count)
        cycle()
        return cycle, count, recording

    return make


def sides_at(stage: int, batch: int, device: torch.device, graphed: Sequence[bool]) -> Sides:
    """Who takes turns at a stage. faCeGAN's network, in batches eight times as large, has 64x64 only."""
    sides: Sides = {}

    def add(name: str, rows: int, make: Callable[[], tuple[Step, int, float]]) -> None:
        sides[name] = rows, make

    add("T2F's engine, float32", batch, lambda: (engine(stage, batch, device), 1, 0.0))
    kinds = {
        "T2F's recipe": ([*RECIPE, *up_to(stage, T2FS)], batch),
        "default": ([*EMBEDDINGS, *up_to(stage, SMALLER)], batch),
        "default, four times the batch": ([*EMBEDDINGS, *up_to(stage, SMALLER)], 4 * batch),
    }
    for name, (recipe, rows) in kinds.items():
        for graphs in graphed:
            way = "one CUDA graph a step" if graphs else "eager"
            add(f"t2f, {name}, {way}", rows, of_ours(recipe, stage, rows, device, graphs, 256))
    if stage == 64:
        add("plain faCeGAN, float32", 8 * batch, lambda: (plain(8 * batch, device), 1, 0.0))
        for graphs in graphed:
            way = "one CUDA graph a step" if graphs else "eager"
            add(f"t2f, faCeGAN, {way}", 8 * batch, of_ours(FACEGAN, stage, 8 * batch, device, graphs, 2))
    return sides


def measure_graphs(asked: argparse.Namespace, device: torch.device, before: dict[str, Any]) -> dict[str, Any]:
    stages = dict(before.get("stages", {}))
    graphed = [False, True] if device.type == "cuda" else asked.graphed
    for stage in asked.stages:
        sides = sides_at(stage, asked.batch, device, graphed)
        made = {name: make() for name, (_, make) in sides.items()}
        taken = in_turn({name: step for name, (step, _, _) in made.items()}, asked.seconds, device)
        stages[str(stage)] = {}
        for name, (_, count, recording) in made.items():
            rows = sides[name][0]
            stages[str(stage)][name] = {
                "batch": rows,
                "images a second": median_rate(rows * count, taken[name]),
                "milliseconds a step": 1e3 * statistics.median(taken[name]) / count,
                "seconds of recording": recording,
            }
        print(stage, {name: round(side["images a second"]) for name, side in stages[str(stage)].items()})
    return {"stages": dict(sorted(stages.items(), key=lambda item: int(item[0])))}


def measure_tests(asked: argparse.Namespace, device: torch.device, before: dict[str, Any]) -> dict[str, Any]:
    """Run the tests marked gpu, and keep their last line."""
    which = ["--numprocesses=0", *asked.tests] if asked.tests else ["--numprocesses=4"]
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-q", *which]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    print(done.stdout[-4000:], done.stderr[-1000:])
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return {"status": done.returncode, "summary": done.stdout.strip().splitlines()[-1], "failed": failed}
