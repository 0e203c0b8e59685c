"""Seconds, FLOPs, bytes and shares of what is run."""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

Step = Callable[[], None]
KINDS = {
    "convolution, forward": ("aten::mkldnn_convolution", "aten::cudnn_convolution", "aten::_slow_conv2d_forward"),
    "convolution, backward": ("aten::convolution_backward", "aten::_slow_conv2d_backward"),
    "optimiser and average": ("aten::_fused_adam_", "aten::_foreach_lerp_", "Optimizer.step#Adam.step"),
}
REST = "the rest"
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
clock = CLOCKS["wall"]


def read(name: str) -> None:
    """Use this clock from now on: wall, or cpu, the time that this process had, where others use the machine too."""
    global clock  # noqa: PLW0603  # one clock for the whole script, chosen at its start
    clock = CLOCKS[name]


def finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def seconds_of(step: Step, device: torch.device) -> float:
    """Seconds of one step, the device's own work included."""
    finish(device)
    start = clock()
    step()
    finish(device)
    return clock() - start


def in_turn(steps: Mapping[str, Step], seconds: float, device: torch.device, least: int = 3) -> dict[str, list[float]]:
    """All steps one after another, again and again, until `seconds` are over: what each took.

    Each must have been run before.
    """
    taken: dict[str, list[float]] = {name: [] for name in steps}
    end = clock() + seconds
    rounds = 0
    while rounds < least or clock() < end:
        for name, step in steps.items():
            taken[name].append(seconds_of(step, device))
        rounds += 1
    return taken


class Flops(TorchDispatchMode):
    """The arithmetic of what runs inside: `FlopCounterMode`'s formulas, without its hooks on modules.

    Those fail where a leaf's gradient is taken inside of a step, as gradient penalties do.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func.overloadpacket)
        if formula is not None:
            self.total += formula(*args, **(kwargs or {}), out_val=result)
        return result


def flops_of(step: Step) -> int:
    with Flops() as counter:
        step()
    return counter.total


def peak_of_device(device: torch.device) -> dict[str, float]:
    """The most FLOPs a second that a large matrix product reaches, in float32 and in bfloat16."""
    size, peaks = (8192 if device.type == "cuda" else 4096), {}
    for dtype in (torch.float32, torch.bfloat16):
        a = torch.randn(size, size, device=device).to(dtype)
        flops = flops_of(lambda a=a: a @ a)
        times = in_turn({"product": lambda a=a: a @ a}, 2.0, device)["product"]
        peaks[str(dtype).removeprefix("torch.")] = flops / min(times)
    return peaks


def peak_memory(device: torch.device) -> int:
    """Bytes at most: of the device's memory, or of this process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated()
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def shares_of(step: Step, device: torch.device, steps: int) -> dict[str, Any]:
    """What share of some steps' time each kind of operation takes by itself, and the largest of the rest."""
    on_device = device.type == "cuda"
    with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_device else [])]) as profiler:
        for _ in range(steps):
            step()
        finish(device)
    spent: Counter[str] = Counter()
    for event in profiler.key_averages():
        spent[event.key] += event.self_device_time_total if on_device else event.self_cpu_time_total
    whole = sum(spent.values())
    kinds = {kind: sum(spent.pop(name, 0) for name in names) / whole for kind, names in KINDS.items()}
    kinds[REST] = sum(spent.values()) / whole
    return {"kinds": kinds, "largest of the rest": {name: time / whole for name, time in spent.most_common(8)}}


def median_rate(batch: int, times: list[float]) -> float:
    """Images a second."""
    return batch / statistics.median(times)
