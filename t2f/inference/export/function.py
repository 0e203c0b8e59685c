"""The generator as one function of two tensors, for exports, and the comparison of an export with the model."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from t2f.conditioning.sentences import TokenConditioner
from t2f.inference.pipeline import Pipeline
from t2f.utils.errors import UserError, first_line, require

TOLERANCE = 1e-4
INPUTS, OUTPUT = ("condition", "noise"), "images"

Generate = Callable[[Tensor, Tensor], Tensor]
"""Condition (N, ...), noise (N, noise_dim) -> images (N, 3, r, r)."""


class ExportedGenerator(nn.Module):
    """Encoder and generator at the pipeline's resolution and fade-in weight, which become constants.

    `forward` maps conditions (N, ...) and noise (N, noise_dim) to float32 images (N, 3, r, r), about [-1, 1]. The
    conditions are the conditioner's output: int64 token ids (N, L), 0 for padding, or float32 rows (N, size).
    """

    def __init__(self, pipeline: Pipeline) -> None:
        super().__init__()
        self.networks = pipeline.networks
        self.resolution = pipeline.resolution
        self.alpha = pipeline.alpha

    def forward(self, condition: Tensor, noise: Tensor) -> Tensor:
        images: Tensor = self.networks(condition, noise, self.resolution, self.alpha)
        return images


def trace(pipeline: Pipeline) -> ExportedProgram:
    """Trace the generator with a dynamic batch size and a dynamic number of tokens.

    Raises:
        UserError: `torch.export` cannot trace the networks.
    """
    inputs = random_inputs(pipeline, count=3, length=7)
    generator = ExportedGenerator(pipeline).eval().requires_grad_(False)
    try:
        program = torch.export.export(generator, inputs, dynamic_shapes=dynamic_shapes(pipeline))
    except Exception as error:  # custom networks can fail in any way
        raise UserError(
            f"torch.export cannot trace these networks ({first_line(error)}): omit --onnx and --program, or change the "
            "code that the message names; often it uses the batch size as a Python number."
        ) from error
    for module in program.graph_module.modules():
        if isinstance(module, torch.fx.GraphModule):
            for node in module.graph.nodes:
                node.meta.pop("stack_trace", None)  # contains paths of this machine
    return program


def dynamic_shapes(pipeline: Pipeline) -> tuple[dict[int, Dim], dict[int, Dim]]:
    """Return the named dynamic dimensions of condition and noise."""
    batch = {0: Dim("batch")}
    return {**batch, 1: Dim("length")} if isinstance(pipeline.conditioner, TokenConditioner) else batch, batch


def random_inputs(pipeline: Pipeline, count: int, length: int) -> tuple[Tensor, Tensor]:
    """Return `count` random conditions, sentences of 0 to `length` tokens or float rows, and noise."""
    generator = torch.Generator().manual_seed(1000 * count + length)
    noise = torch.randn(count, pipeline.noise_dim, generator=generator)
    size = pipeline.conditioner.size
    if not isinstance(pipeline.conditioner, TokenConditioner):
        return torch.randn(count, size, generator=generator), noise
    tokens = torch.randint(1, size, (count, length), generator=generator)
    lengths = torch.randint(0, length + 1, (count, 1), generator=generator)
    lengths[-1] = length
    return tokens * (torch.arange(length) < lengths), noise


def check_export(exported: Generate, pipeline: Pipeline, name: str) -> float:
    """Compare an export with the model for several batch sizes and sentence lengths.

    Returns:
        The largest absolute difference of a pixel, on a scale from -1 to 1.

    Raises:
        UserError: the difference is above `TOLERANCE`. The message has the `name` of the exported file.
    """
    sizes = ((1, 1), (1, 12), (2, 50), (5, 7), (16, 20))
    worst = max(max_difference(exported, pipeline, *random_inputs(pipeline, *size)) for size in sizes)
    require(
        worst <= TOLERANCE,
        f"The exported {name} generates other images than the model (they differ by up to {worst:.2g}, on a scale from "
        "-1 to 1), so nothing was exported: please report this, with the versions of torch and onnxruntime.",
    )
    return worst


@torch.no_grad()
def max_difference(exported: Generate, pipeline: Pipeline, condition: Tensor, noise: Tensor) -> float:
    """Return the largest absolute difference of a pixel; infinity if a pixel is NaN."""
    expected = pipeline.sample(condition, noise)
    return float((exported(condition, noise) - expected).abs().nan_to_num(nan=torch.inf).max())
