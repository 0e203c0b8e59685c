import math
from typing import TypeVar

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from t2f.networks.diffaugment import DiffAugment
from t2f.networks.progressive import (
    ProgressiveDiscriminator,
    ProgressiveGenerator,
    depth_of,
    fade,
    faded_reals,
    resolution_of,
    upsample,
)

M = TypeVar("M", bound=nn.Module)

CHANNELS = (8, 6, 4, 2)  # at 4, 8, 16 and 32 pixels
CONDITION, LATENT, EMBEDDING, TEXT = 4, 10, 5, 3


def with_biases(module: M) -> M:
    """Set random biases. They start at zero, so that a test would not detect a missing one."""
    for name, parameter in module.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(parameter, std=0.3)
    return module


@pytest.fixture
def generator() -> ProgressiveGenerator:
    torch.manual_seed(0)
    return with_biases(ProgressiveGenerator(CONDITION, LATENT, CHANNELS))


@pytest.fixture
def discriminator() -> ProgressiveDiscriminator:
    torch.manual_seed(1)
    return with_biases(ProgressiveDiscriminator(CHANNELS, EMBEDDING, TEXT, True, False, 2, DiffAugment([])))


@pytest.fixture
def latent() -> Tensor:
    return torch.randn(3, LATENT, generator=torch.Generator().manual_seed(2))


def generate(generator: ProgressiveGenerator, latent: Tensor, resolution: int, alpha: float) -> Tensor:
    """Generate images from latents, whose first values are the condition and the others the noise."""
    return generator(latent[:, :CONDITION], latent[:, CONDITION:], resolution, alpha)


def images(resolution: int, count: int = 4) -> Tensor:
    return torch.randn(count, 3, resolution, resolution, generator=torch.Generator().manual_seed(3))


def texts(count: int = 4) -> Tensor:
    return torch.randn(count, EMBEDDING, generator=torch.Generator().manual_seed(4))


def normed(x: Tensor) -> Tensor:
    return x / (x.pow(2).mean(dim=1, keepdim=True) + 1e-8).sqrt()


def act(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, 0.2 * x)


def conv(layer: nn.Module, x: Tensor, gain: float = math.sqrt(2)) -> Tensor:
    """Convolve with padding that keeps the size, and with the weight scaled by gain / sqrt(fan in)."""
    weight = layer.weight * gain / math.sqrt(layer.weight[0].numel())
    return F.conv2d(x, weight, layer.bias, padding=weight.shape[-1] // 2)


def doubled(x: Tensor) -> Tensor:
    return x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)


def halved(x: Tensor) -> Tensor:
    return x.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).mean(dim=(3, 5))


def with_gradient(module: nn.Module) -> set[str]:
    """Return the parts, such as `blocks.0`, with a parameter that has a gradient."""
    names = [name.split(".") for name, parameter in module.named_parameters() if parameter.grad is not None]
    return {".".join(part for part in name[:2] if part not in ("weight", "bias")) for name in names}


@pytest.mark.parametrize(("resolution", "depth"), [(4, 0), (8, 1), (16, 2), (32, 3), (128, 5), (1024, 8)])
def test_depth_counts_doublings_of_four_pixels(resolution: int, depth: int) -> None:
    assert depth_of(resolution) == depth


def test_upsample_repeats_pixels() -> None:
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 1, 2, 2)
    expected = [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]
    assert upsample(x)[0, 0].tolist() == expected


def test_generator_at_8_pixels_is_that_of_the_papers_table_2(generator: ProgressiveGenerator, latent: Tensor) -> None:
    first = (generator.start.first.weight * math.sqrt(2) / 4 / math.sqrt(LATENT)).reshape(CHANNELS[0], 4, 4, LATENT)
    x = F.conv_transpose2d(normed(latent)[:, :, None, None], first.permute(3, 0, 1, 2))
    x = normed(act(x + generator.start.first.bias.reshape(CHANNELS[0], 4, 4)))
    x = normed(act(conv(generator.start.second, x)))
    block = generator.blocks[0]
    x = normed(act(conv(block.conv1, doubled(x))))
    x = normed(act(conv(block.conv2, x)))
    torch.testing.assert_close(generate(generator, latent, 8, 1.0), conv(generator.to_rgb[1], x, gain=1.0))


@pytest.mark.parametrize("resolution", [4, 8, 16, 32])
def test_generator_generates_at_every_resolution(
    generator: ProgressiveGenerator, latent: Tensor, resolution: int
) -> None:
    assert generate(generator, latent, resolution, 1.0).shape == (3, 3, resolution, resolution)


