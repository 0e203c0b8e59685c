import pytest
import torch
import torch.nn.functional as F

from t2f.networks.modulated import ModulatedBlock, ModulatedGenerator
from t2f.networks.multiscale import unflatten_pyramid

CONDITION, LATENT = 3, 9


def make_generator() -> ModulatedGenerator:
    torch.manual_seed(0)
    return ModulatedGenerator(CONDITION, LATENT, (8, 6, 4))


def inputs(seed: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    latent = torch.randn(4, LATENT, generator=torch.Generator().manual_seed(seed))
    return latent[:, :CONDITION], latent[:, CONDITION:]


def test_a_block_scales_the_inputs_of_its_convolutions() -> None:
    torch.manual_seed(0)
    block = ModulatedBlock(6, 4, LATENT)
    x, style = torch.randn(2, 6, 8, 8), torch.randn(2, LATENT)

    def scale(layer: torch.nn.Module) -> torch.Tensor:
        return (1 + style @ (layer.weight / LATENT**0.5).T)[:, :, None, None]

    def normalized(y: torch.Tensor) -> torch.Tensor:
        y = F.leaky_relu(y, 0.2)
        return y / (y.square().mean(dim=1, keepdim=True) + 1e-8).sqrt()

    up = F.interpolate(x * scale(block.style1), scale_factor=2, mode="bilinear")
    expected = normalized(block.conv1(up))
    expected = normalized(block.conv2(expected * scale(block.style2)))
    torch.testing.assert_close(block(x, style), expected, rtol=1e-4, atol=1e-5)


def test_it_generates_all_scales() -> None:
    generator = make_generator()
    sample = generator(*inputs(), 16, 1.0)
    images = unflatten_pyramid(sample, 3)
    assert [tuple(image.shape) for image in images] == [(4, 3, 4, 4), (4, 3, 8, 8), (4, 3, 16, 16)]
    assert torch.equal(generator.to_image(sample), images[-1])
    assert (generator.max_resolution, generator.noise_dim, generator.grows) == (16, LATENT - CONDITION, False)


@pytest.mark.parametrize("name", ["condition", "noise"])
def test_condition_and_noise_reach_each_block_directly(name: str) -> None:
    generator = make_generator()
    condition, noise = inputs()
    before = generator.mapping(torch.cat([condition, noise], dim=1))
    if name == "condition":
        condition = condition.flip(0)
    else:
        noise = noise.flip(0)
    after = generator.mapping(torch.cat([condition, noise], dim=1))
    block = generator.blocks[-1]
    assert (block.style2(before) - block.style2(after)).abs().max() > 1e-2


def test_every_layer_is_trained() -> None:
    generator = make_generator()
    generator(*inputs(), 16, 1.0).square().sum().backward()
    assert [name for name, parameter in generator.named_parameters() if parameter.grad is None] == []
