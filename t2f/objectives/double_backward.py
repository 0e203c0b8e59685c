"""Second derivatives of convolutions for gradient penalties, by the kernels of first derivatives.

A convolution y = w * x is linear in x and in w, so <g, w * x> is linear in g, x and w. Its derivative by g is the
convolution, by x the input's gradient, and by w the weight's gradient; the derivative of each of these maps is given by
the two others. PyTorch's second derivative computes the weight's gradient as a convolution with a kernel as large as
the image, which takes many times as long on a CPU (`experiments/speed`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function
from torch.overrides import TorchFunctionMode

Pair = tuple[int, int]


class FastDoubleBackward(TorchFunctionMode):
    """A context whose convolutions support one kind of double backward.

    The first derivative must be by inputs only, the second may be by inputs and weights. Values and derivatives are
    those of PyTorch up to rounding.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return (convolve if func is torch.conv2d else func)(*args, **kwargs or {})


def convolve(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Pair = 1,
    padding: int | Pair | str = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> Tensor:
    """Compute `torch.conv2d` of a batch (B, C, H, W) by `Convolution`; padding by name is left to PyTorch."""
    if isinstance(padding, str):
        return F.conv2d(input, weight, bias, stride, padding, dilation, groups)
    kind = input.device.type
    # Cast before saving for backward; as autocast does, leave float64 alone.
    if torch.is_autocast_enabled(kind) and input.dtype != torch.float64:
        dtype = torch.get_autocast_dtype(kind)
        input, weight, bias = input.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype)
    y: Tensor = Convolution.apply(input, weight, bias, (stride, padding, dilation, groups))
    return y


def pair(value: int | Pair) -> Pair:
    return (value, value) if isinstance(value, int) else value


def gradients(
    g: Tensor, x: Tensor, weight: Tensor, steps: tuple[Any, ...], wanted: tuple[bool, bool, bool]
) -> tuple[Tensor | None, ...]:
    """Compute the wanted derivatives of <g, w * x + b> by x, w and b. Of unused arguments only the shape matters."""
    *windows, groups = steps
    stride, padding, dilation = map(pair, windows)
    backward = torch.ops.aten.convolution_backward
    found: tuple[Tensor | None, ...] = backward(
        g, x, weight, weight.shape[:1], stride, padding, dilation, False, (0, 0), groups, wanted
    )
    return found


class Convolution(Function):
    """Maps x, w, b to w * x + b. With `create_graph` only x gets a gradient, which is all that a penalty uses."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, steps: tuple[Any, ...]) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.steps = steps
        return F.conv2d(x, weight, bias, *steps)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        if torch.is_grad_enabled():  # by create_graph, for a second derivative
            return InputGradient.apply(g, weight, x, ctx.steps), None, None, None
        return *gradients(g, x, weight, ctx.steps, ctx.needs_input_grad[:3]), None


class InputGradient(Function):
    """Maps g, w to the derivative of <g, w * x> by x. Of x only the shape matters."""

    @staticmethod
    def forward(ctx: Any, g: Tensor, weight: Tensor, x: Tensor, steps: tuple[Any, ...]) -> Tensor | None:
        ctx.save_for_backward(g, weight)
        ctx.steps = steps
        return gradients(g, x, weight, steps, (True, False, False))[0]

    @staticmethod
    def backward(ctx: Any, h: Tensor) -> tuple[Tensor | None, ...]:
        g, weight = ctx.saved_tensors
        of_g, of_weight = ctx.needs_input_grad[:2]
        return (
            F.conv2d(h, weight, None, *ctx.steps) if of_g else None,
            gradients(g, h, weight, ctx.steps, (False, True, False))[1] if of_weight else None,
            None,
            None,
        )