@pytest.mark.parametrize("resolution", [8, 16, 32])
def test_generator_starts_its_fade_exactly_at_the_last_stage(
    generator: ProgressiveGenerator, latent: Tensor, resolution: int
) -> None:
    last_stage = generate(generator, latent, resolution // 2, 1.0)
    assert torch.equal(generate(generator, latent, resolution, 0.0), doubled(last_stage))


@pytest.mark.parametrize("resolution", [8, 16, 32])
def test_generator_half_faded_is_the_mean_of_both_ends(
    generator: ProgressiveGenerator, latent: Tensor, resolution: int
) -> None:
    start, end = generate(generator, latent, resolution, 0.0), generate(generator, latent, resolution, 1.0)
    assert (start - end).abs().max() > 0.1
    torch.testing.assert_close(generate(generator, latent, resolution, 0.5), (start + end) / 2)


@pytest.mark.parametrize("alpha", [0.25, torch.tensor(0.25)])
def test_a_fade_has_the_wider_of_two_types(alpha: float | Tensor) -> None:
    """On CUDA, autocast returns float32 from layers that end with an interpolation, else bfloat16."""
    old, new = torch.rand(2, 3), torch.rand(2, 3).bfloat16()
    torch.testing.assert_close(fade(old, new, alpha), 0.75 * old + 0.25 * new.float())
    torch.testing.assert_close(fade(new, old, alpha), 0.75 * new.float() + 0.25 * old)
    assert fade(new, new, alpha).dtype == torch.bfloat16


def test_generator_ends_its_fade_without_a_jump(generator: ProgressiveGenerator, latent: Tensor) -> None:
    torch.testing.assert_close(generate(generator, latent, 16, 1 - 1e-6), generate(generator, latent, 16, 1.0))


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_nothing_fades_at_four_pixels(
    generator: ProgressiveGenerator, discriminator: ProgressiveDiscriminator, latent: Tensor, alpha: float
) -> None:
    assert torch.equal(generate(generator, latent, 4, alpha), generate(generator, latent, 4, 1.0))
    scores = [discriminator(images(4), texts(), 4, each).conditional_logits for each in (alpha, 1.0)]
    assert torch.equal(*scores)


def test_the_length_of_the_latent_does_not_matter(generator: ProgressiveGenerator, latent: Tensor) -> None:
    torch.testing.assert_close(generate(generator, 3 * latent, 8, 1.0), generate(generator, latent, 8, 1.0))


@pytest.mark.parametrize(
    ("resolution", "alpha", "expected"),
    [
        (4, 1.0, {"to_rgb.0"}),
        (8, 0.5, {"to_rgb.0", "blocks.0", "to_rgb.1"}),
        (8, 1.0, {"blocks.0", "to_rgb.1"}),
        (16, 0.5, {"to_rgb.1", "blocks.0", "blocks.1", "to_rgb.2"}),
        (16, 1.0, {"blocks.0", "blocks.1", "to_rgb.2"}),
        (32, 0.5, {"to_rgb.2", "blocks.0", "blocks.1", "blocks.2", "to_rgb.3"}),
    ],
)
def test_only_the_active_layers_of_the_generator_have_gradients(
    generator: ProgressiveGenerator, latent: Tensor, resolution: int, alpha: float, expected: set[str]
) -> None:
    generate(generator, latent, resolution, alpha).square().sum().backward()
    assert with_gradient(generator) == expected | {"start.first", "start.second"}


@pytest.mark.parametrize(
    ("resolution", "alpha", "expected"),
    [
        (4, 1.0, {"from_rgb.0"}),
        (8, 0.5, {"from_rgb.0", "blocks.0", "from_rgb.1"}),
        (8, 1.0, {"blocks.0", "from_rgb.1"}),
        (16, 0.5, {"from_rgb.1", "blocks.0", "blocks.1", "from_rgb.2"}),
        (16, 1.0, {"blocks.0", "blocks.1", "from_rgb.2"}),
        (32, 0.5, {"from_rgb.2", "blocks.0", "blocks.1", "blocks.2", "from_rgb.3"}),
    ],
)
def test_only_the_active_layers_of_the_discriminator_have_gradients(
    discriminator: ProgressiveDiscriminator, resolution: int, alpha: float, expected: set[str]
) -> None:
    discriminator(images(resolution), texts(), resolution, alpha).conditional_logits.sum().backward()
    always = {"conv", "compress", "join", "dense", "score", "features", "projection"}
    assert with_gradient(discriminator) == expected | {f"head.{part}" for part in always}


def test_all_depths_are_built_at_once(generator: ProgressiveGenerator, discriminator: ProgressiveDiscriminator) -> None:
    before = set(generator.state_dict()), set(discriminator.state_dict())
    generate(generator, torch.randn(2, LATENT), 16, 0.5)
    assert discriminator(images(16), texts(), 16, 0.5).conditional_logits.shape == (4,)
    assert (set(generator.state_dict()), set(discriminator.state_dict())) == before
    assert len(generator.to_rgb) == len(discriminator.from_rgb) == 4
    assert len(generator.blocks) == len(discriminator.blocks) == 3


def test_features_at_8_pixels_are_those_of_the_papers_table_2(discriminator: ProgressiveDiscriminator) -> None:
    x = act(conv(discriminator.from_rgb[1], images(8)))
    block = discriminator.blocks[0]
    x = halved(act(conv(block.conv2, act(conv(block.conv1, x)))))
    stddev = (x.var(dim=0, unbiased=False) + 1e-8).sqrt().mean()
    x = torch.cat([x, stddev.expand(4, 1, 4, 4)], dim=1)
    torch.testing.assert_close(discriminator.extract(images(8), 8, 1.0), act(conv(discriminator.head.conv, x)))


@pytest.mark.parametrize("resolution", [8, 16, 32])
def test_discriminator_starts_its_fade_exactly_at_the_last_stage(
    discriminator: ProgressiveDiscriminator, resolution: int
) -> None:
    shrunk = F.avg_pool2d(images(resolution), 2)
    last_stage = discriminator(shrunk, texts(), resolution // 2, 1.0).conditional_logits
    assert torch.equal(discriminator(images(resolution), texts(), resolution, 0.0).conditional_logits, last_stage)


def test_discriminator_half_faded_has_the_mean_features_of_both_ends(discriminator: ProgressiveDiscriminator) -> None:
    faded: list[Tensor] = []
    discriminator.head.minibatch_stddev.register_forward_pre_hook(lambda _, inputs: faded.append(inputs[0]))
    for alpha in (0.0, 0.5, 1.0):
        discriminator.extract(images(8), 8, alpha)
    start, half, end = faded
    assert (start - end).abs().max() > 0.1
    torch.testing.assert_close(half, (start + end) / 2)


def test_discriminator_ends_its_fade_without_a_jump(discriminator: ProgressiveDiscriminator) -> None:
    almost, end = (discriminator(images(16), texts(), 16, alpha).conditional_logits for alpha in (1 - 1e-6, 1.0))
    torch.testing.assert_close(almost, end, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("alpha", [0.4, 1.0])
def test_the_score_is_the_heads_score_of_the_features(discriminator: ProgressiveDiscriminator, alpha: float) -> None:
    score = discriminator(images(16), texts(), 16, alpha).conditional_logits
    assert score.shape == (4,)
    features = discriminator.extract(images(16), 16, alpha)
    assert torch.equal(discriminator.head.conditional_logits(features, texts()), score)


def test_reals_at_full_weight_are_only_pooled() -> None:
    torch.testing.assert_close(faded_reals(images(16), 4, 1.0), halved(halved(images(16))))
    assert torch.equal(faded_reals(images(16), 16, 1.0), images(16))


def test_reals_start_their_fade_exactly_at_the_last_stage() -> None:
    last_stage = faded_reals(images(16), 4, 1.0)
    torch.testing.assert_close(faded_reals(images(16), 8, 0.0), doubled(last_stage))
    last_stage = faded_reals(images(16), 8, 1.0)
    assert torch.equal(faded_reals(images(16), 16, 0.0), doubled(last_stage))


def test_reals_half_faded_are_the_mean_of_both_ends() -> None:
    start, end = faded_reals(images(16), 8, 0.0), faded_reals(images(16), 8, 1.0)
    torch.testing.assert_close(faded_reals(images(16), 8, 0.5), (start + end) / 2)


def test_reals_keep_their_color_through_the_fade() -> None:
    gray = torch.full((2, 3, 16, 16), 0.25)
    assert torch.equal(faded_reals(gray, 8, 0.3), torch.full((2, 3, 8, 8), 0.25))


@pytest.mark.parametrize(("stages", "resolution"), [(1, 4), (2, 8), (3, 16), (9, 1024)])
def test_as_many_channels_as_stages_reach_this_resolution(stages: int, resolution: int) -> None:
    assert resolution_of(stages) == resolution
    generator = ProgressiveGenerator(2, 5, [1] * stages)
    assert (generator.max_resolution, generator.noise_dim, generator.grows) == (resolution, 3, True)


def test_to_sample_fades_real_images(discriminator: ProgressiveDiscriminator) -> None:
    assert torch.equal(discriminator.to_sample(images(16), 8, 0.3), faded_reals(images(16), 8, 0.3))


def test_every_image_is_augmented() -> None:
    torch.manual_seed(1)
    plain = ProgressiveDiscriminator(CHANNELS, EMBEDDING, TEXT, True, True, 2, DiffAugment([]))
    augmented = ProgressiveDiscriminator(CHANNELS, EMBEDDING, TEXT, True, True, 2, DiffAugment(["color", "cutout"]))
    augmented.load_state_dict(plain.state_dict())
    torch.manual_seed(2)
    features = augmented.extract(images(8), 8, 1.0)
    torch.manual_seed(2)
    assert torch.equal(features, plain.extract(augmented.augment(images(8)), 8, 1.0))
    assert not torch.equal(features, plain.extract(images(8), 8, 1.0))


def test_the_unconditional_score_is_that_of_the_head() -> None:
    torch.manual_seed(1)
    discriminator = ProgressiveDiscriminator(CHANNELS, EMBEDDING, TEXT, True, True, 2, DiffAugment([]))
    assert "unconditional_logits" in discriminator.head.outputs
    features = discriminator.extract(images(8), 8, 1.0)
    output = discriminator(images(8), texts(), 8, 1.0)
    assert torch.equal(output.unconditional_logits, discriminator.head.unconditional_logits(features))
