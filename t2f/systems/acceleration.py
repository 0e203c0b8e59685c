"""Ways to run the same networks faster on a device: memory format, compiled code, CUDA graphs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from t2f.errors import require
from t2f.networks.interfaces import Discriminator, Generator

AUTO = "auto"
MOST_VERSIONS = 128
"""Of compiled code, of one function: one a stage, fading or not, with weights that learn or that do not, and so on."""
Choice = bool | str
"""True, False or AUTO."""


class Acceleration:
    """None of these changes a result but by rounding.

    `channels_last`: whether convolutions are given their maps with the channels innermost. AUTO: on CPUs, where larger
    pictures train faster by it (`experiments/speed`), and on GPUs whose tensor cores the precision of `auto` uses, for
    these read maps so; not on Apple's.

    `compile`: whether generator and discriminator go through `torch.compile`, which takes long at first, and again at
    each growth. AUTO: no. On a CPU it was measured not to pay; on GPUs it was not measured.

    `graphs`: whether a pass through a network is recorded once and replayed as a CUDA graph, which pays where a pass is
    small. AUTO: no; it has not been tried on a GPU. Needs CUDA.
    """

    def __init__(self, channels_last: Choice, compile: Choice, graphs: Choice) -> None:
        for name, choice in (("channels_last", channels_last), ("compile", compile), ("graphs", graphs)):
            require(
                isinstance(choice, bool) or choice == AUTO, f"{name} is {choice}: it must be true, false or {AUTO}."
            )
        self.channels_last = channels_last
        self.compile = compile is True
        self.graphs = graphs is True

    def memory_format(self, device: torch.device) -> torch.memory_format:
        chosen = suits_channels_last(device) if self.channels_last == AUTO else self.channels_last
        return torch.channels_last if chosen else torch.contiguous_format

    def apply(
        self, generator: Generator, average: Generator, discriminator: Discriminator, device: torch.device
    ) -> None:
        """Let these run so from now on; their weights, and the names of these, stay as they are.

        The averaged generator is not compiled, since it draws little.

        Raises `UserError` where the device cannot.
        """
        require(
            not self.graphs or device.type == "cuda",
            f"graphs=true needs a CUDA GPU, not {device.type}: leave it at {AUTO}.",
        )
        for network in (generator, average, discriminator):
            network.memory_format = self.memory_format(device)
        if not (self.compile or self.graphs):
            return
        torch._dynamo.config.recompile_limit = MOST_VERSIONS
        torch._inductor.config.fallback_random = True  # compiled code draws the numbers that eager code draws
        options: dict[str, Any] = {}
        if self.graphs:
            options = {"mode": "reduce-overhead"} if self.compile else {"backend": "cudagraphs"}
        for network, name in ((generator, "forward"), (discriminator, "see"), (discriminator, "judge")):
            own = getattr(type(network), name).__get__(network)  # not what a fit before this one has compiled
            compiled = torch.compile(own, **options)
            setattr(network, name, compiled if name == "judge" else alpha_as_tensor(compiled))

    def begin_step(self) -> None:
        """To be called before each step: what graphs gave in the last one may be written over."""
        if self.graphs:
            torch.compiler.cudagraph_mark_step_begin()

    def eager(self) -> AbstractContextManager[object]:
        """For gradients of gradients, which compiled code cannot give."""
        return torch.compiler.set_stance("force_eager") if self.compile or self.graphs else nullcontext()


def alpha_as_tensor(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A function whose last argument is alpha, given a tensor where that changes from step to step."""

    def call(*arguments: Any) -> Tensor:
        *others, alpha = arguments
        return function(*others, torch.full((), alpha, device=others[0].device) if alpha < 1 else alpha)

    return call


def suits_channels_last(device: torch.device) -> bool:
    """Whether convolutions are known to be faster with the channels innermost."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return device.type == "cpu"
