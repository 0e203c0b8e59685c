"""A model as one function of two tensors, which is what is exported, and what exports are checked with."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from t2f.conditioning.sentences import TokenConditioner
from t2f.inference.pipeline import Pipeline
from t2f.utils.errors import UserError, require

TOLERANCE = 1e-4
INPUTS, OUTPUT = ("condition", "noise"), "images"

BatchIndices = Callable[[Tensor, Tensor], Tensor]


class Drawing(nn.Module):
    """Conditions (N, ...) and noise (N, noise_dim) -> float32 images (N, 3, r, r), about [-1, 1].

    Conditions are what the conditioner gives: int64 token ids (N, L), 0 for padding, or float32 rows (N, size).
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
    """The drawing as a graph, for any number of faces and any length of their descriptions.

    Raises `UserError` for networks that cannot be one.
    """
    inputs = some_inputs(pipeline, count=3, length=7)
    drawing = Drawing(pipeline).eval().requires_grad_(False)
    try:
        program = torch.export.export(drawing, inputs, dynamic_shapes=free_sizes(pipeline))
    except Exception as error:  # networks of one's own can be anything
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise UserError(
            f"torch.export cannot follow these networks ({reason}): leave out --onnx and --program, or change what it "
            "names, often a Python number of the batch's size."
        ) from error
    for module in program.graph_module.modules():
        if isinstance(module, torch.fx.GraphModule):
            for node in module.graph.nodes:
                node.meta.pop("stack_trace", None)  # which names this machine's folders
    return program


def free_sizes(pipeline: Pipeline) -> tuple[dict[int, Dim], dict[int, Dim]]:
    """The dimensions of condition and noise that may have any size, with their names."""
    batch = Dim("batch")
    return {0: batch, 1: Dim("length")} if isinstance(pipeline.conditioner, TokenConditioner) else {0: batch}, {
        0: batch
    }


def some_inputs(pipeline: Pipeline, count: int, length: int) -> tuple[Tensor, Tensor]:
    """Conditions and noise of a seed of their own: sentences of 0 to `length` random words, or random rows."""
    generator = torch.Generator().manual_seed(1000 * count + length)
    noise = torch.randn(count, pipeline.noise_dim, generator=generator)
    size = pipeline.conditioner.size
    if not isinstance(pipeline.conditioner, TokenConditioner):
        return torch.randn(count, size, generator=generator), noise
    words = torch.randint(1, size, (count, length), generator=generator)
    lengths = torch.randint(0, length + 1, (count, 1), generator=generator)
    lengths[-1] = length
    return words * (torch.arange(length) < lengths), noise


def check(draw: BatchIndices, pipeline: Pipeline, name: str) -> float:
    """The worst difference of any pixel between `draw` and the model, for one face and for several.

    Raises `UserError` where that is above `TOLERANCE`.
    """
    worst = max(difference(draw, pipeline, *inputs) for inputs in all_inputs(pipeline))
    require(
        worst <= TOLERANCE,
        f"The exported {name} draws other faces than the model (they differ by up to {worst:.2g}, on a scale from -1 "
        "to 1), so nothing was exported: please report this, with the versions of torch and onnxruntime.",
    )
    return worst


@torch.no_grad()
def difference(draw: BatchIndices, pipeline: Pipeline, condition: Tensor, noise: Tensor) -> float:
    """The largest of all pixels; infinite where one is not a number."""
    gap = (draw(condition, noise) - pipeline.sample(condition, noise)).abs().nan_to_num(nan=torch.inf)
    return float(gap.max())


def all_inputs(pipeline: Pipeline) -> Iterator[tuple[Tensor, Tensor]]:
    """What exports are checked with: several numbers of faces, and several lengths."""
    for count, length in ((1, 1), (1, 12), (2, 50), (5, 7), (16, 20)):
        yield some_inputs(pipeline, count, length)
