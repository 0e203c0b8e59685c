"""Memory format, TF32 and CUDA graphs. They change results only by rounding."""

from __future__ import annotations

import torch

from t2f.networks.base import Discriminator, Generator
from t2f.utils.errors import require

AUTO = "auto"
Choice = bool | str
"""True, False or AUTO."""


class Performance:
    """How the networks run on a device.

    Args:
        channels_last: Whether to use the channels-last memory format. AUTO: on CPUs, where it is faster for larger
            images (`experiments/speed`), and on GPUs from Ampere on, whose tensor cores use this format.
        tf32: Whether CUDA multiplies float32 matrices, also those of convolutions, with TF32's 10 bits of mantissa. It
            is what `precision=32-true` means on GPUs from Ampere on; false: all 23 bits.
        cuda_graphs: Whether to record whole training steps as CUDA graphs (`StepGraphs`). AUTO: on CUDA, except in
            these cases, in which true is an error. Several processes: after each backward pass, DDP with unused
            parameters copies the map of used parameters to the CPU. `precision=16-mixed`: the gradient scaler may skip
            a step. Optimizers that can neither be `capturable` nor `fused`: they read the learning rate on the CPU.

    Raises:
        ValueError: An argument is not true or false, nor auto where that is allowed.
    """

    def __init__(self, channels_last: Choice = AUTO, tf32: bool = True, cuda_graphs: Choice = AUTO) -> None:
        for name, choice in (("channels_last", channels_last), ("cuda_graphs", cuda_graphs)):
            if not (isinstance(choice, bool) or choice == AUTO):
                raise ValueError(f"{name} is {choice}: it must be true, false or {AUTO}.")
        if not isinstance(tf32, bool):
            raise ValueError(f"tf32 is {tf32}: it must be true or false.")
        self.channels_last = channels_last
        self.tf32 = tf32
        self.cuda_graphs = cuda_graphs

    def memory_format(self, device: torch.device) -> torch.memory_format:
        chosen = prefers_channels_last(device) if self.channels_last == AUTO else self.channels_last
        return torch.channels_last if chosen else torch.contiguous_format

    def apply(
        self, generator: Generator, average: Generator, discriminator: Discriminator, device: torch.device
    ) -> None:
        """Set up the networks and PyTorch for a device. Weights and their names do not change."""
        for network in (generator, average, discriminator):
            network.memory_format = self.memory_format(device)
        if device.type == "cuda":
            self.before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
            set_float32_precision("high" if self.tf32 else "highest", self.tf32)

    def reset(self, device: torch.device) -> None:
        """Restore the precision of float32 products, for what follows training in this process."""
        if device.type == "cuda":
            set_float32_precision(*self.before)

    def uses_graphs(self, device: torch.device, world_size: int, precision: str, capturable: bool) -> bool:
        """Return whether to record training steps as CUDA graphs.

        Args:
            device: Device of the training.
            world_size: Number of processes.
            precision: Precision of Lightning's Trainer.
            capturable: Whether the optimizers can be recorded.

        Raises:
            UserError: `cuda_graphs` is true, but steps cannot be recorded.
        """
        obstacles = {
            f"needs a CUDA GPU, not {device.type}": device.type != "cuda",
            f"works in one process, not in {world_size}": world_size > 1,
            "does not work with performance.precision=16-mixed": precision == "16-mixed",
            "needs optimizers with capturable or fused=true, such as torch.optim.Adam": not capturable,
        }
        obstacle = next((reason for reason, applies in obstacles.items() if applies), None)
        require(
            obstacle is None or self.cuda_graphs is not True,
            f"performance.cuda_graphs=true {obstacle}: leave it at {AUTO}.",
        )
        return obstacle is None and self.cuda_graphs is not False


def set_float32_precision(products: str, tf32_in_cudnn: bool) -> None:
    """Choose the precision of float32 products in cuBLAS and in cuDNN.

    PyTorch's newer `torch.backends.*.fp32_precision` makes a function fail that Lightning calls.
    """
    torch.set_float32_matmul_precision(products)
    torch.backends.cudnn.allow_tf32 = tf32_in_cudnn


def prefers_channels_last(device: torch.device) -> bool:
    """Return whether convolutions are faster in the channels-last memory format."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return device.type == "cpu"
