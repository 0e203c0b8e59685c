"""Second derivatives, compared with those of PyTorch."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from t2f.objectives import R1
from t2f.objectives.double_backward import FastDoubleBackward, InputGradient, convolve

WINDOWS = [  # kernel, stride, padding, dilation, groups
    (3, 1, 1, 1, 1),
    (1, 1, 0, 1, 1),
    (4, 2, 1, 1, 1),
    (4, 1, 0, 1, 2),
    (3, 2, 0, 1, 1),  # the last column is not covered
    (3, 1, (2, 1), (2, 1), 1),
]


def convolution(window: tuple[Any, ...]) -> nn.Conv2d:
    kernel, *others = window
    torch.manual_seed(0)
    return nn.Conv2d(4, 6, kernel, *others).double()


def second_derivatives(layer: nn.Module, x: Tensor, context: AbstractContextManager[object]) -> list[Tensor]:
    """Return the value, its gradient by x, and the gradients of that gradient's norm by x and by the weights."""
    x = x.clone().requires_grad_()
    with context:
        y = layer(x).sin()
    (gradient,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    length = gradient.square().sum() + y.square().sum()
    return [y, gradient, *torch.autograd.grad(length, [x, *layer.parameters()])]


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_every_derivative_equals_that_of_pytorch(window: tuple[Any, ...]) -> None:
    layer = convolution(window)
    x = torch.randn(3, 4, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(
        second_derivatives(layer, x, FastDoubleBackward()), second_derivatives(layer, x, nullcontext())
    )


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_derivatives_are_those_of_finite_differences(window: tuple[Any, ...]) -> None:
    layer = convolution(window)
    steps = (layer.stride, layer.padding, layer.dilation, layer.groups)
    x = torch.randn(2, 4, 5, 5, dtype=torch.float64, requires_grad=True)
    weight = layer.weight.detach().requires_grad_()
    g = torch.randn_like(layer(x)).requires_grad_()
    assert torch.autograd.gradcheck(lambda *given: convolve(*given, *steps), (x, weight, layer.bias))
    assert torch.autograd.gradcheck(lambda *given: InputGradient.apply(*given, x.detach(), steps), (g, weight))


def test_penalties_in_bf16_are_as_accurate_as_those_of_pytorch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3, padding=1), nn.LeakyReLU(0.2), nn.Conv2d(8, 8, 4, 2, 1), nn.Tanh(), nn.Flatten()]
    discriminator = nn.Sequential(*layers, nn.Linear(8 * 16, 1), nn.Flatten(0))
    real = torch.randn(4, 3, 8, 8)

    def gradient_of_penalty(exact: bool) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=not exact):
            value = R1().penalty(lambda x: discriminator(x).float(), real, real)
        return torch.cat([each.flatten() for each in torch.autograd.grad(value, list(discriminator.parameters())[:-1])])

    exact, fast = gradient_of_penalty(exact=True), gradient_of_penalty(exact=False)
    monkeypatch.setattr("t2f.objectives.penalties.FastDoubleBackward", nullcontext)
    torch.testing.assert_close(gradient_of_penalty(exact=True), exact)
    native = gradient_of_penalty(exact=False)
    assert not torch.equal(fast, exact)
    assert (fast - exact).norm() < 1.2 * (native - exact).norm()


class Kernels(TorchDispatchMode):
    """Records the largest side of all kernels of convolutions."""

    largest = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket in (torch.ops.aten.convolution, torch.ops.aten.convolution_overrideable):
            self.largest = max(self.largest, *args[1].shape[2:])
        return func(*args, **kwargs or {})


def test_no_kernel_is_as_large_as_the_image() -> None:
    layer = nn.Conv2d(4, 6, 3, padding=1)
    x = torch.randn(2, 4, 16, 16)
    largest = {}
    for name, context in (("PyTorch's", nullcontext()), ("fast", FastDoubleBackward())):
        with Kernels() as kernels:
            second_derivatives(layer, x, context)
        largest[name] = kernels.largest
    assert largest == {"PyTorch's": 16, "fast": 3}


def test_other_functions_do_not_change() -> None:
    x = torch.randn(2, 3, 4, 4)
    kernel = torch.randn(1, 3, 3, 3)
    with FastDoubleBackward():
        outputs = [F.linear(x, torch.eye(4)), F.conv2d(x, kernel), F.conv2d(input=x, weight=kernel, padding="same")]
    torch.testing.assert_close(outputs, [x, F.conv2d(x, kernel), F.conv2d(x, kernel, padding="same")])
