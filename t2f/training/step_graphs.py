"""Whole training steps recorded as CUDA graphs.

A step of a GAN launches thousands of small kernels. On a fast GPU, launching them takes longer than computing them; the
replay of a recorded step launches them all at once.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from t2f.training.batches.batch import Batch
from t2f.training.step_plan import StepPlan
from t2f.utils.errors import UserError

Step = Callable[[Batch, StepPlan], tuple[str, ...]]
"""Trains on a batch, and returns the names of the metrics that it has summed."""


class GraphRecorder(Protocol):
    """Records operations, to repeat them on the same tensors."""

    def reset(self) -> None:
        """Wait for the recordings to end. They are freed next, and later ones share nothing with them."""

    def warm_up(self, function: Callable[[], tuple[str, ...]]) -> tuple[str, ...]:
        """Call a function that will be recorded later."""

    def record(self, function: Callable[[], tuple[str, ...]]) -> tuple[Callable[[], None], tuple[str, ...]]:
        """Record the operations of a function without executing them.

        Returns:
            A function that executes the operations, and what the function returned.
        """


class CUDAGraphs:
    """Records operations as CUDA graphs that share one pool of memory.

    Args:
        device: The CUDA device.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stream = torch.cuda.Stream(device)  # the default stream cannot be recorded
        self.pool = torch.cuda.graph_pool_handle()

    def reset(self) -> None:
        torch.cuda.synchronize(self.device)  # a graph must not be destroyed while it runs
        self.pool = torch.cuda.graph_pool_handle()  # a pool ends with its graphs

    def warm_up(self, function: Callable[[], tuple[str, ...]]) -> tuple[str, ...]:
        # On the stream of the recordings, for which cuBLAS and autograd keep workspaces and accumulators.
        self.stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(self.stream):
            result = function()
        torch.cuda.current_stream(self.device).wait_stream(self.stream)
        return result

    def record(self, function: Callable[[], tuple[str, ...]]) -> tuple[Callable[[], None], tuple[str, ...]]:
        graph = torch.cuda.CUDAGraph()
        try:
            # thread_local: the data loader's thread may allocate pinned memory meanwhile.
            with torch.cuda.graph(graph, pool=self.pool, stream=self.stream, capture_error_mode="thread_local"):
                result = function()
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            cause: BaseException = error
            while cause.__context__ is not None:  # ending a failed recording raises again
                cause = cause.__context__
            reason = str(cause).strip().partition("\n")[0].rstrip(".")
            raise UserError(
                f"The training step cannot be recorded as a CUDA graph ({reason}): set performance.cuda_graphs=false."
            ) from error
        return graph.replay, result


@dataclass
class Recording:
    """A recorded step.

    Attributes:
        replay: Executes its operations.
        metrics: Names of the metrics that it sums.
        gradients: The gradients that it leaves at parameters. A replay does not set `grad`.
    """

    replay: Callable[[], None]
    metrics: tuple[str, ...]
    gradients: list[tuple[nn.Parameter, Tensor | None]]


class StepGraphs:
    """Takes training steps, and records and replays them where they repeat.

    The first step of each kind runs eagerly, which creates optimizer states and lets libraries choose their algorithms;
    the second is recorded, and it and all later ones are replays. All of them are steps of the training. A kind is a
    `StepPlan` without its two numbers. Recordings are freed when the resolution, the fading or the shape of the batch
    changes, since a run does not return to them.

    A recorded step reads the batch, alpha and the average's weight from tensors that keep their place, as it does the
    learning rates. Whatever else it reads from Python is that of its recording. It must not wait for the device, make
    tensors from Python values, or read tensors on the CPU. Random numbers come from the device's default generator,
    whose current seed a replay uses. Gradient hooks, and Lightning's hooks of backward passes and optimizer steps, are
    called only while a step is recorded.

    Args:
        recorder: How steps are recorded.
        parameters: All parameters that the steps train.
        device: Device of the training.

    Attributes:
        replays: Number of steps so far that were replays without any Python code of the step.
    """

    def __init__(self, recorder: GraphRecorder, parameters: Iterable[nn.Parameter], device: torch.device) -> None:
        self.recorder = recorder
        self.parameters = list(parameters)
        self.alpha = torch.zeros((), device=device)
        self.ema_weight = torch.zeros((), device=device)
        self.batch: Batch | None = None
        self.stage: Hashable = None
        self.recordings: dict[StepPlan, Recording | None] = {}
        self.replayed: dict[StepPlan, Recording] = {}
        self.replays = 0

    def take(self, step: Step, batch: Batch, plan: StepPlan) -> tuple[str, ...]:
        """Take a step.

        Args:
            step: Takes it eagerly.
            batch: The batch, on the device.
            plan: Alpha and the average's weight are floats.

        Returns:
            The names of the metrics that the step has summed.

        Raises:
            UserError: The step cannot be recorded.
        """
        kind = replace(plan, alpha=1.0 if plan.alpha >= 1 else 0.0, ema_weight=0.0)
        stage = kind.resolution, kind.alpha, *(values.shape for values in tensors_of(batch).values())
        if stage != self.stage or self.batch is None:
            self.free()
            self.stage = stage
            self.batch = cast(Batch, {name: values.clone() for name, values in tensors_of(batch).items()})
        else:
            for place, values in zip(tensors_of(self.batch).values(), tensors_of(batch).values(), strict=True):
                place.copy_(values, non_blocking=True)
        self.alpha.fill_(plan.alpha)
        self.ema_weight.fill_(plan.ema_weight)

        if kind not in self.recordings:
            self.recordings[kind] = None
            self.restore_gradients()
            return self.recorder.warm_up(self.bound(step, kind))
        recording = self.recordings[kind]
        if recording is None:
            self.restore_gradients()
            before = [parameter.grad for parameter in self.parameters]
            replay, metrics = self.recorder.record(self.bound(step, kind))
            pairs = zip(self.parameters, before, strict=True)
            changed = [(each, each.grad) for each, gradient in pairs if each.grad is not gradient]
            recording = self.recordings[kind] = Recording(replay, metrics, changed)
        else:
            self.replays += 1
        recording.replay()
        self.replayed.pop(kind, None)
        self.replayed[kind] = recording  # the last one is the newest
        return recording.metrics

    def bound(self, step: Step, kind: StepPlan) -> Callable[[], tuple[str, ...]]:
        """Return the step of a kind, which reads all that changes from tensors."""
        assert self.batch is not None
        batch = self.batch
        plan = replace(kind, alpha=1.0 if kind.alpha == 1 else self.alpha, ema_weight=self.ema_weight)
        return lambda: step(batch, plan)

    def restore_gradients(self) -> None:
        """Set `grad` of each parameter to its gradient of the last step that had one, as after an eager step."""
        for recording in self.replayed.values():
            for parameter, gradient in recording.gradients:
                parameter.grad = gradient
        self.replayed.clear()

    def free(self) -> None:
        """Free all recordings."""
        self.restore_gradients()
        self.recorder.reset()
        self.recordings.clear()


def tensors_of(batch: Batch) -> dict[str, Tensor]:
    return cast(dict[str, Tensor], batch)
