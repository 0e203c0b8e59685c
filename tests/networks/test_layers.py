import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from t2f.networks.layers import EqualizedConv2d, EqualizedLinear, MinibatchStdDev, PixelNorm


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize(
    ("in_channels", "out_channels", "kernel", "padding"), [(3, 5, 1, 0), (4, 2, 3, 1), (2, 6, 3, 0), (1, 3, 4, 0)]
)
def test_conv_is_a_convolution_with_weights_scaled_by_he(
    in_channels: int, out_channels: int, kernel: int, padding: int
) -> None:
    layer = EqualizedConv2d(in_channels, out_channels, kernel, padding)
    nn.init.normal_(layer.bias)
    x = torch.randn(2, in_channels, 5, 6)
    he = math.sqrt(2 / (in_channels * kernel * kernel))
    expected = F.conv2d(x, layer.weight * he, layer.bias, padding=padding)
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize("gain", [1.0, math.sqrt(2), math.sqrt(2) / 4])
def test_linear_is_a_matrix_product_with_weights_scaled_by_gain(gain: float) -> None:
    layer = EqualizedLinear(7, 3, gain=gain)
    nn.init.normal_(layer.bias)
    x = torch.randn(4, 7)
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    expected = x.numpy() @ (weight * gain / math.sqrt(7)).T + bias
    np.testing.assert_allclose(layer(x).detach().numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("fan_in", [16, 256])
def test_at_gain_one_unit_input_gives_unit_variance(fan_in: int) -> None:
    linear = EqualizedLinear(fan_in, 512, gain=1.0)(torch.randn(512, fan_in))
    conv = EqualizedConv2d(fan_in, 256, 3, gain=1.0)(torch.randn(16, fan_in, 5, 5))
    assert linear.var().item() == pytest.approx(1, rel=0.1)
    assert conv.var().item() == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize("fan_in", [16, 256])
def test_at_the_default_gain_relu_keeps_the_mean_square(fan_in: int) -> None:
    linear = F.relu(EqualizedLinear(fan_in, 512)(torch.randn(512, fan_in)))
    conv = F.relu(EqualizedConv2d(fan_in, 256, 3)(torch.randn(16, fan_in, 5, 5)))
    assert linear.square().mean().item() == pytest.approx(1, rel=0.1)
    assert conv.square().mean().item() == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize("fan_in", [4, 400])
def test_stored_weights_have_one_size_whatever_the_fan_in(fan_in: int) -> None:
    for layer in (EqualizedLinear(fan_in, 1000), EqualizedConv2d(fan_in, 1000, 1)):
        assert layer.weight.std().item() == pytest.approx(1, rel=0.05)
        assert layer.bias.abs().max() == 0


def test_adam_moves_the_effective_weights_by_the_same_share_in_wide_and_narrow_layers() -> None:
    shares = []
    for fan_in in (4, 400):
        layer = EqualizedLinear(fan_in, 50)
        optimizer = torch.optim.Adam(layer.parameters(), lr=0.01)
        before = layer.weight.detach().clone()
        layer(torch.randn(8, fan_in)).square().sum().backward()
        optimizer.step()
        shares.append(((layer.weight.detach() - before).norm() / before.norm()).item())
    assert shares[0] == pytest.approx(shares[1], rel=0.2)


def test_pixel_norm_by_hand() -> None:
    x = torch.tensor([[3.0, 4.0], [0.0, -2.0]])
    length = math.sqrt(12.5)
    expected = torch.tensor([[3 / length, 4 / length], [0.0, -math.sqrt(2)]])
    torch.testing.assert_close(PixelNorm()(x), expected)


def test_pixel_norm_makes_each_pixel_of_unit_mean_square_over_channels() -> None:
    y = PixelNorm()(5 * torch.randn(2, 6, 3, 4))
    torch.testing.assert_close(y.square().mean(dim=1), torch.ones(2, 3, 4))


def test_pixel_norm_leaves_a_black_pixel_finite() -> None:
    assert PixelNorm()(torch.zeros(1, 4, 1, 1)).tolist() == torch.zeros(1, 4, 1, 1).tolist()


@pytest.mark.parametrize(("batch", "group"), [(8, 4), (4, 4), (12, 4), (6, 3), (10, 2), (3, 3), (5, 1)])
def test_minibatch_stddev_is_numpys_by_groups(batch: int, group: int) -> None:
    x = torch.randn(batch, 3, 2, 4)
    y = MinibatchStdDev(group_size=4)(x).numpy()
    groups = batch // group
    for image in range(batch):
        members = x.numpy()[image % groups :: groups]
        assert len(members) == group
        expected = np.sqrt(members.var(axis=0) + 1e-8).mean()
        np.testing.assert_allclose(y[image, 3], np.full((2, 4), expected), rtol=1e-5)


def test_minibatch_stddev_by_hand() -> None:
    x = torch.tensor([0.0, 2.0]).reshape(2, 1, 1, 1).expand(2, 2, 1, 1)
    assert MinibatchStdDev()(x)[:, 2].flatten().tolist() == pytest.approx([1, 1])


def test_minibatch_stddev_keeps_the_features_and_adds_one_channel() -> None:
    x = torch.randn(4, 5, 3, 3)
    y = MinibatchStdDev()(x)
    assert y.shape == (4, 6, 3, 3)
    assert torch.equal(y[:, :5], x)


def test_minibatch_stddev_of_equal_images_is_about_zero_with_a_finite_gradient() -> None:
    x = torch.randn(1, 5, 3, 3).repeat(4, 1, 1, 1).requires_grad_()
    spread = MinibatchStdDev()(x)[:, 5]
    assert spread.abs().max() < 1e-3
    spread.sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
