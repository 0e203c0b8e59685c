"""Memory format, compilation and CUDA graphs of the networks. They change results only by rounding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from t2f.networks.base import Discriminator, Generator
from t2f.utils.errors import require

AUTO = "auto"
MAX_VERSIONS = 128
"""Compiled versions of one function: for each stage, with and without fade-in, with trainable or frozen weights, ..."""
Choice = bool | str
"""True, False or AUTO."""


class Performance:
    """How the networks run on a device.

    Args:
        channels_last: Whether to use the channels-last memory format. AUTO: on CPUs, where it is faster for larger
            images (`experiments/speed`), and on GPUs from Ampere on, whose tensor cores use this format.
        compile: Whether to compile generator and discriminator with `torch.compile`, which takes minutes at the start
            of each stage. AUTO: no. It was not faster on a CPU, and was not measured on GPUs.
        cuda_graphs: Whether to record passes as CUDA graphs, which is faster if a pass is short. AUTO: no; untested on
            a GPU.

    Raises:
        ValueError: An argument is not true, false or auto.
    """

    def __init__(self, channels_last: Choice = AUTO, compile: Choice = AUTO, cuda_graphs: Choice = AUTO) -> None:
        for name, choice in (("channels_last", channels_last), ("compile", compile), ("cuda_graphs", cuda_graphs)):
            if not (isinstance(choice, bool) or choice == AUTO):
                raise ValueError(f"{name} is {choice}: it must be true, false or {AUTO}.")
        self.channels_last = channels_last
        self.compile = compile is True
        self.cuda_graphs = cuda_graphs is True

    def memory_format(self, device: torch.device) -> torch.memory_format:
        chosen = prefers_channels_last(device) if self.channels_last == AUTO else self.channels_last
        return torch.channels_last if chosen else torch.contiguous_format

    def apply(
        self, generator: Generator, average: Generator, discriminator: Discriminator, device: torch.device
    ) -> None:
        """Set up the networks for a device. Weights and their names do not change.

        The averaged generator is not compiled, since it generates little.

        Raises:
            UserError: The device does not support the settings.
        """
        require(
            not self.cuda_graphs or device.type == "cuda",
            f"performance.cuda_graphs=true needs a CUDA GPU, not {device.type}: leave it at {AUTO}.",
        )
        for network in (generator, average, discriminator):
            network.memory_format = self.memory_format(device)
        if not (self.compile or self.cuda_graphs):
            return
        torch._dynamo.config.recompile_limit = MAX_VERSIONS
        torch._inductor.config.fallback_random = True  # the same random numbers as in eager mode
        options: dict[str, Any] = {}
        if self.cuda_graphs:
            options = {"mode": "reduce-overhead"} if self.compile else {"backend": "cudagraphs"}
        for module, name in (
            (generator, "forward"),
            (discriminator, "extract"),
            (discriminator.head, "conditional_logits"),
        ):
            own = getattr(type(module), name).__get__(module)  # an earlier fit may have replaced it
            compiled = torch.compile(own, **options)
            setattr(module, name, compiled if module is discriminator.head else alpha_as_tensor(compiled))

    def begin_step(self) -> None:
        """Mark the beginning of a step, after which graphs may overwrite the outputs of the last one."""
        if self.cuda_graphs:
            torch.compiler.cudagraph_mark_step_begin()


def alpha_as_tensor(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Wrap a function to get its last argument, alpha, as a 0-d tensor during fade-in, which avoids recompilation."""

    def call(*arguments: Any) -> Tensor:
        *others, alpha = arguments
        return function(*others, torch.full((), alpha, device=others[0].device) if alpha < 1 else alpha)

    return call


def prefers_channels_last(device: torch.device) -> bool:
    """Return whether convolutions are faster in the channels-last memory format."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return device.type == "cpu"
