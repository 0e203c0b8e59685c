import pytest
import torch

from t2f.networks.efficientnet import CHANNELS, FrozenEfficientNet, pretrained_network

pytest.importorskip("timm", reason="timm is missing: pip install -e '.[metrics]'")


@pytest.fixture(scope="module")
def network() -> FrozenEfficientNet:
    return FrozenEfficientNet(64)


def images(count: int = 2, size: int = 64) -> torch.Tensor:
    return 2 * torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0)) - 1


def test_maps_are_those_of_the_unfused_network(network: FrozenEfficientNet) -> None:
    expected = pretrained_network().forward_intermediates(images(), indices=(1, 2, 3, 4), intermediates_only=True)
    maps = network(images())
    assert [tuple(each.shape) for each in maps] == [
        (2, channels, side, side) for channels, side in zip(CHANNELS, (16, 8, 4, 2), strict=True)
    ]
    for found, each in zip(maps, expected, strict=True):
        torch.testing.assert_close(found, each, rtol=1e-3, atol=1e-3)


def test_images_of_another_size_are_resized(network: FrozenEfficientNet) -> None:
    assert network(images(size=32))[0].shape[-1] == 16


def test_no_optimizer_and_no_checkpoint_gets_the_weights(network: FrozenEfficientNet) -> None:
    network.requires_grad_(True)
    assert list(network.parameters()) == []
    assert network.state_dict() == {}
    assert all(not buffer.requires_grad for buffer in network.buffers())


def test_training_mode_changes_nothing(network: FrozenEfficientNet) -> None:
    before = network(images())[-1]
    network.train()
    assert torch.equal(network(images())[-1], before)


def test_the_gradient_reaches_the_images_and_is_differentiable(network: FrozenEfficientNet) -> None:
    x = images().requires_grad_(True)
    (gradient,) = torch.autograd.grad(network(x)[0].square().sum(), x, create_graph=True)
    assert gradient.abs().max() > 0
    gradient.square().sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("resolution", [0, 31, 48])
def test_the_resolution_is_a_multiple_of_32(resolution: int) -> None:
    with pytest.raises(ValueError, match=f"resolution is {resolution}"):
        FrozenEfficientNet(resolution)
