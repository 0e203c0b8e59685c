"""What the settings bring: those that the code chooses by itself, and compiled code as a run grows."""

from __future__ import annotations

import argparse
import contextlib
from functools import partial
from typing import Any
from unittest import mock

import torch
from clocks import in_turn, median_rate, seconds_of
from sides import (
    EMBEDDINGS,
    JOINT,
    NOT_DUE,
    RECIPE,
    Step,
    cycle,
    in_a_row,
    our_step,
    precisions,
    stand_at,
    steps_of_a_cycle,
)

from t2f.objectives import penalties
from t2f.utils.errors import require


def with_other(step: Step, where: object, name: str, other: object) -> Step:
    """A step with something else in place of what no setting changes, to see what that brings."""
    exchanged = mock.patch.object(where, name, other)

    def otherwise() -> None:
        with exchanged:
            step()

    return otherwise


def penalty_in_float32(kind: str) -> contextlib.AbstractContextManager[object]:
    return torch.autocast(kind, enabled=False)


def measure_choices(asked: argparse.Namespace, device: torch.device, before: dict[str, Any]) -> dict[str, Any]:
    """What each choice that the code makes for the user brings: the same steps with the other one."""
    found: dict[str, dict[str, float]] = {}
    fast = precisions(device)[-1]
    for name, recipe, stage in (
        ("default, 4x4", EMBEDDINGS, 4),
        ("default, 8x8", EMBEDDINGS, 8),
        ("default, 16x16", EMBEDDINGS, 16),
        ("default, 32x32", EMBEDDINGS, 32),
        ("the model that comes with t2f, 64x64", JOINT, 64),
        ("t2f_original's networks, 64x64", RECIPE, 64),
    ):
        shipped, count = cycle(recipe, stage, asked.batch, device, fast)
        first, _ = cycle([*recipe, "performance.channels_last=false"], stage, asked.batch, device, fast)
        steps = {"as shipped": shipped, "channels first": first}
        steps["penalty in float32"] = with_other(shipped, penalties, "penalty_precision", penalty_in_float32)
        steps["PyTorch's double backward"] = with_other(
            shipped, penalties, "FastDoubleBackward", contextlib.nullcontext
        )
        for step in steps.values():
            step()
        taken = in_turn(steps, asked.seconds / 2, device)
        found[name] = {choice: median_rate(asked.batch * count, times) for choice, times in taken.items()}
        print(name, found[name])
    return {"batch": asked.batch, "images a second": found}


def measure_compiling(asked: argparse.Namespace, device: torch.device, before: dict[str, Any]) -> dict[str, Any]:
    """The default run with compiled code: how long it stops at each growth to make some, and how fast it is then."""
    modes: dict[str, list[str]] = {"eager": [], "compile": ["performance.compile=true"]}
    if device.type == "cuda":
        modes |= {
            "graphs": ["performance.cuda_graphs=true"],
            "both": ["performance.compile=true", "performance.cuda_graphs=true"],
        }
    made = {
        mode: our_step([*EMBEDDINGS, *settings], asked.batch, device, precisions(device)[-1])
        for mode, settings in modes.items()
    }
    most = made["eager"][0].max_resolution
    stages = [stage for stage in asked.stages if stage <= most]
    require(bool(stages), f"The default's networks end at {most}x{most}: give --stages one of at most that.")
    found: dict[str, Any] = {}
    for stage in stages:
        pauses: dict[str, float] = {}
        cycles: dict[str, Step] = {}
        for mode, (system, step) in made.items():
            pauses[mode] = 0.0
            for alpha in (0.25, 0.5, 1.0):
                stand_at(system, stage, asked.batch, alpha)
                # CUDA's graphs are tried in the first step, recorded in the second, and replayed from the third on.
                *firsts, usual = (seconds_of(partial(step, NOT_DUE), device) for _ in range(4))
                pauses[mode] += sum(firsts) - len(firsts) * usual
            count = steps_of_a_cycle(system)
            cycles[mode] = in_a_row(step, count)
            cycles[mode]()
        taken = in_turn(cycles, asked.seconds / 2, device)
        rates = {mode: median_rate(asked.batch * count, times) for mode, times in taken.items()}
        found[str(stage)] = {"pauses": pauses, "images a second": rates}
        print(stage, found[str(stage)])
    return {"batch": asked.batch, "stages": found}
