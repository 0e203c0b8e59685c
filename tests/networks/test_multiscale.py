import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from t2f.networks.diffaugment import DiffAugment
from t2f.networks.multiscale import (
    MultiScaleDiscriminator,
    MultiScaleGenerator,
    flatten_pyramid,
    unflatten_pyramid,
)

CHANNELS = (8, 6, 4)  # at 4, 8 and 16 pixels
CONDITION, LATENT, EMBEDDING, TEXT = 3, 9, 5, 2
SIZES = (4, 8, 16)


def make_generator(channels: tuple[int, ...] = CHANNELS) -> MultiScaleGenerator:
    torch.manual_seed(0)
    return MultiScaleGenerator(CONDITION, LATENT, channels)


def make_discriminator(channels: tuple[int, ...] = CHANNELS, policy: tuple[str, ...] = ()) -> MultiScaleDiscriminator:
    torch.manual_seed(1)
    return MultiScaleDiscriminator(channels, EMBEDDING, TEXT, True, True, 2, DiffAugment(policy))


def pyramid(count: int = 4, sizes: tuple[int, ...] = SIZES) -> list[Tensor]:
    generator = torch.Generator().manual_seed(2)
    return [torch.randn(count, 3, size, size, generator=generator) for size in sizes]


def texts(count: int = 4) -> Tensor:
    return torch.randn(count, EMBEDDING, generator=torch.Generator().manual_seed(3))


def generate(generator: MultiScaleGenerator, resolution: int = 16) -> Tensor:
    latent = torch.randn(4, LATENT, generator=torch.Generator().manual_seed(4))
    return generator(latent[:, :CONDITION], latent[:, CONDITION:], resolution, 1.0)


def scores(discriminator: MultiScaleDiscriminator, sample: Tensor) -> tuple[Tensor, Tensor]:
    output = discriminator(sample, texts(len(sample)), 16, 1.0)
    return output.conditional_logits, output.unconditional_logits


def test_a_pyramid_survives_the_round_trip() -> None:
    flat = flatten_pyramid(pyramid())
    assert flat.shape == (4, 3 * (16 + 64 + 256))
    for image, again in zip(pyramid(), unflatten_pyramid(flat, 3), strict=True):
        assert torch.equal(image, again)
    assert torch.equal(flatten_pyramid(unflatten_pyramid(flat, 3)), flat)


def test_a_pyramid_in_another_memory_format_is_the_same() -> None:
    other = [image.contiguous(memory_format=torch.channels_last) for image in pyramid()]
    assert torch.equal(flatten_pyramid(other), flatten_pyramid(pyramid()))


def test_the_pyramid_of_a_real_image_is_its_average_at_every_scale() -> None:
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    found = unflatten_pyramid(make_discriminator().to_sample(images, 16, 1.0), 3)
    for size, image in zip(SIZES, found, strict=True):
        block = 32 // size
        torch.testing.assert_close(image, images.reshape(4, 3, size, block, size, block).mean(dim=(3, 5)))


def test_the_largest_scale_of_an_image_of_this_size_is_the_image() -> None:
    image = pyramid()[2]
    assert torch.equal(unflatten_pyramid(make_discriminator().to_sample(image, 16, 1.0), 3)[2], image)


def test_the_generator_outputs_all_scales_and_its_image_is_the_last() -> None:
    generator = make_generator()
    sample = generate(generator)
    images = unflatten_pyramid(sample, 3)
    assert [tuple(image.shape) for image in images] == [(4, 3, 4, 4), (4, 3, 8, 8), (4, 3, 16, 16)]
    assert torch.equal(generator.to_image(sample), images[-1])
    assert (generator.max_resolution, generator.noise_dim, generator.grows) == (16, LATENT - CONDITION, False)


def test_each_scale_is_a_1x1_convolution_of_its_blocks_features() -> None:
    generator = make_generator()
    latent = torch.randn(4, LATENT, generator=torch.Generator().manual_seed(4))
    x = generator.start(latent, generator.memory_format)
    expected = []
    for number in range(3):
        x = generator.blocks[number - 1](x) if number else x
        layer = generator.to_rgb[number]
        weight = layer.weight[:, :, 0, 0] / CHANNELS[number] ** 0.5
        expected.append(torch.einsum("oc,bchw->bohw", weight, x) + layer.bias[:, None, None])
    torch.testing.assert_close(generate(generator), flatten_pyramid(expected), rtol=1e-4, atol=1e-5)


def test_it_always_generates_at_its_last_resolution() -> None:
    generator = make_generator()
    assert torch.equal(generate(generator, 4), generate(generator, 16))


