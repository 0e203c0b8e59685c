"""What the choices bring that the code makes by itself."""

from __future__ import annotations

import argparse
import contextlib
from typing import Any
from unittest import mock

import torch
from clocks import in_turn, median_rate
from sides import EMBEDDINGS, JOINT, RECIPE, Step, cycle, precisions

from t2f.objectives import penalties


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