@pytest.mark.parametrize("which", [0, 1], ids=["conditional", "unconditional"])
def test_each_score_gives_every_scale_a_gradient(which: int) -> None:
    generator, discriminator = make_generator(), make_discriminator()
    sample = generate(generator)
    sample.retain_grad()
    scores(discriminator, sample)[which].sum().backward()
    assert sample.grad is not None
    for gradient in unflatten_pyramid(sample.grad, 3):
        assert (gradient.flatten(1).norm(dim=1) > 0).all()
    for layer in generator.to_rgb:
        assert layer.weight.grad.norm() > 0
        assert layer.bias.grad.norm() > 0


def test_each_scale_gets_a_gradient_from_its_own_image_alone() -> None:
    for scale in range(3):
        generator = make_generator()
        unflatten_pyramid(generate(generator), 3)[scale].square().sum().backward()
        with_gradient = [layer.weight.grad is not None and bool(layer.weight.grad.any()) for layer in generator.to_rgb]
        assert with_gradient == [number == scale for number in range(3)]


@pytest.mark.parametrize("scale", range(3))
def test_both_scores_depend_on_each_scale(scale: int) -> None:
    discriminator = make_discriminator()
    images = pyramid()
    before = scores(discriminator, flatten_pyramid(images))
    images[scale] = images[scale].flip(0)
    after = scores(discriminator, flatten_pyramid(images))
    for one, other in zip(before, after, strict=True):
        assert (one - other).abs().max() > 1e-4


def test_every_layer_of_the_discriminator_gets_a_gradient() -> None:
    discriminator = make_discriminator()
    conditional, unconditional = scores(discriminator, flatten_pyramid(pyramid()))
    of_images, of_texts = discriminator(flatten_pyramid(pyramid()), texts(), 16, 1.0).attribute_logits
    (conditional + unconditional + (of_images + of_texts).sum(1)).sum().backward()
    # The minibatch standard deviation also gives the bias before it a gradient, so every parameter must have one.
    assert [name for name, parameter in discriminator.named_parameters() if parameter.grad is None] == []


def test_each_image_is_concatenated_with_the_features_of_its_size() -> None:
    """The paper's phi_simple: the 16x16 image is the input; the 8x8 and 4x4 images are concatenated."""
    discriminator = make_discriminator()
    small, middle, large = pyramid()
    x = F.leaky_relu(discriminator.from_rgb(large), 0.2)
    x = torch.cat([discriminator.blocks[0](x), middle], dim=1)
    x = torch.cat([discriminator.blocks[1](x), small], dim=1)
    expected = discriminator.head(F.leaky_relu(discriminator.join(x), 0.2))
    torch.testing.assert_close(discriminator.extract(flatten_pyramid(pyramid()), 16, 1.0), expected)
    assert expected.shape == (4, CHANNELS[0], 4, 4)


def test_the_text_changes_the_conditional_score_only() -> None:
    discriminator = make_discriminator()
    output = discriminator(flatten_pyramid(pyramid()), texts(), 16, 1.0)
    other = output.with_text(texts().roll(1, 0))
    assert (output.conditional_logits - other.conditional_logits).abs().min() > 1e-3
    assert output.unconditional_logits.shape == (4,)


def test_a_pyramid_of_one_scale() -> None:
    generator, discriminator = make_generator((8,)), make_discriminator((8,))
    sample = generate(generator, 4)
    assert sample.shape == (4, 48)
    assert generator.max_resolution == 4
    assert torch.equal(generator.to_image(sample), sample.reshape(4, 3, 4, 4))
    images = torch.randn(4, 3, 8, 8)
    torch.testing.assert_close(discriminator.to_sample(images, 4, 1.0), F.avg_pool2d(images, 2).flatten(1))
    conditional, unconditional = scores(discriminator, sample)
    assert conditional.shape == unconditional.shape == (4,)
    (conditional + unconditional).sum().backward()
    assert generator.to_rgb[0].weight.grad.norm() > 0


def test_all_scales_of_an_image_are_augmented_by_the_same_numbers() -> None:
    discriminator, plain = make_discriminator(policy=("color", "cutout")), make_discriminator()
    torch.manual_seed(5)
    features = discriminator.extract(flatten_pyramid(pyramid()), 16, 1.0)
    torch.manual_seed(5)
    numbers = discriminator.augment.draw(4, torch.device("cpu"))
    changed = [discriminator.augment.change(image, numbers) for image in pyramid()]
    torch.testing.assert_close(features, plain.extract(flatten_pyramid(changed), 16, 1.0))
    assert not torch.allclose(features, plain.extract(flatten_pyramid(pyramid()), 16, 1.0))
